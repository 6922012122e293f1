"""How long the fuzz tests look: a moment in `make test`, half an hour a target in `make fuzz`.

`FUZZ_EXAMPLES=100000 pytest tests/fuzz` says how many cases a target gets; hypothesis keeps what failed in .hypothesis.
"""

import os
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st


def moderate(examples: int) -> Callable[[Any], Any]:
    """The settings of a target that gets `examples` cases in `make test`."""
    asked = os.environ.get("FUZZ_EXAMPLES")
    slow = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture]
    # a case of a second is a hang; the seed is fixed unless the run is a long one
    return settings(
        max_examples=int(asked) if asked else examples,
        deadline=1000,
        derandomize=asked is None,
        suppress_health_check=slow,
    )


# text that is worth trying wherever text is read
ODD_TEXT = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        [
            "", " ", "\0", "*", "nan", "inf", "-1", "1e999", "9" * 400, "2026-03-02T10:00:00Z", "24:00", "23:59:60",
            "9999-12-31T23:59:59Z", "0001-01-01", "1e15", "00h 05", "\ud800", "\x1b[31m", "\u202e", "٣", "²", "1_000",
            "2026-03-02T10:00:00+99:99", "2026-W10-1", "20260302T100000", "\ufeff", "'", '"', "{", "[" * 99,
        ]
    ),
)  # fmt: skip


def mutated(raw: bytes) -> st.SearchStrategy[bytes]:
    """`raw` with some bytes replaced, cut out, doubled or put in."""

    def apply(edits: list[tuple[int, int, bytes]]) -> bytes:
        found = bytearray(raw)
        for place, length, new in edits:
            at = place % (len(found) + 1)
            found[at : at + length] = new
        return bytes(found)

    edit = st.tuples(st.integers(0, len(raw)), st.integers(0, 8), st.binary(max_size=8))
    return st.lists(edit, min_size=1, max_size=6).map(apply)

"""A whole input added up: any order of rows gives the counts of the sorted rows, in memory, packed, and on disk."""

import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from txmon.errors import IoFailure
from txmon.ingest.aggregate.whole import WholeInput
from txmon.ingest.order import in_time_order
from txmon.ingest.records import Record
from txmon.model.keys import Key

Row = tuple[int, str, int, Key, str | None]
rows = st.lists(
    st.tuples(
        st.integers(-300, 3000),
        st.sampled_from(["approved", "denied", "failed"]),
        st.integers(0, 3),
        st.sampled_from([(), (("merchant", "m1"),), (("merchant", "m2"),)]),
        st.sampled_from([None, None, "a", "b", "c"]),
    ),
    max_size=60,
)


def records(found: Sequence[Row]) -> list[Record]:
    return [Record(time, status, count, key, id=identity) for time, status, count, key, identity in found]


def expected(found: Sequence[Row]) -> tuple[Counter[tuple[int, Key, str]], int]:
    """The counts by bucket, key and status, by another way, and how many rows repeat another one."""
    counts: Counter[tuple[int, Key, str]] = Counter()
    seen = set()
    for time, status, count, key, identity in found:
        if identity is not None and (identity, status, time) in seen:
            continue
        seen.add((identity, status, time))
        counts[time // 60 * 60, key, status] += count
    return counts, sum(row[4] is not None for row in found) - sum(known[0] is not None for known in seen)


@given(rows, st.integers(0, 40), st.sampled_from([0, 100, 1 << 20]), st.randoms(use_true_random=False))
def test_any_order_gives_the_counts_of_the_rows(found: list[Row], hot: int, packed: int, rng: random.Random) -> None:
    # one count and one key for each id and time: which of two repeats is counted is not to decide here
    first: dict[tuple[object, ...], Row] = {}
    found = [first.setdefault((row[4], row[1], row[0]) if row[4] else (n,), row) for n, row in enumerate(found)]
    rng.shuffle(found)
    whole = WholeInput(60, hot, packed)
    for record in records(found):
        whole.take([record])
    whole.settle()
    tallies = [(tally.start, tally.counts) for tally in whole.tallies()]
    assert [start for start, _ in tallies] == sorted({row[0] // 60 * 60 for row in found})
    counts = {
        (start, key, status): count
        for start, by_key in tallies
        for key, statuses in by_key.items()
        for status, count in statuses.items()
    }
    assert (counts, whole.repeated) == expected(found)
    assert whole.rows == len(found)


@given(rows, st.integers(1, 20))
def test_single_records_are_sorted_by_time_then_key_and_status(found: list[Row], together: int) -> None:
    expected = sorted(found, key=lambda row: (row[0], row[3], row[1]))
    assert list(in_time_order(records(found), together)) == records(expected)


def test_a_temporary_folder_that_is_full_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    monkeypatch.setattr("tempfile.TemporaryFile", lambda **_: open("/dev/full", "r+b", buffering=0))  # noqa: SIM115
    whole = WholeInput(60, 0, 0)
    with pytest.raises(IoFailure, match=r"No space left on device\. Set TMPDIR"):
        whole.take([Record(0, "a", 1)])
    whole.close()
    with pytest.raises(IoFailure, match="Set TMPDIR"):
        list(in_time_order([Record(0, "a", 1), Record(0, "a", 1)], 1))

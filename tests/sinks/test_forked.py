"""Lines that forks write are those that one process writes, in the same order, however many verdicts a bucket has."""

from pathlib import Path

import pytest

from txmon.model.outcome import Outcome
from txmon.model.verdict import Stated, Verdict
from txmon.sinks import forked
from txmon.sinks.forked import ForkedLines
from txmon.sinks.jsonl import JsonLines


def outcome(minute: int, verdicts: int) -> Outcome:
    time = 1772445600 + 60 * minute
    return Outcome(
        time,
        [
            Verdict(time, "failed", (("merchant", f"m{n}"),), n, n, 0.0, 0.0, 1, "ok", (), Stated(0, 0, "text"))
            for n in range(verdicts)
        ],
    )


@pytest.mark.parametrize("many", [1, 5, 60])
@pytest.mark.parametrize("buckets", [0, 1, 2, 5, 23])
def test_the_order_is_kept(many: int, buckets: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("MANY", 10), ("BUCKETS", 3), ("MOST", 100)):
        monkeypatch.setattr(forked, name, value)
    some = [outcome(minute, many) for minute in range(buckets)]
    with open(tmp_path / "one", "wb") as stream:
        lines = JsonLines(stream)
        for one in some:
            lines.accept(one)
    with open(tmp_path / "forked", "wb") as stream:
        forks = ForkedLines(stream)
        for one in some:
            forks.accept(one)
        forks.close()
    assert (tmp_path / "forked").read_bytes() == (tmp_path / "one").read_bytes()

"""Lines as bytes: what a verdict says, whatever its status and key are made of."""

import json
from errno import ENOSPC

import pytest

from txmon.model.keys import TOTAL
from txmon.model.outcome import Outcome
from txmon.model.scores import Thresholds
from txmon.model.verdict import Evidence, Verdict
from txmon.sinks import jsonl
from txmon.sinks.jsonl import JsonLines
from txmon.sinks.lines import verdict_line

ODD = ["denied", TOTAL, 'a "quoted" one', "back\\slash", "new\nline", "nie\u00df\u30c6", "\U0001f4b3", "\x01\x7f"]


def verdict(status: str, said: str = "", count: int = 7, score: float = 4.25) -> Verdict:
    evidence = Evidence(Thresholds(3.5, 3, 1.5, "above"), 0.02, 7.0, 3.25, "count", False, said)
    return Verdict(60, status, (('mer"chant', status),), count, 70, 3.25, score, 1, "ok", (), evidence)


@pytest.mark.parametrize("status", ODD)
@pytest.mark.parametrize("said", ["", 'it "said" so\n\u00fc'])
def test_a_line_says_what_the_verdict_says(status: str, said: str) -> None:
    made = verdict(status, said)
    line = verdict_line(made)
    row = json.loads(line)
    assert (row["status"], row["key"], row["text"]) == (status, {'mer"chant': status}, made.text)
    assert made.text == f"7 {'transactions' if status == TOTAL else status}, 3.2 expected (at most {made.high}); " + (
        f"unusual, but too few to alert; {said}" if said else "unusual, but too few to alert"
    )
    assert line == json.dumps(row, ensure_ascii=False)  # escaped as json does it, and no more
    assert verdict_line(made.changed(text=made.text)) == line


def test_more_statuses_than_are_remembered() -> None:
    for i in range(10_000):
        assert f'"status": "s{i}"' in verdict_line(verdict(f"s{i}"))


class Full:
    """A stream that takes nothing while its disk is full."""

    def __init__(self) -> None:
        self.full = True
        self.taken: list[bytes] = []

    def write(self, data: bytes) -> int:
        if self.full:
            raise OSError(ENOSPC, "full")
        self.taken.append(data)
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""


def test_what_could_not_be_written_is_not_written_later() -> None:
    stream = Full()
    lines = JsonLines(stream)
    with pytest.raises(OSError, match="full"):
        lines.accept(Outcome(60, [verdict("lost")]))
    stream.full = False
    lines.accept(Outcome(60, [verdict("kept")]))
    (data,) = stream.taken
    assert data.count(b"\n") == 1
    assert b'"kept"' in data


def test_the_lines_of_a_large_bucket_are_written_in_parts() -> None:
    stream = Full()
    stream.full = False
    many = [verdict(f"s{i}") for i in range(10_000)]
    JsonLines(stream).accept(Outcome(60, many))
    assert len(stream.taken) > 1
    assert max(map(len, stream.taken)) < jsonl.MANY + 1000
    assert b"".join(stream.taken).decode() == "".join(verdict_line(one) + "\n" for one in many)

"""Every case that a long fuzz run kept, and every one that once failed: again, on what is installed."""

import base64
import time
from collections.abc import Callable

import corpus
import pytest
from fuzz_http import HttpTarget, check
from fuzz_targets import TARGETS

from txmon.ingest.aggregate.aggregator import Aggregator
from txmon.ingest.records import RecordParser

# found by long runs: a carriage return lost by the fast path; states that were taken over and failed a minute later
FAILED = {
    "records": [
        "EAh0aW1lLHN0YXR1cwoiMjAyNjAtMy0wMlQxMDowMDowMFoiLCJhLCJBdXRob3JpemF0aW9uOiBCZWFyZXIgZnV6ei10b2tlbi0wMTIzNDU2Nzg5DQoiYiIKCiAgCngK",
    ],
    "config": [
        "AWJ1ZGdldD0wLjEvaG91cg==",
        "lIxt8qSkpKRzpHNvbHBlpKSkpKQkpA==", "Am1pbl9jb3VudCA9IHtEZWZhdWx0ID0gMywgZmFpbGVkID0gNX0K",
    ],
    "state": [
        "AgGPHA==", "AgACAA==", "/8YABA==", "WwIClp4Z", "OqCKLw==", "YpeTfo0=", "3v4EhbI=", "rgB2Eu46BOs=",
        "/peXje+ed53/cMI=",
    ],
}  # fmt: skip


def replay(case: Callable[[bytes], None], cases: list[bytes]) -> None:
    for data in cases:
        began = time.process_time()
        case(data)
        assert time.process_time() - began < 1, data


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_the_corpus(target: str) -> None:
    cases = corpus.read(target) + [base64.b64decode(text) for text in FAILED.get(target, [])]
    assert len(cases) >= 60
    replay(TARGETS[target], cases)


def test_the_corpus_of_http() -> None:
    cases = corpus.read("http")
    assert len(cases) >= 60
    target = HttpTarget()
    try:
        replay(target, cases)
    finally:
        target.close()


def test_the_corpus_is_small() -> None:
    assert sum(path.stat().st_size for path in corpus.FOLDER.iterdir()) < 1_000_000


class Forgetful:
    """A fast path that loses the last of what it read."""

    def __init__(self, parser: RecordParser, width: int) -> None:
        self._inner = Aggregator(parser, width)

    def take(self, lines: list[bytes]) -> list[object]:
        return list(self._inner.take(lines)[:-1])


def test_a_difference_between_parser_and_tally_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fuzz_targets.Aggregator", Forgetful)
    with pytest.raises(AssertionError):
        TARGETS["records"](b"\0\0time,status\n2026-03-02T10:00:00Z,denied\n")


def test_an_answer_in_part_is_seen() -> None:
    check(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
    for answer in (b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n", b"HTTP/1.1 200 OK\r\n", b"{}"):
        with pytest.raises(AssertionError):
            check(answer)

"""Lines added up are the same as records one by one, whatever the lines hold."""

import json
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from txmon.buckets import Bucketer
from txmon.records import ParseOptions, RecordParser, Reject
from txmon.tally import Item, Tallier, Tally
from txmon.times import TimeParser

CSV_CELLS = (
    ["2026-03-02T10:00:00Z", "2026-03-02T10:00:59.9Z", "2026-03-02T10:01:00Z", "2026-03-02T12:05:00+02:00", "23:59:30",
     "00:00:10", "1772445600", " 10:30", "nope", ""],
    ["denied", "Denied ", "failed", "*", "", "refusé", '"denied"', 'a"b'],
    ["1", "0", "12", " 3", "1.0", "-1", "9999999999999999", "x"],
    ["m1", "m2", " m1", "", "m,3"],
)  # fmt: skip
JSON_VALUES: tuple[list[Any], ...] = (
    ["2026-03-02T10:00:00Z", "2026-03-02T10:01:00Z", 1772445600, 1772445600.5, 1772445600123, True, None, "23:59"],
    ["denied", "Denied", "failed", 5, None, "refusé"],
    [1, 0, 7, "7", 2.0, 2.5, -1, None, 10**16, True],
    ["m1", "m2", " m1", None, 4],
)
NAMES = ("time", "status", "count", "merchant")


def csv_lines(rows: list[tuple[str, ...]]) -> list[bytes]:
    return [",".join(NAMES).encode(), *(",".join(row).encode() for row in rows)]


def json_lines(rows: list[tuple[Any, ...]]) -> list[bytes]:
    return [json.dumps(dict(zip(NAMES, row, strict=True))).encode() for row in rows]


def everything(items: list[Any], lateness: int) -> tuple[Any, ...]:
    """All that buckets and people learn of a stream."""
    bucketer = Bucketer(60, lateness, track=True)
    rejects = [item for item in items if isinstance(item, Reject)]
    closed, corrections = [], []
    for item in items:
        if not isinstance(item, Reject):
            closed += [(bucket.start, json.dumps(list(bucket.counts.items()))) for bucket in bucketer.add([item])]
            corrections += bucketer.corrections()
    grown = [(bucket.start, key, status) for bucket, key, status in bucketer.grown()]
    closed += [(bucket.start, json.dumps(list(bucket.counts.items()))) for bucket in bucketer.flush()]
    changed = [(one.start, place, one.counts[place[0]][place[1]]) for one in corrections for place in one.changed]
    last = {(start, place): count for start, place, count in changed}
    return rejects, closed, grown, bucketer.late, bucketer.first_late, bucketer.summary(), last


def check(lines: list[bytes], by: tuple[str, ...], cut: int, lateness: int) -> None:
    options = ParseOptions(by=by)
    plain = RecordParser("x", options, TimeParser(first_date=date(2026, 3, 2)))
    single = list(plain.parse(lines))
    parser = RecordParser("x", options, TimeParser(first_date=date(2026, 3, 2)))
    tallier = Tallier(parser, 60)
    added: list[Item | Reject] = [*tallier.take(lines[:cut]), *tallier.take(lines[cut:])]
    assert everything(added, lateness) == everything(single, lateness)
    assert parser.snapshot() == plain.snapshot()


ROWS = st.lists(st.tuples(*map(st.sampled_from, CSV_CELLS)), min_size=1, max_size=40)
VALUES = st.lists(st.tuples(*map(st.sampled_from, JSON_VALUES)), min_size=1, max_size=40)
BY = st.sampled_from([(), ("merchant",), ("merchant", "status")])


@given(ROWS, BY, st.integers(0, 20), st.sampled_from([0, 90]))
def test_csv_lines(rows: list[tuple[str, ...]], by: tuple[str, ...], cut: int, lateness: int) -> None:
    check(csv_lines(rows), by, cut, lateness)


@given(VALUES, BY, st.integers(0, 20), st.sampled_from([0, 90]))
def test_json_lines(rows: list[tuple[Any, ...]], by: tuple[str, ...], cut: int, lateness: int) -> None:
    check(json_lines(rows), by, cut, lateness)


@pytest.mark.parametrize("ending", [b"", b"\r"])
def test_usual_lines_become_one_tally_a_minute(ending: bytes) -> None:
    lines = [b"time,status" + ending, *[b"2026-03-02T10:00:%02dZ,denied" % i + ending for i in range(60)] * 2]
    items = Tallier(RecordParser("x", ParseOptions(), TimeParser()), 60).take(lines)
    # the first line of a status is the parser's
    assert [item.rows for item in items if isinstance(item, Tally)] == [119]


def test_json_lines_of_changing_shape_are_all_read() -> None:
    shapes = [{"time": 1772445600, "status": "a"}, {"ts": 1772445600, "state": "b", "n": 2}, {"time": 1772445600}]
    lines = [json.dumps(shapes[i // 200]).encode() for i in range(600)]
    found = Tallier(RecordParser("x", ParseOptions(), TimeParser()), 60).take(lines)
    [bucket] = [*(bucketer := Bucketer(60)).add([i for i in found if not isinstance(i, Reject)]), *bucketer.flush()]
    assert bucket.counts == {(): {"a": 200, "b": 400}}
    assert sum(isinstance(item, Reject) for item in found) == 200

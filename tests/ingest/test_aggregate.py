"""Lines added up are the same as records one by one, whatever the lines hold."""

import json
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from txmon.ingest.aggregate.aggregator import Aggregator
from txmon.ingest.aggregate.ledger import Item, Tally
from txmon.ingest.records import ParseOptions, RecordParser, Reject
from txmon.ingest.timestamps import TimeParser
from txmon.pipeline.buckets import Bucketer

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


def check(lines: list[bytes], by: tuple[str, ...], cut: int, lateness: int, longest: int = 200) -> None:
    options = ParseOptions(by=by, max_line=longest)
    plain = RecordParser("x", options, TimeParser(first_date=date(2026, 3, 2)))
    parser = RecordParser("x", options, TimeParser(first_date=date(2026, 3, 2)))
    for one in (plain, parser):
        one.admit(1772445600 + 3600, 3600)
    single = list(plain.parse(lines))
    tallier = Aggregator(parser, 60)
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


IDS = st.lists(st.sampled_from(["a", "b", "", " a", "ü", "4"]), min_size=40, max_size=40)


@given(ROWS, IDS, BY, st.integers(0, 20), st.sampled_from([0, 90]))
def test_csv_lines_with_ids(
    rows: list[tuple[str, ...]], ids: list[str], by: tuple[str, ...], cut: int, lateness: int
) -> None:
    lines = csv_lines(rows)
    named = [line + b"," + name.encode() for line, name in zip(lines, ["id", *ids], strict=False)]
    check(named, by, cut, lateness)


@given(VALUES, IDS, BY, st.integers(0, 20), st.sampled_from([0, 90]))
def test_json_lines_with_ids(
    rows: list[tuple[Any, ...]], ids: list[str], by: tuple[str, ...], cut: int, lateness: int
) -> None:
    found = [{**json.loads(line), "id": name} for line, name in zip(json_lines(rows), ids, strict=False)]
    check([json.dumps(row).encode() for row in found], by, cut, lateness)


def test_lines_with_ids_are_records_of_which_repeats_are_counted_once() -> None:
    lines = [b"time,status,id", *[f"2026-03-02T10:00:{i % 3:02}Z,denied,{i % 4}".encode() for i in range(24)]]
    parser = RecordParser("x", ParseOptions(), TimeParser(first_date=date(2026, 3, 2)))
    bucketer = Bucketer(60)
    assert not list(bucketer.add([item for item in Aggregator(parser, 60).take(lines) if not isinstance(item, Reject)]))
    (bucket,) = bucketer.flush()
    assert bucket.counts == {(): {"denied": 12}}
    assert bucketer.repeated == 12


# what a CSV line may be besides: ragged, quoted, blank, no UTF-8, ended as on Windows, too long
CSV_ODD = [
    b"", b"\r", b"  ", b",,,", b"2026-03-02T10:00:00Z,denied,1", b"2026-03-02T10:00:00Z,denied,1,m1,", b"x",
    b"\xff,\xfe,1,m1", b"2026-03-02T10:00:00Z,denied,1,\xff", b"2026-03-02T10:00:00Z,denied,1,\xc3\xa9",
    b'"2026-03-02T10:00:00Z","denied",1,m1', b"2026-03-02T10:00:00Z,denied,5,m1\r",
    b"2026-03-02T10:00:00Z,denied,5,m1\r\r", b"2026-03-02T10:00:00Z,de\rnied,5,m1",
    b"2026-03-02T10:00:00Z,denied,1," + b"m" * 200,
    b"2026-03-02T10:00:00Z,denied,\xd9\xa1,m1", b"\n,denied,1,m1",
    b"2026-03-02T10:00:00Z\n2026-03-02T10:00:00Z,denied,1,m1", b"2026-03-02T10:00:00Z,denied,1,m1\n",
    b"2026-03-02\tT10:00:00Z,denied,1,m1", b"2026-13-02T10:00:00Z,denied,1,m1", b"2026-03-02T24:00:00Z,denied,1,m1",
    b"2026-03-02T10:0x:00Z,denied,1,m1", b"2030-03-02T10:00:00Z,denied,1,m1", b"1969-12-31T23:59:59Z,denied,1,m1",
    b"2026-W10-1T10:00:00Z,denied,1,m1", b"time,status,count,merchant", b"2026-03-02T10:00:00Z,denied,+5,m1",
    b"2026-03-02T10:00:00Z,denied,1e2,m1", b"2026-03-02T10:00:00Z,denied,007,m1",
    b"2026-03-02T10:00:00Z,denied,nan,m1", b"2026-03-02T10:00:00Z,denied,1_0,m1",
    b"2026-03-02T10:00:00Z,denied,999999999999999,m1", b'2026-03-02T10:00:00Z,denied,1,"m1"', b'"23:00",denied,1,m1',
]  # fmt: skip
ODD_CSV = st.lists(st.one_of(ROWS.map(lambda rows: csv_lines(rows)[1]), st.sampled_from(CSV_ODD)), max_size=60)


@given(ODD_CSV, BY, st.integers(0, 20), st.permutations(range(4)), st.sampled_from([b"", b"\xef\xbb\xbf"]))
def test_odd_csv_lines(lines: list[bytes], by: tuple[str, ...], cut: int, order: list[int], bom: bytes) -> None:
    usual = csv_lines([("2026-03-02T10:00:00Z", status, "1", "m1") for status in ("denied", "failed") * 2])
    given = [*usual, *lines]
    moved = [b",".join([cells[at] for at in order]) if len(cells := raw.split(b",")) == 4 else raw for raw in given]
    check([bom + given[0], *given[1:]], by, cut, 0)
    check(moved, by, cut, 90)


@pytest.mark.parametrize("by", [(), ("merchant",), ("time",)])
def test_each_odd_csv_line_among_usual_ones(by: tuple[str, ...]) -> None:
    times = ("2026-03-02T10:00:00Z", "10:30")
    usual = csv_lines([(time, status, "1", "m1") for time in times for status in ("denied", "failed", "denied")])
    turned = [b",".join(reversed(raw.split(b","))) for raw in usual]
    for odd in CSV_ODD:
        check([*usual, odd, usual[-1], odd, odd, *usual[1:]], by, 9, 86400)
        back = b",".join(reversed(odd.split(b",")))
        check([*turned, back, turned[-1], b"x", back, *turned[1:]], by, 9, 86400)


@given(ODD_CSV, st.sampled_from([b"1.5", b"", b"nan", b"-1", b"x", b"1_0"]), st.booleans())
def test_amounts(lines: list[bytes], amount: bytes, first: bool) -> None:
    lines = [b"time,status,count,merchant", *lines]
    amounts = [b"amount", *[(b"1", amount)[i % 3 == 0] for i in range(len(lines))]]
    pairs = zip(amounts, lines, strict=False)
    check([one + b"," + raw if first else raw + b"," + one for one, raw in pairs], (), 9, 0)


# how JSON lines begin, their times, and how they go on; the first of each is usual
HEADS = [
    b'{"time": "', b'{"time":"', b' {"time" : "', b'{"Time": "', b'{"ts": "', b'{"\\u0074ime": "',
    b'{"x": 1, "time": "', b'{"status": "', b'{"time": ', b"", b'{"time": ["',
]  # fmt: skip
TIMES = [
    b"2026-03-02T10:00:00Z", b"2026-03-02T10:00:30Z", b"2026-03-02 10:01:00", b"2026-03-02T12:02:00+02:00",
    b"23:59:30", b"00:00:10", b"10:30", b"nope", b"", b"2026-03-02T10:00:00\\u005a", b"10:00\t", b"10:00 ",
    b"1772445600", b"10:0\xd9\xa1", b"2030-03-02T10:00:00Z", b"2026-03-02T10:00:00Z\\",
    b'2026-03-02T10:00:00Z", "time": "2026-03-02T10:05:00Z', b"2026-03-02\\10:00:00", b"2026-03-02\t10:00:00",
    b"2026-03-02T12:00:00.000000+02:00",
]  # fmt: skip
USUAL = b'", "status": "denied", "merchant": "m1"'
ENDS = [USUAL + end for end in (
    b"}", b"}\r", b"} ", b"", b', "time": "10:00"}', b', "ts": 5}', b', "n": 3}', b', "count": 1e2}',
    b', "count": -0}', b', "count": 007}', b', "count": NaN}', b', "count": 10000000000000000}', b', "id": "a"}',
    b"}{}",
)] + [
    b'", "status": "failed", "merchant": "m2"}', b'","status":"denied","merchant":"m1"}',
    b'", "status": "denied", "status": "failed", "merchant": "m1"}', b'"}', b'", }',
    b'", "status": "denied", "merchant": null}', b'", "status": null, "merchant": "m1"}', b'", "merchant": "m1"}',
    b'", "status": "de\\u006eied", "merchant": "m1"}', b'", "status": "denied", "merchant": "\\ud800"}',
    b'", "status": ["denied"]}', b'", "status": "denied", "merchant": "\xc3\xa9"}',
    b'", "status": "denied", "merchant": "\xff"}', b"", b'", "status": "denied"}}',
    b'" , "status": "denied", "merchant": "m1"}', b'", "status": "*", "merchant": "m1"}',
    b'", "status": "denied", "merchant": "m\n1"}', b'",\n"status": "denied", "merchant": "m1"}',
    b'", "status": "", "merchant": "m1"}', b'":1 "status": "denied", "merchant": "m1"}',
    b'", "status": "denied", "merchant": "m1", "time": "23:00"}',
    b'", "status": "denied", "merchant": "' + b"m" * 300 + b'"}',
    b'", "status": "denied", "merchant": {"a": [1, {"b": 2}]}}',
]  # fmt: skip
PARTS = st.tuples(*[st.one_of(st.just(some[0]), st.sampled_from(some)) for some in (HEADS, TIMES, ENDS)])


@given(st.lists(PARTS, max_size=60), BY, st.integers(0, 20), st.sampled_from([0, 90]), st.sampled_from([80, 200, 1000]))
def test_json_lines_as_text(
    parts: list[tuple[bytes, ...]], by: tuple[str, ...], cut: int, lateness: int, longest: int
) -> None:
    usual = [HEADS[0] + TIMES[0] + USUAL.replace(b"denied", status) + b"}" for status in (b"denied", b"failed") * 2]
    check([*usual, *map(b"".join, parts)], by, cut, lateness, longest)


def test_each_odd_json_line_among_usual_ones() -> None:
    heads = [(head, TIMES[0], end) for head in HEADS for end in ENDS]
    times = [(HEADS[0], time, end) for time in TIMES for end in ENDS]
    for time, end in ((TIMES[0], b"}"), (b"10:30", b"}"), (TIMES[0], b', "count": 2}')):
        usual = [HEADS[0] + time + USUAL.replace(b"denied", status) + end for status in (b"denied", b"failed") * 2]
        for parts in [*heads, *times]:
            odd = b"".join(parts)
            check([*usual, odd, usual[1], odd, *usual], ("merchant",), 5, 86400, 80 + len(end))


def test_ends_are_known_of_one_shape_alone() -> None:
    first = b'{"time": "2026-03-02T10:00:00Z", "ts": "2026-03-02T11:00:00Z", "status": "denied"}'
    second = b'{"ts": "2026-03-02T10:00:00Z", "status": "denied"}'
    both = b'{"ts": "2026-03-02T10:00:00Z", "ts": "2026-03-02T11:00:00Z", "status": "denied"}'
    check([*[first] * 9, *[second] * 99, both, both], (), 50, 0)


def test_spellings_of_a_status_are_added_up_in_each_minute() -> None:
    rows = [f"2026-03-02T10:0{minute}:00Z,{status},1" for minute in range(5) for status in ("denied", "Denied")]
    lines = [b"time,status,count", *(row.encode() for row in rows * 2)]
    tallier = Aggregator(RecordParser("x", ParseOptions(), TimeParser()), 60)
    tallier.take(lines)
    found = [item.counts for item in tallier.take(lines[1:]) if isinstance(item, Tally)]
    assert found == [{(): {"denied": 2}}] * 10


@pytest.mark.parametrize("line", [
    b"2026-03-02T10:%02d:00Z,denied,%d", b"denied,2026-03-02T10:%02d:00Z,%d",
    b'{"time": "2026-03-02T10:%02d:00Z", "status": "denied", "count": %d}',
    b'{"status": "denied", "time": "2026-03-02T10:%02d:00Z", "count": %d}',
])  # fmt: skip
def test_lines_of_which_none_comes_again_are_all_counted(line: bytes) -> None:
    header = [] if line.startswith(b"{") else [b"time,status,count" if line.startswith(b"2") else b"status,time,count"]
    lines = header + [line % (i // 1000, i) for i in range(40_000)]
    tallier = Aggregator(RecordParser("x", ParseOptions(), TimeParser()), 60)
    found = [item for at in range(0, len(lines), 5000) for item in tallier.take(lines[at : at + 5000])]
    assert sum([item.rows if isinstance(item, Tally) else 1 for item in found]) == 40_000
    assert not tallier._json.rests
    assert tallier._csv is None or not tallier._csv.rests
    assert len(found) < 60
    closed = [*(bucketer := Bucketer(60)).add([i for i in found if not isinstance(i, Reject)]), *bucketer.flush()]
    assert [bucket.counts[()]["denied"] for bucket in closed] == [
        sum(range(i, i + 1000)) for i in range(0, 40_000, 1000)
    ]


def test_a_tally_gives_its_counts_to_one_owner() -> None:
    lines = [b"time,status", *[b"2026-03-02T10:00:%02dZ,denied" % i for i in range(60)]]
    tallies = Aggregator(RecordParser("x", ParseOptions(), TimeParser()), 60).take(lines)
    [tally] = [item for item in tallies if isinstance(item, Tally)]
    bucketer = Bucketer(60)
    assert not [*bucketer.add([tally])]
    assert tally.counts == {}
    with pytest.raises(RuntimeError, match=f"the counts of the tally at {tally.start} were surrendered before"):
        list(bucketer.add([tally]))
    [bucket] = bucketer.flush()
    assert bucket.counts == {(): {"denied": 59}}


def test_a_long_time_is_not_remembered() -> None:
    """Times padded to kilobytes would take the memory of 65,536 of them."""
    padded = "2026-03-02T10:00:00Z" + " " * 4000
    lines = [json.dumps({"time": padded, "status": "denied"}).encode() for _ in range(100)]
    aggregator = Aggregator(RecordParser("x", ParseOptions(), TimeParser()), 60)
    found = aggregator.take(lines)
    assert sum([item.rows if isinstance(item, Tally) else 1 for item in found]) == 100
    assert padded not in aggregator._ledger._times


@pytest.mark.parametrize("ending", [b"", b"\r"])
def test_usual_lines_become_one_tally_a_minute(ending: bytes) -> None:
    lines = [b"time,status" + ending, *[b"2026-03-02T10:00:%02dZ,denied" % i + ending for i in range(60)] * 2]
    items = Aggregator(RecordParser("x", ParseOptions(), TimeParser()), 60).take(lines)
    # the first line of a status is the parser's
    assert [item.rows for item in items if isinstance(item, Tally)] == [119]


def test_json_lines_of_changing_shape_are_all_read() -> None:
    shapes = [{"time": 1772445600, "status": "a"}, {"ts": 1772445600, "state": "b", "n": 2}, {"time": 1772445600}]
    lines = [json.dumps(shapes[i // 200]).encode() for i in range(600)]
    found = Aggregator(RecordParser("x", ParseOptions(), TimeParser()), 60).take(lines)
    [bucket] = [*(bucketer := Bucketer(60)).add([i for i in found if not isinstance(i, Reject)]), *bucketer.flush()]
    assert bucket.counts == {(): {"a": 200, "b": 400}}
    assert sum(isinstance(item, Reject) for item in found) == 200


@pytest.mark.parametrize("line", [
    b"2026-03-02T10:%02d:00Z,denied,%d", b'{"time": "2026-03-02T10:%02d:00Z", "status": "denied", "count": %d}',
])  # fmt: skip
def test_what_follows_the_time_is_looked_up(line: bytes) -> None:
    header = [] if line.startswith(b"{") else [b"time,status,count"]
    tallier = Aggregator(RecordParser("x", ParseOptions(), TimeParser()), 60)
    tallier.take(header + [line % (i // 100, i % 7) for i in range(2000)])
    of = tallier._json if line.startswith(b"{") else tallier._csv
    assert of is not None
    assert len(of.rests) == 7
    tallier.take([line % (i // 100, i % 7) for i in range(20_000)])
    assert len(of.rests) == 7

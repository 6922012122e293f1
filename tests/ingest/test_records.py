"""Lines to records: every accepted shape, every refusal, and nothing else whatever the bytes."""

import json
from datetime import UTC, date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from txmon.errors import BadData
from txmon.ingest.fields import NAMES
from txmon.ingest.records import ParseOptions, Record, RecordParser, Reject
from txmon.ingest.timestamps import TimeParser

AT = 1772461985  # 2026-03-02T14:33:05Z


def parse(text: str | bytes, **options: object) -> list[Record | Reject]:
    raw = text if isinstance(text, bytes) else text.encode()
    parser = RecordParser("f", ParseOptions(**options), TimeParser(UTC, date(2026, 3, 2)))  # type: ignore[arg-type]
    found = list(parser.parse(raw.split(b"\n")))
    parser.finish()
    return found


@pytest.mark.parametrize("column", NAMES["time"])
@pytest.mark.parametrize("status", NAMES["status"])
def test_every_name_of_time_and_status(column: str, status: str) -> None:
    found = parse(f"{status.upper()},{column}\nDenied ,2026-03-02T14:33:05Z\n")
    assert found == [Record(AT, "denied", 1)]


@pytest.mark.parametrize("column", NAMES["count"])
def test_every_name_of_count_in_both_formats(column: str) -> None:
    assert parse(f"time,status,{column}\n14:33:05,denied,7") == [Record(AT, "denied", 7)]
    assert parse(json.dumps({"time": "14:33:05", "status": "denied", column: 7})) == [Record(AT, "denied", 7)]


def test_id_amount_and_dimensions() -> None:
    row = "2026-03-02T14:33:05Z;failed;12.50;t1;m1;north"
    found = parse(f"ts;state;amount;transaction_id;Merchant;region\n{row}", by=("merchant", "region"))
    assert found == [Record(AT, "failed", 1, (("merchant", "m1"), ("region", "north")), 12.5, "t1")]


def test_a_mapped_column_wins() -> None:
    assert parse("time,status,count,seen\n14:33:05,denied,1,9", mapping={"count": "seen"}) == [Record(AT, "denied", 9)]


def test_quoted_cells_tabs_bom_and_blank_lines() -> None:
    assert parse('\ufefftime\tstatus\tcount\n\n"14:33:05"\t"den""ied"\t2\r\n') == [Record(AT, 'den"ied', 2)]


@pytest.mark.parametrize(
    ("row", "kind", "reason"),
    [
        ("14:33:05,denied,x", "count", "'x' is not a whole number"),
        ("14:33:05,denied,-1", "count", "'-1' is not a whole number"),
        ("14:33:05,denied,1.5", "count", "'1.5' is not a whole number"),
        ("14:33:05,denied,nan", "count", "'nan' is not a whole number"),
        ("14:33:05,denied,inf", "count", "'inf' is not a whole number"),
        ("14:33:05,denied,9999999999999999", "count", "not a whole number from 0 to 10^15"),
        ("noon,denied,1", "time", "'noon' is not a time in a known form"),
        ("14:33:05,,1", "status", "the status is empty"),
        ("14:33:05,*,1", "status", "'*' stands for all statuses together"),
        ("14:33:05,denied", "columns", "the line has 2 columns, but the header has 3"),
        ('14:33:05,"denied,1', "columns", "quotes do not match"),
        (f"14:33:05,{'d' * 300},1", "status", "a status of 300 characters"),
    ],
)
def test_a_bad_row_is_a_value_with_its_position(row: str, kind: str, reason: str) -> None:
    good = "14:33:05,denied,1"
    found = parse(f"time,status,count\n{good}\n{row}\n{good}")
    assert found[0] == found[2] == Record(AT, "denied", 1)
    bad = found[1]
    assert isinstance(bad, Reject)
    assert (bad.source, bad.line, bad.kind, bad.raw) == ("f", 3, kind, row.encode())
    assert reason in bad.reason


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("{", "json"), ("[1]", "json"), ('{"time": 1}', "status"), ('{"status": "x"}', "time"),
        ('{"time": true, "status": "x"}', "time"), ('{"time": 1772461985, "status": 2.5}', "status"),
        ('{"time": 1772461985, "status": "x", "count": true}', "count"),
        ('{"time": 1, "status": "x"}', "time"),
        ("[" * 100_000, "json"),
    ],
)  # fmt: skip
def test_a_bad_json_line(line: str, kind: str) -> None:
    found = parse('{"time": 1772461985, "status": "x"}\n' + line)
    assert isinstance(found[1], Reject)
    assert found[1].kind == kind


def test_a_long_line_and_bad_utf8_are_rejects() -> None:
    found = parse(b"time,status\n14:33:05," + b"x" * 2000 + b"\n14:33:05,\xff\n", max_line=1000)
    assert [r.kind for r in found if isinstance(r, Reject)] == ["too-long", "encoding"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is empty"),
        ("time,count\n", "no column for 'status' .*columns found: time, count"),
        ("14:33,denied,2\n", "no header"),
        (b"PK\x03\x04 zip", "is binary"),
        (b"\x00\x01\x02", "is binary"),
    ],
)
def test_what_cannot_be_read_at_all(text: str | bytes, reason: str) -> None:
    with pytest.raises(BadData, match=reason):
        parse(text)


@given(st.lists(st.binary(max_size=80), max_size=20), st.sampled_from(["auto", "csv", "jsonl"]))
def test_no_bytes_are_a_crash_or_lost(lines: list[bytes], kind: str) -> None:
    parser = RecordParser("f", ParseOptions(kind), TimeParser(UTC, date(2026, 3, 2)))
    whole = [line.replace(b"\n", b"") for line in lines]
    try:
        found = list(parser.parse([b"time,status,count", *whole] if kind == "csv" else whole))
    except BadData:
        return
    assert parser.lines == len(whole) + (kind == "csv")
    rejects = {r.line for r in found if isinstance(r, Reject)}
    assert len(rejects) == sum(isinstance(r, Reject) for r in found)


cell = st.text(st.characters(exclude_characters="\r\n\x00", exclude_categories=["Cs"]), min_size=1, max_size=12)


@given(st.lists(st.tuples(st.integers(631_152_000, 4_000_000_000), cell, st.integers(0, 10**15)), max_size=30))
def test_what_csv_writes_is_read_back(rows: list[tuple[int, str, int]]) -> None:
    import csv
    import io

    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["time", "status", "count"])
    writer.writerows((f"{time}.0", status, count) for time, status, count in rows)
    expected = []
    for time, status, count in rows:
        name = status.strip().lower()
        if name and name != "*":
            expected.append(Record(time, name, count))
    assert [r for r in parse(out.getvalue()) if isinstance(r, Record)] == expected

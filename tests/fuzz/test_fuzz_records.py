"""Whatever bytes come: records, rejects or one clear refusal; and lines that are JSON at the end."""

import gzip
import json
import os
from collections.abc import Iterator
from datetime import UTC, date
from zoneinfo import ZoneInfo

import pytest
import zstandard
from fuzz_tools import ODD_TEXT, moderate, mutated
from hypothesis import given
from hypothesis import strategies as st

from txmon.errors import BadData, IoFailure
from txmon.ingest.fields import MAX_COUNT
from txmon.ingest.follow import PipeSource
from txmon.ingest.records import ParseOptions, Record, RecordParser, Reject
from txmon.ingest.rejects import RejectLog
from txmon.ingest.timestamps import LATEST, TimeParser
from txmon.model.outcome import Outcome
from txmon.runtime.factory import pipeline_of
from txmon.settings.declarations import Settings
from txmon.sinks.lines import event_line, rise_line, verdict_line
from txmon.support.terminal_text import printable

TABLE = b"time,status,count,merchant\n" + b"".join(
    b"2026-03-02T10:%02d:00Z,%s,%d,m1\n" % (m, s, 5 + m % 3) for m in range(6) for s in (b"approved", b"denied")
)
VALUES = st.one_of(
    ODD_TEXT,
    st.integers(),
    st.floats(),
    st.booleans(),
    st.none(),
    st.lists(st.integers(), max_size=2),
    st.just({"a": 1}),
)
NAMES = st.sampled_from(["time", "status", "count", "amount", "id", "merchant", "TIME", "f1"])
ROWS = st.dictionaries(NAMES, VALUES, max_size=7)


def parser(by: tuple[str, ...] = ("merchant",), kind: str = "auto", zone: str = "UTC") -> RecordParser:
    tz = UTC if zone == "UTC" else ZoneInfo(zone)
    return RecordParser("f", ParseOptions(kind, by=by, max_line=4096), TimeParser(tz, date(2026, 3, 2)))


def check(found: list[Record | Reject], log: RejectLog) -> Iterator[Record]:
    """What holds of every record and every reject."""
    for item in found:
        if isinstance(item, Reject):
            log.add(item)
            assert item.kind
            assert "\n" not in printable(item.reason, None)
        else:
            assert 0 <= item.time <= LATEST
            assert 0 <= item.count <= MAX_COUNT
            assert item.status == item.status.strip().lower() != ""
            assert len(item.status) <= 512  # lower case can be longer than what was measured
            yield item


def lines_of(outcomes: list[Outcome]) -> None:
    """Every line is UTF-8 and strict JSON."""
    for outcome in outcomes:
        for line in (
            *map(verdict_line, outcome.verdicts), *map(event_line, outcome.events), *map(rise_line, outcome.rises),
        ):  # fmt: skip
            assert "\n" not in line
            json.loads(line.encode(), parse_constant=pytest.fail)


@moderate(300)
@given(st.one_of(st.binary(max_size=300), mutated(TABLE)), st.sampled_from(["auto", "csv", "jsonl"]))
def test_any_bytes(raw: bytes, kind: str) -> None:
    log, reader = RejectLog(), parser((), kind)
    try:
        found = list(reader.parse(raw.split(b"\n")))
    except BadData as bad:
        assert len(str(bad)) < 2000
        return
    records = list(check(found, log))
    assert len(records) + log.count <= raw.count(b"\n") + 1
    json.dumps(reader.snapshot())
    parser((), kind).restore(json.loads(json.dumps(reader.snapshot())))


@moderate(300)
@given(st.lists(ROWS, min_size=1, max_size=12), st.sampled_from(["UTC", "Europe/Berlin", "America/Sao_Paulo"]))
def test_any_json_rows_through_the_whole_line(rows: list[dict[str, object]], zone: str) -> None:
    log, reader = RejectLog(os.devnull), parser(zone=zone)
    lines = [json.dumps(row).encode() for row in rows]
    good = [b'{"time": "2026-03-02T10:%02d:00Z", "status": "denied", "count": 5}' % m for m in range(40)]
    records = list(check(list(reader.parse([b"{}", *good, *lines, *lines])), log))
    pipeline = pipeline_of(Settings(group_by=("merchant",)), live=True, partial=True)
    outcomes: list[Outcome] = []
    for record in records:
        # days of silence are judged minute by minute; a fuzzer should not wait for them
        if abs(record.time - 1772445600) < 20_000:
            outcomes += [*pipeline.feed([record]), *pipeline.peek()]
    outcomes += pipeline.finish()
    lines_of(outcomes)
    log.close()
    again = pipeline_of(Settings(group_by=("merchant",)), live=True)
    again.restore(json.loads(json.dumps(pipeline.snapshot())))
    assert again.snapshot() == pipeline.snapshot()


@moderate(200)
@given(st.lists(st.tuples(ODD_TEXT, ODD_TEXT, ODD_TEXT), min_size=1, max_size=8))
def test_any_cells(rows: list[tuple[str, str, str]]) -> None:
    text = "\n".join([b"time,status,count".decode(), *(",".join(row) for row in rows)])
    raw = text.encode("utf-8", "surrogatepass")
    log = RejectLog(os.devnull)
    for record in check(list(parser(()).parse(raw.split(b"\n"))), log):
        record.status.encode()
    log.close()


@moderate(500)
@given(
    ODD_TEXT, st.sampled_from(["UTC", "Europe/Berlin", "Pacific/Apia"]), st.one_of(st.none(), st.integers(0, LATEST))
)
def test_any_time(text: str, zone: str, now: int | None) -> None:
    times = TimeParser(ZoneInfo(zone), date(2026, 3, 2), now)
    for _ in range(2):
        try:
            assert 0 <= times.parse(text) <= LATEST
        except (ValueError, OverflowError) as bad:
            assert len(str(bad)) < 400


@moderate(150)
@given(
    st.sampled_from([gzip.compress(TABLE, mtime=0), zstandard.ZstdCompressor().compress(TABLE)]).flatmap(mutated),
    st.lists(st.integers(1, 60), max_size=6),
)
def test_any_packed_bytes_on_a_pipe(raw: bytes, cuts: list[int]) -> None:
    reader, writer = os.pipe()
    source = PipeSource(reader)
    try:
        for cut in cuts:
            piece, raw = raw[:cut], raw[cut:]
            if piece:  # a read of an empty pipe would wait
                os.write(writer, piece)
                source.read()
                while source.holds():
                    source.read()
        os.write(writer, raw)
        os.close(writer)
        while not source.ended:
            source.read()
    except IoFailure as bad:
        assert "\n" not in printable(str(bad), None)
    finally:
        os.close(reader)

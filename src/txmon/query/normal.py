"""Converts files that duckdb would read differently from replay into plain CSV.

One module, `ingest.reading`, decides how a source is read. If duckdb would read the file in the same way, it reads the
file itself. All other files go through txmon's reader, so that a query counts what replay counts.
"""

import csv
import json
from datetime import UTC, date, datetime
from typing import IO, Final
from zoneinfo import ZoneInfo

from txmon.errors import BadData
from txmon.ingest.asked import AskedSource
from txmon.ingest.formats.opened import OpenedSource
from txmon.ingest.reading import Hints, Reading
from txmon.ingest.records import Record, Reject, with_paths
from txmon.ingest.timestamps import TimeParser
from txmon.query.files import QueryFile, field_column

FIELDS: Final = ("time", "status", "count", "amount", "id")
PLAIN: Final = ("ISO 8601", "time of day")  # kinds of times that both read alike


def is_equal(reading: Reading, file: QueryFile, hints: Hints) -> bool:
    """Return whether duckdb would read the file as `reading` describes."""
    mapping = hints.options.mapping
    if hints.order or hints.time_format or hints.encoding or hints.format not in ("auto", "csv", "jsonl"):
        return False
    own = reading.container
    simple = (
        own.kind in ("CSV", "JSON lines", "Parquet")
        and own.encoding.startswith("UTF-8")
        and own.compression in ("", "gzip", "zstd")
    )
    simple = simple and reading.plain_counts and not (reading.prefix or reading.sums or reading.time_form or own.detail)
    if not simple or reading.wide or reading.skip or reading.time_kind not in PLAIN:
        return False
    if own.kind == "CSV" and reading.delimiter != file.delimiter:
        return False
    found = {name: field_column(name, file.columns, mapping) for name in FIELDS if mapping.get(name) != ""}
    theirs = {name: file.columns[at] for name, at in found.items() if at is not None}
    return theirs == dict(reading.columns)


def write_plain(
    source: OpenedSource | AskedSource, hints: Hints, day: date, out: IO[str]
) -> tuple[tuple[str, ...], int, str]:
    """Write the records of `source` as CSV. Return the columns, the number of bad records, and the reason of the first.

    hints: the settings that the source was opened with. day: the date of times without one.
    """
    reading = source.reading
    others = [name for name in reading.unused if name.lower() not in FIELDS and name]
    columns = (*FIELDS, *others)
    writer = csv.writer(out)
    writer.writerow(columns)
    parser = source.parser(TimeParser(ZoneInfo(hints.tz), day, None, hints.order, hints.time_format))
    is_csv = reading.container.format == "csv"
    header: list[str] | None = None
    bad, reason, lines = 0, "", reading.skip
    with source:
        for chunk in source:
            for raw in chunk:
                if is_csv and header is None:
                    lines -= 1
                    if lines < 0 and raw.strip():
                        header = _header(raw, reading)
                found = parser.one(raw)
                if isinstance(found, Reject):
                    bad += 1
                    reason = reason or found.reason
                    continue
                if found is None:
                    continue
                rest = _csv_rest(raw, reading, header or [], others) if is_csv else _json_rest(raw, others)
                for record in (found, *parser.rest()):
                    writer.writerow([*_values(record), *rest])
    return columns, bad, reason


def _values(record: Record) -> list[object]:
    moment = datetime.fromtimestamp(record.time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return [moment, record.status, record.count, "" if record.amount is None else record.amount, record.id or ""]


def _header(raw: bytes, reading: Reading) -> list[str]:
    try:
        return [cell.strip() for cell in _cells(raw, reading.delimiter)]
    except csv.Error:
        text = "the first line is not a CSV header. Lines must end with a newline"
        raise BadData(f"{reading.source}: {text}") from None


def _cells(raw: bytes, delimiter: str) -> list[str]:
    text = raw.decode("utf-8-sig", "replace").rstrip("\r\n")
    return next(csv.reader([text], delimiter=delimiter or ","), [])


def _csv_rest(raw: bytes, reading: Reading, header: list[str], others: list[str]) -> list[object]:
    if not others:
        return []
    row = dict(zip(header, _cells(raw, reading.delimiter), strict=False))
    return [row.get(name, "") for name in others]


def _json_rest(raw: bytes, others: list[str]) -> list[object]:
    if not others:
        return []
    row = with_paths(json.loads(raw), others)
    values = [row.get(name) for name in others]
    return [json.dumps(value) if isinstance(value, dict | list) else "" if value is None else value for value in values]

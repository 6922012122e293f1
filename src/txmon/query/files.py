"""Detects the compression, format and columns of a file to query, and the table that its rows belong to."""

import csv
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from txmon.errors import BadData, NoInput
from txmon.ingest.compression import GZIP, ZSTD
from txmon.ingest.fields import NAMES
from txmon.ingest.files import FileSource
from txmon.ingest.records import BOM, DELIMITERS

Format = Literal["csv", "jsonl", "parquet"]
Table = Literal["transactions", "verdicts", "checkouts", "other"]
PARQUET: Final = b"PAR1"
LOGS: Final = (".jsonl", ".parquet")  # the files of a folder that are read
LOOKED_AT: Final = 1000  # lines of JSON that are searched for columns
COUNTS: Final = ("today", "yesterday", "same_day_last_week")  # a checkout file has at least one of these columns


@dataclass(frozen=True, slots=True)
class QueryFile:
    """A file, and what its beginning shows."""

    path: str
    format: Format
    packing: str  # none, gzip or zstd
    delimiter: str  # of CSV; empty otherwise
    columns: tuple[str, ...]  # as named in the file; empty for Parquet, which names its own
    table: Table
    plain: bool = False  # whether it was converted, so that its columns have the names of the fields
    first: str = ""  # the first line of JSON lines that begin with a byte order mark


def expand(paths: Sequence[str]) -> list[str]:
    """Return `paths` with every folder replaced by the logs in it, sorted by name. Raise NoInput if one has none."""
    found: list[str] = []
    for path in paths:
        if not os.path.isdir(path):
            found.append(path)
            continue
        inside = sorted(str(entry) for entry in Path(path).iterdir() if entry.suffix in LOGS)
        if not inside:
            raise NoInput(f"{path}: a folder without any {' or '.join(LOGS)} file")
        found += inside
    return found


def look(path: str, mapping: Mapping[str, str]) -> QueryFile:
    """Return what `path` is. Raise NoInput if it cannot be opened, BadData if it is not a table.

    mapping: field -> column, as `--map` gives it.
    """
    with FileSource(path) as source:
        magic = _magic(path)
        if magic.startswith(PARQUET):
            return QueryFile(path, "parquet", "none", "", (), "other")
        packing = "gzip" if magic.startswith(GZIP) else "zstd" if magic.startswith(ZSTD) else "none"
        lines = _first_lines(source)
    marked = bool(lines) and lines[0].startswith(BOM)
    if marked:
        lines[0] = lines[0].removeprefix(BOM)
    if not lines:
        raise BadData(f"{path}: is empty")
    if b"\0" in lines[0]:
        raise BadData(f"{path}: is binary, neither CSV, JSON lines nor Parquet")
    if lines[0].lstrip().startswith(b"{"):
        columns = _json_columns(lines)
        first = lines[0].decode("utf-8", "replace") if marked else ""
        return QueryFile(path, "jsonl", packing, "", columns, table_of(columns, mapping), first=first)
    head = lines[0].decode("utf-8", "replace")
    delimiter = max(DELIMITERS, key=head.count)
    try:
        columns = tuple(cell.strip() for cell in next(csv.reader([head], delimiter=delimiter)))
    except csv.Error:
        raise BadData(f"{path}: the first line is not a CSV header. Lines must end with a newline") from None
    return QueryFile(path, "csv", packing, delimiter, columns, table_of(columns, mapping))


def table_of(columns: Sequence[str], mapping: Mapping[str, str]) -> Table:
    """Return the table that rows with these columns belong to."""
    names = {column.lower() for column in columns}
    if "recommendation" in names or {"state", "label", "observed"} <= names:
        return "verdicts"
    if all(field_column(field, columns, mapping) is not None for field in ("time", "status")):
        return "transactions"
    has_time = field_column("time", columns, mapping) is not None or "hour" in names
    return "checkouts" if has_time and names & set(COUNTS) else "other"


def field_column(field: str, columns: Sequence[str], mapping: Mapping[str, str]) -> int | None:
    """Return the place of `field` among `columns`, by `mapping` or by the accepted names, or None.

    Raise BadData if the mapping names a missing column.
    """
    lower = [column.lower() for column in columns]
    mapped = mapping.get(field)
    if mapped is not None:
        if mapped.lower() not in lower:
            raise BadData(f"no column {mapped!r} for {field!r}; columns found: {', '.join(columns)}")
        return lower.index(mapped.lower())
    return next((lower.index(name) for name in NAMES[field] if name in lower), None)


def _magic(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(4)
    except OSError as bad:
        raise NoInput(f"{path}: {bad.strerror}") from None


def _first_lines(source: FileSource) -> list[bytes]:
    """Return the first lines that are not blank. For CSV only the first is needed."""
    found: list[bytes] = []
    for lines in source:
        found += [line for line in lines if line.strip()]
        if len(found) >= LOOKED_AT or (found and not found[0].lstrip(BOM).lstrip().startswith(b"{")):
            break
    return found[:LOOKED_AT]


def _json_columns(lines: Sequence[bytes]) -> tuple[str, ...]:
    """Return all names in these lines, in order of first appearance. Lines that are not JSON objects have none."""
    found: dict[str, None] = {}
    for line in lines:
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(row, dict):
            found.update(dict.fromkeys(map(str, row)))
    return tuple(found)

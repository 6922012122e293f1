"""Reads hourly checkout counts: a file with one row per hour, and one column per day or average of days.

It accepts every file that can be read in exactly one way (separators, decimal commas, a BOM, Latin-1). Any other file
raises BadData with the line and the reason.
"""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Final

from txmon.errors import BadData
from txmon.ingest.files import FileSource
from txmon.support.terminal_text import printable

HOUR_NAMES: Final = ("time", "hour", "hora", "h")
SEPARATORS: Final = ",;\t|"
MOST_ROWS: Final = 24
_HOUR: Final = re.compile(r"(\d{1,2})(?:\s*h(?:\s*00)?|:00(?::00)?)?", re.ASCII | re.IGNORECASE)
_NUMBER: Final = re.compile(r"\d+(?:\.\d+)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Checkouts:
    """A day by the hour: `columns[name][i]` is the count, or the mean of counts, in hour `hours[i]`."""

    source: str
    hours: tuple[int, ...]  # ascending, each once, 0 to 23
    columns: Mapping[str, tuple[float, ...]]  # by name, in the file's order; values are 0 or more


def read_checkouts(path: str) -> Checkouts:
    """Return the checkouts of `path` (`-` is standard input; gzip and zstd are unpacked).

    Raise NoInput if it cannot be opened, BadData if it is not a table of hours and counts.
    """
    with FileSource(path) as source:
        lines = [line for chunk in source for line in chunk[: MOST_ROWS * 40]]
        return parse_checkouts(source.name, b"\n".join(lines[: MOST_ROWS * 40]))


def parse_checkouts(source: str, data: bytes) -> Checkouts:
    """Return the checkouts of a whole file's bytes. source: the file's name for error messages."""
    text = _decoded(source, data)
    lines = [(n, line) for n, line in enumerate(text.splitlines(), 1) if line.strip()]
    if not lines:
        raise BadData(f"{source}: is empty")
    separator = max(SEPARATORS, key=lines[0][1].count)
    names = [printable(cell.strip().lower(), None) for cell in _cells(lines[0][1], separator)]
    where = _check_names(source, names)
    rows: dict[int, list[float]] = {}
    for number, line in lines[1:]:
        cells = _cells(line, separator)
        if len(cells) != len(names):
            hint = "; decimal commas need another separator, or quotes" if separator == "," else ""
            raise BadData(
                f"{source}:{number}: the line has {len(cells)} columns, but the header has {len(names)}{hint}"
            )
        hour = _hour(source, number, cells[where])
        if hour in rows:
            raise BadData(f"{source}:{number}: hour {hour:02d}h is there twice")
        rows[hour] = [
            _number(source, number, name, cell) for name, cell in zip(names, cells, strict=True) if name != names[where]
        ]
    if not rows:
        raise BadData(f"{source}: a header and no hour")
    hours = tuple(sorted(rows))
    others = [name for n, name in enumerate(names) if n != where]
    return Checkouts(source, hours, {name: tuple(rows[hour][n] for hour in hours) for n, name in enumerate(others)})


def _decoded(source: str, data: bytes) -> str:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", "replace")
    if b"\0" in data:
        raise BadData(f"{source}: is binary, not a table of hours and counts")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")  # only names can contain letters, and Latin-1 decodes every byte


def _cells(line: str, separator: str) -> list[str]:
    return next(csv.reader(io.StringIO(line), delimiter=separator), [])


def _check_names(source: str, names: Sequence[str]) -> int:
    """Return the place of the column with the hour."""
    shown = ", ".join(names)[:200]
    where = next((names.index(name) for name in HOUR_NAMES if name in names), None)
    if where is None:
        raise BadData(f"{source}: no column for the hour (accepted: {', '.join(HOUR_NAMES)}); columns found: {shown}")
    if len(names) < 3:
        raise BadData(
            f"{source}: an hour, a day to judge and at least one to compare are needed; columns found: {shown}"
        )
    for n, name in enumerate(names):
        if not name:
            raise BadData(f"{source}: column {n + 1} has no name")
        if name in names[:n]:
            raise BadData(f"{source}: two columns are called {name!r}")
    return where


def _hour(source: str, number: int, cell: str) -> int:
    match = _HOUR.fullmatch(cell.strip())
    if match is None or int(match[1]) > 23:
        raise BadData(f"{source}:{number}: {cell.strip()[:40]!r} is not an hour from 00h to 23h")
    return int(match[1])


def _number(source: str, number: int, name: str, cell: str) -> float:
    """Return a count or a mean, for example 12, 12.5 or 12,5."""
    text = cell.strip()
    plain = text.replace(",", ".") if text.count(",") == 1 and "." not in text else text
    if not _NUMBER.fullmatch(plain) or not isfinite(float(plain)) or float(plain) > 1e12:
        what = "is empty" if not text else f"{text[:40]!r} is not a count"
        raise BadData(f"{source}:{number}: {name} {what}")
    return float(plain)

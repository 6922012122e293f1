"""Writes rows as CSV and as JSON lines, one by one."""

import csv
import json
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from math import isfinite
from typing import Final, TextIO

FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def no_formula(text: str) -> str:
    """Return `text` as a CSV cell that a spreadsheet does not compute: formulas get a leading apostrophe."""
    return f"'{text}" if text.startswith(FORMULA) else text


def cell_text(value: object) -> str:
    """Return a value as text for people: times as `2026-03-02 14:33:00`, lists with commas, an empty text for NULL."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.isoformat(" ", "seconds")
    if isinstance(value, float):
        return f"{value:.10g}"
    if isinstance(value, list | tuple):
        return ", ".join(map(cell_text, value))
    return str(value)


class _Lines:
    """Receives lines that end in CRLF, because the csv module quotes cells with a carriage return only then."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, line: str) -> int:
        """Write `line` with a newline at its end."""
        return self._stream.write(line.removesuffix("\r\n") + "\n")


def write_csv(stream: TextIO, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a header and the rows. A text that a spreadsheet would compute gets a leading apostrophe."""
    writer = csv.writer(_Lines(stream), lineterminator="\r\n")
    writer.writerow([no_formula(column) for column in columns])
    for row in rows:
        # numbers may begin with a minus, and are not texts
        writer.writerow(
            [cell_text(v) if isinstance(v, int | float | Decimal) else no_formula(cell_text(v)) for v in row]
        )


def write_json_lines(stream: TextIO, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write one JSON object per row: times as ISO 8601, null for NULL and for numbers that JSON lacks."""
    for row in rows:
        stream.write(json.dumps({c: _plain(v) for c, v in zip(columns, row, strict=True)}, ensure_ascii=False) + "\n")


def _plain(value: object) -> object:
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float | Decimal):
        return float(value) if isfinite(value) else None
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds") + ("Z" if value.tzinfo is None else "")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    return str(value)

"""Rows as CSV and as JSON lines, written as they come."""

import csv
import json
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from math import isfinite
from typing import Final, TextIO

FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def no_formula(text: str) -> str:
    """`text` as a CSV cell that no spreadsheet computes: an apostrophe goes before what looks like a formula."""
    return f"'{text}" if text.startswith(FORMULA) else text


def cell_text(value: object) -> str:
    """Return a value as people read it: times as `2026-03-02 14:33:00`, lists with commas, nothing for NULL."""
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
    """Gets lines that end in CRLF, for then alone the csv module quotes a cell that holds a carriage return."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, line: str) -> int:
        """Write `line` with a newline at its end."""
        return self._stream.write(line.removesuffix("\r\n") + "\n")


def write_csv(stream: TextIO, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A header and the rows. A text that a spreadsheet would compute is kept from it by an apostrophe."""
    writer = csv.writer(_Lines(stream), lineterminator="\r\n")
    writer.writerow([no_formula(column) for column in columns])
    for row in rows:
        # numbers may begin with a minus: they are not text
        writer.writerow(
            [cell_text(v) if isinstance(v, int | float | Decimal) else no_formula(cell_text(v)) for v in row]
        )


def write_json_lines(stream: TextIO, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write one JSON object per row: times as ISO 8601, NULL and what JSON has no number for as null."""
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

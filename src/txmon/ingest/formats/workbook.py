"""Reads the first sheet with a table of an Excel workbook (.xlsx), as CSV lines."""

import csv
import io
import zipfile
from collections.abc import Callable, Iterator
from datetime import date, datetime, time
from itertools import islice
from typing import IO, Any, Final

from txmon.errors import BadData

LOOKED_AT: Final = 40  # rows of a sheet among which a header is searched
TOGETHER: Final = 4096  # rows per list
MOST_UNPACKED: Final = 4 << 30  # bytes of a workbook's parts


def sheet_lines(
    source: str, file: IO[bytes], known: Callable[[list[bytes]], int]
) -> tuple[str, Iterator[list[bytes]], tuple[str, ...]]:
    """Return the sheet's name, its rows as CSV lines, and notes. Raise BadData if the workbook has no table.

    known: returns how many fields a header among lines names; the first sheet with the most is read.
    """
    try:
        from openpyxl import load_workbook
    except ImportError:
        raise BadData(f"{source}: is an Excel workbook; pip install openpyxl, or save it as CSV") from None
    try:
        with zipfile.ZipFile(file) as archive:
            if sum(part.file_size for part in archive.infolist()) > MOST_UNPACKED:
                raise BadData(f"{source}: is an Excel workbook that unpacks to more than 4 GiB. Save it as CSV")
        file.seek(0)
        book = load_workbook(file, read_only=True, data_only=True)
    except (zipfile.BadZipFile, KeyError, ValueError, OSError, EOFError) as bad:
        raise BadData(f"{source}: is a damaged Excel workbook ({str(bad)[:80]}). Save it as CSV") from None
    sheets = [sheet for sheet in book.worksheets if (sheet.max_column or 2) >= 2 and (sheet.max_row or 2) >= 2]
    if not sheets:
        raise BadData(f"{source}: is an Excel workbook without a table in any sheet")
    first = sheets[0]
    if len(sheets) > 1:
        first = max(sheets, key=lambda sheet: known([_row(cells) for cells in islice(_cells(sheet), LOOKED_AT)]))
    others = [sheet.title for sheet in sheets if sheet is not first]
    notes = (f"its other sheets are not read: {', '.join(others[:5])}",) if others else ()
    return f"sheet {first.title}", _rows(first), notes


def _cells(sheet: Any) -> Iterator[Any]:
    rows: Iterator[Any] = sheet.iter_rows(values_only=True)
    return rows


def _rows(sheet: Any) -> Iterator[list[bytes]]:
    found: list[bytes] = []
    for row in _cells(sheet):
        found.append(_row(row))
        if len(found) == TOGETHER:
            yield found
            found = []
    yield found


def _row(row: Any) -> bytes:
    cells = [_text(cell) for cell in row]
    while cells and not cells[-1]:
        cells.pop()
    out = io.StringIO()
    csv.writer(out, lineterminator="").writerow(cells)
    return out.getvalue().encode("utf-8", "replace")


def _text(cell: object) -> str:
    if cell is None:
        return ""
    if isinstance(cell, datetime):
        # Excel stores times as binary fractions of a day, so a second may be off by some microseconds
        near = cell.replace(microsecond=0)
        if cell.microsecond >= 999_000:
            from datetime import timedelta

            near += timedelta(seconds=1)
        return near.isoformat(" ") if cell.microsecond < 1000 or cell.microsecond >= 999_000 else cell.isoformat(" ")
    if isinstance(cell, date):
        return cell.isoformat()
    if isinstance(cell, time):
        return cell.isoformat("seconds")
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell)

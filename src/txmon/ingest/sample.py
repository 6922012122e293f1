"""Turns the first rows of a source into a table: it finds the header and gives the texts of each column."""

import csv
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from txmon.ingest.column_names import status_named
from txmon.ingest.fields import choose
from txmon.ingest.reading import Hints
from txmon.ingest.records import BOM, DELIMITERS

SAMPLE: Final = 500  # rows used to decide
PREAMBLE: Final = 40  # lines among which the header is searched
MORE_DELIMITERS: Final = DELIMITERS + "^~\x01\x1f"
DEEPEST: Final = 4  # levels of nested JSON objects that are examined


@dataclass(slots=True)
class Table:
    """A sample: the names of the columns, and the texts of each."""

    names: list[str]
    values: dict[str, list[str]]  # by name; "" for a missing value
    rows: int
    delimiter: str = ""
    skip: int = 0
    nested: list[str] = field(default_factory=list)  # those of `names` that are paths into objects
    repeated: list[str] = field(default_factory=list)  # those of `names` that several columns have


def first_text(lines: Sequence[bytes]) -> str:
    """Return the first line that is not blank."""
    return next((line.removeprefix(BOM).decode("utf-8", "replace") for line in lines if line.strip()), "")


def json_table(lines: Sequence[bytes]) -> Table:
    """Return a sample of JSON lines as a table. Fields of nested objects are named by their paths."""
    rows: list[dict[str, object]] = []
    for line in lines[:SAMPLE]:
        try:
            row = json.loads(line.removeprefix(BOM))
        except (ValueError, RecursionError):
            continue
        if isinstance(row, dict):
            rows.append(row)
    flat = list(dict.fromkeys(name for row in rows for name in row))
    deep = [_flat(row, "", DEEPEST) for row in rows]
    nested = [name for name in dict.fromkeys(name for row in deep for name in row) if name not in flat]
    names = [name for name in flat if any(not isinstance(row.get(name), dict | list) for row in rows)] + nested
    values = {name: [_json_text(row.get(name, "")) for row in deep] for name in names}
    return Table(names, values, len(rows), nested=nested)


def _flat(row: Mapping[str, object], prefix: str, depth: int) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, value in row.items():
        if isinstance(value, dict):
            if depth > 1:
                found.update(_flat(value, f"{prefix}{name}.", depth - 1))
        elif not isinstance(value, list):
            found[prefix + name] = value
        elif len(value) == 1 and isinstance(value[0], dict) and depth > 1:
            found.update(_flat(value[0], f"{prefix}{name}.0.", depth - 1))
    return found


def _json_text(value: object) -> str:
    return value if isinstance(value, str) else "" if value is None else str(value)


def cells_of(text: str, delimiter: str) -> list[str]:
    """Return the cells of a line of CSV. Unmatched quotes stay as they are."""
    if '"' not in text:
        return text.rstrip("\r\n").split(delimiter)
    try:
        return next(csv.reader([text], delimiter=delimiter), [])
    except csv.Error:
        return text.split(delimiter)


def csv_table(lines: Sequence[bytes], hints: Hints) -> Table:
    """Return a sample of CSV lines as a table, after finding its delimiter and header."""
    texts = [line.decode("utf-8", "replace").rstrip("\r\n") for line in lines[: SAMPLE + PREAMBLE]]
    if texts:
        texts[0] = texts[0].removeprefix("\ufeff")
    delimiter, skip = _header(texts, hints)
    header = [cell.strip() for cell in cells_of(texts[skip], delimiter)] if skip < len(texts) else []
    rows = [cells_of(text, delimiter) for text in texts[skip + 1 :] if text.strip()]
    width = len(header)
    fitting = [row for row in rows if len(row) >= width][:SAMPLE]
    names = list(dict.fromkeys(name for name in header if name))
    at = {name: header.index(name) for name in names}
    values = {name: [row[at[name]].strip() for row in fitting] for name in names}
    repeated = [name for name in names if header.count(name) > 1]
    return Table(names, values, len(fitting), delimiter, skip, repeated=repeated)


def names_known(lines: Sequence[bytes], hints: Hints) -> int:
    """Return how many fields the header among `lines` of CSV names, or 0 if there is no header."""
    texts = [line.decode("utf-8", "replace").rstrip("\r\n") for line in lines]
    mapped = {column.lower() for column in hints.options.mapping.values() if column}
    return max((_known([cell.strip() for cell in cells_of(text, ",")], mapped, hints) for text in texts), default=0)


def _header(texts: Sequence[str], hints: Hints) -> tuple[str, int]:
    """Return the delimiter, and the number of lines before the header."""
    given = hints.options.delimiter
    at = next((i for i, text in enumerate(texts) if text.strip()), 0)
    if texts and (match := re.fullmatch(r'"?sep=(.)"?', texts[at].strip() or " ", re.IGNORECASE)):
        given = given or match[1]
    candidates = [given] if given else list(MORE_DELIMITERS)
    mapped = {column.lower() for column in hints.options.mapping.values() if column}
    most = 2 + len(mapped)
    best = (0, 0, 0, -1, "", 0)
    for rank, delimiter in enumerate(candidates):
        for i, text in enumerate(texts[:PREAMBLE]):
            if delimiter not in text:
                continue
            cells = [cell.strip() for cell in cells_of(text, delimiter)]
            known = _known(cells, mapped, hints)
            if known:
                # among two that name as many fields, prefer the one that more rows agree with
                agreeing = sum(len(cells_of(row, delimiter)) == len(cells) for row in texts[i + 1 : i + 21])
                best = max(best, (known, agreeing, -i, -rank, delimiter, i))
                if known == most and agreeing == len(texts[i + 1 : i + 21]):
                    break  # no later line can be better with this delimiter
    if best[0]:
        return best[4], best[5]
    return _widest(texts, candidates)


def _known(cells: Sequence[str], mapped: Iterable[str], hints: Hints) -> int:
    """Return how many fields these cells name, as far as a header needs them, or 0 if they are not a header."""
    if sum(cell.replace(".", "", 1).isdecimal() for cell in cells) * 2 > len(cells):
        return 0
    found = choose(cells, {})
    names = {cell.lower() for cell in cells}
    wanted = sum(name in names for name in mapped)
    timed, named = "time" in found, "status" in found
    if timed and not named:
        named = sum(status_named(cell) is not None for cell in cells) >= 2
    known = timed + named + wanted
    return known if known >= 2 or (known and len(cells) > 2) else 0


def _widest(texts: Sequence[str], candidates: Sequence[str]) -> tuple[str, int]:
    """Return the delimiter that splits most lines alike, and the first such line, for a header with unknown names."""
    best = (0, 0, 0, candidates[0], 0)
    for rank, delimiter in enumerate(candidates):
        widths = [len(cells_of(text, delimiter)) if delimiter in text else 1 for text in texts[:200]]
        alike = Counter(width for width in widths if width > 1)
        for width, count in alike.most_common(1):
            best = max(best, (count, width, -rank, delimiter, widths.index(width)))
    if best[0]:
        return best[3], best[4]
    return candidates[0], next((i for i, text in enumerate(texts) if text.strip()), 0)

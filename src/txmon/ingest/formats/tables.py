"""Turns JSON tables, with names of columns in one place and lists of values in another, into rows.

ClickHouse, Elastic SQL, OpenSearch, Kusto, BigQuery, Trino and pandas write them, each with its own names.
"""

from collections.abc import Iterator
from typing import Any, Final

from txmon.ingest.fields import choose

DEEPEST: Final = 6  # levels of nested objects that are searched
_NAMED: Final = ("name", "field", "columnName", "ColumnName", "Name", "label", "text", "title", "id")
Objects = Iterator[dict[str, Any]]


def tabular(document: Any) -> Objects:
    """Yield the rows of the largest table within `document`, if there is one."""
    found = max(_tables(document, DEEPEST, None), key=lambda table: len(table[1]), default=None)
    if found is not None:
        names, rows = found
        for row in rows:
            yield dict(zip(names, row, strict=False))


def _tables(value: Any, depth: int, above: list[str] | None) -> Iterator[tuple[list[str], list[list[Any]]]]:
    """Yield every list of lists that has names for its values. above: names from an object around it."""
    if depth == 0:
        return
    if isinstance(value, list):
        for inner in value[:50]:
            yield from _tables(inner, depth - 1, above)
    if not isinstance(value, dict):
        return
    own = _names(value, 2) or above
    for inner in value.values():
        rows = _cells(inner)
        if rows is None:
            yield from _tables(inner, depth - 1, own)
        elif own is not None and len(rows[0]) == len(own):
            yield own, rows


def _names(value: dict[str, Any], depth: int) -> list[str] | None:
    """Return the names of columns in an object, or in one inside it."""
    for inner in value.values():
        if isinstance(inner, list) and inner:
            if all(isinstance(one, str) for one in inner):
                return inner
            for key in _NAMED:
                if all(isinstance(one, dict) and isinstance(one.get(key), str) for one in inner):
                    return [one[key] for one in inner]
    if depth > 1:
        for inner in value.values():
            if isinstance(inner, dict) and (found := _names(inner, depth - 1)):
                return found
    return None


def _cells(value: Any) -> list[list[Any]] | None:
    """Return rows of plain values, or None if `value` is something else. BigQuery writes `{"f": [{"v": 1}]}`."""
    if not isinstance(value, list) or not value:
        return None
    if isinstance(value[0], dict) and set(value[0]) == {"f"}:
        value = [[cell.get("v") for cell in row["f"]] for row in value]
    if not all(isinstance(row, list) and row for row in value[:5]):
        return None
    return None if any(isinstance(cell, dict | list) for row in value[:5] for cell in row) else value


def by_column(document: Any) -> Objects:
    """Yield the rows of an object that contains an object or a list for each column, or for each row."""
    columns: dict[str, Any] = {name: value for name, value in document.items() if isinstance(value, dict | list)}
    if len(columns) != len(document) or len(columns) < 2:
        return
    if all(isinstance(value, dict) for value in columns.values()):
        first = next(iter(columns.values()))
        if not first or any(value.keys() != first.keys() or any(isinstance(v, dict | list) for v in value.values())
                            for value in columns.values()):  # fmt: skip
            return
        if "time" in choose(first, {}) and "time" not in choose(columns, {}):
            yield from columns.values()
            return
        for key in first:
            yield {name: value[key] for name, value in columns.items()}
    elif all(
        isinstance(value, list) and not any(isinstance(v, dict | list) for v in value) for value in columns.values()
    ):
        for cells in zip(*columns.values(), strict=True):
            yield dict(zip(columns, cells, strict=True))

"""Turns JSON arrays and documents, as APIs and monitoring systems save them, into one JSON object per row.

It reads Prometheus or Loki ranges, Elastic hits and aggregations, CloudWatch, Datadog, InfluxDB, pandas, and any
document that contains one list of objects.
"""

import json
from collections.abc import Iterator
from typing import Any, Final

from txmon.errors import BadData
from txmon.ingest.fields import choose, plain_name
from txmon.ingest.formats import answers, tables

DEEPEST: Final = 6  # levels of nested objects that are searched for rows
KINDS: Final = (*answers.KINDS, ("JSON table", tables.by_column), ("JSON table", tables.tabular))
# fields that show that an element of an array is a series or a table, not a row
_SERIES: Final = (("datapoints", "target"), ("dps", "metric"), ("columns", "rows"), ("columns", "values"))
_BEGINS: Final = frozenset(("begin_time_seconds", "start_time", "time_generated", "timestamps"))
Rows = tuple[str, Iterator[bytes], tuple[str, ...]]  # the kind of document, its rows, notes


def rows_of(source: str, data: bytes) -> Rows:
    """Return the kind of document in `data`, and its rows as JSON lines. Raise BadData if it contains no rows."""
    import msgspec

    if data.lstrip()[:1] == b"[":
        try:
            raws = msgspec.json.decode(data, type=list[msgspec.Raw])
        except (ValueError, RecursionError) as bad:
            raise BadData(f"{source}: is not valid JSON ({str(bad)[:120]})") from None
        if not raws:
            raise BadData(f"{source}: is an empty JSON array")
        if bytes(raws[0]).lstrip()[:1] == b"{":
            begin = bytes(raws[0])[:1000]
            if any(all(f'"{key}"'.encode() in begin for key in keys) for keys in _SERIES):
                return _document(source, msgspec.json.decode(data))
            return "JSON array", map(_one_line, raws), ()
        value: Any = msgspec.json.decode(data)
        if isinstance(value[0], list) and all(isinstance(name, str) for name in value[0]):
            return "JSON table", _objects(dict(zip(value[0], row, strict=False)) for row in value[1:]), ()
        raise BadData(f"{source}: is a JSON array of {type(value[0]).__name__} values, not of objects")
    try:
        document: Any = msgspec.json.decode(data)
    except (ValueError, RecursionError):
        return "JSON objects", _concatenated(source, data), ()
    return _document(source, document)


def _one_line(raw: Any) -> bytes:
    import msgspec

    text = bytes(raw)
    return msgspec.json.format(text, indent=-1) if b"\n" in text else text


def _objects(rows: Any) -> Iterator[bytes]:
    import msgspec

    return map(msgspec.json.encode, rows)


def _concatenated(source: str, data: bytes) -> Iterator[bytes]:
    """Yield the objects of a text with several objects in sequence, as jq prints them."""
    decoder = json.JSONDecoder()
    try:
        text = data.decode()
    except UnicodeDecodeError as bad:
        raise BadData(f"{source}: byte {bad.start + 1} is not UTF-8") from None
    at = 0
    while True:
        while at < len(text) and text[at] in " \t\r\n,\x1e":
            at += 1
        if at >= len(text):
            return
        try:
            value, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError) as bad:
            raise BadData(f"{source}: is not valid JSON ({str(bad)[:120]})") from None
        yield json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")


def _document(source: str, document: Any) -> Rows:
    for kind, reader in KINDS:
        try:
            rows = list(reader(document))
        except (KeyError, TypeError, ValueError, AttributeError, IndexError):
            continue
        if rows:
            rounded = any(row.pop("~rounded", False) for row in rows)
            notes = ("fractions of its values are rounded to whole counts",) if rounded else ()
            if any("~moment" in row for row in rows):
                rows.sort(key=lambda row: row.pop("~moment"))
            return kind, _objects(rows), notes
    found = _best(document)
    if found is None:
        raise BadData(
            f"{source}: is a JSON document without a list of rows. Make JSON lines of it, for example with jq"
        )
    path, rows = found
    return f"JSON document, rows in {path}", _objects(rows), ()


def is_series(element: dict[str, Any]) -> bool:
    """Return whether an element of an array is a series or a table rather than a row."""
    return any(all(key in element for key in keys) for keys in _SERIES)


def is_document(value: object) -> bool:
    """Return whether a JSON object is a document that contains rows, rather than a row."""
    if not isinstance(value, dict):
        return False
    # a row has its own time and status, and lists inside it are parts of the row
    own = choose([name for name, inner in value.items() if not isinstance(inner, dict | list)], {})
    if "time" in own and "status" in own:
        return False
    for _, reader in KINDS:
        try:
            for _row in reader(value):
                return True
        except (KeyError, TypeError, ValueError, AttributeError, IndexError):
            continue
    found = _best(value)
    return found is not None and "time" not in own and _timed(found[1][0])


def rows_of_lines(lines: list[bytes]) -> Iterator[bytes]:
    """Yield the rows of lines that are one document each. Other lines stay as they are."""
    for line in lines:
        try:
            value = json.loads(line)
            found = list(_document("", value)[1]) if is_document(value) else [line]
        except (ValueError, RecursionError, BadData):
            found = [line]
        yield from found


def _best(document: Any) -> tuple[str, list[Any]] | None:
    """Return the list of objects that is most likely the rows, and its path.

    Its objects have a time, or it is the longest list.
    """
    found = list(_lists(document, DEEPEST, ""))
    return max(found, key=lambda some: (_timed(some[1][0]), len(some[1])), default=None)


def _timed(row: dict[str, Any]) -> bool:
    names = {plain_name(name) for name in row} | {
        plain_name(name) for inner in row.values() if isinstance(inner, dict) for name in inner
    }
    return "time" in choose(names, {}) or bool(names & _BEGINS)


def _lists(value: Any, depth: int, path: str) -> Iterator[tuple[str, list[Any]]]:
    """Yield every list of objects within a document, with its path."""
    if isinstance(value, list):
        if value and all(isinstance(row, dict) for row in value):
            yield path or ".", value
    elif isinstance(value, dict) and depth:
        for name, inner in value.items():
            yield from _lists(inner, depth - 1, f"{path}.{name}".lstrip("."))

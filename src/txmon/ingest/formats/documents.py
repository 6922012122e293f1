"""JSON arrays and documents to one JSON object per row: what APIs and monitoring systems save.

A Prometheus or Loki range, Elastic hits and aggregations, CloudWatch, Datadog, InfluxDB, pandas, and any document that
holds one list of objects.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from txmon.errors import BadData

LARGEST: Final = 1 << 30  # bytes of a document: it is read as a whole
TOGETHER: Final = 4096  # rows given at a time
Rows = tuple[str, Iterator[bytes], tuple[str, ...]]  # what the document is, its rows, notes


def rows_of(source: str, data: bytes) -> Rows:
    """Return what kind of document `data` is, and its rows as JSON lines. BadData when it holds no rows."""
    import msgspec

    if data.lstrip()[:1] == b"[":
        try:
            raws = msgspec.json.decode(data, type=list[msgspec.Raw])
        except (ValueError, RecursionError) as bad:
            raise BadData(f"{source}: is not valid JSON ({str(bad)[:120]})") from None
        if not raws:
            raise BadData(f"{source}: is an empty JSON array")
        if bytes(raws[0]).lstrip()[:1] == b"{":
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
    """The objects of a text that holds several, one after the other, as jq prints them."""
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
    for kind, reader in _KINDS:
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
    found = _longest(document, 4)
    if found is None:
        raise BadData(
            f"{source}: is a JSON document without a list of rows; make JSON lines of it, for example with jq"
        )
    path, rows = found
    return f"JSON document, rows in {path}", _objects(rows), ()


def is_document(value: object) -> bool:
    """Return whether a JSON object is a document that holds rows, and not a row itself."""
    if not isinstance(value, dict):
        return False
    for _, reader in _KINDS:
        try:
            for _row in reader(value):
                return True
        except (KeyError, TypeError, ValueError, AttributeError, IndexError):
            continue
    lists = [v for v in value.values() if isinstance(v, list) and v and all(isinstance(i, dict) for i in v[:5])]
    plain = {name.lower() for name in value}
    return len(lists) == 1 and not plain & {"time", "timestamp", "@timestamp", "ts", "created_at", "datetime"}


def _counted(value: object) -> tuple[object, bool]:
    """A value of a time series as a count, and whether it was rounded: increase() gives fractions."""
    number = float(value)  # type: ignore[arg-type]
    whole = round(number) if number == number and abs(number) < 1e15 else value
    return whole, whole != value and whole != number


def _row(time: object, value: object, labels: Mapping[str, object], moment: float) -> dict[str, object]:
    count, rounded = _counted(value)
    row = {
        "time": time,
        **{name: label for name, label in labels.items() if name not in ("time", "count")},
        "count": count,
    }
    return row | {"~moment": moment} | ({"~rounded": True} if rounded else {})


def _prometheus(document: Any) -> Iterator[dict[str, Any]]:
    data = document.get("data", document)
    if data["resultType"] not in ("matrix", "vector"):
        return
    for series in data["result"]:
        labels = {name: value for name, value in series["metric"].items() if name != "__name__"}
        for moment, value in series["values"] if "values" in series else [series["value"]]:
            if value != "NaN":
                yield _row(moment, value, labels, float(moment))


def _loki(document: Any) -> Iterator[dict[str, Any]]:
    data = document.get("data", document)
    if data["resultType"] != "streams":
        return
    for stream in data["result"]:
        for moment, line, *_ in stream["values"]:
            found = _fields_of(line)
            yield {**stream["stream"], **found, "time": moment, "~moment": int(moment)}


def _fields_of(line: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        from txmon.ingest.formats.logfmt import json_lines

        raw = line.encode("utf-8", "replace")
        made = next(json_lines([raw]), raw)
        value = json.loads(made) if made is not raw else {"message": line}
    return value if isinstance(value, dict) else {"message": line}


def _elastic(document: Any) -> Iterator[dict[str, Any]]:
    for hit in document["hits"]["hits"]:
        yield {**hit["_source"], **({"_id": hit["_id"]} if "_id" in hit else {})}


def _aggregations(document: Any) -> Iterator[dict[str, Any]]:
    for found in (document.get("aggregations") or document["aggs"]).values():
        for bucket in found["buckets"]:
            for inner in bucket.values():
                if isinstance(inner, dict) and "buckets" in inner:
                    for cell in inner["buckets"]:
                        outer_is_time = "key_as_string" in bucket or isinstance(bucket["key"], int | float)
                        time, status = (bucket, cell) if outer_is_time else (cell, bucket)
                        yield {"time": time["key"], "status": status["key"], "count": cell["doc_count"],
                               "~moment": time["key"]}  # fmt: skip


def _insights(document: Any) -> Iterator[dict[str, Any]]:
    for row in document["results"]:
        yield {cell["field"]: cell["value"] for cell in row if cell["field"] != "@ptr"}


def _metric_data(document: Any) -> Iterator[dict[str, Any]]:
    for series in document["MetricDataResults"]:
        for moment, value in zip(series["Timestamps"], series["Values"], strict=False):
            count, _ = _counted(value)
            yield {"time": moment, "status": series.get("Label") or series["Id"], "count": count}


def _statistics(document: Any) -> Iterator[dict[str, Any]]:
    for point in document["Datapoints"]:
        value = point["Sum"] if "Sum" in point else point["SampleCount"]
        yield {"time": point["Timestamp"], "status": document["Label"], "count": _counted(value)[0],
               "~moment": str(point["Timestamp"])}  # fmt: skip


def _log_events(document: Any) -> Iterator[dict[str, Any]]:
    for event in document["events"]:
        yield {"time": event["timestamp"], **_fields_of(event["message"])}


def _datadog(document: Any) -> Iterator[dict[str, Any]]:
    for series in document["series"]:
        tags = dict(tag.split(":", 1) for tag in (series.get("scope") or "").split(",") if ":" in tag)
        for moment, value, *_ in series["pointlist"]:
            if value is not None:
                yield _row(moment, value, tags, moment)


def _influx(document: Any) -> Iterator[dict[str, Any]]:
    for result in document["results"]:
        for series in result["series"]:
            for values in series["values"]:
                yield {**series.get("tags", {}), **dict(zip(series["columns"], values, strict=True))}


def _split(document: Any) -> Iterator[dict[str, Any]]:
    for row in document["data"]:
        if not isinstance(row, list):
            return
        yield dict(zip(document["columns"], row, strict=True))


def _by_column(document: Any) -> Iterator[dict[str, Any]]:
    columns: dict[str, Any] = {name: value for name, value in document.items() if isinstance(value, dict | list)}
    if len(columns) != len(document) or len(columns) < 2:
        return
    if all(isinstance(value, dict) for value in columns.values()):
        first = next(iter(columns.values()))
        if not first or any(value.keys() != first.keys() or any(isinstance(v, dict | list) for v in value.values())
                            for value in columns.values()):  # fmt: skip
            return
        for key in first:
            yield {name: value[key] for name, value in columns.items()}
    elif all(
        isinstance(value, list) and not any(isinstance(v, dict | list) for v in value) for value in columns.values()
    ):
        for cells in zip(*columns.values(), strict=True):
            yield dict(zip(columns, cells, strict=True))


_KINDS: Final = (
    ("Prometheus range", _prometheus),
    ("Loki streams", _loki),
    ("Elastic hits", _elastic),
    ("Elastic aggregation", _aggregations),
    ("CloudWatch Logs Insights", _insights),
    ("CloudWatch metrics", _metric_data),
    ("CloudWatch metric", _statistics),
    ("CloudWatch log events", _log_events),
    ("Datadog series", _datadog),
    ("InfluxDB series", _influx),
    ("JSON table", _split),
    ("JSON table", _by_column),
)


def _longest(value: Any, depth: int, path: str = "") -> tuple[str, list[Any]] | None:
    """The longest list of objects within a document, and its path."""
    if isinstance(value, list):
        return (path or ".", value) if value and all(isinstance(row, dict) for row in value) else None
    if not isinstance(value, dict) or depth == 0:
        return None
    found = [_longest(inner, depth - 1, f"{path}.{name}".lstrip(".")) for name, inner in value.items()]
    return max((some for some in found if some is not None), key=lambda some: len(some[1]), default=None)

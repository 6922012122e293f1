"""Turns saved answers of monitoring systems into rows: a time series for each status, hits, log events, aggregations.

Each function yields the rows of one kind of document. For another kind it yields nothing or raises any error.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final


def _counted(value: object) -> tuple[object, bool]:
    """Return a value of a time series as a count, and whether it was rounded, because increase() gives fractions."""
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
    found = list(_buckets(document.get("aggregations") or document["aggs"], {}))
    labels = {name for row in found for name in row} - {"time", "count", "~moment"}
    only = labels.pop() if len(labels) == 1 else ""
    for row in found:
        if only:
            row["status"] = row.pop(only)  # whatever the name of the aggregation was
        yield row


def _buckets(aggregations: Any, outer: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the innermost buckets of nested aggregations, with the keys of all buckets around them."""
    for name, found in aggregations.items():
        if not isinstance(found, dict) or "buckets" not in found:
            continue
        buckets = found["buckets"]
        if isinstance(buckets, dict):  # of filters, by their names
            buckets = [{**bucket, "key": key} for key, bucket in buckets.items()]
        for bucket in buckets:
            key = bucket["key"]
            known = {**outer, **(key if isinstance(key, dict) else {name: key})}
            if not isinstance(key, dict) and ("key_as_string" in bucket or _is_moment(key)):
                known = {**outer, "time": key, "~moment": key}
            inner = list(_buckets(bucket, known))
            yield from inner or [{**known, "count": bucket["doc_count"]}]


def _is_moment(key: Any) -> bool:
    return isinstance(key, int | float) and key > 1e11


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
        tags = _tags((series.get("scope") or "").split(","))
        for moment, value, *_ in series["pointlist"]:
            if value is not None:
                yield _row(moment, value, tags, moment)


def _influx(document: Any) -> Iterator[dict[str, Any]]:
    for result in document["results"]:
        for series in result["series"]:
            for values in series["values"]:
                yield {**series.get("tags", {}), **dict(zip(series["columns"], values, strict=True))}


def _tags(texts: Any) -> dict[str, Any]:
    return dict(tag.split(":", 1) for tag in texts if ":" in tag)


def _datadog_2(document: Any) -> Iterator[dict[str, Any]]:
    found = document["data"]["attributes"]
    for series, values in zip(found["series"], found["values"], strict=True):
        for moment, value in zip(found["times"], values, strict=True):
            if value is not None:
                yield _row(moment, value, _tags(series["group_tags"]), moment)


def _new_relic(document: Any) -> Iterator[dict[str, Any]]:
    for facet in document["facets"]:
        for point in facet["timeSeries"]:
            (value,) = [v for result in point["results"] for v in result.values()]
            moment = point["beginTimeSeconds"]
            yield _row(moment, value, {"status": facet["name"]}, moment)


def _frames(document: Any) -> Iterator[dict[str, Any]]:
    """Yield the rows of Grafana's data frames: each has a column of times, and columns of values or labels."""
    for result in document["results"].values():
        for frame in result["frames"]:
            fields, columns = frame["schema"]["fields"], frame["data"]["values"]
            times = next(i for i, one in enumerate(fields) if one["type"] == "time")
            labels = [i for i, one in enumerate(fields) if one["type"] == "string"]
            for i, field in enumerate(fields):
                if field["type"] != "number":
                    continue
                own = field.get("labels") or ({} if labels else {"status": field["name"]})
                for at, value in enumerate(columns[i]):
                    if value is not None:
                        known = own | {fields[label]["name"]: columns[label][at] for label in labels}
                        yield _row(columns[times][at], value, known, columns[times][at])


def _victoria(document: Any) -> Iterator[dict[str, Any]]:
    labels = {name: value for name, value in document["metric"].items() if name != "__name__"}
    for moment, value in zip(document["timestamps"], document["values"], strict=True):
        if value is not None:
            yield _row(moment, value, labels, moment)


def _graphite(document: Any) -> Iterator[dict[str, Any]]:
    """Yield the rows of Graphite's series. The status is the part of a target's name that differs between targets."""
    targets = [series["target"].split(".") for series in document]
    alike = len({len(parts) for parts in targets}) == 1 and len(targets) > 1
    own = [i for i in range(len(targets[0])) if len({parts[i] for parts in targets}) > 1] if alike else []
    for series, parts in zip(document, targets, strict=True):
        status = (series.get("tags") or {}).get("status") or (parts[own[0]] if len(own) == 1 else series["target"])
        for value, moment in series["datapoints"]:
            if value is not None:
                yield _row(moment, value, {"status": status}, moment)


def _opentsdb(document: Any) -> Iterator[dict[str, Any]]:
    for series in document:
        points = series["dps"]
        for moment, value in points.items() if isinstance(points, dict) else points:
            yield _row(int(moment), value, series["tags"], int(moment))


def _google(document: Any) -> Iterator[dict[str, Any]]:
    for series in document["timeSeries"]:
        labels = {**series.get("resource", {}).get("labels", {}), **series["metric"].get("labels", {})}
        for point in series["points"]:
            (value,) = point["value"].values()
            start = point["interval"].get("startTime") or point["interval"]["endTime"]
            yield _row(start, value, labels, 0) | {"~moment": start}


KINDS: Final = (
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
    ("Datadog series", _datadog_2),
    ("New Relic series", _new_relic),
    ("Grafana frames", _frames),
    ("VictoriaMetrics export", _victoria),
    ("Graphite series", _graphite),
    ("OpenTSDB series", _opentsdb),
    ("Google Cloud series", _google),
)

"""Converts OTLP/HTTP counters, as OpenTelemetry SDKs and collectors export them, to rows of transactions.

A point of a cumulative counter is the total since the counter's start, so the row is the difference to the point
before it. A point of a delta counter is the count of its interval. The format is that of opentelemetry-proto 1.x,
`ExportMetricsServiceRequest`, in protobuf or in its JSON form.
"""

import json
import math
from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from importlib.util import find_spec
from typing import Any, Final

from txmon.server.http.message import HttpError

PROTOBUF: Final = "application/x-protobuf"
DELTA: Final = (1, "AGGREGATION_TEMPORALITY_DELTA")
CUMULATIVE: Final = (2, "AGGREGATION_TEMPORALITY_CUMULATIVE")
STREAMS: Final = 100_000  # series whose last point is remembered, because a client may invent any number of attributes
LONGEST: Final = 86400  # seconds between two points of a series whose difference still counts
SECOND: Final = 10**9  # nanoseconds

Row = dict[str, object]
Mark = tuple[str, str, int, int, float]  # series, process, start and time in nanoseconds, value


@dataclass(frozen=True, slots=True)
class Point:
    """One value of one counter."""

    stream: str  # digest of everything that identifies the series
    process: str  # digest of the resource, the scope and the counter
    start: int  # nanoseconds since 1970 at which the counter, or the interval, started; 0: not given
    time: int  # nanoseconds since 1970
    value: float
    delta: bool
    attributes: Mapping[str, str]


@dataclass(slots=True)
class Export:
    """The points of one request, and what was left out."""

    points: list[Point] = field(default_factory=list)
    ignored: set[str] = field(default_factory=set)  # names of metrics that are not configured
    bad: int = 0  # points that cannot be used
    reason: str = ""  # the reason of the first of them

    def refuse(self, reason: str) -> None:
        """Count a point that cannot be used."""
        self.bad += 1
        self.reason = self.reason or reason


def can_read_protobuf() -> bool:
    """Return whether opentelemetry-proto is installed. Without it, only JSON is read."""
    return find_spec("opentelemetry") is not None and find_spec("opentelemetry.proto") is not None


def export_of(body: bytes, kind: str, names: Collection[str]) -> Export:
    """Parse a request's body. kind: its media type. names: of the counters to use. Raise HttpError 400 or 415."""
    if kind == PROTOBUF:
        return _points(_from_protobuf(body), names)
    if kind != "application/json":
        raise HttpError(415, f"send {PROTOBUF} or application/json, not {kind or 'no Content-Type'}")
    try:
        found = json.loads(body)
        return _points(_from_json(found), names)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as bad:
        raise HttpError(400, f"no OTLP metrics: {str(bad)[:100]}") from None


def answer_of(export: Export, rejected: int, reason: str, kind: str) -> tuple[bytes, str]:
    """Return the body that reports rejected points, and its media type."""
    many, why = export.bad + rejected, export.reason or reason
    if kind == PROTOBUF:
        from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse

        response = ExportMetricsServiceResponse()
        if many:
            response.partial_success.rejected_data_points = many
            response.partial_success.error_message = why
        return response.SerializeToString(), PROTOBUF
    found = {"partialSuccess": {"rejectedDataPoints": str(many), "errorMessage": why}} if many else {}
    return json.dumps(found).encode(), "application/json"


class Counters:
    """The last point of every series, from which the next one's count is computed."""

    def __init__(self) -> None:
        self._last: OrderedDict[str, Mark] = OrderedDict()
        self._seen: dict[str, int] = {}  # process -> nanoseconds of its newest point

    def rows(
        self, points: Iterable[Point], width: int, begun: float, status: Sequence[str], by: Sequence[str]
    ) -> tuple[list[Row], list[Mark]]:
        """Return the counts in `points`, and the marks for `adopt` once the rows are saved. Nothing changes here.

        width: of a bucket, seconds. begun: when this server started, epoch seconds; the first point of a counter that
        started earlier counts nothing. status: possible names of the status attribute. by: attributes to keep.
        """
        rows: list[Row] = []
        marks: dict[str, Mark] = {}
        for point in points:
            last = marks.get(point.stream) or self._last.get(point.stream)
            count, since = self._count(point, last, begun)
            if last is None or point.time > last[3]:
                marks[point.stream] = (point.stream, point.process, point.start, point.time, point.value)
            if count <= 0:
                continue
            found: Row = {name: point.attributes[name] for name in by if name in point.attributes}
            lowered = {name.lower(): value for name, value in point.attributes.items()}
            word = next((lowered[name] for name in status if name in lowered), None)
            if word is not None:
                found["status"] = word
            rows += [{"time": at, "count": part, **found} for at, part in spread(since, point.time, count, width)]
        return rows, list(marks.values())

    def _count(self, point: Point, last: Mark | None, begun: float) -> tuple[int, int]:
        """Return how many transactions a point adds, and the nanoseconds at which their interval starts."""
        if point.delta:
            if last is not None and point.time <= last[3]:
                return 0, 0  # a repeated point, sent again because its answer was lost
            return _whole(point.value), point.start or (last[3] if last is not None else point.time)
        if last is None:
            known = self._seen.get(point.process)
            if known is not None and point.time > known:  # a status that this process counts for the first time
                return _whole(point.value), max(known, point.start)
            if point.start >= begun * SECOND:
                return _whole(point.value), point.start
            return 0, 0
        if point.time <= last[3]:
            return 0, 0
        if point.start > last[3] or point.value < last[4]:  # the counter was reset
            return _whole(point.value), max(point.start, last[3])
        return _whole(point.value) - _whole(last[4]), last[3]

    def adopt(self, marks: Iterable[Sequence[Any]]) -> None:
        """Apply marks that `rows` returned. Raise TypeError or ValueError for any other value."""
        for stream, process, start, time, value in marks:
            self._last[str(stream)] = (str(stream), str(process), int(start), int(time), float(value))
            self._last.move_to_end(str(stream))
            self._seen[str(process)] = max(int(time), self._seen.get(str(process), 0))
        if len(self._last) > STREAMS:
            while len(self._last) > STREAMS:
                self._last.popitem(last=False)
            kept = {mark[1] for mark in self._last.values()}
            self._seen = {process: at for process, at in self._seen.items() if process in kept}

    def snapshot(self) -> list[list[object]]:
        """Return all marks as values that JSON can represent."""
        return [list(mark) for mark in self._last.values()]

    def restore(self, state: Iterable[Sequence[Any]]) -> None:
        """Restore what `snapshot` returned. Raise TypeError or ValueError if it is not valid."""
        self._last.clear()
        self._seen.clear()
        self.adopt(state)


def spread(since: int, until: int, count: int, width: int) -> Iterator[tuple[int, int]]:
    """Yield times in epoch seconds, and the part of `count` for each. since, until: nanoseconds.

    An interval up to the width of a bucket counts at its middle. A longer interval is distributed evenly over its
    buckets.
    """
    begin, end = since / SECOND, until / SECOND
    if end - begin > LONGEST:
        return
    if end - begin <= width * 1.5:
        yield int((begin + end) / 2), count
        return
    given = 0
    at = math.floor(begin / width) * width
    while at < end:
        upto = min(end, at + width)
        part = round(count * (upto - begin) / (end - begin)) - given
        given += part
        if part:
            yield int(max(at, begin)), part
        at += width


def _whole(value: float) -> int:
    return math.floor(value + 0.5)


def _from_json(found: Any) -> Iterator[tuple[str, str, dict[str, str], dict[str, Any], Any]]:
    """Yield a metric's name, the digest of its origin, its resource's attributes, a point, the temporality."""
    for resource in found.get("resourceMetrics", ()):
        own = _attributes(resource.get("resource", {}).get("attributes", ()))
        for scope in resource.get("scopeMetrics", ()):
            for metric in scope.get("metrics", ()):
                total = metric.get("sum")
                name = str(metric.get("name", ""))
                process = _digest(own, {"scope": str(scope.get("scope", {}).get("name", "")), "name": name})
                if total is None or not total.get("isMonotonic", False):
                    yield name, process, own, {}, None
                    continue
                for point in total.get("dataPoints", ()):
                    value = point.get("asInt", point.get("asDouble"))
                    row = {
                        "value": float(value) if value is not None else math.nan,
                        "start": int(point.get("startTimeUnixNano", 0)), "time": int(point.get("timeUnixNano", 0)),
                        "attributes": _attributes(point.get("attributes", ())), "flags": int(point.get("flags", 0)),
                    }  # fmt: skip
                    yield name, process, own, row, total.get("aggregationTemporality", 0)


def _from_protobuf(body: bytes) -> Iterator[tuple[str, str, dict[str, str], dict[str, Any], Any]]:
    try:
        from google.protobuf.message import DecodeError
        from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
    except ImportError:
        raise HttpError(415, "this server reads OTLP as JSON only; protobuf needs: pip install 'txmon[otlp]'") from None
    request = ExportMetricsServiceRequest()
    try:
        request.ParseFromString(body)
    except DecodeError as bad:
        raise HttpError(400, f"no OTLP metrics: {str(bad)[:100]}") from None
    for resource in request.resource_metrics:
        own = {one.key: _any_text(one.value) for one in resource.resource.attributes}
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                process = _digest(own, {"scope": scope.scope.name, "name": metric.name})
                if metric.WhichOneof("data") != "sum" or not metric.sum.is_monotonic:
                    yield metric.name, process, own, {}, None
                    continue
                for point in metric.sum.data_points:
                    row = {
                        "value": float(point.as_int if point.WhichOneof("value") == "as_int" else point.as_double),
                        "start": point.start_time_unix_nano, "time": point.time_unix_nano,
                        "attributes": {one.key: _any_text(one.value) for one in point.attributes},
                        "flags": point.flags,
                    }  # fmt: skip
                    yield metric.name, process, own, row, metric.sum.aggregation_temporality


def _points(found: Iterable[tuple[str, str, dict[str, str], dict[str, Any], Any]], names: Collection[str]) -> Export:
    export = Export()
    for name, process, own, point, temporality in found:
        if name not in names:
            export.ignored.add(name)
            continue
        if temporality is None:
            export.refuse(f"{name} is not a counter. txmon expects a monotonic sum")
            continue
        if point["flags"] & 1:  # the point has no recorded value
            continue
        if not math.isfinite(point["value"]) or point["value"] < 0 or point["time"] <= 0:
            export.refuse(f"{name}: {point['value']!r} at {point['time']} is not a count")
            continue
        if temporality not in (*DELTA, *CUMULATIVE):
            export.refuse(f"{name}: its temporality is neither delta nor cumulative")
            continue
        attributes = own | point["attributes"]
        export.points.append(
            Point(
                _digest(attributes, {"process": process}), process, point["start"], point["time"], point["value"],
                temporality in DELTA, attributes,
            )
        )  # fmt: skip
    return export


def _digest(*parts: Mapping[str, str]) -> str:
    text = json.dumps([sorted(part.items()) for part in parts])
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()


def _attributes(found: Iterable[Any]) -> dict[str, str]:
    return {str(one["key"]): _json_text(one.get("value", {})) for one in found}


def _json_text(value: Mapping[str, Any]) -> str:
    for name in ("stringValue", "intValue", "boolValue", "doubleValue"):
        if name in value:
            one = value[name]
            return str(one).lower() if isinstance(one, bool) else str(one)
    return json.dumps(value)


def _any_text(value: Any) -> str:
    kind = value.WhichOneof("value")
    if kind is None:
        return ""
    one = getattr(value, kind)
    return str(one).lower() if isinstance(one, bool) else str(one)

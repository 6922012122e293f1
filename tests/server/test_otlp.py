"""`serve --otlp`: counters of the real OpenTelemetry SDK, in protobuf and JSON, over kills and resets."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from serving import START, Server, serving

from txmon.server.otlp import Counters, Point, export_of, spread
from txmon.settings.declarations import Settings

SECOND = 10**9
pytest.importorskip("opentelemetry.proto")


def counts(server: Server) -> dict[str, int]:
    """What the server has counted, by status, open buckets included."""
    found: dict[str, int] = {}
    state: Any = server.engine.pipeline.bucketer.snapshot()
    for bucket in state["open"]:
        for _, statuses in bucket[1]:
            for status, count in statuses.items():
                found[status] = found.get(status, 0) + count
    return found


def export(*points: dict[str, Any], temporality: int = 2, name: str = "transactions", **more: Any) -> dict[str, Any]:
    total = {"aggregationTemporality": temporality, "isMonotonic": True, "dataPoints": list(points)}
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "checkout"}}]}
    metric = {"name": name, "sum": total} | more
    return {"resourceMetrics": [{"resource": resource, "scopeMetrics": [{"metrics": [metric]}]}]}


def point(at: float, value: float, status: str = "failed", start: float = START, **more: str) -> dict[str, Any]:
    attributes = [{"key": k, "value": {"stringValue": v}} for k, v in {"status": status, **more}.items()]
    number = {"asInt": str(int(value))} if value == int(value) else {"asDouble": value}
    return {
        "startTimeUnixNano": str(int(start * SECOND)), "timeUnixNano": str(int(at * SECOND)), "attributes": attributes,
        **number,
    }  # fmt: skip


def post(server: Server, body: object) -> Any:
    answer = server.client.post("/v1/metrics", body)
    assert answer.status == 200, answer.body
    return answer.json()


SETTINGS = Settings(otlp=("transactions",))
NOW = START + 600.0


def taken(server: Server) -> int:
    return server.engine.totals.records


def test_cumulative_counters_count_their_differences_and_resets() -> None:
    with serving(SETTINGS, now=NOW) as server:
        begun = NOW + 1  # the SDK starts after the server: its first point counts as a whole
        steps: list[tuple[float, float, float]] = [
            (10, 5, begun), (20, 12, begun), (20, 12, begun), (30, 12, begun), (40, 3, NOW + 32), (50, 4, NOW + 32),
        ]  # fmt: skip
        for at, value, start in steps:
            assert post(server, export(point(NOW + at, value, start=start))) == {}
        server.clock.now += 120
        assert counts(server) == {"failed": 5 + 7 + 3 + 1}


def test_a_counter_that_is_older_than_the_server_counts_from_its_first_point_on() -> None:
    with serving(SETTINGS, now=NOW) as server:
        post(server, export(point(NOW + 10, 1000)))
        post(server, export(point(NOW + 20, 1004), point(NOW + 20, 2, "denied")))  # denied for the first time
        assert counts(server) == {"failed": 4, "denied": 2}


def test_delta_counters_count_once_though_they_are_sent_twice() -> None:
    with serving(SETTINGS, now=NOW) as server:
        for _ in range(2):
            post(server, export(point(NOW + 10, 5, start=NOW), temporality=1))
        post(server, export(point(NOW + 20, 2.4, start=NOW + 10), temporality=1))
        assert counts(server) == {"failed": 7}


def test_a_long_interval_is_spread_over_its_buckets() -> None:
    assert list(spread(0, 30 * SECOND, 7, 60)) == [(15, 7)]
    assert list(spread(0, 60 * SECOND, 7, 60)) == [(30, 7)]
    assert list(spread(30 * SECOND, 210 * SECOND, 6, 60)) == [(30, 1), (60, 2), (120, 2), (180, 1)]
    for count in (1, 10, 99):
        assert sum(part for _, part in spread(7 * SECOND, 1000 * SECOND, count, 60)) == count
    assert list(spread(0, 100_000 * SECOND, 7, 60)) == []


def test_attributes_are_the_status_and_the_key() -> None:
    settings = Settings(otlp=("transactions",), group_by=("merchant", "service.name"), map={"status": "outcome"})
    with serving(settings, now=NOW) as server:
        body = export(point(NOW + 10, 5, start=NOW + 1, outcome="declined", merchant="m1"))
        assert post(server, body) == {}
        keys = json.dumps(server.engine.pipeline.bucketer.snapshot())
        assert '"m1"' in keys
        assert '"checkout"' in keys


@pytest.mark.parametrize(
    ("body", "many", "says"),
    [
        (export({"timeUnixNano": "1", "asInt": "3"}, temporality=0), 1, "neither delta nor cumulative"),
        (export(point(NOW, -1)), 1, "is not a count"),
        (export({"timeUnixNano": str(int(NOW * SECOND)), "attributes": []}), 1, "is not a count"),
        (export(name="transactions", sum={"isMonotonic": False, "dataPoints": []}), 1, "txmon expects a monotonic sum"),
        (export(point(NOW + 5, 3, start=NOW + 1) | {"attributes": []}), 1, "--map status=ATTRIBUTE"),
    ],
)
def test_points_that_cannot_be_counted_are_said_as_the_protocol_has_it(body: object, many: int, says: str) -> None:
    with serving(SETTINGS, now=NOW) as server:
        answer = post(server, body)["partialSuccess"]
        assert answer["rejectedDataPoints"] == str(many)
        assert says in answer["errorMessage"]
        assert counts(server) == {}


@pytest.mark.parametrize(
    ("body", "kind", "status", "says"),
    [
        (b"\xff\xff\xff", "application/x-protobuf", 400, "no OTLP metrics"),
        (b"{", "application/json", 400, "no OTLP metrics"),
        (b'{"resourceMetrics": 3}', "application/json", 400, "no OTLP metrics"),
        (b"x", "text/plain", 415, "send application/x-protobuf or application/json"),
    ],
)
def test_what_is_no_export_is_refused(body: bytes, kind: str, status: int, says: str) -> None:
    with serving(SETTINGS, now=NOW) as server:
        answer = server.client.post("/v1/metrics", body, kind)
        assert (answer.status, says in answer.body.decode()) == (status, True)
        assert counts(server) == {}


def test_without_the_flag_there_is_no_such_path_and_other_metrics_are_said_once() -> None:
    with serving(now=NOW) as server:
        assert server.client.post("/v1/metrics", export(point(NOW, 1))).status == 404
    with serving(SETTINGS, now=NOW) as server:
        for _ in range(2):
            assert post(server, export(point(NOW, 1), name="http.requests")) == {}
        said = server.engine.session.taken_notices()
        assert said == ["OTLP metric 'http.requests' is not in --otlp, and is left out"]


def test_a_crash_neither_loses_nor_repeats_what_was_answered(tmp_path: Path) -> None:
    """The journal keeps the last points beside the rows: what comes next is the difference to them."""
    settings = Settings(otlp=("transactions",), state=str(tmp_path / "state"))
    with serving(settings, now=NOW) as server:
        post(server, export(point(NOW + 10, 5, start=NOW + 1)))
        assert server.engine.save_now()
        post(server, export(point(NOW + 20, 9, start=NOW + 1)))
    with serving(settings, now=NOW + 25) as server:  # the first one did not end in good order
        assert counts(server) == {"failed": 9}
        post(server, export(point(NOW + 30, 11, start=NOW + 1)))
        assert counts(server) == {"failed": 11}


@pytest.mark.parametrize("temporality", ["cumulative", "delta"])
def test_the_real_sdk_exports_to_it(temporality: str) -> None:
    import time

    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.sdk.metrics import Counter, MeterProvider
    from opentelemetry.sdk.metrics.export import AggregationTemporality, PeriodicExportingMetricReader
    from opentelemetry.sdk.resources import Resource

    with serving(
        Settings(otlp=("transactions",), group_by=("merchant",)), token="0123456789abcdef", now=time.time()
    ) as server:
        exporter = OTLPMetricExporter(
            f"http://127.0.0.1:{server.port}/v1/metrics", headers={"Authorization": "Bearer 0123456789abcdef"},
            preferred_temporality={Counter: getattr(AggregationTemporality, temporality.upper())},
        )  # fmt: skip
        reader = PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)
        provider = MeterProvider([reader], Resource.create({"service.name": "checkout"}))
        counter = provider.get_meter("payments").create_counter("transactions")
        for status, count in (("approved", 40), ("failed", 2)):
            counter.add(count, {"status": status, "merchant": "m1"})
        assert provider.force_flush()
        counter.add(3, {"status": "failed", "merchant": "m1"})
        assert provider.force_flush()
        assert provider.force_flush()  # with nothing new
        assert counts(server) == {"approved": 40, "failed": 5}
        provider.shutdown()


def stream(*points: tuple[float, float], delta: bool = False) -> list[Point]:
    return [Point("s", "p", 0, int(at * SECOND), value, delta, {"status": "failed"}) for at, value in points]


def total(counters: Counters, points: Sequence[Point]) -> int:
    rows, marks = counters.rows(points, 60, 0.0, ("status",), ())
    counters.adopt(marks)
    return sum(int(str(row["count"])) for row in rows)


def test_what_is_not_kept_changes_nothing() -> None:
    counters = Counters()
    points = stream((10, 5), (20, 8))
    first, _ = counters.rows(points, 60, 0.0, ("status",), ())
    again, _ = counters.rows(points, 60, 0.0, ("status",), ())
    assert first == again
    assert total(counters, points) == 8
    assert total(counters, points) == 0


def test_both_forms_say_the_same() -> None:
    from google.protobuf.json_format import ParseDict
    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

    body = export(point(NOW, 5, merchant="m1"), point(NOW, 2.5, "denied"))
    as_json = export_of(json.dumps(body).encode(), "application/json", ["transactions"])
    packed = ParseDict(body, ExportMetricsServiceRequest()).SerializeToString()
    as_protobuf = export_of(packed, "application/x-protobuf", ["transactions"])
    assert as_json.points == as_protobuf.points
    assert len(as_json.points) == 2

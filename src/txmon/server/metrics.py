"""The engine's counters as Prometheus reads them; the one module that imports prometheus-client, and late."""

from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from txmon.server.engine import Engine


class _Counters(Collector):
    def __init__(self, engine: Engine, answers: Mapping[tuple[str, int], int]) -> None:
        self._engine = engine
        self._answers = answers

    def collect(self) -> Iterator[Metric]:
        engine = self._engine
        totals, bucketer = engine.totals, engine.pipeline.bucketer
        for name, text, value in (
            ("txmon_records", "Records taken.", totals.records),
            ("txmon_rejects", "Records refused.", totals.rejected),
            ("txmon_late_records", "Records whose bucket had closed.", bucketer.late),
            ("txmon_repeated_records", "Records whose id had been counted.", bucketer.repeated),
            ("txmon_sink_failures", "Outcomes that could not be written.", totals.sink_failures),
            ("txmon_state_failures", "States that could not be written.", engine.session.save_failures),
        ):
            yield CounterMetricFamily(name, text, value)
        verdicts = CounterMetricFamily("txmon_verdicts", "Verdicts given.", labels=["recommendation"])
        for word, value in (totals.verdicts or {}).items():
            verdicts.add_metric([word], value)
        yield verdicts
        answers = CounterMetricFamily("txmon_http_answers", "Requests answered.", labels=["path", "code"])
        for (path, status), value in self._answers.items():
            answers.add_metric([path, str(status)], value)
        yield answers
        for name, text, number in (
            ("txmon_open_incidents", "Incidents open now.", len(engine.pipeline.tracker.open())),
            ("txmon_listeners", "Clients of the live feed.", len(engine.feed.hub)),
            ("txmon_last_bucket_timestamp_seconds", "Start of the newest closed bucket.", engine.recent.last or 0),
            ("txmon_state_saved_timestamp_seconds", "When the state was last written.", engine.session.saved),
        ):
            yield GaugeMetricFamily(name, text, number)


def exposition(engine: Engine, answers: Mapping[tuple[str, int], int], accept: str) -> tuple[bytes, str]:
    """The metrics in the format that `accept` prefers, and its media type."""
    registry = CollectorRegistry(auto_describe=False)
    with engine.lock:
        registry.register(_Counters(engine, answers))
        encode, kind = choose_encoder(accept)
        return encode(registry), kind

"""Exports the engine's counters for Prometheus. Only this module imports prometheus-client, and only when needed."""

import platform
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from txmon.server.access import HttpCounters
from txmon.server.engine import Engine
from txmon.version import __version__


class _Counters(Collector):
    def __init__(self, engine: Engine, answers: HttpCounters) -> None:
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
        counts = CounterMetricFamily(
            "txmon_transactions", "Transactions in closed buckets, without late ones.", labels=["status"]
        )
        for name, value in totals.transactions.items():
            counts.add_metric([name], value)
        yield counts
        answers = CounterMetricFamily("txmon_http_answers", "Requests answered.", labels=["path", "code"])
        for (path, status), value in self._answers.answers().items():
            answers.add_metric([path, str(status)], value)
        yield answers
        times = HistogramMetricFamily("txmon_http_seconds", "Duration of answers in seconds.", labels=["path"])
        for path, (buckets, total) in self._answers.times().items():
            times.add_metric([path], buckets, total)
        yield times
        yield from self._by_status()
        build = {"version": __version__, "python": platform.python_version()}
        yield InfoMetricFamily("txmon_build", "The version that runs.", value=build)
        for name, text, number in (
            ("txmon_open_incidents", "Incidents open now.", len(engine.pipeline.tracker.open())),
            ("txmon_listeners", "Clients of the live feed.", len(engine.feed.hub)),
            ("txmon_last_bucket_timestamp_seconds", "Start of the newest closed bucket.", engine.recent.last or 0),
            ("txmon_state_saved_timestamp_seconds", "When the state was last written.", engine.session.saved),
        ):
            yield GaugeMetricFamily(name, text, number)

    def _by_status(self) -> Iterator[Metric]:
        """Yield the counts of the newest closed bucket by status over all keys. `*` is all statuses together."""
        newest = {status: points[-1] for status, points in self._engine.recent.series.items() if points}
        for place, (name, text) in enumerate(
            (
                ("txmon_observed", "Transactions in the newest closed bucket."),
                ("txmon_expected", "Transactions expected in it."),
                ("txmon_low", "Fewest that are normal in it."),
                ("txmon_high", "Most that are normal in it."),
                ("txmon_score", "Its score, in sigmas; below 0 for too few."),
                ("txmon_recommendation", "Its recommendation: 0 ok, 1 pending, 2 alert, -1 unobserved, -2 closed."),
            ),
            1,
        ):
            family = GaugeMetricFamily(name, text, labels=["status"])
            for status, point in newest.items():
                family.add_metric([status], point[place])
            yield family


def exposition(engine: Engine, answers: HttpCounters, accept: str) -> tuple[bytes, str]:
    """Return the metrics in the format that `accept` prefers, and its media type."""
    registry = CollectorRegistry(auto_describe=False)
    ProcessCollector(registry=registry)
    with engine.lock:
        registry.register(_Counters(engine, answers))
        encode, kind = choose_encoder(accept)
        return encode(registry), kind

"""Adds artificial incidents to real input. Records pass through it between the reader and the buckets.

An incident that removes transactions thins the records themselves. Transactions that it adds are drawn once per
bucket. Their number depends on the status's true mean over the last quarter of an hour, so a sparse status surges like
a busy one. Draws are seeded by bucket, so the same command produces the same stream.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from txmon.evaluation.incident_spec import EVERY, Change, IncidentSpec, changed_mean, resolve
from txmon.ingest.records import Record
from txmon.model.clock import iso
from txmon.model.keys import TOTAL, Key, Series
from txmon.model.outcome import Outcome
from txmon.model.statuses import SUCCESS, role_of
from txmon.model.verdict import Verdict
from txmon.support.suggest import nearest

RECENT: Final = 900  # seconds of non-empty buckets whose mean is a status's level
LEAST_RECENT: Final = 3  # buckets, however wide they are
SEED: Final = 20260302
MOST_EXTRA: Final = 1e12  # transactions drawn in one call
Span = tuple[int, int]  # [start, end) in epoch seconds
if TYPE_CHECKING:
    import numpy as np


@dataclass(slots=True)
class Arrived:
    """The true transactions of one bucket."""

    begin: int
    counts: dict[Series, int] = field(default_factory=dict)


class Injector:
    """Applies incidents to a stream of records."""

    def __init__(self, specs: Sequence[IncidentSpec], width: int) -> None:
        """Create it. width: of a bucket, seconds."""
        self.width = width
        # silence is last, because nothing may be added to it
        self.specs = sorted(specs, key=lambda spec: spec.change is Change.SILENCE)
        self.spans: list[Span] = []  # of each spec; empty before the first record
        self.added = 0  # transactions
        self.removed = 0
        self.first = self.last = 0  # start of the stream's first bucket, and of its newest
        self.statuses: set[str] = set()  # statuses in the input
        self._recent: deque[Arrived] = deque(maxlen=max(LEAST_RECENT, RECENT // width))
        self._rng: np.random.Generator | None = None

    def apply(self, records: Iterable[Record]) -> Iterator[Record]:
        """Yield the changed records. Added records follow at the start of their bucket, after its own records."""
        for record in records:
            begin = record.time - record.time % self.width
            if not self.spans:
                self.first = begin
                self.spans = [resolve(spec, begin) for spec in self.specs]
                self._enter(begin)
            elif begin > self.last:
                yield from self._leave(begin)
                self._enter(begin)
            self._count(record, begin)
            if self._touched(begin):
                yield from self._thinned(record, begin)
            else:
                yield record
        if self.spans:
            yield from self._leave(self.last + self.width)

    def _enter(self, begin: int) -> None:
        self.last = begin
        self._recent.append(Arrived(begin))
        self._rng = None

    def _random(self) -> "np.random.Generator":
        """Return the generator of the newest bucket."""
        if self._rng is None:
            import numpy as np

            self._rng = np.random.default_rng([SEED, self.last])
        return self._rng

    def _count(self, record: Record, begin: int) -> None:
        self.statuses.add(record.status)
        if begin == self.last:  # a late record does not change a level
            series, counts = (record.key, record.status), self._recent[-1].counts
            counts[series] = counts.get(series, 0) + record.count

    def _touched(self, begin: int) -> bool:
        return any(start < begin + self.width and begin < end for start, end in self.spans)

    def _change(self, status: str, begin: int) -> tuple[float, float]:
        """Return (factor, transactions added) for a bucket's mean. The effect of every incident is linear."""
        factor, added = 1.0, 0.0
        for spec, span in zip(self.specs, self.spans, strict=True):
            base = changed_mean(spec, span, begin, status, 0.0, self.width)
            slope = changed_mean(spec, span, begin, status, 1.0, self.width) - base
            factor, added = factor * slope, added * slope + base
        return factor, added

    def _thinned(self, record: Record, begin: int) -> Iterator[Record]:
        """Yield the record without the transactions that incidents remove, or nothing if none remain."""
        factor, _ = self._change(record.status, begin)
        if factor >= 1.0 or (record.count == 0 and factor > 0.0):
            yield record
            return
        kept = int(self._random().binomial(record.count, max(0.0, factor)))
        self.removed += record.count - kept
        if kept:
            yield Record(record.time, record.status, kept, record.key, record.amount, record.id)

    def _leave(self, until: int) -> Iterator[Record]:
        """Yield the records added to the newest bucket and, if nothing arrived, to those before `until`."""
        if self._touched(self.last):
            yield from self._extra(self.last, self._recent[-1].counts)
        gaps = {
            moment
            for spec, (start, end) in zip(self.specs, self.spans, strict=True)
            if spec.change is Change.ADD
            for low in [max(self.last + self.width, start - start % self.width)]
            for moment in range(low, min(until, end), self.width)
        }
        for moment in sorted(gaps):
            yield from self._extra(moment, {})

    def _extra(self, begin: int, arrived: dict[Series, int]) -> Iterator[Record]:
        """Yield the records added to one bucket."""
        by_key: dict[str, dict[Key, float]] = {}
        for bucket in self._recent:
            for (key, status), count in bucket.counts.items():
                means = by_key.setdefault(status, {})
                means[key] = means.get(key, 0.0) + count / len(self._recent)
        volume: dict[Key, float] = {}
        for means in by_key.values():
            for key, mean in means.items():
                volume[key] = volume.get(key, 0.0) + mean
        named = {spec.status for spec in self.specs if spec.change is Change.ADD and spec.status != EVERY}
        for status in sorted(self.statuses | named):
            factor, added = self._change(status, begin)
            if factor > 1.0 and arrived:  # doubling nothing gives nothing: the feed was silent
                for key, mean in by_key.get(status, {}).items():
                    yield from self._drawn(begin, status, key, (factor - 1.0) * mean)
            if added > 0.0:
                yield from self._spread(begin, status, added, volume)

    def _drawn(self, begin: int, status: str, key: Key, mean: float) -> Iterator[Record]:
        count = int(self._random().poisson(min(mean, MOST_EXTRA)))
        if count:
            self.added += count
            yield Record(begin, status, count, key)

    def _spread(self, begin: int, status: str, mean: float, volume: dict[Key, float]) -> Iterator[Record]:
        """Yield `mean` transactions, distributed over the keys like the volume."""
        total = sum(volume.values())
        keys = list(volume) if total > 0 else list(volume)[:1] or [()]
        for key in keys:
            share = volume[key] / total if total > 0 else 1.0
            yield from self._drawn(begin, status, key, mean * share)


@dataclass(slots=True)
class Finding:
    """The verdicts on one incident during its time."""

    alerts: dict[tuple[Key, str], Verdict] = field(default_factory=dict)  # the first alert of each affected series
    strongest: Verdict | None = None  # of these statuses, after the warm-up


class Watch:
    """Follows outcomes during the incidents of an injector."""

    def __init__(self, injector: Injector) -> None:
        self.findings = [Finding() for _ in injector.specs]
        self._injector = injector

    def accept(self, outcome: Outcome) -> None:
        """Record one bucket's outcome."""
        spans = self._injector.spans
        for spec, (start, end), finding in zip(self._injector.specs, spans, self.findings, strict=True):
            if outcome.time + self._injector.width <= start or outcome.time >= end:
                continue
            for verdict in outcome.verdicts:
                if shows(spec, verdict.status) and verdict.recommendation != "warming":
                    _take(finding, verdict)

    def past(self, moment: int) -> bool:
        """Return whether every incident has ended at `moment` (epoch seconds)."""
        return all(moment >= end for _, end in self._injector.spans)


def shows(spec: IncidentSpec, status: str) -> bool:
    """Return whether the incident should cause an alert on `status`."""
    if spec.status == EVERY:
        falls = spec.change in (Change.MULTIPLY, Change.RAMP) and spec.amount < 1
        return not falls or status == TOTAL or role_of(status) == SUCCESS
    return status == spec.status or (status == TOTAL and role_of(spec.status) == SUCCESS)


def report(injector: Injector, found: Watch, without: Watch | None) -> list[str]:
    """Return one line per incident. without: a watch over the unchanged input; None if it cannot be read again."""
    if not injector.spans:
        return ["inject: the input contains no record"]
    lines = []
    for n, (spec, span) in enumerate(zip(injector.specs, injector.spans, strict=True)):
        usual = without.findings[n] if without is not None else Finding()
        text = _no_change(spec, span, injector) or _fate(spec, span, found.findings[n], usual)
        lines.append(f"inject {spec.text}: {text}")
    return [*lines, f"inject: {injector.added} transactions added, {injector.removed} taken away"]


def _no_change(spec: IncidentSpec, span: Span, injector: Injector) -> str:
    """Return why the incident changed no record, or ""."""
    end = injector.last + injector.width
    if span[1] <= injector.first or span[0] >= end:
        return f"lies outside the input, which is from {iso(injector.first)} to {iso(end)}"
    if spec.status != EVERY and spec.change is not Change.ADD and spec.status not in injector.statuses:
        return f"changed nothing: the input has no {spec.status!r}{nearest(spec.status, injector.statuses)}"
    return ""


def _fate(spec: IncidentSpec, span: Span, finding: Finding, usual: Finding) -> str:
    """Return the result for an incident.

    usual: the verdicts without it; an alert that they also contain is not its own.
    """
    own = [
        alert
        for series, alert in finding.alerts.items()
        if series not in usual.alerts or usual.alerts[series].time > alert.time
    ]
    sale = spec.change is Change.SALE
    if own:
        first = min(own, key=lambda alert: alert.time)
        text = "a false alarm" if sale else "caught"
        return f"{text} {_after(first, span)} by {_series(first)} ({iso(first.time)}: {first.text})"
    if finding.alerts and not sale:
        first = min(finding.alerts.values(), key=lambda alert: alert.time)
        known = f"{_series(first)} alerts {_after(first, span)}, but equally early without the incident"
        return f"{known}. Choose a quieter part of the input"
    text = "no alert of its own, as it should be" if sale else "not caught"
    best = finding.strongest
    if finding.alerts:  # alerts of the input itself; their scores say nothing about the sale
        return text
    if best is None:
        return f"{text}: the detector was warming up, or saw nothing of it"
    return f"{text}; the strongest score was {best.score:+.1f} sigmas of {_series(best)} at {iso(best.time)}"


def _take(finding: Finding, verdict: Verdict) -> None:
    if verdict.recommendation == "alert":
        finding.alerts.setdefault((verdict.key, verdict.status), verdict)
    if finding.strongest is None or abs(verdict.score) > abs(finding.strongest.score):
        finding.strongest = verdict


def _after(verdict: Verdict, span: Span) -> str:
    """Return the delay as evaluate counts it: from the incident's first bucket to the alert's bucket."""
    minutes = max(0.0, (verdict.time - span[0]) / 60)
    return f"after {minutes:.0f} min" if minutes >= 0.5 else "at once"


def _series(verdict: Verdict) -> str:
    return ", ".join([verdict.status, *(f"{name}={value}" for name, value in verdict.key)])

"""An incident that did not happen, added to real input: records in, records out, between the reader and the buckets.

What an incident takes away is thinned from the records themselves. What it adds is drawn once a bucket, from the
status's mean over the last quarter of an hour as it really was, so that a sparse status surges as a busy one does.
Draws are seeded by bucket: the same command gives the same stream.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from txmon.evaluation.incident_spec import EVERY, Change, IncidentSpec, changed_mean, resolve
from txmon.ingest.records import Record
from txmon.model.clock import iso
from txmon.model.keys import TOTAL, Key, Series
from txmon.model.outcome import Outcome
from txmon.model.statuses import SUCCESS, role_of
from txmon.model.verdict import Verdict
from txmon.support.suggest import nearest

RECENT: Final = 900  # seconds of buckets in which something arrived, whose mean is a status's level
LEAST_RECENT: Final = 3  # buckets, however wide
SEED: Final = 20260302
MOST_EXTRA: Final = 1e12  # transactions drawn at once
Span = tuple[int, int]  # [start, end) in epoch seconds
if TYPE_CHECKING:
    import numpy as np


@dataclass(slots=True)
class Arrived:
    """What really arrived in one bucket."""

    begin: int
    counts: dict[Series, int] = field(default_factory=dict)


class Injector:
    """Changes a stream of records as incidents would have."""

    def __init__(self, specs: Sequence[IncidentSpec], width: int) -> None:
        """width: of a bucket, seconds."""
        self.width = width
        # silence last: nothing is added to it
        self.specs = sorted(specs, key=lambda spec: spec.change is Change.SILENCE)
        self.spans: list[Span] = []  # of each spec; empty before the first record
        self.added = 0  # transactions
        self.removed = 0
        self.first = self.last = 0  # start of the stream's first bucket, and of its newest
        self.statuses: set[str] = set()  # seen in the input
        self._recent: deque[Arrived] = deque(maxlen=max(LEAST_RECENT, RECENT // width))
        self._rng: np.random.Generator | None = None

    def apply(self, records: Iterable[Record]) -> Iterator[Record]:
        """Yield the records as they would have come; those added come at their bucket's start, after its own."""
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
        if begin == self.last:  # a late record changes no level
            series, counts = (record.key, record.status), self._recent[-1].counts
            counts[series] = counts.get(series, 0) + record.count

    def _touched(self, begin: int) -> bool:
        return any(start < begin + self.width and begin < end for start, end in self.spans)

    def _change(self, status: str, begin: int) -> tuple[float, float]:
        """(factor, transactions added) of a bucket's mean: every incident changes it by such a line."""
        factor, added = 1.0, 0.0
        for spec, span in zip(self.specs, self.spans, strict=True):
            base = changed_mean(spec, span, begin, status, 0.0, self.width)
            slope = changed_mean(spec, span, begin, status, 1.0, self.width) - base
            factor, added = factor * slope, added * slope + base
        return factor, added

    def _thinned(self, record: Record, begin: int) -> Iterator[Record]:
        """Yield the record with what the incidents take away, or nothing where they take all of it."""
        factor, _ = self._change(record.status, begin)
        if factor >= 1.0 or (record.count == 0 and factor > 0.0):
            yield record
            return
        kept = int(self._random().binomial(record.count, max(0.0, factor)))
        self.removed += record.count - kept
        if kept:
            yield replace(record, count=kept)

    def _leave(self, until: int) -> Iterator[Record]:
        """Yield what is added to the newest bucket and, where nothing arrived, to those before `until`."""
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
        """Yield the transactions added to one bucket."""
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
            if factor > 1.0 and arrived:  # nothing times two is nothing: the feed was silent
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
        """`mean` transactions over the keys as the volume is spread over them."""
        total = sum(volume.values())
        keys = list(volume) if total > 0 else list(volume)[:1] or [()]
        for key in keys:
            share = volume[key] / total if total > 0 else 1.0
            yield from self._drawn(begin, status, key, mean * share)


@dataclass(slots=True)
class Finding:
    """What verdicts said of one incident while it lasted."""

    alerts: dict[tuple[Key, str], Verdict] = field(default_factory=dict)  # the first of each series that should show it
    strongest: Verdict | None = None  # of these statuses, once the detector was warm


class Watch:
    """Follows outcomes through the incidents of an injector."""

    def __init__(self, injector: Injector) -> None:
        self.findings = [Finding() for _ in injector.specs]
        self._injector = injector

    def accept(self, outcome: Outcome) -> None:
        """Take one bucket's outcome."""
        spans = self._injector.spans
        for spec, (start, end), finding in zip(self._injector.specs, spans, self.findings, strict=True):
            if outcome.time + self._injector.width <= start or outcome.time >= end:
                continue
            for verdict in outcome.verdicts:
                if shows(spec, verdict.status) and verdict.recommendation != "warming":
                    _take(finding, verdict)

    def past(self, moment: int) -> bool:
        """Return whether every incident is over at `moment` (epoch seconds)."""
        return all(moment >= end for _, end in self._injector.spans)


def shows(spec: IncidentSpec, status: str) -> bool:
    """Return whether an alert on `status` is one that the incident should raise."""
    if spec.status == EVERY:
        falls = spec.change in (Change.MULTIPLY, Change.RAMP) and spec.amount < 1
        return not falls or status == TOTAL or role_of(status) == SUCCESS
    return status == spec.status or (status == TOTAL and role_of(spec.status) == SUCCESS)


def report(injector: Injector, found: Watch, without: Watch | None) -> list[str]:
    """Return one line per incident. `without`: a watch over the input as it is; None where that is not possible."""
    if not injector.spans:
        return ["inject: the input holds no record"]
    lines = []
    for n, (spec, span) in enumerate(zip(injector.specs, injector.spans, strict=True)):
        usual = without.findings[n] if without is not None else Finding()
        text = _no_change(spec, span, injector) or _fate(spec, span, found.findings[n], usual)
        lines.append(f"inject {spec.text}: {text}")
    return [*lines, f"inject: {injector.added} transactions added, {injector.removed} taken away"]


def _no_change(spec: IncidentSpec, span: Span, injector: Injector) -> str:
    """Why the incident is in no record, or an empty text."""
    end = injector.last + injector.width
    if span[1] <= injector.first or span[0] >= end:
        return f"lies outside the input, which is from {iso(injector.first)} to {iso(end)}"
    if spec.status != EVERY and spec.change is not Change.ADD and spec.status not in injector.statuses:
        return f"changed nothing: the input has no {spec.status!r}{nearest(spec.status, injector.statuses)}"
    return ""


def _fate(spec: IncidentSpec, span: Span, finding: Finding, usual: Finding) -> str:
    """usual: what verdicts say without the incident; an alert that they have as soon is not the incident's."""
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
        return f"{_series(first)} alerts {_after(first, span)}, but as soon without it: the input is no place to tell"
    text = "no alert of its own, as it should be" if sale else "not caught"
    best = finding.strongest
    if finding.alerts:  # the input's own, whose scores say nothing of the sale
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
    """Return the delay as evaluate counts it: from the incident's first bucket to the alert's."""
    minutes = max(0.0, (verdict.time - span[0]) / 60)
    return f"after {minutes:.0f} min" if minutes >= 0.5 else "at once"


def _series(verdict: Verdict) -> str:
    return ", ".join([verdict.status, *(f"{name}={value}" for name, value in verdict.key)])

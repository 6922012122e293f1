"""Analyzes a whole file of transactions: shares, hours, the incidents that the detector finds, and what changed."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import isnan
from typing import Final

from txmon.analysis.normal import Normal, NormalBook
from txmon.errors import BadData
from txmon.ingest.aggregate.ledger import Item, Tally
from txmon.model.keys import TOTAL, Key
from txmon.model.outcome import IncidentEvent, without_sums
from txmon.model.statuses import DENIED, FAILED, REVERSED, SUCCESS, role_of
from txmon.model.verdict import Verdict
from txmon.pipeline.pipeline import Pipeline
from txmon.support.durations import DAY

HOUR: Final = 3600
APART: Final = 900  # longest pause in seconds between incidents of one episode
TOP: Final = 10  # strongest alerts that are reported
TREND: Final = 61  # buckets of the running median that is removed before statuses are correlated
COMPARED: Final = (("yesterday", (1,)), ("last week", range(1, 8)), ("last month", range(1, 29)))
PROBLEMS: Final = (FAILED, REVERSED, DENIED)  # roles
FEWEST: Final = 30  # fewest buckets with both statuses for a correlation


@dataclass(frozen=True, slots=True)
class StatusTotal:
    """The totals of one status."""

    status: str
    count: int
    share: float  # of all transactions
    busiest: int  # start of its largest bucket, epoch seconds
    most: int  # transactions in that bucket


@dataclass(frozen=True, slots=True)
class ShareChange:
    """A status whose share of the volume changed in an incident."""

    status: str
    before: float  # share in the hour before, 0 to 1
    during: float
    count: int  # transactions during the incident


@dataclass(frozen=True, slots=True)
class IncidentSummary:
    """An incident from its start to its end."""

    id: str
    key: Mapping[str, str]
    label: str
    statuses: tuple[str, ...]
    start: int  # first alerting bucket, epoch seconds
    end: int | None  # bucket at which it ended; None if it was open at the file's end
    peak: int  # bucket of the strongest score
    observed: int  # in the alerting series at that time
    expected: float
    excess: float  # transactions above normal (negative: missing)
    changes: tuple[ShareChange, ...]  # largest first


@dataclass(frozen=True, slots=True)
class StatusNumbers:
    """A status in an episode: its transactions, and the expected ones."""

    status: str  # "*": all statuses
    seen: int
    expected: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """The same time on other days."""

    name: str  # yesterday, last week, last month
    days: int  # how many such days the file contains
    approved: float  # approved transactions then, mean of those days
    problems: float  # failed, reversed and denied transactions then, mean of those days


@dataclass(frozen=True, slots=True)
class Episode:
    """Incidents that overlap or follow each other closely, such as one outage and its consequences."""

    start: int
    end: int | None  # None if it was open at the file's end
    incidents: tuple[IncidentSummary, ...]  # in order of time
    above: float  # transactions above normal in its alerts, of all statuses
    below: float  # missing transactions, 0 or more; transactions missing from both a status and the total count once
    changes: tuple[ShareChange, ...]  # from the hour before the episode to the episode, largest first
    numbers: tuple[StatusNumbers, ...] = ()  # of the statuses that alerted, largest deviation first
    approved: StatusNumbers = StatusNumbers("approved", 0, 0.0)  # of all statuses that mean success
    problems: int = 0  # failed, reversed and denied transactions during it
    compared: tuple[Comparison, ...] = ()
    score: float = 0.0  # strongest score of its alerts, sigmas


@dataclass(frozen=True, slots=True)
class TransactionAnalysis:
    """The analysis of one file."""

    sources: tuple[str, ...]
    bucket: int  # seconds
    first: int  # start of the first bucket, epoch seconds
    last: int
    total: int
    statuses: tuple[StatusTotal, ...]  # largest first
    counts: Mapping[int, Mapping[str, int]]  # bucket -> status -> transactions
    silent: int  # buckets without transactions between the first and the last
    incidents: tuple[IncidentSummary, ...]  # in order of time
    episodes: tuple[Episode, ...]  # largest deviation first
    moments: tuple[Verdict, ...]  # the alerts with the strongest scores, one for each incident and status
    correlations: tuple[tuple[str, str, float], ...]  # pairs of statuses, strongest correlation first
    roles: Mapping[str, str] = field(default_factory=dict)  # by status; they take precedence over the vocabulary
    normal: Mapping[str, Normal] = field(default_factory=dict)  # by status; "*" for all statuses together


def analyze_transactions(
    items: Iterable[Item], pipeline: Pipeline, bucket: int, sources: Sequence[str]
) -> TransactionAnalysis:
    """Run `items`, oldest first, through `pipeline` and return the analysis. Raise BadData if there are none.

    bucket: the width of the pipeline's buckets, seconds.
    """
    counts: dict[int, dict[str, int]] = {}
    events: dict[str, list[IncidentEvent]] = {}
    alerts: dict[tuple[str | None, str], Verdict] = {}
    moved: dict[int, tuple[float, float]] = {}
    book = NormalBook(bucket)
    for outcome in pipeline.run(_counted(items, bucket, counts)):
        for event in outcome.events:
            events.setdefault(event.id, []).append(event)
        # a later outcome of a bucket only corrects single statuses
        moved.setdefault(outcome.time, _moved(outcome.verdicts))
        book.accept(outcome.verdicts)
        for verdict in outcome.verdicts:
            if verdict.recommendation == "alert":
                slot = (verdict.incident, verdict.status)
                if slot not in alerts or abs(verdict.score) > abs(alerts[slot].score):
                    alerts[slot] = verdict
    if not counts:
        raise BadData(f"{', '.join(sources)}: no transaction could be read")
    first, last = min(counts), max(counts)
    totals = _totals(counts)
    incidents = sorted(
        (_incident(steps, alerts, counts, bucket) for steps in events.values()), key=lambda i: (i.start, i.id)
    )
    moments = sorted(alerts.values(), key=lambda verdict: (-abs(verdict.score), verdict.time, verdict.status))
    return TransactionAnalysis(
        tuple(sources), bucket, first, last, sum(total.count for total in totals), totals, counts,
        (last - first) // bucket + 1 - len(counts), tuple(incidents),
        _episodes(incidents, counts, moved, alerts, book.by_status, pipeline.detector.config.role, bucket),
        tuple(moments[:TOP]), correlations(counts, [total.status for total in totals], bucket),
        pipeline.detector.config.role, book.by_status,
    )  # fmt: skip


def _counted(items: Iterable[Item], bucket: int, counts: dict[int, dict[str, int]]) -> Iterator[Item]:
    """Yield `items` unchanged, and add them up."""
    for item in items:
        start = item.time - item.time % bucket
        statuses = dict(counts.get(start, {}))
        found = item.counts.values() if isinstance(item, Tally) else [{item.status: item.count}]
        for one in found:
            for status, count in one.items():
                statuses[status] = statuses.get(status, 0) + count
        counts[start] = dict(sorted(statuses.items()))  # sorted, so that the order of the rows has no effect
        yield item


def _moved(verdicts: Sequence[Verdict]) -> tuple[float, float]:
    """Return the transactions above and below normal in the alerts of one bucket.

    With keys, the verdicts for all keys together count the same transactions as those of single keys. Whichever has
    more counts: an alert can be visible in only one of them.
    """
    keyed = without_sums(verdicts)
    if keyed is verdicts:
        return _sides(verdicts)
    above, below = zip(_sides(keyed), _sides([one for one in verdicts if not one.key]), strict=True)
    return max(above), max(below)


def _sides(verdicts: Sequence[Verdict]) -> tuple[float, float]:
    """Return the transactions above and below normal in the alerts among `verdicts`, which have none in common."""
    above = 0.0
    below: dict[Key, float] = {}
    for verdict in verdicts:
        gap = verdict.count - verdict.expected
        if verdict.recommendation != "alert":
            continue
        if gap < 0:
            below[verdict.key] = max(below.get(verdict.key, 0.0), -gap)
        elif verdict.status != TOTAL:
            above += gap
    return above, sum(below.values())


def _totals(counts: Mapping[int, Mapping[str, int]]) -> tuple[StatusTotal, ...]:
    sums: dict[str, int] = {}
    most: dict[str, tuple[int, int]] = {}
    for start in sorted(counts):
        for status, count in counts[start].items():
            sums[status] = sums.get(status, 0) + count
            if count > most.get(status, (-1, 0))[0]:
                most[status] = (count, start)
    total = max(1, sum(sums.values()))
    found = [StatusTotal(s, n, n / total, most[s][1], most[s][0]) for s, n in sums.items()]
    return tuple(sorted(found, key=lambda item: (-item.count, item.status)))


def _incident(
    steps: Sequence[IncidentEvent],
    alerts: Mapping[tuple[str | None, str], Verdict],
    counts: Mapping[int, Mapping[str, int]],
    bucket: int,
) -> IncidentSummary:
    last = steps[-1]
    end = last.time if last.state == "resolved" else None
    statuses = {status: None for step in steps for status in step.statuses}
    statuses |= {status: None for identity, status in alerts if identity == last.id}
    until = end if end is not None else max(counts) + bucket
    return IncidentSummary(
        last.id, dict(last.key), last.label, tuple(statuses), last.start, end, last.peak, last.observed, last.expected,
        last.excess, _changes(counts, last.start, until),
    )  # fmt: skip


def _episodes(
    incidents: Sequence[IncidentSummary],
    counts: Mapping[int, Mapping[str, int]],
    moved: Mapping[int, tuple[float, float]],
    alerts: Mapping[tuple[str | None, str], Verdict],
    normal: Mapping[str, Normal],
    roles: Mapping[str, str],
    bucket: int,
) -> tuple[Episode, ...]:
    """Group `incidents`, in order of time, into episodes. A gap longer than `APART` seconds starts the next one."""
    last = max(counts) + bucket
    groups: list[list[IncidentSummary]] = []
    until = 0
    for incident in incidents:
        if not groups or incident.start > until + APART:
            groups.append([])
            until = 0
        groups[-1].append(incident)
        until = max(until, last if incident.end is None else incident.end)
    found = []
    for group in groups:
        ends = [last if incident.end is None else incident.end for incident in group]
        end = None if any(incident.end is None for incident in group) else max(ends)
        inside = [moved[time] for time in range(group[0].start, max(ends), bucket) if time in moved]
        above, below = sum(part[0] for part in inside), sum(part[1] for part in inside)
        changes = _changes(counts, group[0].start, max(ends))
        inside_ids = {incident.id for incident in group}
        scores = [verdict.score for (identity, _), verdict in alerts.items() if identity in inside_ids]
        before = {change.status: change.before for change in changes}
        window = _Window(counts, normal, roles, before, group[0].start, max(ends), bucket)
        statuses = dict.fromkeys(status for incident in group for status in incident.statuses)
        numbers = sorted((window.numbers(s) for s in statuses), key=lambda n: -abs(n.seen - n.expected))
        found.append(
            Episode(
                group[0].start, end, tuple(group), above, below, changes, tuple(numbers), window.approved(),
                window.problems(), tuple(window.compared(name, days) for name, days in COMPARED),
                max(scores, key=abs, default=0.0),
            )
        )  # fmt: skip
    return tuple(sorted(found, key=lambda episode: (-episode.above - episode.below, episode.start)))


class _Window:
    """The counts of a span of time, and those of the same time on earlier days."""

    def __init__(
        self,
        counts: Mapping[int, Mapping[str, int]],
        normal: Mapping[str, Normal],
        roles: Mapping[str, str],
        before: Mapping[str, float],
        start: int,
        end: int,
        bucket: int,
    ) -> None:
        """Create it. before: the share of each status in the hour before. bucket: seconds."""
        self._counts = counts
        self._before = before
        self._normal = normal
        self._roles = roles
        self._start = start
        self._end = end
        self._bucket = bucket
        self._sums = self._summed(0)

    def _summed(self, shift: int) -> dict[str, int]:
        """Return the transactions of each status, `shift` seconds earlier."""
        sums: dict[str, int] = {}
        for time in range(self._start - shift, self._end - shift, self._bucket):
            for status, count in self._counts.get(time, {}).items():
                sums[status] = sums.get(status, 0) + count
        return sums

    def numbers(self, status: str) -> StatusNumbers:
        """Return the observed and the expected transactions of a status."""
        seen = sum(self._sums.values()) if status == TOTAL else self._sums.get(status, 0)
        known = self._normal[status].over(self._start, self._end) if status in self._normal else None
        expected = known[0] if known is not None else 0.0
        if status in self._before and role_of(status, self._roles) in PROBLEMS:
            # during hours of deviation the detector adopts a new level, so the share before it gives the expectation
            expected = min(expected, self._before[status] * sum(self._sums.values()))
        return StatusNumbers(status, seen, expected)

    def _of(self, sums: Mapping[str, int], roles: Sequence[str]) -> int:
        return sum(count for status, count in sums.items() if role_of(status, self._roles) in roles)

    def approved(self) -> StatusNumbers:
        """Return the numbers of all statuses that mean success, added up."""
        names = [s for s in {*self._sums, *self._normal} if s != TOTAL and role_of(s, self._roles) == SUCCESS]
        parts = [self.numbers(name) for name in names]
        name = names[0] if len(names) == 1 else "approved"
        return StatusNumbers(name, sum(p.seen for p in parts), sum(p.expected for p in parts))

    def problems(self) -> int:
        """Return the number of failed, reversed and denied transactions."""
        return self._of(self._sums, PROBLEMS)

    def compared(self, name: str, days: Sequence[int]) -> Comparison:
        """Return the same time `days` days ago. It is empty if the file contains less than half of those times."""
        before = [day for day in days if day * DAY >= self._end - self._start]  # days that do not overlap the episode
        sums = [found for day in before if (found := self._summed(day * DAY))]
        sums = sums if 2 * len(sums) >= len(days) else []
        count = max(1, len(sums))
        return Comparison(
            name, len(sums), sum(self._of(one, (SUCCESS,)) for one in sums) / count,
            sum(self._of(one, PROBLEMS) for one in sums) / count,
        )  # fmt: skip


def _changes(counts: Mapping[int, Mapping[str, int]], start: int, end: int) -> tuple[ShareChange, ...]:
    """Return how the shares of the statuses changed from the hour before `start`, largest first."""
    before = _shares(counts, start - HOUR, start)
    during = _shares(counts, start, end)
    if not before or not during:
        return ()
    found = [
        ShareChange(status, before.get(status, (0.0, 0))[0], *during.get(status, (0.0, 0)))
        for status in dict.fromkeys([*before, *during])
    ]
    return tuple(sorted(found, key=lambda change: (-abs(change.during - change.before), change.status)))


def _shares(counts: Mapping[int, Mapping[str, int]], start: int, end: int) -> dict[str, tuple[float, int]]:
    sums: dict[str, int] = {}
    for time, statuses in counts.items():
        if start <= time < end:
            for status, count in statuses.items():
                sums[status] = sums.get(status, 0) + count
    total = sum(sums.values())
    return {status: (count / total, count) for status, count in sums.items()} if total else {}


def correlations(
    counts: Mapping[int, Mapping[str, int]], statuses: Sequence[str], bucket: int
) -> tuple[tuple[str, str, float], ...]:
    """Return Spearman's rank correlation of each pair of statuses, over buckets, after removing a running median.

    Without that, all pairs would correlate, because they share the daily pattern. Statuses seen in few buckets are
    left out.
    """
    import pandas as pd

    seen = {s: sum(1 for row in counts.values() if row.get(s)) for s in statuses if s != TOTAL}
    chosen = [status for status in statuses if seen.get(status, 0) >= FEWEST][:10]
    if len(chosen) < 2:
        return ()
    times = range(min(counts), max(counts) + bucket, bucket)
    if len(times) > 50 * len(counts):  # mostly gaps, so a running median has no meaning
        return ()
    frame = pd.DataFrame({s: [counts.get(t, {}).get(s, 0) for t in times] for s in chosen}, dtype=float)
    alive = pd.Series([t in counts for t in times])
    rest = (frame - frame.rolling(TREND, center=True, min_periods=10).median())[alive]
    matrix = rest.corr(method="spearman")
    values = matrix.to_numpy().tolist()
    found = [
        (chosen[i], chosen[j], round(values[i][j], 3))
        for i in range(len(chosen))
        for j in range(i + 1, len(chosen))
        if not isnan(values[i][j])  # nan if one of them never varies
    ]
    return tuple(sorted(found, key=lambda item: (-abs(item[2]), item[0], item[1])))

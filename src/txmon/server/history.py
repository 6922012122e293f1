"""Keeps recent results for queries and the page: verdict lines, a day of every status, incidents."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from txmon.model.keys import TOTAL
from txmon.model.outcome import MARKS, Outcome, Trend
from txmon.model.verdict import Verdict
from txmon.server.incident_book import IncidentBook
from txmon.server.key_history import KeyHistory
from txmon.sinks.lines import verdict_line

DAY: Final = 86400
PACE: Final = 250  # verdicts between two moments in which other threads may run
LINES: Final = 50_000  # verdicts kept
STATUSES: Final = 100  # statuses that are drawn, because a client may invent any number of them

Point = list[float]  # time (epoch seconds), count, expected, low, high, score, mark (0 quiet, 1 pending, 2 alert)


@dataclass(frozen=True, slots=True)
class Kept:
    """A verdict line with the fields that queries filter by."""

    time: int
    status: str
    line: str


@dataclass(slots=True)
class Recent:
    """Remembers outcomes in bounded memory."""

    bucket: int  # seconds
    lines: deque[Kept] = field(default_factory=lambda: deque(maxlen=LINES))
    series: dict[str, deque[Point]] = field(default_factory=dict)  # by status, over all keys
    trends: Mapping[str, Trend] = field(default_factory=dict)
    incidents: IncidentBook = field(default_factory=IncidentBook)
    last: int | None = None  # newest closed bucket
    keys: KeyHistory = field(init=False)

    def __post_init__(self) -> None:
        self.keys = KeyHistory(self.bucket)

    def accept(self, outcome: Outcome, breathe: Callable[[], None] | None = None) -> dict[str, Point]:
        """Store one outcome. Return the points that it added or corrected, by status.

        breathe: called from time to time while there are many verdicts.
        """
        verdicts = outcome.verdicts
        revised = bool(verdicts) and verdicts[0].revises  # either all verdicts of an outcome are revised, or none
        gained = self._gained(verdicts) if revised else {}
        for verdict in paced(verdicts[-LINES:], breathe):
            self.lines.append(Kept(verdict.time, verdict.status, verdict_line(verdict)))
        for verdict in paced(verdicts, breathe):
            if verdict.key and not verdict.partial:
                self.keys.add(verdict, mark_of(verdict))
        for verdict in outcome.parts:
            self.lines.append(Kept(verdict.time, verdict.status, verdict_line(verdict)))
        for event in outcome.events:
            self.incidents.take(event)
        every = [*verdicts, *outcome.parts] if outcome.parts else verdicts
        for verdict in paced(every, breathe) if len(self.incidents) else ():
            row = self.incidents.get(verdict.incident or "")
            if row is not None and verdict.recommendation == "alert":
                row.take(verdict)
        sums = _sums(verdicts, breathe)
        if revised:
            corrected = {status: self._correct(status, point, gained.get(status)) for status, point in sums.items()}
            return {status: point for status, point in corrected.items() if point is not None}
        if verdicts and verdicts[0].partial:
            return {}
        self.trends = outcome.trends
        self.last = outcome.time
        return self._append(outcome.time, sums)

    def _append(self, time: int, sums: dict[str, Point]) -> dict[str, Point]:
        for status in sums:
            if status not in self.series and len(self.series) < STATUSES:
                self.series[status] = deque(maxlen=max(1, DAY // self.bucket))
        added: dict[str, Point] = {}
        # below 0 if nobody observed the bucket, or it is in closed hours
        unjudged = min([0.0, *(point[6] for point in sums.values())])
        for status, points in self.series.items():
            point = sums.get(status)
            if point is None:  # no row: a count of 0, with the band of the bucket before
                before = points[-1] if points else [0.0] * 7
                point = [time, 0, before[2], before[3], before[4], 0.0, unjudged]
            points.append(point)
            added[status] = point
        return added

    def _gained(self, verdicts: Sequence[Verdict]) -> dict[str, float]:
        """Return by status what late rows of some keys add to the sum over all keys. Call it before `keys` has them.

        Where all keys together are judged as a separate series, the verdicts contain the sum, and nothing is returned.
        """
        if not all(verdict.key for verdict in verdicts):
            return {}
        found: dict[str, float] = {}
        for verdict in verdicts:
            before = self.keys.count(verdict.key, verdict.status, verdict.time)
            gain = 0.0 if before is None else verdict.count - before
            found[verdict.status] = found.get(verdict.status, 0.0) + gain
        return found

    def _correct(self, status: str, point: Point, gain: float | None) -> Point | None:
        """Correct a point of a status and return it, or return None if it is no longer kept.

        gain: of a `point` that is the sum over some of the keys, what it adds to the sum over all keys.
        """
        points = self.series.get(status)
        for i in range(len(points) - 1, -1, -1) if points else ():
            assert points is not None
            if points[i][0] == point[0]:
                if gain is not None:
                    old = points[i]
                    score = max(old[5], point[5], key=abs)
                    point = [old[0], old[1] + gain, *old[2:5], score, max(old[6], point[6])]
                points[i] = point
                return point
            if points[i][0] < point[0]:
                break
        return None

    def verdicts(self, since: int | None, status: str | None, limit: int) -> tuple[list[str], bool]:
        """Return the newest `limit` lines, oldest first, and whether there were more."""
        found: list[str] = []
        for kept in reversed(self.lines):
            if (since is not None and kept.time < since) or (status is not None and kept.status != status):
                continue
            if len(found) == limit:
                return found[::-1], True
            found.append(kept.line)
        return found[::-1], False

    def last_hour(self) -> dict[str, dict[str, int]]:
        """Return by status the transactions and the alerting buckets of the hour up to the newest closed bucket."""
        found: dict[str, dict[str, int]] = {}
        oldest = (self.last or 0) - 3600
        for status, points in self.series.items():
            total = alerts = 0.0
            # from the newest on, because a day of buckets may close together and each calls this
            for point in reversed(points):
                if point[0] <= oldest:
                    break
                total += point[1]
                alerts += point[6] == 2
            found[status] = {"total": int(total), "anomalies": int(alerts)}
        return found

    def points(self, since: int, until: int) -> dict[str, list[Point]]:
        """Return by status the points over all keys from `since` to `until` (included), epoch seconds."""
        return {
            status: [point for point in points if since <= point[0] <= until] for status, points in self.series.items()
        }

    def oldest(self) -> int | None:
        """Return the time of the oldest point, epoch seconds, or None if there is none."""
        return min((int(points[0][0]) for points in self.series.values() if points), default=None)

    def snapshot(self) -> dict[str, object]:
        """Return everything except the verdict lines and the keys' numbers, as values that JSON can represent."""
        return {
            "series": {status: list(points) for status, points in self.series.items()},
            "incidents": self.incidents.snapshot(),
            "trends": {status: [trend.slope, trend.name] for status, trend in self.trends.items()},
            "last": self.last,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restore what `snapshot` returned. Raise KeyError, TypeError or ValueError if it is not valid."""
        size = max(1, DAY // self.bucket)
        self.series = {status: deque(points, maxlen=size) for status, points in state["series"].items()}
        self.incidents.restore(state["incidents"])
        self.trends = {status: Trend(slope, name) for status, (slope, name) in state["trends"].items()}
        self.last = state["last"]


UNJUDGED: Final[Mapping[str, int]] = {"unobserved": -1, "closed": -2}  # marks of buckets that were not judged


def mark_of(verdict: Verdict) -> int:
    """Return the severity of a verdict. It is below 0 if its bucket was not judged."""
    if verdict.reasons and verdict.recommendation == "ok":
        return UNJUDGED.get(verdict.reasons[-1], 0)
    return MARKS[verdict.recommendation]


def paced(verdicts: Sequence[Verdict], breathe: Callable[[], None] | None) -> Iterator[Verdict]:
    """Yield `verdicts`, and let other threads run every PACE of them."""
    for at in range(0, len(verdicts), PACE):
        if at and breathe is not None:
            breathe()
        yield from verdicts[at : at + PACE]


def _sums(verdicts: Sequence[Verdict], breathe: Callable[[], None] | None = None) -> dict[str, Point]:
    """Return one point per status: the sums of counts and bands over the keys, the strongest score, the worst mark.

    If all keys together are judged as a separate series, the point is that series'. Sums of limits would be far too
    wide, and an alert of one key is not an alert of the sum.
    """
    sums: dict[str, Point] = {}
    keyed = any(verdict.key for verdict in verdicts)
    whole = {verdict.status: verdict for verdict in paced(verdicts, breathe) if not verdict.key} if keyed else {}
    for v in paced(verdicts, breathe):
        mark = mark_of(v)
        point = sums.get(v.status)
        if point is None:
            one = whole.get(v.status, v)
            mark = mark_of(one)
            expected, score = round(one.expected, 2), round(one.score, 2)
            sums[v.status] = [v.time, one.count, expected, one.low, one.high, score, mark]
            continue
        if v.status not in whole:
            for i, value in enumerate((v.count, v.expected, v.low, v.high), 1):
                point[i] += value
            point[5] = point[5] if abs(point[5]) >= abs(v.score) else round(v.score, 2)
            point[6] = max(point[6], mark)
    if TOTAL in sums:  # first in every list of statuses
        sums = {TOTAL: sums[TOTAL], **sums}
    return sums

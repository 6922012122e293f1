"""What came out lately: verdict lines, a day of every status, incidents. What the queries and the page read."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from txmon.model.clock import iso
from txmon.model.keys import TOTAL
from txmon.model.outcome import MARKS, IncidentEvent, Outcome, Trend
from txmon.model.verdict import Verdict
from txmon.pipeline.incidents import Incident, label_of
from txmon.sinks.lines import verdict_line

DAY: Final = 86400
PACE: Final = 1000  # verdicts between two moments in which others may do something
LINES: Final = 50_000  # verdicts kept
STATUSES: Final = 100  # statuses that are drawn; a client may invent any number
INCIDENTS: Final = 500

Point = list[float]  # time (epoch seconds), count, expected, low, high, score, mark (0 quiet, 1 pending, 2 alert)


@dataclass(frozen=True, slots=True)
class Kept:
    """A verdict as it left, with what queries ask for."""

    time: int
    status: str
    line: str


@dataclass(slots=True)
class IncidentRow:
    """An incident as the page shows it."""

    id: str
    state: str
    statuses: list[str]
    key: dict[str, str]
    label: str
    start: int
    peak: int
    observed: int
    expected: float
    excess: float
    text: str
    explanation: str = ""  # the strongest verdict that its label stands for
    acknowledged: bool = False
    time: int = 0  # of the newest event
    severity: str = "warning"
    author: str = ""  # who acknowledged it
    note: str = ""
    details: dict[str, dict[str, Any]] = field(default_factory=dict)  # by status: its strongest alert
    drivers: list[dict[str, object]] | None = None  # as its lines have them; None where nothing looks for them
    money: list[dict[str, object]] = field(default_factory=list)

    def take(self, verdict: Verdict) -> None:
        """Note an alert that belongs to the incident."""
        before = self.details.get(verdict.status)
        if before is None or abs(verdict.score) >= abs(before["score"]):
            self.details[verdict.status] = {
                "status": verdict.status, "time": iso(verdict.time), "count": verdict.count,
                "expected": round(verdict.expected, 2), "score": round(verdict.score, 2), "text": verdict.text,
                "label": label_of(verdict),
            }  # fmt: skip
        own = [detail for detail in self.details.values() if detail["label"] == self.label]
        strongest = max(own or self.details.values(), key=lambda detail: abs(detail["score"]))
        self.explanation = strongest["text"]

    def public(self) -> dict[str, object]:
        """The row as JSON has it."""
        row: dict[str, object] = asdict(self)
        del row["details"]
        by_score = sorted(self.details.values(), key=lambda detail: -abs(detail["score"]))
        row["details"] = [{name: value for name, value in one.items() if name != "label"} for one in by_score]
        row["time"], row["start"], row["peak"] = iso(self.time), iso(self.start), iso(self.peak)
        if self.drivers is None:
            del row["drivers"]
        if not self.money:
            del row["money"]
        row["expected"], row["excess"] = round(self.expected, 2), round(self.excess, 1)
        return row


@dataclass(slots=True)
class Recent:
    """A bounded memory of outcomes."""

    bucket: int  # seconds
    lines: deque[Kept] = field(default_factory=lambda: deque(maxlen=LINES))
    series: dict[str, deque[Point]] = field(default_factory=dict)  # by status, over all keys
    trends: Mapping[str, Trend] = field(default_factory=dict)
    incidents: dict[str, IncidentRow] = field(default_factory=dict)
    last: int | None = None  # newest closed bucket

    def accept(self, outcome: Outcome, breathe: Callable[[], None] | None = None) -> dict[str, Point]:
        """Take one outcome; the points that it added or corrected, by status.

        breathe: called now and then where there are many verdicts.
        """
        verdicts = outcome.verdicts
        for verdict in paced(verdicts[-LINES:], breathe):
            self.lines.append(Kept(verdict.time, verdict.status, verdict_line(verdict)))
        for event in outcome.events:
            self._take_event(event)
        for verdict in paced(verdicts, breathe) if self.incidents else ():
            row = self.incidents.get(verdict.incident or "")
            if row is not None and verdict.recommendation == "alert":
                row.take(verdict)
        sums = _sums(verdicts, breathe)
        if verdicts and verdicts[0].revises:  # all of an outcome are, or none
            return {status: point for status, point in sums.items() if self._correct(status, point)}
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
        unjudged = min([0.0, *(point[6] for point in sums.values())])  # nobody observed the bucket, or it is closed
        for status, points in self.series.items():
            point = sums.get(status)
            if point is None:  # no row: a zero, with the band that held before
                before = points[-1] if points else [0.0] * 7
                point = [time, 0, before[2], before[3], before[4], 0.0, unjudged]
            points.append(point)
            added[status] = point
        return added

    def _correct(self, status: str, point: Point) -> bool:
        points = self.series.get(status)
        for i in range(len(points) - 1, -1, -1) if points else ():
            assert points is not None
            if points[i][0] == point[0]:
                points[i] = point
                return True
            if points[i][0] < point[0]:
                break
        return False

    def _take_event(self, event: IncidentEvent) -> None:
        before = self.incidents.pop(event.id, None)
        self.incidents[event.id] = IncidentRow(
            event.id, event.state, list(event.statuses), dict(event.key), event.label, event.start, event.peak,
            event.observed, event.expected, event.excess, event.text,
            event.explanation or (before.explanation if before else ""),
            before.acknowledged if before else False, event.time, event.severity, before.author if before else "",
            event.note or (before.note if before else ""),
            before.details if before else {},
            None if event.drivers is None else [one.row() for one in event.drivers],
            [one.row() for one in event.money],
        )  # fmt: skip
        while len(self.incidents) > INCIDENTS:
            gone = next((row.id for row in self.incidents.values() if row.state == "resolved"), None)
            del self.incidents[gone or next(iter(self.incidents))]

    def refresh(self, incident: Incident) -> None:
        """Bring the row of an open incident up to date; make one where a state file brought the incident alone."""
        row = self.incidents.get(incident.id)
        if row is None:
            text = f"{incident.label}: {', '.join(incident.members)}"
            row = self.incidents[incident.id] = IncidentRow(
                incident.id, "opened", [], dict(incident.key), "", incident.start, 0, 0, 0.0, 0.0, text,
                time=incident.told,
            )  # fmt: skip
        row.statuses, row.label, row.peak = list(incident.members), incident.label, incident.peak
        row.observed, row.expected, row.excess = incident.observed, incident.expected, incident.excess
        row.acknowledged, row.author, row.severity = incident.acknowledged, incident.by, incident.severity
        row.note = incident.note
        row.drivers = None if incident.drivers is None else [one.row() for one in incident.drivers]
        row.money = [one.row() for one in incident.money]
        row.explanation = incident.text or row.explanation

    def verdicts(self, since: int | None, status: str | None, limit: int) -> tuple[list[str], bool]:
        """The newest `limit` lines, oldest first, and whether there were more."""
        found: list[str] = []
        for kept in reversed(self.lines):
            if (since is not None and kept.time < since) or (status is not None and kept.status != status):
                continue
            if len(found) == limit:
                return found[::-1], True
            found.append(kept.line)
        return found[::-1], False

    def last_hour(self) -> dict[str, dict[str, int]]:
        """By status: transactions, and buckets that alerted, in the hour up to the newest closed bucket."""
        found: dict[str, dict[str, int]] = {}
        oldest = (self.last or 0) - 3600
        for status, points in self.series.items():
            total = alerts = 0.0
            for point in reversed(points):  # from the newest: a day of buckets may close at once, and each asks
                if point[0] <= oldest:
                    break
                total += point[1]
                alerts += point[6] == 2
            found[status] = {"total": int(total), "anomalies": int(alerts)}
        return found

    def snapshot(self) -> dict[str, object]:
        """All of it but the verdict lines, as JSON takes it."""
        return {
            "series": {status: list(points) for status, points in self.series.items()},
            "incidents": [asdict(row) for row in self.incidents.values()],
            "trends": {status: [trend.slope, trend.name] for status, trend in self.trends.items()},
            "last": self.last,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what `snapshot` gave; KeyError, TypeError or ValueError where that cannot be."""
        size = max(1, DAY // self.bucket)
        self.series = {status: deque(points, maxlen=size) for status, points in state["series"].items()}
        self.incidents = {row["id"]: IncidentRow(**row) for row in state["incidents"]}
        self.trends = {status: Trend(slope, name) for status, (slope, name) in state["trends"].items()}
        self.last = state["last"]


UNJUDGED: Final[Mapping[str, int]] = {"unobserved": -1, "closed": -2}  # marks of buckets that say nothing


def mark_of(verdict: Verdict) -> int:
    """The gravity of a verdict; below 0 where its bucket is not judged."""
    if verdict.reasons and verdict.recommendation == "ok":
        return UNJUDGED.get(verdict.reasons[-1], 0)
    return MARKS[verdict.recommendation]


def paced(verdicts: Sequence[Verdict], breathe: Callable[[], None] | None) -> Iterator[Verdict]:
    """Yield `verdicts`; between two thousands of them, others may do something."""
    for at in range(0, len(verdicts), PACE):
        if at and breathe is not None:
            breathe()
        yield from verdicts[at : at + PACE]


def _sums(verdicts: Sequence[Verdict], breathe: Callable[[], None] | None = None) -> dict[str, Point]:
    """A point a status: counts and bands added up over the keys, the strongest score, the worst mark.

    Where all keys together are a series of their own, beside those of the keys, its count and band are used: limits
    that are added up allow far more than the sum does by chance.
    """
    sums: dict[str, Point] = {}
    keyed = any(verdict.key for verdict in verdicts)
    whole = {verdict.status: verdict for verdict in paced(verdicts, breathe) if not verdict.key} if keyed else {}
    for v in paced(verdicts, breathe):
        mark = mark_of(v)
        point = sums.get(v.status)
        if point is None:
            one = whole.get(v.status, v)
            expected, score = round(one.expected, 2), round(v.score, 2)
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

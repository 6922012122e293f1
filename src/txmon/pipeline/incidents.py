"""Incidents: alerts that belong together, opened once, told of when they grow or last, resolved once."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from txmon.model.clock import iso
from txmon.model.keys import TOTAL, Key, unpack_key
from txmon.model.outcome import IncidentEvent, IncidentState
from txmon.model.statuses import DENIED, FAILED, NO_ROLES, REVERSED, SUCCESS, role_of, shown
from txmon.model.verdict import Verdict

RESERVED_IDS: Final = 1000  # ids remembered so that none is used twice
STRONG: Final = 6.0  # sigmas of a score that needs no second one
AGAIN: Final = 3  # buckets within which a weaker alert must come back
GROWN: Final = 2.0  # times the transactions too many (or missing) in a bucket that were last told: it has escalated
ESCALATE_EACH: Final = 900  # seconds at least between two escalations
FIELDS: Final = (
    "acknowledged", "alerts", "excess", "expected", "id", "key", "label", "last", "members", "observed", "opened",
    "peak", "root", "score", "size", "start", "told", "told_label", "told_size",
)  # fmt: skip
RANKS: Final = ("silence", "volume loss", "reversal wave", "issuer declines", "failures")


@dataclass(frozen=True, slots=True)
class IncidentPolicy:
    """When alerts are one incident, when it opens and when it is over. Seconds."""

    bucket: int = 60
    clear: int = 300
    join: int = 300
    repeat: int = 3600
    confirm: int | None = None  # how long alerts must last; None: a strong score at once, others twice in 3 buckets
    roles: Mapping[str, str] = field(default_factory=dict)  # by status, before those of the vocabulary


class Incident:
    """An incident, not yet opened or open, and what is known of it so far."""

    __slots__ = FIELDS

    def __init__(self, identity: str, key: Key, start: int) -> None:
        self.id = identity
        self.key = key
        self.start = start
        self.last = start  # newest bucket of its alerts
        self.opened = False
        self.acknowledged = False
        self.alerts: list[int] = []  # newest buckets that alerted, until it is opened
        self.told = start  # when the last event went out
        self.told_size = 0.0
        self.told_label = ""
        self.members: dict[str, int] = {}  # status -> bucket in which it last alerted
        self.label = ""
        self.root = ""  # the status that the label is of
        self.peak = start
        self.score = 0.0
        self.size = 0.0  # most transactions too many or missing in one bucket, of the root status
        self.observed = 0
        self.expected = 0.0
        self.excess = 0.0  # of the root status

    def take(self, verdict: Verdict, roles: Mapping[str, str] = NO_ROLES) -> None:
        """Add an alerting or pending verdict. roles: by status, before those of the vocabulary."""
        self.members[verdict.status] = verdict.time
        self.last = verdict.time
        if verdict.recommendation == "alert":
            if not self.alerts or self.alerts[-1] != verdict.time:
                self.alerts = [*self.alerts[1 - AGAIN :], verdict.time]
            label = label_of(verdict, roles)
            if not self.label or _rank(label) < _rank(self.label):
                self.label = label
                if self.root != verdict.status:
                    self.root, self.excess, self.score, self.size = verdict.status, 0.0, 0.0, 0.0
        if verdict.status == self.root:
            self.excess += verdict.count - verdict.expected
            self.size = max(self.size, abs(verdict.count - verdict.expected))
            if abs(verdict.score) >= abs(self.score):
                self.score, self.peak = verdict.score, verdict.time
                self.observed, self.expected = verdict.count, verdict.expected


class IncidentTracker:
    """Follows the alerts of every key from bucket to bucket."""

    def __init__(self, policy: IncidentPolicy | None = None) -> None:
        self.policy = policy or IncidentPolicy()
        self._open: dict[Key, list[Incident]] = {}
        self._used: dict[str, None] = {}

    def open(self) -> list[Incident]:
        """The incidents that have been opened and not resolved."""
        return [incident for incidents in self._open.values() for incident in incidents if incident.opened]

    def acknowledge(self, identity: str) -> bool:
        """Send no more reminders and escalations of this incident; whether it is open."""
        for incident in self.open():
            if incident.id == identity:
                incident.acknowledged = True
                return True
        return False

    def observe(self, time: int, verdicts: list[Verdict]) -> tuple[list[Verdict], list[IncidentEvent]]:
        """The verdicts with their incidents' ids, and what became of the incidents in the bucket at `time`."""
        taken: dict[int, Incident] = {}
        for verdict in verdicts:
            if verdict.recommendation == "ok" or verdict.recommendation == "warming":
                continue
            incident = self._of(verdict, time)
            if incident is not None:
                incident.take(verdict, self.policy.roles)
                taken[id(verdict)] = incident
        events = self._steps(time) if self._open else []
        if taken and any(incident.opened for incident in taken.values()):
            verdicts = [
                v.changed(incident=taken[id(v)].id) if id(v) in taken and taken[id(v)].opened else v for v in verdicts
            ]
        return verdicts, events

    def _of(self, verdict: Verdict, time: int) -> Incident | None:
        """The incident that `verdict` belongs to, begun if need be; None for a pending one that belongs to none."""
        candidates = self._open.get(verdict.key, ())
        for incident in candidates:
            if verdict.status in incident.members:
                return incident
        if verdict.recommendation != "alert":
            return None
        for incident in reversed(candidates):
            if incident.start <= time <= incident.start + self.policy.join:
                return incident
        return self._begin(verdict, time)

    def _begin(self, verdict: Verdict, time: int) -> Incident:
        stamp = iso(time).replace("-", "").replace(":", "")
        stamp = stamp[:13] if self.policy.bucket >= 60 else stamp[:15]
        silent = "silence" in verdict.reasons
        name = ("silence" if silent else "total") if verdict.status == TOTAL else verdict.status
        parts = [stamp, name, *(value for _, value in verdict.key)]
        base = "-".join("".join(c if c.isalnum() or c in "_." else "_" for c in part)[:40] for part in parts)
        identity, n = base, 1
        while identity in self._used:
            n += 1
            identity = f"{base}-{n}"
        self._used[identity] = None
        while len(self._used) > RESERVED_IDS:
            del self._used[next(iter(self._used))]
        incident = Incident(identity, verdict.key, time)
        self._open.setdefault(verdict.key, []).append(incident)
        return incident

    def _steps(self, time: int) -> list[IncidentEvent]:
        """What the bucket at `time` made of every incident: opened, escalated, reminded of, resolved, or nothing."""
        events = []
        for key in list(self._open):
            for incident in list(self._open[key]):
                for status, last in list(incident.members.items()):
                    # what alerted last stays: the end is told of it
                    if time - last >= self.policy.clear and last < incident.last:
                        del incident.members[status]
                state = self._step(incident, time)
                if time - incident.last >= self.policy.clear:
                    self._open[key].remove(incident)
                if state is not None:
                    events.append(self._event(state, incident, time))
            if not self._open[key]:
                del self._open[key]
        return events

    def _step(self, incident: Incident, time: int) -> IncidentState | None:
        """What becomes of an incident in the bucket at `time`; None for nothing that anyone is told."""
        if time - incident.last >= self.policy.clear:
            return "resolved" if incident.opened else None
        if not incident.opened:
            incident.opened = self._confirmed(incident, time)
            return "opened" if incident.opened else None
        if incident.acknowledged:
            return None
        since = time - incident.told
        grown = incident.size >= GROWN * incident.told_size or incident.label != incident.told_label
        if grown and since >= ESCALATE_EACH:
            return "escalated"
        return "reminder" if since >= self.policy.repeat else None

    def _confirmed(self, incident: Incident, time: int) -> bool:
        if incident.alerts[-1:] != [time]:
            return False
        if self.policy.confirm is not None:
            return time + self.policy.bucket - incident.start >= self.policy.confirm
        recent = [alert for alert in incident.alerts if alert > time - AGAIN * self.policy.bucket]
        return abs(incident.score) >= STRONG or len(recent) > 1

    def _event(self, state: IncidentState, incident: Incident, time: int) -> IncidentEvent:
        incident.told = time
        incident.told_size, incident.told_label = incident.size, incident.label
        statuses = tuple(incident.members)
        seen = f"{incident.observed} seen, {incident.expected:.1f} expected at {iso(incident.peak)[11:16]}"
        names = ", ".join([shown(status) for status in statuses])
        text = f"{incident.label}: {names}; {seen}; {incident.excess:+.0f} transactions against normal"
        return IncidentEvent(
            time, state, incident.id, statuses, incident.key, incident.label, incident.start, incident.peak,
            incident.observed, incident.expected, incident.excess, text,
        )  # fmt: skip

    def snapshot(self) -> dict[str, object]:
        """All of the state, as JSON takes it."""
        rows = [
            {name: getattr(incident, name) for name in FIELDS}
            for incidents in self._open.values()
            for incident in incidents
        ]
        return {"open": rows, "used": list(self._used)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what `snapshot` gave; KeyError, TypeError or ValueError where that cannot be."""
        self._open = {}
        for row in state["open"]:
            key = unpack_key(row["key"])
            incident = Incident(row["id"], key, row["start"])
            for name in FIELDS:
                if name != "key":
                    setattr(incident, name, row[name])
            self._open.setdefault(key, []).append(incident)
        self._used = dict.fromkeys(state["used"])


def label_of(verdict: Verdict, roles: Mapping[str, str] = NO_ROLES) -> str:
    """The root label that one alert speaks for. roles: by status, before those of the vocabulary."""
    above = verdict.score > 0
    if "silence" in verdict.reasons:
        return "silence"
    if verdict.status == TOTAL and "together" in verdict.reasons:
        return "all statuses together"
    role = SUCCESS if verdict.status == TOTAL else role_of(verdict.status, roles)
    if not above and role == SUCCESS:
        return "volume loss"
    if above and role == REVERSED:
        return "reversal wave"
    if above and role == DENIED:
        return "issuer declines"
    if above and role == FAILED:
        return "failures"
    name = "volume" if verdict.status == TOTAL else shown(verdict.status)
    return f"{name} {'above' if above else 'below'} normal"


def _rank(label: str) -> int:
    return RANKS.index(label) if label in RANKS else len(RANKS)

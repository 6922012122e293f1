"""Incidents: alerts that belong together, opened once and resolved once."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from .verdict import TOTAL, IncidentEvent, IncidentState, Key, Verdict, iso

RESERVED_IDS = 1000  # ids remembered so that none is used twice


@dataclass(frozen=True, slots=True)
class IncidentPolicy:
    """When alerts are one incident and when it is over. Seconds."""

    bucket: int = 60
    clear: int = 300
    join: int = 300
    repeat: int = 3600


class Incident:
    """An open incident and what is known of it so far."""

    __slots__ = (
        "excess",
        "expected",
        "id",
        "key",
        "label",
        "last",
        "members",
        "observed",
        "peak",
        "score",
        "start",
        "told",
    )

    def __init__(self, identity: str, key: Key, start: int) -> None:
        self.id = identity
        self.key = key
        self.start = start
        self.told = start  # when the last event went out
        self.members: dict[str, int] = {}  # status -> when it last alerted
        self.label = ""
        self.peak = start
        self.score = 0.0
        self.observed = 0
        self.expected = 0.0
        self.excess = 0.0
        self.last = start


class IncidentTracker:
    """Follows the alerts of every key from bucket to bucket."""

    def __init__(self, policy: IncidentPolicy | None = None) -> None:
        self.policy = policy or IncidentPolicy()
        self._open: dict[Key, list[Incident]] = {}
        self._used: dict[str, None] = {}

    def observe(self, time: int, verdicts: Sequence[Verdict]) -> tuple[Sequence[Verdict], list[IncidentEvent]]:
        """The verdicts of one closed bucket with their incidents' ids, and the events to tell after them."""
        events: list[IncidentEvent] = []
        troubled = [verdict for verdict in verdicts if verdict.recommendation in ("alert", "pending")]
        if not troubled and not self._open:
            return verdicts, events
        given: dict[int, str] = {}
        opened: dict[Key, Incident] = {}
        for verdict in troubled:
            incident = self._find(verdict, time)
            if incident is None and verdict.recommendation == "alert":
                incident = opened.get(verdict.key)
                if incident is None:
                    incident = opened[verdict.key] = self._begin(verdict, time)
            if incident is None:
                continue
            self._take(incident, verdict, time)
            given[id(verdict)] = incident.id
        events += [self._event("opened", incident, time) for incident in opened.values()]
        events += self._pass_time(time, set(map(id, opened.values())))
        if given:
            verdicts = [replace(v, incident=given[id(v)]) if id(v) in given else v for v in verdicts]
        return verdicts, events

    def _find(self, verdict: Verdict, time: int) -> Incident | None:
        candidates = self._open.get(verdict.key, ())
        for incident in candidates:
            if verdict.status in incident.members:
                return incident
        if verdict.recommendation != "alert":
            return None
        return next((i for i in reversed(candidates) if i.start < time <= i.start + self.policy.join), None)

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

    def _take(self, incident: Incident, verdict: Verdict, time: int) -> None:
        incident.members[verdict.status] = time
        incident.last = time
        if verdict.recommendation == "alert":
            incident.excess += verdict.count - verdict.expected
            incident.label = _label(incident, verdict)
        if abs(verdict.score) > abs(incident.score):
            incident.score, incident.peak = verdict.score, time
            incident.observed, incident.expected = verdict.count, verdict.expected

    def _pass_time(self, time: int, new: set[int]) -> list[IncidentEvent]:
        events = []
        for key in list(self._open):
            for incident in list(self._open[key]):
                for status, last in list(incident.members.items()):
                    if time - last >= self.policy.clear and len(incident.members) > 1:
                        del incident.members[status]
                if time - incident.last >= self.policy.clear:
                    self._open[key].remove(incident)
                    events.append(self._event("resolved", incident, time))
                elif id(incident) not in new and time - incident.told >= self.policy.repeat:
                    events.append(self._event("reminder", incident, time))
            if not self._open[key]:
                del self._open[key]
        return events

    def _event(self, state: IncidentState, incident: Incident, time: int) -> IncidentEvent:
        incident.told = time
        statuses = tuple(incident.members)
        seen = f"{incident.observed} seen, {incident.expected:.1f} expected at {iso(incident.peak)[11:16]}"
        text = f"{incident.label}: {', '.join(statuses)}; {seen}; {incident.excess:+.0f} transactions against normal"
        return IncidentEvent(
            time, state, incident.id, statuses, incident.key, incident.label, incident.start, incident.peak,
            incident.observed, incident.expected, incident.excess, text,
        )  # fmt: skip


def _label(incident: Incident, verdict: Verdict) -> str:
    """The root label, the most telling of what its alerts say so far."""
    above = verdict.score > 0
    if "silence" in verdict.reasons:
        mine = "silence"
    elif not above and verdict.status in (TOTAL, "approved"):
        mine = "volume loss"
    elif above and verdict.status in ("reversed", "backend_reversed"):
        mine = "reversal wave"
    elif above and verdict.status == "denied":
        mine = "issuer declines"
    elif above and verdict.status == "failed":
        mine = "failures"
    else:
        mine = f"{verdict.status} {'above' if above else 'below'} normal"
    order = ("silence", "volume loss", "reversal wave", "issuer declines", "failures")
    rank = {label: n for n, label in enumerate(order)}
    return min((mine, incident.label or mine), key=lambda label: rank.get(label, len(order)))

"""Follows incidents: alerts that belong together, which open once and resolve on evidence.

One key has at most one incident. While it is open, everything that alerts of the key belongs to it, and for three
times as long as it takes to end, a relapse opens the same incident again. `incident` follows one of them,
`member` a status in it, and `platform` makes one incident of the same failure at many keys.
"""

from collections.abc import Mapping
from dataclasses import field
from typing import Any, Final

from txmon.model.clock import iso
from txmon.model.keys import TOTAL, Key, pack_key, unpack_key
from txmon.model.outcome import IncidentEvent, IncidentState
from txmon.model.verdict import Verdict
from txmon.pipeline.incident import FIELDS, Incident
from txmon.pipeline.incident_text import with_text
from txmon.pipeline.member import AGAIN, Member
from txmon.pipeline.platform import add_up, attribute, gather
from txmon.support.frozen import frozen

RESERVED_IDS: Final = 1000  # ids remembered so that none is used twice
WORSEN_EACH: Final = 900  # seconds at least between two such steps
RELAPSE: Final = 3  # times --resolve-after: a relapse within it is the same incident, and it ends a flapping one
FORGOTTEN: Final = 2 * 86400  # seconds without data of the key, after which the detector has forgotten it
HELD: Final = 86400  # seconds after which a level that was held is the usual one
PATIENT: Final = 4  # times --remind-every between reminders of what is known to last: flapping, or a changed level
SHOWN_KEYS: Final = 20  # of a platform's incident that its events name


@frozen
class IncidentPolicy:
    """Holds when alerts are one incident, when it opens and when it is over. Times are seconds."""

    bucket: int = 60
    resolve_after: int = 300
    merge_within: int = 300
    remind_every: int = 3600
    open_after: int | None = None  # how long alerts must last; None: a strong score at once, others twice in 3 buckets
    role: Mapping[str, str] = field(default_factory=dict)  # by status, before those of the vocabulary
    platform: bool = True  # whether the same failure at many keys is one incident; not where a part sees some keys only


@frozen
class SilenceOrder:
    """Holds a person's order to send nothing about a status, or about all of them, until a time."""

    status: str  # "*" for all
    key: Key
    until: int  # epoch seconds
    author: str
    note: str

    def covers(self, incident: "Incident", time: int) -> bool:
        """Return whether the order covers all statuses of the incident at `time`, as a maintenance window does."""
        if time >= self.until or not set(self.key) <= set(incident.key):
            return False
        named = [status for status in incident.statuses() if status != TOTAL] or [TOTAL]
        return self.status == TOTAL or named == [self.status]


class IncidentTracker:
    """Follows the alerts of every key from bucket to bucket."""

    def __init__(self, policy: IncidentPolicy | None = None) -> None:
        self.policy = policy or IncidentPolicy()
        self._open: dict[Key, Incident] = {}  # and what may open, or was lately resolved
        self._used: dict[str, None] = {}
        self._silences: list[SilenceOrder] = []
        self._time = 0  # of the newest bucket

    def open(self) -> list[Incident]:
        """Return the incidents that have been opened and not resolved; not those that are a part of the platform's."""
        return [incident for incident in self._open.values() if incident.opened and not incident.parent]

    def find(self, identity: str) -> Incident | None:
        """Return the open incident of this id."""
        return next((incident for incident in self.open() if incident.id == identity), None)

    def acknowledge(self, identity: str, author: str = "", note: str = "") -> bool:
        """Send no more reminders of this incident until it is twice as bad; whether it is open."""
        incident = self.find(identity)
        if incident is not None:
            incident.acknowledge(author, note)
        return incident is not None

    def unacknowledge(self, identity: str) -> bool:
        """Take an acknowledgement back; whether the incident is open."""
        incident = self.find(identity)
        if incident is not None:
            incident.acknowledged = False
            incident.by = incident.note = ""
        return incident is not None

    def accept(self, identity: str, author: str = "", note: str = "") -> bool:
        """End this incident with the next bucket: how it is now is normal. Whether it is open."""
        incident = self.find(identity)
        if incident is not None:
            who = f" by {author}" if author else ""
            incident.ended = f"accepted as normal{who}" + (f": {note}" if note else "")
        return incident is not None

    def silence(self, order: SilenceOrder) -> None:
        """Silence from now on. The order replaces one of the same status and key."""
        self._silences = [one for one in self._silences if (one.status, one.key) != (order.status, order.key)]
        self._silences.append(order)

    def end_silence(self, status: str, key: Key) -> bool:
        """End a silence early. Return whether there was one. Its notifications follow with the next bucket."""
        ended = [one for one in self._silences if (one.status, one.key) == (status, key)]
        self._silences = [one for one in self._silences if (one.status, one.key) != (status, key)]
        for incident in self.open():
            if any(one.covers(incident, self._time) for one in ended):
                incident.told = self._time - PATIENT * self.policy.remind_every  # a reminder is due
        return bool(ended)

    def silences(self) -> list[SilenceOrder]:
        """Return the silences that were ordered and are not over."""
        return [order for order in self._silences if order.until > self._time]

    def observe(self, time: int, verdicts: list[Verdict]) -> tuple[list[Verdict], list[IncidentEvent]]:
        """Return the verdicts with their incidents' ids, and the steps of the incidents in the bucket at `time`."""
        self._time = time
        taken: dict[int, Incident] = {}
        for verdict in verdicts:
            if verdict.recommendation == "ok" or verdict.recommendation == "warming":
                if self._open:
                    known = self._open.get(verdict.key)
                    if known is not None:
                        known.see(verdict)
                continue
            incident = self._of(verdict, time)
            if incident is not None:
                incident.take(verdict, self.policy.role)
                taken[id(verdict)] = incident
        events = self._steps(time, taken, verdicts) if self._open else []
        if taken:
            names = {place: self._shown(incident) for place, incident in taken.items() if incident.opened}
            if names:
                verdicts = [v.changed(incident=names[id(v)]) if id(v) in names else v for v in verdicts]
        return verdicts, events

    def _shown(self, incident: Incident) -> str:
        """Return the id that people know: of a part of the platform's incident the whole's."""
        return incident.parent or incident.id

    def _of(self, verdict: Verdict, time: int) -> Incident | None:
        """Return the incident of `verdict`, which an alert begins; None for a pending verdict without an incident."""
        incident = self._open.get(verdict.key)
        if incident is not None:
            if verdict.recommendation == "alert" or verdict.status in incident.members:
                return incident
            return None
        if verdict.recommendation != "alert":
            return None
        incident = Incident(self._identity(verdict, time), verdict.key, time)
        self._open[verdict.key] = incident
        return incident

    def _identity(self, verdict: Verdict, time: int) -> str:
        silent = "silence" in verdict.reasons
        name = ("silence" if silent else "total") if verdict.status == TOTAL else verdict.status
        return self._new_id(time, [name, *(value for _, value in verdict.key)])

    def _new_id(self, time: int, names: list[str]) -> str:
        stamp = iso(time).replace("-", "").replace(":", "")
        stamp = stamp[:13] if self.policy.bucket >= 60 else stamp[:15]
        base = "-".join("".join(c if c.isalnum() or c in "_." else "_" for c in part)[:40] for part in [stamp, *names])
        identity, n = base, 1
        while identity in self._used:
            n += 1
            identity = f"{base}-{n}"
        self._used[identity] = None
        while len(self._used) > RESERVED_IDS:
            del self._used[next(iter(self._used))]
        return identity

    def _steps(self, time: int, taken: dict[int, Incident], verdicts: list[Verdict]) -> list[IncidentEvent]:
        """Return the steps of all incidents in the bucket at `time`."""
        found: list[tuple[IncidentState, Incident]] = []
        whole = self._open.get(())
        if whole is not None and whole.children:
            add_up(whole, self._open, taken, verdicts, time, self.policy.role)
        for key in list(self._open):
            incident = self._open[key]
            if key and incident.parent and (whole is None or whole.id != incident.parent):
                incident.parent = ""  # the platform's is long over
            incident.settle(time, self.policy.bucket, self.policy.resolve_after)
            state = self._step(incident, time)
            if state is not None and not incident.parent:  # the platform's incident reports its parts
                found.append((state, incident))
            if self._is_past(incident, time):
                del self._open[key]
        if self.policy.platform and whole is not None and whole.opened and not whole.children:
            found = attribute(whole, self._open, found, time)
        if self.policy.platform and any(state in ("opened", "reopened") and one.key for state, one in found):
            reach = self.policy.merge_within + AGAIN * self.policy.bucket
            found = gather(self._open, found, time, reach, self._begin_platform)
        return [self._event(state, incident, time) for state, incident in found]

    def _is_past(self, incident: Incident, time: int) -> bool:
        """Return whether the incident can be forgotten."""
        if incident.opened:
            return False
        if incident.closed:
            # an incident that stayed open for long after its last alert may relapse as well as any other
            over_since = max(incident.last + self.policy.resolve_after, incident.closed)
            return time - over_since >= (RELAPSE - 1) * self.policy.resolve_after and time > incident.closed
        return (
            incident.clear_seconds >= self.policy.resolve_after
            or time - incident.last >= RELAPSE * self.policy.resolve_after
        )

    def _step(self, incident: Incident, time: int) -> IncidentState | None:
        """Return what becomes of an incident in the bucket at `time`; None where nobody is notified."""
        if not incident.opened:
            if not self._confirmed(incident, time):
                return None
            incident.opened = True
            for member in incident.members.values():
                member.confirm(time, self.policy.bucket)
            incident.choose_root(time)
            incident.last = time
            incident.clear_seconds = 0
            if incident.closed:
                incident.begin_again()
                return "reopened"
            return "opened"
        if self._is_over(incident, time):
            incident.opened = False
            incident.closed = time
            return "resolved"
        return self._news(incident, time)

    def _is_over(self, incident: Incident, time: int) -> bool:
        """Return whether data came and was normal for long enough, or somebody said that it is over."""
        if incident.ended:
            return True
        if incident.gap >= FORGOTTEN and time - incident.last >= FORGOTTEN:
            incident.ended = "no data of it came for two days"
            return True
        for member in incident.members.values():
            if member.shifted and time - member.shifted >= HELD:
                member.shifted = 0
                if not incident.shifted():
                    incident.ended = "the new level lasted a day and is normal now"
        if incident.shifted() or incident.gap:
            return False
        enough = self.policy.resolve_after
        if incident.clear_seconds < enough * (RELAPSE if incident.flaps() else 1):
            return False
        return all(one.over or not one.confirmed or one.seems_gone(enough) for one in incident.members.values())

    def _news(self, incident: Incident, time: int) -> IncidentState | None:
        """Return the step of an open incident that goes on."""
        since = time - incident.told
        # at once; but at most once per --remind-every, for a feed that is silent every other minute
        fresh = not incident.silence_told or time - incident.silence_told >= self.policy.remind_every
        if incident.silent and incident.told_label != "silence" and fresh:
            incident.silence_told = time
            return "no data"
        shifted = [one for one in incident.members.values() if one.shifted and one.shifted == time]
        if shifted:
            return "changed level"
        alerting = incident.last == time
        if alerting and since >= WORSEN_EACH and incident.is_worse():
            return "worsened"
        if incident.acknowledged:
            return None
        patient = incident.flaps() or (incident.shifted() and not alerting)
        due = since >= self.policy.remind_every * (PATIENT if patient else 1)
        # "still going on" would be wrong in a quiet minute, which may well be the first of the last
        return "reminder" if due and (alerting or incident.gap > 0 or incident.shifted()) else None

    def _confirmed(self, incident: Incident, time: int) -> bool:
        if incident.alerts[-1:] != [time]:
            return False
        if self.policy.open_after is not None:
            return time + self.policy.bucket - incident.start >= self.policy.open_after
        recent = [alert for alert in incident.alerts if alert > time - AGAIN * self.policy.bucket]
        return len(recent) > 1 or any(m.last == time and m.is_strong() for m in incident.members.values())

    def _begin_platform(self, same: list[Incident], label: str) -> Incident:
        """Begin the platform's incident of keys that fail in the same way."""
        start = min([one.start for one in same])
        name = "silence" if label == "silence" else same[0].root if same[0].root != TOTAL else "total"
        whole = Incident(self._new_id(start, [name, "platform"]), (), start)
        self._open[()] = whole
        return whole

    # notifications

    def _event(self, state: IncidentState, incident: Incident, time: int) -> IncidentEvent:
        incident.told = time
        root = incident.root_member()
        incident.told_size, incident.told_label = root.size(), incident.label
        incident.told_severity = incident.severity
        if incident.acknowledged:
            incident.ack_size, incident.ack_label = max(incident.ack_size, root.size()), incident.label
        statuses = tuple(incident.statuses())
        keys = sorted(incident.children.values(), key=lambda pair: (-abs(pair[1]), pair[0]))
        usual = root.usual() if root.shifted else 0.0
        part = incident.parent if state == "resolved" else ""
        until = max([order.until for order in self._silences if order.covers(incident, time)], default=0)
        event = IncidentEvent(
            time, state, incident.id, statuses, incident.key, incident.label, incident.start, root.peak,
            root.observed, root.expected, root.excess, "", incident.severity, root.status, root.low, root.high,
            root.total, incident.times, tuple(keys[:SHOWN_KEYS]), len(keys), incident.silent, usual,
            incident.ended or incident.note, part, root.text, until, incident.drivers, root.money,
        )  # fmt: skip
        if incident.ended and state == "resolved":
            incident.ended = ""
        return with_text(event)

    def snapshot(self) -> dict[str, object]:
        """Return all of the state, as values of JSON."""
        rows = []
        for incident in self._open.values():
            row = {name: getattr(incident, name) for name in FIELDS}
            row["key"] = pack_key(incident.key)
            row["members"] = {status: member.snapshot() for status, member in incident.members.items()}
            row["children"] = [
                [identity, pack_key(key), excess] for identity, (key, excess) in incident.children.items()
            ]
            rows.append(row)
        silences = [[one.status, pack_key(one.key), one.until, one.author, one.note] for one in self._silences]
        return {"open": rows, "used": list(self._used), "silences": silences}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restore what `snapshot` returned. Raise KeyError, TypeError or ValueError if it is not valid."""
        self._open = {}
        for row in state["open"]:
            key = unpack_key(row["key"])
            incident = Incident(row["id"], key, row["start"])
            old = "clear_seconds" not in row  # of a version with one incident per status
            for name in FIELDS:
                if name not in ("key", "members", "children") and name in row:
                    setattr(incident, name, row[name])
            for status, member in row["members"].items():
                incident.members[status] = Member.of(status, member, row if status == row["root"] else None)
            for identity, child, excess in row.get("children", []):
                incident.children[str(identity)] = (unpack_key(child), float(excess))
            if old:
                incident.choose_root(incident.last)
                incident.severity = incident.told_severity = "warning"
            known = self._open.get(key)
            if known is None or (incident.opened and not known.opened):
                self._open[key] = incident
        self._used = dict.fromkeys(state["used"])
        self._silences = [
            SilenceOrder(str(status), unpack_key(key), int(until), str(author), str(note))
            for status, key, until, author, note in state.get("silences", [])
        ]

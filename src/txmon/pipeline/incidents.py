"""Incidents: alerts that belong together, opened once, told of when they change or last, resolved on evidence.

One key has at most one incident. While it is open, everything that alerts of the key belongs to it, and for three
times as long as it takes to end, a relapse opens the same incident again. `member` follows the single statuses, and
`platform` makes one incident of the same failure at many keys.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from txmon.model.clock import iso
from txmon.model.drivers import Drivers, drivers_text
from txmon.model.keys import TOTAL, Key, pack_key, unpack_key
from txmon.model.money import Money, money_text
from txmon.model.outcome import SEVERITIES, IncidentEvent, IncidentState, Severity
from txmon.model.statuses import NO_ROLES, shown
from txmon.model.verdict import Verdict
from txmon.pipeline.member import AGAIN, CLASSES, Member, label_of

__all__ = ["Incident", "IncidentPolicy", "IncidentTracker", "SilenceOrder", "label_of"]

RESERVED_IDS: Final = 1000  # ids remembered so that none is used twice
STRONG: Final = 6.0  # sigmas of a score that needs no second one
GROWN: Final = 2.0  # times the transactions too many (or missing) in a bucket that were last told: it has worsened
FEWEST: Final = 3.0  # transactions by which they must have grown: single ones double by chance
WORSEN_EACH: Final = 900  # seconds at least between two such steps
RELAPSE: Final = 3  # times --resolve-after: a relapse within it is the same incident, and it ends a flapping one
RARE: Final = 5.0  # transactions expected in a gap that may well be an ordinary one: e^-5 is under a percent
FORGOTTEN: Final = 2 * 86400  # seconds without a word of the key, which the detector has forgotten by then
HELD: Final = 86400  # seconds after which a level that was held is the usual one
PATIENT: Final = 4  # times --remind-every between reminders of what is known to last: flapping, or a changed level
MOST: Final = 2.0 / 3.0  # of what is wrong in all keys together, from which on it is the story of a few keys
MANY: Final = 3  # keys that fail in the same way at once: the platform's failure, and not theirs
SHOWN_KEYS: Final = 20  # of a platform's incident that its events name
FIELDS: Final = (
    "acknowledged", "ack_label", "ack_size", "alerts", "by", "children", "clear_seconds", "closed", "ended", "gap",
    "id", "key", "label", "last", "members", "note", "opened", "parent", "reopened", "root", "severity",
    "silence_told", "silent", "start", "times", "told", "told_label", "told_severity", "told_size",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class IncidentPolicy:
    """When alerts are one incident, when it opens and when it is over. Seconds."""

    bucket: int = 60
    resolve_after: int = 300
    merge_within: int = 300
    remind_every: int = 3600
    open_after: int | None = None  # how long alerts must last; None: a strong score at once, others twice in 3 buckets
    role: Mapping[str, str] = field(default_factory=dict)  # by status, before those of the vocabulary
    platform: bool = True  # whether the same failure at many keys is one incident; not where a part sees some keys only


@dataclass(frozen=True, slots=True)
class SilenceOrder:
    """Somebody wants to hear nothing of a status, or of all of them, until a time."""

    status: str  # "*" for all
    key: Key
    until: int  # epoch seconds
    author: str
    note: str

    def covers(self, incident: "Incident", time: int) -> bool:
        """Whether all of the incident is meant at `time`, as with maintenance windows."""
        if time >= self.until or not set(self.key) <= set(incident.key):
            return False
        named = [status for status in incident.statuses() if status != TOTAL] or [TOTAL]
        return self.status == TOTAL or named == [self.status]


class Incident:
    """An incident that is not yet open, open, or lately resolved, and what is known of it so far."""

    __slots__ = (*FIELDS, "came", "due_total", "total")

    def __init__(self, identity: str, key: Key, start: int) -> None:
        self.id = identity
        self.key = key
        self.start = start
        self.last = start  # newest bucket of its alerts
        self.opened = False
        self.closed = 0  # when it was last resolved; 0 for not
        self.reopened = 0  # how often after that
        self.times = 1  # how often it has begun, relapses within an open incident among them
        self.clear_seconds = 0  # of normal data since the last alert
        self.gap = 0  # seconds without any data, until some comes
        self.silent = 0  # since when no data comes although it is due; 0 while it does
        self.silence_told = 0  # when people last heard of that
        self.acknowledged = False
        self.by = ""  # who
        self.note = ""
        self.ack_size = 0.0
        self.ack_label = ""
        self.ended = ""  # why it is to end without the old level: somebody accepted the new one
        self.alerts: list[int] = []  # newest buckets that alerted
        self.told = start  # when the last event went out
        self.told_size = 0.0
        self.told_label = ""
        self.told_severity: Severity = "info"
        self.severity: Severity = "info"  # the worst so far
        self.members: dict[str, Member] = {}
        self.label = ""
        self.root = ""  # the status that the label is of
        self.parent = ""  # the platform's incident that it is a part of
        self.children: dict[str, tuple[Key, float]] = {}  # of a platform's: id -> key, excess
        # in the bucket that is being taken
        self.came = False  # a verdict of its key came
        self.total = 0  # transactions
        self.due_total = 0.0  # transactions expected

    # what others read

    @property
    def state(self) -> str:
        """`opened`, `changed level`, `no data` or `resolved`."""
        if not self.opened:
            return "resolved"
        return "no data" if self.silent else "changed level" if self.shifted() else "opened"

    @property
    def peak(self) -> int:
        """The bucket with the strongest score of the root status."""
        return self._root().peak

    @property
    def observed(self) -> int:
        """Transactions of the root status then."""
        return self._root().observed

    @property
    def expected(self) -> float:
        """Transactions expected of it then."""
        return self._root().expected

    @property
    def excess(self) -> float:
        """Transactions of the root status above normal (negative: missing)."""
        return self._root().excess

    @property
    def score(self) -> float:
        """The strongest score of the root status."""
        return self._root().score

    @property
    def text(self) -> str:
        """All of it in a sentence."""
        return self._root().text

    @property
    def drivers(self) -> Drivers | None:
        """What explains the excess of the root status; None where nothing looks for that."""
        return self._root().drivers

    @property
    def money(self) -> tuple[Money, ...]:
        """The money of the root status beside what is normal, so far."""
        return self._root().money

    def size(self) -> float:
        """Transactions of the root status too many or missing in a bucket."""
        return self._root().size()

    def _root(self) -> Member:
        found = self.members.get(self.root)
        return found if found is not None else next(iter(self.members.values()))

    def statuses(self) -> list[str]:
        """The statuses that are in it, the root first, then the largest."""
        some = [one for one in self.members.values() if one.confirmed] or list(self.members.values())
        return [one.status for one in sorted(some, key=lambda m: (m.status != self.root, -abs(m.excess), m.status))]

    def shifted(self) -> bool:
        """Whether one of its statuses has a level that is not the usual one."""
        return any(one.shifted > 0 for one in self.members.values())

    def flaps(self) -> bool:
        """Whether it goes on and off."""
        return self.reopened > 0 or self.times > AGAIN

    # one bucket

    def see(self, verdict: Verdict) -> None:
        """Note what a verdict says of the bucket besides its own series."""
        self.came = True
        if verdict.total > self.total:
            self.total = verdict.total
        if verdict.status == TOTAL:
            self.due_total = verdict.expected
        member = self.members.get(verdict.status)
        if member is not None:
            member.count = verdict.count
            member.now_due = verdict.expected
            # nothing at all is never a new level
            if "level shift" in verdict.reasons and member.confirmed and self.opened and verdict.total > 0:
                member.shift(verdict.time)

    def take(self, verdict: Verdict, roles: Mapping[str, str] = NO_ROLES) -> None:
        """Add an alerting or pending verdict. roles: by status, before those of the vocabulary."""
        member = self.members.get(verdict.status)
        if member is None:
            member = self.members[verdict.status] = Member(verdict.status, verdict.time)
        member.take(verdict, roles)
        self.see(verdict)
        if verdict.recommendation == "alert" and (not self.alerts or self.alerts[-1] != verdict.time):
            self.alerts = [*self.alerts[1 - AGAIN :], verdict.time]

    def settle(self, time: int, policy: IncidentPolicy) -> None:
        """Conclude the bucket at `time`: who holds it open, how long it is quiet, what is wrong."""
        data = self.total > 0
        quiet = 0
        if data:
            # a gap counts as quiet only where few transactions were due in it
            rare = self.gap // policy.bucket * self.due_total <= RARE
            quiet = policy.bucket + (self.gap if rare else 0)
            self.gap = 0
            self.silent = 0
        else:
            self.gap += policy.bucket
        holds = False
        for member in self.members.values():
            member.settle(time, self.total if data else -1, quiet, policy.bucket, policy.resolve_after)
            if self.opened:
                holds = holds or member.holds(time)
            elif not self.closed and member.last == time:  # what may open is held by any alert
                holds = True
        if holds:
            if self.opened and self.clear_seconds >= AGAIN * policy.bucket:
                self.times += 1
            self.clear_seconds = 0
            self.last = time
        else:
            self.clear_seconds += quiet
        total = self.members.get(TOTAL)
        if total is not None and total.last == time and total.label == "silence" and not data and not self.silent:
            self.silent = time
        self.came, self.total, self.due_total = False, 0, 0.0
        self._name(time)

    def _name(self, time: int) -> None:
        """Choose the status that says best what is wrong, and how bad it is."""
        some = [one for one in self.members.values() if one.confirmed] or list(self.members.values())
        active = [one for one in some if not one.over]
        if active:
            best = min(active, key=lambda one: (one.rank(), -abs(one.excess), one.first, one.status))
            now = self.members.get(self.root)
            stays = now is not None and not now.over and now.rank() == best.rank() and now.confirmed == best.confirmed
            if not stays or (now is not None and abs(best.excess) > 1.5 * abs(now.excess)):
                self.root = best.status
        root = self._root()
        self.label = root.label
        found = root.severity()
        if SEVERITIES.index(found) > SEVERITIES.index(self.severity):
            self.severity = found

    def acknowledge(self, author: str, note: str) -> None:
        """Note that somebody knows of it as it is now."""
        self.acknowledged = True
        self.by, self.note = author, note
        self.ack_size, self.ack_label = self._root().size(), self.label

    def begin_again(self) -> None:
        """Open an incident again that was resolved: what was acknowledged was the one before."""
        self.reopened += 1
        self.times += 1
        self.closed = 0
        self.acknowledged = False
        self.note = self.by = ""

    def is_worse(self) -> bool:
        """Whether it is twice as bad as when people last heard of it, or worse in kind."""
        root = self._root()
        known_size, known_label = self.told_size, self.told_label
        if self.acknowledged:
            known_size, known_label = max(self.ack_size, self.told_size), self.ack_label or self.told_label
        size = root.size()
        kind, known_kind = CLASSES.get(self.label, 9), CLASSES.get(known_label, 9)
        if kind <= known_kind and size >= GROWN * known_size and size - known_size >= FEWEST:
            return True
        if SEVERITIES.index(self.severity) > SEVERITIES.index(self.told_severity):
            return True
        return kind < known_kind


class IncidentTracker:
    """Follows the alerts of every key from bucket to bucket."""

    def __init__(self, policy: IncidentPolicy | None = None) -> None:
        self.policy = policy or IncidentPolicy()
        self._open: dict[Key, Incident] = {}  # and what may open, or was lately resolved
        self._used: dict[str, None] = {}
        self._silences: list[SilenceOrder] = []
        self._time = 0  # of the newest bucket

    def open(self) -> list[Incident]:
        """The incidents that have been opened and not resolved; not those that are a part of the platform's."""
        return [incident for incident in self._open.values() if incident.opened and not incident.parent]

    def find(self, identity: str) -> Incident | None:
        """The open incident of this id."""
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
        """Obey a silence from now on; it takes the place of one of the same status and key."""
        self.end_silence(order.status, order.key)
        self._silences.append(order)

    def end_silence(self, status: str, key: Key) -> bool:
        """End a silence before its time; whether there was one."""
        before = len(self._silences)
        self._silences = [one for one in self._silences if (one.status, one.key) != (status, key)]
        return len(self._silences) < before

    def silences(self) -> list[SilenceOrder]:
        """The silences that were ordered and are not over."""
        return [order for order in self._silences if order.until > self._time]

    def observe(self, time: int, verdicts: list[Verdict]) -> tuple[list[Verdict], list[IncidentEvent]]:
        """The verdicts with their incidents' ids, and what became of the incidents in the bucket at `time`."""
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
        """The id that people know: of a part of the platform's incident the whole's."""
        return incident.parent or incident.id

    def _of(self, verdict: Verdict, time: int) -> Incident | None:
        """The incident that `verdict` belongs to, begun if need be; None for a pending one that belongs to none."""
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
        """What the bucket at `time` made of every incident: opened, worsened, reminded of, resolved, or nothing."""
        found: list[tuple[IncidentState, Incident]] = []
        whole = self._open.get(())
        if whole is not None and whole.children:
            self._sum(whole, time, taken, verdicts)
        for key in list(self._open):
            incident = self._open[key]
            if key and incident.parent and (whole is None or whole.id != incident.parent):
                incident.parent = ""  # the platform's is long over
            incident.settle(time, self.policy)
            state = self._step(incident, time)
            if state is not None and not incident.parent:  # what is a part of the platform's is told with that
                found.append((state, incident))
            if self._is_past(incident, time):
                del self._open[key]
        if self.policy.platform and whole is not None and whole.opened and not whole.children:
            found = self._attribute(whole, found, time)
        if self.policy.platform and any(state in ("opened", "reopened") and one.key for state, one in found):
            found = self._gather(found, time)
        return [self._event(state, incident, time) for state, incident in found]

    def _is_past(self, incident: Incident, time: int) -> bool:
        """Whether the incident can be forgotten."""
        if incident.opened:
            return False
        if incident.closed:
            return time - incident.last >= RELAPSE * self.policy.resolve_after and time > incident.closed
        return (
            incident.clear_seconds >= self.policy.resolve_after
            or time - incident.last >= RELAPSE * self.policy.resolve_after
        )

    def _step(self, incident: Incident, time: int) -> IncidentState | None:
        """What becomes of an incident in the bucket at `time`; None for nothing that anyone is told."""
        if not incident.opened:
            if not self._confirmed(incident, time):
                return None
            incident.opened = True
            for member in incident.members.values():
                member.confirm(time, self.policy.bucket)
            incident._name(time)
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
        """Whether data came and was normal for long enough, or somebody said that it is over."""
        if incident.ended:
            return True
        if incident.gap >= FORGOTTEN and time - incident.last >= FORGOTTEN:
            incident.ended = "nothing was heard of it for two days"
            return True
        for member in incident.members.values():
            if member.shifted and time - member.shifted >= HELD:
                member.shifted = 0
                if not incident.shifted():
                    incident.ended = "the new level was held for a day and is the usual one now"
        if incident.shifted() or incident.gap:
            return False
        enough = self.policy.resolve_after
        if incident.clear_seconds < enough * (RELAPSE if incident.flaps() else 1):
            return False
        return all(one.over or not one.confirmed or one.seems_gone(enough) for one in incident.members.values())

    def _news(self, incident: Incident, time: int) -> IncidentState | None:
        """The step of an open incident that goes on."""
        since = time - incident.told
        # told at once, but of a feed that is silent every other minute once in a while
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
        return len(recent) > 1 or any(m.last == time and abs(m.newest) >= STRONG for m in incident.members.values())

    # the same failure at many keys

    def _attribute(
        self, whole: Incident, found: list[tuple[IncidentState, Incident]], time: int
    ) -> list[tuple[IncidentState, Incident]]:
        """Leave what all keys together show to the few keys that explain it, or make the failing keys a part of it.

        whole: the open incident of all keys together. Once people know of it, it stays what it is.
        """
        if not any(one is whole for _, one in found) and (not whole.parent or whole.last != time):
            return found
        same = [one for one in self._open.values() if one.key and one.opened and one.label == whole.label]
        largest = sorted(same, key=lambda one: (-one.size(), one.id))[: MANY - 1]
        if largest and sum([one.size() for one in largest]) >= MOST * whole.size():
            whole.parent = largest[0].id
            return [pair for pair in found if pair[1] is not whole]
        kept = list(found)
        if whole.parent:
            whole.parent = ""
            kept.append(("opened", whole))
        self._join(whole, same, kept)
        return [(state, one) for state, one in kept if not one.parent or state == "resolved"]

    @staticmethod
    def _join(whole: Incident, same: list[Incident], kept: list[tuple[IncidentState, Incident]]) -> None:
        """Make the incidents of keys a part of the platform's. kept: the steps of this bucket."""
        new = [one for state, one in kept if state in ("opened", "reopened")]
        for one in sorted(same, key=lambda i: (-abs(i.excess), i.id)):
            one.parent = whole.id
            whole.children[one.id] = (one.key, one.excess)
            if not any(other is one for other in new):  # people heard of it before: say where it has gone
                kept.append(("resolved", one))

    def _gather(self, found: list[tuple[IncidentState, Incident]], time: int) -> list[tuple[IncidentState, Incident]]:
        """Make one incident of the platform of those that opened lately under the same label."""
        kept = list(found)
        opening = {one.label for state, one in found if state in ("opened", "reopened") and one.key}
        for label in sorted(opening):
            whole = self._open.get(())
            reach = self.policy.merge_within + AGAIN * self.policy.bucket
            same = [
                one
                for one in self._open.values()
                if one.key and one.opened and not one.parent and one.label == label and time - one.start <= reach
            ]
            if whole is not None and whole.opened:
                if whole.parent or (label != whole.label and whole.last != time):
                    continue
            elif len(same) < MANY or (whole is not None and whole.closed):
                continue
            else:
                whole = whole or self._of_many(same, label)
                whole.opened = True
                kept.append(("opened", whole))
            for one in same:
                _merge(whole, one)
            self._join(whole, same, kept)
            for member in whole.members.values():
                member.confirmed = True
            whole._name(time)
        return [(state, one) for state, one in kept if not one.parent or state == "resolved"]

    def _of_many(self, same: list[Incident], label: str) -> Incident:
        """Begin the platform's incident of keys that fail in the same way."""
        start = min([one.start for one in same])
        name = "silence" if label == "silence" else same[0].root if same[0].root != TOTAL else "total"
        whole = Incident(self._new_id(start, [name, "platform"]), (), start)
        self._open[()] = whole
        return whole

    def _sum(self, whole: Incident, time: int, taken: dict[int, Incident], verdicts: list[Verdict]) -> None:
        """Let a platform's incident take what its keys' verdicts come to."""
        judged = any(not verdict.key for verdict in verdicts)  # all keys together have verdicts of their own
        if not judged:
            for verdict in verdicts:
                if verdict.status == TOTAL:
                    whole.total += verdict.total
                    whole.due_total += verdict.expected
        for child in self._open.values():
            if child.parent == whole.id:
                whole.children[child.id] = (child.key, child.excess)
        sums = self._sums_of_parts(whole, time, taken, verdicts)
        for status, found in sums.items():
            mine = whole.members.setdefault(status, Member(status, time))
            if not judged or mine.last != time or not mine.buckets:  # a verdict on all keys says it better
                mine.absorb(found, time)
                mine.confirmed = True
        if sums and whole.alerts[-1:] != [time]:
            whole.alerts = [*whole.alerts[1 - AGAIN :], time]

    def _sums_of_parts(
        self, whole: Incident, time: int, taken: dict[int, Incident], verdicts: list[Verdict]
    ) -> dict[str, Member]:
        """Return what the alerting verdicts of the platform's keys come to, by status."""
        sums: dict[str, Member] = {}
        for verdict in verdicts:
            one = taken.get(id(verdict))
            if one is not None and one.parent == whole.id:
                if verdict.status not in sums:
                    sums[verdict.status] = Member(verdict.status, time)
                    sums[verdict.status].label = label_of(verdict, self.policy.role)
                sums[verdict.status].add(verdict)
        return sums

    # what is told

    def _event(self, state: IncidentState, incident: Incident, time: int) -> IncidentEvent:
        incident.told = time
        root = incident._root()
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
            incident.ended or incident.note, part, root.text, until, root.drivers, root.money,
        )  # fmt: skip
        if incident.ended and state == "resolved":
            incident.ended = ""
        return _with_text(event)

    def snapshot(self) -> dict[str, object]:
        """All of the state, as JSON takes it."""
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
        """Take over what `snapshot` gave; KeyError, TypeError or ValueError where that cannot be."""
        self._open = {}
        for row in state["open"]:
            key = unpack_key(row["key"])
            incident = Incident(row["id"], key, row["start"])
            old = "clear_seconds" not in row  # of a version that kept an incident a status
            for name in FIELDS:
                if name not in ("key", "members", "children") and name in row:
                    setattr(incident, name, row[name])
            for status, member in row["members"].items():
                incident.members[status] = Member.of(status, member, row if status == row["root"] else None)
            for identity, child, excess in row.get("children", []):
                incident.children[str(identity)] = (unpack_key(child), float(excess))
            if old:
                incident._name(incident.last)
                incident.severity = incident.told_severity = "warning"
            known = self._open.get(key)
            if known is None or (incident.opened and not known.opened):
                self._open[key] = incident
        self._used = dict.fromkeys(state["used"])
        self._silences = [
            SilenceOrder(str(status), unpack_key(key), int(until), str(author), str(note))
            for status, key, until, author, note in state.get("silences", [])
        ]


def _merge(whole: Incident, part: Incident) -> None:
    """Add what is known of a key's incident to the platform's.

    Where all keys together have verdicts of their own on a status, those say more than the sum over these keys.
    """
    whole.start = min(whole.start, part.start)
    whole.last = max(whole.last, part.last)
    for status, member in part.members.items():
        mine = whole.members.get(status)
        if mine is None:
            mine = whole.members[status] = Member(status, member.first)
        if not mine.buckets:
            mine.join(member)


def _with_text(e: IncidentEvent) -> IncidentEvent:
    """The event with its sentence: what is wrong, since when, how much, where."""
    parts = [f"{e.label}: {', '.join('total volume' if s == TOTAL else shown(s) for s in e.statuses)}"]
    if e.parent:
        parts.append(f"part of the platform's incident {e.parent} from now on")
    if e.times > 1:
        parts.append(f"on and off since {iso(e.start)[11:16]}, {e.times} times")
    if e.no_data_since and e.state != "resolved":
        parts.append(f"no data since {iso(e.no_data_since)[11:16]}")
    if e.usual and e.state != "resolved":
        parts.append(f"still {times_usual(e.usual)}; open until the old level is back or somebody accepts the new one")
    parts.append(seen_text(e) + f" at {iso(e.peak)[11:16]}")
    parts.append(f"{e.excess:+.0f} transactions against normal")
    if e.drivers is not None:
        parts.append(drivers_text(e.drivers))
    if e.money:
        parts.append(money_text(e.money))
    if e.key_count:
        names = ["/".join(value for _, value in key) for key, _ in e.keys[:5]]
        more = f" and {e.key_count - len(names)} more" if e.key_count > len(names) else ""
        parts.append(f"{e.key_count} keys: {', '.join(names)}{more}")
    if e.note:
        parts.append(e.note)
    return replace(e, text="; ".join(parts))


def times_usual(usual: float) -> str:
    """A ratio to the usual level in words: `4 times the usual`, `40% of the usual`."""
    if usual >= 9.5:
        return f"{usual:.0f} times the usual"
    return f"{usual:.2g} times the usual" if usual >= 1.0 else f"{100.0 * usual:.0f}% of the usual"


def seen_text(e: IncidentEvent) -> str:
    """What was seen at the peak beside what is normal: `122 reversed, normal is 0 to 6 (57% of all)`."""
    root = e.root or e.statuses[0]
    name = "transactions" if root == TOTAL else shown(root)
    if e.low == 0 and e.high == 0:  # an event of an earlier version, which did not say
        normal = f"{e.expected:.1f} expected" if e.expected >= 0.05 else "usually none"
    else:
        normal = f"normal is {e.low} to {e.high}"
    share = ""
    if root != TOTAL and e.total > 0 and e.observed:
        part = 100.0 * e.observed / e.total
        share = f" ({part:.0f}% of all)" if part >= 1 else f" ({part:.1g}% of all)"
    return f"{e.observed} {name}, {normal}{share}"

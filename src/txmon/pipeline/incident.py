"""Holds one incident: its statuses, since when, how bad it is, and what people know of it."""

from collections.abc import Mapping
from typing import Final

from txmon.model.drivers import Drivers
from txmon.model.keys import TOTAL, Key
from txmon.model.money import Money
from txmon.model.outcome import SEVERITIES, Severity
from txmon.model.statuses import NO_ROLES
from txmon.model.verdict import Verdict
from txmon.pipeline.member import AGAIN, CLASSES, Member

GROWN: Final = 2.0  # times the transactions too many (or missing) in a bucket that were last told: it has worsened
FEWEST: Final = 3.0  # transactions by which they must have grown: single ones double by chance
RARE: Final = 5.0  # transactions expected in a gap that may well be an ordinary one: e^-5 is under a percent
FIELDS: Final = (
    "acknowledged", "ack_label", "ack_size", "alerts", "by", "children", "clear_seconds", "closed", "ended", "gap",
    "id", "key", "label", "last", "members", "note", "opened", "parent", "reopened", "root", "severity",
    "silence_told", "silent", "start", "times", "told", "told_label", "told_severity", "told_size",
)  # fmt: skip


class Incident:
    """Follows an incident that is not yet open, open, or lately resolved. Times are epoch seconds."""

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
        """Return `opened`, `changed level`, `no data` or `resolved`."""
        if not self.opened:
            return "resolved"
        return "no data" if self.silent else "changed level" if self.shifted() else "opened"

    @property
    def peak(self) -> int:
        """Return the bucket with the strongest score of the root status."""
        return self.root_member().peak

    @property
    def observed(self) -> int:
        """Return the transactions of the root status in the bucket at `peak`."""
        return self.root_member().observed

    @property
    def expected(self) -> float:
        """Return the transactions expected of the root status in the bucket at `peak`."""
        return self.root_member().expected

    @property
    def excess(self) -> float:
        """Return the transactions of the root status above normal so far; negative where they are missing."""
        return self.root_member().excess

    @property
    def score(self) -> float:
        """Return the strongest score of the root status."""
        return self.root_member().score

    @property
    def text(self) -> str:
        """Return the strongest verdict of the root status in words."""
        return self.root_member().text

    @property
    def drivers(self) -> Drivers | None:
        """Return what explains the excess of the root status; None where nothing looks for that, or no data comes."""
        return None if self.silent else self.root_member().drivers

    @property
    def money(self) -> tuple[Money, ...]:
        """Return the money of the root status beside what is normal, so far."""
        return self.root_member().money

    def size(self) -> float:
        """Return the transactions of the root status too many or missing in a bucket."""
        return self.root_member().size()

    def root_member(self) -> Member:
        """Return the status that says best what is wrong, as a member."""
        found = self.members.get(self.root)
        return found if found is not None else next(iter(self.members.values()))

    def statuses(self) -> list[str]:
        """Return the statuses that are in it, the root first, then the largest."""
        some = [one for one in self.members.values() if one.confirmed] or list(self.members.values())
        return [one.status for one in sorted(some, key=lambda m: (m.status != self.root, -abs(m.excess), m.status))]

    def shifted(self) -> bool:
        """Return whether one of its statuses has a level that is not the usual one."""
        return any(one.shifted > 0 for one in self.members.values())

    def flaps(self) -> bool:
        """Return whether it goes on and off."""
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

    def settle(self, time: int, bucket: int, resolve_after: int) -> None:
        """Conclude the bucket at `time`: who holds it open, how long it is quiet, what is wrong.

        bucket: its width, seconds. resolve_after: seconds of normal data after which a status of it is over.
        """
        data = self.total > 0
        quiet = 0
        if data:
            # a gap counts as quiet only where few transactions were due in it
            rare = self.gap // bucket * self.due_total <= RARE
            quiet = bucket + (self.gap if rare else 0)
            self.gap = 0
            self.silent = 0
        else:
            self.gap += bucket
        holds = explained = False
        for member in self.members.values():
            if member.settle(time, self.total if data else -1, quiet, bucket, resolve_after):
                explained = True
            if self.opened:
                holds = holds or member.holds(time)
            elif not self.closed and member.last == time:  # what may open is held by any alert
                holds = True
        if holds:
            if self.opened and self.clear_seconds >= AGAIN * bucket:
                self.times += 1
            self.clear_seconds = 0
            self.last = time
        elif not explained:
            self.clear_seconds += quiet
        total = self.members.get(TOTAL)
        if total is not None and total.last == time and total.label == "silence" and not data and not self.silent:
            self.silent = time
        self.came, self.total, self.due_total = False, 0, 0.0
        self.choose_root(time)

    def choose_root(self, time: int) -> None:
        """Choose the status that says best what is wrong, and how bad it is."""
        some = [one for one in self.members.values() if one.confirmed] or list(self.members.values())
        active = [one for one in some if not one.over]
        if active:
            best = min(active, key=lambda one: (one.rank(), -abs(one.excess), one.first, one.status))
            now = self.members.get(self.root)
            stays = now is not None and not now.over and now.rank() == best.rank() and now.confirmed == best.confirmed
            if not stays or (now is not None and abs(best.excess) > 1.5 * abs(now.excess)):
                self.root = best.status
        root = self.root_member()
        self.label = root.label
        found = root.severity()
        if SEVERITIES.index(found) > SEVERITIES.index(self.severity):
            self.severity = found

    def acknowledge(self, author: str, note: str) -> None:
        """Note that somebody knows of it as it is now."""
        self.acknowledged = True
        self.by, self.note = author, note
        self.ack_size, self.ack_label = self.root_member().size(), self.label

    def begin_again(self) -> None:
        """Open a resolved incident again. Its acknowledgement does not count any more."""
        self.reopened += 1
        self.times += 1
        self.closed = 0
        self.acknowledged = False
        self.note = self.by = ""

    def is_worse(self) -> bool:
        """Return whether it is twice as bad as when people last heard of it, or worse in kind."""
        root = self.root_member()
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

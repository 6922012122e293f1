"""One status of an incident: since when it alerts, how far it is from normal, and at which level it stays."""

from collections.abc import Mapping
from math import log, sqrt
from typing import Any, Final

from txmon.model.drivers import Drivers, pack_drivers, unpack_drivers
from txmon.model.keys import TOTAL
from txmon.model.money import Money, added, pack_amounts, unpack_amounts
from txmon.model.outcome import Severity
from txmon.model.statuses import DENIED, FAILED, NO_ROLES, REVERSED, SUCCESS, role_of, shown
from txmon.model.verdict import Verdict

AGAIN: Final = 3  # buckets within which a weaker alert must come back
STRONG: Final = 6.0  # sigmas of a score that needs no second one
# With the default budget, 52 alerts a year reach their threshold by chance, so such an alert needs a second one within
# AGAIN buckets. A score that chance reaches once in 50 years needs none. That is about 1.4 times the threshold (5.5
# sigmas among eight series). Sigmas alone do not tell it: a threshold grows with the number of series, and a calibrated
# series has its score divided by how far its own scores reach.
RARE: Final = 0.02  # false alarms a year at most at a score that needs no second one
GONE: Final = -3.0  # log-likelihood of the incident's level against the normal one, below which it seems over: 1 in 20
SLOW: Final = 3  # times --resolve-after without an alert, after which the normal level need only be the likelier one
LONGEST: Final = 6  # times --resolve-after without an alert, after which it is over in any case
BATCH: Final = 1.5  # times the usual count, from which on a count that is expected to the transaction is a batch
ALIKE: Final = 0.1  # relative difference of the two levels, below which counts cannot tell them apart
LOSS: Final = 0.3  # of the volume: above it the loss is what matters most
# what matters most, first; of labels in one class the largest excess
CLASSES: Final[Mapping[str, int]] = {
    "silence": 0, "volume loss": 1, "reversal wave": 2, "issuer declines": 2, "failures": 2,
    "all statuses together": 4,
}  # fmt: skip
OTHER: Final = 5
# how bad: the share of the volume and the transactions a minute from which on it is critical, and a warning. They are
# single numbers, because the compiled module did not find final tuples of numbers ("value for final name not set")
CRITICAL_SHARE: Final = 0.1
CRITICAL_RATE: Final = 10.0
WARNING_SHARE: Final = 0.03
WARNING_RATE: Final = 3.0
FIELDS: Final = (
    "buckets", "calm_due", "calm_seen", "confirmed", "drivers", "due", "excess", "expected", "first", "high", "label",
    "last", "low", "minute", "money", "newest", "now_due", "observed", "over", "peak", "quiet", "rarity", "recent",
    "score", "seen", "shifted", "sizes", "strong", "text", "total", "volume",
)  # fmt: skip

NEW: Final = ("calm_due", "calm_seen", "now_due", "rarity")  # not in older states


class Member:
    """Follows a status (or the total volume) in an incident. Times are epoch seconds."""

    __slots__ = (*FIELDS, "count", "status")

    def __init__(self, status: str, first: int) -> None:
        self.status = status
        self.first = first
        self.last = first  # newest bucket in which it alerted, or was not back to normal
        self.strong: list[int] = []  # newest buckets that alerted
        self.newest = 0.0  # the last score
        self.rarity = 0.0  # and the false alarms a year to expect at it; 0 where that is not known
        self.confirmed = False  # one weak alert alone holds no incident open
        self.over = False  # back to normal for long enough
        self.quiet = 0  # seconds of data without an alert
        self.calm_seen = 0.0  # since the last alert: transactions, and those that were expected
        self.calm_due = 0.0
        self.now_due = 0.0  # transactions expected in the newest bucket that has a verdict
        self.label = ""
        self.score = 0.0  # the strongest
        self.peak = first
        self.observed = 0
        self.expected = 0.0
        self.low = 0
        self.high = 0
        self.total = 0
        self.text = ""
        self.excess = 0.0
        self.sizes: list[float] = []  # transactions too many or missing in the newest buckets that alerted, a minute
        self.minute = 1.0  # minutes in a bucket
        # over all buckets that alerted: transactions seen, expected, and of all statuses
        self.buckets = 0
        self.seen = 0.0
        self.due = 0.0
        self.volume = 0.0
        self.shifted = 0  # since when its level is scored as a new one; 0 for not
        self.recent: list[list[float]] = []  # then: counts and volumes of the newest buckets
        self.money: tuple[Money, ...] = ()  # so far, by currency
        self.drivers: Drivers | None = None  # of the strongest alert that says what drives it
        self.count = 0  # in the bucket that is being taken

    def take(self, verdict: Verdict, roles: Mapping[str, str] = NO_ROLES) -> None:
        """Add an alerting or pending verdict. roles: by status, before those of the vocabulary."""
        self.last = verdict.time
        self.newest, self.rarity = verdict.score, verdict.rarity
        self.count = verdict.count
        self.now_due = verdict.expected
        gap = verdict.count - verdict.expected
        self.excess += gap
        if verdict.money:
            self.money = added(self.money, verdict.money)
        alerts = verdict.recommendation == "alert"
        if alerts:
            if not self.strong or self.strong[-1] != verdict.time:
                self.strong = [*self.strong[1 - AGAIN :], verdict.time]
            self.sizes = [*self.sizes[1 - AGAIN :], abs(gap)]
            self.buckets += 1
            self.seen += verdict.count
            self.due += verdict.expected
            self.volume += verdict.total
        # the label is of the strongest alert, but of a silence at once, and no longer than it lasts
        silent = "silence" in verdict.reasons
        if alerts and (abs(verdict.score) >= abs(self.score) or silent != (self.label == "silence") or not self.label):
            self.label = label_of(verdict, roles)
            self._stand(verdict)
        elif not self.label:
            self.label = label_of(verdict, roles)

    def _stand(self, verdict: Verdict) -> None:
        self.score, self.peak = verdict.score, verdict.time
        self.observed, self.expected = verdict.count, verdict.expected
        self.low, self.high, self.total = verdict.low, verdict.high, verdict.total
        self.text = verdict.text
        if verdict.drivers is not None:
            self.drivers = verdict.drivers

    def add(self, verdict: Verdict) -> None:
        """Add a key's verdict to the sum over keys of one bucket."""
        self.observed += verdict.count
        self.expected += verdict.expected
        self.low += verdict.low
        self.high += verdict.high
        self.total += verdict.total
        self.excess += verdict.count - verdict.expected
        self.money = added(self.money, verdict.money)
        if abs(verdict.score) > abs(self.score):
            self.score, self.rarity = verdict.score, verdict.rarity

    def absorb(self, bucket: "Member", time: int) -> None:
        """Take the sum over keys of one bucket."""
        self.last = time
        self.newest, self.rarity = bucket.score, bucket.rarity
        self.excess += bucket.excess
        self.money = added(self.money, bucket.money)
        self.sizes = [*self.sizes[1 - AGAIN :], abs(bucket.excess)]
        self.strong = [*self.strong[1 - AGAIN :], time]
        if abs(bucket.excess) >= abs(self.observed - self.expected):
            self.score, self.peak, self.label = bucket.score, time, bucket.label
            self.observed, self.expected, self.total = bucket.observed, bucket.expected, bucket.total
            self.low, self.high = bucket.low, bucket.high

    def join(self, other: "Member") -> None:
        """Add the same status of a key's incident."""
        self.first = min(self.first, other.first)
        self.last = max(self.last, other.last)
        self.label = self.label or other.label
        self.excess += other.excess
        self.money = added(self.money, other.money)
        self.observed += other.observed
        self.expected += other.expected
        self.low += other.low
        self.high += other.high
        self.total += other.total
        self.peak = max(self.peak, other.peak)
        self.score = other.score if abs(other.score) > abs(self.score) else self.score
        self.sizes = [max(self.sizes, default=0.0) + other.size()]
        self.confirmed = self.confirmed or other.confirmed
        self.minute = other.minute

    def holds(self, time: int) -> bool:
        """Return whether it holds its incident open in the bucket at `time`."""
        return self.last == time and self.confirmed and not self.over

    def is_strong(self) -> bool:
        """Return whether its newest alert needs no second one."""
        return abs(self.newest) >= STRONG or 0.0 < self.rarity <= RARE

    def confirm(self, time: int, bucket: int) -> None:
        """Let it hold the incident open, where it alerts strongly or alerted twice."""
        recent = [alert for alert in self.strong if alert > time - AGAIN * bucket]
        if recent and (len(recent) > 1 or self.is_strong()):
            self.confirmed = True
            self.over = False

    def settle(self, time: int, total: int, quiet: int, bucket: int, clear: int) -> bool:
        """Conclude the bucket at `time`; return whether it says nothing of this status, whose alerts hold.

        total: its transactions, -1 without data. quiet: the seconds that count as normal ones.
        """
        self.minute = bucket / 60.0
        explained = False
        if self.last == time:
            self.quiet = 0
            self.calm_seen = self.calm_due = 0.0
            self.confirm(time, bucket)
        elif self._is_explained(total):
            explained = self.confirmed and not self.over
        else:
            self.quiet += quiet
            if total >= 0:
                self.calm_seen += self.count
                self.calm_due += self.now_due
        if self.shifted and total >= 0:
            self._follow(total, max(1, clear // bucket))
        if self.quiet >= clear and not self.shifted and self.seems_gone(clear):
            self.over = True
            if time - self.last >= clear:
                self.strong = []
        self.count = 0
        return explained

    def _is_explained(self, total: int) -> bool:
        """Return whether the bucket says nothing: a batch that recurs there explains the count, whatever it is.

        The detector expects just that count then (`Pulses.usual`), so it is not evidence of the normal level.
        """
        if total < 0 or self.shifted or self.seen <= self.due or self.now_due != self.count:
            return False
        return self.count * max(1, self.buckets) > BATCH * self.due

    def seems_gone(self, clear: int) -> bool:
        """Return whether the counts since the last alert are those of the normal level, and not of the incident's.

        A count that is too small to alert may be that of an incident that goes on: 27 denied where 20 are normal and 30
        were denied in the alerts. So the two levels are compared by the likelihood of a Poisson process (Wald's
        sequential test). clear: seconds of data without an alert that an incident needs to end.
        """
        ratio = (self.seen + 0.5) / (self.due + 0.5)
        if self.quiet >= LONGEST * clear or abs(ratio - 1.0) < ALIKE:
            return True
        favour = self.calm_seen * log(ratio) - self.calm_due * (ratio - 1.0)
        return favour <= (0.0 if self.quiet >= SLOW * clear else GONE)

    def shift(self, time: int) -> None:
        """Stay at a level that is scored as a new one, until the old one is back."""
        if not self.shifted and self.seen + self.due > 0.0:
            self.shifted = time
            self.recent = []

    def _follow(self, total: int, most: int) -> None:
        """End the shift where the old level is back: over the newest buckets it is nearer than the new one."""
        newest = [float(self.count), float(total)]
        self.recent = [*self.recent[1 - most :], newest] if most > 1 else [newest]
        if len(self.recent) < most:
            return
        count, usual, new = self._levels()
        middle = sqrt(max(usual, 0.5) * max(new, 0.5))
        back = count <= middle if new >= usual else count >= middle
        if back:
            self.shifted = 0

    def _levels(self) -> tuple[float, float, float]:
        """Return of the newest buckets the transactions seen, those of the usual level, and those of the new level."""
        count = sum([row[0] for row in self.recent])
        volume = sum([row[1] for row in self.recent])
        if self.status == TOTAL or self.volume <= 0.0:  # the volume itself has no share in a volume
            scale = len(self.recent) / max(1, self.buckets)
        else:
            scale = volume / self.volume
        return count, self.due * scale, self.seen * scale

    def usual(self) -> float:
        """Return how many times the usual is seen: over the newest buckets, or over those that alerted."""
        if len(self.recent) > 1:
            count, usual, _ = self._levels()
            return max(count, 0.01) / max(usual, 0.01)
        return max(self.seen, 0.01) / max(self.due, 0.01)

    def size(self) -> float:
        """Transactions too many or missing in a bucket, as they were in two of the newest three."""
        return sorted(self.sizes)[-2] if len(self.sizes) > 1 else max(self.sizes, default=0.0)

    def rank(self) -> int:
        """Return how much it matters: 0 most."""
        found = CLASSES.get(self.label, OTHER)
        if self.label == "volume loss":
            lost = (self.expected - self.observed) / max(self.expected, 1.0)
            return 1 if self.status == TOTAL and lost >= LOSS else 3
        return found

    def severity(self) -> Severity:
        """Return how bad it is at its worst: by the share of the volume and the transactions a minute.

        Money makes it one step worse, by its share of what all statuses usually bring, in the currency where that is
        largest. It never makes it two steps worse, because a few large amounts in a small feed are not critical.
        """
        if self.label == "silence":
            return "critical"
        share = max([one.share() for one in self.money], default=0.0)
        found = self._severity_of_counts()
        if found == "info":
            return "warning" if share >= WARNING_SHARE else found
        return "critical" if share >= CRITICAL_SHARE else found

    def _severity_of_counts(self) -> Severity:
        size = max(self.size(), 0.0)
        share = size / max(self.expected if self.status == TOTAL else float(self.total), size, 1.0)
        rate = size / self.minute
        if self.label == "volume loss":
            return "critical" if share >= 0.5 and rate >= WARNING_RATE else "warning" if share >= 0.2 else "info"
        if self.label not in CLASSES:
            return "warning" if share >= LOSS and rate >= CRITICAL_RATE else "info"
        if share >= CRITICAL_SHARE and rate >= CRITICAL_RATE:
            return "critical"
        return "warning" if share >= WARNING_SHARE and rate >= WARNING_RATE else "info"

    def snapshot(self) -> dict[str, object]:
        """Return all of the state, as values of JSON."""
        row = {name: getattr(self, name) for name in FIELDS}
        row["money"], row["drivers"] = pack_amounts(self.money), pack_drivers(self.drivers)
        return row

    @staticmethod
    def of(status: str, state: Any, older: Mapping[str, Any] | None) -> "Member":
        """Return the member that `snapshot` gave. older: the root's incident, in a state of an earlier version."""
        if isinstance(state, Mapping):
            member = Member(status, state["first"])
            for name in FIELDS:
                if name not in ("drivers", "money"):
                    setattr(member, name, state.get(name, 0.0) if name in NEW else state[name])
            # not in older states
            member.money = unpack_amounts(state.get("money", []))
            member.drivers = unpack_drivers(state.get("drivers"))
            return member
        member = Member(status, int(state))
        member.confirmed = True
        if older is not None:
            member.first, member.peak, member.label = older["start"], older["peak"], older["label"]
            member.score, member.observed, member.expected = older["score"], older["observed"], older["expected"]
            member.excess, member.sizes = older["excess"], [older["size"]]
        return member


def label_of(verdict: Verdict, roles: Mapping[str, str] = NO_ROLES) -> str:
    """Return the root label that one alert speaks for. roles: by status, before those of the vocabulary."""
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

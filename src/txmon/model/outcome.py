"""The results of closing one bucket besides verdicts: trends, rises and incident events.

Times are epoch seconds (UTC).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from mypy_extensions import mypyc_attr

from txmon.model.drivers import Drivers
from txmon.model.keys import Key
from txmon.model.money import Money
from txmon.model.verdict import Verdict
from txmon.support.frozen import frozen

TrendName = Literal["rising a lot", "rising", "stable", "falling", "falling a lot"]
# `escalated` has the name `worsened` in states and lines of earlier versions
IncidentState = Literal[
    "opened", "reopened", "worsened", "no data", "changed level", "reminder", "resolved", "escalated"
]
Severity = Literal["info", "warning", "critical"]
SEVERITIES: Final[tuple[Severity, ...]] = ("info", "warning", "critical")


@mypyc_attr(acyclic=True)
@dataclass(slots=True, init=False)
class Trend:
    """A least-squares slope in transactions per minute per minute, and its name. It is written as `Verdict` is."""

    slope: float
    name: TrendName

    def __init__(self, slope: float, name: TrendName) -> None:
        self.slope = slope
        self.name = name


NO_TRENDS: Final[Mapping[str, Trend]] = {}


@frozen
class Rise:
    """A status that began to rise strongly: the event that the original system alerted on."""

    time: int  # of the bucket, epoch seconds
    status: str
    slope: float  # transactions per minute per minute
    count: int  # transactions in the bucket


@frozen
class IncidentEvent:
    """One event of an incident."""

    time: int  # of the bucket that caused the event, epoch seconds
    state: IncidentState
    id: str
    statuses: tuple[str, ...]
    key: Key
    label: str  # volume loss, issuer declines, reversal wave, failures, silence
    start: int  # first alerting bucket
    peak: int  # bucket with the strongest score so far
    observed: int  # transactions in the alerting series at the peak
    expected: float  # transactions expected there
    excess: float  # transactions above normal so far (negative: missing)
    text: str
    severity: Severity = "warning"  # the highest severity so far
    root: str = ""  # the status that these numbers describe
    low: int = 0  # the fewest transactions that were normal at the peak
    high: int = 0  # the most transactions that were normal at the peak
    total: int = 0  # transactions of all statuses at the peak
    times: int = 1  # how often it has started
    keys: tuple[tuple[Key, float], ...] = ()  # of a platform incident: its largest keys, and their excess
    key_count: int = 0  # number of all its keys
    no_data_since: int = 0  # epoch seconds; 0 while data arrives
    usual: float = 0.0  # for a changed level: the ratio of the current count to the usual one; 0 otherwise
    note: str = ""  # a person's note, or why it ended without a return to the old level
    parent: str = ""  # the platform incident that it became part of
    explanation: str = ""  # text of the strongest verdict of the root status
    silent_until: int = 0  # epoch seconds until which a person silenced it; 0 if not silenced
    drivers: Drivers | None = None  # what explains the root status's excess; None if no driver columns are configured
    money: tuple[Money, ...] = ()  # of the root status against normal so far; the largest currency first


@mypyc_attr(acyclic=True)
class Outcome:
    """All results of closing one bucket. Every sink receives them, bucket by bucket."""

    __slots__ = ("events", "parts", "rises", "time", "trends", "verdicts")

    def __init__(
        self,
        time: int,
        verdicts: Sequence[Verdict],
        events: Sequence[IncidentEvent] = (),
        trends: Mapping[str, Trend] = NO_TRENDS,
        rises: Sequence[Rise] = (),
        parts: Sequence[Verdict] = (),
    ) -> None:
        self.parts = parts  # verdicts on values of --drivers, whose transactions are also in the other verdicts
        self.time = time  # start of the bucket, epoch seconds
        self.verdicts = verdicts
        self.events = events
        self.trends = trends  # by status, over all keys
        self.rises = rises  # statuses that began to rise strongly

    def alerted(self) -> bool:
        """Return whether one of the verdicts recommends an alert."""
        for verdict in self.verdicts:
            if verdict.recommendation == "alert":
                return True
        for verdict in self.parts:  # noqa: SIM110 - a generator is slower
            if verdict.recommendation == "alert":
                return True
        return False


def without_sums(verdicts: Sequence[Verdict]) -> Sequence[Verdict]:
    """Return the verdicts whose counts add up to the bucket's count: with keys, only those of single keys.

    verdicts: of one bucket. Those for all keys together (without a key) come first, as `Pipeline` returns them.
    """
    if verdicts and not verdicts[0].key and verdicts[-1].key:
        return [verdict for verdict in verdicts if verdict.key]
    return verdicts


MARKS: Final[Mapping[str, int]] = {"ok": 0, "warming": 0, "pending": 1, "alert": 2}  # severity of a recommendation


def deviates(verdict: Verdict) -> bool:
    """Return whether a verdict recommends an alert or may soon. Outputs with alerts only leave out all others."""
    return verdict.recommendation == "alert" or verdict.recommendation == "pending"

"""What closing one bucket brings besides verdicts: trends, rises and incident events. Times are epoch seconds (UTC)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from mypy_extensions import mypyc_attr

from txmon.model.drivers import Drivers
from txmon.model.keys import Key
from txmon.model.money import Money
from txmon.model.verdict import Verdict

TrendName = Literal["rising a lot", "rising", "stable", "falling", "falling a lot"]
# `escalated` is what states and lines of earlier versions call `worsened`
IncidentState = Literal[
    "opened", "reopened", "worsened", "no data", "changed level", "reminder", "resolved", "escalated"
]
Severity = Literal["info", "warning", "critical"]
SEVERITIES: Final[tuple[Severity, ...]] = ("info", "warning", "critical")


@mypyc_attr(acyclic=True)
@dataclass(slots=True, init=False)
class Trend:
    """A least-squares slope in transactions a minute per minute, and its name; written as `Verdict` is."""

    slope: float
    name: TrendName

    def __init__(self, slope: float, name: TrendName) -> None:
        self.slope = slope
        self.name = name


NO_TRENDS: Final[Mapping[str, Trend]] = {}


@dataclass(frozen=True, slots=True)
class Rise:
    """A status began to rise a lot: the event that the original system alerted on."""

    time: int  # of the bucket, epoch seconds
    status: str
    slope: float  # transactions a minute per minute
    count: int  # transactions in the bucket


@dataclass(frozen=True, slots=True)
class IncidentEvent:
    """A step in an incident's life."""

    time: int  # of the bucket that caused the step, epoch seconds
    state: IncidentState
    id: str
    statuses: tuple[str, ...]
    key: Key
    label: str  # volume loss, issuer declines, reversal wave, failures, silence
    start: int  # first alerting bucket
    peak: int  # bucket with the strongest score so far
    observed: int  # transactions in the alerting series at the peak
    expected: float  # expected there
    excess: float  # transactions above normal so far (negative: missing)
    text: str
    severity: Severity = "warning"  # the worst so far
    root: str = ""  # the status whose numbers these are
    low: int = 0  # the fewest transactions that were normal at the peak
    high: int = 0  # the most
    total: int = 0  # transactions of all statuses at the peak
    times: int = 1  # how often it has begun
    keys: tuple[tuple[Key, float], ...] = ()  # of an incident of the platform: its largest keys, and their excess
    key_count: int = 0  # all of its keys
    no_data_since: int = 0  # epoch seconds; 0 while data comes
    usual: float = 0.0  # in a changed level: how many times the usual is seen; 0 in no changed level
    note: str = ""  # what a person said of it, or why it ended without the old level
    parent: str = ""  # the incident of the platform that it became a part of
    explanation: str = ""  # the strongest verdict of the root status
    silent_until: int = 0  # epoch seconds until which somebody silenced it; 0 for not
    drivers: Drivers | None = None  # what explains the root status's excess; None where nothing looks for that
    money: tuple[Money, ...] = ()  # of the root status beside what is normal, so far; the largest currency first


@mypyc_attr(acyclic=True)
class Outcome:
    """All that closing one bucket brought: what every sink receives, bucket after bucket."""

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
        self.parts = parts  # verdicts on values of --drivers, whose transactions are in the other verdicts too
        self.time = time  # start of the bucket, epoch seconds
        self.verdicts = verdicts
        self.events = events
        self.trends = trends  # by status, over all keys
        self.rises = rises  # statuses that began to rise a lot

    def alerted(self) -> bool:
        """Whether one of the verdicts recommends an alert."""
        for verdict in self.verdicts:
            if verdict.recommendation == "alert":
                return True
        for verdict in self.parts:  # noqa: SIM110 - a generator is slower, and there is a bucket a minute
            if verdict.recommendation == "alert":
                return True
        return False


def without_sums(verdicts: Sequence[Verdict]) -> Sequence[Verdict]:
    """Return the verdicts whose counts add up to the bucket's: where there are keys, only those of single keys.

    verdicts: of one bucket, those of all keys together (without a key) first, as `Pipeline` gives them.
    """
    if verdicts and not verdicts[0].key and verdicts[-1].key:
        return [verdict for verdict in verdicts if verdict.key]
    return verdicts


MARKS: Final[Mapping[str, int]] = {"ok": 0, "warming": 0, "pending": 1, "alert": 2}  # gravity of a recommendation


def deviates(verdict: Verdict) -> bool:
    """Return whether a verdict recommends an alert, or may soon: outputs of alerts alone leave out all others."""
    return verdict.recommendation == "alert" or verdict.recommendation == "pending"

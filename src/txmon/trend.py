"""Trend by status: the slope of its counts over the last 18 minutes, the name of that slope, and when it is news."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Any, Final, Literal

TrendName = Literal["rising a lot", "rising", "stable", "falling", "falling a lot"]

SPAN: Final = 18 * 60  # seconds; the original system looked back 0.3 hours
STEEP: Final = 0.4  # transactions a minute per minute, above which a slope is "a lot"
SLIGHT: Final = 0.1  # up to which it is stable
SIGNIFICANT: Final = 5.0  # standard errors of a slope that is news: mornings rise too, but not so fast
TOTAL: Final = "*"
QUIET: Final = frozenset(("approved", TOTAL))  # their rise is good news


@dataclass(slots=True, init=False)
class Trend:
    """A least-squares slope in transactions a minute per minute, and its name; written as `Verdict` is."""

    slope: float
    name: TrendName

    def __init__(self, slope: float, name: TrendName) -> None:
        self.slope = slope
        self.name = name


@dataclass(frozen=True, slots=True)
class Rise:
    """A status began to rise a lot: the event that the original system alerted on."""

    time: int  # of the bucket, epoch seconds
    status: str
    slope: float  # transactions a minute per minute
    count: int  # transactions in the bucket


def name_of(slope: float) -> TrendName:
    """The name of a slope in transactions a minute per minute."""
    if slope > STEEP:
        return "rising a lot"
    if slope > SLIGHT:
        return "rising"
    if slope >= -SLIGHT:
        return "stable"
    return "falling" if slope >= -STEEP else "falling a lot"


class TrendTracker:
    """Keeps the last 18 minutes of every status, over all keys; a bucket without its row is a zero."""

    def __init__(self, bucket: int) -> None:
        """bucket: the width of a bucket in seconds."""
        self._bucket = bucket
        self._length = max(3, SPAN // bucket)
        self._scale = (60 / bucket) ** 2  # of a slope a bucket per bucket, to minutes
        self._counts: dict[str, list[int]] = {}
        self._times: dict[str, int] = {}
        self._rising: set[str] = set()  # statuses whose rise has been told

    def observe(self, time: int, totals: Mapping[str, int]) -> tuple[dict[str, Trend], list[Rise]]:
        """Take the counts by status, over all keys, of the bucket at `time`; every status's trend so far, and news."""
        sums = dict.fromkeys(self._counts, 0)
        sums[TOTAL] = 0
        for status, count in totals.items():
            sums[status] = count
            sums[TOTAL] += count
        trends, rises = {}, []
        for status, count in sums.items():
            trend = trends[status] = self.update(time, status, count)
            if self._is_news(status, trend):
                rises.append(Rise(time, status, trend.slope, count))
        return trends, rises

    def update(self, time: int, status: str, count: int) -> Trend:
        """Add the bucket that starts at `time` (epoch seconds, later than before) and return the trend with it."""
        counts = self._counts.get(status)
        if counts is None:
            counts = self._counts[status] = []
        missing = (time - self._times.get(status, time)) // self._bucket - 1
        if missing > 0:
            counts.extend([0] * min(missing, self._length))
        counts.append(count)
        while len(counts) > self._length:
            counts.pop(0)
        self._times[status] = time
        slope = _slope(counts) * self._scale
        return Trend(slope, name_of(slope))

    def _is_news(self, status: str, trend: Trend) -> bool:
        """Whether a status began to rise a lot, beyond what chance gives counts of its size."""
        if trend.name != "rising a lot":
            if trend.name in ("stable", "falling", "falling a lot"):
                self._rising.discard(status)
            return False
        counts = self._counts[status]
        if status in QUIET or status in self._rising or len(counts) < self._length:
            return False
        n = len(counts)
        # of a slope through Poisson counts; twice their variance, since real ones are overdispersed
        error = sqrt(2 * max(1.0, sum(counts) / n) * 12 / (n * (n * n - 1))) * self._scale
        if trend.slope < SIGNIFICANT * error:
            return False
        self._rising.add(status)
        return True

    def snapshot(self) -> dict[str, object]:
        """All of the state, as JSON takes it."""
        return {"counts": self._counts, "times": self._times, "rising": sorted(self._rising)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what `snapshot` gave."""
        self._counts = {str(status): [int(count) for count in counts] for status, counts in state["counts"].items()}
        self._times = {str(status): int(time) for status, time in state["times"].items()}
        self._rising = set(state["rising"])


def _slope(counts: list[int]) -> float:
    """Of the least-squares line through `counts`, a bucket per bucket; 0 with fewer than three."""
    n = len(counts)
    if n < 3:
        return 0.0
    # whole numbers, so that nothing is rounded, and none below 0, which mypyc multiplies slowly
    weighted = total = 0
    for place, count in enumerate(counts):
        weighted += place * count
        total += count
    twice = 2 * weighted - (n - 1) * total  # the covariance with the places around their middle
    return twice / 2 * 12 / (n * (n * n - 1))

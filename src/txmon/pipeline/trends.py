"""Trend by status: the slope of its counts over the last 18 minutes, the name of that slope, and when it is news."""

from collections.abc import Mapping
from math import sqrt
from typing import Any, Final

from mypy_extensions import mypyc_attr

from txmon.model.keys import TOTAL
from txmon.model.outcome import Rise, Trend, TrendName
from txmon.model.statuses import NO_ROLES, SUCCESS, role_of

SPAN: Final = 18 * 60  # seconds; the original system looked back 0.3 hours
STEEP: Final = 0.4  # transactions a minute per minute, above which a slope is "a lot"
SLIGHT: Final = 0.1  # up to which it is stable
SIGNIFICANT: Final = 5.0  # standard errors of a slope that is news: mornings rise too, but not so fast


def name_of(slope: float) -> TrendName:
    """Return the name of a slope in transactions a minute per minute."""
    if slope > STEEP:
        return "rising a lot"
    if slope > SLIGHT:
        return "rising"
    if slope >= -SLIGHT:
        return "stable"
    return "falling" if slope >= -STEEP else "falling a lot"


class TrendTracker:
    """Keeps the last 18 minutes of every status, over all keys; a bucket without its row is a zero."""

    def __init__(self, bucket: int, roles: Mapping[str, str] = NO_ROLES) -> None:
        """bucket: the width of a bucket in seconds. roles: by status, before those of the vocabulary."""
        self._roles = roles
        self._bucket = bucket
        self._length = max(3, SPAN // bucket)
        self._scale = (60 / bucket) ** 2  # converts a slope per bucket and bucket to minutes
        self._lines: dict[str, SlopeWindow] = {}  # by status
        self._all: list[SlopeWindow] = []  # the same
        self._trends: dict[str, Trend] = {}  # of the last bucket
        self._rising: set[str] = set()  # statuses whose rise has been told

    def observe(self, time: int, totals: dict[str, int]) -> tuple[dict[str, Trend], list[Rise]]:
        """Take the counts by status, over all keys, of the bucket at `time`; every status's trend so far, and news."""
        total = self._line(TOTAL, time)
        lines = self._lines
        new: list[str] = []
        every = 0
        for status, count in totals.items():
            line = lines.get(status)
            if line is None:
                new.append(status)
            else:
                line.open += count
            every += count
        # sorted: the order in which the rows of a bucket came must not show
        for status in sorted(new) if new else new:
            self._line(status, time).open += totals[status]
        total.open += every
        # a copy and new values for its keys are half the work of a new dictionary
        trends = self._trends = self._trends.copy()
        rises: list[Rise] = []
        for line in self._all:
            trend = self._step(line, time)
            trends[line.status] = trend
            if trend.slope > STEEP:
                if self._is_news(line, trend.slope):
                    rises.append(Rise(time, line.status, trend.slope, line.newest))
            elif len(self._rising) > 0 and trend.slope <= SLIGHT:
                self._rising.discard(line.status)
        return trends, rises

    def skip(self, time: int) -> dict[str, Trend]:
        """Leave out the bucket at `time`, whose counts nobody knows or expects; the trends as they were."""
        for line in self._all:
            line.time = time
        return self._trends

    def _line(self, status: str, time: int) -> "SlopeWindow":
        line = self._lines.get(status)
        if line is None:
            line = self._lines[status] = SlopeWindow(status, self._length, time)
            self._all.append(line)
        return line

    def update(self, time: int, status: str, count: int) -> Trend:
        """Add the bucket that starts at `time` (epoch seconds, later than before) and return the trend with it."""
        line = self._line(status, time)
        line.open = count
        return self._step(line, time)

    def _step(self, line: "SlopeWindow", time: int) -> Trend:
        """Return the trend with the bucket at `time`, which `line` has the counts of."""
        if time - line.time > self._bucket:
            for _ in range(min((time - line.time) // self._bucket - 1, self._length)):
                line.add(0)
        line.add(line.open)
        line.open = 0
        line.time = time
        slope = line.slope() * self._scale
        return Trend(slope, name_of(slope))

    def _is_news(self, line: "SlopeWindow", slope: float) -> bool:
        """Return whether a status began to rise a lot, beyond what chance gives counts of its size."""
        n, status = self._length, line.status
        if status == TOTAL or status in self._rising or not line.is_full():
            return False
        if role_of(status, self._roles) == SUCCESS:  # its rise is good news
            return False
        # of a slope through Poisson counts; twice their variance, since real ones are overdispersed
        error = sqrt(2 * max(1.0, line.total / n) * 12 / (n * (n * n - 1))) * self._scale
        if slope < SIGNIFICANT * error:
            return False
        self._rising.add(status)
        return True

    def snapshot(self) -> dict[str, object]:
        """Return all of the state, as values of JSON."""
        return {
            "counts": {status: line.counts() for status, line in self._lines.items()},
            "times": {status: line.time for status, line in self._lines.items()},
            "rising": sorted(self._rising),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what `snapshot` gave."""
        lines = {}
        for status, counts in state["counts"].items():
            line = lines[str(status)] = SlopeWindow(str(status), self._length, int(state["times"][status]))
            for count in counts:
                line.add(int(count))
        self._lines, self._all, self._trends = lines, list(lines.values()), {}
        self._rising = set(state["rising"])


@mypyc_attr(acyclic=True)
class SlopeWindow:
    """The newest counts of one status and the least-squares line through them.

    Sums of whole numbers, moved on by each count: nothing is rounded, so nothing adds up.
    """

    __slots__ = ("_counts", "_divisor", "_length", "_oldest", "_weighted", "newest", "open", "status", "time", "total")

    def __init__(self, status: str, length: int, time: int) -> None:
        """length: counts kept. time: start of the bucket of the newest, epoch seconds."""
        self.status = status
        self._length = length
        self._divisor = float(length * (length * length - 1))  # of a slope through as many counts
        self.time = time
        self._counts: list[int] = []  # once it is full a new count takes the place of the oldest
        self._oldest = 0  # place of that
        self.newest = 0
        self.open = 0  # transactions of the bucket that is being added up
        self.total = 0
        self._weighted = 0  # sum of place times count, the oldest's place being 0

    def add(self, count: int) -> None:
        """Add a bucket's count."""
        counts = self._counts
        if self.is_full():
            oldest = self._oldest
            self.total -= counts[oldest]
            self._weighted += (self._length - 1) * count - self.total
            counts[oldest] = count
            self._oldest = oldest + 1 if oldest + 1 < self._length else 0
        else:
            self._weighted += len(counts) * count
            counts.append(count)
        self.total += count
        self.newest = count

    def is_full(self) -> bool:
        """Return whether it has as many counts as it keeps."""
        return len(self._counts) == self._length

    def counts(self) -> list[int]:
        """Return what it keeps, oldest first."""
        return self._counts[self._oldest :] + self._counts[: self._oldest]

    def slope(self) -> float:
        """Of the line, a bucket per bucket; 0 with fewer than three counts."""
        n = len(self._counts)
        if n < 3:
            return 0.0
        twice = 2 * self._weighted - (n - 1) * self.total  # the covariance with the places around their middle
        return float(twice) / 2.0 * 12.0 / (self._divisor if n == self._length else float(n * (n * n - 1)))

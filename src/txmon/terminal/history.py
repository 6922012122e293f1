"""What a chart remembers of a series: its last buckets as they were, and all of its past in bounded detail."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

RECENT: Final = 1024  # buckets kept one by one
POINTS: Final = 1024  # of the overview; when full, neighbours merge and the detail halves


@dataclass(frozen=True, slots=True)
class Point:
    """One bucket, or several merged."""

    count: int
    low: int
    high: int
    mark: int = 0  # 0 quiet, 1 pending, 2 alert


QUIET: Final = Point(0, 0, 0)


class History:
    """The points of one series at equal distances in time."""

    __slots__ = ("_overview", "_pending", "_step", "_width", "last", "recent", "start")

    def __init__(self, start: int, width: int) -> None:
        """start: time of the first bucket, epoch seconds. width: of a bucket, seconds."""
        self.start = start
        self.last = start - width
        self.recent: list[Point] = []
        self._width = width
        self._overview: list[Point] = []
        self._pending: list[Point] = []  # fewer than a step
        self._step = 1  # buckets a point of the overview

    def add(self, time: int, point: Point) -> None:
        """Append the bucket at `time`; buckets skipped since the last hold nothing but the last one's band."""
        missing = (time - self.last) // self._width - 1
        if missing < 0:
            return
        if missing:
            before = self.recent[-1] if self.recent else QUIET
            gap = Point(0, before.low, before.high)
            for _ in range(min(missing, RECENT)):
                self._append(gap)
        self._append(point)
        self.last = time

    def _append(self, point: Point) -> None:
        self.recent.append(point)
        if len(self.recent) >= 2 * RECENT:
            del self.recent[:RECENT]
        self._pending.append(point)
        if len(self._pending) == self._step:
            self._overview.append(merge(self._pending))
            self._pending.clear()
        if len(self._overview) >= 2 * POINTS:
            self._overview = [merge(self._overview[i : i + 2]) for i in range(0, 2 * POINTS, 2)]
            self._step *= 2

    def overview(self, points: int) -> list[Point]:
        """All of the past in at most `points` points, oldest first."""
        everything = self._overview + ([merge(self._pending)] if self._pending else [])
        if len(everything) <= points:
            return everything
        edges = [len(everything) * i // points for i in range(points + 1)]
        return [merge(everything[a:b]) for a, b in pairwise(edges)]

    def latest(self, points: int) -> list[Point]:
        """The newest `points` buckets, oldest first."""
        return self.recent[-points:]


def merge(points: Sequence[Point]) -> Point:
    """Several neighbours as one: the most striking of those with the worst mark, or the mean where all is quiet."""
    mark = max(point.mark for point in points)
    low, high = min(point.low for point in points), max(point.high for point in points)
    if mark:
        count = max((point for point in points if point.mark == mark), key=_distance).count
    else:
        count = round(sum(point.count for point in points) / len(points))
    return Point(count, low, high, mark)


def _distance(point: Point) -> float:
    """How far a count lies from the middle of its band."""
    return abs(point.count - (point.low + point.high) / 2)

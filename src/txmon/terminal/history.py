"""Remembers the past of a series for the chart: its last buckets exactly, and all of its past in bounded detail."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

RECENT: Final = 1536  # buckets kept one by one: a day of minutes and some more
SPARE: Final = 256  # buckets beyond that, so that the list is not cut at every bucket
POINTS: Final = 1024  # points of the overview; when it is full, neighbours merge and the detail halves
LONGEST_GAP: Final = 100_000  # buckets; after a longer gap, the history of a series starts again


@dataclass(frozen=True, slots=True)
class Point:
    """One bucket, or several merged."""

    count: int
    low: int
    high: int
    mark: int = 0  # 0 normal, 1 pending, 2 alert


QUIET: Final = Point(0, 0, 0)


class History:
    """The points of one series at equal intervals."""

    __slots__ = ("_overview", "_pending", "_step", "_width", "last", "recent", "start")

    def __init__(self, start: int, width: int) -> None:
        """Create it. start: time of the first bucket, epoch seconds. width: of a bucket, seconds."""
        self._width = width
        self._begin(start)

    def _begin(self, start: int) -> None:
        self.start = start
        self.last = start - self._width
        self.recent: list[Point] = []
        self._overview: list[Point] = []
        self._pending: list[Point] = []  # points that do not fill a step yet
        self._step = 1  # buckets per point of the overview

    def add(self, time: int, point: Point) -> None:
        """Append the bucket at `time`, or correct it if it is already known.

        Buckets that were skipped since the last one get a count of 0 and the band of the last one.
        """
        missing = (time - self.last) // self._width - 1
        if missing < 0:
            self._correct(-missing - 1, point)
            return
        if missing > LONGEST_GAP:
            self._begin(time)
        elif missing:
            before = self.recent[-1] if self.recent else QUIET
            gap = Point(0, before.low, before.high)
            for _ in range(missing):
                self._append(gap)
        self._append(point)
        self.last = time

    def _append(self, point: Point) -> None:
        self.recent.append(point)
        if len(self.recent) >= RECENT + SPARE:
            del self.recent[:SPARE]
        self._pending.append(point)
        if len(self._pending) == self._step:
            self._overview.append(merge(self._pending))
            self._pending.clear()
        if len(self._overview) >= 2 * POINTS:
            self._overview = [merge(self._overview[i : i + 2]) for i in range(0, 2 * POINTS, 2)]
            self._step *= 2

    def _correct(self, back: int, point: Point) -> None:
        """Replace the bucket `back` buckets before the last with `point`. Buckets that are too old stay unchanged."""
        if back >= len(self.recent):
            return
        self.recent[-1 - back] = point
        if back < len(self._pending):
            self._pending[-1 - back] = point
            return
        place = (back - len(self._pending)) // self._step  # index in the overview, from its end
        first = len(self._pending) + (place + 1) * self._step  # buckets from the end
        if first <= len(self.recent):
            self._overview[-1 - place] = merge(self.recent[-first : len(self.recent) - first + self._step])

    def between(self, start: int, end: int, slots: int) -> list[Point | None]:
        """Return a point for each of `slots` equal parts of the time from `start` to before `end`, epoch seconds.

        A part is several merged buckets, or a part of one. It is None for times before the series was known, and after
        its end.
        """
        width = self._width
        count = max(1, (end - start) // width)
        points, step = self.recent, 1
        first = self.last - (len(points) - 1) * width  # time of the first point
        if start < first and self.start < first:
            points = [*self._overview, merge(self._pending)] if self._pending else self._overview
            first, step = self.start, self._step
        offset = (start - first) // width  # in buckets
        found: list[Point | None] = []
        for slot in range(slots):
            a, b = offset + slot * count // slots, offset + (slot + 1) * count // slots
            last = slot == slots - 1  # includes buckets that do not fill a step yet
            a, b = a // step, max(a // step + 1, -(-b // step) if last else b // step)
            part = points[max(0, a) : b] if b > 0 else []
            found.append(None if not part else part[0] if len(part) == 1 else merge(part))
        return found


def merge(points: Sequence[Point]) -> Point:
    """Return several neighbours as one point.

    It is the largest deviation among those with the worst mark, or the mean if all are normal.
    """
    mark = max(point.mark for point in points)
    low, high = min(point.low for point in points), max(point.high for point in points)
    if mark:
        count = max((point for point in points if point.mark == mark), key=_distance).count
    else:
        count = round(sum(point.count for point in points) / len(points))
    return Point(count, low, high, mark)


def _distance(point: Point) -> float:
    """Return the distance of a count from the middle of its band."""
    return abs(point.count - (point.low + point.high) / 2)

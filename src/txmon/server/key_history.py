"""Keeps the last hours of each key for the heat map and for the page of a key."""

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, quote

from txmon.model.keys import TOTAL, Key, Series
from txmon.model.verdict import Verdict

BUCKETS: Final = 180  # buckets kept of each series
SERIES: Final = 5000  # series kept, for example 500 merchants with ten statuses each
FIELDS: Final = 6  # count, expected, low, high, score, mark

Point = list[float]  # time (epoch seconds), count, expected, low, high, score, mark


@dataclass(frozen=True, slots=True)
class Cell:
    """The numbers of one status of a key in a span of time."""

    count: int
    expected: float
    score: float  # the strongest score
    mark: int  # the worst mark: 0 normal, 1 pending, 2 alert


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A key with the numbers of its statuses."""

    key: Key
    cells: dict[str, Cell]

    @property
    def excess(self) -> float:
        """Return the largest excess of an alerting status, or of any status if none alerts.

        It is below 0 for missing transactions.
        """
        cells = [cell for cell in self.cells.values() if cell.mark == self.mark] or list(self.cells.values())
        return max((cell.count - cell.expected for cell in cells), key=abs)

    @property
    def mark(self) -> int:
        """Return the worst mark of its statuses."""
        return max(cell.mark for cell in self.cells.values())

    @property
    def score(self) -> float:
        """Return the strongest score of its statuses."""
        return max(abs(cell.score) for cell in self.cells.values())


class KeyHistory:
    """A ring buffer of numbers for each series of a key: 4 KB each, 20 MB at most."""

    def __init__(self, bucket: int) -> None:
        """Create it. bucket: seconds."""
        self._bucket = bucket
        self._rings: dict[Series, array[float]] = {}
        self._newest: dict[Series, int] = {}  # number of the newest bucket of each series
        self._last = 0  # number of the newest bucket of all
        self._first = -1  # number of the first bucket that was added; -1: none yet
        self._tried = -1  # number of the bucket for which room was last made
        self.left_out = 0  # verdicts of series beyond SERIES

    def __len__(self) -> int:
        return len(self._rings)

    def series(self) -> Iterable[Series]:
        """Return the series that are kept."""
        return self._rings.keys()

    def count(self, key: Key, status: str, time: int) -> float | None:
        """Return the count of a series in the bucket at `time`, or None if it is unknown.

        That is so before the first bucket after a start, and for series that there was no room for.
        """
        ring, number = self._rings.get((key, status)), time // self._bucket
        if self._first < 0 or number < self._first:
            return None
        if ring is None:
            return 0.0 if len(self._rings) < SERIES else None
        newest = self._newest[key, status]
        if number > newest:
            return 0.0
        return ring[number % BUCKETS * FIELDS] if number > newest - BUCKETS else None

    def add(self, verdict: Verdict, mark: int) -> None:
        """Store a verdict on a closed bucket of a key, the first one or a correction. mark: its severity."""
        series = (verdict.key, verdict.status)
        number = verdict.time // self._bucket
        if self._first < 0:
            self._first = number
        ring = self._rings.get(series)
        if ring is None:
            if len(self._rings) >= SERIES and not self._make_room(number):
                self.left_out += 1
                return
            ring = self._rings[series] = array("f", bytes(4 * FIELDS * BUCKETS))
            self._newest[series] = number - 1
        newest = self._newest[series]
        if number <= newest - BUCKETS:
            return
        # no verdict filled the buckets in between, so the ring still contains older values there
        for missed in range(max(newest + 1, number - BUCKETS + 1), number):
            slot = missed % BUCKETS * FIELDS
            ring[slot : slot + FIELDS] = EMPTY
        slot = number % BUCKETS * FIELDS
        ring[slot : slot + FIELDS] = array(
            "f", (verdict.count, verdict.expected, verdict.low, verdict.high, verdict.score, mark)
        )
        self._newest[series] = max(newest, number)
        self._last = max(self._last, number)

    def _make_room(self, number: int) -> bool:
        """Remove the series that are older than the length of a ring. Return whether there were any.

        It runs once per bucket, because with many keys every series beyond SERIES asks for room.
        """
        if number == self._tried:
            return False
        self._tried = number
        gone = [series for series, newest in self._newest.items() if newest <= number - BUCKETS]
        for series in gone:
            del self._rings[series], self._newest[series]
        return bool(gone)

    def points(self, key: Key, since: int, until: int) -> dict[str, list[Point]]:
        """Return by status the points of a key from `since` to `until` (included), epoch seconds."""
        found: dict[str, list[Point]] = {}
        for (own, status), ring in self._rings.items():
            if own == key:
                points = self._points(ring, self._newest[own, status], since, until)
                if points:
                    found[status] = points
        return dict(sorted(found.items(), key=lambda pair: (pair[0] != TOTAL, pair[0])))

    def _points(self, ring: Sequence[float], newest: int, since: int, until: int) -> list[Point]:
        first = max(newest - BUCKETS + 1, -(-since // self._bucket))
        found: list[Point] = []
        for number in range(first, min(newest, until // self._bucket) + 1):
            slot = number % BUCKETS * FIELDS
            values = [round(value, 2) for value in ring[slot : slot + FIELDS]]
            if found or any(values):
                found.append([number * self._bucket, *values])
        return found

    def oldest(self) -> int | None:
        """Return the time of the oldest bucket in the rings, epoch seconds, or None without keys."""
        return (self._last - BUCKETS + 1) * self._bucket if self._rings else None

    def rows(self, buckets: int, find: str = "") -> list[KeyRow]:
        """Return the keys whose name contains `find`, largest deviation first.

        buckets: how many of the newest buckets to include, at most BUCKETS.
        """
        found: dict[Key, dict[str, Cell]] = {}
        for (key, status), ring in self._rings.items():
            newest = self._newest[key, status]
            numbers = range(max(self._last, newest) - min(buckets, BUCKETS) + 1, newest + 1)
            if numbers and find in key_text(key).casefold():
                found.setdefault(key, {})[status] = _cell(ring, numbers)
        rows = [KeyRow(key, cells) for key, cells in found.items()]
        rows.sort(key=lambda row: (-row.mark, -abs(row.excess), -row.score, row.key))
        return rows


EMPTY: Final = array("f", bytes(4 * FIELDS))


def _cell(ring: Sequence[float], numbers: Iterable[int]) -> Cell:
    count = expected = score = 0.0
    mark = 0
    for number in numbers:
        slot = number % BUCKETS * FIELDS
        count += ring[slot]
        expected += ring[slot + 1]
        if abs(ring[slot + 4]) > abs(score):
            score = ring[slot + 4]
        mark = max(mark, int(ring[slot + 5]))
    return Cell(int(count), round(expected, 2), round(score, 2), mark)


def key_text(key: Key) -> str:
    """Return a key as part of an address: `merchant=m1&country=BR`, with `=`, `&` and `%` in its values escaped."""
    return "&".join(f"{quote(name, safe=' ')}={quote(value, safe=' ')}" for name, value in key)


def parse_key(text: str) -> Key:
    """Return the key that `key_text` wrote. Raise ValueError for any other text."""
    pairs = parse_qsl(text.replace("+", "%2B"), keep_blank_values=True, strict_parsing=True, errors="strict")
    return tuple(pairs)

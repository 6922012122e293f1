"""The shape of a day: how the total volume moves from half-hour to half-hour, learned from the days before.

Only ratios are taken from it: the level follows the shape from bucket to bucket, and stays as high as the level has
learned that it is. A busier day, a smaller merchant, a new plateau need nothing of their own (a multiplicative season,
Winters 1960, with the level left to the baseline). One shape serves every series, since it costs no state of theirs.
"""

from math import floor, fsum  # fsum: mypyc takes the sum of a list for whole numbers
from typing import Final

DAY: Final = 86400
HOUR: Final = 3600
BIN: Final = 1800  # seconds, or a bucket where that is longer
DAY_KEEP: Final = 0.75  # what a day leaves of a bin's evidence to the next: the shape is that of the last four days
PRIOR: Final = (
    4.0  # transactions at the day's mean that stand behind every bin, so that an empty one is rare, not impossible
)
MOST: Final = 1.5  # a bucket teaches no more than this many times what was expected, and no less than its inverse
TWO_WEEKS: Final = 14


class Season:
    """Learns the day's shape and says how much the volume usually grows between two times."""

    __slots__ = ("_bin", "_bins", "_day", "_days", "_overall", "_sums", "_weights", "_width")

    def __init__(self, bucket: int) -> None:
        """bucket: the width of a bucket in seconds; a shape is learned for buckets of at most an hour."""
        self._width = bucket
        self._bin = max(BIN, bucket)
        self._bins = DAY // self._bin
        # transactions and buckets a bin: weekdays', then the weekend's
        self._sums = [0.0] * (2 * self._bins)
        self._weights = [0.0] * (2 * self._bins)
        self._day = [-1] * (2 * self._bins)  # on which a bin learned last, in days since the epoch
        self._days = 0  # that taught so far
        self._overall = -1.0  # mean of all bins, asked for several times a bucket; -1 until it is summed up anew

    def learn(self, time: int, total: float, expected: float) -> None:
        """Take a bucket's total volume, reined in to what was expected of it (transactions)."""
        index = _weekend(time) * self._bins + time % DAY // self._bin
        day = time // DAY
        if day != self._day[index]:
            self._days += day > max(self._day)
            self._day[index] = day
            self._sums[index] *= DAY_KEEP
            self._weights[index] *= DAY_KEEP
        self._sums[index] += min(MOST * expected, max(expected / MOST, total)) if expected > 0.0 else total
        self._weights[index] += 1.0
        self._overall = -1.0

    def growth(self, start: int, end: int) -> float:
        """Usual volume at `end` over that at `start` (epoch seconds), 0.1..10; 1 until a whole day is known."""
        if self._width > HOUR or self._days < 2:
            return 1.0
        before, after = self.level(start), self.level(end)
        if before <= 0.0 or after <= 0.0:
            return 1.0
        return min(10.0, max(0.1, after / before))

    def level(self, time: int) -> float:
        """Transactions a bucket usual at `time`, on the line between the middles of two bins; 0 where unknown."""
        place = (time % DAY + self._width / 2) / self._bin - 0.5
        first = floor(place)
        part = place - first
        weekend = _weekend(time)
        low, high = self._mean(weekend, first % self._bins), self._mean(weekend, (first + 1) % self._bins)
        return low + part * (high - low) if low > 0.0 and high > 0.0 else 0.0

    def error(self, time: int) -> float:
        """Squared relative error of the shape around `time`, from the transactions that it was learned of."""
        index = time % DAY // self._bin
        return 1.0 / (self._sums[index] + self._sums[index + self._bins] + PRIOR)

    def _mean(self, weekend: int, index: int) -> float:
        """A bin's mean, its neighbours' weighed in at half; 0 while nothing is known of one of the three.

        Where a bin is a single bucket its neighbours are left out: they would blur what the day is like.
        """
        total = weight = 0.0
        side = 0.5 if self._width < self._bin else 0.0
        for offset, part in ((-1, side), (0, 1.0), (1, side)):
            i = (index + offset) % self._bins
            sums, weights = self._sums[i], self._weights[i]
            if self._days <= TWO_WEEKS:
                sums, weights = sums + self._sums[i + self._bins], weights + self._weights[i + self._bins]
            elif weekend:
                sums, weights = self._sums[i + self._bins], self._weights[i + self._bins]
            if weights <= 0.0:
                return 0.0
            total += part * sums
            weight += part * weights
        if self._overall < 0.0:
            self._overall = fsum(self._sums) / fsum(self._weights)
        mean = self._overall
        return (total + PRIOR) / (weight + PRIOR / mean) if mean > 0.0 else 0.0

    def snapshot(self) -> list[float]:
        """All of the state as plain numbers, for `restore`."""
        return [float(self._width), float(self._days), *self._sums, *self._weights, *map(float, self._day)]

    @staticmethod
    def restore(state: list[float]) -> "Season":
        """The season whose `snapshot` was `state`; ValueError when it cannot be one."""
        season = Season(int(state[0]))
        size = 2 * season._bins
        if len(state) != 2 + 3 * size:
            raise ValueError(f"a season has {2 + 3 * size} numbers, not {len(state)}")
        season._days = int(state[1])
        season._sums = state[2 : 2 + size]
        season._weights = state[2 + size : 2 + 2 * size]
        season._day = [int(value) for value in state[2 + 2 * size :]]
        return season


def _weekend(time: int) -> int:
    return int((time // DAY + 3) % 7 >= 5)  # the epoch began on a Thursday

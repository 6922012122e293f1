"""The shape of a day: how the total volume moves from half-hour to half-hour, learned from the days before.

Only ratios are taken from it: the level follows the shape from bucket to bucket, and stays as high as the level has
learned that it is. A busier day, a smaller merchant, a new plateau need nothing of their own (a multiplicative season,
Winters 1960, with the level left to the baseline). One shape serves every series, since it costs no state of theirs.
"""

from typing import Final

DAY: Final = 86400
HOUR: Final = 3600
BIN: Final = 1800  # seconds, or a bucket where that is longer
DAY_KEEP: Final = 0.75  # what a day leaves of a bin's evidence to the next: the shape is that of the last four days
PRIOR: Final = (
    4.0  # transactions at the day's mean that stand behind every bin, so that an empty one is rare, not impossible
)
STEEP: Final = 0.7  # of the relative change across a bin: what a level may be off while it happens
MOST: Final = 1.5  # times what was expected: more than that a bucket never teaches
BEYOND: Final = 1.3  # times the shape's own height: a level that it raises is raised no further
TWO_WEEKS: Final = 14


class Season:
    """Learns the day's shape and says how much the volume usually grows between two times."""

    __slots__ = ("_bin", "_bins", "_day", "_days", "_means", "_overall", "_sums", "_weights", "_width")

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
        self._means: dict[int, float] = {}  # of bins, likewise

    def learn(self, time: int, total: float, expected: float) -> None:
        """Take a bucket's total volume, reined in where it is far above what was expected of it (transactions).

        A surge must not be due tomorrow, for its absence would look like a loss. A fall is taken as it is: a closing
        hour comes again, and after an outage `growth` sees that the level is not where the shape was.
        """
        index = _weekend(time) * self._bins + time % DAY // self._bin
        day = time // DAY
        if day != self._day[index]:
            self._days += day > max(self._day)
            self._day[index] = day
            self._sums[index] *= DAY_KEEP
            self._weights[index] *= DAY_KEEP
        self._sums[index] += min(MOST * expected, total) if expected > 0.0 else total
        self._weights[index] += 1.0
        self._overall = -1.0
        self._means.clear()

    def growth(self, start: int, end: int, level: float) -> float:
        """Usual volume at `end` over that at `start` (epoch seconds), 0.1..10; 1 until a whole day is known.

        level: the present level of the total (transactions a bucket). It is not raised beyond the shape's own height:
        where yesterday had an outage at this time and today has none, there is nothing to recover from.
        """
        if self._width > HOUR or self._days < 2:
            return 1.0
        before, after = self.level(start), self.level(end)
        if before <= 0.0 or after <= 0.0:
            return 1.0
        growth = min(10.0, max(0.1, after / before))
        if growth > 1.0 and level > 0.0:
            growth = max(1.0, min(growth, BEYOND * after / level))
        return growth

    def level(self, time: int) -> float:
        """Transactions a bucket usual at `time`, on the line between the middles of two bins; 0 where unknown."""
        place = (time % DAY + self._width / 2) / self._bin + 0.5  # 1 more, so that none is below 0
        first = int(place) - 1
        part = place - 1.0 - first
        weekend = _weekend(time)
        low, high = self._mean(weekend, first % self._bins), self._mean(weekend, (first + 1) % self._bins)
        return low + part * (high - low) if low > 0.0 and high > 0.0 else 0.0

    def error(self, time: int) -> float:
        """Squared relative error of the shape around `time`: from the transactions that it was learned of, and where
        it is steep, from not knowing the minute in which it rises or falls."""
        index = time % DAY // self._bin
        few = 1.0 / (self._sums[index] + self._sums[index + self._bins] + PRIOR)
        weekend = _weekend(time)
        before, after = self._mean(weekend, (index - 1) % self._bins), self._mean(weekend, (index + 1) % self._bins)
        if before <= 0.0 or after <= 0.0:
            return few
        steep = STEEP * (after - before) / (after + before)
        return few + steep * steep

    def _mean(self, weekend: int, index: int) -> float:
        """A bin's mean, its neighbours' weighed in at half; 0 while nothing is known of one of the three.

        Where a bin is a single bucket its neighbours are left out: they would blur what the day is like.
        """
        place = weekend * self._bins + index
        found = self._means.get(place)
        if found is None:
            found = self._means[place] = self._mean_of(weekend, index)
        return found

    def _mean_of(self, weekend: int, index: int) -> float:
        side = 0.5 if self._width < self._bin else 0.0
        total, weight = 0.0, 0.0
        for step in (-1, 0, 1):
            sums, weights = self._known(weekend, (index + step) % self._bins)
            if weights <= 0.0:
                return 0.0
            part = 1.0 if step == 0 else side
            total += part * sums
            weight += part * weights
        if self._overall < 0.0:
            self._overall = _total(self._sums) / _total(self._weights)
        mean = self._overall
        return (total + PRIOR) / (weight + PRIOR / mean) if mean > 0.0 else 0.0

    def _known(self, weekend: int, index: int) -> tuple[float, float]:
        """Transactions and buckets of a bin: weekdays and weekends are one until two weeks are known."""
        if self._days <= TWO_WEEKS:
            other = index + self._bins
            return self._sums[index] + self._sums[other], self._weights[index] + self._weights[other]
        place = weekend * self._bins + index
        return self._sums[place], self._weights[place]

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


def _total(values: list[float]) -> float:
    """The sum; mypyc takes `sum` of a list for one of whole numbers."""
    total = 0.0
    for value in values:
        total += value
    return total


def _weekend(time: int) -> int:
    return int((time // DAY + 3) % 7 >= 5)  # the epoch began on a Thursday

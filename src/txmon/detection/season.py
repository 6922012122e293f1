"""The shape of a day: how the total volume moves from half-hour to half-hour, learned from the days before.

Only ratios are taken from it: the level follows the shape from bucket to bucket, and stays as high as the level has
learned that it is. A busier day, a smaller merchant, a new plateau need nothing of their own (a multiplicative season,
Winters 1960, with the level left to the baseline). One shape serves every series, since it costs no state of theirs.
"""

from collections.abc import Sequence
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


class Bin:
    """What is known of one part of the day, of weekdays or of the weekend."""

    __slots__ = ("after", "before", "buckets", "day", "near", "near_buckets", "other", "transactions")

    def __init__(self) -> None:
        self.transactions = 0.0
        self.buckets = 0.0
        self.day = -1  # on which it learned last, in days since the epoch
        # the same with the neighbours weighed in, worked out when it is asked for
        self.near = 0.0
        self.near_buckets = -1.0  # -1 until then, 0 while nothing is known of one of them
        # its neighbours, and the same part of the other days
        self.before = self.after = self.other = self

    def join(self, before: "Bin", after: "Bin", other: "Bin") -> None:
        """Say which bins it is weighed with."""
        self.before, self.after, self.other = before, after, other


class Season:
    """Learns the day's shape and says how much the volume usually grows between two times."""

    __slots__ = (
        "_at", "_before_buckets", "_before_transactions", "_bin", "_bins", "_days", "_overall", "_place", "_width",
    )  # fmt: skip

    def __init__(self, bucket: int) -> None:
        """bucket: the width of a bucket in seconds; a shape is learned for buckets of at most an hour."""
        self._width = bucket
        self._bin = max(BIN, bucket)
        self._bins = DAY // self._bin
        self._at = [Bin() for _ in range(2 * self._bins)]  # weekdays', then the weekend's
        for half, other in ((self._at[: self._bins], self._at[self._bins :]), (self._at[self._bins :], self._at)):
            for i in range(self._bins):
                half[i].join(half[i - 1], half[(i + 1) % self._bins], other[i])
        self._days = 0  # that taught so far
        self._overall = -1.0  # mean of all bins; -1 until it is summed up anew
        # the bin that learned last and the sums of those before it, which stay the same while it goes on learning
        self._place = 0
        self._before_transactions = 0.0
        self._before_buckets = 0.0

    def learn(self, time: int, total: float, expected: float, span: float = 1.0) -> None:
        """Take a bucket's total volume, reined in where it is far above what was expected of it (transactions).

        span: buckets over which it was gathered, where the feed comes in bursts.

        A surge must not be due tomorrow, for its absence would look like a loss. A fall is taken as it is: a closing
        hour comes again, and after an outage `growth` sees that the level is not where the shape was.
        """
        place = self._place_of(time)
        if place != self._place:
            self._place, self._before_transactions, self._before_buckets = place, 0.0, 0.0
            self._before_transactions, self._before_buckets = self._sums(0, place)
        one = self._at[place]
        day = time // DAY
        if day != one.day:
            self._begin_day(one, day)
        one.transactions += min(MOST * expected * span, total) if expected > 0.0 else total
        one.buckets += span
        self._overall = -1.0
        one.near_buckets = one.before.near_buckets = one.after.near_buckets = -1.0
        one = one.other
        one.near_buckets = one.before.near_buckets = one.after.near_buckets = -1.0

    def _begin_day(self, one: Bin, day: int) -> None:
        """Let a bin know a day less of what it learned on the days before."""
        newest = -1
        for other in self._at:
            newest = max(newest, other.day)
            other.near_buckets = -1.0
        self._days += day > newest
        one.day = day
        one.transactions *= DAY_KEEP
        one.buckets *= DAY_KEEP

    def _sums(self, start: int, end: int) -> tuple[float, float]:
        """Transactions and buckets of the bins before `end`, those before `start` being known to be those before
        the bin that learned last: one after the other in either case, so that the sums are the same to the last bit."""
        transactions, buckets = self._before_transactions, self._before_buckets
        for one in self._at[start:end]:
            transactions += one.transactions
            buckets += one.buckets
        return transactions, buckets

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
        # the first is the one before that of `time` or that itself
        one = self._at[first % self._bins + (self._bins if _weekend(time) else 0)]
        low, high = self._mean(one), self._mean(one.after)
        if low <= 0.0 or high <= 0.0:
            return max(low, high)  # next to hours of which nothing is known: closed ones
        return low + part * (high - low)

    def error(self, time: int) -> float:
        """Squared relative error of the shape around `time`: from the transactions that it was learned of, and where
        it is steep, from not knowing the minute in which it rises or falls."""
        one = self._at[self._place_of(time)]
        few = 1.0 / (one.transactions + one.other.transactions + PRIOR)
        before, after = self._mean(one.before), self._mean(one.after)
        if before <= 0.0 or after <= 0.0:
            return few
        steep = STEEP * (after - before) / (after + before)
        return few + steep * steep

    def _place_of(self, time: int) -> int:
        """Of the bin that `time` is in."""
        place = time % DAY // self._bin
        return place + self._bins if _weekend(time) else place

    def _mean(self, one: Bin) -> float:
        """A bin's mean, its neighbours' weighed in at half; 0 while nothing is known of it.

        Where a bin is a single bucket its neighbours are left out: they would blur what the day is like.
        """
        if one.near_buckets < 0.0:
            self._weigh_neighbours(one)
        if one.near_buckets <= 0.0:
            return 0.0
        if self._overall < 0.0:
            transactions, buckets = self._sums(self._place, 2 * self._bins)
            self._overall = transactions / buckets
        mean = self._overall
        return (one.near + PRIOR) / (one.near_buckets + PRIOR / mean) if mean > 0.0 else 0.0

    def _weigh_neighbours(self, one: Bin) -> None:
        one.near_buckets = 0.0
        before, before_buckets = self._known(one.before)
        here, here_buckets = self._known(one)
        after, after_buckets = self._known(one.after)
        if here_buckets <= 0.0:
            return
        side = 0.5 if self._width < self._bin else 0.0
        one.near = side * before + here + side * after
        one.near_buckets = side * before_buckets + here_buckets + side * after_buckets

    def _known(self, one: Bin) -> tuple[float, float]:
        """Transactions and buckets of a bin: weekdays and weekends are one until two weeks are known."""
        if self._days <= TWO_WEEKS:
            return one.transactions + one.other.transactions, one.buckets + one.other.buckets
        return one.transactions, one.buckets

    def snapshot(self) -> list[float]:
        """All of the state as plain numbers, for `restore`."""
        numbers = [float(self._width), float(self._days)]
        numbers += [one.transactions for one in self._at]
        numbers += [one.buckets for one in self._at]
        return numbers + [float(one.day) for one in self._at]

    def restore(self, state: Sequence[float]) -> None:
        """Become the season whose `snapshot` was `state`; ValueError when it cannot be one."""
        size = 2 * self._bins
        if len(state) > 0 and int(state[0]) != self._width:
            raise ValueError(f"the state was saved with buckets of {state[0]:.0f} s, not of {self._width} s")
        if len(state) != 2 + 3 * size:
            raise ValueError(f"a season has {2 + 3 * size} numbers, not {len(state)}")
        self._days = int(state[1])
        for i, one in enumerate(self._at):
            one.transactions, one.buckets, one.day = state[2 + i], state[2 + size + i], int(state[2 + 2 * size + i])
            one.near, one.near_buckets = 0.0, -1.0
        self._overall = -1.0
        self._place, self._before_transactions, self._before_buckets = 0, 0.0, 0.0


def _weekend(time: int) -> bool:
    return (time // DAY + 3) % 7 >= 5  # the epoch began on a Thursday

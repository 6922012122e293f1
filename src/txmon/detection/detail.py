"""A second table of counts beside the statuses, such as counts by response code: which of its values explain an alert.

Its rows say nothing of statuses. A value explains a status's excess when it has come more often than its usual share of
everything, by about as much, at the same time.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from txmon.detection.drivers import CHANCE, ENOUGH, LEARNED, LEAST_PART, SHARE_ERROR, largest
from txmon.detection.normal import upper_quantile
from txmon.detection.value_table import ValueTable
from txmon.model.drivers import NO_DRIVERS, Driver, Drivers
from txmon.model.keys import TOTAL
from txmon.model.scores import count_score

LONGEST: Final = 15  # buckets of a verdict's window
KEEP: Final = 1000  # values


class DetailCounts:
    """Follows the counts of a second table, bucket by bucket, beside the pipeline's."""

    def __init__(self, column: str, buckets: Iterator[tuple[int, Mapping[str, int]]]) -> None:
        """column: what its values are. buckets: start (epoch seconds) and counts by value, in order of time."""
        self._column = column
        self._buckets = buckets
        self._next: tuple[int, Mapping[str, int]] | None = next(buckets, None)
        self._newest: list[tuple[int, Mapping[str, int]]] = []
        self._table = ValueTable(KEEP)
        self._learned = 0.0  # transactions

    def reach(self, time: int) -> None:
        """Take the counts up to the bucket at `time`."""
        while self._next is not None and self._next[0] <= time:
            self._newest = [*self._newest[1 - LONGEST :], self._next]
            self._next = next(self._buckets, None)

    def learn(self, time: int) -> None:
        """Learn from the bucket at `time`, in which nothing alerts."""
        if self._newest and self._newest[-1][0] == time:
            counts = self._newest[-1][1]
            self._table.learn(time, {value: {"all": count} for value, count in counts.items()}, frozenset())
            self._learned += sum(counts.values())

    def explain(self, time: int, bucket: int, window: int, excess: float) -> Drivers | None:
        """Return the values that explain an excess of a status (negative: missing) in the buckets up to `time`.

        bucket: seconds. window: buckets. Empty where none do, None where too little is known or the table has no counts
        of these buckets.
        """
        some = [counts for start, counts in self._newest if time - window * bucket < start <= time]
        if len(some) < window or self._learned < LEARNED or not excess:
            return None
        seen: dict[str, int] = {}
        for counts in some:
            for value, count in counts.items():
                seen[value] = seen.get(value, 0) + count
        sign = 1.0 if excess > 0.0 else -1.0
        usual = max(0.0, sum(seen.values()) - excess)
        names, came, due = self._table.compare(seen, TOTAL, usual)
        off = sign * (came - due)
        least = max(3.0, upper_quantile(CHANCE / max(1, len(names))))
        found: list[Driver] = []
        held = 0.0
        for i in largest(off):
            over, expected = float(off[i]), float(due[i])
            score = sign * count_score(float(came[i]), max(expected, 0.01), SHARE_ERROR)
            if over < LEAST_PART * abs(excess) or score < least:
                break
            found.append(Driver([(self._column, names[i])], int(came[i]), expected, min(1.0, over / abs(excess))))
            held += over
            if held >= ENOUGH * abs(excess):
                return tuple(found)
        return NO_DRIVERS

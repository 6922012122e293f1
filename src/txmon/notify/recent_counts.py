"""Keeps the last minutes of every series, for the sparklines of notifications."""

from collections.abc import Iterable, Sequence
from typing import Final

from txmon.model.outcome import without_sums
from txmon.model.verdict import Verdict
from txmon.notify.notification import Recent, Series

CELLS: Final = 15  # minutes of a sparkline; bars, with buckets wider than a minute
MOST_ENTRIES: Final = 100_000  # series times buckets that are kept apart: about 10 MB


class RecentCounts:
    """Keeps counts by bucket, for as many buckets as a sparkline covers."""

    def __init__(self, bucket: int) -> None:
        """bucket: the width of a bucket in seconds."""
        self._bucket = bucket
        self._cell = max(60, bucket)
        self._most = MOST_ENTRIES * bucket // (CELLS * self._cell)
        self._apart: dict[int, dict[Series, int]] = {}
        self._together: dict[int, dict[str, int]] = {}

    def add(self, time: int, verdicts: Sequence[Verdict]) -> None:
        """Take the bucket that starts at `time` (epoch seconds); one that comes again corrects what it names."""
        if time in self._together and not self._apart[time]:
            return  # too many to keep apart: what a correction corrects is not known
        together = self._together.setdefault(time, {})
        apart = self._apart.setdefault(time, {})
        crowded = len(verdicts) > self._most
        of_keys = without_sums(verdicts) is not verdicts
        for verdict in verdicts:
            series = (verdict.status, verdict.key)
            if verdict.key or not of_keys:
                together[verdict.status] = together.get(verdict.status, 0) + verdict.count - apart.get(series, 0)
            if not crowded:
                apart[series] = verdict.count
        newest = max(self._together)
        for old in [start for start in self._together if start <= newest - CELLS * self._cell]:
            del self._together[old], self._apart[old]

    def recent(self, wanted: Iterable[Series], over_all_keys: bool = False) -> Recent:
        """Return the counts of the `wanted` series; of their statuses when asked, or too many series to keep apart."""
        if not self._together:
            return Recent(self._cell)
        together = over_all_keys or any(not self._apart[start] for start in self._together if self._together[start])
        names = {(status, () if together else key) for status, key in wanted}
        return Recent(self._cell, {series: self._counts(series, together) for series in names}, together)

    def _counts(self, series: Series, over_all_keys: bool) -> tuple[int, ...]:
        newest = max(self._together)
        cells = [0] * ((newest - min(self._together)) // self._cell + 1)
        for start in self._together:
            found = self._together[start].get(series[0], 0) if over_all_keys else self._apart[start].get(series, 0)
            cells[-1 - (newest - start) // self._cell] += found
        return tuple(cells)

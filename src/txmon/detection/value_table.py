"""The values of one column of --drivers: how often each came with each status, in bounded memory.

A table keeps the values that come most, by the space-saving rule (Metwally, Agrawal & El Abbadi 2005): a new value
takes the place of the one that has come least, and with it the doubt about how often it came before. Counts halve in
weight every HALF_LIFE. They are stored times a growing factor instead (forward decay; Cormode et al. 2009), so that a
bucket touches the values that came in it and no others.
"""

from base64 import b64decode, b64encode
from collections.abc import Mapping
from heapq import heapify, heapreplace
from typing import Any, Final

HALF_LIFE: Final = 86400  # seconds: shares have a shape over the day, and rare statuses need a day to show theirs
MOST_STATUSES: Final = 32  # statuses of a table; of further ones nothing is known
FIRST_ROWS: Final = 256
HIGHEST: Final = 1024.0  # of the growing factor, before all counts are divided by it
PRIOR: Final = 10.0  # transactions' worth of trust that a value's share of a status is its share of all statuses


class ValueTable:
    """Counts by value and status, decayed; of at most `keep` values."""

    def __init__(self, keep: int) -> None:
        import numpy

        self._np = numpy
        self._keep = keep
        self._index: dict[str, int] = {}
        self._names: list[str] = []
        self._statuses: dict[str, int] = {}
        self._rows = numpy.zeros((0, 0), dtype=numpy.float32)  # by value and status, times the factor
        self._doubt = numpy.zeros(0, dtype=numpy.float32)  # what a value may have had before it was kept, likewise
        self._all = numpy.zeros(0, dtype=numpy.float64)  # by status, of all values
        self._sums: Any = None  # of the rows, likewise
        self._known_shares: dict[str, Any] = {}  # by status, until something is learned
        self._since = -1  # time at which the factor is 1, epoch seconds
        self._factor = 1.0

    def __len__(self) -> int:
        """How many values are kept."""
        return len(self._names)

    def transactions(self) -> float:
        """Return how many transactions are known, decayed."""
        return float(self._all.sum()) / self._factor

    def learn(self, time: int, counts: Mapping[str, Mapping[str, int]], left_out: frozenset[str]) -> None:
        """Take the counts, by value and status, of the bucket at `time`, but those of the statuses `left_out`."""
        self._known_shares.clear()
        self._sums = None
        self._grow_to(time)
        self._meet(counts)
        np, index, known = self._np, self._index, self._statuses
        rows: list[int] = []
        columns: list[int] = []
        added: list[int] = []
        for value, statuses in counts.items():
            row = index.get(value, -1)
            for status, count in statuses.items():
                column = known.get(status, -1)
                if column >= 0 and status not in left_out:
                    rows.append(row)
                    columns.append(column)
                    added.append(count)
        if not rows:
            return
        places, weights = np.array(columns), np.array(added, dtype=np.float64)
        # whole numbers are added up first: the order of rows in a bucket must not show
        self._all += np.bincount(places, weights, len(self._all)) * self._factor
        at = np.array(rows)
        kept = at >= 0
        self._rows[at[kept], places[kept]] += (weights[kept] * self._factor).astype(np.float32)

    def _meet(self, counts: Mapping[str, Mapping[str, int]]) -> None:
        """Have a place for all values and statuses of a bucket, as far as there is room."""
        fresh: list[tuple[int, str]] = []
        strange: list[str] = []
        for value, statuses in counts.items():
            for status in statuses:
                if status not in self._statuses and status not in strange:
                    strange.append(status)
            if value not in self._index:
                fresh.append((-sum(statuses.values()), value))
        strange.sort()
        for status in strange[: MOST_STATUSES - len(self._statuses)]:
            self._statuses[status] = len(self._statuses)
        if fresh:
            fresh.sort()
            self._admit(fresh)
        self._widen()

    def _grow_to(self, time: int) -> None:
        if self._since < 0:
            self._since = time
        self._factor = 2.0 ** ((time - self._since) / HALF_LIFE)
        if self._factor > HIGHEST:
            self._rows /= self._np.float32(self._factor)
            self._doubt /= self._np.float32(self._factor)
            self._all /= self._factor
            self._since, self._factor = time, 1.0

    def _admit(self, values: list[tuple[int, str]]) -> None:
        """Give new values a row, those that come most first; where there is no room, one that came least loses its own.

        values: less how often each came, and the value.
        """
        free = self._keep - len(self._names)
        for _, value in values[:free]:
            self._index[value] = len(self._names)
            self._names.append(value)
        rest = values[max(0, free) :]
        if not rest:
            return
        self._widen()
        np, count = self._np, len(self._names)
        weights = self._rows[:count].sum(axis=1) + self._doubt[:count]
        least = np.argsort(weights, kind="stable")[: len(rest)].tolist()
        heap = [(float(weights[place]), place) for place in least]
        heapify(heap)
        for minus, value in rest:
            weight, place = heap[0]
            heapreplace(heap, (weight - minus * self._factor, place))
            del self._index[self._names[place]]
            self._index[value] = place
            self._names[place] = value
            self._doubt[place] = weight
            self._rows[place] = 0.0

    def _widen(self) -> None:
        """Have room for all values and statuses."""
        np = self._np
        rows, columns = self._rows.shape
        if len(self._names) > rows:
            rows = min(self._keep, max(FIRST_ROWS, len(self._names) * 5 // 4))
        columns = max(columns, len(self._statuses))
        if (rows, columns) == self._rows.shape:
            return
        wider = np.zeros((rows, columns), dtype=np.float32)
        wider[: self._rows.shape[0], : self._rows.shape[1]] = self._rows
        doubt = np.zeros(rows, dtype=np.float32)
        doubt[: len(self._doubt)] = self._doubt
        every = np.zeros(columns, dtype=np.float64)
        every[: len(self._all)] = self._all
        self._rows, self._doubt, self._all = wider, doubt, every

    def part(self, value: str, status: str, trust: float) -> tuple[float, float, float] | None:
        """Return which part of a value's transactions usually has a status; how many are known, and of that status.

        trust: transactions' worth of trust that the part is that of all values. None for a value that is not kept.
        """
        place = self._index.get(value, -1)
        total = float(self._all.sum())
        if place < 0 or total <= 0.0:
            return None
        column = self._statuses.get(status, -1)
        of_all = 0.0 if column < 0 else float(self._all[column]) / total
        if self._sums is None:
            self._sums = self._rows.sum(axis=1)
        count = float(self._sums[place]) / self._factor
        events = (0.0 if column < 0 else float(self._rows[place, column]) / self._factor) + trust * of_all
        return events / (count + trust), count, events

    def share(self, value: str, status: str) -> float:
        """Return the part of a status's transactions that usually has this value. status: `*` for all statuses."""
        place = self._index.get(value, -1)
        return 0.0 if place < 0 else float(self._shares(status)[place])

    def _shares(self, status: str) -> Any:
        """The same of all values that are kept, by place."""
        found = self._known_shares.get(status)
        if found is None:
            found = self._known_shares[status] = self._work_out_shares(status)
        return found

    def _work_out_shares(self, status: str) -> Any:
        n = len(self._names)
        total = float(self._all.sum())
        if total <= 0.0:
            return self._np.zeros(n)
        own = self._rows[:n].sum(axis=1, dtype=self._np.float64) + self._doubt[:n]
        volume = own / max(total, float(own.sum()))
        column = self._statuses.get(status, -1)
        if status == "*":
            return volume
        if column < 0:
            return volume
        prior = PRIOR * self._factor
        of_status = float(self._all[column])
        # what a value had before it was kept is spread over statuses as everything is
        doubt = self._doubt[:n] * (of_status / total)
        return (self._rows[:n, column] + doubt + prior * volume) / (of_status + prior)

    def compare(self, seen: Mapping[str, int], status: str, expected: float) -> tuple[list[str], Any, Any]:
        """Return values, how often each came, and how often it was expected, where `expected` came of all of them.

        The values are those kept, and those in `seen`.
        """
        np = self._np
        strange = [value for value in seen if value not in self._index]
        strange.sort()
        names = self._names + strange if strange else self._names
        came = np.zeros(len(names))
        for value, count in seen.items():
            place = self._index.get(value, -1)
            if place >= 0:
                came[place] = count
        n = len(self._names)
        due = np.zeros(len(names))
        due[:n] = self._shares(status) * expected
        for i, value in enumerate(strange):
            came[n + i] = seen[value]
        return names, came, due

    def snapshot(self) -> dict[str, object]:
        """Return all of it, as values of JSON."""
        n = len(self._names)
        return {
            "names": self._names,
            "statuses": list(self._statuses),
            "rows": b64encode(self._rows[:n, : len(self._statuses)].tobytes()).decode(),
            "doubt": b64encode(self._doubt[:n].tobytes()).decode(),
            "all": self._all[: len(self._statuses)].tolist(),
            "since": self._since,
            "factor": self._factor,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restore what `snapshot` returned. Raise KeyError, TypeError or ValueError if it is not valid."""
        np = self._np
        self._known_shares.clear()
        self._sums = None
        names = [str(name) for name in state["names"]]
        statuses = {str(name): i for i, name in enumerate(state["statuses"])}
        rows = np.frombuffer(b64decode(state["rows"], validate=True), dtype=np.float32)
        doubt = np.frombuffer(b64decode(state["doubt"], validate=True), dtype=np.float32)
        every = np.array([float(one) for one in state["all"]], dtype=np.float64)
        if rows.size != len(names) * len(statuses) or len(doubt) != len(names) or len(every) != len(statuses):
            raise ValueError("the counts of a driver's values are not as many as its values")
        kept = min(len(names), self._keep)  # fewer where --drivers-keep was lowered: the first ones
        self._names = names[:kept]
        self._index = {name: place for place, name in enumerate(self._names)}
        self._statuses = statuses
        self._rows = rows.reshape(len(names), len(statuses))[:kept].copy()
        self._doubt, self._all = doubt[:kept].copy(), every
        self._since, self._factor = int(state["since"]), float(state["factor"])

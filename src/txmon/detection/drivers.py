"""Where a count is off normal: which values of the columns of --drivers explain its excess.

The method follows three papers:

- Adtributor (Bhagwan et al., NSDI 2014): each column by itself, the expected count of a value being its usual share of
  the expected total, and the smallest set of values that explains a given part of the excess, preferred by surprise.
- Squeeze (Li et al., ISSRE 2019): what the values of a true cause have in common is that all of them deviate alike
  while all others do not; a set that leaves the rest as far off normal as before is not a cause.
- RiskLoc (Kalander 2022): most of the other values are normal, so a cause is judged by how it stands out from them.

A set of values explains the excess when it holds two thirds of it (`ENOUGH`), each value in it is off normal by itself,
and without it the rest is at most half as far off normal as everything was (`CALM`). Of the sets of all columns the one
counts whose part of the excess is furthest above its usual part (`EACH`). Where one value explains the excess, a second
column may narrow it down to a pair: the pair must hold nine tenths of what the value explains (`NARROW`), while neither
the status nor the value's other transactions usually concentrate there.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from txmon.detection.normal import upper_quantile
from txmon.detection.value_table import ValueTable
from txmon.model.drivers import NO_DRIVERS, Driver, Drivers
from txmon.model.keys import TOTAL, Counts, Key
from txmon.model.scores import count_score

ENOUGH: Final = 2.0 / 3.0  # of the excess, that explains it
EACH: Final = 0.1  # of the excess, by which a set must stand out more for each further value
CALM: Final = 0.5  # how far off normal the rest may be at most, against everything
MOST_VALUES: Final = 5  # values of a set; what needs more is spread evenly
LEAST_PART: Final = 0.05  # of the excess, that a value of a set must hold
NARROW: Final = 0.9  # of what a value explains, that a pair must hold to say more than the value alone
APART: Final = 0.3  # by how much more of the excess than usual must lie at the second value of a pair
CHANCE: Final = 0.01  # that any value of a column is taken for off normal by chance
SHARE_ERROR: Final = 0.01  # squared relative error of a share: shares move over the day
LEARNED: Final = 200.0  # transactions of a series, before which no driver is named
MOST_TABLES: Final = 3000  # tables over all keys: a key that comes when there is no room has no drivers
SeenBy = dict[str, dict[str, int]]  # by value and status


class DriverBook:
    """Learns the usual shares of the values of several columns, for each key, and explains verdicts by them."""

    def __init__(self, columns: Sequence[str], keep: int) -> None:
        """columns: of --drivers. keep: how many values of each are kept."""
        self.columns = tuple(columns)
        self._keep = keep
        self._tables: dict[Key, list[ValueTable]] = {}

    def learn(
        self,
        time: int,
        bucket: "BucketParts",
        odd: Iterable[tuple[Key, str]],
        values: Iterable[tuple[int, str, str]] = (),
    ) -> None:
        """Learn from the bucket at `time`. odd: series that alert.

        values: (column, value, status) that are off normal by themselves: they do not teach either.
        """
        if not bucket.whole:
            return
        bad: dict[Key, set[str]] = {}
        for key, status in odd:
            bad.setdefault(key, set()).add(status)
        for key, parts in bucket.by_key.items():
            if key:
                seen = [seen_by(parts, place) for place in range(len(self.columns))]
                self._learn_key(time, key, seen, frozenset(bad.get(key, ())))
        for column, value, status in values:
            if value in bucket.seen[column]:
                bucket.seen[column][value].pop(status, None)
        self._learn_key(time, (), bucket.seen, frozenset(bad.get((), ())))

    def _learn_key(self, time: int, key: Key, seen: list[SeenBy], left_out: frozenset[str]) -> None:
        tables = self._tables.get(key)
        if tables is None:
            if len(self._tables) * len(self.columns) >= MOST_TABLES:
                return
            tables = self._tables[key] = [ValueTable(self._keep) for _ in self.columns]
        if TOTAL in left_out:
            return  # the volume itself is odd: no status says what is usual
        for place, table in enumerate(tables):
            table.learn(time, seen[place], left_out)

    def table(self, key: Key, place: int) -> ValueTable | None:
        """Return what is known of the values of the column at `place` for a key; None for nothing."""
        tables = self._tables.get(key)
        return tables[place] if tables is not None else None

    def explain(self, key: Key, status: str, expected: float, buckets: Sequence[Counts], above: bool) -> Drivers | None:
        """Return what explains that a status is above or below `expected` over `buckets`.

        buckets: their counts by --group-by and --drivers. Empty where the excess is spread evenly. None where little
        is known yet, or nothing is off normal in this direction.
        """
        tables = self._tables.get(key)
        if tables is None or tables[0].transactions() < LEARNED:
            return None
        parts = [part for leaves in buckets for part in parts_of(leaves, len(self.columns), key)]
        case = _Case(self.columns, tables, parts, status, expected, 1.0 if above else -1.0)
        return case.drivers() if case.excess > 0.0 else None

    def snapshot(self) -> dict[str, object]:
        """Return all of it, as values of JSON."""
        return {
            "columns": list(self.columns),
            "tables": [
                [[list(pair) for pair in key], [table.snapshot() for table in tables]]
                for key, tables in self._tables.items()
            ],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what `snapshot` gave, but for other columns; KeyError, TypeError or ValueError as others do."""
        known = [str(name) for name in state["columns"]]
        self._tables = {}
        for key, tables in state["tables"]:
            found = [ValueTable(self._keep) for _ in self.columns]
            for place, name in enumerate(self.columns):
                if name in known:
                    found[place].restore(tables[known.index(name)])
            self._tables[tuple([(str(name), str(value)) for name, value in key])] = found


class Part:
    """The counts of one combination of values."""

    __slots__ = ("counts", "values")

    def __init__(self, values: tuple[str, ...], counts: dict[str, int]) -> None:
        self.values = values
        self.counts = counts  # by status


class BucketParts:
    """What one bucket has of each combination of values, and of each value."""

    __slots__ = ("by_key", "seen", "whole")

    def __init__(self, leaves: Counts, columns: int) -> None:
        """leaves: counts by the columns of --group-by and then those of --drivers. columns: how many the latter are."""
        self.by_key: dict[Key, list[Part]] = parts_of(leaves, columns)
        parts = self.by_key.get((), [])
        self.whole: list[Part] = parts or [part for some in self.by_key.values() for part in some]
        self.seen: list[SeenBy] = [seen_by(self.whole, place) for place in range(columns)]  # over all keys


def parts_of(leaves: Counts, columns: int, only: Key | None = None) -> Any:
    """Return the parts of a bucket by key, or those of one key; of () all.

    leaves: counts by the columns of --group-by and then those of --drivers. columns: how many the latter are.
    """
    if only is not None:
        return [
            Part(tuple([value for _, value in leaf[len(leaf) - columns :]]), counts)
            for leaf, counts in leaves.items()
            if not only or leaf[: len(leaf) - columns] == only
        ]
    found: dict[Key, list[Part]] = {}
    for leaf, counts in leaves.items():
        cut = len(leaf) - columns
        part = Part(tuple([value for _, value in leaf[cut:]]), counts)
        found.setdefault(leaf[:cut], []).append(part)
    return found


def seen_by(parts: Iterable[Part], place: int) -> SeenBy:
    """Return the counts of parts by the value at `place` and status."""
    found: SeenBy = {}
    for part in parts:
        value = part.values[place]
        known = found.get(value)
        if known is None:
            found[value] = dict(part.counts)
            continue
        for status, count in part.counts.items():
            known[status] = known.get(status, 0) + count
    return found


class _Set:
    """Values of one column that explain the excess."""

    __slots__ = ("contrast", "place", "values")

    def __init__(self, place: int, values: list[Driver], contrast: float) -> None:
        self.place = place
        self.values = values
        self.contrast = contrast  # their part of the excess, less their usual part of the status


class _Case:
    """One status of one key, over some buckets."""

    def __init__(
        self,
        columns: tuple[str, ...],
        tables: list[ValueTable],
        parts: list[Part],
        status: str,
        expected: float,
        sign: float,
    ) -> None:
        self._columns = columns
        self._tables = tables
        self._parts = parts
        self._status = status
        self._sign = sign
        self._expected = expected
        self._seen = sum([self._count(part) for part in parts])
        self.excess = sign * (self._seen - expected)  # above 0 where the status is off normal as asked

    def _count(self, part: Part) -> int:
        return sum(part.counts.values()) if self._status == TOTAL else part.counts.get(self._status, 0)

    def drivers(self) -> Drivers:
        """Return the values, or the pair, that explain the excess; none where it is spread evenly."""
        best: _Set | None = None
        for place in range(len(self._columns)):
            found = self._set_of(place)
            if found is not None and (best is None or _better(found, best)):
                best = found
        if best is None:
            return NO_DRIVERS
        if len(best.values) == 1:
            pair = self._pair(best.place, best.values[0])
            if pair is not None:
                return (pair,)
        return tuple(best.values)

    def _set_of(self, place: int) -> _Set | None:
        """The fewest values of one column that explain the excess; None where they do not."""
        seen: dict[str, int] = {}
        for part in self._parts:
            count = self._count(part)
            if count:
                seen[part.values[place]] = seen.get(part.values[place], 0) + count
        names, came, due = self._tables[place].compare(seen, self._status, self._expected)
        if not names:
            return None
        off = self._sign * (came - due)
        order = largest(off)
        least = max(3.0, upper_quantile(CHANCE / len(names)))
        values: list[Driver] = []
        held = usual = 0.0
        for i in order:
            over, expected = float(off[i]), float(due[i])
            score = self._sign * count_score(float(came[i]), max(expected, 0.01), SHARE_ERROR)
            if over < LEAST_PART * self.excess or score < least:
                break
            pair = [(self._columns[place], names[i])]
            values.append(Driver(pair, int(came[i]), expected, min(1.0, over / self.excess)))
            held += over
            usual += expected
            if held >= ENOUGH * self.excess:
                return self._judged(place, values, held, usual)
        return None

    def _judged(self, place: int, values: list[Driver], held: float, usual: float) -> _Set | None:
        """The set, where without it the rest is calm."""
        rest = self._expected - usual
        if rest <= 0.02 * self._expected:
            return None  # the column has nothing else
        # a rest that is off normal the other way is calm
        if (self.excess - held) / rest > CALM * self.excess / max(self._expected, 0.01):
            return None
        return _Set(place, values, held / self.excess - usual / max(self._expected, 0.01))

    def _pair(self, place: int, one: Driver) -> Driver | None:
        """The value with one of another column, where that says more than the value alone."""
        own = one.values[0][1]
        parts = [part for part in self._parts if part.values[place] == own]
        excess = self._sign * (one.seen - one.expected)
        best: tuple[float, int, str, int, float] | None = None
        for other in range(len(self._columns)):
            if other == place:
                continue
            here: dict[str, int] = {}
            elsewhere: dict[str, int] = {}  # of the value's other statuses
            for part in parts:
                value = part.values[other]
                count = self._count(part)
                here[value] = here.get(value, 0) + count
                elsewhere[value] = elsewhere.get(value, 0) + sum(part.counts.values()) - count
            around = max(1, sum(elsewhere.values()))
            for value, count in sorted(here.items()):
                usual = self._tables[other].share(value, self._status)
                expected = usual * one.expected
                part_of = self._sign * (count - expected) / excess
                apart = part_of - max(usual, elsewhere[value] / around)
                if part_of >= NARROW and apart >= APART and (best is None or apart > best[0]):
                    best = (apart, other, value, count, expected)
        if best is None or self._sign < 0.0:  # of what is missing, nobody knows where else it would have been
            return None
        _, other, value, count, expected = best
        pairs = sorted([(place, own), (other, value)])
        named = [(self._columns[at], text) for at, text in pairs]
        return Driver(named, count, expected, min(1.0, (count - expected) / self.excess))


def largest(values: Any) -> list[int]:
    """Return the places of the largest numbers of an array, the largest first, in the order of places where equal."""
    if len(values) > 1000:
        limit = values[values.argpartition(len(values) - MOST_VALUES)[len(values) - MOST_VALUES :]].min()
        some = (values >= limit).nonzero()[0]
        places: list[int] = some[(-values[some]).argsort(kind="stable")][:MOST_VALUES].tolist()
        return places
    found: list[int] = (-values).argsort(kind="stable")[:MOST_VALUES].tolist()
    return found


def _better(one: _Set, other: _Set) -> bool:
    """Whether a set stands out more than another one, or nearly as much with fewer values."""
    return one.contrast - EACH * len(one.values) > other.contrast - EACH * len(other.values) + 1e-9

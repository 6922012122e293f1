"""Adds up lines without a `Record` for each line, and remembers the meaning of cells."""

from typing import Final

from mypy_extensions import mypyc_attr

from txmon.ingest.records import Record, RecordParser, Reject
from txmon.ingest.timestamps import LONGEST_CACHED
from txmon.model.keys import Counts, Key
from txmon.model.money import NO_AMOUNT, NO_MONEY, SCALE, MoneyTable, add_money

CACHED: Final = 1 << 16  # cells of one kind that are remembered
HOUR: Final = 3600  # seconds: the widest bucket
FEW: Final = 3  # rows; a tally with fewer of them is short
SHORT: Final = 16  # consecutive short tallies after which the lines count as unordered
MOST_SPREAD: Final = 200_000  # rows that are kept back while lines are unordered
# an int, because a search for a byte in bytes first raises and catches an error inside CPython
BACKSLASH: Final = ord("\\")


# by key and status: a number for each row with an id, made of its id and its time
Marks = dict[Key, dict[str, list[int]]]


@mypyc_attr(acyclic=True)
class Tally:
    """The sums of records of one bucket that arrived one after the other.

    A tally owns its counts until `surrender` gives them to the caller.
    """

    __slots__ = ("_surrendered", "amounts", "counts", "first", "marks", "money", "rows", "start", "time", "weights")

    def __init__(self, start: int, time: int) -> None:
        self.start = start  # start of the bucket, epoch seconds
        self.first = time  # time of the first record that arrived
        self.time = time  # newest time
        self.rows = 0
        self.counts: Counts = {}  # of rows without an id
        self.marks: Marks = NO_MARKS  # of rows with an id, if the whole input is read before it is judged
        self.weights: dict[int, int] = NO_WEIGHTS  # by mark: the transactions of rows that count more or fewer than one
        self.money: MoneyTable = NO_MONEY  # of rows without an id; the owner of the counts owns it too
        self.amounts: dict[int, int] = NO_WEIGHTS  # by mark: the amount of rows that have one, in units
        self._surrendered = False

    def surrender(self) -> Counts:
        """Give the counts to the caller, who may change them. Raise RuntimeError at a second call.

        The tally is empty afterwards, so that two owners never change one table.
        """
        if self._surrendered:
            raise RuntimeError(f"the counts of the tally at {self.start} were surrendered before")
        self._surrendered = True
        counts, self.counts = self.counts, {}
        return counts


NO_MARKS: Final[Marks] = {}
NO_WEIGHTS: Final[dict[int, int]] = {}
Item = Record | Tally


def mark_of(identity: str, status: str, time: int) -> int:
    """Return a number of 64 bits for an id with a status at a time (epoch seconds).

    Two rows of a bucket share a number only with negligible probability. The number differs from process to process,
    so it must not leave this one.
    """
    return hash(identity) ^ hash(status) ^ (time % HOUR)


@mypyc_attr(acyclic=True)
class Counter:
    """The count of one status in the current tally, for input without keys. Only its ledger uses it."""

    __slots__ = ("count", "name", "seen")

    def __init__(self, name: str) -> None:
        self.name = name
        self.seen = False  # in the current tally
        self.count = 0


@mypyc_attr(acyclic=True)
class Status:
    """The status in a cell. It never changes, so lines and remembered ends may share it."""

    __slots__ = ("counter", "name")

    def __init__(self, name: str, counter: Counter) -> None:
        self.name = name
        self.counter = counter  # where the ledger counts this status, to save a look-up for every line


class Ledger:
    """Adds up the lines of one source by bucket, key and status."""

    def __init__(self, parser: RecordParser, width: int, whole: bool = False) -> None:
        """Create it. width: of a bucket, seconds. whole: the tallies may come out in another order than the lines."""
        self.parser = parser
        self.statuses: dict[object, Status] = {}  # by cell or JSON value
        self.out: list[Item | Reject] = []
        self.by = parser.names
        self._width = width
        self._whole = whole
        self._spread_money: dict[int, MoneyTable] = {}
        self._short = 0  # consecutive short tallies; many of them mean that the lines are unordered
        self._spread: dict[int, Counts] = {}  # counts of unordered lines, by the start of the bucket
        self._spread_rows = 0
        self._times: dict[object, int] = {}  # cell or value -> epoch seconds
        self._keys: dict[object, Key] = {}
        self._last: object = None  # the previous time; the next time of day may equal it
        self._last_time = 0
        self._tally = Tally(-1, -1)
        self._counters: dict[str, Counter] = {}  # by status
        self._seen: list[Counter] = []  # of the current tally, in the order of arrival
        self._before: list[Counter] = []  # of an earlier tally
        self._empty: dict[str, int] = {}  # counts of 0 for the statuses of `_before`

    def add(self, time: int, status: Status, key: Key, count: int) -> None:
        """Count a line."""
        if self._short >= SHORT:
            self._add_spread(time, status, key, count)
            return
        tally = self._at(time)
        if self.by:
            counts = tally.counts.get(key)
            if counts is None:
                counts = tally.counts[key] = {}
            counts[status.name] = counts.get(status.name, 0) + count
            return
        counter = status.counter
        counter.count += count
        if not counter.seen:
            counter.seen = True
            self._seen.append(counter)

    def add_amount(self, time: int, status: Status, key: Key, count: int, units: int) -> None:
        """Count a line that has an amount."""
        if self._short >= SHORT:
            start = time - time % self._width
            money = self._spread_money.get(start)
            if money is None:
                money = self._spread_money[start] = {}
            add_money(money, key, status.name, units, count)
            self._add_spread(time, status, key, count)
            return
        self.add(time, status, key, count)
        tally = self._tally
        if tally.money is NO_MONEY:
            tally.money = {}
        add_money(tally.money, key, status.name, units, count)

    def add_marked(
        self, time: int, status: Status, key: Key, count: int, identity: str, units: int = NO_AMOUNT
    ) -> None:
        """Count a line that has an id, or let it out as a record if the input is judged while it is read."""
        if not self._whole:
            self.flush()
            amount = None if units == NO_AMOUNT else units / SCALE
            self.out.append(Record(time, status.name, count, key, amount, identity))
            return
        tally = self._at(time)
        mark = mark_of(identity, status.name, time)
        if tally.marks is NO_MARKS:
            tally.marks = {}
        by_status = tally.marks.get(key)
        if by_status is None:
            by_status = tally.marks[key] = {}
        marks = by_status.get(status.name)
        if marks is None:
            by_status[status.name] = [mark]
        else:
            marks.append(mark)
        if count != 1:
            if tally.weights is NO_WEIGHTS:
                tally.weights = {}
            tally.weights.setdefault(mark, count)
        if units != NO_AMOUNT:
            if tally.amounts is NO_WEIGHTS:
                tally.amounts = {}
            tally.amounts.setdefault(mark, units)

    def _at(self, time: int) -> Tally:
        """Return the tally for a line of this time, and count the line as one of its rows."""
        tally = self._tally
        if time != tally.time:
            if time < tally.start or time >= tally.start + self._width or tally.start < 0:
                self.flush()
                tally = self._tally = Tally(time - time % self._width, time)
            elif time > tally.time:
                tally.time = time
        tally.rows += 1
        return tally

    def _add_spread(self, time: int, status: Status, key: Key, count: int) -> None:
        """Count an unordered line."""
        start = time - time % self._width
        counts = self._spread.get(start)
        if counts is None:
            counts = self._spread[start] = {}
        statuses = counts.get(key)
        if statuses is None:
            statuses = counts[key] = {}
        statuses[status.name] = statuses.get(status.name, 0) + count
        self._spread_rows += 1
        if self._spread_rows >= MOST_SPREAD:
            self.gather()

    def gather(self) -> None:
        """Release the counts of unordered lines as tallies."""
        for start, counts in self._spread.items():
            tally = Tally(start, start)
            tally.counts = counts
            tally.money = self._spread_money.pop(start, NO_MONEY)
            tally.rows = self._spread_rows
            self._spread_rows = 0
            self.out.append(tally)
        self._spread = {}
        self._spread_money = {}
        self._short = 0

    def flush(self) -> None:
        """Release the current tally if it is not empty."""
        tally = self._tally
        if not tally.rows:
            return
        if self._whole:
            self._short = self._short + 1 if tally.rows < FEW else 0
        if self._seen:
            tally.counts[()] = self._counts()
        self.out.append(tally)
        self._tally = Tally(-1, -1)

    def _counts(self) -> dict[str, int]:
        """Return the current tally's count of each status, for input without keys."""
        seen, self._seen = self._seen, []
        if seen == self._before:  # true for most minutes; filling a copy takes half the time
            counts = self._empty.copy()
            for counter in seen:
                counts[counter.name] = counter.count
                counter.count, counter.seen = 0, False
            return counts
        counts = {}
        for counter in seen:
            counts[counter.name] = counts.get(counter.name, 0) + counter.count
            counter.count, counter.seen = 0, False
        if len(counts) == len(seen):  # otherwise a status has two counters, because the cells were forgotten in between
            self._before, self._empty = seen, dict.fromkeys(counts, 0)
        return counts

    def one(self, raw: bytes, status: bytes | str | None = None, time: object = None) -> None:
        """Let the parser read a line. Remember the meaning of its status cell and its time cell."""
        found = self.parser.one(raw)
        if found is None:
            return
        self.flush()
        self.out.append(found)
        if self.parser.more:
            self.out += self.parser.rest()
        self._last = None
        if isinstance(found, Record):
            if status is not None:
                self._learn(status, found.status)
            if time is not None and not isinstance(time, str):
                self._remember(time, found.time)

    def _learn(self, cell: object, name: str) -> None:
        """Remember the status of `cell`. All spellings of one status share its counter."""
        if len(self.statuses) >= CACHED:
            self.statuses.clear()
            self._counters.clear()
        counter = self._counters.get(name)
        if counter is None:
            counter = self._counters[name] = Counter(name)
        self.statuses[cell] = Status(name, counter)

    def cell_time(self, cell: bytes) -> int:
        """Return the epoch seconds of a cell, or -1 if the parser must say what is wrong."""
        found = self.parser.plain_time(cell)
        if found >= 0:
            return found
        # an escape or a control character can have another meaning inside JSON, so the parser must read it
        plain = cell.isascii() and BACKSLASH not in cell and cell.decode().isprintable()
        return self._text_time(cell) if plain else -1

    def value_time(self, value: object) -> int:
        """Return the epoch seconds of a JSON value, or -1 if the parser must read it."""
        return self._text_time(value) if isinstance(value, str) else self._times.get(value, -1)

    def _text_time(self, text: bytes | str) -> int:
        if text == self._last:
            return self._last_time
        found = self._times.get(text)
        if found is None:
            decoded = text.decode() if isinstance(text, bytes) else text
            found, certain = self.parser.time_of(decoded)
            if certain and len(decoded) <= LONGEST_CACHED:
                self._remember(text, found)
        self._last, self._last_time = text, found
        return found

    def _remember(self, time: object, found: int) -> None:
        if len(self._times) >= CACHED:
            self._times.clear()
        self._times[time] = found

    def name_dimensions(self, names: tuple[str, ...]) -> None:
        """Build keys from these dimensions from now on."""
        if names != self.by:
            self.flush()
            self.by = names
            self._keys.clear()

    def key(self, cell: object) -> Key | None:
        """Return the key that is remembered for a cell or a JSON value, or None."""
        return self._keys.get(cell)

    def new_key(self, cell: object, values: list[str]) -> Key:
        """Return the key with these values of the dimensions, and remember it for `cell`."""
        key = tuple([(name, value.strip()) for name, value in zip(self.by, values, strict=True)])
        if len(self._keys) >= CACHED:
            self._keys.clear()
        self._keys[cell] = key
        return key

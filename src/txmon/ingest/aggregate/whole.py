"""Sorts a whole input by event time in bounded memory, whatever the order of its rows.

Rows are added up by bucket, key and status as they arrive. Up to HOT counts stay in memory as they are. Beyond that,
they are packed into runs that are sorted by time. Beyond PACKED bytes, the runs go to a temporary file. At the end the
runs are merged. Memory therefore does not grow with the number of rows, and a sorted file is read only once.
"""

import heapq
import marshal
import sys
from array import array
from collections.abc import Iterable, Iterator
from typing import IO, Any, Final

from mypy_extensions import mypyc_attr

from txmon.errors import IoFailure
from txmon.ingest.aggregate.ledger import Item, Marks, Tally, mark_of
from txmon.ingest.records import Record
from txmon.model.keys import Counts
from txmon.model.money import NO_AMOUNT, MoneyTable, Sums, add_money, merge_money, units_of

HOT: Final = 200_000  # counts and ids in memory before they are packed: about 40 MB
PACKED: Final = 64 << 20  # bytes of packed runs in memory
PIECE: Final = 1 << 18  # bytes read from a run at a time
HEAD: Final = 16  # bytes before a bucket's content: its start and its length
Entry = tuple[int, int, bytes]  # start of the bucket, number of the run, content


@mypyc_attr(acyclic=True)
class Held:
    """The counts of one bucket so far."""

    __slots__ = ("amounts", "counts", "marks", "money", "weights")

    def __init__(self) -> None:
        self.counts: Counts = {}
        self.marks: Marks = {}  # of rows that have an id
        self.weights: dict[int, int] = {}  # by mark: the transactions of rows that count more or fewer than one
        self.money: MoneyTable = {}  # of rows without an id
        self.amounts: dict[int, int] = {}  # by mark: the amount of rows that have one, in units


class WholeInput:
    """Collects the rows of all files, and yields one tally for each bucket, oldest first."""

    def __init__(self, width: int, hot: int = HOT, packed: int = PACKED) -> None:
        """Create it. width: of a bucket, seconds. hot: counts and ids in memory.

        packed: bytes of packed runs in memory.
        """
        self.rows = 0  # records taken
        self.marked = 0  # records that have an id
        self.repeated = 0  # records that repeat another one; known after `settle`
        self._width = width
        self._limit = hot
        self._most = packed
        self._hot: dict[int, Held] = {}
        self._size = 0  # counts and ids in `_hot`
        self._runs: list[list[Entry]] = []  # runs in memory
        self._bytes = 0  # bytes of the runs in memory
        self._file: IO[bytes] | None = None
        self._spilled: list[tuple[int, int]] = []  # the start and end of each run in the file

    def take(self, items: Iterable[Item]) -> None:
        """Add records and tallies. Raise IoFailure if the temporary folder has no room for them."""
        for item in items:
            if isinstance(item, Tally):
                self.rows += item.rows
                self._add_tally(item)
            else:
                self.rows += 1
                self._add_record(item)
        if self._size > self._limit:
            self._pack()

    def _add_tally(self, tally: Tally) -> None:
        held = self._hot.get(tally.start)
        if held is None:
            held = self._hot[tally.start] = Held()
        if tally.weights or tally.money or tally.amounts:
            self._add_what_rows_weigh(held, tally)
        for key, marked in tally.marks.items():
            by_status = held.marks.setdefault(key, {})
            for status, marks in marked.items():
                self.marked += len(marks)
                self._size += len(marks)
                known = by_status.get(status)
                if known is None:
                    by_status[status] = marks
                else:
                    known += marks
        counts = tally.surrender()
        if not held.counts:
            held.counts = counts
            for statuses in counts.values():
                self._size += len(statuses)
            return
        for key, added in counts.items():
            statuses = held.counts.setdefault(key, {})
            before = len(statuses)
            for status, count in added.items():
                statuses[status] = statuses.get(status, 0) + count
            self._size += len(statuses) - before

    def _add_what_rows_weigh(self, held: Held, tally: Tally) -> None:
        for mark, count in tally.weights.items():
            held.weights.setdefault(mark, count)
        for mark, units in tally.amounts.items():
            held.amounts.setdefault(mark, units)
        self._size += len(tally.amounts)
        merge_money(held.money, tally.money)

    def _add_record(self, record: Record) -> None:
        start = record.time - record.time % self._width
        held = self._hot.get(start)
        if held is None:
            held = self._hot[start] = Held()
        if record.id is not None:
            mark = mark_of(record.id, record.status, record.time)
            held.marks.setdefault(record.key, {}).setdefault(record.status, []).append(mark)
            if record.count != 1:
                held.weights.setdefault(mark, record.count)
            units = units_of(record.amount) if record.amount is not None else NO_AMOUNT
            if units != NO_AMOUNT:
                held.amounts.setdefault(mark, units)
                self._size += 1
            self.marked += 1
            self._size += 1
            return
        statuses = held.counts.setdefault(record.key, {})
        before = len(statuses)
        statuses[record.status] = statuses.get(record.status, 0) + record.count
        self._size += len(statuses) - before
        units = units_of(record.amount) if record.amount is not None else NO_AMOUNT
        if units != NO_AMOUNT:
            add_money(held.money, record.key, record.status, units, record.count)

    def settle(self) -> None:
        """Count each row with an id once, after all rows were added. A repeat has the same id, status and time."""
        if not self.marked:
            return
        before = self.marked
        kept = 0
        counted = WholeInput(self._width, self._limit, self._most)
        for start, held in self._held():
            tally = Tally(start, start)
            seen: dict[str, set[int]] = {}
            for key, by_status in held.marks.items():
                statuses = held.counts.setdefault(key, {})
                for status, marks in by_status.items():
                    known = seen.setdefault(status, set())
                    new = set(marks) - known if known else set(marks)
                    known |= new
                    kept += len(new)
                    number = len(new)
                    if held.weights:
                        number = sum([held.weights.get(mark, 1) for mark in new])
                    statuses[status] = statuses.get(status, 0) + number
                    if held.amounts:
                        for mark in new:
                            units = held.amounts.get(mark, NO_AMOUNT)
                            if units != NO_AMOUNT:
                                add_money(held.money, key, status, units, held.weights.get(mark, 1))
            tally.counts = held.counts
            tally.money = held.money
            counted.take([tally])
        self.close()
        self._hot, self._size = counted._hot, counted._size
        self._runs, self._bytes = counted._runs, counted._bytes
        self._file, self._spilled = counted._file, counted._spilled
        self.repeated = before - kept
        self.marked = 0

    def tallies(self) -> Iterator[Tally]:
        """Yield a tally for each bucket in which something arrived, oldest first. The caller owns the counts."""
        for start, held in self._held():
            tally = Tally(start, start)
            tally.rows = 1
            tally.counts = held.counts
            tally.money = held.money
            yield tally
        self.close()

    def close(self) -> None:
        """Delete the temporary file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _held(self) -> Iterator[tuple[int, Held]]:
        if not self._runs and not self._spilled:
            for start in sorted(self._hot):
                yield start, self._hot.pop(start)
            return
        self._pack()
        runs: list[Iterable[Entry]] = [*self._runs]
        runs += [self._read_run(number, begin, end) for number, (begin, end) in enumerate(self._spilled)]
        at, held = 0, Held()
        some = False
        for start, _, content in heapq.merge(*runs):
            if some and start != at:
                yield at, held
                held = Held()
            at, some = start, True
            _unpack(held, content)
        if some:
            yield at, held

    def _pack(self) -> None:
        """Make a sorted run of the counts in memory."""
        number = len(self._runs) + (1 << 20)  # larger than any number of a run in the file, so that all numbers differ
        run: list[Entry] = []
        for start in sorted(self._hot):
            content = _packed(self._hot[start])
            self._bytes += len(content)
            run.append((start, number, content))
        self._hot, self._size = {}, 0
        if run:
            self._runs.append(run)
        if self._bytes > self._most:
            self._spill()

    def _spill(self) -> None:
        """Merge the runs in memory and write them to the temporary file."""
        import tempfile

        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(prefix="txmon-")  # noqa: SIM115 - `close` closes it
            file = self._file
            begin = file.seek(0, 2)
            for start, _, content in heapq.merge(*self._runs):
                file.write(start.to_bytes(8, "little", signed=True) + len(content).to_bytes(8, "little"))
                file.write(content)
            self._spilled.append((begin, file.tell()))
        except OSError as bad:
            folder = tempfile.gettempdir()
            raise IoFailure(f"{folder}: {bad.strerror}. Set TMPDIR to a folder with more space.") from bad
        self._runs, self._bytes = [], 0

    def _read_run(self, number: int, begin: int, end: int) -> Iterator[Entry]:
        file = self._file
        assert file is not None
        rest, at = b"", begin
        while at < end or rest:
            length = int.from_bytes(rest[8:HEAD], "little") if len(rest) >= HEAD else 0
            if len(rest) < HEAD or len(rest) < HEAD + length:
                file.seek(at)
                piece = file.read(min(max(PIECE, HEAD + length), end - at))
                at += len(piece)
                rest += piece
                continue
            whole = 0
            while len(rest) - whole >= HEAD:
                length = int.from_bytes(rest[whole + 8 : whole + HEAD], "little")
                if len(rest) - whole < HEAD + length:
                    break
                start = int.from_bytes(rest[whole : whole + 8], "little", signed=True)
                yield start, number, rest[whole + HEAD : whole + HEAD + length]
                whole += HEAD + length
            rest = rest[whole:]


def _packed(held: Held) -> bytes:
    """Return a bucket as bytes. An id takes eight bytes, once for each status."""
    marks: dict[Any, dict[str, bytes]] = {}
    for key, by_status in held.marks.items():
        # a repeated mark is stored once, because the number of rows gives the number of repeats
        marks[key] = {status: array("q", set(found)).tobytes() for status, found in by_status.items()}
    if not held.money and not held.amounts:
        return marshal.dumps((held.counts, marks, held.weights))
    money = {
        key: {status: (sums.units, sums.squares) for status, sums in statuses.items()}
        for key, statuses in held.money.items()
    }
    return marshal.dumps((held.counts, marks, held.weights, money, held.amounts))


def _unpack(held: Held, content: bytes) -> None:
    """Add packed content to a bucket."""
    row = marshal.loads(content)
    counts, marks, weights = row[0], row[1], row[2]
    if len(row) > 3:
        for key, sums_of in row[3].items():
            held_sums = {sys.intern(status): Sums(units, squares) for status, (units, squares) in sums_of.items()}
            merge_money(held.money, {_interned(key): held_sums})
        for mark, units in row[4].items():
            held.amounts.setdefault(mark, units)
    if not held.counts:
        held.counts = {_interned(key): _named(statuses) for key, statuses in counts.items()}
    else:
        for key, statuses in counts.items():
            known = held.counts.setdefault(_interned(key), {})
            for status, count in statuses.items():
                known[sys.intern(status)] = known.get(status, 0) + count
    for mark, count in weights.items():
        held.weights.setdefault(mark, count)
    for key, by_status in marks.items():
        found = held.marks.setdefault(_interned(key), {})
        for status, raw in by_status.items():
            numbers: array[int] = array("q")
            numbers.frombytes(raw)
            found.setdefault(sys.intern(status), []).extend(numbers)


def _interned(key: Any) -> Any:
    """Return an equal key that shares its texts with all other keys, which makes look-ups faster."""
    return tuple([(sys.intern(name), sys.intern(value)) for name, value in key]) if key else ()


def _named(statuses: dict[str, int]) -> dict[str, int]:
    return {sys.intern(status): count for status, count in statuses.items()}

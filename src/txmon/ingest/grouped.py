"""Rows of a file of columns, counted by DuckDB: no row becomes a Python object, only each count does.

What a status, a key or a time means is decided by the `RecordParser` alone: it reads one line for each combination of
them. Where it rejects one, or a column holds what only it can read, the rows are read one by one as those of any other
file. Both ways come to the same counts (tests/ingest/test_grouped.py).
"""

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Any, Final

from txmon.ingest.aggregate.ledger import Tally
from txmon.ingest.formats.columnar import ZONED, ColumnFile, quoted
from txmon.ingest.reading import Reading
from txmon.ingest.records import CsvLayout, Record, RecordParser
from txmon.model.clock import iso
from txmon.model.keys import Key
from txmon.model.money import SCALE, Sums

WHOLE: Final = frozenset(
    "TINYINT SMALLINT INTEGER BIGINT UTINYINT USMALLINT UINTEGER UBIGINT".split()  # noqa: SIM905 - as DuckDB has them
)
TEXTS: Final = WHOLE | {"VARCHAR", "BOOLEAN", "UUID"}  # SQL's text of these is what CSV has
MOST_COUNT: Final = 10**15
MOST_AMOUNT: Final = 10**10  # exact as a float in units, and its square in SQL's widest whole number
LEAST_EPOCH: Final = 10**9  # a number below may be no time
TOGETHER: Final = 10_000  # rows of an answer
Cells = tuple[str | None, ...]


class Unfit(Exception):
    """The rows must be read one by one."""


def tallies_of(
    file: ColumnFile, reading: Reading, parser: RecordParser, head: bytes, width: int, alone: bool
) -> Iterator[Tally] | None:
    """Return a tally for each bucket of `width` seconds, oldest first; None where the rows must be read one by one.

    parser: a new one of these lines. head: the line of names. alone: no other file has rows that these may repeat.
    Raises BadData where the file cannot be read.
    """
    import duckdb

    try:
        return _Grouped(file, reading, parser, head, width).tallies(alone)
    except Unfit:
        return None
    except duckdb.Error as bad:
        raise file.refusal(bad) from None


class _Grouped:
    """One file's rows as a table of DuckDB with a row for each bucket and combination of cells."""

    def __init__(self, file: ColumnFile, reading: Reading, parser: RecordParser, head: bytes, width: int) -> None:
        self._file = file
        self._parser = parser
        self._width = width
        parser.one(head)
        layout = parser.layout() if parser.ready() else None
        if layout is None or layout.width != len(file.columns):
            raise Unfit
        self._layout: CsvLayout = layout
        self._unit = 0  # of times that are whole numbers: how many make a second
        self._seconds = self._time(layout.time, reading)
        # the cells that say what a row is: its status and its key
        self._said = [layout.status, *layout.by]
        self._names = [f"c{place}" for place in range(len(self._said))]
        if any(not self._is_text(place) for place in self._said):
            raise Unfit

    def tallies(self, alone: bool) -> Iterator[Tally]:
        """Group the rows, and yield what they come to; Unfit where they must be read one by one."""
        layout = self._layout
        if layout.id >= 0 and not (alone and self._is_text(layout.id) and self._all_differ(layout.id)):
            raise Unfit
        said = ", ".join(f"{self._column(at)} AS {name}" for at, name in zip(self._said, self._names, strict=True))
        self._ask(
            f"CREATE TEMP TABLE grouped AS SELECT {self._seconds} // {self._width} AS bucket, {said}, "
            f"{self._sums()} FROM {self._file.relation} GROUP BY ALL"
        )
        self._check()
        return self._rows(self._meanings())

    def _ask(self, query: str) -> list[Any]:
        return self._file.connection.execute(query).fetchall()

    def _kind(self, at: int) -> str:
        return self._file.columns[at][1]

    def _column(self, at: int) -> str:
        return quoted(self._file.columns[at][0])

    def _is_text(self, at: int) -> bool:
        return self._kind(at) in TEXTS or self._kind(at).startswith("ENUM")

    def _time(self, at: int, reading: Reading) -> str:
        """Return SQL for a row's epoch seconds."""
        kind, column = self._kind(at), self._column(at)
        if kind == ZONED:
            return f"(epoch_us({column}) // 1000000)"
        if kind.startswith("TIMESTAMP") and reading.zone == "UTC":
            return f"(epoch_us({column}::TIMESTAMP) // 1000000)"
        if kind not in WHOLE:
            raise Unfit
        least, most = self._ask(f"SELECT min({column}), max({column}) FROM {self._file.relation}")[0]
        if least is None or least < LEAST_EPOCH or len(str(least)) != len(str(most)):
            raise Unfit
        unit = self._unit = 10 ** (len(str(least)) - len(str(LEAST_EPOCH)))
        for end in (least, most):
            if self._parser.time_of(str(end)) != (end // unit, True):
                raise Unfit
        return f"({column} // {unit})"

    def _all_differ(self, at: int) -> bool:
        """Return whether no two rows have the same id at the same time."""
        identity = f"nullif(trim({self._column(at)}::VARCHAR), '')"
        many, different = self._ask(
            f"SELECT count(id), count(DISTINCT CASE WHEN id IS NOT NULL THEN (id, time) END) FROM "
            f"(SELECT {identity} AS id, {self._seconds} AS time FROM {self._file.relation})"
        )[0]
        return bool(many == different)

    def _sums(self) -> str:
        """Return SQL for what is added up: rows, transactions, amounts and their squares, and what checks them."""
        layout = self._layout
        parts = ["count(*) AS many"]
        count = "1"
        if layout.count >= 0:
            if self._kind(layout.count) not in WHOLE:
                raise Unfit
            count = self._column(layout.count)
            parts.append(f"sum({count})::BIGINT AS total, min({count}) AS least, max({count}) AS most")
            parts.append(f"count({count}) AS counted")
        else:
            parts.append("count(*) AS total, 0 AS least, 0 AS most, count(*) AS counted")
        if layout.amount < 0:
            return ", ".join([*parts, "0 AS paid, 0::HUGEINT AS units, 0::HUGEINT AS squares, 0 AS largest"])
        units = self._units(layout.amount)
        pays = f"FILTER ({count} >= 1 AND {self._column(layout.amount)} IS NOT NULL)"
        parts.append(f"count(*) {pays} AS paid, sum({units}) {pays} AS units")
        parts.append(f"sum({units} * {units} // {count}) {pays} AS squares")
        return ", ".join([*parts, f"max(abs({self._column(layout.amount)})) AS largest"])

    def _units(self, at: int) -> str:
        """Return SQL for a row's amount in units."""
        kind, column = self._kind(at), self._column(at)
        scale = kind.removesuffix(")").rpartition(",")[2]
        if kind in WHOLE or (kind.startswith("DECIMAL") and scale in ("0", "1", "2", "3", "4")):
            units = f"({column}::DECIMAL(38, 4) * {SCALE})::HUGEINT"
        elif kind == "DOUBLE":
            units = f"round_even({column} * {SCALE}, 0)::HUGEINT"
        else:
            raise Unfit
        # `_check` refuses a file with other amounts; until then they must not be too large to add up
        return f"CASE WHEN abs({column}) < {MOST_AMOUNT} THEN {units} ELSE 0 END"

    def _check(self) -> None:
        """Raise Unfit where a column holds what only the parser can read, or tells what is wrong with."""
        least, most, missing, largest, first = self._ask(
            "SELECT min(least), max(most), sum(many - counted), max(largest), min(bucket) FROM grouped"
            " WHERE bucket IS NOT NULL"
        )[0]
        timeless = self._ask("SELECT count(*) FROM grouped WHERE bucket IS NULL")[0][0]
        bad_count = least is None or least < 0 or most >= MOST_COUNT or missing > 0
        if timeless or bad_count or first < 0 or (largest is not None and not largest < MOST_AMOUNT):
            raise Unfit

    def _meanings(self) -> dict[Cells, tuple[str, Key] | None]:
        """Return the status and the key that each combination of cells says; None where its rows are not counted."""
        texts = ", ".join(f"{name}::VARCHAR" for name in self._names)
        bucket, *_ = self._ask("SELECT min(bucket) FROM grouped")[0]
        found: dict[Cells, tuple[str, Key] | None] = {}
        for cells in self._ask(f"SELECT DISTINCT {texts} FROM grouped"):
            record = self._parser.one(self._line(bucket * self._width, cells))
            if record is None:
                found[cells] = None
            elif isinstance(record, Record) and record.time == bucket * self._width:
                found[cells] = (record.status, record.key)
            else:
                raise Unfit
        return found

    def _line(self, time: int, said: Sequence[str | None]) -> bytes:
        """Return a line as CSV has it: a transaction at a time, with these cells."""
        cells = [""] * self._layout.width
        zoned = self._kind(self._layout.time) == ZONED
        text = iso(time) if zoned else iso(time).replace("T", " ").removesuffix("Z")
        cells[self._layout.time] = str(time * self._unit) if self._unit else text
        if self._layout.count >= 0:
            cells[self._layout.count] = "1"
        for at, cell in zip(self._said, said, strict=True):
            cells[at] = cell or ""
        if any(not cell.isprintable() for cell in cells):
            raise Unfit
        line = io.StringIO()
        csv.writer(line, lineterminator="").writerow(cells)
        return line.getvalue().encode()

    def _rows(self, meanings: dict[Cells, tuple[str, Key] | None]) -> Iterator[Tally]:
        texts = ", ".join(f"{name}::VARCHAR" for name in self._names)
        answer = self._file.connection.execute(
            f"SELECT bucket, many, total, paid, units, squares, {texts} FROM grouped ORDER BY bucket"
        )
        tally: Tally | None = None
        while some := answer.fetchmany(TOGETHER):
            for bucket, many, total, paid, units, squares, *cells in some:
                meaning = meanings[tuple(cells)]
                if meaning is None:
                    continue
                start = bucket * self._width
                if tally is None or tally.start != start:
                    if tally is not None:
                        yield tally
                    tally = Tally(start, start)
                    tally.money = {}
                status, key = meaning
                tally.rows += many
                statuses = tally.counts.setdefault(key, {})
                statuses[status] = statuses.get(status, 0) + total
                if paid:
                    tally.money.setdefault(key, {}).setdefault(status, Sums()).join(Sums(int(units), int(squares)))
        if tally is not None:
            yield tally

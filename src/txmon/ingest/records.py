"""Parses lines of CSV with a header, or JSON lines, into records.

Many shapes are accepted, and a fault is reported exactly. A bad line becomes a `Reject` with its position and the
reason. Only a file that cannot be read at all raises an error.
"""

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from mypy_extensions import mypyc_attr

from txmon.errors import BadData
from txmon.ingest.fields import (
    NAMES,
    NEEDED,
    Fault,
    amount_of,
    cell_of,
    choose,
    count_of,
    currency_column,
    is_nothing,
    label_of,
    names_of,
    status_of,
)
from txmon.ingest.timestamps import TimeParser
from txmon.model.keys import Key
from txmon.model.money import CURRENCY

DELIMITERS: Final = ",;\t|"
PLANS: Final = 64  # shapes of JSON rows that are remembered
_Names = tuple[str, ...]
_Plan = tuple[_Names, _Names, _Names, _Names, _Names, tuple[tuple[str, str | None], ...]]
# the columns that are statuses: each column's name, and the status whose counts it has
Wide = tuple[tuple[str, str], ...]
BOM: Final = b"\xef\xbb\xbf"


class Left(Exception):
    """Signals a row that is not a record and not faulty either."""


@mypyc_attr(acyclic=True)
class Record:
    """The transactions of one status at one time. It does not change: there may be one for every line."""

    __slots__ = ("amount", "count", "id", "key", "status", "time")

    def __init__(
        self,
        time: int,
        status: str,
        count: int,
        key: Key = (),
        amount: float | None = None,
        id: str | None = None,  # noqa: A002 - as the column is called
    ) -> None:
        self.time = time  # epoch seconds
        self.status = status  # lower case
        self.count = count
        self.key = key
        self.amount = amount
        self.id = id

    def values(self) -> tuple[object, ...]:
        """Return all that the record says."""
        return self.time, self.status, self.count, self.key, self.amount, self.id

    def __repr__(self) -> str:
        return f"Record{self.values()}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Record) and self.values() == other.values()

    def __hash__(self) -> int:
        return hash(self.values())


@dataclass(frozen=True, slots=True)
class Reject:
    """A line that is not a record: its position, the kind of fault, and the line itself."""

    source: str
    line: int  # from 1
    kind: str
    reason: str
    raw: bytes


@dataclass(frozen=True, slots=True)
class ParseOptions:
    """The options for reading lines."""

    format: str = "auto"  # auto, csv or jsonl
    mapping: Mapping[str, str] = field(default_factory=dict)  # field -> column
    by: tuple[str, ...] = ()
    max_line: int = 1 << 20  # bytes
    # the following fields are decided from a look at the source (`reading`)
    delimiter: str = ""  # of CSV; empty to decide from the header
    skip: int = 0  # lines before the header
    wide: Wide = ()  # each row is a time with a count for each of these
    money: bool = False  # whether amounts are added up, per currency
    drivers: int = 0  # how many of `by`, from its end, are columns of --drivers
    decimal: str = ""  # decimal mark of counts; empty if every mark separates thousands
    prefix: str = ""  # text before each status: `status=` of status=approved
    sums: tuple[str, ...] = ()  # statuses whose rows are sums of others; they are not counted
    time_form: str = ""  # the form of times for `TimeParser`, unless the user gave one

    def flag(self, place: int) -> str:
        """Return the flag that names the column at this position of `by`."""
        return "--drivers" if place >= len(self.by) - self.drivers else "--group-by"


class CsvLayout:
    """The positions of the cells in a CSV line; -1 for a missing column."""

    __slots__ = ("amount", "by", "count", "delimiter", "id", "status", "time", "width")

    def __init__(
        self, columns: Mapping[str, int], by: tuple[str, ...], delimiter: str, width: int, money: bool
    ) -> None:
        self.delimiter = delimiter.encode()
        self.width = width
        self.time = columns["time"]
        self.status = columns["status"]
        self.count = columns.get("count", -1)
        self.amount = columns.get("amount", -1) if money else -1
        self.id = columns.get("id", -1)
        self.by = [columns[f"by:{name}"] for name in by]


class RecordParser:
    """Parses the lines of one source. They may arrive in any number of pieces."""

    def __init__(self, source: str, options: ParseOptions, times: TimeParser) -> None:
        self.source = source
        self.lines = 0  # lines read so far
        self.options = options
        self._times = times
        self._layout: CsvLayout | None = None
        self._columns: dict[str, int] | None = None  # field or dimension -> column; None before the header
        self._width = 0
        self._delimiter = ","
        self._json = options.format == "jsonl"
        self._started = False
        self._header: bytes | None = None  # the header line itself
        self._again = False  # whether a new file of the same kind has started, so its header is skipped
        self._ahead: int | None = None
        self._limit = 0  # newest time that is accepted, epoch seconds
        self._plans: dict[tuple[str, ...], _Plan] = {}  # a row's names -> positions of its fields
        self.more: list[Record] = []  # further records of the newest row of a wide table; the reader empties it
        self._wide: list[tuple[int, str]] = []  # columns of a wide CSV table
        self._paths: list[str] = []  # fields inside nested JSON objects
        self._order = ""
        self._adopted = False  # whether `adopt` has decided more than the header shows
        self._in_parts = False  # whether a time has its date or its zone in another column
        self.names = options.by  # of the dimensions in a CSV record's key: those of `by`, and the currency
        self._note_options()

    def _note_options(self) -> None:
        options = self.options
        self.names = options.by
        wide = [column for column, _ in options.wide]
        self._paths = [path for path in (*options.mapping.values(), *options.by, *wide) if "." in path]
        self._in_parts = bool(options.mapping.get("date") or options.mapping.get("zone"))

    def adopt(self, options: ParseOptions, order: str) -> None:
        """Use the decisions from a look at the source. order: of day and month in numeric dates.

        A header that was already read is read again. Raise BadData if it lacks a column.
        """
        self.options = options
        self._order = order
        self._adopted = True
        self._times.decide(order, options.time_form)
        self._json = options.format == "jsonl" or (options.format == "auto" and self._json)
        self._layout = None
        self._plans.clear()
        self._note_options()
        if self._header is not None:
            self._read_header(self._header.decode())

    def admit(self, now: int, ahead: int) -> None:
        """Reject from now on records more than `ahead` seconds after both `now` and the newest accepted record."""
        self._ahead = ahead
        self._limit = max(self._limit, now + ahead)
        self._times.look(now)

    def begin(self) -> None:
        """Start the next file. Its header, if any, repeats that of the first."""
        self._again = self._header is not None

    def successor(self, options: ParseOptions) -> "RecordParser":
        """Return a parser, with `options`, for the file after this one. Times without a date continue from here."""
        other = RecordParser(self.source, options, self._times)
        other._ahead, other._limit = self._ahead, self._limit
        return other

    def has_header(self, line: bytes) -> bool:
        """Return whether `line` is the header that was read, or no header was read."""
        return self._header is None or line.removeprefix(BOM).strip() == self._header.strip()

    def snapshot(self) -> dict[str, object]:
        """Return what was learned about the source's shape, as values that JSON can represent."""
        header = None if self._header is None else self._header.decode()
        found: dict[str, object] = {
            "lines": self.lines,
            "json": self._json,
            "header": header,
            "times": self._times.snapshot(),
        }
        if self._adopted:
            own = self.options
            found["plan"] = {
                "format": own.format, "mapping": dict(own.mapping), "delimiter": own.delimiter, "skip": own.skip,
                "wide": [list(pair) for pair in own.wide], "order": self._order, "decimal": own.decimal,
                "prefix": own.prefix, "sums": list(own.sums), "time_form": own.time_form,
            }  # fmt: skip
        return found

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restore what `snapshot` returned. Raise KeyError, TypeError or ValueError if it is not valid."""
        self.lines = int(state["lines"])
        self._json = bool(state["json"])
        self._started = self.lines > 0
        plan = state.get("plan")
        if plan is not None:
            wide = tuple([(str(column), str(status)) for column, status in plan["wide"]])
            mapping = {str(name): str(column) for name, column in plan["mapping"].items()}
            options = ParseOptions(
                str(plan["format"]), mapping, self.options.by, self.options.max_line, str(plan["delimiter"]),
                int(plan["skip"]), wide, self.options.money, self.options.drivers, str(plan.get("decimal", "")),
                str(plan.get("prefix", "")), tuple([str(status) for status in plan.get("sums", ())]),
                str(plan.get("time_form", "")),
            )  # fmt: skip
            self.adopt(options, str(plan["order"]))
        if state["header"] is not None:
            self._header = str(state["header"]).encode()
            self._read_header(str(state["header"]))
        self._times.restore(state["times"])

    def parse(self, lines: Iterable[bytes]) -> Iterator[Record | Reject]:
        """Yield a `Record` or a `Reject` for each line that is neither blank nor the header.

        Raise BadData if the source cannot be read at all: it is binary, has no header, or lacks a needed column.
        """
        for raw in lines:
            record = self.one(raw)
            if record is not None:
                yield record
                if self.more:
                    yield from self.rest()

    def taken(self, rows: Iterable[object]) -> Iterator[Record | Reject]:
        """Yield the records and rejects of rows that are already decoded JSON."""
        for row in rows:
            found = self.take(row)
            if found is not None:
                yield found
                if self.more:
                    yield from self.rest()

    def one(self, raw: bytes) -> Record | Reject | None:
        """Return the record or reject of one line, or None for a blank line and for the header.

        Raise BadData as `parse` does.
        """
        self.lines += 1
        try:
            return self._line(raw)
        except Left:
            return None
        except Fault as fault:
            if self._repeats_header(raw):
                return None
            return Reject(self.source, self.lines, fault.kind, fault.reason, raw)

    def _repeats_header(self, raw: bytes) -> bool:
        """Return whether a line repeats the header, as in concatenated files."""
        return self._header is not None and raw.removeprefix(BOM).strip() == self._header.strip()

    def rest(self) -> list[Record]:
        """Return the further records of the newest row of a wide table, after the one that `one` returned."""
        more, self.more = self.more, []
        return more

    def ready(self) -> bool:
        """Return whether all lines from here on are data: the header, if any, was read."""
        return (self._json and self._started) or (self._columns is not None and not self._again)

    def planned(self) -> bool:
        """Return whether more than the header decided how to read."""
        return self._adopted

    def is_json(self) -> bool:
        """Return whether the lines are JSON. It is known once `ready`."""
        return self._json

    def layout(self) -> CsvLayout | None:
        """Return the layout of CSV lines once `ready`, or None for JSON lines."""
        if self._in_parts or self._wide:
            return None
        if self._layout is None and self._columns is not None:
            self._layout = CsvLayout(self._columns, self.names, self._delimiter, self._width, self.options.money)
        return self._layout

    def time_of(self, text: str) -> tuple[int, bool]:
        """Return the epoch seconds of the next line's time, and whether the same text always means the same time.

        The seconds are -1 if `text` is not a valid time. Then `one` gives the reason.
        """
        try:
            time, certain = self._times.read(text)
        except (ValueError, OverflowError):
            return -1, False
        return (time, certain) if self._admits(time) else (-1, False)

    def plain_time(self, cell: bytes) -> int:
        """Return the epoch seconds of a time in the usual form, with its date, or -1 for any other form."""
        time = self._times.plain(cell)
        return time if time >= 0 and self._admits(time) else -1

    def take(self, row: object) -> Record | Reject | None:
        """Return the record or reject of one row that is already decoded JSON, as `one` does.

        The row counts as a line.
        """
        self.lines += 1
        try:
            return self._from_row(row)
        except Left:
            return None
        except Fault as fault:
            try:
                raw = json.dumps(row).encode()
            except RecursionError:  # nested so deeply that only the decoder could handle it
                raw = b"null"
            return Reject(self.source, self.lines, fault.kind, fault.reason, raw)

    def finish(self) -> None:
        """Raise BadData if the source was empty."""
        if not self._started:
            raise BadData(f"{self.source}: is empty")

    def _line(self, raw: bytes) -> Record | None:
        if self.lines <= self.options.skip:
            return None
        text = self._text(raw)
        if not text or text.isspace():
            return None
        if not self._started:
            self._refuse_binary(raw)
            self._started = True
            if self.options.format == "auto":
                self._json = text.lstrip().startswith("{")
        if self._json:
            return self._from_json(text)
        if self._columns is None:
            self._read_header(text)
            self._header = text.encode()
            return None
        if self._again:
            self._again = False
            if text.encode().removeprefix(BOM).strip() == (self._header or b"").strip():
                return None
        return self._from_csv(text)

    def _text(self, raw: bytes) -> str:
        if len(raw) > self.options.max_line:
            self._started = True
            raise Fault("too-long", f"{len(raw)} bytes, at most {self.options.max_line} are read")
        if not self._started:
            raw = raw.removeprefix(BOM)
        try:
            return raw.decode()
        except UnicodeDecodeError as bad:
            if not self._started:
                self._refuse_binary(raw)
            raise Fault("encoding", f"byte {bad.start + 1} is not UTF-8 (--encoding names another)") from None

    def _refuse_binary(self, raw: bytes) -> None:
        if b"\0" in raw[:4096] or raw[:2] == b"PK" or raw[:4] == b"PAR1":
            raise BadData(f"{self.source}: is binary, not CSV or JSON lines")

    def _read_header(self, text: str) -> None:
        self._delimiter = self.options.delimiter or max(DELIMITERS, key=text.count)
        cells = [cell.strip() for cell in self._split(text)]
        self._width = len(cells)
        lower = {cell.lower(): i for i, cell in reversed(list(enumerate(cells)))}
        mapping = self.options.mapping
        found = choose(cells, mapping)
        if self.options.wide:
            found["status"] = [self.options.wide[0][0]]
        columns = {name: lower[names[0].lower()] for name, names in found.items()}
        for name, mapped in mapping.items():
            if mapped and name not in columns:
                raise BadData(f"{self.source}: no column {mapped!r} for {name!r}; columns found: {', '.join(cells)}")
        missing = [name for name in NEEDED if name not in columns]
        if missing:
            self._refuse_headerless(cells)
            raise BadData(f"{self.source}: {missing_text(missing, cells)}")
        for place, dimension in enumerate(self.options.by):
            if dimension.lower() not in lower:
                flag = self.options.flag(place)
                raise BadData(f"{self.source}: no column {dimension!r} for {flag}; columns found: {', '.join(cells)}")
            columns[f"by:{dimension}"] = lower[dimension.lower()]
        self.names = self.options.by
        if self.options.money and "amount" in columns and not self.options.wide:
            currency = currency_column(cells, mapping)
            if currency:
                columns[f"by:{CURRENCY}"] = lower[currency.lower()]
                self.names = (*self.options.by, CURRENCY)
        self._wide = [
            (lower[column.lower()], status) for column, status in self.options.wide if column.lower() in lower
        ]
        self._columns = columns

    def _refuse_headerless(self, cells: list[str]) -> None:
        for cell in cells:
            try:
                self._times.parse(cell)
            except ValueError as bad:
                if "has no date" not in str(bad):
                    continue
            raise BadData(
                f"{self.source}: no header: the first line must name the columns, for example time,status,count"
            )

    def _split(self, text: str) -> list[str]:
        if '"' not in text:
            return text.rstrip("\r\n").split(self._delimiter)
        try:
            return next(csv.reader([text], delimiter=self._delimiter, strict=True))
        except csv.Error as bad:
            raise Fault("columns", f"quotes do not match: {bad}") from None

    def _from_csv(self, text: str) -> Record:
        cells = self._split(text)
        columns, by = self._columns, self.names
        assert columns is not None
        if len(cells) != self._width and not self._nearly(cells):
            raise Fault("columns", f"the line has {len(cells)} columns, but the header has {self._width}")
        if self._in_parts or self._wide:
            return self._from_parts(cells, columns)
        where, amount, identity = columns.get("count"), columns.get("amount"), columns.get("id")
        return Record(
            self._time(cells[columns["time"]]),
            self._status(cells[columns["status"]]),
            1 if where is None else count_of(cells[where], self.options.decimal),
            tuple([(name, cells[columns[f"by:{name}"]].strip()) for name in by]) if by else (),
            None if amount is None else amount_of(cells[amount]),
            None if identity is None else cells[identity].strip() or None,
        )

    def _nearly(self, cells: list[str]) -> bool:
        """Return whether a row has the right number of cells, apart from empty cells at its end."""
        while len(cells) > self._width and not cells[-1].strip():
            cells.pop()
        return len(cells) == self._width

    def _from_parts(self, cells: list[str], columns: Mapping[str, int]) -> Record:
        """Return the record of a row whose time is in several columns, or that has a column for each status."""
        if self._in_parts:
            date, zone = columns.get("date", -1), columns.get("zone", -1)
            clock = cells[columns["time"]]
            time = self._time_together(cells[date] if date >= 0 else "", clock, cells[zone] if zone >= 0 else "")
        else:
            time = self._time(cells[columns["time"]])
        by = self.names
        key = tuple([(name, cells[columns[f"by:{name}"]].strip()) for name in by]) if by else ()
        if self._wide:
            return self._of_all(time, key, [(status, cells[at]) for at, status in self._wide])
        where, amount, identity = columns.get("count"), columns.get("amount"), columns.get("id")
        return Record(
            time,
            self._status(cells[columns["status"]]),
            1 if where is None else count_of(cells[where], self.options.decimal),
            key,
            None if amount is None else amount_of(cells[amount]),
            None if identity is None else cells[identity].strip() or None,
        )

    def _of_all(self, time: int, key: Key, cells: list[tuple[str, object]]) -> Record:
        """Return the first record of a row of a wide table. Put the others into `more`. Empty cells make no record."""
        decimal = self.options.decimal
        records = [
            Record(time, status, count_of(value, decimal), key)
            for status, value in cells
            if value is not None and not (isinstance(value, str) and is_nothing(value))
        ]
        if not records:
            raise Left
        self.more = records[1:]
        return records[0]

    def _time_together(self, day: str, clock: str, zone: str) -> int:
        try:
            time, _ = self._times.together(day, clock, zone)
        except (ValueError, OverflowError) as bad:
            raise Fault("time", str(bad)) from None
        if not self._admits(time):
            raise Fault("future", f"{f'{day} {clock}'[:60]!r} is more than {self._ahead} s ahead")
        return time

    def _from_json(self, text: str) -> Record:
        try:
            row = json.loads(text)
        except (ValueError, RecursionError) as bad:
            raise Fault("json", f"no JSON: {str(bad)[:100]}") from None
        return self._from_row(row)

    def _from_row(self, row: object) -> Record:
        if not isinstance(row, dict):
            raise Fault("json", f"not a JSON object but a {type(row).__name__}")
        if self._paths:
            row = with_paths(row, self._paths)
        plan = self._plans.get(tuple(row))
        if plan is None:
            plan = self._plan(row)
        time_at, status_at, count_at, amount_at, id_at, by_at = plan
        time, status = _first(row, time_at), _first(row, status_at)
        if self.options.wide:
            return self._from_wide_row(row, time, by_at)
        if time is None or status is None:
            missing = "time" if time is None else "status"
            raise Fault(missing, f"no {missing}")
        if self._in_parts:
            return self._from_row_in_parts(row, time_at, status, count_at, amount_at, id_at, by_at)
        count = _first(row, count_at) if count_at else None
        amount = _first(row, amount_at) if amount_at else None
        identity = _first(row, id_at) if id_at else None
        return Record(
            self._time(time),
            self._status(status),
            1 if count is None else count_of(count, self.options.decimal),
            tuple([(name, label_of(None if column is None else row[column])) for name, column in by_at])
            if by_at
            else (),
            None if amount is None else amount_of(amount),
            None if identity is None else label_of(identity) or None,
        )

    def _from_row_in_parts(
        self,
        row: Mapping[str, object],
        time_at: _Names,
        status: object,
        count_at: _Names,
        amount_at: _Names,
        id_at: _Names,
        by_at: tuple[tuple[str, str | None], ...],
    ) -> Record:
        mapping = self.options.mapping
        lower = {name.lower(): name for name in row}
        parts = [_first(row, tuple([lower[name] for name in names_of(mapping.get(field, "")) if name in lower]))
                 for field in ("date", "zone")]  # fmt: skip
        time = self._time_together(cell_of(parts[0]), cell_of(_first(row, time_at)), cell_of(parts[1]))
        count, amount, identity = _first(row, count_at), _first(row, amount_at), _first(row, id_at)
        key = tuple([(name, label_of(None if column is None else row[column])) for name, column in by_at])
        return Record(
            time,
            self._status(status),
            1 if count is None else count_of(count, self.options.decimal),
            key,
            None if amount is None else amount_of(amount),
            None if identity is None else label_of(identity) or None,
        )

    def _from_wide_row(
        self, row: Mapping[str, object], time: object, by_at: tuple[tuple[str, str | None], ...]
    ) -> Record:
        if time is None:
            raise Fault("time", "no time")
        key = tuple([(name, label_of(None if column is None else row[column])) for name, column in by_at])
        return self._of_all(self._time(time), key, [(status, row.get(column)) for column, status in self.options.wide])

    def _status(self, value: object) -> str:
        options = self.options
        if options.prefix and isinstance(value, str):
            value = value.strip().removeprefix(options.prefix)
        status = status_of(value)
        if options.sums and status in options.sums:
            raise Left
        return status

    def _plan(self, row: Mapping[str, object]) -> _Plan:
        """Return the positions of the fields in rows with the names of `row`.

        They are remembered, since most rows have the same names.
        """
        lower = {name.lower(): name for name in row}
        found = choose(row, self.options.mapping)
        none: list[str] = []
        by = [(name, lower.get(name.lower())) for name in self.options.by]
        if self.options.money and "amount" in found and not self.options.wide:
            currency = currency_column(row, self.options.mapping)
            if currency:
                by.append((CURRENCY, currency))
        time_at, status_at, count_at, amount_at, id_at = [tuple(found.get(name, none)) for name in NAMES]
        plan = (time_at, status_at, count_at, amount_at, id_at, tuple(by))
        if len(self._plans) >= PLANS:
            self._plans.clear()
        self._plans[tuple(row)] = plan
        return plan

    def _time(self, value: object) -> int:
        try:
            if isinstance(value, str):
                time = self._times.parse(value)
            elif isinstance(value, int | float) and not isinstance(value, bool):
                time = self._times.number(value)
            else:
                raise Fault("time", f"a {type(value).__name__} is not a time")
        except (ValueError, OverflowError) as bad:
            raise Fault("time", str(bad)) from None
        if not self._admits(time):
            raise Fault("future", f"{str(value)[:60]!r} is more than {self._ahead} s ahead")
        return time

    def _admits(self, time: int) -> bool:
        if self._ahead is None or time > self._limit:
            return self._ahead is None
        self._limit = max(self._limit, time + self._ahead)
        return True


def missing_text(missing: Sequence[str], columns: Sequence[str], likely: Mapping[str, str] | None = None) -> str:
    """Return advice about fields without a known column. likely: field -> the column that probably contains it."""
    names = " and for ".join(f"{name!r} (accepted: {', '.join(NAMES[name])})" for name in missing)
    shown = {name: (likely or {}).get(name, "COLUMN") for name in missing}
    flags = " ".join(f"--map {name}={_shell(column)}" for name, column in shown.items())
    return f"no column for {names}; columns found: {', '.join(columns)[:300]}. Name it with {flags}"


def _shell(column: str) -> str:
    import shlex  # imported here because only a message needs it

    return column if column.replace("_", "").replace(".", "").isalnum() else shlex.quote(column)


def with_paths(row: Mapping[str, object], paths: Sequence[str]) -> dict[str, object]:
    """Return `row` with a field for each of `paths` inside its objects, for example `transaction.status`."""
    found = dict(row)
    for path in paths:
        if path in row:
            continue
        value: object = row
        for step in path.split("."):
            if isinstance(value, dict):
                value = value[step] if step in value else _in_any_case(value, step)
            elif isinstance(value, list) and step.isdecimal() and int(step) < len(value):
                value = value[int(step)]
            else:
                value = None
        if value is not None:
            found[path] = value
    return found


def _in_any_case(row: Mapping[str, object], name: str) -> object:
    return next((value for key, value in row.items() if key.lower() == name.lower()), None)


def _first(row: Mapping[str, object], names: tuple[str, ...]) -> object:
    """Return the first field among `names` that is not null."""
    for name in names:
        value = row[name]
        if value is not None:
            return value
    return None

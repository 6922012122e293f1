"""Lines to records: CSV with a header or JSON lines, tolerant of shape and exact about what is wrong.

A bad line is a value, a `Reject` with its position and reason; only what makes a whole file unreadable raises.
"""

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from txmon.errors import BadData
from txmon.ingest.fields import NAMES, NEEDED, Fault, amount_of, columns_of, count_of, label_of, status_of
from txmon.ingest.timestamps import TimeParser, epoch
from txmon.model.keys import Key

DELIMITERS: Final = ",;\t|"
PLANS: Final = 64  # kinds of JSON rows remembered
_Names = tuple[str, ...]
_Plan = tuple[_Names, _Names, _Names, _Names, _Names, tuple[tuple[str, str | None], ...]]
BOM: Final = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Record:
    """Transactions of one status at one time."""

    time: int  # epoch seconds
    status: str  # lower case
    count: int
    key: Key = ()
    amount: float | None = None
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Reject:
    """A line that is no record: where it stands, what kind of fault it has, and the line itself."""

    source: str
    line: int  # from 1
    kind: str
    reason: str
    raw: bytes


@dataclass(frozen=True, slots=True)
class ParseOptions:
    """How lines are read."""

    format: str = "auto"  # auto, csv or jsonl
    mapping: Mapping[str, str] = field(default_factory=dict)  # field -> column
    by: tuple[str, ...] = ()
    max_line: int = 1 << 20  # bytes


class CsvLayout:
    """Where the cells of a CSV line are; -1 where there is no such column."""

    __slots__ = ("amount", "by", "count", "delimiter", "id", "status", "time", "width")

    def __init__(self, columns: Mapping[str, int], by: tuple[str, ...], delimiter: str, width: int) -> None:
        self.delimiter = delimiter.encode()
        self.width = width
        self.time = columns["time"]
        self.status = columns["status"]
        self.count = columns.get("count", -1)
        self.amount = columns.get("amount", -1)
        self.id = columns.get("id", -1)
        self.by = [columns[f"by:{name}"] for name in by]


class RecordParser:
    """Reads the lines of one source, in as many pieces as they come."""

    def __init__(self, source: str, options: ParseOptions, times: TimeParser) -> None:
        self.source = source
        self.lines = 0  # read so far
        self.options = options
        self._times = times
        self._layout: CsvLayout | None = None
        self._columns: dict[str, int] | None = None  # field or dimension -> column; None before the header
        self._width = 0
        self._delimiter = ","
        self._json = options.format == "jsonl"
        self._started = False
        self._header: bytes | None = None  # the line itself
        self._again = False  # a new file of the same kind began: its header is no record
        self._ahead: int | None = None
        self._limit = 0  # newest time that is not from the future, epoch seconds
        self._plans: dict[tuple[str, ...], _Plan] = {}  # a row's names -> where its fields are

    def admit(self, now: int, ahead: int) -> None:
        """Refuse from now on what lies more than `ahead` seconds beyond `now` and beyond what was read before."""
        self._ahead = ahead
        self._limit = max(self._limit, now + ahead)

    def begin(self) -> None:
        """A new file follows: its first line is its header if it names a time and a status, else this one's holds."""
        self._again = self._header is not None

    def successor(self, options: ParseOptions) -> "RecordParser":
        """Return the parser, with `options`, of a file that follows this one's; times without a date go on."""
        other = RecordParser(self.source, options, self._times)
        other._ahead, other._limit = self._ahead, self._limit
        other._json, other._started = self._json, self._json
        if self._header is not None:
            try:
                other._read_header(self._header.decode())
                other._header = self._header
            except BadData:
                pass  # it does not fit the options, which are then for a header of the file's own
        other.begin()
        return other

    def snapshot(self) -> dict[str, object]:
        """What is known of the source's shape, as JSON takes it."""
        header = None if self._header is None else self._header.decode()
        return {"lines": self.lines, "json": self._json, "header": header, "times": self._times.snapshot()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what `snapshot` gave; KeyError, TypeError or ValueError where that cannot be."""
        self.lines = int(state["lines"])
        self._json = bool(state["json"])
        self._started = self.lines > 0 or self._json
        self._again = False
        if state["header"] is not None:
            self._header = str(state["header"]).encode()
            self._read_header(str(state["header"]))
        self._times.restore(state["times"])

    def parse(self, lines: Iterable[bytes]) -> Iterator[Record | Reject]:
        """A `Record` or a `Reject` for each line that is neither blank nor the header.

        Raises BadData when the source cannot be read at all: binary, no header, or a needed column is missing.
        """
        for raw in lines:
            record = self.one(raw)
            if record is not None:
                yield record

    def one(self, raw: bytes) -> Record | Reject | None:
        """What one line is: None for a blank one and for the header. BadData as `parse` raises it."""
        self.lines += 1
        try:
            return self._line(raw)
        except Fault as fault:
            return Reject(self.source, self.lines, fault.kind, fault.reason, raw)

    def ready(self) -> bool:
        """Whether every line from here on is data: what comes first has been read."""
        return (self._json and self._started) or (self._columns is not None and not self._again)

    def is_json(self) -> bool:
        """Whether the lines are JSON; known once `ready`."""
        return self._json

    def layout(self, ids: bool = False) -> CsvLayout | None:
        """Of CSV lines, once `ready`; None for JSON lines, and where records have ids unless `ids` are wanted too."""
        if self._layout is None and self._columns is not None and (ids or "id" not in self._columns):
            self._layout = CsvLayout(self._columns, self.options.by, self._delimiter, self._width)
        return self._layout

    def time_of(self, text: str) -> tuple[int, bool]:
        """Return epoch seconds of the next line's time, and whether the same text always means them.

        The seconds are -1 where `text` is not an accepted time; `one` gives the reason.
        """
        try:
            time, certain = self._times.read(text)
        except (ValueError, OverflowError):
            return -1, False
        return (time, certain) if self._admits(time) else (-1, False)

    def plain_time(self, cell: bytes) -> int:
        """The same of a time that is written as most systems write it, with its date; -1 of any other."""
        time = self._times.plain(cell)
        return time if time >= 0 and self._admits(time) else -1

    def take(self, row: object) -> Record | Reject:
        """What one row makes that is decoded JSON already; it counts as a line."""
        self.lines += 1
        try:
            return self._from_row(row)
        except Fault as fault:
            try:
                raw = json.dumps(row).encode()
            except RecursionError:  # nested so deeply that it could only just be read
                raw = b"null"
            return Reject(self.source, self.lines, fault.kind, fault.reason, raw)

    def finish(self) -> None:
        """Raise BadData when the source held nothing at all."""
        if not self._started:
            raise BadData(f"{self.source}: is empty")

    def _line(self, raw: bytes) -> Record | None:
        text = self._text(raw)
        if not text or text.isspace():
            return None
        if not self._started:
            self._refuse_binary(raw)
            self._started = True
            if self.options.format == "auto":
                self._json = text.lstrip().startswith("{")
        if self._again:
            self._again = False
            text = text.removeprefix("\ufeff")
            if self._names_columns(text):
                self._columns = self._layout = None
            elif self.options.format == "auto" and text.lstrip().startswith("{"):
                self._json = True
        if self._json:
            return self._from_json(text)
        if self._columns is None:
            self._read_header(text)
            self._header = text.encode()
            return None
        return self._from_csv(text)

    def _names_columns(self, text: str) -> bool:
        """Whether `text` is a header: it names a time and a status, as columns and not as values."""
        if text.strip().encode() == (self._header or b"").strip():
            return True
        delimiter = max(DELIMITERS, key=text.count)
        cells = {cell.strip().strip('"').lower() for cell in text.split(delimiter)}
        accepted = columns_of(self.options.mapping)
        return all(any(name in cells for name in accepted[field]) for field in NEEDED)

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
            raise Fault("encoding", f"byte {bad.start + 1} is not UTF-8") from None

    def _refuse_binary(self, raw: bytes) -> None:
        if b"\0" in raw[:4096] or raw[:2] == b"PK" or raw[:4] == b"PAR1":
            raise BadData(f"{self.source}: is binary, not CSV or JSON lines")

    def _read_header(self, text: str) -> None:
        self._delimiter = max(DELIMITERS, key=text.count)
        cells = [cell.strip() for cell in self._split(text)]
        self._width = len(cells)
        lower = {cell.lower(): i for i, cell in reversed(list(enumerate(cells)))}
        columns: dict[str, int] = {}
        for name, wanted in columns_of(self.options.mapping).items():
            column = next((lower[column] for column in wanted if column in lower), None)
            if column is not None:
                columns[name] = column
            elif name in self.options.mapping:
                mapped = self.options.mapping[name]
                raise BadData(f"{self.source}: no column {mapped!r} for {name!r}; columns found: {', '.join(cells)}")
        for name in NEEDED:
            if name not in columns:
                self._refuse_headerless(cells)
                names, found = ", ".join(NAMES[name]), ", ".join(cells)[:200]
                raise BadData(f"{self.source}: no column for {name!r} (accepted: {names}); columns found: {found}")
        for dimension in self.options.by:
            if dimension.lower() not in lower:
                raise BadData(f"{self.source}: no column {dimension!r} for --by; columns found: {', '.join(cells)}")
            columns[f"by:{dimension}"] = lower[dimension.lower()]
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
        if len(cells) != self._width:
            raise Fault("columns", f"{len(cells)} columns, the header has {self._width}")
        columns, by = self._columns, self.options.by
        assert columns is not None
        where, amount, identity = columns.get("count"), columns.get("amount"), columns.get("id")
        return Record(
            self._time(cells[columns["time"]]),
            status_of(cells[columns["status"]]),
            1 if where is None else count_of(cells[where]),
            tuple([(name, cells[columns[f"by:{name}"]].strip()) for name in by]) if by else (),
            None if amount is None else amount_of(cells[amount]),
            None if identity is None else cells[identity].strip() or None,
        )

    def _from_json(self, text: str) -> Record:
        try:
            row = json.loads(text)
        except (ValueError, RecursionError) as bad:
            raise Fault("json", f"no JSON: {str(bad)[:100]}") from None
        return self._from_row(row)

    def _from_row(self, row: object) -> Record:
        if not isinstance(row, dict):
            raise Fault("json", f"not a JSON object but a {type(row).__name__}")
        plan = self._plans.get(tuple(row))
        if plan is None:
            plan = self._plan(row)
        time_at, status_at, count_at, amount_at, id_at, by_at = plan
        time, status = _first(row, time_at), _first(row, status_at)
        if time is None or status is None:
            missing = "time" if time is None else "status"
            raise Fault(missing, f"no {missing}")
        count = _first(row, count_at) if count_at else None
        amount = _first(row, amount_at) if amount_at else None
        identity = _first(row, id_at) if id_at else None
        return Record(
            self._time(time),
            status_of(status),
            1 if count is None else count_of(count),
            tuple([(name, label_of(None if column is None else row[column])) for name, column in by_at])
            if by_at
            else (),
            None if amount is None else amount_of(amount),
            None if identity is None else label_of(identity) or None,
        )

    def _plan(self, row: Mapping[str, object]) -> _Plan:
        """Where rows with the names of `row` have their fields; found once, since rows mostly look alike."""
        lower = {name.lower(): name for name in row}
        wanted = columns_of(self.options.mapping).values()
        fields = [tuple([lower[column] for column in columns if column in lower]) for columns in wanted]
        by = tuple([(name, lower.get(name.lower())) for name in self.options.by])
        time_at, status_at, count_at, amount_at, id_at = fields
        plan = (time_at, status_at, count_at, amount_at, id_at, by)
        if len(self._plans) >= PLANS:
            self._plans.clear()
        self._plans[tuple(row)] = plan
        return plan

    def _time(self, value: object) -> int:
        try:
            if isinstance(value, str):
                time = self._times.parse(value)
            elif isinstance(value, int | float) and not isinstance(value, bool):
                time = epoch(value, str(value)[:60])
            else:
                raise Fault("time", f"a {type(value).__name__} is no time")
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


def _first(row: Mapping[str, object], names: tuple[str, ...]) -> object:
    """The first of the fields called `names` that is not null."""
    for name in names:
        value = row[name]
        if value is not None:
            return value
    return None

"""Lines to records: CSV with a header or JSON lines, tolerant of shape and exact about what is wrong.

A bad line is a value, a `Reject` with its position and reason; only what makes a whole file unreadable raises.
"""

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, Final

from .errors import BadData
from .times import TimeParser, epoch
from .verdict import Key

NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "time": ("time", "timestamp", "ts", "datetime", "created_at"),
    "status": ("status", "state", "result"),
    "count": ("count", "f1", "f0_", "quantity", "n"),
    "amount": ("amount", "value"),
    "id": ("id", "transaction_id", "event_id"),
}
NEEDED: Final = ("time", "status")
MAX_COUNT: Final = 10**15  # above it, sums are no longer exact in a float
MAX_STATUS: Final = 256
DELIMITERS: Final = ",;\t|"
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


class _Fault(Exception):
    """What is wrong with one line."""

    def __init__(self, kind: str, reason: str) -> None:
        self.kind = kind
        self.reason = reason


class RecordParser:
    """Reads the lines of one source, in as many pieces as they come."""

    def __init__(self, source: str, options: ParseOptions, times: TimeParser) -> None:
        self.source = source
        self.lines = 0  # read so far
        self._options = options
        self._times = times
        self._columns: dict[str, int] | None = None  # field or dimension -> column; None before the header
        self._width = 0
        self._delimiter = ","
        self._json = options.format == "jsonl"
        self._started = False
        self._header: bytes | None = None  # the line itself
        self._again = False  # a new file of the same kind began: its header is no record
        self._ahead: int | None = None
        self._limit = 0  # newest time that is not from the future, epoch seconds

    def admit(self, now: int, ahead: int) -> None:
        """Refuse from now on what lies more than `ahead` seconds beyond `now` and beyond what was read before."""
        self._ahead = ahead
        self._limit = max(self._limit, now + ahead)

    def begin(self) -> None:
        """A new file follows: its header, if it has one, is that of the first."""
        self._again = self._header is not None

    def snapshot(self) -> dict[str, object]:
        """What is known of the source's shape, as JSON takes it."""
        header = None if self._header is None else self._header.decode()
        return {"lines": self.lines, "json": self._json, "header": header, "times": self._times.snapshot()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what `snapshot` gave; KeyError, TypeError or ValueError where that cannot be."""
        self.lines = int(state["lines"])
        self._json = bool(state["json"])
        self._started = self.lines > 0
        if state["header"] is not None:
            self._header = str(state["header"]).encode()
            self._read_header(str(state["header"]))
        self._times.restore(state["times"])

    def parse(self, lines: Iterable[bytes]) -> Iterator[Record | Reject]:
        """A `Record` or a `Reject` for each line that is neither blank nor the header.

        Raises BadData when the source cannot be read at all: binary, no header, or a needed column is missing.
        """
        for raw in lines:
            self.lines += 1
            try:
                record = self._line(raw)
            except _Fault as fault:
                yield Reject(self.source, self.lines, fault.kind, fault.reason, raw)
                continue
            if record is not None:
                yield record

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
            if self._options.format == "auto":
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
        if len(raw) > self._options.max_line:
            self._started = True
            raise _Fault("too-long", f"{len(raw)} bytes, at most {self._options.max_line} are read")
        if not self._started:
            raw = raw.removeprefix(BOM)
        try:
            return raw.decode()
        except UnicodeDecodeError as bad:
            if not self._started:
                self._refuse_binary(raw)
            raise _Fault("encoding", f"byte {bad.start + 1} is not UTF-8") from None

    def _refuse_binary(self, raw: bytes) -> None:
        if b"\0" in raw[:4096] or raw[:2] == b"PK" or raw[:4] == b"PAR1":
            raise BadData(f"{self.source}: is binary, not CSV or JSON lines")

    def _read_header(self, text: str) -> None:
        self._delimiter = max(DELIMITERS, key=text.count)
        cells = [cell.strip() for cell in self._split(text)]
        self._width = len(cells)
        lower = {cell.lower(): i for i, cell in reversed(list(enumerate(cells)))}
        columns: dict[str, int] = {}
        for name, accepted in NAMES.items():
            mapped = self._options.mapping.get(name)
            wanted = (mapped.lower(),) if mapped is not None else accepted
            column = next((lower[column] for column in wanted if column in lower), None)
            if column is not None:
                columns[name] = column
            elif mapped is not None:
                raise BadData(f"{self.source}: no column {mapped!r} for {name!r}; columns found: {', '.join(cells)}")
        for name in NEEDED:
            if name not in columns:
                self._refuse_headerless(cells)
                names, found = ", ".join(NAMES[name]), ", ".join(cells)[:200]
                raise BadData(f"{self.source}: no column for {name!r} (accepted: {names}); columns found: {found}")
        for dimension in self._options.by:
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
            raise _Fault("columns", f"quotes do not match: {bad}") from None

    def _from_csv(self, text: str) -> Record:
        cells = self._split(text)
        if len(cells) != self._width:
            raise _Fault("columns", f"{len(cells)} columns, the header has {self._width}")
        columns = self._columns
        assert columns is not None
        at = columns.get
        where = at("count")
        amount, identity = at("amount"), at("id")
        by = self._options.by
        return Record(
            self._time(cells[columns["time"]]),
            _status(cells[columns["status"]]),
            1 if where is None else _count(cells[where]),
            tuple([(name, cells[columns[f"by:{name}"]].strip()) for name in by]) if by else (),
            None if amount is None else _amount(cells[amount]),
            None if identity is None else cells[identity].strip() or None,
        )

    def _from_json(self, text: str) -> Record:
        try:
            row = json.loads(text)
        except (ValueError, RecursionError) as bad:
            raise _Fault("json", f"no JSON: {str(bad)[:100]}") from None
        if not isinstance(row, dict):
            raise _Fault("json", f"not a JSON object but a {type(row).__name__}")
        lower = {str(name).lower(): value for name, value in row.items()}
        values: dict[str, object] = {}
        for name, accepted in NAMES.items():
            mapped = self._options.mapping.get(name)
            for column in (mapped.lower(),) if mapped is not None else accepted:
                if lower.get(column) is not None:
                    values[name] = lower[column]
                    break
        for name in NEEDED:
            if name not in values:
                raise _Fault(name, f"no {name}")
        count, amount, identity = values.get("count"), values.get("amount"), values.get("id")
        return Record(
            self._time(values["time"]),
            _status(values["status"]),
            1 if count is None else _count(count),
            tuple([(name, _label(lower.get(name.lower()))) for name in self._options.by]),
            None if amount is None else _amount(amount),
            None if identity is None else _label(identity) or None,
        )

    def _time(self, value: object) -> int:
        try:
            if isinstance(value, str):
                time = self._times.parse(value)
            elif isinstance(value, int | float) and not isinstance(value, bool):
                time = epoch(value, str(value)[:60])
            else:
                raise _Fault("time", f"a {type(value).__name__} is no time")
        except (ValueError, OverflowError) as bad:
            raise _Fault("time", str(bad)) from None
        if self._ahead is not None:
            if time > self._limit:
                raise _Fault("future", f"{str(value)[:60]!r} is more than {self._ahead} s ahead")
            self._limit = max(self._limit, time + self._ahead)
        return time


def _label(value: object) -> str:
    return value.strip() if isinstance(value, str) else "" if value is None else str(value)


def _status(value: object) -> str:
    if not isinstance(value, str):
        raise _Fault("status", f"a {type(value).__name__} is no status")
    status = value.strip().lower()
    if not status:
        raise _Fault("status", "the status is empty")
    if len(status) > MAX_STATUS:
        raise _Fault("status", f"a status of {len(status)} characters, at most {MAX_STATUS} are accepted")
    if status == "*":
        raise _Fault("status", "'*' stands for all statuses together")
    return status


def _count(value: object) -> int:
    if isinstance(value, str) and value.isdecimal() and len(value) <= 15:
        return int(value)
    shown = str(value).strip()[:60] if not isinstance(value, int) or abs(value) < MAX_COUNT else "a huge number"
    try:
        number = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else -1.0
    except (ValueError, OverflowError):
        number = -1.0
    if not (0 <= number <= MAX_COUNT and number == int(number)):
        raise _Fault("count", f"{shown!r} is no whole number from 0 to 10^15")
    return int(number)


def _amount(value: object) -> float | None:
    if isinstance(value, str) and not value.strip():
        return None
    try:
        number = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else float("nan")
    except (ValueError, OverflowError):
        number = float("nan")
    if not isfinite(number):
        raise _Fault("amount", f"{str(value)[:60]!r} is no decimal number")
    return number

"""Lines to counts without a `Record` a line, where nothing but the counts is asked for.

Most lines of a stream look like the line before: the same second, one of a few statuses, a key seen already. Their
cells are looked up as they are. What cannot be looked up (a new status, a quote, a bad line, another shape) goes to the
`RecordParser`, which alone knows what lines mean. So do lines with an id: each must be told from the others.
"""

import json
from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any, Final

from mypy_extensions import mypyc_attr

from .fields import MAX_COUNT, NAMES
from .records import Layout, Record, RecordParser, Reject
from .verdict import Key

CACHED: Final = 1 << 16  # cells remembered of a kind
QUOTE: Final = ord('"')  # a number: looking for a byte in bytes raises and catches an error first
TOGETHER: Final = (
    1 << 14
)  # lines looked at in one go: to join them takes 80 bytes a line besides, and a line may be empty
RELEARN: Final = 64  # lines of another shape before the shape of JSON lines is learned anew


@mypyc_attr(acyclic=True)
class Tally:
    """Records of one bucket that arrived one after the other, added up."""

    __slots__ = ("counts", "first", "rows", "start", "time")

    def __init__(self, start: int, time: int) -> None:
        self.start = start  # of the bucket, epoch seconds
        self.first = time  # of the first of them to arrive
        self.time = time  # of the newest
        self.rows = 0
        self.counts: dict[Key, dict[str, int]] = {}


Item = Record | Tally


class Tallier:
    """Reads one source's lines through its parser, adding up by bucket, key and status what can be added up."""

    def __init__(self, parser: RecordParser, width: int) -> None:
        """width: of a bucket, seconds."""
        self._parser = parser
        self._width = width
        self._max_line = parser.options.max_line
        self._by = parser.options.by
        self._times: dict[object, int] = {}  # cell or value -> epoch seconds
        self._statuses: dict[object, str] = {}
        self._keys: dict[object, Key] = {}
        self._counts: dict[bytes, int] = {}  # of short cells
        self._last: object = None  # the time before, which a time of day may repeat
        self._last_time = 0
        self._decode: Any = None  # decoder of JSON lines that look like those before, None before the first
        self._odd = RELEARN  # lines that looked different since
        self._tally = Tally(-1, -1)
        self._out: list[Item | Reject] = []

    def take(self, lines: Sequence[bytes]) -> list[Item | Reject]:
        """What `lines` come to, in order of arrival; BadData as the parser raises it."""
        self._out = []
        self._tally = Tally(-1, -1)
        at = 0
        while at < len(lines) and not self._parser.ready():
            self._one(lines[at])
            at += 1
        rest = lines[at:] if at else lines
        for start in range(0, len(rest), TOGETHER):
            self._take_some(rest if len(rest) <= TOGETHER else rest[start : start + TOGETHER])
        self._flush()
        return self._out

    def _take_some(self, lines: Sequence[bytes]) -> None:
        layout = self._parser.layout()
        if layout is not None:
            self._csv(lines, layout)
        elif self._parser.is_json():
            self._json(lines)
        else:
            for raw in lines:
                self._one(raw)

    def _csv(self, lines: Sequence[bytes], layout: Layout) -> None:
        at_time, at_status, at_count, at_amount = layout.time, layout.status, layout.count, layout.amount
        key: Key | None = ()
        delimiter, width, statuses, longest = layout.delimiter, layout.width, self._statuses, self._max_line
        together = b"".join(lines)  # looked at in one go; most of the time there is nothing odd in any of them
        plain = together.isascii() and QUOTE not in together
        returns = b"\r" in together
        for raw in lines:
            # a bad record is kept as it came, with its carriage return
            text = raw.rstrip(b"\r\n") if returns and raw.endswith(b"\r") else raw
            cells = text.split(delimiter)
            if len(cells) != width or len(raw) > longest or not (plain or (raw.isascii() and QUOTE not in raw)):
                self._one(raw)
                continue
            time = self._time(cells[at_time])
            status = statuses.get(cells[at_status])
            count = self._count(cells[at_count]) if at_count >= 0 else 1
            if layout.by:
                key = self._key(cells, layout)
            if (
                time < 0
                or status is None
                or count < 0
                or key is None
                or (at_amount >= 0 and not _is_amount(cells[at_amount]))
            ):
                self._one(raw, cells[at_status])
                continue
            self._parser.lines += 1
            self._add(time, status, key, count)

    def _count(self, cell: bytes) -> int:
        """The number in a cell; -1 where the parser must look at it."""
        found = self._counts.get(cell)
        if found is None:
            if not cell.isdigit() or len(cell) > 15:
                return -1
            found = int(cell)
            if len(self._counts) < CACHED and len(cell) < 6:
                self._counts[cell] = found
        return found

    def _time(self, cell: bytes | str) -> int:
        """Epoch seconds of a cell; -1 where the parser must say what is wrong."""
        if cell == self._last:
            return self._last_time
        found = self._times.get(cell)
        if found is None:
            text = cell.decode() if isinstance(cell, bytes) else cell
            found = self._parser.time_of(text)
            if found >= 0 and self._parser.absolute(text):
                self._remember(cell, found)
        self._last, self._last_time = cell, found
        return found

    def _remember(self, time: object, found: int) -> None:
        if len(self._times) >= CACHED:
            self._times.clear()
        self._times[time] = found

    def _key(self, cells: list[bytes], layout: Layout) -> Key | None:
        cell = cells[layout.by[0]] if len(layout.by) == 1 else layout.delimiter.join([cells[at] for at in layout.by])
        key = self._keys.get(cell)
        if key is None:
            key = self._new_key(cell, [cells[at].decode() for at in layout.by])
        return key

    def _new_key(self, cell: object, values: list[str]) -> Key:
        """The key that these values of the dimensions are; from now on `cell` is known to be it."""
        key = tuple([(name, value.strip()) for name, value in zip(self._by, values, strict=True)])
        if len(self._keys) >= CACHED:
            self._keys.clear()
        self._keys[cell] = key
        return key

    def _json(self, lines: Sequence[bytes]) -> None:
        if self._json_together(lines):
            return
        for raw in lines:
            if self._odd >= RELEARN:
                self._learn(raw)
            row = None
            if self._decode is not None and raw.isascii() and len(raw) <= self._max_line:
                try:
                    row = self._decode.decode(raw)
                except (ValueError, RecursionError):  # another shape, or no JSON at all
                    row = None
            if row is None:
                self._odd += 1
                self._one(raw)
            else:
                self._row(raw, row)

    def _json_together(self, lines: Sequence[bytes]) -> bool:
        """Count lines that all have the usual shape in one go; False, with nothing done, where they do not."""
        if self._decode is None or self._odd >= RELEARN:
            return False
        together = b"\n".join(lines)
        # so every line ends what it begins: as many objects as lines is one each
        usual = together.startswith(b"{") and together.count(b"}\n{") == len(lines) - 1
        if not usual or not together.isascii() or len(together) > self._max_line:
            return False
        try:
            rows: list[Any] = self._decode.decode_lines(together)
        except (ValueError, RecursionError):
            return False
        if len(rows) != len(lines):
            return False
        for i in range(len(rows)):
            self._row(lines[i], rows[i])
        return True

    def _row(self, raw: bytes, row: Any) -> None:
        """Count a line that has the usual shape."""
        moment = row.time
        time = self._time(moment) if isinstance(moment, str) else self._times.get(moment, -1)
        status = self._statuses.get(row.status)
        count: int = row.count
        key = self._json_key(row) if self._by else ()
        if time < 0 or status is None or not 0 <= count <= MAX_COUNT:
            self._one(raw, row.status, moment)
            return
        self._parser.lines += 1
        self._add(time, status, key, count)

    def _json_key(self, row: Any) -> Key:
        value: object = row.by0 if len(self._by) == 1 else tuple([getattr(row, f"by{i}") for i in range(len(self._by))])
        key = self._keys.get(value)
        if key is None:
            key = self._new_key(value, [getattr(row, f"by{i}") for i in range(len(self._by))])
        return key

    def _one(self, raw: bytes, status: object = None, time: object = None) -> None:
        """Let the parser read a line; remember what it made of its status and its time."""
        found = self._parser.one(raw)
        if found is None:
            return
        self._flush()
        self._out.append(found)
        self._last = None
        if isinstance(found, Record):
            if status is not None:
                if len(self._statuses) >= CACHED:
                    self._statuses.clear()
                self._statuses[status] = found.status
            if time is not None and not isinstance(time, str):
                self._remember(time, found.time)

    def _add(self, time: int, status: str, key: Key, count: int) -> None:
        tally = self._tally
        if time != tally.time:
            if time < tally.start or time >= tally.start + self._width or tally.start < 0:
                self._flush()
                tally = self._tally = Tally(time - time % self._width, time)
            elif time > tally.time:
                tally.time = time
        tally.rows += 1
        counts = tally.counts.get(key)
        if counts is None:
            counts = tally.counts[key] = {}
        counts[status] = counts.get(status, 0) + count

    def _flush(self) -> None:
        if self._tally.rows:
            self._out.append(self._tally)
            self._tally = Tally(-1, -1)

    def _learn(self, raw: bytes) -> None:
        """Learn the shape of JSON lines from one of them, if it has one that can be counted."""
        self._odd = 0
        try:
            row = json.loads(raw)
        except (ValueError, RecursionError):
            return
        self._decode = _decoder(row, self._parser.options.mapping, self._by) if isinstance(row, dict) else None


def _is_amount(cell: bytes) -> bool:
    try:
        return isfinite(float(cell))
    except ValueError:
        return False


def _decoder(row: Mapping[str, object], mapping: Mapping[str, str], by: Sequence[str]) -> Any:
    """What decodes lines with the columns of `row` and no others; None where each line must be read by itself."""
    lower = {name.lower(): name for name in row}
    columns: dict[str, str] = {}  # field -> column
    for field, accepted in NAMES.items():
        wanted = (mapping[field].lower(),) if field in mapping else accepted
        found = [lower[name] for name in wanted if name in lower]
        if found:
            columns[field] = found[0]
    for i, name in enumerate(by):
        columns[f"by{i}"] = lower.get(name.lower(), "")
    used = set(columns.values())
    if (
        not {"time", "status"} <= columns.keys()
        or len(lower) < len(row)
        or "" in used
        or "id" in columns
        or len(used) < len(columns)
    ):
        return None
    kinds = {"time": str | int | float, "amount": float}
    fields: list[Any] = [(field, kinds.get(field, str)) for field in columns if field != "count"]
    others = [name for name in row if name not in used]
    fields += [(f"other{i}", Any) for i in range(len(others))]
    fields.append(("count", int) if "count" in columns else ("count", int, 1))
    columns.setdefault("count", "(none)")
    names = columns | {f"other{i}": name for i, name in enumerate(others)}
    import msgspec

    try:
        shape = msgspec.defstruct("Row", fields, rename=names, forbid_unknown_fields=True, gc=False)
    except ValueError:  # columns whose names it does not take
        return None
    return msgspec.json.Decoder(shape)

"""Counts JSON lines.

It looks up the text after a line's time as a whole, or decodes many lines of one shape together.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from txmon.ingest.aggregate.known_endings import EndingAggregator, Rest, find
from txmon.ingest.aggregate.ledger import Ledger
from txmon.ingest.fields import MAX_COUNT, choose, currency_column
from txmon.model.keys import Key
from txmon.model.money import CURRENCY, NO_AMOUNT, units_of

QUOTE: Final = ord('"')
RELEARN: Final = 64  # lines of another shape before the shape is determined again
# an object whose first value is a text: everything up to the value, the field's name, the value, and the text before
# the next field
_BEGINS: Final = rb'(\{[ \t\r\n]*"([^"\\]*)"[ \t\r\n]*:[ \t\r\n]*")[^"\\]*("[ \t\r\n]*,[ \t\r\n]*)"'


class Shape:
    """The fields that lines have in common, so that they can be decoded together."""

    __slots__ = ("decode", "decode_lines", "decode_rest", "has_amount", "has_id", "head", "middle", "names")

    def __init__(self, fields: Sequence[tuple[str, Any] | tuple[str, Any, Any]], names: Mapping[str, str]) -> None:
        """Create it. fields: name, type, default. names: the columns of the fields.

        Raise ValueError for unusable names.
        """
        import msgspec

        def decoder(some: Sequence[Any]) -> Any:
            row = msgspec.defstruct("Row", some, rename=names, forbid_unknown_fields=True, gc=False)
            return msgspec.json.Decoder(row)

        whole = decoder(fields)
        self.has_amount = "amount" in [field[0] for field in fields]
        self.names: tuple[str, ...] = ()  # of the dimensions
        self.has_id = "id" in [field[0] for field in fields]
        self.decode = whole.decode
        self.decode_lines = whole.decode_lines
        # reads the text after the time
        self.decode_rest = decoder([field for field in fields if field[0] != "time"]).decode
        self.head = b""  # the text before the time, if the time is the first field
        self.middle = b""  # the text between the time and the next field


def shape_of(raw: bytes, mapping: Mapping[str, str], by: Sequence[str], money: bool = False) -> Shape | None:
    """Return the shape of a line, or None if each line of its kind must be read by itself.

    mapping: columns that fields are read from instead of those in NAMES. by: the dimensions. money: whether an amount
    has a currency, which is then one more dimension.
    """
    try:
        row = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    names = tuple(by)
    if money and isinstance(row, dict) and "amount" in choose(row, mapping):
        currency = currency_column(row, mapping)
        if currency:
            by, names = (*by, currency), (*names, CURRENCY)
    columns = _columns(row, mapping, by) if isinstance(row, dict) else None
    if columns is None:
        return None
    kinds = {"time": str | int | float, "amount": float, "id": str | int}
    fields: list[Any] = [(field, kinds.get(field, str)) for field in columns if field != "count"]
    others = [name for name in row if name not in columns.values()]
    fields += [(f"other{i}", Any) for i in range(len(others))]
    fields.append(("count", int) if "count" in columns else ("count", int, 1))
    columns.setdefault("count", "(none)")
    try:
        shape = Shape(fields, columns | {f"other{i}": name for i, name in enumerate(others)})
    except ValueError:  # msgspec does not accept these column names
        return None
    shape.names = names
    shape.has_amount = money and shape.has_amount
    begins = re.match(_BEGINS, raw)
    if begins is not None and begins[2] == columns["time"].encode("utf-8", "surrogatepass"):
        shape.head, shape.middle = begins[1], begins[3]
    return shape


def _columns(row: Mapping[str, object], mapping: Mapping[str, str], by: Sequence[str]) -> dict[str, str] | None:
    """Return the column of `row` for each field and dimension, or None if the columns can differ between rows."""
    lower = {name.lower(): name for name in row}
    columns = {field: names[0] for field, names in choose(row, mapping).items()}
    if "date" in columns or "zone" in columns:
        return None
    for i, name in enumerate(by):
        columns[f"by{i}"] = lower.get(name.lower(), "")
    used = set(columns.values())
    fit = {"time", "status"} <= columns.keys() and len(lower) == len(row) and "" not in used
    return columns if fit and len(used) == len(columns) else None


class JsonAggregator(EndingAggregator):
    """Counts JSON lines in a ledger."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__(ledger)
        self._shape: Shape | None = None  # of the most recent lines
        self._odd = RELEARN  # lines of another shape since then

    def add(self, lines: list[bytes]) -> None:
        """Count `lines`."""
        if self._shape is None:
            self.add_one(lines[0])  # the next lines may share its shape
            lines = lines[1:]
        shape = self._shape
        if shape is not None and shape.head and not shape.has_id and self.repeating:
            self.add_by_rest(lines)
        elif shape is None or not self._add_together(lines, shape):
            for raw in lines:
                self.add_one(raw)

    def start(self, raw: bytes) -> bytes:
        """Return the line up to its second field."""
        shape = self._shape
        if shape is None or not shape.head or not raw.startswith(shape.head):
            return b""
        start = raw[: find(raw, QUOTE, len(shape.head))] + shape.middle
        return start if raw.startswith(start) else b""

    def time_in(self, start: bytes) -> bytes:
        """Return the text of the first field."""
        shape = self._shape
        assert shape is not None
        return start[len(shape.head) : len(start) - len(shape.middle)]

    def read(self, rest: bytes) -> Rest | None:
        """Return the meaning of the fields after the first."""
        shape = self._shape
        if shape is None or not rest.isascii():
            return None
        try:
            row = shape.decode_rest(b"{" + rest)
        except (ValueError, RecursionError):
            return None
        status = self.ledger.statuses.get(row.status)
        count: int = row.count
        if status is None or not 0 <= count <= MAX_COUNT:
            return None
        units = units_of(row.amount) if shape.has_amount else NO_AMOUNT
        return Rest(status, self._key(row), count, units)

    def _add_together(self, lines: list[bytes], shape: Shape) -> bool:
        """Count lines together if all have the usual shape. Return False, and count nothing, if one differs."""
        if self._odd >= RELEARN:
            return False
        together = b"\n".join(lines)
        # every line is one complete object, because there are as many objects as lines and each line ends with "}"
        usual = together.startswith(b"{") and together.count(b"}\n{") == len(lines) - 1
        if not usual or not together.isascii() or len(together) > self.max_line:
            return False
        try:
            rows: list[Any] = shape.decode_lines(together)
        except (ValueError, RecursionError):
            return False
        if len(rows) != len(lines):
            return False
        for i in range(len(rows)):
            self._add_row(lines[i], rows[i])
        return True

    def add_one(self, raw: bytes) -> None:
        """Count a line that msgspec decodes."""
        if self._odd >= RELEARN:
            self._odd = 0
            options = self.ledger.parser.options
            self._shape = shape_of(raw, options.mapping, options.by, options.money)
            if self._shape is not None:
                self.ledger.name_dimensions(self._shape.names)
            self.rests.clear()
        row = None
        plain = raw.isascii() and len(raw) <= self.max_line
        if self._shape is not None and plain:
            try:
                row = self._shape.decode(raw)
            except (ValueError, RecursionError):  # another shape, or not JSON
                row = None
        if row is None:
            self._odd += plain
            self.ledger.one(raw)
        else:
            self._add_row(raw, row)

    def _add_row(self, raw: bytes, row: Any) -> None:
        """Count a line that has the usual shape."""
        ledger = self.ledger
        moment = row.time
        time = ledger.value_time(moment)
        status = ledger.statuses.get(row.status)
        count: int = row.count
        if time < 0 or status is None or not 0 <= count <= MAX_COUNT:
            ledger.one(raw, row.status, moment)
            return
        identity = ""
        shape = self._shape
        if shape is not None and shape.has_id:
            if isinstance(row.id, str) and not row.id.isascii():  # JSON escapes can produce half of a surrogate pair
                ledger.one(raw)
                return
            identity = str(row.id).strip()
        ledger.parser.lines += 1
        units = NO_AMOUNT
        if shape is not None and shape.has_amount:
            units = units_of(row.amount)
        if identity:
            ledger.add_marked(time, status, self._key(row), count, identity, units)
        elif units != NO_AMOUNT:
            ledger.add_amount(time, status, self._key(row), count, units)
        else:
            ledger.add(time, status, self._key(row), count)

    def _key(self, row: Any) -> Key:
        by = self.ledger.by
        if not by:
            return ()
        value: object = row.by0 if len(by) == 1 else tuple([getattr(row, f"by{i}") for i in range(len(by))])
        key = self.ledger.key(value)
        if key is None:
            key = self.ledger.new_key(value, [getattr(row, f"by{i}") for i in range(len(by))])
        return key

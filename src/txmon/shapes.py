"""The shape of JSON lines: which of a line's fields are read, and how lines with just these fields are decoded."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from .fields import NAMES

# an object that begins with a text: all up to the text, its name, the text, and what is before the next field
_BEGINS: Final = re.compile(rb'(\{[ \t\r\n]*"([^"\\]*)"[ \t\r\n]*:[ \t\r\n]*")[^"\\]*("[ \t\r\n]*,[ \t\r\n]*)"')


class Shape:
    """How lines look that have the fields of one seen before, and no others."""

    __slots__ = ("decode", "decode_lines", "decode_rest", "head", "middle")

    def __init__(self, fields: Sequence[tuple[str, Any] | tuple[str, Any, Any]], names: Mapping[str, str]) -> None:
        """fields: name, type, default. names: the columns they are called. ValueError for names that cannot be."""
        import msgspec

        def decoder(some: Sequence[Any]) -> Any:
            row = msgspec.defstruct("Row", some, rename=names, forbid_unknown_fields=True, gc=False)
            return msgspec.json.Decoder(row)

        whole = decoder(fields)
        self.decode = whole.decode
        self.decode_lines = whole.decode_lines
        self.decode_rest = decoder([field for field in fields if field[0] != "time"]).decode  # what follows the time
        self.head = b""  # lines begin with it and their time, where that comes first,
        self.middle = b""  # and go on with this


def shape_of(raw: bytes, mapping: Mapping[str, str], by: Sequence[str]) -> Shape | None:
    """The shape of a line; None where each line of its kind must be read by itself.

    mapping: columns that fields are read from instead of those in NAMES. by: the dimensions.
    """
    try:
        row = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    columns = _columns(row, mapping, by) if isinstance(row, dict) else None
    if columns is None:
        return None
    kinds = {"time": str | int | float, "amount": float}
    fields: list[Any] = [(field, kinds.get(field, str)) for field in columns if field != "count"]
    others = [name for name in row if name not in columns.values()]
    fields += [(f"other{i}", Any) for i in range(len(others))]
    fields.append(("count", int) if "count" in columns else ("count", int, 1))
    columns.setdefault("count", "(none)")
    try:
        shape = Shape(fields, columns | {f"other{i}": name for i, name in enumerate(others)})
    except ValueError:  # columns whose names it does not take
        return None
    begins = _BEGINS.match(raw)
    if begins is not None and begins[2] == columns["time"].encode("utf-8", "surrogatepass"):
        shape.head, shape.middle = begins[1], begins[3]
    return shape


def _columns(row: Mapping[str, object], mapping: Mapping[str, str], by: Sequence[str]) -> dict[str, str] | None:
    """Which column of `row` each field and dimension is read from; None where that is not the same for all rows."""
    lower = {name.lower(): name for name in row}
    columns: dict[str, str] = {}
    for field, accepted in NAMES.items():
        wanted = (mapping[field].lower(),) if field in mapping else accepted
        found = [lower[name] for name in wanted if name in lower]
        if found:
            columns[field] = found[0]
    for i, name in enumerate(by):
        columns[f"by{i}"] = lower.get(name.lower(), "")
    used = set(columns.values())
    fit = {"time", "status"} <= columns.keys() and len(lower) == len(row) and "" not in used
    return columns if fit and "id" not in columns and len(used) == len(columns) else None

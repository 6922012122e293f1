"""Describes how a source is read: its columns, the form of its times, the meaning of a row.

`decision` decides it. Every command uses the same description, so no two commands read a file differently.
"""

import datetime as calendar
from collections.abc import Mapping
from dataclasses import field, replace
from typing import Final

from txmon.ingest.fields import FIELDS
from txmon.ingest.records import ParseOptions, Wide
from txmon.support.durations import duration_text
from txmon.support.frozen import frozen

_DELIMITER_NAMES: Final = {",": "", ";": "semicolons", "\t": "tabs", "|": "bars"}


@frozen
class Container:
    """The file format around the lines, found before the lines are examined."""

    format: str = "csv"  # of the lines: csv or jsonl
    kind: str = "CSV"  # in words: CSV, JSON lines, JSON array, Excel workbook
    encoding: str = "UTF-8"
    compression: str = ""  # gzip, zstd, zip, or empty
    detail: str = ""  # the member of an archive, or the sheet of a workbook
    notes: tuple[str, ...] = ()


@frozen
class Hints:
    """What the settings require of the reading, before the source is examined."""

    options: ParseOptions = field(default_factory=ParseOptions)
    tz: str = "UTC"
    date: calendar.date | None = None  # of times without a date; None: today
    order: str = ""  # of day and month in numeric dates: dmy, mdy, or empty to decide from the source
    time_format: str | None = None
    encoding: str | None = None
    wide: tuple[str, ...] = ()  # columns that are statuses; * for all columns of whole numbers
    format: str = "auto"  # auto, csv, jsonl, json or logfmt


@frozen
class Reading:
    """How one source is read. `statement` describes it in one line."""

    source: str
    container: Container
    columns: Mapping[str, str]  # field -> column, of the fields that are read
    # the same for the parser: the columns of --map, and those that the names alone do not show
    mapping: Mapping[str, str]
    delimiter: str = ""  # of CSV
    skip: int = 0  # lines before the header
    wide: Wide = ()
    by: tuple[str, ...] = ()
    order: str = ""  # of day and month: dmy, mdy; ? if the sample does not decide; empty if no date needs it
    time_kind: str = ""  # ISO 8601, epoch ms, day-first, ...
    zone: str = "UTC"
    meaning: str = "one transaction"  # of a row: one transaction, a count, a count for each status
    step: int | None = None  # seconds between the times of aggregated rows
    unused: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    alternatives: tuple[str, ...] = ()  # flags that would change the reading, each with its effect
    rows: int = 0  # rows of the sample
    example: str = ""  # a date whose order of day and month is undecided
    decimal: str = ""  # decimal mark of counts; empty if every mark separates thousands
    prefix: str = ""  # text before each status
    sums: tuple[str, ...] = ()  # statuses whose rows are sums of others
    time_form: str = ""  # as `TimeParser` takes it
    plain_counts: bool = True  # whether counts are digits only
    drivers: int = 0  # how many of `by`, from its end, are columns of --drivers

    def options(self, base: ParseOptions) -> ParseOptions:
        """Return the options for parsing the lines: `base` with the decisions of this reading."""
        return replace(
            base, format=self.container.format, mapping=self.mapping, delimiter=self.delimiter, skip=self.skip,
            wide=self.wide, decimal=self.decimal, prefix=self.prefix, sums=self.sums, time_form=self.time_form,
        )  # fmt: skip

    def statement(self) -> str:
        """Return the reading as one line, without the program's name."""
        own = self.container
        details = [
            *([own.detail] if own.detail else []),
            *([_named(self.delimiter)] if own.format == "csv" and self.delimiter not in ("", ",") else []),
            *([own.encoding] if own.encoding != "UTF-8" else []),
            *([own.compression] if own.compression else []),
            *([f"header on line {self.skip + 1}"] if self.skip else []),
        ]
        parts = [own.kind + (f" ({', '.join(details)})" if details else "")]
        fields = [self._field(name) for name in (*FIELDS, "wide") if self._field(name)]
        by, drivers = self.by[: len(self.by) - self.drivers], self.by[len(self.by) - self.drivers :]
        named = [f"{name} {', '.join(some)}" for name, some in (("by", by), ("drivers", drivers)) if some]
        parts.append(", ".join([*fields, *named]))
        if self.prefix:
            parts.append(f"without {self.prefix!r} before each status")
        if self.sums:
            parts.append(f"rows of {', '.join(map(repr, self.sums))} are sums of others and not counted")
        if self.meaning == "one transaction":
            parts.append("a row is one transaction")
        if self.step is not None and self.step != 60:
            parts.append(f"rows come every {duration_text(self.step)}")
        if self.unused:
            shown = self.unused[:12]
            more = len(self.unused) - len(shown)
            parts.append(f"not used: {', '.join(shown)}" + (f" and {more} more" if more else ""))
        return f"{self.source}: " + "; ".join([*(part for part in parts if part), *own.notes, *self.notes])

    def _field(self, name: str) -> str:
        if name == "wide":
            return f"counts={', '.join(column for column, _ in self.wide)}" if self.wide else ""
        column = self.columns.get(name)
        if column is None or name in ("date", "zone"):
            return ""
        if name != "time":
            return f"{name}={column}"
        more = "".join(f" + {self.columns[part]}" for part in ("date", "zone") if part in self.columns)
        kind = f"{self.time_kind}, " if self.time_kind not in ("", "ISO 8601") else ""
        return f"time={column}{more} ({kind}{self.zone})"

    def to_dict(self) -> dict[str, object]:
        """Return the reading as values that JSON can represent."""
        own = self.container
        return {
            "source": self.source,
            "format": own.kind,
            "encoding": own.encoding,
            "compression": own.compression or None,
            "detail": own.detail or None,
            "delimiter": self.delimiter or None,
            "header_line": self.skip + 1 if own.format == "csv" else None,
            "columns": dict(self.columns),
            "wide": dict(self.wide) or None,
            "by": list(self.by),
            "time_format": self.time_kind or None,
            "zone": self.zone,
            "row": self.meaning,
            "step": self.step,
            "not_used": list(self.unused),
            "notes": [*own.notes, *self.notes],
            "flags": list(self.alternatives),
            "statement": self.statement(),
        }


def _named(delimiter: str) -> str:
    return _DELIMITER_NAMES.get(delimiter, f"delimiter {delimiter!r}")

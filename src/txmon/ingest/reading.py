"""How a source is read: which column is what, how its times are written, what a row means.

`read_plan` decides it from a sample of the source's lines and returns a `Reading`. Every command reads through it, so
no two of them disagree. Evidence that allows two readings is a BadData that shows both, and the flag for each.
"""

import csv
import datetime as calendar
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from itertools import pairwise
from math import gcd
from typing import Final

from txmon.errors import BadData
from txmon.ingest import calendar_texts
from txmon.ingest.fields import ALIASES, FIELDS, MAX_COUNT, NAMES, choose, count_of, currency_column, plain_name
from txmon.ingest.fields import Fault as BadValue
from txmon.ingest.records import BOM, DELIMITERS, ParseOptions, Wide, missing_text, with_paths
from txmon.ingest.timestamps import TimeParser
from txmon.model.statuses import role_of
from txmon.support.durations import duration_text

SAMPLE: Final = 1000  # rows that decide
PREAMBLE: Final = 40  # lines in which a header is looked for
MORE_DELIMITERS: Final = DELIMITERS + "^~\x01\x1f"
DEEPEST: Final = 4  # objects within objects of JSON that are looked into
STATUS_WORDS: Final = frozenset(
    (
        "approved", "denied", "declined", "failed", "failure", "reversed", "backend_reversed", "processing", "refunded",
        "refund", "pending", "success", "successful", "succeeded", "error", "errors", "rejected", "refused",
        "cancelled", "canceled", "chargeback", "chargedback", "authorised", "authorized", "captured", "settled", "paid",
        "completed",
        "timeout", "timed_out", "expired", "voided", "void", "disputed", "aborted", "ok", "created", "in_process",
        "in_progress", "partially_refunded", "received", "sent", "unpaid", "blocked", "fraud", "new", "open", "closed",
        "aprovada", "aprovado", "negada", "negado", "recusada", "recusado", "falha", "falhou", "estornada", "estornado",
        "pendente", "processando", "cancelada", "cancelado", "reembolsada", "reembolsado", "paga", "pago", "aprobada",
        "aprobado", "rechazada", "rechazado", "fallida", "fallido", "denegada", "denegado", "pendiente", "devuelta",
        "devuelto", "reversada", "reversado", "anulada", "anulado", "exitosa", "exitoso", "autorizada", "autorizado",
    )
)  # fmt: skip
# columns that may be a count, or may be money or a quantity of goods
MAYBE_COUNTS: Final = (
    "value", "total", "quantity", "qty", "n", "size", "volume", "sum", "number", "num", "metric_value", "y",
    "requests", "records", "rows", "trx", "txns", "tx", "sum_value", "value_sum", "quantidade", "qtd", "qtde",
    "cantidad",
)  # fmt: skip
# numbers that are no counts, by words of their names
_NO_COUNT: Final = (  # compiled where it is needed first
    r"(^|_)(id|ids|code|codigo|cod|mcc|bin|pan|card|cartao|tarjeta|zip|cep|terminal|tid|nsu|merchant|loja|shop|store|"
    r"customer|client|account|user|phone|age|year|month|day|hour|minute|second|lat|long|lon|latitude|longitude|"
    r"installments?|parcelas?|cuotas?|price|amount|valor|fee|tax|balance|gross|net|rate|ratio|pct|percent|share|"
    r"line|seq|sequence|index|position|version|port|ip|priority|level|latency|duration|ms|seconds|"
    r"response|reason|currency|order|invoice|batch|lote|ref|reference|unix|unix_time|epoch|timestamp|time|date|row|"
    r"unnamed|city_pop|pop|is|flag|dow|weekday|week|avg|mean|min|max|std|median|p50|p90|p95|p99)(_|$|\d)"
)
_ZONE_NAMES: Final = frozenset(
    ("time_zone", "timezone", "tz", "zone", "fuso", "fuso_horario", "zona_horaria", "zona", "utc_offset", "offset")
)
_DAY_NAMES: Final = frozenset(("date", "data", "fecha", "dia", "day"))
# functions of SQL and of logs' queries that a column of times may be called after
_TRUNCATED: Final = re.compile(
    r"(?:bin|date_?trunc|date_bin|date_format|time_bucket|strftime|tostartof\w*|(?:timestamp|datetime)_trunc|"
    r"from_unixtime|to_timestamp|window|minute|hour)\s*\(",
    re.IGNORECASE,
)
_STRONG: Final = re.compile(r"(^|_)status($|_)")
_AFFIX: Final = re.compile(
    r"^(?:count|cnt|num|n|qtd|total|sum|status|transactions|txns?)_(?=.)|(?<=.)_(?:count|counts|cnt|qtd|total|transactions|txns?|txn_count)$"
)
_LABEL: Final = re.compile(r'[{,]\s*(?:\w*status\w*|state|result|code)\s*[=:]\s*"?([^",}]+)"?', re.IGNORECASE)
_CLOCK_ONLY: Final = re.compile(
    r"\d{1,2}(?:h|:\d{2}|\s?h\s?\d{1,2})(?::\d{2}(?:[.,]\d+)?)?(?:\s?[AaPp]\.?[Mm]\.?)?", re.ASCII
)
_OWN_ZONE: Final = re.compile(r"(?:\d(?:[zZ]|\s?[+-]\d{2}:?\d{2})|\s[A-Z]{3,4})(?:\s\(.*\))?$")
EARLIEST_MS: Final = 631152000000  # 1990: below it, 12 digits are a calendar time
_DELIMITER_NAMES: Final = {",": "", ";": "semicolons", "\t": "tabs", "|": "bars"}


@dataclass(frozen=True, slots=True)
class Container:
    """What holds the lines: found before they are looked at."""

    format: str = "csv"  # of the lines: csv or jsonl
    kind: str = "CSV"  # as people call what the source is: CSV, JSON lines, JSON array, Excel workbook
    encoding: str = "UTF-8"
    compression: str = ""  # gzip, zstd, zip, or empty
    detail: str = ""  # the member of an archive, the sheet of a workbook
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Hints:
    """What the settings say about reading, before the source is looked at."""

    options: ParseOptions = field(default_factory=ParseOptions)
    tz: str = "UTC"
    date: calendar.date | None = None  # of times that have none; None: today
    order: str = ""  # of day and month in numeric dates: dmy, mdy, or empty for the source to decide
    time_format: str | None = None
    encoding: str | None = None
    wide: tuple[str, ...] = ()  # columns that are statuses; * for all columns of whole numbers
    format: str = "auto"  # auto, csv, jsonl, json or logfmt


@dataclass(frozen=True, slots=True)
class Reading:
    """How one source is read. `statement` says it in a line."""

    source: str
    container: Container
    columns: Mapping[str, str]  # field -> column, of the fields that are read
    mapping: Mapping[str, str]  # the same for the parser: what --map says, and what was decided beyond the names
    delimiter: str = ""  # of CSV
    skip: int = 0  # lines before the header
    wide: Wide = ()
    by: tuple[str, ...] = ()
    order: str = ""  # of day and month: dmy, mdy; ? is not decided by the sample; empty where nothing asks
    time_kind: str = ""  # ISO 8601, epoch ms, day-first, ...
    zone: str = "UTC"
    meaning: str = "one transaction"  # of a row: one transaction, a count, a count for each status
    step: int | None = None  # seconds between the times of aggregated rows
    unused: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    alternatives: tuple[str, ...] = ()  # flags that would change the reading, each with its effect
    rows: int = 0  # that it was decided from
    example: str = ""  # a date whose order of day and month is not decided
    drivers: int = 0  # how many of `by`, the last ones, are the columns of --drivers

    def options(self, base: ParseOptions) -> ParseOptions:
        """Return how the lines are parsed: `base` with what was decided."""
        return replace(
            base, format=self.container.format, mapping=self.mapping, delimiter=self.delimiter, skip=self.skip,
            wide=self.wide,
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
        """Return the reading as JSON takes it."""
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


def read_plan(
    source: str,
    lines: Sequence[bytes],
    hints: Hints,
    container: Container | None = None,
    whole: bool = False,
    live: bool = False,
) -> Reading:
    """Decide how `source` is read, from its first `lines` (UTF-8, without newlines).

    container: what the lines came out of; None to tell CSV from JSON lines by their first. whole: these are all the
    lines that there are. live: of a stream, whose first lines must do. Raises BadData when a needed column is missing,
    and when the evidence allows two readings. An order of day and month that the sample does not decide is `?` in the
    reading: `decide_order` goes on from there.
    """
    first = next((line for line in lines if line.strip()), None)
    if first is None:
        raise BadData(f"{source}: is empty")
    if b"\0" in first[:4096] or first.startswith((b"PK\x03\x04", b"PAR1")):
        raise BadData(f"{source}: is binary, not CSV or JSON lines")
    if container is None:
        json_lines = hints.options.format == "jsonl" or (
            hints.options.format == "auto" and _first_text(lines).lstrip().startswith("{")
        )
        container = Container("jsonl", "JSON lines") if json_lines else Container()
    table = _json_table(lines, hints) if container.format == "jsonl" else _csv_table(lines, hints)
    return _Decision(source, table, hints, container, whole, live).reading()


def decide_order(reading: Reading, orders: Iterable[str]) -> Reading:
    """Return `reading` with the order of day and month that `orders` prove; BadData when they prove none, or both."""
    found = {order for order in orders if order in (calendar_texts.DAY_FIRST, calendar_texts.MONTH_FIRST)}
    column = reading.columns.get("date", reading.columns["time"])
    if len(found) == 2:
        raise BadData(
            f"{reading.source}: the dates in {column!r} are day-first in some rows and month-first in others;"
            " use --day-first or --month-first"
        )
    if not found:
        raise BadData(
            f"{reading.source}: no row decides whether the dates in {column!r} are day-first or month-first:"
            f" {_both(reading)}"
        )
    order = found.pop()
    return replace(reading, order=order, time_kind=_order_text(order))


def row_orders(reading: Reading, lines: Iterable[bytes]) -> Iterable[str]:
    """Yield what each row's date proves about the order of day and month, for `decide_order`."""
    column = reading.columns.get("date", reading.columns["time"])
    at = -1
    for number, raw in enumerate(lines, 1):
        text = raw.decode("utf-8", "replace").strip()
        if reading.container.format == "jsonl":
            try:
                row = json.loads(text)
            except (ValueError, RecursionError):
                continue
            value = with_paths(row, [column]).get(column) if isinstance(row, dict) else None
            if isinstance(value, str):
                yield calendar_texts.order_of(value)
            continue
        if number <= reading.skip or not text:
            continue
        cells = _cells(text, reading.delimiter or ",")
        if at < 0:
            at = next((i for i, cell in enumerate(cells) if cell.strip().lower() == column.lower()), -2)
        elif at < len(cells):
            yield calendar_texts.order_of(cells[at])


def _both(reading: Reading) -> str:
    """The two readings of a date, and the flag of each."""
    example = reading.example
    day = calendar_texts.read(example, calendar_texts.DAY_FIRST)
    month = calendar_texts.read(example, calendar_texts.MONTH_FIRST)
    if day is None or month is None:
        return "use --day-first or --month-first"
    first, second = (f"{moment.day} {moment:%B %Y}" for moment, _ in (day, month))
    return f"{example!r} is {first} with --day-first, and {second} with --month-first"


def _order_text(order: str) -> str:
    return {"dmy": "day-first", "mdy": "month-first"}.get(order, "")


@dataclass(slots=True)
class _Table:
    """A sample: names of columns, and each one's texts."""

    names: list[str]
    values: dict[str, list[str]]  # by name; "" for a value that is not there
    rows: int
    delimiter: str = ""
    skip: int = 0
    nested: list[str] = field(default_factory=list)  # of `names`, paths into objects


def _first_text(lines: Sequence[bytes]) -> str:
    return next((line.removeprefix(BOM).decode("utf-8", "replace") for line in lines if line.strip()), "")


def _json_table(lines: Sequence[bytes], hints: Hints) -> _Table:
    rows: list[dict[str, object]] = []
    for line in lines[:SAMPLE]:
        try:
            row = json.loads(line.removeprefix(BOM))
        except (ValueError, RecursionError):
            continue
        if isinstance(row, dict):
            rows.append(row)
    flat = list(dict.fromkeys(name for row in rows for name in row))
    deep = [_flat(row, "", DEEPEST) for row in rows]
    nested = [name for name in dict.fromkeys(name for row in deep for name in row) if name not in flat]
    names = [name for name in flat if any(not isinstance(row.get(name), dict | list) for row in rows)] + nested
    values = {name: [_json_text(row.get(name, "")) for row in deep] for name in names}
    return _Table(names, values, len(rows), nested=nested)


def _flat(row: Mapping[str, object], prefix: str, depth: int) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, value in row.items():
        if isinstance(value, dict):
            if depth > 1:
                found.update(_flat(value, f"{prefix}{name}.", depth - 1))
        elif not isinstance(value, list):
            found[prefix + name] = value
    return found


def _json_text(value: object) -> str:
    return value if isinstance(value, str) else "" if value is None else str(value)


def _cells(text: str, delimiter: str) -> list[str]:
    if '"' not in text:
        return text.rstrip("\r\n").split(delimiter)
    try:
        return next(csv.reader([text], delimiter=delimiter), [])
    except csv.Error:
        return text.split(delimiter)


def _csv_table(lines: Sequence[bytes], hints: Hints) -> _Table:
    texts = [line.decode("utf-8", "replace").rstrip("\r\n") for line in lines[: SAMPLE + PREAMBLE]]
    if texts:
        texts[0] = texts[0].removeprefix("\ufeff")
    delimiter, skip = _header(texts, hints)
    header = [cell.strip() for cell in _cells(texts[skip], delimiter)] if skip < len(texts) else []
    rows = [_cells(text, delimiter) for text in texts[skip + 1 :] if text.strip()]
    width = len(header)
    fitting = [row for row in rows if len(row) >= width][:SAMPLE]
    names = list(dict.fromkeys(name for name in header if name))
    at = {name: header.index(name) for name in names}
    values = {name: [row[at[name]].strip() for row in fitting] for name in names}
    return _Table(names, values, len(fitting), delimiter, skip)


def _header(texts: Sequence[str], hints: Hints) -> tuple[str, int]:
    """Return the delimiter and how many lines come before the header."""
    given = hints.options.delimiter
    at = next((i for i, text in enumerate(texts) if text.strip()), 0)
    if texts and (match := re.fullmatch(r'"?sep=(.)"?', texts[at].strip() or " ", re.IGNORECASE)):
        given = given or match[1]
    candidates = [given] if given else list(MORE_DELIMITERS)
    mapped = {column.lower() for column in hints.options.mapping.values() if column}
    most = 2 + len(mapped)
    best = (0, 0, 0, -1, "", 0)
    for rank, delimiter in enumerate(candidates):
        for i, text in enumerate(texts[:PREAMBLE]):
            if delimiter not in text:
                continue
            cells = [cell.strip() for cell in _cells(text, delimiter)]
            known = _known(cells, mapped, hints)
            if known:
                # of two that name as many fields, the one that more rows agree with
                agreeing = sum(len(_cells(row, delimiter)) == len(cells) for row in texts[i + 1 : i + 21])
                best = max(best, (known, agreeing, -i, -rank, delimiter, i))
                if known == most and agreeing == len(texts[i + 1 : i + 21]):
                    break  # no later line can do better with this delimiter
    if best[0]:
        return best[4], best[5]
    return _widest(texts, candidates)


def _known(cells: Sequence[str], mapped: Iterable[str], hints: Hints) -> int:
    """How many fields these cells name, as far as a header needs them; 0 where it is no header."""
    found = choose(cells, {})
    names = {cell.lower() for cell in cells}
    wanted = sum(name in names for name in mapped)
    timed, named = "time" in found, "status" in found
    if timed and not named:
        named = sum(status_named(cell) is not None for cell in cells) >= 2
    known = timed + named + wanted
    return known if known >= 2 or (known and len(cells) > 2) else 0


def _widest(texts: Sequence[str], candidates: Sequence[str]) -> tuple[str, int]:
    """Return the delimiter that splits most lines alike, and the first of these lines: the header has unknown names."""
    best = (0, 0, 0, candidates[0], 0)
    for rank, delimiter in enumerate(candidates):
        widths = [len(_cells(text, delimiter)) if delimiter in text else 1 for text in texts[:200]]
        alike = Counter(width for width in widths if width > 1)
        for width, count in alike.most_common(1):
            best = max(best, (count, width, -rank, delimiter, widths.index(width)))
    if best[0]:
        return best[3], best[4]
    return candidates[0], next((i for i, text in enumerate(texts) if text.strip()), 0)


def status_named(column: str) -> str | None:
    """Return the status that a column of counts is named after; None where the name is no status."""
    label = _LABEL.search(column)
    if label is not None:
        return label[1].strip().lower()
    plain = plain_name(column)
    bare = _AFFIX.sub("", plain)
    if is_status(plain):
        return column.strip().lower() if plain_name(column.strip()) == plain and " " not in column else plain
    if is_status(bare):
        return bare
    last = plain.rpartition("_")[2]
    return (
        bare
        if not last.isdecimal() and is_status(last) and not re.search(_NO_COUNT, plain.rpartition("_")[0])
        else None
    )


def is_status(word: str) -> bool:
    """Return whether `word` is known to name a status."""
    if word in STATUS_WORDS:
        return True
    return 0 < len(word) <= 40 and (len(word) == 2 or not word.isdecimal()) and role_of(word) != ""


class _Decision:
    """Decides one reading."""

    def __init__(self, source: str, table: _Table, hints: Hints, container: Container, whole: bool, live: bool) -> None:
        self.source, self.table, self.hints, self.container, self.whole = source, table, hints, container, whole
        self.given = dict(hints.options.mapping)
        self.columns: dict[str, str] = {}
        self.notes: list[str] = []
        self.alternatives: list[str] = []
        self.wide: Wide = ()
        self.example = ""
        self.live = live
        self.order, self.time_kind, self.zone = hints.order, "", hints.tz
        orders = (hints.order,) if hints.order else ("dmy", "mdy")
        self.times = [TimeParser(UTC, date(2000, 1, 1), None, order, hints.time_format) for order in orders]

    def reading(self) -> Reading:
        self._mapped()
        self._time()
        self._status()
        self._refuse_missing()
        self._order_of_dates()
        meaning = self._row()
        default = choose(self._parsers_names(), self.given)
        self._rest(default)
        mapping = dict(self.given)
        for name in FIELDS:
            chosen = self.columns.get(name)
            if chosen != next(iter(default.get(name, [])), None) and (
                name not in ("status", "count", "id") or not self.wide
            ):
                mapping[name] = chosen or ""
        if self.wide:
            mapping |= {"count": "", "id": "", "amount": "", "status": ""}
        used = {*self.columns.values(), *(column for column, _ in self.wide), *self.hints.options.by}
        lower = {name.lower() for name in used}
        if meaning == "a count" and "amount" not in self.given and "amount" in self.columns:
            lower.discard(self.columns.pop("amount").lower())
            if self.hints.options.money:  # a row's total, or its mean: --map amount=COLUMN says that it is the total
                mapping["amount"] = ""
                lower.discard(self.columns.pop("currency", "").lower())
        unused = tuple(name for name in self.table.names if name.lower() not in lower)
        return Reading(
            self.source, self.container, self.columns, mapping, self.table.delimiter, self.table.skip, self.wide,
            self.hints.options.by, self.order, self.time_kind, self.zone, meaning, self._step(meaning), unused,
            tuple(self.notes), tuple(self.alternatives), self.table.rows, self.example, self.hints.options.drivers,
        )  # fmt: skip

    # columns

    def _parsers_names(self) -> list[str]:
        """The names that a parser sees by itself: not those within objects."""
        nested = set(self.table.nested)
        return [name for name in self.table.names if name not in nested]

    def _mapped(self) -> None:
        """Take over what --map names."""
        lower = {name.lower(): name for name in reversed(self.table.names)}
        for name, column in self.given.items():
            if not column:
                continue
            if column.lower() in lower:
                self.columns[name] = lower[column.lower()]
            elif self.table.names and (self.container.format == "csv" or self.whole):
                shown = ", ".join(self.table.names)[:300]
                raise BadData(f"{self.source}: no column {column!r} for {name!r}; columns found: {shown}")
            else:
                self.columns[name] = column
        for place, dimension in enumerate(self.hints.options.by):
            if dimension.lower() not in lower and self.table.names and self.container.format == "csv":
                shown = ", ".join(self.table.names)[:300]
                flag = self.hints.options.flag(place)
                raise BadData(f"{self.source}: no column {dimension!r} for {flag}; columns found: {shown}")

    def _free(self, name: str) -> list[str]:
        """The columns whose names say that they hold the field `name`, most wanted first."""
        free = [column for column in self.table.names if column not in self.columns.values()]
        by_name: dict[str, list[str]] = {}
        for column in free:
            own = column.rpartition(".")[2] if column in self.table.nested else column
            by_name.setdefault(own.lower(), []).append(column)
            by_name.setdefault(plain_name(own), []).append(column)
        order = dict.fromkeys(column for known in (*NAMES[name], *ALIASES[name]) for column in by_name.get(known, []))
        if name == "time":
            order |= dict.fromkeys(column for column in free if _TRUNCATED.match(column))
        # what is not within objects comes first
        return sorted(order, key=lambda column: column in self.table.nested)

    def _kind(self, column: str) -> str:
        """What a column's values are: full (a date with a time), date, clock, none."""
        seen = dict.fromkeys(value for value in self.table.values.get(column, ()) if value)
        kinds = Counter(self._kind_of(value) for value in list(seen)[:60])
        if not kinds:
            return "empty"
        kind, count = kinds.most_common(1)[0]
        return kind if count * 2 >= sum(kinds.values()) else "none"

    def _kind_of(self, text: str) -> str:
        if self.hints.time_format is None and _CLOCK_ONLY.fullmatch(text.strip()):
            return "clock"
        # a date is one in either order: which one, the column as a whole decides
        if not any(_is_time(times, text) for times in self.times):
            return "none"
        digits = text.strip().isdecimal()
        if (digits and len(text.strip()) == 8) or (
            not digits and ":" not in text and "T" not in text and "h" not in text
        ):
            return (
                "date"
                if not re.fullmatch(r"\s*\d+(\.\d+)?([eE]\+?\d+)?\s*", text) or len(text.strip()) == 8
                else "full"
            )
        return "full"

    def _time(self) -> None:
        if "time" in self.given:
            if "time" in self.columns and self._kind(self.columns["time"]) == "clock":
                self._date_beside()
        else:
            self._choose_time()
        if "time" in self.columns and "zone" not in self.given:
            self._zone_beside()

    def _choose_time(self) -> None:
        candidates = self._free("time")
        kinds = {column: self._kind(column) for column in candidates}
        for kind in ("full", "clock", "date"):
            some = [column for column in candidates if kinds[column] == kind]
            if some:
                self.columns["time"] = some[0]
                if kind == "clock":
                    self._date_beside()
                elif kind == "date" and "date" not in self.given:
                    self._clock_beside(some[0])
                return
        if candidates:
            self.columns["time"] = candidates[0]  # its rows will say what is wrong with it

    def _clock_beside(self, day: str) -> None:
        """Find the time of day, as digits without marks, beside a date: 100500 beside 20240305."""
        for column in self.table.names:
            words = set(plain_name(column).split("_"))
            values = [value for value in self.table.values[column] if value]
            if column != day and words & {"time", "hora", "hour", "clock"} and values and all(map(_is_clock, values)):
                self.columns |= {"time": column, "date": day}
                return

    def _date_beside(self) -> None:
        """Find the date of a time of day."""
        if "date" in self.given:
            return
        some = [
            column for column in self.table.names
            if column not in self.columns.values() and not self._is_number(column)
            and self._kind(column) in ("date", "full")
        ] + [
            column for column in self.table.names if column not in self.columns.values()
            and self._is_number(column) and self._kind(column) == "date"
        ]  # fmt: skip
        named = [column for column in some if set(plain_name(column).split("_")) & _DAY_NAMES]
        if len(named) == 1 or (named and len(some) > 1):
            self.columns["date"] = named[0]
        elif len(some) == 1:
            self.columns["date"] = some[0]
        if "date" not in self.columns and self.hints.date is None:
            self.notes.append("its times have no date, and today's is taken (--date)")

    def _zone_beside(self) -> None:
        if self._own_zone(self.table.values.get(self.columns["time"], [])):
            return
        for column in self.table.names:
            if plain_name(column) in _ZONE_NAMES and column not in self.columns.values():
                values = [value for value in dict.fromkeys(self.table.values[column]) if value]
                try:
                    for value in values[:20]:
                        calendar_texts.zone_of(value)
                except ValueError:
                    continue
                if values:
                    self.columns["zone"] = column
                    self.zone = f"zone in {column}"
                    return

    @staticmethod
    def _own_zone(values: Sequence[str]) -> bool:
        seen = [value for value in values[:50] if value]
        return bool(seen) and all(_OWN_ZONE.search(value) or _is_epoch(value) for value in seen)

    def _status(self) -> None:
        if self.hints.wide:
            self._take_wide(self._asked_wide())
            return
        if "status" in self.given:
            return
        candidates = [column for column in self._free("status") if not self._too_many(column)]
        candidates += [
            column for column in self.table.names
            if _STRONG.search(plain_name(column)) and column not in candidates and column not in self.columns.values()
            and self._words(column) > 0 and not self._too_many(column)
        ]  # fmt: skip
        strong = [column for column in candidates if _STRONG.search(plain_name(column.rpartition(".")[2]))]
        rivals = [column for column in strong if self._words(column) > 0.5]
        distinct = {tuple(self.table.values[column]) for column in rivals}
        if len(rivals) > 1 and len(distinct) > 1:
            shown = " or ".join(
                f"{column!r} ({', '.join(list(dict.fromkeys(filter(None, self.table.values[column])))[:3])})"
                for column in rivals[:2]
            )
            flags = " or ".join(f"--map status={column}" for column in rivals[:2])
            raise BadData(f"{self.source}: two columns may be the status: {shown}. Choose with {flags}")
        if strong:
            self.columns["status"] = strong[0]
        elif candidates:
            spoken = [column for column in candidates if self._words(column) > 0.5]
            self.columns["status"] = (spoken or candidates)[0]
        else:
            self._take_wide([(column, word) for column in self.table.names if (word := self._wide_word(column))])

    def _words(self, column: str) -> float:
        """The share of a column's values that are known words for a status."""
        values = [value for value in self.table.values[column] if value]
        words = {value: is_status(plain_name(value)) or is_status(value.lower()) for value in set(values)}
        known = sum(words[value] for value in values)
        return known / len(values) if values else 0.0

    def _too_many(self, column: str) -> bool:
        """Whether a column has too many values to be a status, as the approval codes of single transactions."""
        if column.lower() in NAMES["status"]:
            return False  # its name leaves no doubt
        values = [value for value in self.table.values[column] if value]
        return len(set(values)) > max(50, len(values) // 2)

    def _wide_word(self, column: str) -> str | None:
        word = status_named(column) if column not in self.columns.values() else None
        unused = not any(self.table.values[column])
        return word if word is not None and (unused or self._is_whole(column, empty=True)) else None

    def _asked_wide(self) -> list[tuple[str, str]]:
        lower = {name.lower(): name for name in self.table.names}
        if self.hints.wide == ("*",):
            taken = {*self.columns.values(), *self.hints.options.by}
            whole = [name for name in self.table.names if name not in taken and self._is_whole(name, empty=True)]
            return [(name, status_named(name) or plain_name(name) or name.lower()) for name in whole]
        for name in self.hints.wide:
            if name.lower() not in lower:
                raise BadData(
                    f"{self.source}: no column {name!r} for --wide; columns found: {', '.join(self.table.names)}"
                )
        return [(lower[name.lower()], status_named(name) or name.lower()) for name in self.hints.wide]

    def _take_wide(self, found: list[tuple[str, str]]) -> None:
        if not found or "time" not in self.columns:
            return
        names = Counter(status for _, status in found)
        self.wide = tuple((column, status if names[status] == 1 else column.lower()) for column, status in found)
        self.columns.pop("status", None)
        others = [name for name in self.table.names if name not in dict(self.wide) and name not in self.columns.values()
                  and self._is_whole(name) and not re.search(_NO_COUNT, plain_name(name))
                  and plain_name(name) not in ("total", "all", "sum", "grand_total")]  # fmt: skip
        if others and not self.hints.wide:
            columns = ",".join([*dict(self.wide), *others])
            self.alternatives.append(f"--wide '{columns}': count these columns too")

    def _refuse_missing(self) -> None:
        missing = [
            name for name in ("time", "status") if name not in self.columns and not (name == "status" and self.wide)
        ]
        if not missing or (not self.table.names and self.container.format == "jsonl"):
            return
        if self.container.format == "csv":
            for cell in self.table.names:
                if self._kind_of(cell) != "none":
                    raise BadData(
                        f"{self.source}: no header: the first line must name the columns, for example time,status,count"
                    )
        elif not self.whole:
            return  # later rows may have what these do not
        raise BadData(f"{self.source}: {missing_text(missing, self.table.names, self._likely(missing))}")

    def _likely(self, missing: Sequence[str]) -> dict[str, str]:
        found: dict[str, str] = {}
        free = [column for column in self.table.names if column not in self.columns.values()]
        if "time" in missing:
            times = [column for column in free if self._kind(column) == "full"]
            times += [column for column in free if self._kind(column) in ("date", "clock")]
            if times:
                found["time"] = times[0]
        if "status" in missing:
            named = re.compile(r"status|state|result|code|situa|estado|resp|outcome|decision|type|event|action")

            def likelihood(column: str) -> tuple[float, bool, int]:
                distinct = len(set(self.table.values[column]))
                return self._words(column), bool(named.search(plain_name(column))), -distinct

            texts = [column for column in free if column != found.get("time") and self._kind(column) != "full"
                     and not self._too_many(column) and len(set(self.table.values[column])) > 1]  # fmt: skip
            best = max(texts, key=likelihood, default=None)
            if best is not None and likelihood(best)[:2] > (0.0, False):
                found["status"] = best
        return found

    # dates

    def _order_of_dates(self) -> None:
        column = self.columns.get("date", self.columns.get("time", ""))
        values = self.table.values.get(column, [])
        shown = next((value for value in values if value), "")
        if self.hints.time_format is not None:
            self.time_kind = self.hints.time_format
            return
        self.time_kind = _time_kind(shown) if "date" not in self.columns else "ISO 8601"
        if "zone" not in self.columns and shown:
            self._name_zone(self.table.values.get(self.columns.get("time", ""), []))
        orders = {calendar_texts.order_of(value) for value in dict.fromkeys(values)} - {""}
        if not orders:
            return
        if self.hints.order:
            self.time_kind = _order_text(self.hints.order)
            return
        proved = orders - {calendar_texts.UNDECIDED}
        if len(proved) == 2:
            raise BadData(
                f"{self.source}: the dates in {column!r} are day-first in some rows and month-first in others;"
                " use --day-first or --month-first"
            )
        if proved:
            self.order = proved.pop()
            self.time_kind = _order_text(self.order)
        else:
            self.order = calendar_texts.UNDECIDED
            example = next(value for value in values if calendar_texts.order_of(value) == calendar_texts.UNDECIDED)
            self.example = example

    def _name_zone(self, values: Sequence[str]) -> None:
        seen = [value for value in values[:50] if value]
        if all(
            value.upper().endswith(("Z", "UTC", "GMT", "+00:00", "+0000", "+00")) or _is_epoch(value) for value in seen
        ):
            self.zone = "UTC"
        elif self._own_zone(values):
            self.zone = "with their own zone"

    # what a row means

    def _is_number(self, column: str) -> bool:
        seen = [value for value in self.table.values.get(column, ()) if value]
        return bool(seen) and all(value.replace(".", "", 1).isdecimal() for value in seen[:100])

    def _is_whole(self, column: str, empty: bool = False) -> bool:
        """Whether every value is a count. empty: a value may also be missing."""
        values = self.table.values.get(column, [])
        seen = [value for value in values if value]
        if not seen or (not empty and len(seen) < len(values)):
            return False
        for value in dict.fromkeys(seen):
            try:
                if count_of(value) > MAX_COUNT:
                    return False
            except BadValue:
                return False
        return True

    def _row(self) -> str:
        if self.wide:
            self.columns.pop("count", None)
            return "a count for each status"
        if "count" in self.given:
            return "a count" if self.columns.get("count") else "one transaction"
        taken = {*self.columns.values(), *self.hints.options.by}
        free = [name for name in self.table.names if name not in taken]
        sure = choose([name for name in free if name not in self.table.nested], {}).get("count", [])
        if sure and plain_name(sure[0]) not in MAYBE_COUNTS:
            self.columns["count"] = sure[0]
            return "a count"
        maybe = [name for name in free if self._may_count(name)] if self.table.rows else []
        named = [name for name in maybe if plain_name(name) in MAYBE_COUNTS or plain_name(name).isdecimal()
                 or re.fullmatch(r"_?col_?\d+", name.lower())]  # fmt: skip
        identified = bool(choose(free, {}).get("id"))
        grouped = self._aggregated(maybe)
        if len(named) == 1 and len(maybe) == 1 and grouped and self._regular() and not identified:
            self.columns["count"] = named[0]
            self.alternatives.append("--map count=: a row is one transaction")
            return "a count"
        if sure and (self.live or not self.table.rows):  # there is no more evidence than the name
            self.columns["count"] = sure[0]
            return "a count"
        if self.live or not maybe or (identified and not (sure and sure[0] in named)):
            return "one transaction"
        if named or (grouped and (len(free) == 1 or self._regular())):
            self._ask(named or maybe)
        return "one transaction"

    def _may_count(self, name: str) -> bool:
        plain = plain_name(name)
        if self._kind(name) in ("full", "date") or not self._is_whole(name):
            return False
        return plain in MAYBE_COUNTS or not re.search(_NO_COUNT, plain)

    def _aggregated(self, maybe: Sequence[str]) -> bool:
        """Whether no two rows have the same time, status and labels, as the rows of a GROUP BY."""
        names = [name for name in self.table.names if name not in maybe]
        rows = list(zip(*(self.table.values[name] for name in names), strict=True))
        return len(set(rows)) == len(rows) and len(rows) >= 2

    def _regular(self) -> bool:
        """Whether times are on whole minutes and several rows share one, as a query of counts by minute gives."""
        moments = self._moments()
        whole = sum(moment % 60 == 0 for moment in moments)
        return len(moments) >= 4 and whole == len(moments)

    def _ask(self, names: Sequence[str]) -> None:
        columns = " or ".join(repr(name) for name in names[:3])
        flags = ", or ".join(f"--map {_flag('count', name)}" for name in names[:3])
        raise BadData(
            f"{self.source}: no column is surely the count: is it {columns}?"
            f" Say {flags}, or --map count= for rows that are one transaction each"
        )

    def _moments(self) -> list[int]:
        column = self.columns.get("time", "")
        days = self.table.values.get(self.columns.get("date", ""), [])
        found: list[int] = []
        order = self.order if self.order in ("dmy", "mdy") else "dmy"
        times = TimeParser(UTC, self.hints.date or date(2000, 1, 1), None, order, self.hints.time_format)
        values = self.table.values.get(column, [])
        known = False  # whether the value before this one is a time
        for i, value in enumerate(values):
            if known and not days and value == values[i - 1]:
                found.append(found[-1])  # rows of one time mostly follow each other
                continue
            known = False
            try:
                found.append(times.together(days[i], value, "")[0] if days else times.parse(value))
            except (ValueError, OverflowError):
                continue
            known = True
        return found

    def _step(self, meaning: str) -> int | None:
        """The seconds between the times of rows of counts; None where there are too few of them, or no rhythm."""
        if meaning == "one transaction":
            return None
        moments = sorted(set(self._moments()))
        gaps = [after - before for before, after in pairwise(moments)]
        if len(gaps) < 3:
            return None
        step = 0
        for gap in gaps:
            step = gcd(step, gap)
        usual = Counter(gaps).most_common(1)[0]
        return step if usual[0] == step and usual[1] * 2 >= len(gaps) else None

    def _currency(self) -> None:
        currency = currency_column(self.table.names, self.given)
        if currency and currency not in self.columns.values():
            self.columns["currency"] = currency

    def _rest(self, default: Mapping[str, Sequence[str]]) -> None:
        for name in ("amount", "id"):
            if name in self.given or self.wide:
                continue
            free = [column for column in default.get(name, []) if column not in self.columns.values()]
            if free:
                self.columns[name] = free[0]
        if self.hints.options.money and "amount" in self.columns and "currency" not in self.given:
            self._currency()
        if "count" not in self.columns and "count" not in self.given and not self.wide:
            for name in self.table.names:
                if (
                    name not in self.columns.values()
                    and self._is_whole(name)
                    and not re.search(_NO_COUNT, plain_name(name))
                ):
                    self.alternatives.append(f"--map {_flag('count', name)}: a row is a count")
        if "id" in self.columns:
            self.alternatives.append("--map id=: rows that repeat an id count")
        if self.order in ("dmy", "mdy"):
            other = "--month-first" if self.order == "dmy" else "--day-first"
            self.alternatives.append(f"{other}: the other order of day and month")


def _is_time(times: TimeParser, text: str) -> bool:
    try:
        times.parse(text)
    except (ValueError, OverflowError):
        return False
    return True


def _is_clock(text: str) -> bool:
    """Whether digits are HHMM or HHMMSS, perhaps without the first zero."""
    if not (text.isdecimal() and 3 <= len(text) <= 6):
        return False
    digits = text.zfill(len(text) + len(text) % 2)
    return int(digits[:2]) < 24 and int(digits[2:4]) < 60 and int(digits[4:] or "0") < 60


def _is_epoch(value: str) -> bool:
    return value.replace(".", "", 1).isdecimal() and len(value.partition(".")[0]) in (9, 10, 12, 13, 15, 16, 18, 19)


def _flag(name: str, column: str) -> str:
    import shlex

    return f"{name}={column}" if re.fullmatch(r"[\w.@-]+", column, re.ASCII) else f"{name}={shlex.quote(column)}"


def _named(delimiter: str) -> str:
    return _DELIMITER_NAMES.get(delimiter, f"delimiter {delimiter!r}")


def _time_kind(text: str) -> str:
    """What a time looks like, in words."""
    if re.fullmatch(r"\d+(\.\d+)?", text):
        size = len(text.partition(".")[0])
        units = {9: "s", 10: "s", 12: "ms", 13: "ms", 15: "us", 16: "us", 18: "ns", 19: "ns"}
        if size in (8, 14, 17, 20):
            return "digits"
        if size == 12 and float(text) < EARLIEST_MS:
            return "digits"
        return f"epoch {units[size]}" if size in units else ""
    if _CLOCK_ONLY.fullmatch(text.strip()):
        return "time of day"
    try:
        datetime.fromisoformat(text.strip())
    except ValueError:
        return "" if re.match(r"\d{4}-", text) else "dates in words" if re.search(r"[A-Za-z]{3}", text[:8]) else ""
    return "ISO 8601"

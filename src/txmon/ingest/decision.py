"""Decides how a source is read, from a sample of its lines.

If the sample allows two readings, it raises BadData with both of them and the flag for each.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from itertools import pairwise
from math import gcd
from typing import Final

from txmon.errors import BadData
from txmon.ingest import calendar_texts, unsuitable
from txmon.ingest.column_names import (
    BOOLEAN_NAMES,
    CLOCK_WORDS,
    DAY_NAMES,
    MAYBE_COUNTS,
    NO_COUNT,
    STRONG,
    TRUNCATED,
    ZONE_NAMES,
    is_detail,
    is_later,
    is_status,
    status_named,
)
from txmon.ingest.fields import (
    ALIASES,
    FIELDS,
    MAX_COUNT,
    NAMES,
    choose,
    count_of,
    currency_column,
    decimal_of,
    is_nothing,
    plain_name,
)
from txmon.ingest.fields import Fault as BadValue
from txmon.ingest.order_of_dates import order_text
from txmon.ingest.reading import Container, Hints, Reading
from txmon.ingest.records import Wide, missing_text
from txmon.ingest.sample import Table, csv_table, first_text, json_table
from txmon.ingest.timestamps import SERIAL, TimeParser
from txmon.support.lazy_pattern import LazyPattern

_CLOCK_ONLY: Final = LazyPattern(
    r"\d{1,2}(?:h|:\d{2}|\s?h\s?\d{1,2})(?::\d{2}(?:[.,]\d+)?)?(?:\s?[AaPp]\.?\s?[Mm]\.?)?", re.ASCII
)
_OWN_ZONE: Final = LazyPattern(r"(?:\d(?:[zZ]|\s?[+-]\d{2}:?\d{2})|\s[A-Z]{3,4})(?:\s\(.*\))?$")
_AT_MIDNIGHT: Final = LazyPattern(r"\d[T ]0?0:00(?::00(?:[.,]0+)?)?(?:\s?(?:Z|UTC|[+-]00:?00))?\s*$")
_SERIAL: Final = LazyPattern(r"(?:3[3-9]|[4-6]\d|7[0-2])\d{3}(?:[.,]\d+)?", re.ASCII)  # 1990 to 2099 as days in Excel
_TIMELY: Final = LazyPattern(
    r"(^|_)(time|timestamp|date|datetime|ts|created|hora|fecha|data|slice|epoch|at|on|minute|"
    r"datum|zeit|uhrzeit|heure|jour|ora|giorno|budat|cpudt|erdat|udate)(_|$)"
)
_BEGINNING: Final = LazyPattern(
    r"(^|_)(creat\w*|start\w*|begin\w*|event|transac\w*|trans|txn|tx|book\w*|order|auth\w*|process\w*|log\w*|sale|"
    r"venda|venta|criac\w*|creac\w*|inic\w*|payment|requested|initiated|occurr\w*)(_|$)"
)
_PREFIX: Final = LazyPattern(r"\w*(?:status|state|result|outcome|estado|situacao)\w*\s?[=:]\s?", re.IGNORECASE)
# wrappers around values in the JSON of MongoDB and DynamoDB
_WRAPPED: Final = LazyPattern(r"(?:\.(?:\$\w+|S|N|value))+$")
_TOTALS: Final = frozenset(
    ("total", "all", "todos", "todas", "grand total", "total geral", "total general", "sum", "(all)")
)
_PLAIN: Final = frozenset(("true", "false", "yes", "no", "y", "n", "ok", "0", "1", "sim", "não", "nao", "si", "sí"))
LONGEST_CLOCK: Final = 19  # characters; a longer text is a date with a time
EARLIEST_MS: Final = 631152000000  # 1990; 12 digits below it are a calendar time


def read_plan(
    source: str,
    lines: Sequence[bytes],
    hints: Hints,
    container: Container | None = None,
    whole: bool = False,
    live: bool = False,
) -> Reading:
    """Decide how `source` is read, from its first `lines` (UTF-8, without newlines).

    container: the format that contains the lines; None to distinguish CSV and JSON lines by the first line. whole:
    these are all lines of the source. live: the source is a stream, so its first lines must be enough. Raise BadData
    if a needed column is missing, or if the sample allows two readings. If the sample does not decide the order of day
    and month, the reading has the order `?`, and `decide_order` continues from there.
    """
    first = next((line for line in lines if line.strip()), None)
    if first is None:
        raise BadData(f"{source}: is empty")
    if b"\0" in first[:4096] or first.startswith((b"PK\x03\x04", b"PAR1")):
        raise BadData(f"{source}: is binary, not CSV or JSON lines")
    if container is None:
        json_lines = hints.options.format == "jsonl" or (
            hints.options.format == "auto" and first_text(lines).lstrip().startswith("{")
        )
        container = Container("jsonl", "JSON lines") if json_lines else Container()
    table = json_table(lines) if container.format == "jsonl" else csv_table(lines, hints)
    return _Decision(source, table, hints, container, whole, live).reading()


class _Decision:
    """Decides how one source is read."""

    def __init__(self, source: str, table: Table, hints: Hints, container: Container, whole: bool, live: bool) -> None:
        self.source, self.table, self.hints, self.container, self.whole = source, table, hints, container, whole
        self.given = dict(hints.options.mapping)
        self.columns: dict[str, str] = {}
        self._kinds: dict[str, str] = {}
        self.notes: list[str] = []
        self.alternatives: list[str] = []
        self.wide: Wide = ()
        self.example = ""
        self.prefix = ""
        self.time_form = ""
        self.live = live
        self.order, self.time_kind, self.zone = hints.order, "", hints.tz
        orders = (hints.order,) if hints.order else ("dmy", "mdy")
        self.times = [TimeParser(UTC, date(2000, 1, 1), None, order, hints.time_format) for order in orders]

    def reading(self) -> Reading:
        if self.container.format == "csv":
            unsuitable.refuse_headerless(self.source, self.table.names, self._kind_of)
            unsuitable.refuse_second_header(self.source, self.table)
        self._mapped()
        self._time()
        self._status()
        if "status" not in self.columns and not self.wide and self._leave_untimed():
            self._status()
        self._refuse_missing()
        self._note_twins()
        self._order_of_dates()
        meaning = self._row()
        self._note_running_totals(meaning)
        counted = [value for column in self._counted() for value in self.table.values.get(column, ())]
        decimal = decimal_of(dict.fromkeys(counted))
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
            # a row's amount may be its total or its mean; --map amount=COLUMN declares it as the total
            if self.hints.options.money:
                mapping["amount"] = ""
                lower.discard(self.columns.pop("currency", "").lower())
        unused = tuple(name for name in self.table.names if name.lower() not in lower)
        return Reading(
            self.source, self.container, self.columns, mapping, self.table.delimiter, self.table.skip, self.wide,
            self.hints.options.by, self.order, self.time_kind, self.zone, meaning, self._step(meaning), unused,
            tuple(self.notes), tuple(self.alternatives), self.table.rows, self.example, decimal, self.prefix,
            self._sums(decimal) if meaning == "a count" else (), self.time_form,
            not any(_is_marked(value, decimal) for value in dict.fromkeys(counted)), self.hints.options.drivers,
        )  # fmt: skip

    # columns

    def _leave_untimed(self) -> bool:
        """Remove rows without a time from the sample, such as descriptions that CloudWatch writes below its header."""
        column = self.columns.get("time", "")
        values = self.table.values.get(column, [])
        if "date" in self.columns or not values:
            return False
        kept = [i for i, value in enumerate(values) if self._kind_of(value) != "none"]
        if len(kept) == len(values) or len(kept) * 2 < len(values):
            return False
        self.table.values = {name: [some[i] for i in kept] for name, some in self.table.values.items()}
        self.table.rows = len(kept)
        self._kinds.clear()
        return True

    def _parsers_names(self) -> list[str]:
        """Return the names that a parser reads without help: all except those inside nested objects."""
        nested = set(self.table.nested)
        return [name for name in self.table.names if name not in nested]

    def _mapped(self) -> None:
        """Apply the columns that --map names."""
        lower = {name.lower(): name for name in reversed(self.table.names)}
        for name, column in self.given.items():
            if not column:
                continue
            if column.lower() in lower:
                self.columns[name] = lower[column.lower()]
            elif self.table.names and (self.container.format == "csv" or (self.whole and "." not in column)):
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
        """Return the columns whose names fit the field `name`, best first."""
        free = [column for column in self.table.names if column not in self.columns.values()]
        by_name: dict[str, list[str]] = {}
        for column in free:
            own = self._own_name(column)
            by_name.setdefault(own.lower(), []).append(column)
            by_name.setdefault(plain_name(own), []).append(column)
        order = dict.fromkeys(column for known in (*NAMES[name], *ALIASES[name]) for column in by_name.get(known, []))
        if name == "time":
            order |= dict.fromkeys(column for column in free if "(" in column and TRUNCATED.match(column))
        # columns outside nested objects first
        return sorted(order, key=lambda column: column in self.table.nested)

    def _own_name(self, column: str) -> str:
        """Return a column's name without the objects around it, and without wrappers that only give a type."""
        return _WRAPPED.sub("", column).rpartition(".")[2] if column in self.table.nested else column

    def _kind(self, column: str) -> str:
        """Return what the values of a column are: full (a date with a time), date, clock, none or empty."""
        known = self._kinds.get(column)
        if known is None:
            known = self._kinds[column] = self._new_kind(column)
        return known

    def _new_kind(self, column: str) -> str:
        seen = list(dict.fromkeys(value for value in self.table.values.get(column, ()) if value))
        kinds = Counter(self._kind_of(value) for value in seen[:60])
        if not kinds:
            return "empty"
        kind, count = kinds.most_common(1)[0]
        if kind == "none" and self._are_serials(seen):
            return "full" if any(not value.isdecimal() for value in seen) else "date"
        if count * 2 < sum(kinds.values()):
            return "none"
        # spreadsheets and databases write a date as its midnight
        return "date" if kind == "full" and all(_AT_MIDNIGHT.search(value) for value in seen) else kind

    def _are_serials(self, seen: Sequence[str]) -> bool:
        """Return whether values are Excel serial dates: numbers with fractions, or numbers in a workbook."""
        if self.hints.time_format is not None or not all(_SERIAL.fullmatch(value) for value in seen):
            return False
        return self.container.kind == "Excel workbook" or sum(not value.isdecimal() for value in seen) * 2 > len(seen)

    def _kind_of(self, text: str) -> str:
        if not any(map(str.isdecimal, text)):
            return "none"  # mostly a status, so the slow patterns of dates in words are not tried
        if self.hints.time_format is None and len(text) < LONGEST_CLOCK and _CLOCK_ONLY.fullmatch(text.strip()):
            return "clock"
        # a date in either order of day and month; the whole column decides which
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
            elif "time" in self.columns and "date" not in self.given and self._kind(self.columns["time"]) == "date":
                self.notes.append(f"its times are days alone, from {self.columns['time']}")
        else:
            self._choose_time()
        if "time" in self.columns and "zone" not in self.given:
            self._zone_beside()

    def _choose_time(self) -> None:
        candidates = self._free("time")
        if self._take_time(candidates):
            return
        unnamed = [column for column in self.table.names if column not in candidates
                   and column not in self.columns.values() and column not in self.hints.options.by
                   and (not self._is_number(column) or _TIMELY.search(plain_name(self._own_name(column))))
                   and self._kind(column) in ("full", "clock", "date")]  # fmt: skip
        full = self._sole_time([column for column in unnamed if self._kind(column) == "full"])
        if self._take_time([full] if full else unnamed):
            return
        plain = {plain_name(column) for column in self.table.names}
        if plain & {"year", "ano", "anio"} and plain & {"month", "mes"}:
            raise BadData(
                f"{self.source}: its time is in several columns, and none has the whole date; put them together, for"
                " example as year-month-day, in the query or sheet that the file comes from"
            )
        if candidates:
            self.columns["time"] = candidates[0]  # parsing its rows will show what is wrong

    def _take_time(self, candidates: Sequence[str]) -> bool:
        """Take the first of `candidates` that has times, and the columns that complete them. Return whether one has."""
        for kind in ("full", "clock", "date"):
            some = [column for column in candidates if self._kind(column) == kind]
            if some:
                self.columns["time"] = some[0]
                if kind == "clock":
                    self._date_beside()
                elif kind == "date" and "date" not in self.given:
                    self._clock_beside(some[0])
                return True
        return False

    def _sole_time(self, some: list[str]) -> str:
        """Return the transaction's time among several columns of times. Raise BadData if that is not clear."""
        distinct = {tuple(self.table.values[column]): column for column in reversed(some)}
        left = [column for column in some if column in distinct.values()]
        for keep in (lambda column: not is_later(column), lambda column: _BEGINNING.search(plain_name(column))):
            if len(left) > 1:
                left = [column for column in left if keep(column)] or left
        if len(left) > 1 and not self.live:
            flags = " or ".join(f"--map {_flag('time', column)}" for column in left[:3])
            shown = " or ".join(f"{column!r} ({self._example(column)})" for column in left[:3])
            raise BadData(f"{self.source}: several columns may be the time: {shown}. Choose with {flags}")
        return left[0] if left else ""

    def _example(self, column: str) -> str:
        return next((value for value in self.table.values[column] if value), "")

    def _clock_beside(self, day: str) -> None:
        """Find the time of day for a column of dates. It may be digits only: 100500, or just the hour."""
        clocks = [
            column for column in self.table.names
            if column not in self.columns.values() and self._kind(column) == "clock" and not is_later(column)
        ]  # fmt: skip
        if clocks:
            named = [column for column in clocks if set(plain_name(column).split("_")) & CLOCK_WORDS]
            self.columns |= {"time": self._sole_time(named or clocks) or clocks[0], "date": day}
            return
        unread = ""
        for column in self.table.names:
            words = set(plain_name(column).split("_"))
            values = [value for value in self.table.values[column] if value]
            if column == day or not words & CLOCK_WORDS or not values or ZONE_NAMES.fullmatch(plain_name(column)):
                continue
            if all(map(_is_clock, values)) or all(value.isdecimal() and int(value) < 24 for value in values):
                self.columns |= {"time": column, "date": day}
                if all(len(value) < 3 for value in values) and "minute" in map(plain_name, self.table.names):
                    raise BadData(
                        f"{self.source}: its time is in the columns {day!r}, {column!r} and 'minute'; put hour and"
                        " minute together in the query or sheet that the file comes from"
                    )
                return
            if self._kind(column) == "none" and not words & {"zone", "zona", "timezone"} and "time" not in self.given:
                unread = unread or column
        if unread and not is_later(unread):
            raise BadData(
                f"{self.source}: cannot read the times of day in {unread!r}, for example {self._example(unread)!r}."
                f" Use --time-format for {day!r} and {unread!r} together, or --map {_flag('time', day)} for days alone."
            )

    def _date_beside(self) -> None:
        """Find the date for a column of times of day."""
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
        named = [column for column in some if set(plain_name(column).split("_")) & DAY_NAMES]
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
            if ZONE_NAMES.fullmatch(plain_name(column)) and column not in self.columns.values():
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
        candidates = [column for column in self._free("status") if self._may_be_status(column)]
        candidates += [
            column for column in self.table.names
            if STRONG.search(plain_name(column)) and column not in candidates and column not in self.columns.values()
            and self._words(column) > 0 and self._may_be_status(column)
        ]  # fmt: skip
        strong = [column for column in candidates if STRONG.search(plain_name(self._own_name(column)))]
        self._refuse_rivals([column for column in strong if self._words(column) > 0.5])
        if len(strong) == 1:
            self.columns["status"] = strong[0]
        elif strong:
            spoken = [column for column in strong if self._words(column) > 0.5 and not is_detail(column)]
            self.columns["status"] = (spoken or strong)[0]
        elif candidates:
            spoken = [column for column in candidates if self._words(column) > 0.5]
            self.columns["status"] = (spoken or candidates)[0]
        else:
            self._take_wide([(column, word) for column in self.table.names if (word := self._wide_word(column))])
            if not self.wide:
                self._status_by_words()
            unsuitable.refuse_rounded_counts(self.source, self.table, self.wide)
        self._strip_prefix()

    def _refuse_rivals(self, rivals: list[str]) -> None:
        """Raise BadData if several columns may be the status, and their names do not decide."""
        if len(rivals) < 2:
            return
        rivals = [column for column in rivals if not is_detail(column)] or rivals
        if len(rivals) < 2 or len({tuple(self.table.values[column]) for column in rivals}) < 2:
            return
        shown = " or ".join(
            f"{column!r} ({', '.join(list(dict.fromkeys(filter(None, self.table.values[column])))[:3])})"
            for column in rivals[:3]
        )
        flags = " or ".join(f"--map {_flag('status', column)}" for column in rivals[:3])
        number = "two" if len(rivals) == 2 else str(len(rivals))
        raise BadData(f"{self.source}: {number} columns may be the status: {shown}. Choose with {flags}")

    def _may_be_status(self, column: str) -> bool:
        return not self._too_many(column) and (not self.table.rows or self._kind(column) in ("none", "empty"))

    def _status_by_words(self) -> None:
        """Take the column whose values are known statuses, whatever its name is."""
        found: list[str] = []
        for column in self.table.names:
            values = {value.lower() for value in self.table.values[column] if value}
            if column in self.columns.values() or column in self.hints.options.by or not values:
                continue
            if values <= _PLAIN:
                if plain_name(self._own_name(column)) in BOOLEAN_NAMES:
                    found.append(column)
            elif self._words(column) > 0.5 and not self._too_many(column) and not self._is_number(column):
                found.append(column)
        if not self.live:
            self._refuse_rivals(found)
        if found:
            self.columns["status"] = found[0]

    def _strip_prefix(self) -> None:
        values = [value for value in self.table.values.get(self.columns.get("status", ""), ()) if value]
        marked = values and ("=" in values[0] or ":" in values[0])
        match = _PREFIX.match(values[0]) if marked else None
        if match is not None and all(value.startswith(match[0]) and value != match[0] for value in values):
            self.prefix = match[0]

    def _words(self, column: str) -> float:
        """Return the share (0 to 1) of a column's values that are known statuses."""
        values = [value for value in self.table.values[column] if value]
        words = {value: _is_word(value) for value in set(values)}
        known = sum(words[value] for value in values)
        return known / len(values) if values else 0.0

    def _too_many(self, column: str) -> bool:
        """Return whether a column has too many different values to be a status, as approval codes have."""
        if column.lower() in NAMES["status"]:
            return False  # the name leaves no doubt
        values = [value for value in self.table.values[column] if value]
        return len(set(values)) > max(50, len(values) // 2)

    def _wide_word(self, column: str) -> str | None:
        word = status_named(self._own_name(column)) if column not in self.columns.values() else None
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
                  and self._is_whole(name) and not re.search(NO_COUNT, plain_name(name))
                  and plain_name(name) not in ("total", "all", "sum", "grand_total")]  # fmt: skip
        if others and not self.hints.wide:
            columns = ",".join([*dict(self.wide), *others])
            self.alternatives.append(f"--wide '{columns}': count these columns too")

    def _refuse_missing(self) -> None:
        missing = [
            name for name in ("time", "status") if name not in self.columns and not (name == "status" and self.wide)
        ]
        if "status" in missing:
            unsuitable.refuse_records_in_texts(
                self.source, self.table, self.container.format, self.columns.get("time", "")
            )
        if not missing or (not self.table.names and self.container.format == "jsonl"):
            return
        if any("\ufffd" in name for name in self.table.names):
            raise BadData(
                f"{self.source}: its text is not UTF-8. Name its encoding, for example --encoding cp932 (Japanese),"
                " gb18030 (Chinese) or cp1251 (Cyrillic)."
            )
        if self.container.format == "csv":
            unsuitable.refuse_access_log(self.source, self.table.names)
            for cell in self.table.names:
                if self._kind_of(cell) != "none":
                    raise BadData(
                        f"{self.source}: no header: the first line must name the columns, for example time,status,count"
                    )
        elif not self.whole:
            return  # later rows may have the missing columns
        likely = self._likely(missing)
        advice = missing_text(missing, self.table.names, likely)
        counts = [name for name in self.table.names if name not in self.columns.values() and self._may_count(name)]
        if missing == ["status"] and not likely and len(counts) == 1:
            # a file of one status, or of all together
            advice += f", or count the column itself with --wide {_shell(counts[0])}"
        raise BadData(f"{self.source}: {advice}")

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
        if self._are_serials([value for value in values if value]) and shown:
            self.time_form = SERIAL
            self.time_kind = "days as Excel counts them"
            return
        self.time_kind = _time_kind(shown) if "date" not in self.columns else "ISO 8601"
        if "zone" not in self.columns and shown:
            self._name_zone(self.table.values.get(self.columns.get("time", ""), []))
        unsuitable.refuse_rounded_epochs(self.source, column, values)
        orders = {calendar_texts.order_of(value) for value in dict.fromkeys(values)} - {""}
        if not orders:
            return
        if self.hints.order:
            self.time_kind = order_text(self.hints.order)
            return
        proved = orders - {calendar_texts.UNDECIDED}
        if len(proved) == 2:
            raise BadData(
                f"{self.source}: the dates in {column!r} are day-first in some rows and month-first in others;"
                " use --day-first or --month-first"
            )
        if proved:
            self.order = proved.pop()
            self.time_kind = order_text(self.order)
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
        """Return whether every value is a count. empty: a value may also be missing."""
        values = self.table.values.get(column, [])
        seen = [value for value in values if value]
        if not seen or (not empty and len(seen) < len(values)):
            return False
        distinct = dict.fromkeys(seen)
        decimal = decimal_of(distinct)
        for value in distinct:
            if empty and is_nothing(value):
                continue
            try:
                if count_of(value, decimal) > MAX_COUNT:
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
        if not sure:  # columns in the same object as the time or the status
            near = {_parent(self.columns.get(name, "")) for name in ("time", "status")} - {""}
            own = {self._own_name(name): name for name in free if name in self.table.nested and _parent(name) in near}
            own |= {self._own_name(name): name for name in free if name.endswith((".$numberInt", ".$numberLong"))}
            sure = [own[name] for name in choose(own, {}).get("count", []) if self._is_whole(own[name])]
        if sure and plain_name(sure[0]) not in MAYBE_COUNTS:
            self.columns["count"] = sure[0]
            return "a count"
        maybe = [name for name in free if self._may_count(name)] if self.table.rows else []
        named = [name for name in maybe if plain_name(name) in MAYBE_COUNTS or plain_name(name).isdecimal()
                 or re.fullmatch(r"_?col_?\d+|expr\$\d+", name.lower())]  # fmt: skip
        identified = bool(choose(free, {}).get("id"))
        grouped = self._aggregated(maybe)
        if len(named) == 1 and len(maybe) == 1 and grouped and self._regular() and not identified:
            self.columns["count"] = named[0]
            self.alternatives.append("--map count=: a row is one transaction")
            return "a count"
        if sure and (self.live or not self.table.rows):  # the name is the only evidence
            self.columns["count"] = sure[0]
            return "a count"
        if not self.live and not maybe and not identified:
            self._refuse_rates(free)
        if self.live or not maybe or (identified and not (sure and sure[0] in named)):
            return "one transaction"
        if named or (grouped and (len(free) == 1 or self._regular())):
            self._ask(named or maybe)
        return "one transaction"

    def _note_twins(self) -> None:
        """Note where another column has the name of one that is used."""
        for column in dict.fromkeys(self.columns.values()):
            if column in self.table.repeated:
                self.notes.append(f"several columns are named {column!r}, and the first of them is read")

    def _note_running_totals(self, meaning: str) -> None:
        if meaning == "one transaction":
            return
        by = [self.table.values[name] for name in self.hints.options.by if name in self.table.values]
        series: list[tuple[str, ...]] = []
        counts: list[str] = []
        for column in self._counted():
            values = self.table.values[column]
            statuses = self.table.values[self.columns["status"]] if not self.wide else [column] * len(values)
            series += zip(statuses, *by, strict=True)
            counts += values
        if unsuitable.are_running_totals(series, counts):
            shown = " or ".join(repr(column) for column in self._counted()[:3])
            self.notes.append(
                f"no count of {shown} ever falls, so it may be a running total; txmon needs the counts of each interval"
            )

    def _refuse_rates(self, free: Sequence[str]) -> None:
        columns = unsuitable.rates(self.table, free)
        if columns and self._aggregated(columns) and self._regular():
            unsuitable.refuse_rates(self.source, self.table, columns, self._moments(), self.columns["status"])

    def _may_count(self, name: str) -> bool:
        plain = plain_name(name)
        if self._kind(name) in ("full", "date") or not self._is_whole(name):
            return False
        return plain in MAYBE_COUNTS or not re.search(NO_COUNT, plain)

    def _counted(self) -> list[str]:
        """Return the columns that contain counts."""
        return [column for column, _ in self.wide] or [
            self.columns[name] for name in ("count",) if name in self.columns
        ]

    def _sums(self, decimal: str) -> tuple[str, ...]:
        """Return the statuses whose rows are sums of all others at the same time, as ROLLUP adds them."""
        values = self.table.values.get(self.columns.get("status", ""), [])
        totals = {value.lower() for value in values if value.lower() in _TOTALS}
        if len(totals) != 1 or self.hints.options.by:
            return ()
        parts: Counter[str] = Counter()
        sums: Counter[str] = Counter()
        for time, status, count in zip(
            self.table.values[self.columns["time"]], values, self.table.values[self.columns["count"]], strict=True
        ):
            try:
                (sums if status.lower() in totals else parts)[time] += count_of(count, decimal)
            except BadValue:
                continue
        alike = sum(parts[time] == total for time, total in sums.items() if time)
        return tuple(totals) if alike and alike >= len(sums) - 1 else ()

    def _aggregated(self, maybe: Sequence[str]) -> bool:
        """Return whether no two rows have the same time, status and labels, as in the result of a GROUP BY."""
        names = [name for name in self.table.names if name not in maybe]
        rows = list(zip(*(self.table.values[name] for name in names), strict=True))
        return len(set(rows)) == len(rows) and len(rows) >= 2

    def _regular(self) -> bool:
        """Return whether times are whole minutes and several rows share one, as in a query of counts per minute."""
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
        form = self.hints.time_format or self.time_form or None
        times = TimeParser(UTC, self.hints.date or date(2000, 1, 1), None, order, form)
        values = self.table.values.get(column, [])
        known = False  # whether the previous value is a time
        for i, value in enumerate(values):
            if known and not days and value == values[i - 1]:
                found.append(found[-1])  # consecutive rows mostly have the same time
                continue
            known = False
            try:
                found.append(times.together(days[i], value, "")[0] if days else times.parse(value))
            except (ValueError, OverflowError):
                continue
            known = True
        return found

    def _step(self, meaning: str) -> int | None:
        """Return the seconds between the times of rows of counts, or None if they are too few or irregular."""
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
                    and not re.search(NO_COUNT, plain_name(name))
                ):
                    self.alternatives.append(f"--map {_flag('count', name)}: a row is a count")
        if "id" in self.columns:
            self.alternatives.append("--map id=: rows that repeat an id count")
        if self.order in ("dmy", "mdy"):
            other = "--month-first" if self.order == "dmy" else "--day-first"
            self.alternatives.append(f"{other}: the other order of day and month")


def _parent(path: str) -> str:
    return _WRAPPED.sub("", path).rpartition(".")[0]


def _is_word(value: str) -> bool:
    """Return whether a value is a known status, perhaps with a prefix: `status=approved`."""
    if not any(map(str.isalpha, value)):
        return len(value) in (2, 5) and is_status(value)
    match = _PREFIX.match(value) if "=" in value or ":" in value else None
    plain = value[match.end() :] if match is not None else value
    return is_status(plain_name(plain)) or is_status(plain.lower())


def _is_marked(text: str, decimal: str) -> bool:
    """Return whether a count is in a form that databases do not read: thousands separators, `12,0`, `NaN`."""
    if text.isdecimal() or not text:
        return False
    try:
        count = count_of(text, decimal)
    except BadValue:
        return is_nothing(text)
    try:
        return float(text) != count
    except ValueError:
        return True


def _is_time(times: TimeParser, text: str) -> bool:
    try:
        times.parse(text)
    except (ValueError, OverflowError):
        return False
    return True


def _is_clock(text: str) -> bool:
    """Return whether digits are HHMM or HHMMSS, with or without a leading zero."""
    if not (text.isdecimal() and 3 <= len(text) <= 6):
        return False
    digits = text.zfill(len(text) + len(text) % 2)
    return int(digits[:2]) < 24 and int(digits[2:4]) < 60 and int(digits[4:] or "0") < 60


def _is_epoch(value: str) -> bool:
    return value.replace(".", "", 1).isdecimal() and len(value.partition(".")[0]) in (9, 10, 12, 13, 15, 16, 18, 19)


def _flag(name: str, column: str) -> str:
    return f"{name}={_shell(column)}"


def _shell(column: str) -> str:
    import shlex

    return column if re.fullmatch(r"[\w.@-]+", column, re.ASCII) else shlex.quote(column)


def _time_kind(text: str) -> str:
    """Return the form of a time in words."""
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

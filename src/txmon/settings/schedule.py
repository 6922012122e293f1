"""Recurring windows: hours of the day, and the maintenance windows ([[silence]]) that suppress notifications.

Parsers accept the value of a flag, a variable or a TOML file, and raise ValueError with a short reason.
"""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta, tzinfo
from typing import Final

from txmon.model.keys import TOTAL, Key
from txmon.model.outcome import IncidentEvent
from txmon.support.frozen import frozen
from txmon.support.lazy_pattern import LazyPattern
from txmon.support.suggest import choose

WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
FIELDS: Final = ("status", "key", "time", "weekday")
DAY_MINUTES: Final = 24 * 60
_CLOCK = LazyPattern(r"(\d{1,2}):(\d{2})", re.ASCII)


@frozen
class Clock:
    """A time of day, in minutes since midnight."""

    minute: int

    def __str__(self) -> str:
        return clock_text(self.minute)


@frozen
class Hours:
    """A window of the day, in minutes since midnight. It spans midnight if its end is not after its start."""

    start: int
    end: int  # excluded

    def __str__(self) -> str:
        return f"{clock_text(self.start)}-{clock_text(self.end)}"

    def day_of(self, local: datetime) -> datetime | None:
        """Return the day on which the window that contains `local` began, or None if `local` is outside the window."""
        minute = local.hour * 60 + local.minute
        if self.start < self.end:
            return local if self.start <= minute < self.end else None
        if minute >= self.start:
            return local
        return local - timedelta(days=1) if minute < self.end else None

    def hold(self, time: int, tz: tzinfo) -> bool:
        """Return whether `time` (epoch seconds) is within the window."""
        return self.day_of(datetime.fromtimestamp(time, tz)) is not None


@frozen
class Silence:
    """A maintenance window. A condition that is not given matches everything."""

    statuses: tuple[str, ...] = ()
    key: Key = ()
    hours: Hours | None = None
    weekdays: tuple[int, ...] = ()  # 0 is Monday; the day on which the hours begin

    def __str__(self) -> str:
        """Return the window as its flag accepts it: status=denied;key=merchant:m1;time=02:00-04:00;weekday=sat+sun."""
        parts = []
        if self.statuses:
            parts.append("status=" + "+".join(map(_quoted, self.statuses)))
        if self.key:
            parts.append("key=" + "+".join(f"{_quoted(name)}:{_quoted(value)}" for name, value in self.key))
        if self.hours is not None:
            parts.append(f"time={self.hours}")
        if self.weekdays:
            parts.append("weekday=" + "+".join(WEEKDAYS[day] for day in self.weekdays))
        return ";".join(parts)

    def active(self, time: int, tz: tzinfo) -> bool:
        """Return whether the window is active at `time` (epoch seconds) in zone `tz`."""
        local = datetime.fromtimestamp(time, tz)
        began = local if self.hours is None else self.hours.day_of(local)
        return began is not None and (not self.weekdays or began.weekday() in self.weekdays)

    def covers(self, statuses: tuple[str, ...], key: Key) -> bool:
        """Return whether all statuses of an incident match. An incident that also has another status is not silenced.

        The total volume always matches, because a dip of one status is also a dip of the total.
        """
        named = {status for status in statuses if status != TOTAL} or {TOTAL}
        return (not self.statuses or named <= set(self.statuses)) and set(self.key) <= set(key)


def silenced(silences: tuple[Silence, ...], event: IncidentEvent, time: int, tz: tzinfo) -> bool:
    """Return whether a maintenance window suppresses `event` at `time` (epoch seconds)."""
    return any(silence.covers(event.statuses, event.key) and silence.active(time, tz) for silence in silences)


def clock_text(minute: int) -> str:
    """Return minutes since midnight as HH:MM."""
    return f"{minute // 60:02}:{minute % 60:02}"


def time_of_day(value: object) -> int:
    """Return the minutes since midnight of HH:MM."""
    match = _CLOCK.fullmatch(str(value).strip())
    if match is None or int(match[1]) > 23 or int(match[2]) > 59:
        raise ValueError(f"{value!r} is not a time of day. Use for example 09:00.")
    return int(match[1]) * 60 + int(match[2])


def clock(value: object) -> Clock:
    """Return the time of day in HH:MM."""
    return Clock(time_of_day(value))


def hours(value: object) -> Hours:
    """Return the window in HH:MM-HH:MM."""
    first, dash, last = str(value).partition("-")
    if not dash:
        raise ValueError(f"{value!r} is not a range of hours. Use for example 22:00-06:00.")
    found = Hours(time_of_day(first), DAY_MINUTES if last.strip() == "24:00" else time_of_day(last))
    if found.start == found.end:
        raise ValueError(f"{value!r} begins when it ends. Use two different times.")
    return found


def silences(value: object) -> tuple[Silence, ...]:
    """Return maintenance windows from TOML tables, or from texts like `status=denied;time=02:00-04:00`."""
    items = [value] if isinstance(value, Mapping) else value
    if isinstance(items, str):
        items = [item for item in items.split(",") if item.strip()]
    if not isinstance(items, list | tuple) or not items:
        raise ValueError(f"{value!r} is not a maintenance window. Use for example status=denied;time=02:00-04:00.")
    tables = []
    for item in items:
        texts = item.split(",") if isinstance(item, str) else [item]
        tables += [_table(text) if isinstance(text, str) else text for text in texts]
    return tuple(map(_silence, tables))


def _quoted(text: str) -> str:
    from urllib.parse import quote

    return quote(text, safe=" ")


def _table(text: str) -> dict[str, object]:
    from urllib.parse import unquote

    table: dict[str, object] = {}
    for part in text.split(";"):
        name, equals, item = part.partition("=")
        if not equals or not item.strip():
            raise ValueError(f"{part!r} is not NAME=VALUE in a maintenance window")
        words = [word.strip() for word in item.split("+")]
        if name.strip() == "key":
            pairs = [word.partition(":") for word in words]
            if not all(found for _, found, _ in pairs):
                raise ValueError(f"{item!r} is not a key. Use for example merchant:m1.")
            table["key"] = {unquote(column): unquote(word) for column, _, word in pairs}
        else:
            table[name.strip()] = [unquote(word) for word in words]
    return table


def _silence(table: object) -> Silence:
    if not isinstance(table, Mapping) or not table:
        raise ValueError(f"{table!r} is not a maintenance window. It needs one of {', '.join(FIELDS)}")
    for name in table:
        if name not in FIELDS:
            raise ValueError(choose(str(name), FIELDS))
    key = table.get("key", {})
    if not isinstance(key, Mapping) or not all(map(str, key.values())):
        raise ValueError(f"{key!r} is not a table of a column and its value")
    window = words_of(table.get("time", ()))
    if len(window) > 1:
        raise ValueError("a maintenance window has one time. Write another [[silence]] for the other.")
    return Silence(
        statuses=tuple(status.lower() for status in words_of(table.get("status", ()))),
        key=tuple((str(name), str(item)) for name, item in key.items()),
        hours=hours(window[0]) if window else None,
        weekdays=tuple(sorted({weekday_of(day) for day in words_of(table.get("weekday", ()))})),
    )


def words_of(value: object) -> tuple[str, ...]:
    """Return one text, or a list of texts, as a tuple. Raise ValueError if one is empty."""
    words = tuple(map(str, value)) if isinstance(value, list | tuple) else (str(value),)
    if not all(words):
        raise ValueError("a maintenance window has an empty value")
    return words


def weekday_of(day: str) -> int:
    """Return the number of a weekday, 0 for Monday. Raise ValueError for any other word."""
    if day.lower()[:3] not in WEEKDAYS:
        raise ValueError(choose(str(day), WEEKDAYS))
    return WEEKDAYS.index(day.lower()[:3])

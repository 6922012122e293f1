"""Closed hours ([[closed]]): times without expected transactions, by weekday, hours, date and public holiday.

Parsers accept the value of a flag, a variable or a TOML file, and raise ValueError with a short reason.
"""

from collections.abc import Mapping
from datetime import date, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Any, Final
from zoneinfo import ZoneInfo

from txmon.settings.schedule import WEEKDAYS, Hours, hours, weekday_of, words_of
from txmon.support.frozen import frozen
from txmon.support.suggest import choose, nearest

FIELDS: Final = ("weekday", "time", "date", "holidays", "tz")
LONGEST_RANGE: Final = 366  # days in a range of dates
EXAMPLE: Final = "weekday=sat+sun, time=22:00-08:00 or holidays=BR-SP"


@frozen
class Closed:
    """One rule of the closed hours. All given conditions must match. Dates and holidays form one list of days."""

    weekdays: tuple[int, ...] = ()  # 0 is Monday; the day on which the hours begin
    hours: Hours | None = None  # None: the whole day
    dates: tuple[date, ...] = ()
    holidays: tuple[str, ...] = ()  # countries, with an optional subdivision: BR, BR-SP
    tz: str | None = None  # None: the zone of --tz

    def __str__(self) -> str:
        """Return the rule as its flag accepts it: weekday=sat+sun;time=22:00-08:00."""
        parts = []
        if self.weekdays:
            parts.append("weekday=" + "+".join(WEEKDAYS[day] for day in self.weekdays))
        if self.hours is not None:
            parts.append(f"time={self.hours}")
        if self.dates:
            parts.append("date=" + "+".join(map(str, self.dates)))
        if self.holidays:
            parts.append("holidays=" + "+".join(self.holidays))
        if self.tz is not None:
            parts.append(f"tz={self.tz}")
        return ";".join(parts)

    def active(self, time: int, tz: tzinfo) -> bool:
        """Return whether it is closed at `time` (epoch seconds). tz: for a rule without a zone."""
        local = datetime.fromtimestamp(time, ZoneInfo(self.tz) if self.tz is not None else tz)
        began = local if self.hours is None else self.hours.day_of(local)
        if began is None or (self.weekdays and began.weekday() not in self.weekdays):
            return False
        if not self.dates and not self.holidays:
            return True
        day = began.date()
        return day in self.dates or any(day in _calendar(code) for code in self.holidays)


def closed_rules(value: object) -> tuple[Closed, ...]:
    """Return closed hours from TOML tables, or from texts like `weekday=sat+sun;time=22:00-08:00`."""
    items = [value] if isinstance(value, Mapping) else value
    if isinstance(items, str):
        items = [items]
    if not isinstance(items, list | tuple) or not items:
        raise ValueError(f"{value!r} is not valid. Write closed hours like {EXAMPLE}")
    tables: list[Mapping[Any, Any]] = []
    for item in items:
        if isinstance(item, str):
            tables += [_table(text) for text in item.split(",") if text.strip()]
        elif isinstance(item, Mapping):
            tables.append(item)
        else:
            raise ValueError(f"{item!r} is not valid. Write closed hours like {EXAMPLE}")  # noqa: TRY004 - as all do
    if not tables:
        raise ValueError(f"{value!r} is not valid. Write closed hours like {EXAMPLE}")
    return tuple(map(_closed, tables))


def _table(text: str) -> dict[str, object]:
    table: dict[str, object] = {}
    for part in text.split(";"):
        name, equals, item = part.partition("=")
        if not equals or not item.strip():
            raise ValueError(f"{part!r} is not valid. Write NAME=VALUE, for example {EXAMPLE}")
        table[name.strip()] = [word.strip() for word in item.split("+")]
    return table


def _closed(table: Mapping[Any, Any]) -> Closed:
    for name in table:
        if name not in FIELDS:
            raise ValueError(choose(str(name), FIELDS))
    if not set(table) & {"weekday", "time", "date", "holidays"}:
        raise ValueError(f"closed hours need one of weekday, time, date and holidays, for example {EXAMPLE}")
    window = words_of(table.get("time", ()))
    if len(window) > 1:
        raise ValueError("a [[closed]] table has one time. Write another table for the other")
    zone = words_of(table.get("tz", ()))
    if len(zone) > 1:
        raise ValueError("a [[closed]] table has one tz")
    from txmon.settings.parsers import time_zone

    return Closed(
        weekdays=tuple(sorted({weekday_of(day) for day in words_of(table.get("weekday", ()))})),
        hours=hours(window[0]) if window else None,
        dates=tuple(sorted({day for text in words_of(table.get("date", ())) for day in _days(text)})),
        holidays=tuple(_country(code) for code in words_of(table.get("holidays", ()))),
        tz=time_zone(zone[0]) if zone else None,
    )


def _days(text: str) -> list[date]:
    """Return the day in `text`, or the days of a range such as 2026-12-24..2027-01-01."""
    first, dots, last = text.partition("..")
    try:
        begin = date.fromisoformat(first.strip())
        end = date.fromisoformat(last.strip()) if dots else begin
    except ValueError:
        raise ValueError(f"{text!r} is not a date like 2026-12-25 or a range like 2026-12-24..2027-01-01") from None
    if not 0 <= (end - begin).days < LONGEST_RANGE:
        raise ValueError(f"{text!r} does not end within a year after it begins")
    return [begin + timedelta(days=n) for n in range((end - begin).days + 1)]


def _country(code: str) -> str:
    _calendar(code.upper())
    return code.upper()


@lru_cache(maxsize=64)
def _calendar(code: str) -> Any:
    """Return the public holidays of a country or of its subdivision, which are computed for each year on demand."""
    try:
        import holidays
    except ImportError:
        raise ValueError(f"holidays={code} needs the holidays library: pip install 'txmon[holidays]'") from None
    country, _, subdivision = code.partition("-")
    try:
        return holidays.country_holidays(country, subdiv=subdivision or None)
    except NotImplementedError:
        known = holidays.list_supported_countries()
        if country in known and subdivision:
            text = f"{code!r}: {country} has no part {subdivision!r}{nearest(subdivision, known[country])}"
            raise ValueError(text) from None
        raise ValueError(f"{code!r} is not a country code like BR, or BR-SP for a part of it") from None

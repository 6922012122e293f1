"""Times as people and systems write them, to epoch seconds."""

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from math import floor, isfinite
from typing import Any

MILLISECONDS_FROM = 1e11  # epoch numbers from here on are milliseconds: as seconds, the year 5138
LATEST = 253402300799  # 9999-12-31T23:59:59Z
HALF_DAY = 43200
CACHED = 4096

_TIME_OF_DAY = re.compile(r"(\d{1,2})\s?h\s?(\d{1,2})?|(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,]\d+)?)?", re.ASCII)
_NUMBER = re.compile(r"\d+(?:\.\d*)?(?:[eE]\+?\d{1,2})?", re.ASCII)


class TimeParser:
    """Reads times; those without a date get one, and the next when the time of day steps back by half a day."""

    def __init__(self, tz: tzinfo = UTC, first_date: date | None = None) -> None:
        """tz: of times that name no zone. first_date: of times without a date; None makes such a time an error."""
        self._tz = tz
        self._date = first_date
        self._last: int | None = None  # seconds of the newest time of day
        self._cache: dict[str, int] = {}
        self._of_day: dict[str, int] = {}

    def parse(self, text: str) -> int:
        """Epoch seconds, fractions floored; ValueError with a short reason when `text` is no time."""
        found = self._cache.get(text)
        if found is not None:
            return found
        second = self._of_day.get(text)
        if second is None:
            stripped = text.strip()
            second = _time_of_day(stripped)
            if second is None:
                found = self._absolute(stripped)
                if len(self._cache) >= CACHED:
                    self._cache.clear()
                self._cache[text] = found
                return found
            if len(self._of_day) < CACHED:
                self._of_day[text] = second
        return self._on_its_day(second, text)

    def snapshot(self) -> list[object]:
        """The date that times of day have reached, as JSON takes it."""
        return [self._date.isoformat() if self._date is not None else None, self._last]

    def restore(self, state: Sequence[Any]) -> None:
        """Take over what `snapshot` gave; ValueError or TypeError where that cannot be."""
        self._date = date.fromisoformat(state[0]) if state[0] is not None else None
        self._last = int(state[1]) if state[1] is not None else None

    def _on_its_day(self, second: int, text: str) -> int:
        if self._date is None:
            raise ValueError(f"{text.strip()!r} has no date")
        day = self._date
        if self._last is None or abs(second - self._last) <= HALF_DAY:
            self._last = second
        elif second < self._last:  # midnight has passed
            day = self._date = self._date + timedelta(days=1)
            self._last = second
        else:  # a late row from before midnight
            day = day - timedelta(days=1)
        local = datetime.combine(day, time(second // 3600, second // 60 % 60, second % 60), self._tz)
        return _bounded(local.timestamp(), text)

    def _absolute(self, text: str) -> int:
        if _NUMBER.fullmatch(text) and not (len(text) == 8 and text.isdigit()):
            return epoch(float(text), text)
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise ValueError(f"{text[:60]!r} is no time") from None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=self._tz)
        return _bounded(moment.timestamp(), text)


def epoch(value: float, text: str) -> int:
    """Epoch seconds of a number of seconds or milliseconds; ValueError when out of range."""
    return _bounded(value / 1000 if value >= MILLISECONDS_FROM else value, text)


def _bounded(seconds: float, text: str) -> int:
    if not isfinite(seconds) or not 0 <= seconds <= LATEST:
        raise ValueError(f"{text[:60]!r} is not between 1970 and 9999")
    return floor(seconds)


def _time_of_day(text: str) -> int | None:
    """Seconds since midnight, None when `text` has another form; ValueError for 25:61."""
    match = _TIME_OF_DAY.fullmatch(text)
    if match is None:
        return None
    hour, minute, second = match[1] or match[3], match[2] or match[4] or "0", match[5] or "0"
    if int(hour) > 23 or int(minute) > 59 or int(second) > 60:
        raise ValueError(f"{text!r} is no time of day")
    return int(hour) * 3600 + int(minute) * 60 + min(int(second), 59)  # a leap second belongs to its minute

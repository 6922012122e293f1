"""Times as people and systems write them, to epoch seconds."""

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from math import floor, isfinite
from typing import Any

from mypy_extensions import i64

MILLISECONDS_FROM = 1e11  # epoch numbers from here on are milliseconds: as seconds, the year 5138
LATEST = 253402300799  # 9999-12-31T23:59:59Z
HALF_DAY = 43200
HOUR = 3600
LATE = 1200  # seconds by which a row may be late within the hour that a clock set back repeats
CACHED = 4096
LONGEST_CACHED = 64  # characters: a time padded to a megabyte must not be kept thousands of times

_TIME_OF_DAY = re.compile(r"(\d{1,2})\s?h\s?(\d{1,2})?|(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,]\d+)?)?", re.ASCII)
_LEAP = re.compile(r"(:\d\d):60", re.ASCII)  # a leap second belongs to its minute
_NUMBER = re.compile(r"\d+(?:\.\d*)?(?:[eE]\+?\d{1,2})?", re.ASCII)


class TimeParser:
    """Reads times. Those without a date get one.

    In a file, that is the next day when the time of day steps back by half a day. In a live stream, it is the day on
    which the time is nearest to the wall clock, so that one wrong time does not move the date of the times after it.
    """

    def __init__(self, tz: tzinfo = UTC, first_date: date | None = None, now: int | None = None) -> None:
        """tz: of times that name no zone. first_date: of times without a date; None makes such a time an error.

        now: of a live stream, the wall clock, epoch seconds; `look` sets it again.
        """
        self._tz = tz
        self._date = first_date
        self._last: int | None = None  # seconds of the newest time of day
        self._cache: dict[str, int] = {}
        self._of_day: dict[str, int] = {}
        self._midnights: dict[bytes, int] = {}  # of dates as they are written
        self._day = b"-"  # the date that came last, and its midnight
        self._midnight = -1
        self._utc = str(tz) == "UTC"
        self._now = now
        self._reach = HOUR  # seconds by which a time of day may lie ahead of the wall clock
        self._fixed = isinstance(tz, timezone) or str(tz) == "UTC"  # its clocks are never set
        self._newest = 0  # of the times that a clock set back may repeat, epoch seconds

    def begin(self, first_date: date) -> None:
        """Start anew: the next time without a date is on `first_date`."""
        self._date, self._last = first_date, None

    def look(self, now: int) -> None:
        """Take note of the wall clock, epoch seconds; in a file, which has no present, do nothing."""
        if self._now is not None:
            self._now = now

    def go_live(self, now: int, reach: int) -> None:
        """Date times of day by the wall clock `now`, epoch seconds, from here on, at most `reach` seconds ahead."""
        self._now, self._reach = now, reach

    def parse(self, text: str) -> int:
        """Return epoch seconds, fractions floored; ValueError with a short reason when `text` is no time."""
        return self.read(text)[0]

    def read(self, text: str) -> tuple[int, bool]:
        """Return epoch seconds, fractions floored, and whether they are certain; ValueError as `parse` raises it.

        A time is certain when the same text means the same wherever it stands. The meaning of a time of day, and of a
        local time within an hour that a clock set back repeats, depends on what was read before.
        """
        found = self._cache.get(text)
        if found is not None:
            return found, True
        found = self.plain(text.encode()) if text.isascii() else -1
        if found >= 0:
            return self._keep(text, found), True
        second = self._of_day.get(text)
        if second is None:
            stripped = text.strip()
            second = _time_of_day(stripped)
            if second is None:
                found, certain = self._absolute(stripped)
                if certain and len(text) <= LONGEST_CACHED:
                    self._keep(text, found)
                return found, certain
            if len(self._of_day) < CACHED and len(text) <= LONGEST_CACHED:
                self._of_day[text] = second
        return self._on_its_day(second, text), False

    def _keep(self, text: str, found: int) -> int:
        if len(self._cache) >= CACHED:
            self._cache.clear()
        self._cache[text] = found
        return found

    def plain(self, cell: bytes) -> int:
        """Epoch seconds of `2026-03-02T14:33:00Z`, as most systems write it; -1 for any other, and for mistakes.

        It names its date, so it means the same wherever it stands.
        """
        size = len(cell)
        if not ((size == 20 and cell[19] == 0x5A) or (size == 19 and self._utc)):  # Z
            return -1
        if (cell[10] != 0x54 and cell[10] != 0x20) or cell[13] != 0x3A or cell[16] != 0x3A:  # T or a space, colons
            return -1
        hour, minute, second = _two(cell, 11), _two(cell, 14), _two(cell, 17)
        if hour > 23 or minute > 59 or second > 59:
            return -1
        midnight = self._midnight if cell.startswith(self._day) else self._new_day(cell[:10])
        return midnight + (hour * 3600 + minute * 60 + second) if midnight >= 0 else -1

    def _new_day(self, day: bytes) -> int:
        """Epoch seconds at which `2026-03-02` began in UTC; -1 where it is no date."""
        midnight = self._midnights.get(day)
        if midnight is None:
            try:
                midnight = int(datetime.combine(date.fromisoformat(day.decode()), time(), UTC).timestamp())
            except ValueError:
                return -1
            if len(self._midnights) >= CACHED:
                self._midnights.clear()
            self._midnights[day] = midnight
        self._day, self._midnight = day, midnight
        return midnight

    def snapshot(self) -> list[object]:
        """The date that times of day have reached, as JSON takes it."""
        return [self._date.isoformat() if self._date is not None else None, self._last, self._newest]

    def restore(self, state: Sequence[Any]) -> None:
        """Take over what `snapshot` gave; ValueError or TypeError where that cannot be."""
        self._date = date.fromisoformat(state[0]) if state[0] is not None else None
        self._last = int(state[1]) if state[1] is not None else None
        self._newest = int(state[2]) if len(state) > 2 else 0

    def _on_its_day(self, second: int, text: str) -> int:
        if self._now is not None:
            return self._nearest(second, self._now, text)
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
        return bounded(self._moment(local)[0], text)

    def _nearest(self, second: int, now: int, text: str) -> int:
        """Epoch seconds of this second of the day, in the 24 hours that end `reach` seconds after `now`."""
        today = datetime.fromtimestamp(now, self._tz).date()
        for days in (1, 0, -1):
            day = today + timedelta(days=days)
            local = datetime.combine(day, time(second // 3600, second // 60 % 60, second % 60), self._tz)
            if local.timestamp() <= now + self._reach:
                break
        return bounded(self._moment(local)[0], text)

    def _absolute(self, text: str) -> tuple[int, bool]:
        """Epoch seconds, and whether the same text always means them."""
        if _NUMBER.fullmatch(text) and not (len(text) == 8 and text.isdigit()):
            return epoch(float(text), text), True
        try:
            moment = datetime.fromisoformat(_LEAP.sub(r"\1:59", text))
        except ValueError:
            raise ValueError(f"{text[:60]!r} is no time") from None
        if moment.tzinfo is not None:
            return bounded(moment.timestamp(), text), True
        seconds, certain = self._moment(moment.replace(tzinfo=self._tz))
        return bounded(seconds, text), certain

    def _moment(self, local: datetime) -> tuple[float, bool]:
        """Epoch seconds of a local time, and whether it comes only once.

        In the hour that a clock set back repeats, it is the first until the stream has been through that, then the
        second.
        """
        first = local.timestamp()
        second = first if self._fixed else local.replace(fold=1).timestamp()
        if second <= first:  # equal on most days; less in the hour that a clock set forward leaves out
            return first, True
        chosen = second if first < self._newest - LATE else first
        self._newest = max(self._newest, floor(chosen))
        return chosen, False


def epoch(value: float, text: str) -> int:
    """Epoch seconds of a number of seconds or milliseconds; ValueError when out of range."""
    return bounded(value / 1000 if value >= MILLISECONDS_FROM else value, text)


def bounded(seconds: float, text: str) -> int:
    """Return `seconds`, fractions floored; ValueError, which names `text`, when they are not from 0 to LATEST."""
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


def _two(cell: bytes, at: i64) -> i64:
    """The number that two digits make; 99 where they are none."""
    tens: i64 = cell[at] - 48
    ones: i64 = cell[at + 1] - 48
    return tens * 10 + ones if 0 <= tens <= 9 and 0 <= ones <= 9 else 99

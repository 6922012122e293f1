"""Converts times, as people and systems write them, to epoch seconds."""

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from math import floor, isfinite
from typing import Any

from mypy_extensions import i64

from txmon.ingest import calendar_texts
from txmon.support.lazy_pattern import LazyPattern

EARLIEST = 631152000  # 1990-01-01: no payment in a file is earlier, but placeholders such as 1970-01-01 are
LATEST = 4133980799  # 2100-12-31T23:59:59Z: no payment is later, but placeholders such as 9999-12-31 are
BUDDHIST = 17135452800  # 2513-01-01T00:00:00Z, as a calendar writes 1970 whose years are 543 higher
UNITS = (1.0, 1e3, 1e6, 1e9)  # units of epoch numbers per second
SERIAL = "excel"  # the form of serial dates: days since the end of 1899, as in spreadsheets
EPOCHS = {"epoch": 1.0, "epoch-s": 1.0, "epoch-ms": 1e3, "epoch-us": 1e6, "epoch-ns": 1e9}
ACCEPTED = (
    "accepted are epochs in s (10 digits), ms (13), us (16) or ns (19), and yyyymmdd with HHMM or HHMMSS;"
    " --time-format says how others are written"
)
HALF_DAY = 43200
HOUR = 3600
LATE = 1200  # seconds by which a row may be late within the hour that a clock change repeats
CACHED = 4096
LONGEST_CACHED = 64  # characters; longer texts are not cached, because padded times could fill the memory

_TIME_OF_DAY = LazyPattern(r"(\d{1,2})\s?h\s?(\d{1,2})?|(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,]\d+)?)?", re.ASCII)
_LEAP = LazyPattern(r"(:\d\d):60", re.ASCII)  # a leap second counts in its minute
# the midnight of a date whose time is in another column
_MIDNIGHT = LazyPattern(r"[T ]0?0:00(?::00(?:\.0+)?)?$", re.ASCII)
_DIGITS = LazyPattern(r"\d+", re.ASCII)
_WITHOUT_YEAR = LazyPattern(r"[A-Z][a-z]{2} +\d{1,2} \d\d:\d\d:\d\d", re.ASCII)  # as syslog writes a time
_NUMBER = LazyPattern(r"\d+(?:\.\d*)?(?:[eE]\+?\d{1,2})?", re.ASCII)


class TimeParser:
    """Parses times, and completes those without a date.

    In a file, the next day begins when the time of day steps back by half a day or more. In a live stream, the date is
    the one that brings the time nearest to the wall clock, so a single wrong time does not affect later ones.
    """

    def __init__(
        self,
        tz: tzinfo = UTC,
        first_date: date | None = None,
        now: int | None = None,
        order: str = "",
        form: str | None = None,
    ) -> None:
        """Create it. tz: of times without a zone. first_date: of times without a date; None makes such a time an error.

        now: for a live stream, the wall clock in epoch seconds; `look` updates it. order: of day and month in numeric
        dates, dmy or mdy; empty: each date must decide it. form: for strptime, or a word of EPOCHS; no other form is
        then accepted.
        """
        self._tz = tz
        self._order = order
        self._form = form
        self._asked = form
        self._with_zone = 20 if form is None else -1  # length in bytes of the form that `plain` reads
        self._date = first_date
        self._last: int | None = None  # seconds since midnight of the newest time of day
        self._cache: dict[str, int] = {}
        self._of_day: dict[str, int] = {}
        self._midnights: dict[bytes, int] = {}  # of dates, by their text
        self._day = b"-"  # the previous date, and its midnight
        self._midnight = -1
        self._utc = str(tz) == "UTC" and form is None
        self._now = now
        self._reach = HOUR  # seconds by which a time of day may be ahead of the wall clock
        self._fixed = isinstance(tz, timezone) or str(tz) == "UTC"  # whether the zone never changes its offset
        self._newest = 0  # newest time around a clock change, epoch seconds

    def begin(self, first_date: date) -> None:
        """Start again: the next time without a date is on `first_date`."""
        self._date, self._last = first_date, None

    def decide(self, order: str, form: str = "") -> None:
        """Read numeric dates in this order from now on: dmy, mdy, or empty if each must decide it.

        form: of all times, unless the user gave one; empty for any.
        """
        decided = self._asked if self._asked is not None or not form else form
        if order != self._order or decided != self._form:
            self._order, self._form = order, decided
            self._with_zone = 20 if decided is None else -1
            self._utc = str(self._tz) == "UTC" and decided is None
            self._cache.clear()
            self._of_day.clear()

    def look(self, now: int) -> None:
        """Set the wall clock, epoch seconds. In a file this does nothing."""
        if self._now is not None:
            self._now = now

    def go_live(self, now: int, reach: int) -> None:
        """Date times of day by the wall clock `now`, epoch seconds, from here on, at most `reach` seconds ahead."""
        self._now, self._reach = now, reach

    def parse(self, text: str) -> int:
        """Return epoch seconds, fractions floored. Raise ValueError with a short reason if `text` is not a time."""
        return self.read(text)[0]

    def read(self, text: str) -> tuple[int, bool]:
        """Return epoch seconds, fractions floored, and whether they are certain. Raise ValueError as `parse` does.

        A time is certain if its text means the same everywhere. The meaning of a time of day, and of a local time
        within an hour that a clock change repeats, depends on the rows before.
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
            second = _time_of_day(stripped) if self._form is None else self._formed_of_day(stripped)
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
        """Return the epoch seconds of a time such as `2026-03-02T14:33:00Z`, or -1 for any other form and for mistakes.

        Such a time names its date, so it means the same everywhere.
        """
        size = len(cell)
        if not ((size == self._with_zone and cell[19] == 0x5A) or (size == 19 and self._utc)):  # Z
            return -1
        if (cell[10] != 0x54 and cell[10] != 0x20) or cell[13] != 0x3A or cell[16] != 0x3A:  # T or a space, colons
            return -1
        hour, minute, second = _two(cell, 11), _two(cell, 14), _two(cell, 17)
        if hour > 23 or minute > 59 or second > 59:
            return -1
        midnight = self._midnight if cell.startswith(self._day) else self._new_day(cell[:10])
        return midnight + (hour * 3600 + minute * 60 + second) if midnight >= 0 else -1

    def _new_day(self, day: bytes) -> int:
        """Return the epoch seconds at which a day such as `2026-03-02` began in UTC, or -1 if it is not a date."""
        midnight = self._midnights.get(day)
        if midnight is None:
            try:
                midnight = int(datetime.combine(date.fromisoformat(day.decode()), time(), UTC).timestamp())
            except ValueError:
                return -1
            if not EARLIEST <= midnight <= LATEST:
                return -1
            if len(self._midnights) >= CACHED:
                self._midnights.clear()
            self._midnights[day] = midnight
        self._day, self._midnight = day, midnight
        return midnight

    def snapshot(self) -> list[object]:
        """Return the current date of times of day, as values that JSON can represent."""
        return [self._date.isoformat() if self._date is not None else None, self._last, self._newest]

    def restore(self, state: Sequence[Any]) -> None:
        """Restore what `snapshot` returned. Raise ValueError or TypeError if it is not valid."""
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
        """Return the epoch seconds of this second of the day, in the 24 hours that end `reach` seconds after `now`."""
        today = datetime.fromtimestamp(now, self._tz).date()
        for days in (1, 0, -1):
            day = today + timedelta(days=days)
            local = datetime.combine(day, time(second // 3600, second // 60 % 60, second % 60), self._tz)
            if local.timestamp() <= now + self._reach:
                break
        return bounded(self._moment(local)[0], text)

    def _absolute(self, text: str) -> tuple[int, bool]:
        """Return epoch seconds, and whether the same text always means the same time."""
        if self._form is not None:
            return self._formed(text)
        if _NUMBER.fullmatch(text):
            found = _epoch_in(float(text))
            if found is not None:
                return bounded(found, text), True
            compact = _compact(text) if _DIGITS.fullmatch(text) else None
            if compact is None:
                raise ValueError(f"{text[:60]!r} is not a time between 1990 and 2100; {ACCEPTED}")
            return self._local(compact, text)
        try:
            moment = datetime.fromisoformat(_LEAP.sub(r"\1:59", text))
        except ValueError:
            worded = calendar_texts.read(text, self._order)
            if worded is None and (inner := calendar_texts.unwrapped(text)):
                return self._absolute(inner)
            if worded is None:
                raise _unknown(text) from None
            if worded[1] is not None:
                return bounded(worded[0].replace(tzinfo=worded[1]).timestamp(), text, EARLIEST), True
            moment = worded[0]
        if moment.tzinfo is not None:
            return bounded(moment.timestamp(), text, EARLIEST), True
        return self._local(moment, text)

    def _local(self, moment: datetime, text: str) -> tuple[int, bool]:
        seconds, certain = self._moment(moment.replace(tzinfo=self._tz))
        return bounded(seconds, text, EARLIEST), certain

    def _formed(self, text: str) -> tuple[int, bool]:
        """Return the same for a text in the form that the user gave."""
        form = self._form
        assert form is not None
        if form in EPOCHS:
            try:
                return bounded(float(text) / EPOCHS[form], text), True
            except ValueError:
                raise ValueError(f"{text[:60]!r} is not a number of --time-format {form}") from None
        if form == SERIAL:
            return self._local(_of_serial(text), text)
        try:
            moment = datetime.strptime(text, form)
        except ValueError:
            raise ValueError(f"{text[:60]!r} does not fit --time-format {form!r}") from None
        if moment.year == 1900 and self._date is not None and "%y" not in form.lower():
            moment = moment.replace(year=self._date.year)
        if moment.tzinfo is not None:
            return bounded(moment.timestamp(), text), True
        return self._local(moment, text)

    def _formed_of_day(self, text: str) -> int | None:
        """Return the seconds since midnight if the user's form has no date, or None."""
        form = self._form
        assert form is not None
        if form in EPOCHS or form == SERIAL or "%d" in form or "%j" in form or not ("%H" in form or "%I" in form):
            return None
        try:
            moment = datetime.strptime(text, form)
        except ValueError:
            raise ValueError(f"{text[:60]!r} does not fit --time-format {form!r}") from None
        return moment.hour * 3600 + moment.minute * 60 + moment.second

    def number(self, value: float) -> int:
        """Return the epoch seconds of a number. Raise ValueError as `parse` does."""
        if self._form is None:
            found = _epoch_in(value)
            if found is not None:
                return bounded(found, "")
        return self.parse(str(value)[:60])

    def together(self, day: str, clock: str, zone: str) -> tuple[int, bool]:
        """Return what `read` does for a time in parts: a date or a whole time, a time of day, a zone ("" for none)."""
        key = f"{day}\x1f{clock}\x1f{zone}"
        found = self._cache.get(key)
        if found is not None:
            return found, True
        text = f"{_MIDNIGHT.sub('', day.strip())} {clock.strip()}".strip()
        if not zone.strip():
            found, certain = self.read(text)
        else:
            parser = TimeParser(calendar_texts.zone_of(zone), self._date, None, self._order, self._form)
            found, certain = parser.read(text)
        if certain and len(key) <= 2 * LONGEST_CACHED:
            self._keep(key, found)
        return found, certain

    def _moment(self, local: datetime) -> tuple[float, bool]:
        """Return the epoch seconds of a local time, and whether it occurs only once.

        In the hour that a clock change repeats, the first occurrence is used until the stream has passed it, then the
        second.
        """
        first = local.timestamp()
        second = first if self._fixed else local.replace(fold=1).timestamp()
        if second <= first:  # equal on most days; smaller in the hour that a clock change skips
            return first, True
        chosen = second if first < self._newest - LATE else first
        self._newest = max(self._newest, floor(chosen))
        return chosen, False


def _unknown(text: str) -> ValueError:
    """Return the error of a time in no known form."""
    if _WITHOUT_YEAR.fullmatch(text):
        return ValueError(f"{text!r} has no year; --time-format '%b %d %H:%M:%S' takes that of --date, or this year")
    return ValueError(f"{text[:60]!r} is not a time in a known form; --time-format says how it is written")


def _epoch_in(value: float) -> float | None:
    """Return the epoch seconds of a number of s, ms, us or ns from 1990 to 2100, or None for any other number."""
    for unit in UNITS:
        if EARLIEST <= value / unit <= LATEST:
            return value / unit
    return None


def _compact(text: str) -> datetime | None:
    """Return the time in digits without separators: yyyymmdd, then optionally HHMM, HHMMSS or a fraction.

    None for others.
    """
    size = len(text)
    forms = ["%Y%m%d"] if size == 8 else ["%Y%m%d%H%M", "%y%m%d%H%M%S"] if size == 12 else []
    if size in (14, 17, 20):
        forms = ["%Y%m%d%H%M%S"]
    for form in forms:
        try:
            moment = datetime.strptime(text[:14], form)
        except ValueError:
            continue
        if 1990 <= moment.year <= 2100:
            return moment
    return None


def _of_serial(text: str) -> datetime:
    """Return the time of a spreadsheet's serial date. Its last digit may have been rounded."""
    whole, _, rest = text.replace(",", ".").partition(".")
    if not (whole.isdecimal() and len(whole) <= 7 and (rest.isdecimal() or not rest)):
        raise ValueError(f"{text[:60]!r} is not a number of days of --time-format {SERIAL}")
    seconds = float(f"0.{rest or 0}") * 86400
    inexact = min(0.5, 86400 * 0.51 * 10.0 ** -len(rest)) if rest else 0.0
    return datetime(1899, 12, 30) + timedelta(days=int(whole), seconds=floor(seconds + max(inexact, 0.001)))


def bounded(seconds: float, text: str, earliest: int = 0) -> int:
    """Return `seconds`, fractions floored. Raise ValueError, with `text` in it, if not from `earliest` to LATEST."""
    if not isfinite(seconds) or not earliest <= seconds <= LATEST:
        year = 1990 if earliest else 1970
        hint = ". Subtract 543 from years of the Buddhist calendar" if BUDDHIST <= seconds <= BUDDHIST + LATEST else ""
        raise ValueError(f"{text[:60]!r} is not between {year} and 2100{hint}")
    return floor(seconds)


def _time_of_day(text: str) -> int | None:
    """Return seconds since midnight, or None if `text` has another form. Raise ValueError for 25:61."""
    match = _TIME_OF_DAY.fullmatch(text)
    if match is None:
        return None
    hour, minute, second = match[1] or match[3], match[2] or match[4] or "0", match[5] or "0"
    if int(hour) > 23 or int(minute) > 59 or int(second) > 60:
        raise ValueError(f"{text!r} is not a time of day")
    return int(hour) * 3600 + int(minute) * 60 + min(int(second), 59)  # a leap second counts in its minute


def _two(cell: bytes, at: i64) -> i64:
    """Return the number of two digits, or 99 if they are not digits."""
    tens: i64 = cell[at] - 48
    ones: i64 = cell[at + 1] - 48
    return tens * 10 + ones if 0 <= tens <= 9 and 0 <= ones <= 9 else 99

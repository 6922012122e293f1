"""Reads dates as people, spreadsheets and processors write them: `05/03/2024 10:00 AM`, `Mar 5, 2024`, `... PST`.

`timestamps` reads ISO 8601 and epoch numbers. A text that this module cannot read raises a ValueError that names the
fix.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import Any, Final

from txmon.support.lazy_pattern import LazyPattern

DAY_FIRST: Final = "dmy"
MONTH_FIRST: Final = "mdy"
UNDECIDED: Final = "?"

# the first three letters of months in English, Portuguese and Spanish; the three languages do not contradict each
# other
_MONTHS: Final[Mapping[str, int]] = {
    "jan": 1, "ene": 1, "feb": 2, "fev": 2, "mar": 3, "apr": 4, "abr": 4, "may": 5, "mai": 5, "jun": 6, "jul": 7,
    "aug": 8, "ago": 8, "sep": 9, "set": 9, "oct": 10, "out": 10, "nov": 11, "dec": 12, "dez": 12, "dic": 12,
}  # fmt: skip
# hours east of Greenwich; where an abbreviation has several meanings, this is the one of RFC 2822 or of the larger
# market
_ZONES: Final[Mapping[str, float]] = {
    "utc": 0, "gmt": 0, "z": 0, "ut": 0, "wet": 0, "west": 1, "bst": 1, "cet": 1, "cest": 2, "eet": 2, "eest": 3,
    "msk": 3, "sast": 2, "est": -5, "edt": -4, "cst": -6, "cdt": -5, "mst": -7, "mdt": -6, "pst": -8, "pdt": -7,
    "akst": -9, "akdt": -8, "hst": -10, "brt": -3, "brst": -2, "art": -3, "clt": -4, "clst": -3, "cot": -5, "pet": -5,
    "uyt": -3, "ist": 5.5, "jst": 9, "kst": 9, "sgt": 8, "hkt": 8, "awst": 8, "aest": 10, "aedt": 11, "nzst": 12,
    "nzdt": 13,
}  # fmt: skip
# zones in words, as some processors write them, by their first words
_REGIONS: Final[Mapping[str, str]] = {
    "pacific": "America/Los_Angeles", "mountain": "America/Denver", "central time": "America/Chicago",
    "eastern": "America/New_York", "atlantic time": "America/Halifax", "brasilia": "America/Sao_Paulo",
    "coordinated universal": "UTC",
}  # fmt: skip

_WORD: Final = r"[^\W\d_]{3,10}\.?"
_CLOCK: Final = (
    r"(?P<h>\d{1,2})(?:[:.h]\s?(?P<m>\d{2})(?:[:.m]\s?(?P<s>\d{2})s?(?:[.,:]\d+)?)?|h)?"
    r"\s?(?:(?P<half>[AaPp])\.?\s?[Mm]\.?(?![A-Za-z]))?"
)
_PACKED: Final = r"(?P<packed>\d{3,6})"
_ZONE: Final = (
    r"(?:\s?(?P<zone>[+-]\d{1,2}(?::?\d{2})?|[A-Za-z][A-Za-z_]*(?:/[A-Za-z_+-]+\d*|[+-]\d{1,2}(?::?\d{2})?)?))?"
    r"(?:\s?\([^)]{0,40}\))?"
)
_GAP: Final = r"(?:\s?[T,:_@]\s?|\s?-\s?|,?\s(?:at|às|as|a las)\s|\s)"
_DAY: Final = r"(?:[^\W\d_]{2,10}(?:-feira)?[.,]{0,2}\s)?"  # the day of the week, which adds nothing to a date
_AFTER: Final = rf"(?:{_GAP}(?:{_CLOCK}|{_PACKED}){_ZONE})?"
# each pattern with the name of its kind; compiled at the first text that is not ISO 8601
_FORMS: Final = (
    ("year", rf"(?P<y>\d{{4}})([-/.])(?P<a>\d{{1,2}})\2(?P<b>\d{{1,2}}){_AFTER}"),
    ("year", rf"(?P<y>\d{{4}})(?P<a>\d{{2}})(?P<b>\d{{2}})[T ](?:{_CLOCK}|{_PACKED}){_ZONE}"),
    ("numbers", rf"{_DAY}(?P<a>\d{{1,2}})(?P<by>[-/.])(?P<b>\d{{1,2}})(?P=by)(?P<y>\d{{4}}|\d{{2}}){_AFTER}"),
    (
        "words",
        rf"{_DAY}(?P<b>\d{{1,2}})(?:st|nd|rd|th|º)?[\s/.-]?(?:de\s)?(?P<word>{_WORD}),?[\s/.-]?(?:de\s)?"
        rf"(?P<y>\d{{4}}|\d{{2}}){_AFTER}",
    ),
    ("words", rf"{_DAY}(?P<word>{_WORD})\s(?P<b>\d{{1,2}})(?:st|nd|rd|th)?,?\s(?P<y>\d{{4}}),?{_AFTER}"),
    (
        "words",
        rf"{_DAY}(?P<word>{_WORD})\s(?P<b>\d{{1,2}})\s{_CLOCK}(?:\s(?P<zone>[A-Za-z]{{2,5}}|[+-]\d{{4}}))?"
        rf"\s(?P<y>\d{{4}})",
    ),
)
_OFFSET: Final = LazyPattern(r"(?:utc|gmt)?\s?([+-])(\d{1,2})(?::?(\d{2}))?", re.IGNORECASE)
_NUMERIC_DAY: Final = LazyPattern(rf"\s*[\[({{'\"]?{_DAY}" r"(\d{1,2})([-/.])(\d{1,2})\2(\d{4}|\d{2})(?!\d)")
_DOTNET: Final = LazyPattern(r"/Date\((-?\d{1,15})(?:[+-]\d{4})?\)/")
_REGION: Final = LazyPattern(r"\[[A-Za-z_]+(?:/[A-Za-z_+-]+\d*)*\]$")  # Java writes this after the offset
_TO: Final = LazyPattern(r"\s*[/,–—]\s*|\s-\s|\s(?:to|a|até|hasta|till|until)\s")
LONGEST: Final = 80  # characters; no date is longer, so longer texts are not matched


def order_of(text: str) -> str:
    """Return the order of day and month in `text`: DAY_FIRST, MONTH_FIRST, UNDECIDED, or "" for other dates.

    A date with dots is day-first. So is a date whose first number is above 12.
    """
    if text[4:5] == "-" and text[:4].isdecimal():
        return ""  # most times are ISO 8601
    match = _NUMERIC_DAY.match(text[:LONGEST])
    if match is None:
        return ""
    first, second = int(match[1]), int(match[3])
    if match[2] == ".":
        return DAY_FIRST
    if first > 12 or second > 12:
        return "" if first > 12 and second > 12 else DAY_FIRST if first > 12 else MONTH_FIRST
    return "" if first == second else UNDECIDED


def read(text: str, order: str) -> tuple[datetime, tzinfo | None] | None:
    """Return the local time that `text` names and its zone (None for no zone), or None if no form fits.

    order: DAY_FIRST, MONTH_FIRST, or "" if undecided. Raise ValueError for a date that does not exist, for an unknown
    zone, and for a numeric date whose order is undecided.
    """
    if len(text) > LONGEST:
        return None
    text = " ".join(text.replace("\u202f", " ").replace("\xa0", " ").split())
    kind, found = _fitting(text)
    if found is None:
        return None
    year, day = int(found["y"]), int(found["b"])
    if len(found["y"]) == 2:
        year += 2000
    if found.get("word") is not None:
        month = _MONTHS.get(found["word"][:3].lower(), 0)
        if month == 0:
            return None
    elif kind == "numbers":
        month, day = _ordered(int(found["a"]), day, found["by"], order, text)
    else:
        month = int(found["a"])
    hour, minute, second = _clock(found, text)
    extra = timedelta(0)
    if hour == 24 and minute == 0 and second == 0:
        hour, extra = 0, timedelta(days=1)
    try:
        moment = datetime(year, month, day, hour, minute, min(second, 59)) + extra
    except (ValueError, OverflowError):
        raise ValueError(f"{text[:60]!r} does not exist in the calendar") from None
    zone = found.get("zone")
    return moment, zone_of(zone) if zone else None


@lru_cache(maxsize=1)
def _patterns() -> list[tuple[str, re.Pattern[str]]]:
    return [(kind, re.compile(form)) for kind, form in _FORMS]


def unwrapped(text: str) -> str:
    """Return the time inside quotes or brackets, or the start of a range, or "" if `text` is neither."""
    if len(text) > LONGEST:
        return ""
    dotnet = _DOTNET.fullmatch(text)
    if dotnet is not None:
        return dotnet[1]
    plain = text.strip(" '\"`")
    if plain[:1] in "[({" and plain[-1:] in "])}":
        plain = plain[1:-1].strip(" '\"")
    plain = _REGION.sub("", plain)
    for found in _TO.finditer(plain):
        start, end = plain[: found.start()], plain[found.end() :]
        # both ends of a range have the same form, but the second may omit the date
        if start[:1].isdigit() and end[:1].isdigit() and 4 <= len(end) <= len(start) and ":" in start and ":" in end:
            return start
    return plain if plain != text else ""


def _fitting(text: str) -> tuple[str, dict[str, Any] | None]:
    """Return the kind of the first form that fits and its parts, or None as its parts if no form fits."""
    for kind, pattern in _patterns():
        match = pattern.fullmatch(text)
        if match is not None:
            return kind, match.groupdict()
    return "", None


def _ordered(first: int, second: int, mark: str, order: str, text: str) -> tuple[int, int]:
    """Return the month and day of a numeric date."""
    if mark == "." and order != MONTH_FIRST:
        return second, first
    if order == "":
        if first > 12:
            order = DAY_FIRST
        elif second > 12 or first == second:
            order = MONTH_FIRST
        else:
            raise ValueError(f"{text[:60]!r} may be day-first or month-first. Use --day-first or --month-first")
    return (second, first) if order == DAY_FIRST else (first, second)


def _clock(found: Mapping[str, str | None], text: str) -> tuple[int, int, int]:
    packed = found.get("packed")
    if packed is not None:
        digits = packed.zfill(len(packed) + len(packed) % 2)
        return int(digits[:2]), int(digits[2:4]), int(digits[4:6] or "0")
    hour = int(found.get("h") or "0")
    half = found.get("half")
    if half is not None:
        if not 1 <= hour <= 12:
            raise ValueError(f"{text[:60]!r} has no hour from 1 to 12")
        hour = hour % 12 + (12 if half in "Pp" else 0)
    return hour, int(found.get("m") or "0"), int(found.get("s") or "0")


def zone_of(text: str) -> tzinfo:
    """Return the zone that `text` names: an offset, an abbreviation or a name of the time zone database.

    Raise ValueError for an unknown zone.
    """
    name = text.strip()
    match = _OFFSET.fullmatch(name)
    if match is not None:
        hours, minutes = int(match[2]), int(match[3] or "0")
        if hours > 14 or minutes > 59:
            raise ValueError(f"{name[:40]!r} is not an offset from UTC")
        sign = -1 if match[1] == "-" else 1
        return timezone(sign * timedelta(hours=hours, minutes=minutes))
    lower = name.lower()
    if lower in _ZONES:
        return UTC if _ZONES[lower] == 0 else timezone(timedelta(hours=_ZONES[lower]))
    for begin, region in _REGIONS.items():
        if lower.startswith(begin):
            name = region
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        raise ValueError(
            f"{text.strip()[:40]!r} is not a known time zone. Name one with --tz, and skip the column with --map zone="
        ) from None

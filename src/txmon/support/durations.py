"""Parses and formats durations: `90s`, `15m`, `1h30m`."""

import re
from typing import Final

from txmon.support.lazy_pattern import LazyPattern

DAY: Final = 86400
UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": DAY}
_DURATION = LazyPattern(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", re.ASCII)


def seconds(text: object) -> int:
    """Return a duration like 90s, 15m, 1h30m or 1d in seconds.

    Raise ValueError for any other text, also without a unit.
    """
    number = str(text)
    if number.isascii() and number.isdigit() and not isinstance(text, bool):
        if int(number) == 0:
            return 0
        raise ValueError(f"{number!r} has no unit. Use {number}s, {number}m or {number}h.")
    match = _DURATION.fullmatch(str(text).replace(" ", "")) if str(text) else None
    if match is None or not match[0]:
        raise ValueError(f"{text!r} is not a duration. Use for example 90s, 15m, 1h30m or 1d.")
    return sum(int(part or 0) * unit for part, unit in zip(match.groups(), (DAY, 3600, 60, 1), strict=True))


def duration_text(value: int) -> str:
    """Return seconds as the shortest duration that `seconds` parses to the same value."""
    if value == 0:
        return "0s"
    text = ""
    for unit, width in (("d", DAY), ("h", 3600), ("m", 60), ("s", 1)):
        amount, value = divmod(value, width)
        text += f"{amount}{unit}" if amount else ""
    return text


def duration_words(value: int) -> str:
    """Return seconds for people, in at most two units: `45 s`, `21 min`, `2 h 40 min`, `3 d 4 h`."""
    if value < 60:
        return f"{max(0, value)} s"
    minutes, hours, days = value // 60 % 60, value // 3600 % 24, value // DAY
    if days:
        return f"{days} d {hours} h" if hours else f"{days} d"
    if hours:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{minutes} min"

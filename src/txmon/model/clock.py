"""Formats epoch seconds as ISO 8601 text. The text of each day and each minute is cached."""

from datetime import UTC, datetime
from typing import Final

from mypy_extensions import i64

from txmon.model.encoding import TWO

CACHED: Final = 4096  # texts cached of each kind
_midnights: Final[dict[int, str]] = {}
_clocks: Final[list[str | None]] = [None] * 1440  # the text of each minute of a day


def iso(seconds: int) -> str:
    """Return `seconds` since the epoch as `2026-03-02T14:33:00Z`."""
    time: i64 = seconds
    day = time // 86400
    midnight = _midnights.get(day)
    if midnight is None:
        if len(_midnights) >= CACHED:
            _midnights.clear()
        midnight = _midnights[day] = datetime.fromtimestamp(int(day * 86400), UTC).strftime("%Y-%m-%dT")
    second = time - day * 86400
    minute = second // 60
    clock = _clocks[minute]
    if clock is None:
        clock = _clocks[minute] = f"{TWO[minute // 60]}:{TWO[minute % 60]}:"
    return f"{midnight}{clock}{TWO[second - minute * 60]}Z"

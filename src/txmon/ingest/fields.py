"""The fields of a record: the columns that each is read from, and what one value of it means.

A value that means nothing raises `Fault`, which says what is wrong with it in words for people.
"""

from collections.abc import Mapping
from functools import lru_cache
from math import isfinite
from typing import Final

from txmon.model.keys import TOTAL

NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "time": ("time", "timestamp", "ts", "datetime", "created_at"),
    "status": ("status", "state", "result"),
    "count": ("count", "f1", "f0_", "quantity", "n"),
    "amount": ("amount", "value"),
    "id": ("id", "transaction_id", "event_id"),
}
NEEDED: Final = ("time", "status")
MAX_COUNT: Final = 10**15  # above it, sums are no longer exact in a float
MAX_STATUS: Final = 256


class Fault(Exception):
    """What is wrong with one line, or with one value of it."""

    def __init__(self, kind: str, reason: str) -> None:
        self.kind = kind
        self.reason = reason


def columns_of(mapping: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """The names in lower case, most wanted first, that each field's column may have; `mapping` says it of some."""
    return {name: (mapping[name].lower(),) if name in mapping else accepted for name, accepted in NAMES.items()}


def label_of(value: object) -> str:
    """An id or a dimension's value as text, trimmed; empty for None."""
    return _written(value.strip()) if isinstance(value, str) else "" if value is None else _written(str(value))


def _written(text: str) -> str:
    """`text`, unless it cannot be written as UTF-8: JSON's escapes can spell half of a character."""
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise Fault("encoding", "half of a surrogate pair is no character") from None
    return text


def status_of(value: object) -> str:
    """A status in lower case, trimmed."""
    if not isinstance(value, str):
        raise Fault("status", f"a {type(value).__name__} is no status")
    return _spelled(value) if len(value) <= MAX_STATUS else _new_status(value)


@lru_cache(maxsize=1024)
def _spelled(text: str) -> str:
    return _new_status(text)  # most are one of a few


def _new_status(value: str) -> str:
    status = _written(value.strip().lower())
    if not status:
        raise Fault("status", "the status is empty")
    if len(status) > MAX_STATUS:
        raise Fault("status", f"a status of {len(status)} characters, at most {MAX_STATUS} are accepted")
    if status == TOTAL:
        raise Fault("status", f"{TOTAL!r} stands for all statuses together")
    return status


def count_of(value: object) -> int:
    """A number of transactions, 0 to MAX_COUNT."""
    if type(value) is int and 0 <= value <= MAX_COUNT:
        return value
    if isinstance(value, str) and value.isdecimal() and len(value) <= 15:
        return int(value)
    shown = str(value).strip()[:60] if not isinstance(value, int) or abs(value) < MAX_COUNT else "a huge number"
    try:
        number = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else -1.0
    except (ValueError, OverflowError):
        number = -1.0
    if not (0 <= number <= MAX_COUNT and number == int(number)):
        raise Fault("count", f"{shown!r} is no whole number from 0 to 10^15")
    return int(number)


def amount_of(value: object) -> float | None:
    """An amount of money, finite; None for an empty text."""
    if isinstance(value, str) and not value.strip():
        return None
    try:
        number = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else float("nan")
    except (ValueError, OverflowError):
        number = float("nan")
    if not isfinite(number):
        raise Fault("amount", f"{str(value)[:60]!r} is no decimal number")
    return number

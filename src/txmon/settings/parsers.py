"""Parses values of settings from texts and TOML values, and formats them as text.

Each parser accepts the value of a flag, a variable or a TOML file, and raises ValueError with a short reason.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import field
from datetime import date, datetime
from math import isfinite
from typing import Final, Generic, TypeVar

from txmon.support.durations import DAY, duration_text, seconds
from txmon.support.frozen import frozen
from txmon.support.suggest import choose, nearest

T = TypeVar("T")
SIZES: Final = {"": 1, "B": 1, "KB": 1000, "MB": 10**6, "KIB": 1 << 10, "MIB": 1 << 20}
PER_DAY: Final = {"hour": 24.0, "day": 1.0, "week": 1 / 7, "month": 1 / 30}
BUDGET_UNITS: Final = ("day", "week", "month", "hour")  # if two units are possible, the first is used


@frozen
class Shown(Generic[T]):
    """A parser with its own function to format values, instead of `text_of`."""

    parse: Callable[[object], T]
    show: Callable[[T], str]  # to the text that a flag accepts

    def __call__(self, value: object) -> T:
        """Return the value. Raise ValueError with the reason if it is not valid."""
        return self.parse(value)


@frozen
class ByStatus(Generic[T]):
    """A value for every status, with exceptions for some."""

    default: T
    table: Mapping[str, T] = field(default_factory=dict)

    def of(self, status: str) -> T:
        """Return the value for `status`."""
        return self.table.get(status, self.default)


@frozen
class Choice:
    """A parser that accepts one of `words`."""

    words: tuple[str, ...]

    def __call__(self, value: object) -> str:
        """Return the word. Raise ValueError for any other."""
        if isinstance(value, str) and value in self.words:
            return value
        raise ValueError(choose(str(value), self.words))


def choice(*words: str) -> Choice:
    """Return a parser that accepts one of `words`."""
    return Choice(words)


def switch(value: object) -> bool:
    """Return whether a switch is on."""
    words = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}
    if isinstance(value, bool):
        return value
    found = words.get(str(value).lower())
    if found is None:
        raise ValueError(f"{value!r} is not valid. Use true or false.")
    return found


def path(value: object) -> str:
    """Return the name of a file."""
    if isinstance(value, str) and value:
        return value
    raise ValueError(f"{value!r} is not a file name")


def secret_file(value: object) -> str:
    """Return the name of a file with a secret. An error does not repeat the value, which may be the secret itself."""
    found = path(value)
    if "://" in found:
        raise ValueError("this is an address, and it is a secret. Write it to a file, and name that file.")
    return found


def web_address(value: object) -> str:
    """Return an http or https address, at most 1000 characters."""
    text = str(value)
    if re.fullmatch(r"https?://[!-~]{1,990}", text) is None:
        raise ValueError(f"{text[:60]!r} is not an address. Use for example https://host:8080/")
    return text


def command_line(value: object) -> str:
    """Return a command and its arguments. They are quoted as for a shell, but no shell runs them."""
    import shlex

    try:
        words = shlex.split(str(value))
    except ValueError as bad:
        raise ValueError(f"{value!r}: {str(bad).lower()}") from None
    if not words:
        raise ValueError(f"{value!r} is not a command")
    return str(value)


def calendar_date(value: object) -> date:
    """Return a date."""
    try:
        return value if isinstance(value, date) else date.fromisoformat(str(value))
    except ValueError:
        raise ValueError(f"{value!r} is not a date. Use YYYY-MM-DD, for example 2026-03-02.") from None


def time_zone(value: object) -> str:
    """Return the name of a zone in the time zone database."""
    from zoneinfo import ZoneInfo, available_timezones

    try:
        ZoneInfo(str(value))
    except (ValueError, OSError, KeyError):
        raise ValueError(f"{value!r} is not a time zone{nearest(str(value), available_timezones())}") from None
    return str(value)


def column_list(value: object) -> tuple[str, ...]:
    """Return names of columns, each once."""
    items = [str(item) for item in value] if isinstance(value, list | tuple) else str(value).split(",")
    names = tuple(item.strip() for item in items if item.strip())
    if not names or len(set(names)) != len(names):
        raise ValueError(f"{value!r} is not a list of different columns. Use for example merchant,country.")
    return names


def networks(value: object) -> tuple[str, ...]:
    """Return addresses and networks, each once: 10.0.0.1, 10.0.0.0/8, ::1."""
    import ipaddress

    names = column_list(value)
    for name in names:
        try:
            ipaddress.ip_network(name, strict=False)
        except ValueError:
            raise ValueError(f"{name[:60]!r} is not an address or a network. Use for example 10.0.0.0/8.") from None
    return names


def url_path(value: object) -> str:
    """Return the path under which a proxy serves the page, without a trailing slash, or "" for the root."""
    text = str(value).rstrip("/")
    if text and (re.fullmatch(r"(/[A-Za-z0-9._~-]+){1,16}", text) is None or "/.." in text or "/./" in text + "/"):
        raise ValueError(f"{text[:60]!r} is not a path. Use for example /txmon.")
    return text


def duration(least: int, most: int, divides_day: bool = False) -> Shown[int]:
    """Return a parser of durations from `least` to `most`, in seconds."""

    def parse(value: object) -> int:
        found = seconds(value)
        if not least <= found <= most:
            raise ValueError(f"{value!r} is not from {duration_text(least)} to {duration_text(most)}")
        if divides_day and DAY % found:
            raise ValueError(f"{value!r} does not divide a day evenly. Use for example 1m, 5m or 10m.")
        return found

    return Shown(parse, duration_text)


def size(least: int, most: int) -> Callable[[object], int]:
    """Return a parser of sizes like 64KiB or 1MB, in bytes."""

    def parse(value: object) -> int:
        match = re.fullmatch(r"(\d+)\s*([A-Za-z]*)", str(value), re.ASCII)
        unit = SIZES.get(match[2].upper()) if match else None
        if match is None or unit is None:
            raise ValueError(f"{value!r} is not a size. Use for example 64KiB or 1MiB.")
        if not least <= int(match[1]) * unit <= most:
            raise ValueError(f"{value!r} is not from {least} to {most} bytes")
        return int(match[1]) * unit

    return parse


def _budget(value: object) -> float:
    """Return false alarms per day, from 1/day, 2/week or 0.1/hour."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*/\s*(hour|day|week|month)", str(value), re.ASCII)
    if match is None:
        raise ValueError(f"{value!r} is not a budget. Use for example 1/day, 2/week or 0.1/hour.")
    found = float(match[1]) * PER_DAY[match[2]]
    if not 1e-3 <= found <= 1e4:
        raise ValueError(f"{value!r} is not from 0.001 to 10000 a day")
    return found


def number(least: float, most: float) -> Callable[[object], float]:
    """Return a parser of numbers from `least` to `most`."""

    def parse(value: object) -> float:
        try:
            found = (
                float(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else float("nan")
            )
        except ValueError:
            found = float("nan")
        if not isfinite(found):
            raise ValueError(f"{value!r} is not a number")
        if not least <= found <= most:
            raise ValueError(f"{value!r} is not from {least:g} to {most:g}")
        return found

    return parse


def whole(least: int, most: int) -> Callable[[object], int]:
    """Return a parser of whole numbers from `least` to `most`."""

    def parse(value: object) -> int:
        found = number(least, most)(value)
        if found != int(found):
            raise ValueError(f"{value!r} is not a whole number")
        return int(found)

    return parse


def _items(value: object) -> list[tuple[str | None, object]]:
    """Return (name, value) pairs from a TOML table, or from one or several texts like NAME=VALUE,NAME=VALUE."""
    if isinstance(value, Mapping):
        return [(str(name), item) for name, item in value.items()]
    given = value if isinstance(value, list | tuple) else [value]
    texts = [piece for text in given for piece in (text.split(",") if isinstance(text, str) else [text])]
    found: list[tuple[str | None, object]] = []
    for text in texts:
        name, equals, item = str(text).partition("=")
        found.append((name.strip(), item.strip()) if equals else (None, text))
    return found


def by_status(parse_one: Callable[[object], T], default: T) -> Callable[[object], ByStatus[T]]:
    """Return a parser of a value for all statuses, of single ones (STATUS=VALUE), or of a table with a `default`."""

    def parse(value: object) -> ByStatus[T]:
        general = default
        table: dict[str, T] = {}
        for status, item in _items(value):
            if status is None or status.lower() == "default":
                general = parse_one(item)
            else:
                table[status.lower()] = parse_one(item)
        return ByStatus(general, table)

    return parse


def text_encoding(value: object) -> str:
    """Return the name of an encoding that Python supports."""
    import codecs

    try:
        codecs.lookup(str(value))
        "".encode(str(value))
    except (LookupError, ValueError, TypeError):
        raise ValueError(f"{value!r} is not a known encoding. Use for example latin-1, cp1252 or utf-16.") from None
    return str(value)


def time_form(value: object) -> str:
    """Return a form of times for strptime, or `epoch`, `epoch-ms`, `epoch-us`, `epoch-ns` or `excel`."""
    text = str(value)
    if text in ("epoch", "epoch-s", "epoch-ms", "epoch-us", "epoch-ns", "excel"):
        return text
    if not re.search(r"%[dejHIMSpYymbBfzZTDF]", text):
        raise ValueError(f"{text!r} is not a time format. Use for example '%d/%m/%Y %H:%M' or epoch-ms.")
    try:
        datetime.strptime("", text)
    except ValueError as bad:
        if "does not match format" not in str(bad):
            raise ValueError(f"{text!r}: {bad}") from None
    except re.error as bad:
        raise ValueError(f"{text!r}: {bad}") from None
    return text


def pairs(
    keys: tuple[str, ...] = (), values: tuple[str, ...] = (), off: bool = False
) -> Callable[[object], dict[str, str]]:
    """Return a parser of NAME=VALUE pairs. keys, values: the accepted words; empty for any.

    off: a name may have no value, which means the same as `none`.
    """

    def parse(value: object) -> dict[str, str]:
        found: dict[str, str] = {}
        for name, given in _items(value):
            item = "" if off and str(given).lower() == "none" else given
            if name is None or not (off or str(item)):
                raise ValueError(f"{item!r} is not NAME=VALUE")
            for word, known in ((name, keys), (str(item), values)):
                if known and word not in known:
                    raise ValueError(choose(word, known))
            found[name] = str(item)
        return found

    return parse


def status_roles(roles: tuple[str, ...]) -> Callable[[object], dict[str, str]]:
    """Return a parser of STATUS=ROLE pairs or a table of them. A table may also give a list of statuses for a role."""

    def parse(value: object) -> dict[str, str]:
        found: dict[str, str] = {}
        for name, item in _items(value):
            if name is None or not name:
                raise ValueError(f"{item!r} is not STATUS=ROLE. Use for example paid=success.")
            if isinstance(item, list | tuple):
                role, statuses = name, [str(status) for status in item]
            else:
                role, statuses = str(item), [name]
            if role not in roles:
                raise ValueError(choose(role, roles))
            found |= {status.strip().lower(): role for status in statuses}
        return found

    return parse


def text_of(value: object) -> str:
    """Return a setting's value as the text that its flag accepts, if the value's type alone determines that text."""
    if isinstance(value, ByStatus):
        return ",".join([_shortest(value.default), *(f"{s}={_shortest(item)}" for s, item in value.table.items())])
    if isinstance(value, Mapping):
        return ",".join(f"{key}={item}" for key, item in value.items())
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    if isinstance(value, bool):
        return "true" if value else "false"
    return _shortest(value)


def _budget_text(value: float) -> str:
    """Return a budget in the unit with the fewest digits among those that parse to the same value."""

    def rank(unit: str) -> tuple[bool, int, int]:
        number = f"{value / PER_DAY[unit]:.12g}"
        digits = number.replace(".", "").strip("0")
        return float(number) * PER_DAY[unit] != value, len(digits), BUDGET_UNITS.index(unit)

    best = min((unit for unit in BUDGET_UNITS if value / PER_DAY[unit] >= 1e-4), key=rank)
    return f"{value / PER_DAY[best]:.12g}/{best}"


def _shortest(value: object) -> str:
    """Return the shortest text that parses to the same number, or the text of any other value."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


budget: Final = Shown(_budget, _budget_text)

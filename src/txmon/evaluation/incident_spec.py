"""What to do to a stream, and when: the SPEC of `simulate --incident` and `replay --inject`.

    denied:x3@14:00/20m       three times as many          failed:+6@16:00/30m   six more a minute
    denied:x4@14:00/20m where issuer=B7 and code=91   of these transactions only (simulate --dimensions)
    denied:rampx3@14:00/40m   climbs evenly to three times  *:x0.2@10:00/4m       every status (a dip)
    silence@03:10/15m         nothing arrives at all        sale:x1.8@18:00/2h    a trap: every status alike

The time after @ is of the stream's first day (UTC); `dN,HH:MM` is N days later, `+10m` that long after the stream's
start, `2026-03-03T14:00` that very moment.
"""

import re
from datetime import UTC, datetime
from enum import StrEnum
from math import isfinite

from txmon.errors import UsageError
from txmon.support.durations import seconds
from txmon.support.frozen import frozen

DAY = 86400
EVERY = "*"
EXAMPLE = "denied:x3@14:00/20m"
MOST_FACTOR = 1000.0
MOST_ADDED = 1e6  # transactions per minute
SALE_RISE, SALE_FALL = 1 / 6, 1 / 3  # shares of a sale's duration in which it rises and falls gradually

_STATUS = re.compile(r"\*|[a-z_][a-z0-9_-]*", re.ASCII)
_CHANGE = re.compile(r"(rampx|x|\+)(\d+(?:\.\d*)?|\.\d+)", re.ASCII)
_OF_DAY = re.compile(r"(?:d(\d{1,4}),)?(\d{1,2}):(\d{2})(?::(\d{2}))?", re.ASCII)


class Change(StrEnum):
    """The effect of an incident on a mean."""

    MULTIPLY = "x"
    ADD = "+"
    RAMP = "rampx"
    SILENCE = "silence"
    SALE = "sale"


class Origin(StrEnum):
    """The origin of an offset."""

    FIRST_DAY = "day"  # midnight (UTC) of the stream's first day
    STREAM = "stream"
    EPOCH = "epoch"


@frozen
class IncidentSpec:
    """A change of one status, or of all of them ("*"), for some time."""

    text: str
    status: str
    change: Change
    amount: float  # a factor; with ADD, transactions per minute
    origin: Origin
    offset: int  # seconds from the origin
    duration: int  # seconds, at least 1
    where: tuple[tuple[str, str], ...] = ()  # (column, value): only transactions with all of these values change

    def touches(self, status: str) -> bool:
        """Return whether the mean of `status` changes."""
        return self.status in (EVERY, status)


def parse_incident(text: str) -> IncidentSpec:
    """Return the incident of a SPEC. Raise UsageError with the invalid part and an example."""
    change_text, named, values = text.partition(" where ")
    where = _parse_where(text, values) if named else ()
    head, at, when = change_text.strip().partition("@")
    if not at:
        raise _bad(text, text, "no @ and a time after it", 0)
    start, slash, length = when.rpartition("/")
    if not slash:
        raise _bad(text, when, "no / and a duration after the time", len(head) + 1)
    status, change, amount = _parse_change(text, head)
    origin, offset = _parse_start(text, start, len(head) + 1)
    duration = _parse_duration(text, length, len(change_text) - len(length))
    if where and change is Change.SILENCE:
        raise _bad(text, values, "cannot follow silence; *:x0 is a silence of some values", len(text) - len(values))
    return IncidentSpec(text, status, change, amount, origin, offset, duration, where)


def _parse_where(text: str, values: str) -> tuple[tuple[str, str], ...]:
    """Return the (column, value) pairs of `issuer=B7 and code=91`."""
    found: list[tuple[str, str]] = []
    for part in re.split(r"\s+and\s+|,", values.strip()):
        column, equals, value = part.partition("=")
        if not equals or not column.strip() or not value.strip():
            raise _bad(
                text, part, "is not COLUMN=VALUE. Use for example merchant=m1. like issuer=B7", len(text) - len(values)
            )
        found.append((column.strip(), value.strip()))
    return tuple(found)


def resolve(spec: IncidentSpec, first: int) -> tuple[int, int]:
    """Return [start, end) in epoch seconds, in a stream whose first moment is `first`."""
    base = {Origin.FIRST_DAY: first - first % DAY, Origin.STREAM: first, Origin.EPOCH: 0}[spec.origin]
    return base + spec.offset, base + spec.offset + spec.duration


def changed_mean(
    spec: IncidentSpec, span: tuple[int, int], begin: int, status: str, mean: float, width: int = 60
) -> float:
    """Return the mean count of `status` in [begin, begin + width), changed by the incident in its `span`.

    mean: transactions in those `width` seconds without the incident. If the span covers a part of the bucket, only
    that part is changed. All times are epoch seconds.
    """
    low, high = max(begin, span[0]), min(begin + width, span[1])
    if low >= high or not spec.touches(status):
        return mean
    if spec.change is Change.ADD:
        return mean + spec.amount * (high - low) / 60
    share = (high - low) / width
    progress = ((low + high) / 2 - span[0]) / (span[1] - span[0])
    return mean * (1 - share + share * _factor(spec, progress))


def _factor(spec: IncidentSpec, progress: float) -> float:
    """Return the factor at `progress` (0 to 1) of the incident."""
    if spec.change is Change.RAMP:
        return 1 + (spec.amount - 1) * progress
    if spec.change is Change.SALE:
        return 1 + (spec.amount - 1) * min(progress / SALE_RISE, 1.0, (1 - progress) / SALE_FALL)
    return spec.amount


def _parse_change(text: str, head: str) -> tuple[str, Change, float]:
    """Return (status, change, amount) of the part before @."""
    if head == "silence":
        return EVERY, Change.SILENCE, 0.0
    status, colon, change = head.partition(":")
    if not _STATUS.fullmatch(status):
        raise _bad(text, status or head, "is not a status, * or silence", 0)
    if status == "silence":
        raise _bad(text, change, "cannot follow silence, which takes no change", len(status) + 1)
    position = len(status) + 1
    match = _CHANGE.fullmatch(change)
    if not colon or match is None:
        raise _bad(text, change or head, "is not a change like x3, +6 or rampx3", position if change else 0)
    kind, amount = Change(match[1]), float(match[2])
    if status == "sale" and (kind is not Change.MULTIPLY or amount <= 1):
        raise _bad(text, change, "is not valid for a sale, which takes a factor above 1 like x1.8", position)
    if amount == (0 if kind is Change.ADD else 1):
        raise _bad(text, change, "changes nothing", position)
    most = MOST_ADDED if kind is Change.ADD else MOST_FACTOR
    if not isfinite(amount) or amount > most:
        raise _bad(text, change, f"is more than {kind}{most:.0f}", position)
    return (EVERY, Change.SALE, amount) if status == "sale" else (status, kind, amount)


def _parse_start(text: str, start: str, position: int) -> tuple[Origin, int]:
    """Return (origin, offset in seconds) of the part between @ and /."""
    match = _OF_DAY.fullmatch(start)
    if match:
        day, hour, minute, second = (int(part or 0) for part in match.groups())
        if hour > 23 or minute > 59 or second > 59:
            raise _bad(text, start, "is not a time of day", position)
        return Origin.FIRST_DAY, day * DAY + hour * 3600 + minute * 60 + second
    if start.startswith("+"):
        try:
            return Origin.STREAM, _with_unit(start[1:])
        except ValueError:
            raise _bad(text, start, "is not a time after the start like +10m", position) from None
    try:
        moment = datetime.fromisoformat(start if "T" in start else "")  # a date alone is probably a mistake
        epoch = int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError):
        raise _bad(text, start, "is not a time like 14:00, d1,14:00, +10m or 2026-03-03T14:00", position) from None
    return Origin.EPOCH, epoch


def _parse_duration(text: str, length: str, position: int) -> int:
    try:
        found = _with_unit(length)
    except ValueError:
        raise _bad(text, length, "is not a duration like 90s, 20m, 2h or 1d", position) from None
    if found < 1:
        raise _bad(text, length, "is too short", position)
    return found


def _with_unit(text: str) -> int:
    if text.isdigit():  # a number without a unit
        raise ValueError(text)
    return seconds(text)


def _bad(text: str, part: str, why: str, position: int) -> UsageError:
    return UsageError(f"incident {text!r}: at character {position + 1}, {part!r} {_verb(why)} (example: {EXAMPLE})")


def _verb(why: str) -> str:
    return f"has {why}" if why.startswith("no ") else why

"""Describes a structured feed: expected counts by series and minute, incidents, and the counts drawn from both.

`scenario_kinds` describes each kind of feed with these tools. Every day draws from its own seeded generator, so a day
is the same in a longer feed. A series that an incident changes draws from a separate generator. An incident therefore
leaves all other counts unchanged, and the feed without incidents is the same feed.
"""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NotRequired, TypedDict

from txmon.errors import UsageError
from txmon.evaluation.simulate import BY_HOUR, DISPERSION, DISPERSION_OF_OTHERS, LATEST, STATUSES

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Counts = NDArray[np.int64]

MINUTES: Final = 1440  # in a day
MOST_DAYS: Final = 400
MOST_CELLS: Final = 60_000_000  # series times minutes that fit into memory
TOTAL: Final = "*"


class Mark(TypedDict):
    """A label: an incident, or a trap if it names no statuses. Times are the index of its first and last minute."""

    kind: str
    first: int
    last: int
    statuses: NotRequired[list[str]]
    affects: NotRequired[list[str]]
    key: NotRequired[str]


@dataclass(slots=True)
class Draft:
    """A feed under construction.

    Raise UsageError if the length, the start or the seed is out of range.
    """

    name: str
    seed: int
    start: int  # epoch seconds, floored to midnight (UTC)
    days: int
    warmup: int  # minutes from the start in which false alarms do not count
    clean: bool = False  # whether it has no incidents
    statuses: tuple[str, ...] = STATUSES
    column: str | None = None  # the name of the key's column
    keys: tuple[str, ...] = ("",)
    dispersion: dict[str, float] = field(default_factory=dict)  # variance divided by mean, by status
    clustering: dict[int, float] = field(default_factory=dict)  # by key: factor for the variance above the mean
    marks: list[Mark] = field(default_factory=list)
    traps: list[Mark] = field(default_factory=list)
    deliver: "Callable[[Draft, Counts], Counts] | None" = None  # moves counts to the minute of their arrival
    base: "dict[tuple[int, str], Floats]" = field(default_factory=dict)  # expected counts without incidents
    # expected counts with incidents, for the series that have any
    changed: "dict[tuple[int, str], Floats]" = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise UsageError(f"--seed {self.seed} is below 0")
        if not 1 <= self.days <= MOST_DAYS:
            raise UsageError(f"--days {self.days} is not valid. A scenario has from 1 to {MOST_DAYS} whole days.")
        self.start -= self.start % 86400
        if self.start < 0 or self.start + self.days * 86400 > LATEST:
            raise UsageError("the stream is not between the years 1970 and 2100")
        self.warmup = min(self.warmup, self.days * MINUTES // 2)

    @property
    def minutes(self) -> int:
        """Return the length of the feed in minutes."""
        return self.days * MINUTES

    def generator(self, *purpose: int) -> "np.random.Generator":
        """Return the random generator of a purpose. It depends only on the scenario, the seed and the purpose."""
        import numpy as np

        return np.random.default_rng([self.seed, zlib.crc32(self.name.encode()), *purpose])

    def weekday(self, day: int) -> int:
        """Return the day of the week (Monday is 0) of the feed's day number `day`."""
        return (self.start // 86400 + day + 3) % 7

    def day_of_month(self, day: int) -> int:
        """Return the day of the month (1 to 31) of the feed's day number `day`."""
        return datetime.fromtimestamp(self.start + day * 86400, UTC).day

    def spread(self, status: str, key: int = 0) -> float:
        """Return the variance of a count divided by its mean."""
        usual = self.dispersion.get(status, DISPERSION.get(status, DISPERSION_OF_OTHERS))
        return 1 + (usual - 1) * self.clustering.get(key, 1.0)

    def fill(self, volume: "Floats", shares: dict[str, float], key: int = 0) -> None:
        """Set the expected counts of one key: `volume` (transactions per minute), split by `shares`."""
        if len(self.keys) * len(self.statuses) * self.minutes > MOST_CELLS:
            most = MOST_CELLS // (len(self.keys) * len(self.statuses) * MINUTES)
            raise UsageError(f"--days {self.days} is too long for {len(self.keys)} keys. Use at most {most} days.")
        whole = sum(shares.values())
        for status in self.statuses:
            self.base[key, status] = volume * (shares[status] / whole)

    def mean(self, status: str, key: int = 0) -> "Floats":
        """Return the expected counts of a series, incidents included."""
        return self.changed.get((key, status), self.base[key, status])

    def alter(self, status: str, first: int, end: int, change: "Callable[[Floats], Floats]", key: int = 0) -> None:
        """Change the expected counts of a series in the minutes [first, end)."""
        row = self.changed.setdefault((key, status), self.base[key, status].copy())
        row[first:end] = change(row[first:end])

    def mark(
        self,
        kind: str,
        first: int,
        end: int,
        statuses: Sequence[str],
        affects: Sequence[str] = (),
        key: int | None = None,
    ) -> None:
        """Label the incident of the minutes [first, end)."""
        label = Mark(kind=kind, first=first, last=min(end, self.minutes) - 1, statuses=list(statuses))
        if affects:
            label["affects"] = list(affects)
        if key is not None:
            label["key"] = self.keys[key]
        self.marks.append(label)

    def trap(self, kind: str, first: int, end: int) -> None:
        """Note a trap in the minutes [first, end): a change that resembles an incident."""
        if first < self.minutes:
            self.traps.append(Mark(kind=kind, first=first, last=min(end, self.minutes) - 1))

    def counts(self) -> "Counts":
        """Draw the counts: an array of keys, statuses and minutes."""
        import numpy as np

        found = np.zeros((len(self.keys), len(self.statuses), self.minutes), dtype=np.int64)
        spreads = np.array([[self.spread(s, key) for s in self.statuses] for key in range(len(self.keys))])
        for day in range(self.days):
            span = slice(day * MINUTES, (day + 1) * MINUTES)
            means = np.array([[self.base[k, s][span] for s in self.statuses] for k in range(len(self.keys))])
            found[:, :, span] = negative_binomial(self.generator(3, day), means, spreads[:, :, None])
        for (key, status), row in self.changed.items():
            place = self.statuses.index(status)
            minutes = np.nonzero(row != self.base[key, status])[0]
            for day in np.unique(minutes // MINUTES).tolist():
                those = minutes[minutes // MINUTES == day]
                rng = self.generator(4, day, key, place)
                found[key, place, those] = negative_binomial(rng, row[those], spreads[key, place])
        return found if self.deliver is None else self.deliver(self, found)


def negative_binomial(rng: "np.random.Generator", mean: "Floats", spread: "Floats") -> "Counts":
    """Return counts with the given means and variance `spread` times the mean. A spread of 1 is Poisson."""
    import numpy as np

    scale = np.maximum(spread - 1, 1e-9)
    return rng.poisson(rng.gamma(mean / scale) * scale)


# shapes


def day_shape(rng: "np.random.Generator") -> "Floats":
    """Return a day's volume by minute as shares of the busiest minute: a night, a morning rise and a long evening."""
    import numpy as np

    shift, power = rng.normal(0, 0.7), rng.uniform(0.75, 1.25)
    hours = np.array(BY_HOUR) ** power * np.exp(rng.normal(0, 0.06, 24))
    shape = np.interp(np.arange(MINUTES) / 60 - shift, np.arange(24), hours, period=24)
    return _smooth(shape, 31)


def hump(centre: float, width: float) -> "Floats":
    """Return a bell curve over the day around the hour `centre`, `width` hours to each side. It wraps at midnight."""
    import numpy as np

    distance = np.abs(np.arange(MINUTES) / 60 - centre)
    bell: Floats = np.exp(-0.5 * (np.minimum(distance, 24 - distance) / width) ** 2)
    return bell


def volume(draft: Draft, level: float, shapes: "Sequence[Floats]", by_weekday: Sequence[float]) -> "Floats":
    """Return expected transactions by minute.

    level: transactions in the busiest minute. shapes: one per feed, or seven (Monday first). Days differ by about 3 %,
    and quarters of a day by another 2 %, as real days do.
    """
    import numpy as np

    whole = np.concatenate([
        shapes[draft.weekday(day) % len(shapes)] * by_weekday[draft.weekday(day)] for day in range(draft.days)
    ])  # fmt: skip
    knots = np.concatenate([
        draft.generator(1, day).normal(0, 0.03) + draft.generator(2, day).normal(0, 0.02, 4)
        for day in range(draft.days + 1)
    ])  # fmt: skip
    wander = np.exp(np.interp(np.arange(draft.minutes), np.arange(len(knots)) * (MINUTES / 4), knots))
    result: Floats = level * whole * wander
    return result


def mix(rng: "np.random.Generator") -> dict[str, float]:
    """Return the share of each status."""
    return {
        "approved": float(rng.uniform(0.85, 0.92)),
        "denied": float(rng.uniform(0.05, 0.12)),
        "failed": float(rng.uniform(0.002, 0.01)),
        "reversed": float(rng.uniform(0.003, 0.012)),
        "backend_reversed": float(rng.uniform(0.0005, 0.002)),
        "processing": float(rng.uniform(0.0005, 0.002)),
        "refunded": float(rng.uniform(0.002, 0.006)),
    }


def _smooth(x: "Floats", width: int) -> "Floats":
    import numpy as np

    half = width // 2
    smooth: Floats = np.convolve(np.concatenate([x[-half:], x, x[:half]]), np.ones(width) / width, "valid")
    smooth /= smooth.max()
    return smooth


# incidents

Placer = Callable[[Draft, int, "np.random.Generator"], None]  # adds an incident at a minute or soon after it


def rise(
    draft: Draft,
    status: str,
    first: int,
    length: int,
    rng: "np.random.Generator",
    strength: tuple[float, float] = (9, 18),
    least: float = 1.6,
    key: int | None = None,
    ramp: bool = False,
) -> None:
    """Let a status rise above normal.

    strength: range of the gain in standard deviations over the first quarter of an hour. least: smallest factor of the
    rise. A ramp ends at twice the rise.
    """
    import numpy as np

    at = 0 if key is None else key
    end = min(first + length, draft.minutes)
    window = min(15, length)
    usual = float(draft.mean(status, at)[first:end].mean()) * window
    extra = (
        max(rng.uniform(*strength) * max(draft.spread(status, at) * usual, 1.0) ** 0.5, (least - 1) * usual) / window
    )
    course = np.linspace(0, 2, end - first) if ramp else np.ones(end - first)
    draft.alter(status, first, end, lambda mean: mean + extra * course, at)
    draft.mark(f"{status.replace('_', ' ')} {'ramp' if ramp else 'rise'}", first, end, [status], key=key)


def loss(
    draft: Draft,
    first: int,
    length: int,
    rng: "np.random.Generator",
    part: tuple[float, float] = (0.4, 0.8),
    everything: bool = False,
    key: int | None = None,
) -> None:
    """Remove a share of the approvals, or of `everything`.

    The share grows if there are so few transactions that the loss could be chance, and the incident gets longer. If
    even 90 minutes would not show it, a rise of failures replaces it.
    """
    at = 0 if key is None else key
    mean = draft.mean("approved", at)
    spread = draft.spread("approved", at)
    strength = rng.uniform(10, 16)
    lost = float(rng.uniform(*part))
    while True:
        end = min(first + length, draft.minutes)
        usual = float(mean[first : min(end, first + 20 if length < 40 else end)].sum())
        needed = strength * (spread / usual) ** 0.5 if usual > 0 else 9.0
        if needed <= 1 or length >= 90:
            break
        length += 15
    if needed > 1:
        rise(draft, "failed", first, length, rng, key=key)
        return
    lost = max(lost, needed)
    fall(draft, first, end, 1 - lost, everything, key)


def fall(draft: Draft, first: int, end: int, left: float, everything: bool, key: int | None = None) -> None:
    """Leave only the share `left` of the approvals, or of `everything`, in the minutes [first, end)."""
    at = 0 if key is None else key
    for status in draft.statuses if everything else ("approved",):
        draft.alter(status, first, end, lambda mean: mean * left, at)
    kind = "outage" if everything and left < 0.1 else "volume loss" if everything else "approved loss"
    affects = [*draft.statuses, TOTAL] if everything else []
    caught = [*draft.statuses, TOTAL] if everything and left == 0 else ["approved", TOTAL]
    draft.mark(kind, first, end, caught, affects if affects != caught else [], key)


def denied_rise(draft: Draft, at: int, rng: "np.random.Generator") -> None:
    """Let denials rise for 15 to 45 minutes."""
    rise(draft, "denied", at, int(rng.integers(15, 46)), rng)


def denied_ramp(draft: Draft, at: int, rng: "np.random.Generator") -> None:
    """Let denials climb steadily for 40 to 80 minutes."""
    rise(draft, "denied", at, int(rng.integers(40, 81)), rng, ramp=True)


def failed_rise(draft: Draft, at: int, rng: "np.random.Generator") -> None:
    """Let failures rise for 10 to 40 minutes."""
    rise(draft, "failed", at, int(rng.integers(10, 41)), rng)


def reversed_rise(draft: Draft, at: int, rng: "np.random.Generator") -> None:
    """Let reversals rise for 10 to 40 minutes."""
    rise(draft, "reversed", at, int(rng.integers(10, 41)), rng)


def approved_loss(draft: Draft, at: int, rng: "np.random.Generator") -> None:
    """Remove a share of the approvals for 20 to 60 minutes."""
    loss(draft, at, int(rng.integers(20, 61)), rng)


def volume_loss(draft: Draft, at: int, rng: "np.random.Generator") -> None:
    """Remove a share of all transactions for 20 to 60 minutes."""
    loss(draft, at, int(rng.integers(20, 61)), rng, everything=True)


def outage(draft: Draft, at: int, rng: "np.random.Generator") -> None:
    """Remove all transactions for 12 to 40 minutes."""
    loss(draft, at, int(rng.integers(12, 41)), rng, part=(1.0, 1.0), everything=True)


COMMON: Final[tuple[Placer, ...]] = (
    denied_rise, failed_rise, reversed_rise, approved_loss, volume_loss, outage, denied_ramp,
)  # fmt: skip


def place(
    draft: Draft,
    a_day: int,
    placers: Sequence[Placer] = COMMON,
    hours: tuple[float, float] = (0, 24),
    on: Callable[[int], bool] = lambda day: True,
) -> None:
    """Place `a_day` incidents on every day after the warm-up, each in its own part of the given hours.

    The parts separate the incidents of one day. on: whether a day (by number) has incidents.
    """
    if draft.clean:
        return
    for day in range(-(-draft.warmup // MINUTES), draft.days):
        rng = draft.generator(5, day)
        slot = (hours[1] - hours[0]) * 60 / a_day
        for number in range(a_day):
            low = day * MINUTES + hours[0] * 60 + number * slot
            at = round(low + rng.uniform(0.05, 0.55) * slot)
            placer = placers[int(rng.integers(len(placers)))]
            if on(day):
                placer(draft, at, rng)

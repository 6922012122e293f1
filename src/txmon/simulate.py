"""A labelled stream of transactions: a day's shape, seven statuses, noise, and incidents where one asks for them."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil
from typing import TYPE_CHECKING, Final

from .errors import UsageError
from .values import DAY, seconds

if TYPE_CHECKING:
    import numpy as np

SHARES: Final = {
    "approved": 1.0, "denied": 0.1, "failed": 0.0006, "reversed": 0.009, "backend_reversed": 0.001,
    "processing": 0.0006, "refunded": 0.0035,
}  # fmt: skip
DISPERSION: Final = {"approved": 1.5, "denied": 1.3}  # variance over mean; 1.05 for the others
# the share of the peak at each hour, the next hour's reached in a straight line: quiet nights, a steep morning, a lunch
# dip, an evening that fades
HOURS: Final = (
    0.02, 0.01, 0.006, 0.005, 0.006, 0.015, 0.06, 0.2, 0.48, 0.76, 0.93, 0.97,
    0.82, 0.76, 0.84, 0.93, 1.0, 0.98, 0.85, 0.62, 0.44, 0.3, 0.16, 0.06,
)  # fmt: skip
WEEKEND: Final = 0.7
MINUTE: Final = 60
EXAMPLE: Final = "denied:x3@14:00/20m"
_SPEC = re.compile(
    r"(?P<what>[^:@]+)(?::(?P<change>(?:ramp)?x|\+)(?P<amount>\d+(?:\.\d+)?))?"
    r"@(?:d(?P<day>\d+),)?(?P<at>[^/]+)/(?P<length>.+)"
)


@dataclass(frozen=True, slots=True)
class Injection:
    """A change of the counts of one status (`*`: all) for some time."""

    what: str  # the status, "silence" or "sale"
    change: str  # "x" times, "+" plus so many a minute, "rampx" climbing to so many times
    amount: float
    day: int | None  # days after the first one; None when `start` is absolute
    start: int  # seconds after midnight, or epoch seconds
    length: int  # seconds

    def span(self, first_midnight: int) -> tuple[int, int]:
        """Its start and end, epoch seconds, when the first day began at `first_midnight`."""
        start = self.start if self.day is None else first_midnight + self.day * DAY + self.start
        return start, start + self.length

    def touches(self, status: str) -> bool:
        """Whether it changes `status`."""
        return self.what in (status, "*", "silence", "sale")

    def changed(self, mean: float, elapsed: int) -> float:
        """`mean` transactions a minute, `elapsed` seconds after its start."""
        if self.what == "silence":
            return 0.0
        if self.change == "+":
            return mean + self.amount
        if self.change == "rampx":
            return mean * (1.0 + (self.amount - 1.0) * elapsed / self.length)
        return mean * self.amount


def parse_injection(text: str) -> Injection:
    """`denied:x3@14:00/20m` and its kin; UsageError says what is wrong with another text.

    STATUS:xN multiplies, STATUS:+N adds N a minute, STATUS:rampxN climbs to N times; `*` is every status, `silence`
    takes no change, `sale:xN` raises all alike and is no incident. The start is HH:MM on the first day, `dN,HH:MM` on
    the Nth after it, or a full ISO time (UTC without a zone); the length is a duration.
    """
    match = _SPEC.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"{text!r} is no incident like {EXAMPLE}")
    what = match["what"].strip().lower()
    if (match["change"] is None) != (what == "silence"):
        needs = "takes no change" if what == "silence" else "needs a change like x3, +5 or rampx3"
        raise UsageError(f"{text!r}: {what!r} {needs} (for example {EXAMPLE})")
    try:
        length = seconds(match["length"])
    except ValueError as bad:
        raise UsageError(f"{text!r}: {bad}") from None
    if length <= 0:
        raise UsageError(f"{text!r}: it lasts no time")
    at = match["at"].strip()
    day: int | None = int(match["day"] or 0)
    clock = re.fullmatch(r"(\d{1,2}):(\d{2})", at)
    if clock and int(clock[1]) < 24 and int(clock[2]) < 60:
        start = int(clock[1]) * 3600 + int(clock[2]) * 60
    else:
        try:
            moment = datetime.fromisoformat(at)
        except ValueError:
            raise UsageError(f"{text!r}: {at!r} is no time like 14:00 or 2026-03-02T14:00") from None
        start = int(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp())
        day = None
    return Injection(what, match["change"] or "", float(match["amount"] or 0), day, start, length)


@dataclass(frozen=True, slots=True)
class Simulation:
    """What to simulate."""

    start: int  # epoch seconds, on a minute
    days: float = 1.0
    peak: float = 200.0  # approved transactions a minute in the busiest hour of a weekday
    seed: int = 0
    injections: tuple[Injection, ...] = ()

    def minutes(self) -> Iterator[tuple[int, dict[str, int]]]:
        """Each minute's start and its counts by status, zeros among them. The same for the same seed."""
        import numpy as np

        rng = np.random.default_rng(self.seed)
        for time in range(self.start, self.start + ceil(self.days * DAY), MINUTE):
            yield time, {status: self._count(rng, status, time) for status in SHARES}

    def _count(self, rng: "np.random.Generator", status: str, time: int) -> int:
        mean = self.mean(status, time)
        dispersion = DISPERSION.get(status, 1.05)
        # a gamma mixture of Poissons: negative binomial with variance dispersion * mean
        rate = rng.gamma(max(mean, 1e-9) / (dispersion - 1.0), dispersion - 1.0)
        return int(rng.poisson(rate)) if mean > 0.0 else 0

    def mean(self, status: str, time: int) -> float:
        """Transactions expected in the minute at `time`."""
        second = time % DAY
        hour, part = divmod(second, 3600)
        here, following = HOURS[hour], HOURS[(hour + 1) % 24]
        weekend = WEEKEND if (time // DAY + 3) % 7 >= 5 else 1.0  # 1970-01-01 was a Thursday
        mean = self.peak * SHARES[status] * weekend * (here + (following - here) * part / 3600)
        for injection in self.injections:
            begin, end = injection.span(self.start - self.start % DAY)
            if begin <= time < end and injection.touches(status):
                mean = injection.changed(mean, time - begin)
        return mean

    def labels(self) -> dict[str, object]:
        """The incidents and traps as ../shared/bench/score.py and `txmon evaluate` read them."""
        rows: dict[str, list[dict[str, object]]] = {"incidents": [], "traps": []}
        for injection in sorted(self.injections, key=lambda i: i.span(self.start)):
            begin, end = injection.span(self.start - self.start % DAY)
            row: dict[str, object] = {"kind": _kind(injection)}
            if injection.what != "sale":
                row["statuses"] = _labelled(injection)
            row |= {"start": _iso(begin), "end": _iso(end - 1)}
            rows["traps" if injection.what == "sale" else "incidents"].append(row)
        return {"warmup": _iso(self.start + 7 * 3600), **rows}


def _kind(injection: Injection) -> str:
    if injection.what in ("silence", "sale"):
        return injection.what
    name = {"x": "step", "+": "burst", "rampx": "ramp"}[injection.change]
    if injection.amount < 1 and injection.change == "x":
        name = "dip"
    return name if injection.what == "*" else f"{injection.what} {name}"


def _labelled(injection: Injection) -> Sequence[str]:
    if injection.what == "silence":
        return [*SHARES, "*"]
    return ["approved", "*"] if injection.what == "*" else [injection.what]


def _iso(seconds_: int) -> str:
    return datetime.fromtimestamp(seconds_, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def minute_lines(time: int, counts: dict[str, int], form: str) -> list[str]:
    """A minute's rows as CSV or JSON lines; a status without transactions has none."""
    stamp = _iso(time)
    if form == "csv":
        return [f"{stamp},{status},{count}\n" for status, count in counts.items() if count]
    return [
        f'{{"time": "{stamp}", "status": "{status}", "count": {count}}}\n' for status, count in counts.items() if count
    ]


def event_lines(time: int, counts: dict[str, int], form: str, merchants: int, seed: int) -> list[str]:
    """A minute's transactions one by one, in order of time, each with an id and one of `merchants` merchants."""
    import numpy as np

    rng = np.random.default_rng((seed, time))
    statuses = [status for status, count in counts.items() for _ in range(count)]
    offsets = np.sort(rng.integers(0, MINUTE, len(statuses)))
    # a few merchants take most of the volume: Zipf's law
    weights = 1.0 / np.arange(1, merchants + 1)
    chosen = rng.choice(merchants, len(statuses), p=weights / weights.sum())
    order = rng.permutation(len(statuses))
    lines = []
    for n, (offset, merchant, which) in enumerate(zip(offsets, chosen, order, strict=True)):
        stamp, status, identity = _iso(time + int(offset)), statuses[which], f"t{time // MINUTE:x}-{n}"
        if form == "csv":
            lines.append(f"{stamp},{status},m{merchant + 1},{identity}\n")
        else:
            lines.append(
                f'{{"time": "{stamp}", "status": "{status}", "merchant": "m{merchant + 1}", "id": "{identity}"}}\n'
            )
    return lines

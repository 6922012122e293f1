"""Simulates a stream of transactions of a payments team, with incidents at known times and their labels.

Counts are negative binomial around the profile of a day and a week. Every day, and every bucket that an incident
changes, draws from its own seeded generator. A day is therefore the same in a longer stream, an incident leaves all
other buckets unchanged, and memory does not grow with the days.
"""

from collections.abc import Callable, Iterable, Iterator
from math import isfinite
from typing import TYPE_CHECKING, NamedTuple

from txmon.errors import UsageError
from txmon.evaluation.incident_spec import DAY, EVERY, Change, IncidentSpec, changed_mean, resolve
from txmon.model.clock import iso
from txmon.support.frozen import frozen
from txmon.support.suggest import nearest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SHARES = {  # of all transactions
    "approved": 0.8838,
    "denied": 0.10,
    "failed": 0.0005,
    "reversed": 0.01,
    "backend_reversed": 0.001,
    "processing": 0.0007,
    "refunded": 0.004,
}
STATUSES = tuple(SHARES)
DISPERSION = {"approved": 1.5, "denied": 1.3}  # variance divided by mean
DISPERSION_OF_OTHERS = 1.1
BY_HOUR = (  # share of the busiest minute, at each full hour
    .13, .075, .045, .03, .025, .035, .09, .27, .52, .74, .88, .94,
    .86, .77, .84, .94, 1, .985, .92, .82, .68, .5, .33, .21,
)  # fmt: skip
BUSIEST_HOUR = 16
BY_WEEKDAY = (0.97, 0.94, 0.95, 0.97, 1.0, 0.8, 0.63)  # Monday first; share of the busiest weekday, at the busiest hour
MOST_PEAK = 1e6  # transactions per minute
MOST_MEAN = 1e8  # transactions per bucket, whatever the factors of the incidents are
WARMUP = 7 * 3600  # seconds; a quarter of a stream that is shorter than 28 h
LATEST = 4133894400  # 2100-12-31, the last day that txmon reads


class Bucket(NamedTuple):
    """The transactions of one bucket as (status, count), without zeros."""

    begin: int  # epoch seconds
    counts: tuple[tuple[str, int], ...]


class Batch(NamedTuple):
    """Text that is complete once event time reaches `due` (epoch seconds)."""

    due: int
    text: str


@frozen
class Simulation:
    """A simulated stream. Equal values produce equal transactions. Raise UsageError if a value is out of range."""

    start: int  # epoch seconds, floored to a whole bucket
    days: float = 1.0  # above 0
    peak: float = 200.0  # approved transactions per minute in the busiest hour of the week, without incidents
    seed: int = 0  # not negative
    width: int = 60  # seconds; divides a day
    incidents: tuple[IncidentSpec, ...] = ()

    def __post_init__(self) -> None:
        if self.width < 1 or DAY % self.width:
            raise UsageError(f"a bucket of {self.width} s does not divide a day evenly. Use for example 1m, 5m or 10m.")
        if not 0 < self.peak <= MOST_PEAK:
            raise UsageError(f"a peak of {self.peak:g} is not above 0 and at most {MOST_PEAK:.0f} a minute")
        if not (isfinite(self.days) and self.days > 0):
            raise UsageError(f"{self.days:g} days is not valid. Use a number above 0.")
        if self.seed < 0:
            raise UsageError(f"seed {self.seed} is below 0")
        object.__setattr__(self, "start", self.start - self.start % self.width)
        if self.start < 0 or self.start + self.days * DAY > LATEST:
            raise UsageError("the stream is not between the years 1970 and 2100")
        for spec in self.incidents:
            self._check(spec)

    def _check(self, spec: IncidentSpec) -> None:
        if spec.status not in (EVERY, *STATUSES):
            raise UsageError(
                f"incident {spec.text!r}: {spec.status!r} is not one of {', '.join(STATUSES)}, *, silence, sale"
                f"{nearest(spec.status, (*STATUSES, 'silence', 'sale'))}"
            )
        begin, end = resolve(spec, self.start)
        if end <= self.start or begin >= self.end:
            raise UsageError(
                f"incident {spec.text!r} lies outside the stream, which is from {iso(self.start)} to {iso(self.end)}"
            )

    @property
    def end(self) -> int:
        """Return the end of the last bucket, epoch seconds."""
        return self.start + max(1, round(self.days * DAY / self.width)) * self.width

    def buckets(self) -> Iterator[Bucket]:
        """Yield all buckets in order, including silent ones."""
        spans = self.spans()
        for day in range(self.start // DAY, (self.end - 1) // DAY + 1):
            means, counts = self._clean_day(day)
            for column in range(DAY // self.width):
                begin = day * DAY + column * self.width
                if not self.start <= begin < self.end:
                    continue
                row = [int(count) for count in counts[:, column]]
                if any(low < begin + self.width and begin < high for _, (low, high) in spans):
                    row = self._changed(begin, [float(mean) for mean in means[:, column]], row, spans)
                yield Bucket(begin, tuple((s, n) for s, n in zip(STATUSES, row, strict=True) if n))

    def spans(self) -> tuple[tuple[IncidentSpec, tuple[int, int]], ...]:
        """Return every incident with its [start, end). Silence is last, because nothing may be added to it."""
        ordered = sorted(self.incidents, key=lambda spec: spec.change is Change.SILENCE)
        return tuple((spec, resolve(spec, self.start)) for spec in ordered)

    def mean(self, begin: int, status: str) -> float:
        """Return the mean count of `status` in the bucket at `begin` (epoch seconds) without incidents."""
        import numpy as np

        share = SHARES[status] / SHARES["approved"]
        return self.peak * self.width / 60 * share * float(profile(np.array([begin + self.width / 2]))[0])

    def _clean_day(self, day: int) -> "tuple[NDArray[np.float64], NDArray[np.int64]]":
        """Return means and counts (status x bucket) of the whole day (number `day` since 1970) without incidents."""
        import numpy as np

        rng = np.random.default_rng([self.seed, day])
        moments = np.arange(day * DAY, (day + 1) * DAY, self.width, dtype=np.float64) + self.width / 2
        approved = self.peak * self.width / 60 * profile(moments)
        shares = np.array(list(SHARES.values())) / SHARES["approved"]
        means = shares[:, None] * approved[None, :]
        return means, _negative_binomial(rng, means, _dispersions()[:, None])

    def _changed(
        self, begin: int, means: list[float], counts: list[int], spans: tuple[tuple[IncidentSpec, tuple[int, int]], ...]
    ) -> list[int]:
        """Return the counts of one bucket, drawn again for a status whose mean an incident changes."""
        import numpy as np

        changed = [changed_all(spans, begin, s, mean, self.width) for s, mean in zip(STATUSES, means, strict=True)]
        if max(changed) > MOST_MEAN:
            raise UsageError(f"the incidents at {iso(begin)} come to more than {MOST_MEAN:.0f} transactions")
        rng = np.random.default_rng([self.seed, begin, 1])
        again = _negative_binomial(rng, np.array(changed), _dispersions())
        return [old if new == was else int(draw)
                for old, was, new, draw in zip(counts, means, changed, again, strict=True)]  # fmt: skip


def profile(moments: "NDArray[np.float64]") -> "NDArray[np.float64]":
    """Return the volume at epoch seconds, as a share (0 to 1) of the busiest minute of the week."""
    import numpy as np

    hour = moments / 3600 % 24
    weekday = (moments / DAY + 3 - BUSIEST_HOUR / 24) % 7  # 1970 began on a Thursday
    by_hour = np.interp(hour, np.arange(24), BY_HOUR, period=24)
    by_weekday = np.interp(weekday, np.arange(7), BY_WEEKDAY, period=7)  # without a step at midnight
    product: NDArray[np.float64] = by_hour * by_weekday
    return product


def changed_all(
    spans: Iterable[tuple[IncidentSpec, tuple[int, int]]], begin: int, status: str, mean: float, width: int
) -> float:
    """Return the mean of a bucket after applying every incident in turn."""
    for spec, span in spans:
        mean = changed_mean(spec, span, begin, status, mean, width)
    return mean


def paced(
    batches: Iterable[Batch],
    first: int,
    began: float,
    speed: float,
    clock: Callable[[], float],
    sleep: Callable[[float], object],
) -> Iterator[Batch]:
    """Yield the batches at their due times, `speed` simulated seconds per second.

    The stream's moment `first` (epoch seconds) corresponds to the clock's `began`. A late batch is yielded at once.
    """
    for batch in batches:
        wait = began + (batch.due - first) / speed - clock()
        if wait > 0:
            sleep(wait)
        yield batch


def _dispersions() -> "NDArray[np.float64]":
    import numpy as np

    return np.array([DISPERSION.get(status, DISPERSION_OF_OTHERS) for status in STATUSES])


def _negative_binomial(
    rng: "np.random.Generator", mean: "NDArray[np.float64]", dispersion: "NDArray[np.float64]"
) -> "NDArray[np.int64]":
    """Return counts with mean `mean` and variance dispersion * mean: Poisson with a gamma distributed mean."""
    scale = dispersion - 1
    return rng.poisson(rng.gamma(mean / scale) * scale)

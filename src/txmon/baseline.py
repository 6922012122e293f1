"""What is normal for one series: a discounted level, a MAD dispersion, and the sums that are judged against them.

Plain typed Python on scalars: mypyc compiles this module when a wheel is built, and the same source runs interpreted
where there is no compiler. Nothing here knows of statuses, clocks or verdicts.

Counts are modelled as a discounted gamma-Poisson process (Smith 1979; West & Harrison 1997, ch. 10.8): `events` seen
over `exposure`, both forgotten at the same rate, so that `events / exposure` is an EWMA whose gain is 1/n at first and
1 - discount later, and `events` is how much evidence stands behind it.
"""

from math import exp, log, sqrt
from typing import Final

from mypy_extensions import mypyc_attr

NORMAL_MAD: Final = 0.6744897501960817  # median of |Z| for a standard normal Z
CLIP: Final = 2.5  # innovations beyond this many standard deviations teach no more than this
BLOCK: Final = 8.0  # transactions expected before a residual is worth a look: below, a median is all discreteness
MAD_GAIN: Final = 0.03  # how far one residual moves the median; its memory is about 1/gain residuals
MIN_DISPERSION: Final = 1.1  # a little over a Poisson's, which no real feed keeps to
MAX_DISPERSION: Final = 400.0
PRIOR_EVENTS: Final = 0.5  # Jeffreys' prior for a Poisson rate: a series without events is rare, not impossible
LEAST_EVIDENCE: Final = 10.0  # events that no silence takes from a level
SLOPE_DAMPING: Final = 0.995  # a bucket: a trend that nothing confirms is gone in hours
MAX_SLOPE: Final = 0.02
MAX_INNOVATION: Final = 0.3  # of the level: a shop that opens is a step, not a slope that goes on
SNAPSHOT_LENGTH: Final = 39
WINDOWS: Final = (1, 5, 15)  # buckets summed

Ring = tuple[
    float, float, float, float, float, float, float, float, float, float, float, float, float, float, float
]  # fixed, so that mypyc keeps it unboxed: newest first


def empty_ring() -> Ring:
    """A ring of zeros; a function, since mypyc takes a constant of unboxed floats for one never set."""
    return (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


def push(ring: Ring, value: float) -> Ring:
    """`ring` with `value` as its newest entry and the oldest dropped."""
    a, b, c, d, e, f, g, h, i, j, k, m, n, o, _ = ring
    return (value, a, b, c, d, e, f, g, h, i, j, k, m, n, o)


def sum5(ring: Ring) -> float:
    """The sum of the five newest entries."""
    return ring[0] + ring[1] + ring[2] + ring[3] + ring[4]


def sum15(ring: Ring) -> float:
    """The sum of all fifteen entries."""
    return rest15(sum5(ring), ring)


def rest15(newest: float, ring: Ring) -> float:
    """The same, given the sum of the five newest."""
    newer = newest + ring[5] + ring[6] + ring[7] + ring[8] + ring[9]
    return newer + ring[10] + ring[11] + ring[12] + ring[13] + ring[14]


@mypyc_attr(acyclic=True)
class Baseline:
    """The learned normal of one series and its last fifteen buckets, in about 400 bytes.

    `exposure` is what the events are counted over: buckets for a volume, transactions for a status's share of them.
    """

    __slots__ = (
        "alerting",
        "block_count",
        "block_mean",
        "counts",
        "discount",
        "events",
        "expectations",
        "exposure",
        "median",
        "slope",
        "trend_gain",
    )  # fmt: skip

    def __init__(self, discount: float, trend_gain: float = 0.0) -> None:
        """A baseline that forgets at `discount` a bucket (0 < discount < 1) and knows nothing yet.

        trend_gain: what of an innovation moves the slope of the level, 0..1; 0 keeps the level flat.
        """
        self.discount = discount
        self.trend_gain = trend_gain
        self.slope = 0.0  # of the level, as a share of it a bucket
        self.events = 0.0
        self.exposure = 0.0
        self.median = NORMAL_MAD  # of the absolute Pearson residuals
        self.block_count = 0.0
        self.block_mean = 0.0
        self.counts: Ring = empty_ring()
        self.expectations: Ring = empty_ring()
        self.alerting = 0  # buckets since the series last was quiet, 0 when it is

    def rate(self) -> float:
        """Events expected for an exposure of one; 0 before anything was learned."""
        return (self.events + PRIOR_EVENTS) / self.exposure if self.exposure > 0.0 else 0.0

    def dispersion(self) -> float:
        """Variance over mean (>= 1), from the median absolute Pearson residual."""
        scale = self.median / NORMAL_MAD
        return min(MAX_DISPERSION, max(MIN_DISPERSION, scale * scale))

    def excess(self, mean: float) -> float:
        """Squared relative error of a count with this mean: overdispersion, and the level's own uncertainty."""
        return (self.dispersion() - 1.0) / mean + self.doubt()

    def doubt(self) -> float:
        """Squared relative error of the level itself: less, the more events are behind it."""
        return 1.0 / (self.events + PRIOR_EVENTS)

    def grow(self, factor: float) -> None:
        """Move the level to `factor` times what it was: the season says that this is due."""
        self.events *= factor

    def forget(self) -> None:
        """Let a bucket pass that teaches nothing: the level stays, and less evidence stands behind it.

        So much is left that an empty bucket remains improbable where transactions were due: silence goes on.
        """
        if self.events > LEAST_EVIDENCE:
            rate = self.rate()
            self.events = max(LEAST_EVIDENCE, self.events * self.discount)
            # not the exposure times the discount: the prior's events would be over less and less of it
            self.exposure = (self.events + PRIOR_EVENTS) / rate

    def learn(self, count: float, exposure: float, weight: float = 1.0, warm: bool = True) -> None:
        """Move the level and the dispersion towards `count` events over `exposure`; `weight` 0..1 slows both."""
        if exposure <= 0.0:
            return
        if self.exposure > 0.0:
            mean = self.rate() * exposure
            if warm:
                self._learn_dispersion(count, mean, weight)
            reach = CLIP * sqrt(mean + self.excess(mean) * mean * mean) + 1.0  # one event is never an outlier
            count = min(mean + reach, max(mean - reach, count))
            if self.trend_gain > 0.0:
                self._learn_slope((count - mean) / (mean + 1.0), weight)
        keep = self.discount if weight == 1.0 else exp(log(self.discount) * weight)
        self.events = keep * self.events + weight * count
        self.exposure = keep * self.exposure + weight * exposure
        if self.slope != 0.0:
            self.events *= 1.0 + self.slope

    def _learn_slope(self, innovation: float, weight: float) -> None:
        """Holt's second smoothing (1957), damped, on the innovation as a share of the level."""
        innovation = min(MAX_INNOVATION, max(-MAX_INNOVATION, innovation))
        slope = SLOPE_DAMPING * self.slope + self.trend_gain * weight * innovation
        self.slope = min(MAX_SLOPE, max(-MAX_SLOPE, slope))

    def _learn_dispersion(self, count: float, mean: float, weight: float) -> None:
        """Step the running median of the absolute residuals, a block of enough expected transactions at a time."""
        self.block_count += count
        self.block_mean += mean
        if self.block_mean < BLOCK:
            return
        residual = abs(self.block_count - self.block_mean) / sqrt(self.block_mean)
        step = MAD_GAIN * weight
        self.median *= 1.0 + step if residual > self.median else 1.0 / (1.0 + step)
        self.block_count = 0.0
        self.block_mean = 0.0

    def observe(self, count: float, expected: float) -> None:
        """Add a bucket to the windows."""
        self.counts = push(self.counts, count)
        self.expectations = push(self.expectations, expected)

    def restart_windows(self) -> None:
        """Forget all but the newest bucket: what an ended incident left must not be judged again."""
        self.counts = push(empty_ring(), self.counts[0])
        self.expectations = push(empty_ring(), self.expectations[0])

    def clear_windows(self) -> None:
        """Forget all buckets."""
        self.counts = empty_ring()
        self.expectations = empty_ring()

    def accept_level(self) -> None:
        """Take what the windows hold for the new normal, and end the episode."""
        exposure = sum15(self.expectations) / self.rate()
        self.events = sum15(self.counts)
        self.exposure = exposure
        self.slope = 0.0
        self.alerting = 0
        self.restart_windows()

    def known(self) -> tuple[float, float, float, float]:
        """What was learned, without the windows: for `recall`."""
        return (self.events, self.exposure, self.median, self.slope)

    def recall(self, known: tuple[float, float, float, float]) -> None:
        """Know again what `known` gave, and nothing that came after."""
        self.events, self.exposure, self.median, self.slope = known

    def snapshot(self) -> list[float]:
        """All of the state as plain numbers, for `restore`."""
        scalars = [
            self.discount, self.trend_gain, self.slope, self.events, self.exposure, self.median,
            self.block_count, self.block_mean, float(self.alerting),
        ]  # fmt: skip
        return [*scalars, *self.counts, *self.expectations]

    @staticmethod
    def restore(state: list[float]) -> "Baseline":
        """The baseline whose `snapshot` was `state`; ValueError when it cannot be one."""
        if len(state) != SNAPSHOT_LENGTH:
            raise ValueError(f"a baseline has {SNAPSHOT_LENGTH} numbers, not {len(state)}")
        baseline = Baseline(state[0], state[1])
        baseline.slope, baseline.events, baseline.exposure, baseline.median = state[2:6]
        baseline.block_count, baseline.block_mean, alerting = state[6:9]
        baseline.alerting = int(alerting)
        baseline.counts = _ring(state[9:24])
        baseline.expectations = _ring(state[24:39])
        return baseline


def _ring(values: list[float]) -> Ring:
    ring = empty_ring()
    for value in reversed(values):
        ring = push(ring, value)
    return ring

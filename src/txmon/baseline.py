"""What is normal for one series: a discounted level, a MAD dispersion, and the sums that are judged against them.

Plain typed Python on scalars: mypyc compiles this module when a wheel is built, and the same source runs interpreted
where there is no compiler. Nothing here knows of statuses, clocks or verdicts.

Counts are modelled as a discounted gamma-Poisson process (Smith 1979; West & Harrison 1997, ch. 10.8): `events` seen
over `exposure`, both forgotten at the same rate, so that `events / exposure` is an EWMA whose gain is 1/n at first and
1 - discount later, and `events` is how much evidence stands behind it.
"""

from math import ceil, exp, floor, log, sqrt
from typing import Final

NORMAL_MAD: Final = 0.6744897501960817  # median of |Z| for a standard normal Z
CLIP: Final = 2.5  # innovations beyond this many standard deviations teach no more than this
BLOCK: Final = 8.0  # transactions expected before a residual is worth a look: below, a median is all discreteness
MAD_GAIN: Final = 0.03  # how far one residual moves the median; its memory is about 1/gain residuals
MIN_DISPERSION: Final = 1.1  # a little over a Poisson's, which no real feed keeps to
MAX_DISPERSION: Final = 400.0
PRIOR_EVENTS: Final = 0.5  # Jeffreys' prior for a Poisson rate: a series without events is rare, not impossible
LEAST_EVIDENCE: Final = 10.0  # events that no silence takes from a level
NEWTON_STEPS: Final = 3
LEAST_BASE: Final = 0.5  # of a quantile's cube root, for such a guess
GUESSES: Final = 3  # at a limit before its steps are taken after all
SURE: Final = 0.05  # of a score, as near as count_limit's steps come to it; where the spread is
NARROW: Final = 0.6  # at most this part of the mean up to the limit, they come as near as
SURER: Final = 1e-3
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
    newer = sum5(ring) + ring[5] + ring[6] + ring[7] + ring[8] + ring[9]
    return newer + ring[10] + ring[11] + ring[12] + ring[13] + ring[14]


def count_score(count: float, mean: float, excess: float) -> float:
    """How many sigmas `count` lies from `mean`: positive above, negative below, 0 within half a count of it.

    The normal quantile of the tail probability P(Y >= count) above the mean, P(Y <= count) below it, for a negative
    binomial Y with that mean and variance mean + excess * mean**2 (Poisson at excess = 0). It is the signed root of
    the deviance with the saddlepoint's correction, r* = r + log(u / r) / r with u the Pearson residual, both taken
    half a count towards the mean (Lugannani & Rice 1980; Daniels 1987, section 6). Within 0.06 sigma of the exact
    tail from 1.5 sigma on (tests/test_baseline.py), and it keeps growing where probabilities underflow.

    count: >= 0. mean: > 0. excess: >= 0, the squared relative error of the mean (1 / shape of its gamma mixture).
    """
    if count > mean + 0.5:
        y = count - 0.5
    elif count < mean - 0.5:
        y = count + 0.5
    else:
        return 0.0
    pearson = (y - mean) / sqrt(mean + excess * mean * mean)
    ratio = y / mean
    if excess * mean < 1e-9:
        deviance = 2.0 * (y * log(ratio) - (y - mean))
    else:
        shape = 1.0 / excess
        deviance = 2.0 * (y * log(ratio) - (y + shape) * log((y + shape) / (mean + shape)))
    if deviance < 1e-4:  # r* is 0/0 at the mean; there the Pearson residual is as good
        return pearson
    root = sqrt(deviance)
    if y > mean:
        return root + log(pearson / root) / root
    # a skewed count is below its mean more often than not: that is not being above it
    return min(0.0, -root - log(-pearson / root) / root)


def count_limit(mean: float, excess: float, sigma: float) -> float:
    """The last whole count before one scores `sigma` or more: an end of the normal interval, >= 0.

    sigma: positive for the upper end, negative for the lower one, which is 0 where even no event at all scores less.
    Starts from the cube-root quantile of a gamma count (Wilson & Hilferty 1931), then takes Newton steps.
    """
    upper = sigma > 0.0
    if not upper and count_score(0.0, mean, excess) > sigma:
        return 0.0
    relative = 1.0 / mean + excess  # squared coefficient of variation
    base = 1.0 - relative / 9.0 + sigma * sqrt(relative) / 3.0
    count = mean * base * base * base if base > 0.0 else 0.0
    count = max(count, mean + 1.0) if upper else max(0.0, min(count, mean - 1.0))
    for _ in range(NEWTON_STEPS):
        here = count_score(count, mean, excess)
        away = count_score(count + 1.0, mean, excess) if upper else -count_score(max(0.0, count - 1.0), mean, excess)
        slope = max(away - abs(here), 1e-3)
        step = (abs(sigma) - abs(here)) / slope
        count = max(mean + 0.6, count + step) if upper else max(0.0, min(mean - 0.6, count - step))
    if (
        abs(count_score(count, mean, excess) - sigma) > 0.05
    ):  # far from normal: Newton's line does not fit, halving does
        count = _bisect(mean, excess, sigma, mean if upper else 0.0, max(mean, 1.0) * 1e6 if upper else mean)
    return ceil(count - 1e-9) - 1.0 if upper else floor(count + 1e-9) + 1.0


def limit_above(mean: float, excess: float, sigma: float, least: float) -> float:
    """The greater of `least` and `count_limit`, which is asked only where a few scores do not settle it.

    There is an interval for every verdict, and count_limit takes a dozen scores.
    """
    spread = sigma * sqrt(1.0 / mean + excess)
    sure = SURER if spread < NARROW else SURE
    base = 1.0 - (1.0 / mean + excess) / 9.0 + spread / 3.0  # as in count_limit
    if base <= LEAST_BASE:  # so skewed that scores need not even rise with the count
        return max(least, count_limit(mean, excess, sigma))
    if count_score(least + 1.0, mean, excess) >= sigma + sure:
        return least
    guess = max(least + 1.0, ceil(mean * base * base * base) - 1.0)
    for _ in range(GUESSES):
        here, away = count_score(guess, mean, excess), count_score(guess + 1.0, mean, excess)
        if here <= sigma - sure and away >= sigma + sure:
            return guess
        guess = max(least + 1.0, guess + floor((sigma - here) / max(away - here, 1e-3)))
    return max(least, count_limit(mean, excess, sigma))


def limit_below(mean: float, excess: float, sigma: float, most: float) -> float:
    """The less of `most` and `count_limit` (sigma < 0), likewise; 0 where even no event at all is normal."""
    if most <= 0.0:
        return 0.0
    spread = -sigma * sqrt(1.0 / mean + excess)
    sure = SURER if spread < NARROW else SURE
    if count_score(most - 1.0, mean, excess) <= sigma - sure:
        return most
    if count_score(0.0, mean, excess) > sigma:
        return 0.0
    base = 1.0 - (1.0 / mean + excess) / 9.0 - spread / 3.0
    guess = max(1.0, min(most - 1.0, floor(mean * base * base * base) + 1.0)) if base > 0.0 else 1.0
    for _ in range(GUESSES):
        here, away = count_score(guess, mean, excess), count_score(guess - 1.0, mean, excess)
        if here >= sigma + sure and away <= sigma - sure:
            return guess
        guess = max(1.0, min(most - 1.0, guess - floor((here - sigma) / max(here - away, 1e-3))))
    return min(most, count_limit(mean, excess, sigma))


def _bisect(mean: float, excess: float, sigma: float, below: float, above: float) -> float:
    """The count between the two whose score is `sigma`."""
    for _ in range(60):
        middle = 0.5 * (below + above)
        if count_score(middle, mean, excess) < sigma:
            below = middle
        else:
            above = middle
    return above


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
        return (self.dispersion() - 1.0) / mean + 1.0 / (self.events + PRIOR_EVENTS)

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

"""Computes how far a count is from its mean, in sigmas, and the counts that are within a given number of sigmas.

All functions are plain functions of scalars, compiled by mypyc when a wheel is built. Counts follow a negative
binomial distribution: Poisson, widened by an `excess` (the squared relative error of the mean).
"""

from math import ceil, floor, log, sqrt
from typing import Final

from mypy_extensions import i64, mypyc_attr

# Calibration. An end of the normal interval is a whole count. `count_limit` finds it with a dozen scores. `_whole_at`
# finds the same count with one or two, where the constants below allow it, and gives up where it is not sure.
# tests/model/test_calibration.py measures the figures anew, over random means (0.003 to 100,000), excesses and sigmas;
# those below are of 200,000 draws. Both ways gave one count in all of 400,000 draws (docs/decisions.md: nine million).
# A constant that is chosen, not measured, decides only which of the two ways is taken, never the count.

# Steps of Newton's method along the score. Of 16,000 ends 94.5 % are sure after one step and 2.0 % after two. No third
# step made one sure; `count_limit` takes three.
NEWTON_STEPS: Final = 3
# Least cube root, as a part of the mean's, of the first guess above the mean (Wilson & Hilferty 1931). Chosen.
LEAST_BASE: Final = 0.5
# Least count that a search below the mean starts from. Chosen a little above half a count, by which a score is taken
# towards the mean.
LEAST_START: Final = 0.6
# Sigmas. Chosen around the thresholds of the default budget: 3.4 for one series, 4.97 for a thousand, and never below
# 3.09 (WORST_TAIL in txmon.detection.thresholds).
LEAST_SIGMA: Final = 2.0
MOST_SIGMA: Final = 5.0
# Standard deviation, in transactions. Chosen: a doubt in sigmas is so many times as large in counts.
MOST_DEVIATION: Final = 300.0
# Sigma times the relative error of a count. The figures below hold up to WIDE for both ends, and up to WIDEST above the
# mean where the burst (excess times mean) is at most MOST_BURST. Chosen, then measured.
WIDE: Final = 1.5
WIDEST: Final = 12.0
MOST_BURST: Final = 5.0
# Burst below which the two logarithms of a score nearly cancel. Chosen.
LEAST_BURST: Final = 1e-3
# How far, in sigmas, `count_limit` may leave off from the count that it looks for: SURE and SURE_WIDE times the square
# of sigma times the relative error. Measured: at most 34 % of that. Below the mean, from NARROW on, SURE_LOW: measured
# at most 35 % where the limit is a whole count or more (with less, the whole count is 0 whatever the score).
SURE: Final = 1e-6
SURE_WIDE: Final = 1e-4
NARROW: Final = 0.6
SURE_LOW: Final = 8e-3
# What a step of Newton's method falls short of, as a part of its square over the count that it began at. Measured: 0.22
# in the middle, 0.10 to 0.39 at the ends. BEND_OFF and the doubt above cover that: at most 67 % of both was used.
BEND: Final = 0.22
BEND_OFF: Final = 0.15
FAR: Final = 1e18  # larger than any count: a row has at most 10^15


@mypyc_attr(acyclic=True)
class Thresholds:
    """The limits that a series of one status must exceed to alert."""

    __slots__ = ("direction", "min_count", "min_ratio", "sigma", "sign")

    def __init__(self, sigma: float, min_count: int, min_ratio: float, direction: str) -> None:
        self.sigma = sigma
        self.min_count = min_count
        self.min_ratio = min_ratio
        self.direction = direction  # above, below, both
        self.sign = 1.0 if direction == "above" else -1.0 if direction == "below" else 0.0


def count_score(count: float, mean: float, excess: float) -> float:
    """Return how many sigmas `count` lies from `mean`: positive above, negative below, 0 within half a count of it.

    The normal quantile of the tail probability P(Y >= count) above the mean, P(Y <= count) below it, for a negative
    binomial Y with that mean and variance mean + excess * mean**2 (Poisson at excess = 0). It is the signed root of
    the deviance with the saddlepoint's correction, r* = r + log(u / r) / r with u the Pearson residual, both taken
    half a count towards the mean (Lugannani & Rice 1980; Daniels 1987, section 6). Within 0.06 sigma of the exact
    tail from 1.5 sigma on (tests/detection/test_baseline.py), and it keeps growing where probabilities underflow.

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
    """Return the last whole count before one scores `sigma` or more: an end of the normal interval, >= 0.

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
    ):  # far from normal, Newton's line does not fit, but halving does
        count = _bisect(mean, excess, sigma, mean if upper else 0.0, max(mean, 1.0) * 1e6 if upper else mean)
    return ceil(count - 1e-9) - 1.0 if upper else floor(count + 1e-9) + 1.0


def limit_above(mean: float, excess: float, sigma: float, least: float) -> float:
    """Return the greater of `least`, a whole number, and `count_limit`.

    Every verdict has an interval, and count_limit needs a dozen scores. So it is called only if one or two scores do
    not decide.
    """
    relative = sqrt(1.0 / mean + excess)
    spread = sigma * relative
    base = 1.0 - relative * relative / 9.0 + spread / 3.0  # as in count_limit
    burst = excess * mean
    if (
        base > LEAST_BASE
        and _is_held(mean * relative, burst, sigma)
        and (spread < WIDE or (spread < WIDEST and burst < MOST_BURST))
    ):
        # a count is less skewed than that gamma (Cornish & Fisher 1938), and Pearson's residual is smaller than the
        # score
        start = max(mean * base * base * base - (sigma * sigma - 1.0) / 6.0, mean + mean * spread)
        sure = SURE + SURE_WIDE * spread * spread
        whole = _whole_at(mean, excess, sigma, start, sure, least, FAR)
        if whole >= 0.0:
            return whole
    return max(least, count_limit(mean, excess, sigma))


def limit_below(mean: float, excess: float, sigma: float, most: float) -> float:
    """Return the smaller of `most` and `count_limit` (sigma < 0), in the same way.

    It is 0 if even a count of 0 is normal.
    """
    if most <= 0.0:
        return 0.0
    relative = sqrt(1.0 / mean + excess)
    spread = -sigma * relative
    base = 1.0 - relative * relative / 9.0 - spread / 3.0
    if spread < WIDE and _is_held(mean * relative, excess * mean, -sigma):
        start = (mean * base * base * base if base > 0.0 else 0.0) - (sigma * sigma - 1.0) / 6.0
        if start < LEAST_START:
            if count_score(0.0, mean, excess) > sigma:
                return 0.0
            start = LEAST_START
        sure = SURE + SURE_WIDE * spread * spread if spread < NARROW else SURE_LOW
        whole = _whole_at(mean, excess, sigma, start, sure, -1.0, most - 1.0)
        if whole >= 0.0:
            return whole + 1.0
    return min(most, count_limit(mean, excess, sigma))


def _is_held(deviation: float, burst: float, sigma: float) -> bool:
    """Return whether count_limit's steps come as close as SURE states."""
    return LEAST_SIGMA <= sigma <= MOST_SIGMA and deviation < MOST_DEVIATION and burst > LEAST_BURST


def _whole_at(mean: float, excess: float, sigma: float, start: float, sure: float, least: float, most: float) -> float:
    """Return the whole part of the count that scores `sigma`, limited to `least` and `most`, or below 0 if uncertain.

    It takes Newton steps along `count_score` (half a count towards the mean, from `start`) until neither the step's
    own error nor `sure` leaves a doubt. `sure` is how far from `sigma` count_limit may stop.
    """
    half = 0.5 if sigma > 0.0 else -0.5
    deviation = sqrt(mean + excess * mean * mean)
    shape = 1.0 / excess
    y = start
    for _ in range(NEWTON_STEPS):
        volume, mixed = log(y / mean), log((y + shape) / (mean + shape))
        deviance = 2.0 * (y * volume - (y + shape) * mixed)
        if deviance < 1e-4:
            return -1.0
        root = sqrt(deviance) if sigma > 0.0 else -sqrt(deviance)
        rise = (volume - mixed) / root
        correction = log((y - mean) / (deviation * root)) / root
        slope = rise + (1.0 / (y - mean) - rise / root - correction * rise) / root
        if slope <= 0.0:
            return -1.0
        step = (sigma - root - correction) / slope
        if abs(step) > y:
            return -1.0
        bend = step * step / y
        doubt = BEND_OFF * bend + sure / slope
        y += step + BEND * bend
        # -1 may be requested, and the whole part of a negative number is too large
        whole: i64 = int(min(most, max(least, y + half - doubt)) + 1.0)
        if whole == int(min(most, max(least, y + half + doubt)) + 1.0):
            return float(whole) - 1.0
    return -1.0


def _bisect(mean: float, excess: float, sigma: float, below: float, above: float) -> float:
    """Return the count between `below` and `above` whose score is `sigma`."""
    for _ in range(60):
        middle = 0.5 * (below + above)
        if count_score(middle, mean, excess) < sigma:
            below = middle
        else:
            above = middle
    return above


def normal_interval(expected: float, excess: float, gates: Thresholds) -> tuple[int, int]:
    """Return the lowest and the highest count of one bucket that do not alert by themselves.

    expected: transactions, 0 or more. excess: its squared relative error, as for `count_score`.
    """
    if expected <= 0.0:
        return 0, gates.min_count - 1
    least = float(gates.min_count)
    high = limit_above(expected, excess, gates.sigma, max(ceil(gates.min_ratio * expected) - 1.0, least - 1.0))
    most = min(floor(expected / gates.min_ratio) + 1.0, floor(expected - least) + 1.0)
    low = limit_below(expected, excess, -gates.sigma, most)
    return max(0, int(low)), int(high)

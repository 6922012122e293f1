"""The statistics of a day by the hour: the expected count of each hour, and how surprising the observed count is.

A reference column is a day's counts or a mean over a known number of days. Every column is a level (how busy its days
were) times a common profile (the share of each hour). Counts scatter around that as a gamma-Poisson mixture, the
negative binomial: variance = mean + overdispersion x mean^2 (Greenwood and Yule, 1920). A robust fit keeps single odd
hours from moving the levels. The overdispersion is estimated from the references. The uncertainty of profile and level
widens the prediction.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

# The prior for a day's dispersion, used if the references contain little evidence, and its weight in hours of
# evidence. The real checkout files give 0.02 to 0.06.
PRIOR_DISPERSION: Final = 0.04
PRIOR_HOURS: Final = 12.0
WINSOR: Final = 2.5  # standard deviations; a larger residual counts as this one
HUBER: Final = 1.5  # standard deviations beyond which an hour has less weight for its day's level
ROUNDS: Final = 6
# factor by which a day may be busier or quieter than every reference before its hours count as deviations
STRETCH: Final = 1.5
HALF: Final = 0.5  # count added to an hour of a profile, so that an hour without any count is still possible
INTERVAL: Final = 0.95
LONGEST: Final = 4  # hours tested together, at most
EMPTY: Final = 0.25  # share of the expectation; adjacent hours at or below it are tested together
DOUBLE: Final = 2.0  # times the expectation; adjacent hours at or above it are tested together
SUSPECT: Final = 0.03  # largest p of each hour of such a run


@dataclass(frozen=True, slots=True)
class Model:
    """What the references predict for a day."""

    profile: "Floats"  # counts per hour of a day of level 1, > 0
    weight: "Floats"  # days of evidence for each hour of the profile
    levels: "Floats"  # of each reference; the reference over most days has level 1
    dispersion: float  # >= 0
    evidence: int  # hours of references from which the dispersion was estimated


@dataclass(frozen=True, slots=True)
class Prediction:
    """The expected counts of one column, as arrays over the hours."""

    level: float
    expected: "Floats"
    low: "Floats"  # of the predictive interval, inclusive
    high: "Floats"
    p: "Floats"  # two-sided: the share of such days with a deviation at least as large in this hour
    z: "Floats"  # p as signed standard deviations
    own_part: "Floats"  # relative variance of each hour's own rate
    p_if_none: "Floats"  # the p of each hour if its count were 0
    shared_part: float  # relative variance that all hours share, from the uncertainty of the day's level


def fit(values: "Floats", days: "Floats", use: "Floats | None" = None) -> Model:
    """Return the model of references. values: reference x hour, mean counts per day. days: days in each reference.

    use: 1 for values that count, 0 for values that are left out; None for all.
    """
    import numpy as np

    use = np.ones_like(values) if use is None else use
    base = int(np.argmax(days))
    levels = np.ones(len(days))
    dispersion = PRIOR_DISPERSION
    evidence = 0
    for _ in range(ROUNDS):
        weight = (use * days[:, None]).sum(axis=0)
        profile = ((use * days[:, None] * values / levels[:, None]).sum(axis=0) + HALF) / (weight + HALF)
        levels = np.array(
            [level(values[j], profile, dispersion, float(days[j]), use[j]) for j in range(len(days))], dtype=np.float64
        )
        levels = np.maximum(levels, 1e-6)
        levels /= levels[base]
        dispersion, evidence = _dispersion(values, days, use, profile, levels)
    return Model(profile, weight, levels, dispersion, evidence)


def level(counts: "Floats", profile: "Floats", dispersion: float, days: float, use: "Floats") -> float:
    """Return the level of a day (or of a mean of `days`) against `profile`, at least 0.

    Single odd hours hardly change it.

    It uses Huber's weights (1964) on standardised residuals, and starts at the weighted median of the ratios.
    """
    import numpy as np

    if not use.any():
        return 1.0
    ratios = counts / profile
    order = np.argsort(ratios)
    share = np.cumsum((profile * use)[order])
    found = float(ratios[order][np.searchsorted(share, share[-1] / 2)])
    for _ in range(20):
        mean = max(found, 1e-3) * profile
        spread = np.sqrt(mean * (1 + dispersion * mean) / days)
        z = np.abs(counts - found * profile) / spread
        # an hour has the weight of its information, reduced if it is an outlier
        weight = use * np.minimum(1.0, HUBER / np.maximum(z, 1e-9)) / (1 + dispersion * mean)
        new = float((weight * counts).sum() / (weight * profile).sum())
        if abs(new - found) < 1e-6:
            break
        found = new
    return found


def _dispersion(
    values: "Floats", days: "Floats", use: "Floats", profile: "Floats", levels: "Floats"
) -> tuple[float, int]:
    """Return the overdispersion, and the hours of evidence for it.

    It is the value at which the references' winsorised squared residuals equal their expectation.
    """
    import numpy as np

    mean = levels[:, None] * profile[None, :]
    total = np.maximum((use * days[:, None]).sum(axis=0), 1e-9)
    # each reference is part of the profile that it is compared with, which makes its residuals smaller
    own = 1 - days[:, None] / total[None, :]
    chosen = (use > 0) & (mean * days[:, None] >= 2) & (own > 0.05)
    evidence = int(chosen.sum())
    freedom = evidence - len(days)
    if freedom < 6:
        return PRIOR_DISPERSION, 0
    # E[min(z^2, c^2)] of a standard normal z at c = 2.5
    target = 0.9454 * freedom

    def total_at(a: float) -> float:
        spread = mean * (1 + a * mean) / days[:, None] * own
        return float(np.minimum((values - mean)[chosen] ** 2 / spread[chosen], WINSOR**2).sum())

    low, high = 0.0, 4.0
    if total_at(low) <= target:
        found = 0.0
    else:
        for _ in range(40):
            middle = (low + high) / 2
            low, high = (middle, high) if total_at(middle) > target else (low, middle)
        found = high
    return (freedom * found + PRIOR_HOURS * PRIOR_DISPERSION) / (freedom + PRIOR_HOURS), evidence


def judge(model: Model, counts: "Floats", rate: float, days: float = 1.0) -> "tuple[Prediction, list[float]]":
    """Return the prediction for a column (a day, or a mean of `days`) by the model of other columns, and each hour's q.

    An hour's q is that of its strongest test: alone, or together with neighbours that deviate in the same direction.
    All tests of the day are adjusted together. Hours with q <= `rate` do not influence the day's level, so an outage
    cannot make itself look normal.
    """
    import numpy as np

    use = np.ones_like(counts)
    for _ in range(4):
        prediction = predict(model, counts, use, days)
        q = hour_q(prediction, counts, days, rate)
        kept = np.array([value > rate for value in q], dtype=np.float64)
        if (kept == use).all() or kept.sum() < len(q) / 2:
            break
        use = kept
    return prediction, q


def predict(model: Model, counts: "Floats", use: "Floats", days: float = 1.0) -> Prediction:
    """Return the expected counts of a column. use: 1 for hours that determine the day's level, else 0.

    The level is that of the column, limited to `STRETCH` times the references' levels.
    """
    import numpy as np

    own = level(counts, model.profile, model.dispersion, days, use)
    own = float(np.clip(own, model.levels.min() / STRETCH, model.levels.max() * STRETCH))
    mean = own * model.profile
    # relative variances of the profile's hours and of the day's level
    profile_part = (1 / model.profile + model.dispersion) / np.maximum(model.weight, HALF)
    information = (use * mean / (1 + model.dispersion * mean)).sum() * days
    own_part = model.dispersion / days + profile_part
    shared_part = 1 / max(float(information), 1e-9)
    shape = 1 / np.maximum(own_part + shared_part, 1e-9)
    below, above = _tails(np.round(counts * days), mean * days, shape)
    p = np.minimum(1.0, 2 * np.minimum(below, above))
    none, _ = _tails(np.zeros_like(mean), mean * days, shape)
    low, high = _interval(mean * days, shape)
    spread = np.sqrt(mean / days + (own_part + shared_part) * mean**2)
    return Prediction(own, mean, low / days, high / days, p, (counts - mean) / spread, own_part, 2 * none, shared_part)


def tests_a_day(hours: int) -> int:
    """Return how many tests are adjusted together for a day of `hours` hours."""
    return sum(hours - length + 1 for length in range(1, min(LONGEST, hours) + 1))


def hour_q(prediction: Prediction, counts: "Floats", days: float, rate: float) -> list[float]:
    """Return the q of each hour, over single hours and runs of up to `LONGEST` neighbours tested together.

    A run is tested only if each of its hours deviates far in the same direction. Otherwise its p is 1, so that the
    family of tests is the same every day. Once a run is found (q <= `rate`), the rest of the day is tested without it,
    because one large outage must not lower the bar for all other hours.
    """
    tests = _tests(prediction, counts, days)
    below = prediction.z < 0
    found = [1.0] * len(counts)
    settled: set[int] = set()
    while True:
        rest = [(p, run) for p, run in tests if settled.isdisjoint(run)]
        for n in range(len(counts)):
            if n not in settled:
                found[n] = 1.0
        for q, (_, run) in zip(adjusted([p for p, _ in rest]), rest, strict=True):
            for n in run:
                found[n] = min(found[n], q)
        out = [n for n in range(len(counts)) if n not in settled and found[n] <= rate]
        if not out:
            return found
        first = last = min(out, key=lambda n: (found[n], float(prediction.p[n])))
        while first - 1 in out and below[first - 1] == below[first]:
            first -= 1
        while last + 1 in out and below[last + 1] == below[last]:
            last += 1
        settled.update(range(first, last + 1))


def _tests(prediction: Prediction, counts: "Floats", days: float) -> list[tuple[float, range]]:
    """Return the p of every single hour and of every run of up to `LONGEST` hours."""
    count = len(counts)
    ratio = counts / prediction.expected
    tests: list[tuple[float, range]] = [(float(prediction.p[n]), range(n, n + 1)) for n in range(count)]
    for length in range(2, LONGEST + 1):
        for start in range(count - length + 1):
            run = range(start, start + length)
            part = ratio[start : start + length]
            out = bool((part <= EMPTY).all() or (part >= DOUBLE).all()) and bool(
                (prediction.p[start : start + length] <= SUSPECT).all()
            )
            tests.append((_together(prediction, counts, run, days) if out else 1.0, run))
    return tests


def _together(prediction: Prediction, counts: "Floats", run: range, days: float) -> float:
    """Return the two-sided p of the sum over `run`."""
    import numpy as np

    part = slice(run.start, run.stop)
    mean = prediction.expected[part]
    total = float(mean.sum())
    variance = float((prediction.own_part[part] * mean**2).sum()) + prediction.shared_part * total**2
    seen = np.array([np.round(float(counts[part].sum()) * days)])
    below, above = _tails(seen, np.array([total * days]), np.array([total**2 / variance]))
    return float(min(1.0, 2 * min(below[0], above[0])))


def _tails(seen: "Floats", mean: "Floats", shape: "Floats") -> "tuple[Floats, Floats]":
    """Return P(Y <= seen) and P(Y >= seen) of negative binomials."""
    import numpy as np
    from scipy.special import betainc

    success = shape / (shape + mean)
    below = betainc(shape, seen + 1, success)
    above = np.where(seen > 0, betainc(np.maximum(seen, 1), shape, 1 - success), 1.0)
    return np.asarray(below, dtype=np.float64), np.asarray(above, dtype=np.float64)


def _interval(mean: "Floats", shape: "Floats") -> "tuple[Floats, Floats]":
    """Return the central 95 % interval of negative binomials, in whole numbers."""
    import numpy as np
    from scipy.special import betainc

    tail = (1 - INTERVAL) / 2
    low, high = np.zeros_like(mean), np.zeros_like(mean)
    for n, (m, k) in enumerate(zip(mean, shape, strict=True)):
        # bisection; Chebyshev's inequality bounds the upper end
        top = m + 40 * np.sqrt(m + m * m / k) + 40
        for ends, wanted in ((low, tail), (high, 1 - tail)):
            a, b = -1.0, float(np.ceil(top))
            while b - a > 1:
                middle = np.floor((a + b) / 2)
                a, b = (a, middle) if betainc(k, middle + 1, k / (k + m)) >= wanted else (middle, b)
            ends[n] = b
    return low, high


def adjusted(p: Sequence[float]) -> list[float]:
    """Return Benjamini and Hochberg's (1995) q of several p.

    Among the findings with q <= x, the expected share of false ones is at most x.
    """
    order = sorted(range(len(p)), key=lambda n: p[n])
    found = [1.0] * len(p)
    least = 1.0
    for rank in range(len(p), 0, -1):
        n = order[rank - 1]
        least = min(least, p[n] * len(p) / rank)
        found[n] = least
    return found

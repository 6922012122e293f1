"""A series against its thresholds: the scores of its windows, the gates they pass, and the normal interval."""

from math import ceil, floor
from typing import Final

from .baseline import WINDOWS, Baseline, count_limit, count_score, sum5, sum15

WINDOW_PENALTY: Final = (0.0, 0.3, 0.6)  # sigmas more asked of longer sums: a lag of the level adds up in them
LAG: Final = 0.002  # squared relative error of a volume's level: seasons are not noise
LINGER: Final = 1.0  # sigmas of the newest bucket down to which an episode that alerted goes on


class Thresholds:
    """What a series of one status must exceed to alert."""

    __slots__ = ("direction", "min_count", "min_ratio", "sigma")

    def __init__(self, sigma: float, min_count: int, min_ratio: float, direction: str) -> None:
        self.sigma = sigma
        self.min_count = min_count
        self.min_ratio = min_ratio
        self.direction = direction


class Judgement:
    """The scores of a series' windows in sigmas, and what the gates said of them."""

    __slots__ = ("gate", "lingers", "longest", "newest", "passed", "score", "seen", "window", "window_mean")

    def __init__(self) -> None:
        self.score = 0.0  # the strongest, longer windows marked down
        self.window = 1  # its buckets
        self.seen = 0.0  # transactions in it
        self.window_mean = 0.0  # expected in it
        self.newest = 0.0  # score of the newest bucket alone
        self.longest = 0.0  # score of the longest window
        self.passed = False
        self.lingers = False
        self.gate = ""  # the gate that held back a score over its threshold: "count", "ratio", "over", or ""


def judge_above(series: Baseline, gates: Thresholds) -> Judgement:
    """Whether `series` is above what was expected of it."""
    return _judge(series, gates, 1.0, None)


def judge_below(series: Baseline, gates: Thresholds, volume: Baseline | None = None) -> Judgement:
    """Whether `series` is below what was expected of it; a share's level is no surer than the `volume` it is of."""
    return _judge(series, gates, -1.0, volume)


def _judge(series: Baseline, gates: Thresholds, sign: float, volume: Baseline | None) -> Judgement:
    result = Judgement()
    best = 0.0
    counts, expectations = series.counts, series.expectations
    for i in range(3):
        if i == 0:
            seen, mean = counts[0], expectations[0]
        elif i == 1:
            seen, mean = sum5(counts), sum5(expectations)
        else:
            seen, mean = sum15(counts), sum15(expectations)
        if mean <= 0.0:
            continue
        score = count_score(seen, mean, _excess(series, mean, volume))
        if i == 0:
            result.newest = score
            result.lingers = sign * score > LINGER
        elif i == 2:
            result.longest = score
        marked = sign * score - WINDOW_PENALTY[i]
        gate = ""
        if marked >= gates.sigma:
            gate = _gate(seen, mean, gates, sign)
            # an old surge in a long window must not alert a bucket that is itself normal
            if not gate and sign * (counts[0] - expectations[0]) <= 0.0:
                gate = "over"
        passed = marked >= gates.sigma and not gate
        if (passed and not result.passed) or (passed == result.passed and marked > best) or i == 0:
            best = marked
            result.score, result.window, result.seen, result.window_mean = score, WINDOWS[i], seen, mean
            result.gate = gate
            result.passed = passed
    return result


def _gate(seen: float, mean: float, gates: Thresholds, sign: float) -> str:
    """The name of the first gate that a significant window does not pass, or an empty text."""
    if sign > 0.0:
        if seen < gates.min_count:
            return "count"
        return "ratio" if seen < gates.min_ratio * mean else ""
    if mean - seen < gates.min_count:
        return "count"
    return "ratio" if seen * gates.min_ratio > mean else ""


def _excess(series: Baseline, mean: float, volume: Baseline | None) -> float:
    own = series.excess(mean)
    if series.trend_gain > 0.0:
        return own + LAG
    return max(own, volume.excess(mean) + LAG) if volume is not None else own


def interval(expected: float, series: Baseline, gates: Thresholds) -> tuple[int, int]:
    """The counts of one bucket, from and to, that do not alert by themselves."""
    if expected <= 0.0:
        return 0, gates.min_count - 1
    excess = series.excess(expected)
    high = max(
        count_limit(expected, excess, gates.sigma), ceil(gates.min_ratio * expected) - 1.0, gates.min_count - 1.0
    )
    low = min(
        count_limit(expected, excess, -gates.sigma),
        floor(expected / gates.min_ratio) + 1.0,
        floor(expected - gates.min_count) + 1.0,
    )
    return max(0, int(low)), int(high)

"""A series against its thresholds: the scores of its windows, and the gates they pass."""

from typing import Final

from mypy_extensions import mypyc_attr

from .baseline import WINDOWS, Baseline, rest15, sum5
from .limits import Thresholds, count_score

# Squared relative errors of a level beyond what its evidence says, since neither shares nor seasons stand still:
DRIFT: Final = 0.003  # of every level
LAG: Final = 0.005  # of a volume's, besides: mornings and evenings
# of min_ratio's distance from 1, by window: a longer sum need not rise as far
SLACK_1: Final = 1.0
SLACK_5: Final = 0.6
SLACK_15: Final = 0.4
LINGER: Final = 1.0  # sigmas of the newest bucket down to which an episode that alerted goes on


@mypyc_attr(acyclic=True, free_list_len=1)
class Judgement:
    """The scores of a series' windows in sigmas, and what the gates said of them."""

    __slots__ = ("gate", "lingers", "longest", "newest", "passed", "score", "seen", "together", "window", "window_mean")

    def __init__(self) -> None:
        self.score = 0.0  # the strongest, longer windows marked down
        self.window = 1  # its buckets
        self.seen = 0.0  # transactions in it
        self.window_mean = 0.0  # expected in it
        self.newest = 0.0  # score of the newest bucket alone
        self.longest = 0.0  # score of the longest window
        self.passed = False
        self.lingers = False
        self.together = False  # all statuses together are odd, though none alone is
        self.gate = ""  # the gate that held back a score over its threshold: "count", "ratio", "over", or ""


def judge(series: Baseline, gates: Thresholds, volume: Baseline | None, lag: float) -> Judgement:
    """Whether `series` is on the wrong side of what was expected of it.

    volume: the baseline of the volume that the series' expectation was derived from; it can be no surer than that.
    lag: squared relative error of a volume's level, beyond what its evidence says.
    """
    if gates.sign != 0.0:
        return _judge(series, gates, gates.sign, volume, lag)
    below = _judge(series, gates, -1.0, volume, lag)
    above = _judge(series, gates, 1.0, volume, lag)
    if above.passed != below.passed:
        return above if above.passed else below
    return above if abs(above.score) >= abs(below.score) else below


def judge_one(
    series: Baseline, gates: Thresholds, count: float, expected: float, volume: Baseline | None, lag: float
) -> Judgement:
    """A single count judged by itself, without the buckets before it."""
    result = Judgement()
    result.seen, result.window_mean = count, expected
    if expected <= 0.0:
        return result
    result.score = result.newest = count_score(count, expected, excess_of(series, expected, volume, lag))
    sign = 1.0 if result.score > 0.0 else -1.0
    wanted = gates.direction == "both" or (gates.direction == "above") == (sign > 0.0)
    if wanted and sign * result.score >= gates.sigma:
        result.gate = _gate(count, expected, gates, sign, SLACK_1)
        result.passed = not result.gate
    return result


def score_all(series: Baseline, gates: Thresholds, counts: list[float]) -> list[float]:
    """Scores a whole series at once, each count before it is learned from: the strongest score of its windows, sigmas.

    The series is judged against its own level, one bucket after the other, with no volume around it.
    """
    scores: list[float] = []
    for count in counts:
        series.observe(count, series.rate())
        scores.append(judge(series, gates, None, LAG).score)
        series.learn(count, 1.0)
    return scores


def _judge(series: Baseline, gates: Thresholds, sign: float, volume: Baseline | None, lag: float) -> Judgement:
    result = Judgement()
    counts, expectations = series.counts, series.expectations
    # as in excess_of, for three means at once
    spread, few = series.dispersion() - 1.0, series.doubt()
    theirs, their_few = (volume.dispersion() - 1.0, volume.doubt()) if volume is not None else (0.0, 0.0)
    trends = series.trend_gain > 0.0
    seen, mean = counts[0], expectations[0]
    off = sign * (seen - mean)
    for i in range(3):
        if i == 1:
            seen, mean = sum5(counts), sum5(expectations)
        elif i == 2:
            seen, mean = rest15(seen, counts), rest15(mean, expectations)
        if mean <= 0.0:
            continue
        excess = spread / mean + few + DRIFT
        if trends:
            excess += lag
        elif volume is not None:
            excess = max(excess, theirs / mean + their_few + lag)
        _weigh(result, i, count_score(seen, mean, excess), seen, mean, gates, sign, off)
    return result


def _weigh(
    result: Judgement, i: int, score: float, seen: float, mean: float, gates: Thresholds, sign: float, off: float
) -> None:
    """Take the i-th window if it is stronger than those before; off: how far the newest bucket is on the wrong side."""
    marked = sign * score
    if i == 0:
        result.newest = score
        result.lingers = marked > LINGER
    elif i == 2:
        result.longest = score
    gate = ""
    if marked >= gates.sigma:
        gate = _gate(seen, mean, gates, sign, SLACK_1 if i == 0 else SLACK_5 if i == 1 else SLACK_15)
        # an old surge in a long window must not alert a bucket that is itself normal
        if not gate and off <= 0.0:
            gate = "over"
    passed = marked >= gates.sigma and not gate
    if (passed and not result.passed) or (passed == result.passed and marked > sign * result.score) or i == 0:
        result.score, result.window, result.seen, result.window_mean = score, WINDOWS[i], seen, mean
        result.gate = gate
        result.passed = passed


def _gate(seen: float, mean: float, gates: Thresholds, sign: float, slack: float) -> str:
    """The name of the first gate that a significant window does not pass, or an empty text."""
    ratio = 1.0 + (gates.min_ratio - 1.0) * slack
    if sign > 0.0:
        if seen < gates.min_count:
            return "count"
        return "ratio" if seen < ratio * mean else ""
    if mean - seen < gates.min_count:
        return "count"
    return "ratio" if seen * ratio > mean else ""


def excess_of(series: Baseline, mean: float, volume: Baseline | None, lag: float) -> float:
    """Squared relative error of a count of `series` with this mean, as `judge` takes it; 0 where none is expected."""
    if mean <= 0.0:
        return 0.0
    own = series.excess(mean) + DRIFT
    if series.trend_gain > 0.0:
        return own + lag
    return max(own, volume.excess(mean) + lag) if volume is not None else own

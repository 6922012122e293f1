"""A series against its thresholds: the scores of its windows, and the gates they pass."""

from typing import Final

from mypy_extensions import mypyc_attr

from txmon.detection.baseline import Baseline
from txmon.detection.tails import FROM, Tail
from txmon.detection.window import rest15, sum5
from txmon.model.scores import Thresholds, count_score

# Squared relative errors of a level beyond what its evidence says, since neither shares nor seasons stand still:
DRIFT: Final = 0.003  # of every level
LAG: Final = 0.005  # of a volume's, besides: mornings and evenings
# of min_ratio's distance from 1, by window: a longer sum need not rise as far
SLACK_1: Final = 1.0
SLACK_5: Final = 0.6
SLACK_15: Final = 0.4
SPREAD: Final = 1.15  # times as far as the model's, from which on a series' sums are taken to reach further
ENOUGH: Final = 40.0  # transactions expected in a window, from which its scores are nearly continuous
SWELL: Final = 1.5  # times what was expected in the longest window: less is how shares move over a day
HALF: Final = 0.5  # of a count: no score is nearer to the mean
MILD: Final = 2.0  # sigmas on the safe side up to which nobody asks how many
LINGER: Final = 1.0  # sigmas of the newest bucket down to which an episode that alerted goes on


@mypyc_attr(acyclic=True, free_list_len=1)
class Judgement:
    """The scores of a series' windows in sigmas, and what the gates said of them."""

    __slots__ = (
        "excess",
        "gate",
        "lingers",
        "longest",
        "newest",
        "over1",
        "over5",
        "over15",
        "passed",
        "plain5",
        "plain15",
        "ratio",
        "rise",
        "score",
        "seen",
        "swells",
        "together",
        "window",
        "window_mean",
    )  # fmt: skip

    def __init__(self) -> None:
        self.score = 0.0  # the strongest, longer windows marked down
        self.window = 1  # its buckets
        self.seen = 0.0  # transactions in it
        self.window_mean = 0.0  # expected in it
        self.excess = 0.0  # squared relative error of what was expected in the newest bucket
        # scores of the newest bucket alone and of the longest window; where one is on the safe side it may be given as
        # 0, that of the longest window up to MILD sigmas
        self.newest = 0.0
        self.longest = 0.0
        self.swells = False  # the longest window has far more than was expected in it
        self.rise = 0.0  # seen over expected in five buckets; 0 where nothing was
        self.passed = False
        self.lingers = False
        self.together = False  # all statuses together are odd, though none alone is
        self.ratio = 1.0  # how much higher than a normal's the threshold of that window is
        # scores on the wrong side that pass the gates, by window, 0 where they do not: what the tail is learned from
        self.over1 = 0.0
        self.over5 = 0.0
        self.over15 = 0.0
        # scores on the wrong side of the longer windows where enough is expected in them, as the model has them
        self.plain5 = 0.0
        self.plain15 = 0.0
        self.gate = ""  # the gate that held back a score over its threshold: "count", "ratio", "over", or ""


def judge(series: Baseline, gates: Thresholds, volume: Baseline | None, lag: float) -> Judgement:
    """Return whether `series` is on the wrong side of what was expected of it.

    volume: the baseline of the volume that the series' expectation was derived from; it can be no surer than that.
    lag: squared relative error of a volume's level, beyond what its evidence says.
    """
    if gates.sign != 0.0:
        return _judge(series, gates, gates.sign, volume, lag)
    below = _judge(series, gates, -1.0, volume, lag)
    above = _judge(series, gates, 1.0, volume, lag)
    for one, other in ((above, below), (below, above)):
        one.over1, one.over5 = max(one.over1, other.over1), max(one.over5, other.over5)
        one.over15 = max(one.over15, other.over15)
    if above.passed != below.passed:
        return above if above.passed else below
    return above if abs(above.score) >= abs(below.score) else below


def judge_one(
    series: Baseline, gates: Thresholds, count: float, expected: float, volume: Baseline | None, lag: float
) -> Judgement:
    """Return a single count judged by itself, without the buckets before it."""
    result = Judgement()
    result.seen, result.window_mean = count, expected
    if expected <= 0.0:
        return result
    result.score = result.newest = count_score(count, expected, excess_of(series, expected, volume, lag))
    sign = 1.0 if result.score > 0.0 else -1.0
    wanted = gates.direction == "both" or (gates.direction == "above") == (sign > 0.0)
    result.ratio = series.tail.one.ratio if series.tail is not None else 1.0
    if wanted and sign * result.score >= gates.sigma * result.ratio:
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
    """Scores cost logarithms: where a window is on the wrong side, none is asked how far it is on the safe one."""
    result = Judgement()
    expectations = series.expectations
    seen1, mean1 = series.newest(), expectations[0]
    seen5, seen15 = series.sums()
    mean5 = sum5(expectations)
    mean15 = rest15(mean5, expectations)
    off1, off5, off15 = sign * (seen1 - mean1), sign * (seen5 - mean5), sign * (seen15 - mean15)
    error = _error_of(series, volume, lag)
    # of a volume what is above counts too, whatever its direction; where both directions are wrong no side is safe
    every = gates.sign == 0.0 or (sign > 0.0 and series.pace.trend_gain > 0.0)
    score1 = _score(seen1, mean1, error) if every or off1 > HALF else 0.0
    score5 = _score(seen5, mean5, error) if every or off5 > HALF else 0.0
    score15 = _score(seen15, mean15, error) if every or off15 > HALF else 0.0
    if not every and sign * score1 <= 0.0 and sign * score5 <= 0.0 and sign * score15 <= 0.0:
        score1 = _score(seen1, mean1, error) if off1 < -HALF else score1
        score5 = _score(seen5, mean5, error) if off5 < -HALF else score5
        score15 = _score(seen15, mean15, error) if off15 < -HALF else score15
    elif not every and off15 < -HALF and _may_be_far(seen15, mean15, error):
        score15 = _score(seen15, mean15, error)
    result.newest, result.longest = score1, score15
    result.swells = seen15 > SWELL * mean15
    result.rise = seen5 / mean5 if mean5 > 0.0 else 0.0
    result.lingers = sign * score1 > LINGER
    if mean1 > 0.0:
        result.excess = _excess(mean1, error)
        _weigh_newest(result, score1, seen1, mean1, gates, sign, series.tail)
    ratio5 = ratio15 = 1.0
    tail = series.tail
    if tail is not None:
        ratio5, ratio15 = tail.five.ratio, tail.fifteen.ratio
        below = sign < 0.0
        result.plain5, score5 = _scaled(sign, score5, mean5, tail.scale5, below)
        result.plain15, score15 = _scaled(sign, score15, mean15, tail.scale15, below)
    result.over5 = _weigh(result, 5, score5, seen5, mean5, gates, sign, SLACK_5, off1, ratio5)
    result.over15 = _weigh(result, 15, score15, seen15, mean15, gates, sign, SLACK_15, off1, ratio15)
    return result


def _weigh_newest(
    result: Judgement, score: float, seen: float, mean: float, gates: Thresholds, sign: float, tail: Tail | None
) -> None:
    """Take the newest bucket alone."""
    result.seen, result.window_mean, result.score = seen, mean, score
    if tail is not None:
        result.ratio = tail.one.ratio
    if sign * score > FROM:
        gate = _gate(seen, mean, gates, sign, SLACK_1)
        if not gate:
            result.over1 = sign * score
        if sign * score >= gates.sigma * result.ratio:
            result.gate = gate
            result.passed = not gate


def _scaled(sign: float, score: float, mean: float, scale: float, below: bool) -> tuple[float, float]:
    """Return how far a window's score is on the wrong side, and the score by the series' own scale.

    Only where enough is expected. Scores that are nearer than the model's become larger below the mean alone.
    """
    if mean <= ENOUGH:
        return 0.0, score
    if scale > SPREAD:
        return max(0.0, sign * score), score * SPREAD / scale
    return max(0.0, sign * score), score / scale if below and scale < 1.0 else score


Error = tuple[float, float, bool, float, float, float]  # what `_error_of` gives


def _error_of(series: Baseline, volume: Baseline | None, lag: float) -> Error:
    """Return what the squared relative error of a count of `series` is made of, whatever its mean: see `_score`."""
    spread, few = series.dispersion() - 1.0, series.doubt()
    if series.pace.trend_gain > 0.0 or volume is None:
        return spread, few, False, 0.0, 0.0, lag if series.pace.trend_gain > 0.0 else 0.0
    return spread, few, True, volume.dispersion() - 1.0, volume.doubt(), lag


def _score(seen: float, mean: float, error: Error) -> float:
    """As `count_score`, with `excess_of`; 0 where nothing is expected."""
    return count_score(seen, mean, _excess(mean, error)) if mean > 0.0 else 0.0


def _excess(mean: float, error: Error) -> float:
    spread, few, by_volume, theirs, their_few, lag = error
    own = spread / mean + few + DRIFT
    return max(own, theirs / mean + their_few + lag) if by_volume else own + lag


def _may_be_far(seen: float, mean: float, error: Error) -> bool:
    """Return whether a score may be more than MILD sigmas from 0: False only where it cannot.

    The deviance is an integral over the inverse of the variance, which grows with the mean: below the mean its root is
    at most Pearson's residual with the variance at the count, above it with that at the mean. The saddlepoint's
    correction adds nothing below; above, only where the residual is small, or the count very skewed.
    """
    if mean <= 0.0:
        return False
    excess = _excess(mean, error)
    if seen < mean:
        y = seen + HALF
        return (mean - y) * (mean - y) >= 0.999 * MILD * MILD * (y + excess * y * y)
    if 1.0 / mean + excess > 1.0:
        return True
    y = seen - HALF
    return (y - mean) * (y - mean) >= 0.999 * MILD * MILD * (mean + excess * mean * mean)


def _weigh(
    result: Judgement,
    window: int,
    score: float,
    seen: float,
    mean: float,
    gates: Thresholds,
    sign: float,
    slack: float,
    off: float,
    ratio: float,
) -> float:
    """Take a longer window if it is stronger than those before, and return its score where it passes the gates, else 0.

    off: how far the newest bucket is on the wrong side. ratio: how much higher than a normal's its threshold is.
    """
    if mean <= 0.0:
        return 0.0
    marked = sign * score
    gate, passed, over = "", False, 0.0
    if marked > FROM:
        gate = _gate(seen, mean, gates, sign, slack)
        # an old surge in a long window must not alert a bucket that is itself normal
        if not gate and off <= 0.0:
            gate = "over"
        over = 0.0 if gate else marked
        passed = marked >= gates.sigma * ratio
        if not passed:
            gate = ""
        elif gate:
            passed = False
    if (passed and not result.passed) or (
        passed == result.passed and marked * result.ratio > sign * result.score * ratio
    ):
        result.score, result.window, result.seen, result.window_mean = score, window, seen, mean
        result.gate, result.passed, result.ratio = gate, passed, ratio
    return over


def _gate(seen: float, mean: float, gates: Thresholds, sign: float, slack: float) -> str:
    """Return the name of the first gate that a significant window does not pass, or an empty text."""
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
    if series.pace.trend_gain > 0.0:
        return own + lag
    return max(own, volume.excess(mean) + lag) if volume is not None else own

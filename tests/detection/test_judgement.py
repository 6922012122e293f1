"""The judgement asks for the scores that count, and comes to what it would come to with all of them."""

import random

import pytest

from txmon.detection.baseline import Baseline
from txmon.detection.judgement import (  # fmt: skip
    LINGER,
    MILD,
    SLACK_1,
    SLACK_5,
    SLACK_15,
    Judgement,
    _gate,
    _may_be_far,
    excess_of,
    judge,
)
from txmon.detection.window import WINDOWS, sum5, sum15
from txmon.model.scores import Thresholds, count_score


def with_every_score(
    series: Baseline, gates: Thresholds, sign: float, volume: Baseline | None, lag: float
) -> tuple[Judgement, list[float]]:
    """One side judged plainly: each window scored, the strongest taken; and the three scores."""
    found, scores = Judgement(), []
    counts, expectations = series.counts(), series.expectations
    off = sign * (counts[0] - expectations[0])
    windows = ((counts[0], expectations[0]), (sum5(counts), sum5(expectations)), (sum15(counts), sum15(expectations)))
    for i, (seen, mean) in enumerate(windows):
        scores.append(count_score(seen, mean, excess_of(series, mean, volume, lag)) if mean > 0.0 else 0.0)
        if mean <= 0.0:
            continue
        marked, gate = sign * scores[i], ""
        if marked >= gates.sigma:
            gate = _gate(seen, mean, gates, sign, (SLACK_1, SLACK_5, SLACK_15)[i])
            if not gate and off <= 0.0:
                gate = "over"
        passed = marked >= gates.sigma and not gate
        better = marked > sign * found.score if passed == found.passed else passed
        if better or i == 0:
            found.score, found.window, found.seen, found.window_mean = scores[i], WINDOWS[i], seen, mean
            found.gate, found.passed = gate, passed
    found.lingers = sign * scores[0] > LINGER
    return found, scores


def made(dice: random.Random, trend_gain: float) -> Baseline:
    """A series that learned something, with windows of any height."""
    series = Baseline(0.955, trend_gain)
    mean = dice.choice((0.02, 0.3, 2.0, 15.0, 300.0))
    for _ in range(40):
        series.learn(float(int(mean * dice.expovariate(1.0))), 1.0)
    skew = dice.choice((0.0, 0.5, 1.0, 1.0, 1.0, 2.0, 6.0))
    for i in range(15):
        surge = dice.choice((1.0, 1.0, 5.0)) if i > 9 else 1.0
        expected = mean * dice.choice((0.0, 1.0)) if dice.random() < 0.05 else mean
        series.observe(float(int(mean * skew * surge * dice.gammavariate(3.0, 1 / 3.0) + dice.random())), expected)
    return series


@pytest.mark.parametrize("direction", ["above", "below", "both"])
def test_the_strongest_score_is_the_same_without_the_scores_that_do_not_count(direction: str) -> None:
    dice = random.Random(5)
    gates = Thresholds(3.2, 3, 1.5, direction)
    left_out = 0
    for _ in range(4000):
        series = made(dice, dice.choice((0.0, 0.001)))
        volume = dice.choice((None, made(dice, 0.001))) if series.pace.trend_gain == 0.0 else None
        found = judge(series, gates, volume, 0.005)
        below, scores = with_every_score(series, gates, -1.0, volume, 0.005)
        above, _ = with_every_score(series, gates, 1.0, volume, 0.005)
        if direction == "both":
            wanted = above if abs(above.score) >= abs(below.score) else below
            if above.passed != below.passed:
                wanted = above if above.passed else below
        else:
            wanted = above if direction == "above" else below
        for name in ("score", "window", "seen", "window_mean", "gate", "passed", "lingers"):
            assert getattr(found, name) == getattr(wanted, name), name
        assert found.excess == excess_of(series, series.expectations[0], volume, 0.005)
        sign = {"above": 1.0, "below": -1.0, "both": 0.0}[direction]
        safe = sign * scores[0] < 0.0 and not (sign > 0.0 and series.pace.trend_gain > 0.0)
        assert found.newest in ((scores[0], 0.0) if safe else (scores[0],))
        assert found.longest == scores[2] or (abs(scores[2]) <= MILD and found.longest == 0.0)
        left_out += found.longest != scores[2]
    assert (left_out > 50) == (direction != "both")


def test_a_score_that_is_not_asked_for_is_a_mild_one() -> None:
    near = 0
    for mean in (0.01, 0.3, 0.9, 1.1, 3.0, 20.0, 400.0, 1e5):
        for excess in (0.003, 0.05, 0.3, 0.9, 5.0, 1000.0):
            for seen in sorted({float(round(mean * step / 60)) for step in range(1, 400)} | {1.0, 2.0, 3.0}):
                if abs(seen - mean) > 0.5 and not _may_be_far(seen, mean, (0.0, excess - 0.003, False, 0.0, 0.0, 0.0)):
                    score = count_score(seen, mean, excess)
                    assert abs(score) <= MILD, (seen, mean, excess)
                    near += abs(score) > 0.8 * MILD
    assert near > 30

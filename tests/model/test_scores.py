"""Scores by their formula, and limits by trying one count after the other: what `limits` takes short cuts to."""

import importlib.util
import math
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from paths import ROOT

from txmon.model.scores import Thresholds, count_limit, count_score, limit_above, limit_below, normal_interval

# what 576 limits above the mean and as many below it cost at most: how often they take all of count_limit's steps, and
# their logarithms
COSTS = [239, 231, 13965, 3117]
BISECTED = [44, 6]  # how often count_limit's own steps end in a bisection
MEANS = [0.02, 0.3, 0.6, 1.0, 2.5, 7.0, 19.5, 80.0, 700.0, 12_000.0, 1e6]
EXCESSES = [0.0, 1e-13, 1e-8, 1e-5, 1e-3, 0.02, 0.4, 1.5, 20.0]


def formula(count: float, mean: float, excess: float) -> tuple[float, float]:
    """r* as textbooks have it, in long doubles: the deviance's root, corrected by Pearson's residual; and that root."""
    long = np.longdouble
    if abs(count - mean) <= 0.5:
        return 0.0, 1.0
    y, m, e = long(count) - long(math.copysign(0.5, count - mean)), long(mean), long(excess)
    if excess * mean < 1e-9:
        half = y * np.log(y / m) - (y - m)
    else:
        half = y * np.log(y / m) - (y + 1 / e) * np.log((1 + e * y) / (1 + e * m))
    pearson = (y - m) / np.sqrt(m + e * m * m)
    if 2 * half < 1e-4:
        return float(pearson), 1.0
    root = math.copysign(1.0, count - mean) * np.sqrt(2 * half)
    score = float(root + np.log(pearson / root) / root)
    return (score if count > mean else min(0.0, score)), abs(float(root))


def counts_near(mean: float) -> list[float]:
    spread = mean + 4 * math.sqrt(mean)
    parts = [0.0, 0.2, 0.5, 0.9, 0.99, 1.0, 1.01, 1.1, 1.5, 3.0, 20.0]
    return sorted(
        {*map(float, range(5)), *(float(round(mean * part)) for part in parts), float(round(spread)), mean + 0.5}
    )


@pytest.mark.parametrize("excess", EXCESSES)
@pytest.mark.parametrize("mean", MEANS)
def test_the_score_is_its_formula(mean: float, excess: float) -> None:
    for count in counts_near(mean):
        exact, root = formula(count, mean, excess)
        # what doubles lose where large terms nearly cancel, most of it close to the mean
        terms = (count + 1) * abs(math.log((count + 0.5) / mean)) + (1 / excess if excess * mean >= 1e-9 else 0.0)
        lost = 1e-15 * (count + mean + terms) * (1 / root + 1 / root**3)
        assert count_score(count, mean, excess) == pytest.approx(exact, rel=1e-12, abs=1e-12 + lost)


def test_half_a_count_on_either_side_is_no_distance() -> None:
    for mean in (0.3, 4.0, 4.25, 1000.0):
        for excess in (0.0, 0.3):
            for off in (-0.5, -0.2, 0.0, 0.3, 0.5):
                assert count_score(mean + off, mean, excess) == 0.0
            assert count_score(mean + 0.75, mean, excess) > 0.0
            assert count_score(mean - 0.75, mean, excess) <= 0.0 or mean < 0.75


def test_a_skewed_count_below_its_mean_is_never_above_it() -> None:
    """More than half of a skewed count's chance lies below its mean; that must not turn the score's sign."""
    scores = [count_score(float(count), mean, excess) for mean in (0.7, 1.0, 3.0, 9.0) for excess in (0.4, 1.5, 20.0)
              for count in range(math.ceil(mean))]  # fmt: skip
    assert max(scores) == 0.0
    assert min(scores) < -0.5


def test_without_spread_it_is_poisson() -> None:
    for mean in MEANS:
        for count in counts_near(mean):
            assert count_score(count, mean, 1e-9 / mean / 2) == pytest.approx(count_score(count, mean, 0.0), abs=1e-6)


def first_above(mean: float, excess: float, sigma: float) -> int:
    count = math.floor(mean) + 1
    while count_score(count, mean, excess) < sigma:
        count += 1
    return count


def last_below(mean: float, excess: float, sigma: float) -> int:
    """The greatest count whose score is not above `sigma` (< 0); -1 where even none scores more."""
    count = math.ceil(mean) - 1
    while count >= 0 and count_score(count, mean, excess) > sigma:
        count -= 1
    return count


@given(st.floats(0.01, 400.0), st.floats(0.0, 0.5), st.floats(3.1, 5.0), st.integers(0, 12))
def test_limits_are_the_counts_next_to_those_that_alert(mean: float, over: float, sigma: float, gate: int) -> None:
    excess = over + 1e-3 / mean
    first, last = first_above(mean, excess, sigma), last_below(mean, excess, -sigma)
    clear = 0.06  # sigmas: nearer to a limit than this, either side of it is right
    high = count_limit(mean, excess, sigma)
    if min(abs(count_score(count, mean, excess) - sigma) for count in (first - 1, first)) > clear:
        assert high == first - 1
        for least in (gate - 1.0, first - 2.0, first - 1.0, first + 3.0):
            assert limit_above(mean, excess, sigma, least) == max(least, first - 1.0)
    low = count_limit(mean, excess, -sigma)
    if min(abs(count_score(max(0, count), mean, excess) + sigma) for count in (last, last + 1)) > clear:
        assert low == last + 1
        for most in (-3.0, 0.0, 1.0, last + 0.0, last + 1.0, math.floor(mean) - gate + 1.0):
            if most <= mean:
                assert limit_below(mean, excess, -sigma, most) == max(0.0, min(most, last + 1.0))


@pytest.mark.parametrize("mean", [0.2, 3.0, 40.0, 900.0])
@pytest.mark.parametrize("excess", [0.3, 2.0, 9.0])
def test_limits_far_from_normal(mean: float, excess: float) -> None:
    """Where Newton's line does not fit: the count is bisected."""
    for sigma in (3.2, 4.5, 7.0):
        high, low = count_limit(mean, excess, sigma), count_limit(mean, excess, -sigma)
        assert high == int(high)
        assert count_score(high, mean, excess) < sigma + 0.05
        assert count_score(high + 1.0, mean, excess) > sigma - 0.05
        assert low == 0.0 or count_score(low - 1.0, mean, excess) < -sigma + 0.05


@pytest.mark.parametrize("direction", ["above", "below", "both"])
def test_the_sign_of_a_direction(direction: str) -> None:
    gates = Thresholds(3.5, 4, 1.6, direction)
    assert (gates.sigma, gates.min_count, gates.min_ratio, gates.direction) == (3.5, 4, 1.6, direction)
    assert gates.sign == {"above": 1.0, "below": -1.0, "both": 0.0}[direction]


@pytest.mark.parametrize("few", [0, 1, 3, 50, 500])
@pytest.mark.parametrize("ratio", [1.0, 1.2, 1.5, 5.0])
@pytest.mark.parametrize("expected", [0.4, 2.5, 3.0, 20.0, 60.5, 700.0])
def test_the_interval_is_within_its_gates(expected: float, ratio: float, few: int) -> None:
    """A count alerts when it scores enough, lies far enough away and is enough times as much, or as little."""
    excess, sigma = 0.002, 3.5
    low, high = normal_interval(expected, excess, Thresholds(sigma, few, ratio, "both"))

    def alerts(count: int) -> bool:
        score = count_score(count, expected, excess)
        if score >= sigma:
            return count >= few and count >= ratio * expected
        return score <= -sigma and expected - count >= few and count * ratio <= expected

    for count in range(int(3 * expected) + few + 60):
        if abs(abs(count_score(count, expected, excess)) - sigma) > 0.06:
            assert alerts(count) == (not low <= count <= high), (count, low, high)
    assert low <= expected or low == 0
    assert high >= expected - 1


def test_nothing_expected_is_normal_up_to_the_least_count() -> None:
    assert normal_interval(0.0, 0.5, Thresholds(3.5, 4, 1.5, "above")) == (0, 3)
    assert normal_interval(-1.0, 0.5, Thresholds(3.5, 1, 1.5, "above")) == (0, 0)


def plain_limits() -> ModuleType:
    """The module's source, whatever is installed: compiled code calls its own functions, and none can be counted."""
    spec = importlib.util.spec_from_file_location("txmon.model.scores", ROOT / "src" / "txmon" / "model" / "scores.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def counting(module: ModuleType, name: str) -> list[int]:
    """Let a function of `module` count its calls, in the list's one number."""
    inner, calls = getattr(module, name), [0]

    def counted(*arguments: float) -> float:
        calls[0] += 1
        return float(inner(*arguments))

    setattr(module, name, counted)
    return calls


def test_the_short_cuts_are_taken() -> None:
    """There is an interval for every verdict: a worse guess would find the same limit and take longer."""
    module = plain_limits()
    cost, bisected = [0, 0, 0, 0], [0, 0]
    steps, bisections, logarithms = (counting(module, name) for name in ("count_limit", "_bisect", "log"))
    for mean in (0.004, 0.05, 0.3, 0.9, 2.0, 3.7, 6.0, 15.5, 42.0, 130.0, 900.0, 5000.0):
        least = max(math.ceil(1.5 * mean) - 1.0, 2.0)
        most = min(math.floor(mean / 1.5), math.floor(mean - 3)) + 1.0
        for over in (0.1, 0.4, 1.0, 3.0):
            for events in (1.0, 30.0, 1e5):
                for sigma in (3.1, 3.7, 4.6, 5.0):
                    excess = over / mean + 1.0 / events
                    for side, limit, gate in ((0, module.limit_above, least), (1, module.limit_below, most)):
                        sign = 1 - 2 * side
                        steps[0] = logarithms[0] = 0
                        limit(mean, excess, sign * sigma, gate)
                        cost[side] += steps[0]
                        cost[2 + side] += logarithms[0]
                        bisections[0] = 0
                        module.count_limit(mean, excess, sign * sigma)
                        bisected[side] += bisections[0]
    assert all(found <= most for found, most in zip(cost, COSTS, strict=True)), cost
    assert bisected == BISECTED

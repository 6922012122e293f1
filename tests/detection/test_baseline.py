"""The statistics against scipy, and what must hold of every baseline."""

import itertools
import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats

from txmon.detection.baseline import NORMAL_MAD, Baseline, restored
from txmon.detection.window import WINDOWS, sum5, sum15
from txmon.model.scores import Thresholds, count_limit, count_score, limit_above, limit_below, normal_interval

MEANS = [0.01, 0.05, 0.2, 0.5, 1, 2, 5, 20, 100, 2000]
EXCESSES = [0, 1e-4, 0.01, 0.1, 0.5, 1, 2]
DISCOUNT = 0.5 ** (1 / 15)


def exact_score(count: int, mean: float, excess: float) -> float:
    """The normal quantile of the tail probability, from scipy's own distributions."""
    law = stats.nbinom(1 / excess, 1 / (1 + excess * mean)) if excess else stats.poisson(mean)
    if count > mean:
        return float(-special.ndtri_exp(law.logsf(count - 1)))
    return float(special.ndtri_exp(law.logcdf(count)))


@pytest.mark.parametrize("excess", EXCESSES)
@pytest.mark.parametrize("mean", MEANS)
def test_the_score_is_the_quantile_of_the_exact_tail(mean: float, excess: float) -> None:
    near = np.concatenate([np.arange(12), mean * np.array([0.1, 0.3, 0.5, 0.7, 1.2, 1.5, 2, 3, 5, 10])]).astype(int)
    compared = 0
    for count in sorted(set(near.tolist())):
        exact = exact_score(count, mean, excess)
        if 1.5 <= abs(exact) < 20 and abs(count - mean) > 0.5:
            assert count_score(count, mean, excess) == pytest.approx(exact, abs=0.06)
            compared += 1
    assert compared >= 1


@given(st.floats(1e-4, 1e6), st.floats(0, 4), st.integers(0, 10**7))
def test_the_score_grows_with_the_count(mean: float, excess: float, count: int) -> None:
    # The deviance of half a million transactions is a difference of large numbers: its rounding moves a score by 1e-6.
    assert count_score(count + 1, mean, excess) >= count_score(count, mean, excess) - 2e-6


def test_the_score_does_not_saturate() -> None:
    scores = [count_score(10.0**k, 1.0, 0.0) for k in range(1, 9)]
    assert all(math.isfinite(score) for score in scores)
    assert all(later > 2.5 * earlier for earlier, later in itertools.pairwise(scores))


@pytest.mark.parametrize("sigma", [3.0, -3.0, 4.0, -4.0, 6.0, -6.0])
@pytest.mark.parametrize("excess", EXCESSES)
@pytest.mark.parametrize("mean", [*MEANS, 20000])
def test_the_limit_is_the_last_normal_count(mean: float, excess: float, sigma: float) -> None:
    limit = count_limit(mean, excess, sigma)
    tolerance = 0.05  # sigmas
    if sigma > 0:
        assert count_score(limit, mean, excess) < sigma + tolerance
        assert count_score(limit + 1, mean, excess) >= sigma - tolerance
    else:
        assert count_score(limit, mean, excess) > sigma - tolerance
        assert limit == 0 or count_score(limit - 1, mean, excess) <= sigma + tolerance


@given(st.lists(st.integers(0, 500), min_size=1, max_size=60))
def test_the_level_is_the_discounted_mean_on_every_prefix(counts: list[int]) -> None:
    """Without clipping (counts near their mean) the level is numpy's weighted average, gain 1/n at first."""
    baseline = Baseline(DISCOUNT)
    flat = [200 + count % 5 for count in counts]
    for n, count in enumerate(flat, 1):
        baseline.learn(count, 1.0)
        weights = DISCOUNT ** np.arange(n - 1, -1, -1)
        assert baseline.events / baseline.exposure == pytest.approx(np.average(flat[:n], weights=weights))


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=40))
def test_windows_are_sums_on_every_prefix(counts: list[int]) -> None:
    baseline = Baseline(DISCOUNT)
    for n, count in enumerate(counts, 1):
        baseline.observe(count, count / 2)
        assert baseline.newest() == counts[n - 1]
        assert baseline.sums() == (sum(counts[max(0, n - WINDOWS[1]) : n]), sum(counts[max(0, n - WINDOWS[2]) : n]))
        assert sum15(baseline.expectations) == sum(counts[max(0, n - WINDOWS[2]) : n]) / 2


@pytest.mark.parametrize(("mean", "dispersion"), [(300.0, 1.0), (300.0, 4.0), (20.0, 1.0), (1.0, 1.0)])
def test_the_dispersion_is_the_variance_over_the_mean(mean: float, dispersion: float) -> None:
    rng = np.random.default_rng(7)
    rates = rng.gamma(mean / (dispersion - 1), dispersion - 1, 40_000) if dispersion > 1 else np.full(40_000, mean)
    baseline = Baseline(0.5 ** (1 / 600))
    found = []
    for count in rng.poisson(rates):
        baseline.learn(float(count), 1.0)
        found.append(baseline.median)
    scale = np.mean(found[5000:]) / NORMAL_MAD
    assert scale**2 == pytest.approx(dispersion, rel=0.15)


def test_what_teaches_nothing_leaves_the_level_and_takes_evidence() -> None:
    baseline = Baseline(DISCOUNT)
    for _ in range(60):
        baseline.learn(100.0, 1.0)
    level, doubt = baseline.rate(), baseline.excess(100.0)
    sure = doubt
    for _ in range(5000):
        baseline.forget()
        assert baseline.rate() == pytest.approx(level)
        assert baseline.excess(100.0) >= doubt
        doubt = baseline.excess(100.0)
    assert doubt > 10 * sure


def test_one_spike_does_not_move_the_level() -> None:
    baseline = Baseline(DISCOUNT)
    for _ in range(200):
        baseline.learn(100.0, 1.0)
    before = baseline.rate()
    baseline.learn(100_000.0, 1.0)
    assert baseline.rate() < 1.03 * before


@settings(max_examples=50)
@given(st.lists(st.integers(0, 10**6), min_size=2, max_size=80), st.data())
def test_snapshot_and_restore_change_nothing(counts: list[int], data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(counts) - 1))
    through = Baseline(DISCOUNT, 0.001)
    resumed = Baseline(DISCOUNT, 0.001)
    for n, count in enumerate(counts):
        if n == cut:
            resumed = restored(resumed.snapshot())
        for baseline in (through, resumed):
            baseline.observe(count, baseline.rate())
            baseline.learn(count, 1.0, 0.1 if count % 7 == 0 else 1.0)
    assert resumed.snapshot() == through.snapshot()


def test_memory_is_bounded() -> None:
    """A baseline holds scalars and two rings of fixed length, whatever it has seen."""
    baseline = Baseline(DISCOUNT)
    size = len(baseline.snapshot())
    for count in range(5000):
        baseline.observe(count, 1.0)
        baseline.learn(count, 1.0)
    assert len(baseline.snapshot()) == size


@given(st.floats(0.003, 5000.0), st.floats(0.1, 3.0), st.floats(1.0, 1e5), st.floats(3.1, 5.0), st.sampled_from([3, 5]))
def test_limits_beside_the_gates_are_those_that_all_the_steps_find(
    mean: float, over: float, events: float, sigma: float, few: int
) -> None:
    excess = over / mean + 1.0 / events
    least, most = (
        max(float(math.ceil(1.5 * mean) - 1), few - 1.0),
        min(math.floor(mean / 1.5) + 1.0, math.floor(mean - few) + 1.0),
    )
    assert limit_above(mean, excess, sigma, least) == max(least, count_limit(mean, excess, sigma))
    assert limit_below(mean, excess, -sigma, most) == max(0.0, min(most, count_limit(mean, excess, -sigma)))


def test_limits_are_those_of_all_the_steps_on_a_grid() -> None:
    """The same over all kinds of series, the same cases each time: rare and busy, regular and bursty."""
    for mean in (0.004, 0.05, 0.3, 0.9, 2.0, 3.7, 6.0, 15.5, 42.0, 130.0, 900.0, 5000.0):
        for over in (0.1, 0.4, 1.0, 3.0):
            for events in (1.0, 30.0, 1e5):
                excess = over / mean + 1.0 / events
                for sigma in (3.1, 3.7, 4.6, 5.0):
                    high, low = count_limit(mean, excess, sigma), count_limit(mean, excess, -sigma)
                    for least in (2.0, 4.0, math.ceil(1.5 * mean) - 1.0, high - 1.0, high, high + 1.0):
                        assert limit_above(mean, excess, sigma, least) == max(least, high)
                    for most in (0.0, math.floor(mean / 1.5) + 1.0, math.floor(mean - 3) + 1.0, low - 1, low, low + 1):
                        assert limit_below(mean, excess, -sigma, most) == max(0.0, min(most, low))


def test_limits_are_those_of_all_the_steps_anywhere() -> None:
    """The same for any mean, any burst and any threshold, those in which `limits` trusts its step among them."""
    draw = random.Random(1)
    for _ in range(20_000):
        mean, sigma = 10 ** draw.uniform(-2.5, 6), draw.uniform(1, 8)
        excess = 10 ** draw.uniform(-4, 2.5) / mean + draw.choice([0.0, 10 ** draw.uniform(-5, 0)])
        high, low = count_limit(mean, excess, sigma), count_limit(mean, excess, -sigma)
        least, most = (max(0.0, limit + draw.randint(-2, 2)) for limit in (high, low))
        for edge in (0.0, least):
            assert limit_above(mean, excess, sigma, edge) == max(edge, high), (mean, excess, sigma, edge)
        for edge in (1e15, most):
            assert limit_below(mean, excess, -sigma, edge) == max(0.0, min(edge, low)), (mean, excess, sigma, edge)


@pytest.mark.parametrize("ratio", [1.0, 1.5, 5.0])
@pytest.mark.parametrize("expected", [0.4, 3.0, 20.0, 100.0, 2000.0])
def test_the_interval_is_as_wide_as_the_gates_make_it(expected: float, ratio: float) -> None:
    """Normal is what does not alert: by its score, by too few transactions, or by too small a ratio."""
    low, high = normal_interval(expected, 0.01, Thresholds(3.5, 3, ratio, "both"))
    assert high == max(count_limit(expected, 0.01, 3.5), math.ceil(ratio * expected) - 1, 2)
    by_gates = min(math.floor(expected / ratio) + 1, math.floor(expected - 3) + 1)
    assert low == max(0, min(count_limit(expected, 0.01, -3.5), by_gates))
    assert normal_interval(0.0, 0.01, Thresholds(3.5, 3, ratio, "both")) == (0, 2)


def test_an_accepted_level_ends_the_episode_and_begins_the_windows_anew() -> None:
    baseline = Baseline(DISCOUNT, 0.001)
    for count in (*[100.0] * 40, *[300.0] * 30):
        baseline.observe(count, 100.0)
        baseline.learn(count, 1.0, 0.1 if count > 100 else 1.0)
    baseline.alerting = 30
    baseline.accept_level()
    assert baseline.alerting == 0
    assert baseline.rate() == pytest.approx(300.0, rel=0.2)
    assert (baseline.sums(), sum5(baseline.expectations)) == ((300.0, 300.0), 100.0)
    assert Baseline(DISCOUNT).alerting == 0


@pytest.mark.parametrize("length", [0, 1, 38, 42])
def test_a_snapshot_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match=rf"a baseline has one of \(39, 40, 41, 67\) numbers, not {length}"):
        restored([1.0] * length)


@pytest.mark.parametrize("discount", [0.5, 0.95, 0.9995])
def test_a_level_outlives_any_number_of_buckets_that_teach_nothing(discount: float) -> None:
    baseline = Baseline(discount)
    for _ in range(300):
        baseline.learn(100.0, 1.0)
    before, evidence = baseline.rate(), baseline.events
    for _ in range(5000):
        baseline.forget()
    assert baseline.rate() == pytest.approx(before)
    assert baseline.events < evidence
    unknown = Baseline(discount)
    unknown.forget()
    assert unknown.rate() == 0.0


def test_an_exposure_of_nothing_teaches_nothing() -> None:
    baseline = Baseline(DISCOUNT)
    for count in (90.0, 110.0, 100.0):
        baseline.learn(count, 1.0)
    before = baseline.snapshot()
    baseline.learn(7.0, 0.0)
    assert baseline.snapshot() == before


def test_a_new_baseline_has_seen_nothing() -> None:
    baseline = Baseline(DISCOUNT)
    assert (sum15(baseline.counts()), sum15(baseline.expectations)) == (0.0, 0.0)
    assert baseline.rate() == 0.0


def test_a_level_that_somebody_accepts_after_a_few_buckets_is_that_of_these_buckets() -> None:
    baseline = Baseline(DISCOUNT)
    for _ in range(60):
        baseline.observe(20.0, 20.0)
        baseline.learn(20.0, 1.0)
    for _ in range(4):
        baseline.observe(90.0, 20.0)
        baseline.alerting += 1
    baseline.accept_level()
    assert baseline.rate() == pytest.approx(90.0, rel=0.02)
    assert baseline.alerting == 0

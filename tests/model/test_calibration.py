"""The calibration constants of txmon.model.scores, measured anew: each doubt has room to spare."""

import random
from collections.abc import Iterator
from math import log, sqrt

import pytest

from txmon.model.scores import (
    BEND,
    BEND_OFF,
    LEAST_BASE,
    LEAST_BURST,
    LEAST_SIGMA,
    LEAST_START,
    MOST_BURST,
    MOST_DEVIATION,
    MOST_SIGMA,
    NARROW,
    NEWTON_STEPS,
    SURE,
    SURE_LOW,
    SURE_WIDE,
    WIDE,
    WIDEST,
    count_limit,
    count_score,
    limit_above,
    limit_below,
)  # fmt: skip

Held = tuple[float, float, float, float, float]  # mean, excess, sigma (its sign is the side), first guess, doubt


def draws(n: int) -> Iterator[Held]:
    """Random series and thresholds for which the constants say that one or two scores are enough."""
    draw = random.Random(1)
    for _ in range(n):
        mean, sigma = 10 ** draw.uniform(-2.5, 5), draw.uniform(LEAST_SIGMA, MOST_SIGMA) * draw.choice([1, -1])
        excess = 10 ** draw.uniform(-3, 2.5) / mean + draw.choice([0.0, 10 ** draw.uniform(-5, 0)])
        relative = sqrt(1 / mean + excess)
        spread, burst = abs(sigma) * relative, excess * mean
        base = 1 - relative * relative / 9 + sigma * relative / 3
        start = (mean * base**3 if base > 0 else 0.0) - (sigma * sigma - 1) / 6
        if mean * relative >= MOST_DEVIATION or burst <= LEAST_BURST:
            continue
        if sigma > 0 and base > LEAST_BASE and (spread < WIDE or (spread < WIDEST and burst < MOST_BURST)):
            yield mean, excess, sigma, max(start, mean + mean * spread), SURE + SURE_WIDE * spread * spread
        elif sigma < 0 and spread < WIDE and count_score(0.0, mean, excess) <= sigma:
            yield (
                mean,
                excess,
                sigma,
                max(start, LEAST_START),
                (SURE + SURE_WIDE * spread * spread if spread < NARROW else SURE_LOW),
            )


def smooth(y: float, mean: float, excess: float) -> tuple[float, float]:
    """The score half a count towards the mean, and its slope."""
    shape, deviation = 1 / excess, sqrt(mean + excess * mean * mean)
    volume, mixed = log(y / mean), log((y + shape) / (mean + shape))
    root = sqrt(max(2 * (y * volume - (y + shape) * mixed), 0.0)) * (1 if y > mean else -1)
    if abs(root) < 1e-2:
        return (y - mean) / deviation, 0.0
    rise, correction = (volume - mixed) / root, log((y - mean) / (deviation * root)) / root
    return root + correction, rise + (1 / (y - mean) - rise / root - correction * rise) / root


def solved(mean: float, excess: float, sigma: float) -> float:
    """Where that score is `sigma`, by halving."""
    low, high = (mean, mean * 1e3 + 1e4) if sigma > 0 else (1e-12, mean)
    for _ in range(120):
        middle = (low + high) / 2
        low, high = (middle, high) if smooth(middle, mean, excess)[0] < sigma else (low, middle)
    return low


def test_one_or_two_scores_give_the_count_of_a_dozen() -> None:
    compared = 0
    for mean, excess, sigma, _, _ in draws(20_000):
        compared += 1
        limit = count_limit(mean, excess, sigma)
        found = limit_above(mean, excess, sigma, 0.0) if sigma > 0 else limit_below(mean, excess, sigma, 1e15)
        assert found == max(0.0, limit), (mean, excess, sigma)
    assert compared > 5000


def test_a_step_falls_short_by_no_more_than_its_doubt() -> None:
    used, parts = 0.0, []
    for mean, excess, sigma, start, sure in draws(6000):
        y = start
        exact = solved(mean, excess, sigma)
        for _ in range(NEWTON_STEPS):
            score, slope = smooth(y, mean, excess)
            if slope <= 0.0:
                break
            step = (sigma - score) / slope
            if abs(step) > y:
                break
            bend = step * step / y
            if bend > 1e-6 * max(1.0, y):
                parts.append((exact - y - step) / bend)
                used = max(used, abs(exact - y - step - BEND * bend) / (BEND_OFF * bend + sure / slope))
            y += step + BEND * bend
    assert len(parts) > 1000
    assert used < 0.75
    assert sorted(parts)[len(parts) // 2] == pytest.approx(BEND, abs=0.02)

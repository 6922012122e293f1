"""The tails that calibrate a series' scores, against what they promise."""

import numpy as np

from txmon.detection.tails import SNAPSHOT_LENGTH, Tail

SIGMA = 3.94
TAIL = 4.07e-5  # of a standard normal beyond SIGMA


def fed(scores: np.ndarray, alerting: int = 0) -> Tail:
    tail = Tail()
    for score in scores:
        tail.learn(max(0.0, float(score)), 0.0, 0.0, alerting, SIGMA, TAIL)
    return tail


def test_normal_scores_keep_the_threshold_of_the_budget() -> None:
    assert fed(np.random.default_rng(1).normal(size=5000)).one.ratio < 1.15


def test_fat_tails_raise_it() -> None:
    found = fed(np.random.default_rng(1).standard_t(2.5, size=5000))
    assert found.one.ratio > 1.3
    assert found.five.ratio == 1.0


def test_a_long_alert_teaches_nothing() -> None:
    tail = Tail()
    for minute in range(40):
        tail.learn(30.0, 30.0, 30.0, minute + 1, SIGMA, TAIL)
    for _ in range(10):
        tail.learn(0.0, 0.0, 0.0, 0, SIGMA, TAIL)
    assert tail.one.ratio == 1.0
    assert tail.alarms == 0.0


def test_short_alerts_teach_once_they_are_many() -> None:
    tail = Tail()
    ratios = []
    for _ in range(12):
        tail.learn(12.0, 0.0, 0.0, 1, SIGMA, TAIL)
        for _ in range(20):
            tail.learn(0.0, 0.0, 0.0, 0, SIGMA, TAIL)
        ratios.append(tail.one.ratio)
    assert ratios[2] == 1.0
    assert ratios[-1] > 1.5
    assert ratios[-1] <= 1.25 * 12.0 / SIGMA  # no higher than what was seen


def test_a_tail_has_as_many_numbers_as_it_says() -> None:
    assert len(Tail().snapshot()) == SNAPSHOT_LENGTH


def test_many_series_that_share_a_tail_raise_their_threshold_little() -> None:
    shared, own = Tail(shared=True), Tail()
    for _ in range(400):
        for tail in (shared, own):
            tail.learn(9.0, 0.0, 0.0, 0, 4.0, 3e-5)
            for _ in range(6):
                tail.learn(0.0, 0.0, 0.0, 0, 4.0, 3e-5)
    shared.fit(4.0, 3e-5)
    assert own.one.ratio > 1.5
    assert 1.0 < shared.one.ratio < 1.2

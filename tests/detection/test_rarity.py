"""The rarity of an alert: false alarms a year at its score, against the budget and the tail of its series."""

import json
from itertools import pairwise

import numpy as np
import pytest

from txmon.detection.detector import BucketJudge
from txmon.detection.tails import Tail
from txmon.detection.thresholds import RAREST, DetectorConfig, ThresholdTable, sigma_for
from txmon.model.verdict import Verdict

SIGMA = 3.94
TAIL = 4.07e-5  # of a standard normal beyond SIGMA


def table(config: DetectorConfig, series: int) -> ThresholdTable:
    made = ThresholdTable(config)
    made.share(series)
    return made


def feed(judge: BucketJudge, minutes: range) -> list[Verdict]:
    """A steady feed whose failures burst for three minutes from minute 300 on, ever higher."""
    rng = np.random.default_rng(8)
    found: list[Verdict] = []
    for minute in range(minutes.stop):
        failed = int(rng.poisson(4.0)) + {300: 12, 301: 25, 302: 60}.get(minute, 0)
        counts = {"approved": int(rng.poisson(200.0)), "failed": failed}
        if minute in minutes:
            found += judge.judge(minute * 60, {(): counts})
    return found


@pytest.mark.parametrize(("series", "bucket"), [(1, 60), (8, 60), (5000, 60), (8, 300)])
def test_at_the_threshold_it_is_the_budget_of_a_year(series: int, bucket: int) -> None:
    config = DetectorConfig(bucket=bucket, budget=1 / 7)
    assert table(config, series).rarity(sigma_for(config, series)) == pytest.approx(365.25 / 7)


def test_a_threshold_that_is_given_has_a_rarity_too() -> None:
    assert table(DetectorConfig(sigma=4.5), 8).rarity(4.5) == pytest.approx(
        8 * 0.3 * 1440 * 365.25 * 3.398e-6, rel=1e-3
    )


def test_a_higher_score_is_rarer_on_either_side() -> None:
    gates = table(DetectorConfig(), 8)
    found = [gates.rarity(score) for score in np.arange(3.0, 12.0, 0.25)]
    assert all(one > two or two == RAREST for one, two in pairwise(found))
    assert gates.rarity(-5.0) == gates.rarity(5.0)
    assert gates.rarity(40.0) == RAREST


def test_a_fat_tail_makes_the_same_score_less_rare() -> None:
    gates, tail = table(DetectorConfig(), 8), Tail()
    for score in np.random.default_rng(1).standard_t(2.0, size=20_000):
        tail.learn(max(0.0, float(score)), 0.0, 0.0, 0, SIGMA, TAIL)
    chances = [tail.beyond(1, score) for score in np.arange(2.0, 30.0, 0.5)]
    assert chances == sorted(chances, reverse=True)
    assert gates.rarity(6.0, tail.beyond(1, 6.0)) > 100 * gates.rarity(6.0)
    assert Tail().beyond(1, 6.0) == 0.0  # nothing is known of it


def test_what_a_tail_says_is_what_came() -> None:
    rng, tail = np.random.default_rng(5), Tail()
    seen = np.zeros(40_000)
    for start in range(50, len(seen), 100):  # clusters of one bucket, of an exponential height
        seen[start] = 2.0 + rng.exponential(0.8)
    for score in seen[:20_000]:
        tail.learn(float(score), 0.0, 0.0, 0, SIGMA, TAIL)
    later = np.count_nonzero(seen[20_000:] >= 4.0) / 20_000
    told = tail.beyond(1, 4.0) * 0.013 / 0.02275  # clusters a bucket, from what a normal's tail would be
    assert told == pytest.approx(later, rel=0.5)


def test_only_alerts_have_one_and_it_falls_while_the_score_rises() -> None:
    verdicts = feed(BucketJudge(), range(310))
    assert {v.recommendation for v in verdicts if v.rarity} == {"alert"}
    alerts = [v for v in verdicts if v.status == "failed" and v.recommendation == "alert"]
    assert len(alerts) >= 3
    for one in alerts:
        assert 0.0 < one.rarity <= 365.25 / 7
    by_score = sorted(alerts, key=lambda one: one.score)
    assert all(one.rarity >= two.rarity for one, two in pairwise(by_score))
    assert by_score[0].rarity > by_score[-1].rarity


def test_a_verdict_that_is_changed_keeps_it() -> None:
    alert = next(v for v in feed(BucketJudge(), range(310)) if v.rarity)
    assert alert.changed(partial=True).rarity == alert.rarity


def test_a_restart_changes_none() -> None:
    straight = BucketJudge()
    whole = feed(straight, range(310))
    first = BucketJudge()
    before = feed(first, range(299))
    second = BucketJudge()
    second.restore(json.loads(json.dumps(first.snapshot())))
    after = feed(second, range(299, 310))
    assert [v.rarity for v in before + after] == [v.rarity for v in whole]


def test_one_that_is_too_few_alerts_by_itself() -> None:
    judge = BucketJudge()
    feed(judge, range(300))
    found = judge.assess(300 * 60, (), "failed", {"approved": 200, "failed": 60})
    assert found is not None
    assert 0.0 < found.rarity < 1e-3

"""What hundreds of merchants do that is no incident, and what a small one does that is."""

import json
import random
from collections.abc import Callable

from txmon.detection.detector import BucketJudge
from txmon.detection.hours import ClosedHours, KeyHours
from txmon.detection.thresholds import DetectorConfig
from txmon.model.keys import Key
from txmon.model.verdict import Verdict

DAY = 86400
MONDAY = 1772409600
SHOP: Key = (("merchant", "m1"),)
OTHER: Key = (("merchant", "m2"),)

Rates = Callable[[int], dict[str, float]]


def poisson(draw: random.Random, mean: float) -> int:
    count, left = 0, draw.expovariate(1.0)
    while left < mean:
        count, left = count + 1, left + draw.expovariate(1.0)
    return count


def alerts(rates: Rates, minutes: int, sigma: float = 4.5) -> list[Verdict]:
    """Of SHOP, beside a key that never changes."""
    draw = random.Random(5)
    judge = BucketJudge(DetectorConfig(sigma=sigma))
    found: list[Verdict] = []
    for minute in range(minutes):
        mine = {status: count for status, mean in rates(minute).items() if (count := poisson(draw, mean))}
        counts = {OTHER: {"approved": poisson(draw, 20.0) + 1}} | ({SHOP: mine} if mine else {})
        found += [v for v in judge.judge(MONDAY + 60 * minute, counts) if v.key == SHOP and v.recommendation == "alert"]
    return found


def test_the_end_of_a_charge_of_subscribers_is_no_loss() -> None:
    def rates(minute: int) -> dict[str, float]:
        return {"approved": 60.0 if 600 <= minute < 612 else 4.0}

    assert alerts(rates, 700) == []


def test_the_end_of_a_charge_is_no_loss_where_most_minutes_are_empty() -> None:
    def rates(minute: int) -> dict[str, float]:
        return {"approved": 20.0 if 600 <= minute < 612 else 0.4}

    assert alerts(rates, 700) == []


def test_failures_of_a_small_merchant_do_not_teach_their_own_level() -> None:
    def rates(minute: int) -> dict[str, float]:
        return {"approved": 3.0, "failed": 0.8 if 3000 <= minute < 3025 else 0.015}

    found = alerts(rates, 3060, 5.15)
    assert found
    assert {v.status for v in found} == {"failed"}
    assert len(found) > 4


def test_a_key_that_was_closed_yesterday_is_closed() -> None:
    feed, key = ClosedHours(), KeyHours(MONDAY)
    for minute in range(1440 + 1200):
        time = MONDAY + 60 * minute
        feed.learn(time, True)
        if 480 <= minute % 1440 < 1200:
            key.note(time)
    evening = MONDAY + DAY + 1200 * 60
    assert key.closed(evening + 600, feed, False)
    assert not key.closed(evening - 3600, feed, False)
    # it may close ten minutes earlier, and has few transactions then
    assert key.near(evening - 300, feed)
    assert not key.near(evening - 900, feed)


def test_a_cluster_in_a_small_key_is_judged_by_those_of_other_keys() -> None:
    """Denials of 49 keys come by the eight. Those of the first have come one by one so far."""

    def run(judge: BucketJudge, begin: int, end: int) -> list[Verdict]:
        found: list[Verdict] = []
        for minute in range(begin, end):
            draw = random.Random(minute)
            counts: dict[Key, dict[str, int]] = {}
            for number in range(50):
                mine = {"approved": poisson(draw, 3.0) + 1}
                if draw.random() < (0.03 if number else 0.01):
                    mine["denied"] = 8 if number else 1
                counts[(("merchant", f"m{number:02d}"),)] = mine
            if minute == 1000:
                counts[(("merchant", "m00"),)]["denied"] = 8
            found += judge.judge(MONDAY + 60 * minute, counts)
        return found

    judge = BucketJudge(DetectorConfig(sigma=4.5))
    run(judge, 0, 1000)
    again = BucketJudge(DetectorConfig(sigma=4.5))
    again.restore(json.loads(json.dumps(judge.snapshot())))
    for one in (judge, again):
        [denied] = [v for v in run(one, 1000, 1001) if v.status == "denied" and v.key[0][1] == "m00"]
        assert (denied.count, denied.recommendation) == (8, "ok")

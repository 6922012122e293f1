"""An outage that goes on and off stays one: the detector does not take it for how the feed comes."""

import random

from txmon.detection.detector import BucketJudge
from txmon.detection.thresholds import DetectorConfig

START = 1772438400  # 2026-03-02T08:00:00Z
DAY = 1440


def alerts(minutes: int, begins: int, ends: int, period: int, failed: int, halfway: bool = False) -> list[int]:
    """The minutes in which `failed` alerts, where it jumps for two minutes of each period from `begins` to `ends`.

    halfway: a copy that was restored from a state goes on in the middle.
    """
    rng = random.Random(4)
    judge = BucketJudge(DetectorConfig())
    found = []
    for minute in range(minutes):
        counts = {"approved": rng.randint(90, 110)}
        if begins <= minute < ends and minute % period < 2:
            counts["failed"] = failed
        if halfway and minute == (begins + ends) // 2:
            state = judge.snapshot()
            judge = BucketJudge(DetectorConfig())
            judge.restore(state)
        verdicts = judge.judge(START + 60 * minute, {(): counts})
        if any(one.status == "failed" and one.recommendation == "alert" for one in verdicts):
            found.append(minute)
    return found


def test_every_time_of_an_outage_on_and_off_alerts() -> None:
    for period, ends, failed in ((10, 360, 12), (10, 900, 30), (15, 500, 40), (7, 400, 12), (20, 600, 25)):
        found = {minute // period for minute in alerts(ends + 60, 120, ends, period, failed)}
        assert found == {minute // period for minute in range(120, ends) if minute % period < 2}, period


def test_so_it_does_after_a_restart() -> None:
    assert alerts(420, 120, 360, 10, 12, halfway=True) == alerts(420, 120, 360, 10, 12)


def test_what_was_there_from_the_start_is_a_job() -> None:
    found = alerts(DAY, 0, DAY, 15, 30)
    assert found
    assert max(found) < 300


def test_what_goes_on_for_longer_than_a_day_is_usual() -> None:
    found = alerts(3 * DAY, 240, 3 * DAY, 15, 30)
    assert max(found) < 240 + DAY + 180

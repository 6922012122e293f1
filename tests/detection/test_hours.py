"""The hours in which a feed is closed."""

from typing import Any

import pytest

from txmon.detection.detector import BucketJudge
from txmon.detection.hours import ClosedHours, KeyHours, hours_since
from txmon.detection.key_series import KeyVolume
from txmon.detection.thresholds import DetectorConfig
from txmon.model.keys import Counts
from txmon.model.verdict import Verdict

DAY = 86400
MONDAY = 1772409600


def weeks(days: int, open_on: range = range(6)) -> ClosedHours:
    hours = ClosedHours()
    for day in range(days):
        for minute in range(1440):
            hours.learn(MONDAY + day * DAY + minute * 60, 480 <= minute < 1200 and day % 7 in open_on)
    return hours


def test_a_night_is_closed_after_two_of_them() -> None:
    assert not weeks(1).closed(MONDAY + DAY + 60)
    assert weeks(2).closed(MONDAY + 2 * DAY + 60)


def test_a_morning_on_which_it_does_not_open_is_not_closed() -> None:
    hours = weeks(3)
    for minute in range(480):
        assert hours.closed(MONDAY + 3 * DAY + minute * 60) or minute < 0
        hours.learn(MONDAY + 3 * DAY + minute * 60, False)
    assert hours.closed(MONDAY + 3 * DAY + 489 * 60)  # it may open a little later than usual
    assert not hours.closed(MONDAY + 3 * DAY + 490 * 60)


def test_the_second_sunday_is_closed_and_the_monday_after_is_not() -> None:
    hours = weeks(13)
    sunday = MONDAY + 13 * DAY
    for minute in range(1440):
        assert hours.closed(sunday + minute * 60)
        hours.learn(sunday + minute * 60, False)
    for minute in range(480):
        hours.learn(sunday + DAY + minute * 60, False)
    assert not hours.closed(sunday + DAY + 490 * 60)


@pytest.mark.parametrize("width", [10, 60, 300])
@pytest.mark.parametrize("days", [0.001, 0.3, 2.2, 20])
def test_the_hours_of_a_key_that_always_brought_something_are_those_noted_bucket_by_bucket(
    width: int, days: float
) -> None:
    begin = MONDAY + 7 * 3600 + 2 * width
    last = begin + int(days * DAY) // width * width
    noted = KeyHours(begin)
    for time in range(begin, last + 1, width):
        noted.note(time)
    assert hours_since(begin, last).snapshot() == noted.snapshot()


def test_a_key_that_never_stops_has_no_hours_in_memory_and_has_them_in_a_state() -> None:
    judge, key = BucketJudge(), (("merchant", "m"),)
    for minute in range(400):
        judge.judge(MONDAY + 60 * minute, {key: {"approved": 9}, (("merchant", "o"),): {"approved": 9}})
    volume = judge._roster.volumes[key]
    assert hours_of(volume) is None
    rows: Any = judge.snapshot()["key_hours"]
    assert len(rows) == 2
    judge.judge(MONDAY + 60 * 400, {(("merchant", "o"),): {"approved": 9}})
    hours = hours_of(volume)
    assert hours is not None
    assert hours.snapshot() == rows[0][1]


def hours_of(volume: KeyVolume) -> KeyHours | None:
    return volume.hours


def merchants(days: int, open_at: int, last_open_at: int) -> list[Verdict]:
    """Verdicts on the volume of a shop beside one that never closes.

    It is open from this minute of the day to 21:59, and on the last day from `last_open_at` on.
    """
    judge = BucketJudge(DetectorConfig(bucket=60))
    found: list[Verdict] = []
    for minute in range(days * 1440):
        opening = last_open_at if minute // 1440 == days - 1 else open_at
        counts: Counts = {(("merchant", "always"),): {"approved": 60 + minute * 7 % 11}}
        if opening <= minute % 1440 < 22 * 60:
            counts[("merchant", "shop"),] = {"approved": 8 + minute * 5 % 7}
        found += judge.judge(60 * minute, counts)
    return [one for one in found if one.key == (("merchant", "shop"),) and one.status == "*"]


def alerts_of_day(verdicts: list[Verdict], day: int) -> list[int]:
    """Minutes of a day in which it alerted."""
    return [v.time // 60 % 1440 for v in verdicts if v.recommendation == "alert" and v.time // 86400 == day]


def test_a_key_that_closes_each_night_is_closed_then_although_the_feed_goes_on() -> None:
    verdicts = merchants(4, 9 * 60, 9 * 60)
    assert alerts_of_day(verdicts, 1)  # its nights are not known yet
    assert not alerts_of_day(verdicts, 3)
    (night,) = [v for v in verdicts if v.time == 3 * 86400 + 3 * 3600]
    assert night.expected == 0.0
    assert night.text.endswith("closed at this time on the days before")


def test_a_key_that_does_not_open_is_silent() -> None:
    late = alerts_of_day(merchants(4, 9 * 60, 12 * 60), 3)
    assert late
    assert 9 * 60 < late[0] < 9 * 60 + 30
    assert late[-1] < 12 * 60

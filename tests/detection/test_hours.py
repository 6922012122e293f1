"""The hours in which a feed is closed."""

from txmon.detection.hours import ClosedHours

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

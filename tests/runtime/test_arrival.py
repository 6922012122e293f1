"""How long buckets stay open: learned from how late records arrive."""

import pytest

from txmon.ingest.records import Record
from txmon.runtime.arrival import MOST, ArrivalLag

NOON = 1772452800


def burst(now: int, seconds: int, rows: int = 40) -> list[Record]:
    """All records of the last so many seconds, delivered at once."""
    return [Record(now - seconds * n // rows, "approved", 1) for n in range(rows)]


def test_steady_arrival_keeps_buckets_open_as_before() -> None:
    lag = ArrivalLag(60, 5)
    for second in range(0, 1800, 2):
        lag.note([Record(NOON + second - second % 3, "approved", 1)], NOON + second)
    assert lag.lateness(NOON + 1800) == 5


@pytest.mark.parametrize("every", [90, 120, 180, 300])
def test_bursts_are_learned_at_the_second_one(every: int) -> None:
    lag = ArrivalLag(60, 5)
    lag.note(burst(NOON, every), NOON)
    assert lag.lateness(NOON) == 5
    lag.note(burst(NOON + every, every), NOON + every)
    found = lag.lateness(NOON + every)
    assert every - 65 <= found <= every
    for n in range(2, 20):
        lag.note(burst(NOON + n * every, every), NOON + n * every)
    assert every - 80 <= lag.lateness(NOON + 19 * every) <= every


def test_one_delivery_after_an_outage_and_single_stragglers_change_nothing() -> None:
    lag = ArrivalLag(60, 5)
    lag.note(burst(NOON, 300), NOON)
    for second in range(1, 3600):
        late = 400 if second % 300 == 0 else 0  # one record in 300 seconds is minutes late, by itself
        lag.note([Record(NOON + second - late, "approved", 1)], NOON + second)
    assert lag.lateness(NOON + 3600) == 5


def test_what_was_learned_is_forgotten_an_hour_after_the_last_burst() -> None:
    lag = ArrivalLag(60, 5)
    for n in range(3):
        lag.note(burst(NOON + 180 * n, 180), NOON + 180 * n)
    assert lag.lateness(NOON + 400) > 60
    assert lag.lateness(NOON + 360 + 3700) == 5


def test_a_backlog_that_is_read_says_nothing_of_how_late_records_are() -> None:
    lag = ArrivalLag(60, 5)
    for minute in range(0, 300, 10):
        lag.note([Record(NOON + 60 * (minute + n), "approved", 1) for n in range(10)], NOON + 60 * minute)
    assert lag.lateness(NOON + 18000) == 5


def test_buckets_never_stay_open_for_more_than_ten_minutes() -> None:
    lag = ArrivalLag(60, 5)
    for n in range(4):
        lag.note(burst(NOON + 1800 * n, 1800), NOON + 1800 * n)
    assert lag.lateness(NOON + 5400) == MOST


def test_a_restart_remembers_it_for_an_hour() -> None:
    lag, again = ArrivalLag(60, 5), ArrivalLag(60, 5)
    for n in range(3):
        lag.note(burst(NOON + 180 * n, 180), NOON + 180 * n)
    again.resume(lag.learned(NOON + 360))
    assert again.lateness(NOON + 400) == lag.lateness(NOON + 400)
    assert again.lateness(NOON + 360 + 3601) == 5
    with pytest.raises(KeyError):
        again.resume({})

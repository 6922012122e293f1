"""What recurs at a place of the hour or the day, and how it is forgotten."""

import json

from txmon.detection.pulses import MOST, Pulses

HOUR = 3600


def test_a_pulse_of_the_hour_is_usual_after_three_times() -> None:
    pulses = Pulses()
    for hour in range(3):
        assert pulses.usual(hour * HOUR, 60.0, 5.0) == 5.0
        pulses.note(hour * HOUR, 55.0, 12.0)
        pulses.note(hour * HOUR + 60, 0.0, 0.0)
    assert pulses.usual(3 * HOUR, 60.0, 5.0) == 60.0
    assert pulses.named == "hour"
    assert pulses.usual(3 * HOUR, 500.0, 5.0) < 150.0
    assert pulses.usual(3 * HOUR, 5.0, 5.0) == 5.0  # its absence is no loss
    pulses.note(3 * HOUR, 55.0, 12.0)
    assert pulses.usual(3 * HOUR + 60, 60.0, 5.0) == 5.0


def test_a_problem_that_begins_later_is_usual_after_a_day() -> None:
    pulses = Pulses()
    for hour in range(24):
        assert pulses.usual(hour * HOUR, 60.0, 5.0) == 5.0
        pulses.note(hour * HOUR, 55.0, 12.0, at_once=False)
        pulses.note(hour * HOUR + 60, 0.0, 0.0)
    pulses.note(24 * HOUR, 55.0, 12.0, at_once=False)
    assert pulses.usual(25 * HOUR, 55.0, 5.0) == 55.0


def test_a_job_a_minute_early_or_late_is_expected_once() -> None:
    pulses = Pulses()
    for hour in range(3):
        pulses.note(hour * HOUR + 600, 55.0, 12.0)
    assert pulses.usual(3 * HOUR + 540, 60.0, 5.0) == 60.0
    pulses = Pulses()
    for hour in range(3):
        pulses.note(hour * HOUR + 600, 55.0, 12.0)
    assert pulses.usual(3 * HOUR + 660, 60.0, 5.0) == 60.0
    pulses.note(3 * HOUR + 660, 55.0, 12.0)
    assert pulses.usual(3 * HOUR + 720, 60.0, 5.0) == 5.0  # it came already


def test_a_job_that_is_not_exact_is_learned_over_a_day() -> None:
    pulses = Pulses()
    for hour in range(24):
        at = hour * HOUR + 600 + 60 * (0, 2, -1, 1, -2)[hour % 5]
        pulses.note(at, 55.0, 12.0, at_once=False)
        for minute in range(60):
            if hour * HOUR + minute * 60 != at:
                pulses.note(hour * HOUR + minute * 60, 0.0, 0.0, at_once=False)
    pulses.note(24 * HOUR + 600, 55.0, 12.0, at_once=False)
    assert pulses.usual(25 * HOUR + 720, 55.0, 5.0) > 40.0


def test_a_pulse_that_stays_away_is_forgotten() -> None:
    pulses = Pulses()
    for hour in range(3):
        pulses.note(hour * HOUR, 55.0, 12.0)
    for hour in range(3, 20):
        pulses.note(hour * HOUR, 0.0, 0.0)
    assert pulses.usual(20 * HOUR, 60.0, 5.0) == 5.0


def test_a_long_incident_is_no_pulse_of_the_hour() -> None:
    pulses = Pulses()
    for minute in range(300):
        pulses.note(minute * 60, 55.0, 12.0)
    assert pulses.usual(300 * 60 + 1800, 60.0, 5.0) == 5.0


def test_what_is_odd_everywhere_is_no_pulse() -> None:
    pulses = Pulses()
    for minute in range(0, 600, 2):
        pulses.note(minute * 60, 55.0, 12.0)
        pulses.note(minute * 60 + 60, 0.0, 0.0)
    assert pulses.usual(600 * 60, 60.0, 5.0) == 5.0


def test_memory_is_bounded() -> None:
    pulses = Pulses()
    for minute in range(0, 10080, 1):
        pulses.note(minute * 60, 55.0, 12.0)
    kept = json.loads(json.dumps(pulses.snapshot()))[2:]
    assert sum(map(len, kept)) <= 3 * MOST

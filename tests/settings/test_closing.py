"""Closed hours as people declare them."""

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from txmon.settings.closing import closed_rules
from txmon.settings.load import as_toml, load


def closed(rules: object, when: str, tz: str = "UTC") -> bool:
    zone = ZoneInfo(tz)
    moment = datetime.fromisoformat(when)
    time = int((moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp())
    return any(rule.active(time, zone) for rule in closed_rules(rules))


@pytest.mark.parametrize(
    ("rules", "inside", "outside"),
    [
        ("weekday=sat+sun", ["2026-03-07T00:00", "2026-03-08T23:59"], ["2026-03-06T23:59", "2026-03-09T00:00"]),
        ("time=22:00-08:00", ["2026-03-02T22:00", "2026-03-03T07:59"], ["2026-03-02T21:59", "2026-03-03T08:00"]),
        ("weekday=fri;time=20:00-08:00", ["2026-03-06T21:00", "2026-03-07T07:00"], ["2026-03-07T21:00"]),
        ("date=2026-12-25", ["2026-12-25T00:00", "2026-12-25T23:59"], ["2026-12-26T00:00"]),
        ("date=2026-12-24..2027-01-01", ["2026-12-24T12:00", "2027-01-01T12:00"], ["2027-01-02T00:00"]),
        ("date=2026-12-25+2026-12-31;time=12:00-24:00", ["2026-12-31T12:00"], ["2026-12-31T11:59"]),
        ("weekday=sat,time=03:00-04:00", ["2026-03-07T12:00", "2026-03-04T03:30"], ["2026-03-04T12:00"]),
        ([{"weekday": ["sat", "sun"]}, {"time": "03:00-04:00"}], ["2026-03-07T12:00", "2026-03-04T03:30"], []),
        ({"date": ["2026-12-25"], "tz": "America/Sao_Paulo"}, ["2026-12-26T02:59"], ["2026-12-25T02:59"]),
    ],
)
def test_hours_days_and_dates(rules: object, inside: list[str], outside: list[str]) -> None:
    assert [when for when in inside if not closed(rules, when)] == []
    assert [when for when in outside if closed(rules, when)] == []


def test_the_zone_is_the_rules_own_or_the_settings() -> None:
    assert closed("time=22:00-06:00", "2026-03-02T23:00", "America/Sao_Paulo")
    assert not closed("time=22:00-06:00", "2026-03-02T23:00+00:00", "America/Sao_Paulo")
    assert closed("time=22:00-06:00;tz=Europe/Berlin", "2026-03-02T21:30+00:00", "America/Sao_Paulo")


def test_public_holidays() -> None:
    pytest.importorskip("holidays")
    assert closed("holidays=BR", "2026-09-07T12:00")
    assert not closed("holidays=BR", "2026-09-08T12:00")
    assert closed("holidays=br-sp", "2026-07-09T12:00")
    assert not closed("holidays=BR", "2026-07-09T12:00")
    assert closed("holidays=BR+US;time=00:00-12:00", "2026-12-25T11:00")
    assert not closed("holidays=BR+US;time=00:00-12:00", "2026-12-25T13:00")


@pytest.mark.parametrize(
    ("rules", "reason"),
    [
        ("weekdays=sat", "Choose weekday, time, date, holidays or tz; did you mean 'weekday'"),
        ("weekday=samedi", "Choose mon"),
        ("time=8-9", "not a time of day"),
        ("time=08:00-08:00", "begins when it ends"),
        ("time=08:00-09:00+10:00-11:00", "has one time"),
        ("date=25/12/2026", "not a date like"),
        ("date=2026-12-25..2026-12-24", "does not end within a year"),
        ("tz=UTC", "need one of"),
        ("weekday=sat;tz=Nowhere", "not a time zone"),
        ("", "is not valid|no"),
        ([], "is not valid"),
        (3, "is not valid"),
        ([3], "is not valid"),
        ("weekday", "Write NAME=VALUE"),
    ],
)
def test_mistakes_are_said(rules: object, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        closed_rules(rules)


@pytest.mark.parametrize(("code", "reason"), [("ZZ", "not a country code"), ("BR-ZZ", "has no part 'ZZ'")])
def test_unknown_countries_are_said(code: str, reason: str) -> None:
    pytest.importorskip("holidays")
    with pytest.raises(ValueError, match=reason):
        closed_rules(f"holidays={code}")


def test_tables_of_a_file_read_back(tmp_path: Path) -> None:
    file = tmp_path / "txmon.toml"
    file.write_text(
        '[[closed]]\nweekday = ["sat", "sun"]\n\n[[closed]]\ntime = "22:00-08:00"\ndate = "2026-12-24..2026-12-25"\n'
    )
    found = load({}, {}, tmp_path, tmp_path)
    assert [str(rule) for rule in found.settings.closed] == [
        "weekday=sat+sun",
        "time=22:00-08:00;date=2026-12-24+2026-12-25",
    ]
    file.write_text(as_toml(found, {}))
    assert load({}, {}, tmp_path, tmp_path).settings.closed == found.settings.closed
    assert closed_rules([str(rule) for rule in found.settings.closed]) == found.settings.closed

"""Times as people write them, against datetime."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from txmon.ingest.timestamps import TimeParser

MOMENT = datetime(2026, 3, 2, 14, 33, 5, tzinfo=UTC)
SECONDS = int(MOMENT.timestamp())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-03-02T14:33:05Z", SECONDS),
        ("2026-03-02 14:33:05", SECONDS),
        ("2026-03-02T16:33:05+02:00", SECONDS),
        ("2026-03-02T14:33:05.999", SECONDS),
        (str(SECONDS), SECONDS),
        (f"{SECONDS}.75", SECONDS),
        (str(SECONDS * 1000 + 999), SECONDS),
        ("14h33", SECONDS - 5),
        ("14h 33", SECONDS - 5),
        ("14h", SECONDS - 5 - 33 * 60),
        ("14:33", SECONDS - 5),
        (" 14:33:05 ", SECONDS),
        ("20260302", SECONDS - 14 * 3600 - 33 * 60 - 5),
    ],
)
def test_accepted_forms(text: str, expected: int) -> None:
    assert TimeParser(UTC, date(2026, 3, 2)).parse(text) == expected


@pytest.mark.parametrize("text", ["", "noon", "25:00", "14:60", "14h99", "2026-13-01", "-5", "nan", "1e30", "1 4:33"])
def test_refused_forms(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        TimeParser(UTC, date(2026, 3, 2)).parse(text)


@pytest.mark.parametrize("text", [
    "2026-03-02T24:00:00Z", "2026-03-02T10:60:00Z", "2026-03-02T10:00:60Z", "2026-03-02T10:0x:00Z",
    "2026-03-02T-1:00:00Z",
    "2026-03-02T10:00:0/Z", "2026-13-02T10:00:00Z", "2026-03-02T10:00:00z", "2026-03-02T10:00:00",
    "2026-03-02_10:00:00Z",
    "2026-03-02T10.00:00Z", "2026-03-02T10:00.00Z", "1969-12-31T23:59:59Z", "-026-03-02T10:00:00Z", "",
])  # fmt: skip
def test_what_is_not_as_most_systems_write_it_is_left_to_others(text: str) -> None:
    times = TimeParser(ZoneInfo("Europe/Berlin"))
    assert times.plain(b"2026-03-02T14:33:05Z") == SECONDS
    assert times.plain(text.encode()) == -1
    assert times.plain(b"2026-03-02 14:33:05Z") == SECONDS


def test_a_time_of_day_without_a_date_is_refused() -> None:
    with pytest.raises(ValueError, match="has no date"):
        TimeParser().parse("14:33")


def test_midnight_begins_the_next_day_and_a_late_row_stays_in_its_own() -> None:
    times = TimeParser(UTC, date(2026, 3, 2))
    found = [times.parse(text) for text in ("23:58", "23:59", "00:00", "23:59", "00:01")]
    assert [f - found[0] for f in found] == [0, 60, 120, 60, 180]


def test_a_naive_time_is_in_the_given_zone() -> None:
    zone = ZoneInfo("America/Sao_Paulo")
    assert TimeParser(zone).parse("2026-03-02 11:33:05") == SECONDS
    assert TimeParser(zone, date(2026, 3, 2)).parse("11:33:05") == SECONDS
    assert TimeParser(zone).parse("2026-03-02T14:33:05Z") == SECONDS


@pytest.mark.parametrize(
    "text", ["1970-01-01T00:00:00Z", "1989-12-31 23:59:59", "2101-01-01 00:00:00", "9999-12-31T23:59:59Z", "1900-01-01"]
)
def test_a_placeholder_is_not_a_time(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not between 1990 and 2100$"):
        TimeParser().parse(text)


def test_a_year_of_the_buddhist_calendar_is_named() -> None:
    with pytest.raises(ValueError, match="Subtract 543"):
        TimeParser().parse("2567-03-15 10:00:00")


@given(st.datetimes(datetime(1990, 1, 1), datetime(2100, 12, 31, 23), timezones=st.just(UTC)))
def test_every_iso_time_is_read_back(moment: datetime) -> None:
    assert TimeParser().parse(moment.isoformat()) == (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1)


@given(st.lists(st.integers(0, 86399), min_size=2, max_size=50))
def test_the_cache_changes_nothing(seconds: list[int]) -> None:
    texts = [f"{s // 3600:02}:{s // 60 % 60:02}:{s % 60:02}" for s in seconds]
    one = TimeParser(UTC, date(2026, 3, 2))
    first = [one.parse(text) for text in texts]
    other = TimeParser(UTC, date(2026, 3, 2))
    assert first == [other.parse(f" {text}" if i % 2 else text) for i, text in enumerate(texts)]


@pytest.mark.parametrize(("text", "certain"), [
    ("2026-03-02T14:33:05Z", True), ("2026-03-02 14:33:05", True), ("1772461985", True),
    (f"{'0' * 80}1772461985", True),
    ("14:33", False), (" 14h 33", False),
    ("2026-10-25 02:30:00", False),  # in the hour that comes twice
    ("2026-10-25 03:30:00", True),
])  # fmt: skip
def test_a_time_is_certain_where_the_same_text_always_means_it(text: str, certain: bool) -> None:
    times = TimeParser(ZoneInfo("Europe/Berlin"), date(2026, 3, 2))
    first = times.read(text)
    assert first[1] is certain
    assert times.read(text)[1] is certain  # and so it is when the text is remembered
    assert first[0] == TimeParser(ZoneInfo("Europe/Berlin"), date(2026, 3, 2)).parse(text)


def test_live_times_of_day_are_near_the_wall_clock_and_independent_of_each_other() -> None:
    noon = 1772452800  # 2026-03-02T12:00:00Z
    times = TimeParser(UTC, date(2026, 3, 2), noon)
    assert [times.parse(text) - noon for text in ("12:00", "00h 05", "12:01", "23:59", "12:02")] == [
        0, -42900, 60, 43140 - 86400, 120,
    ]  # fmt: skip
    times.look(noon + 12 * 3600)
    assert times.parse("00:00:30") - noon == 43230
    assert times.parse("23:59:30") - noon == 43170
    served = TimeParser(UTC)
    served.go_live(noon, 43200)
    assert [served.parse(text) - noon for text in ("23:59", "00:01")] == [43140, -43140]


def test_in_a_file_times_of_day_follow_each_other() -> None:
    times = TimeParser(UTC, date(2026, 3, 2))
    times.look(0)
    found = [times.parse(text) for text in ("23:59", "00:01", "23:58", "00:02")]
    assert [time - found[0] for time in found] == [0, 120, -60, 180]

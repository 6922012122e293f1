"""Clocks that are set, zones that change theirs, and streams whose time jumps."""

import os
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from fault_tools import ordinary, table, txmon

from txmon.ingest.follow import PipeSource
from txmon.ingest.records import ParseOptions, RecordParser
from txmon.ingest.rejects import RejectLog
from txmon.ingest.timestamps import TimeParser
from txmon.runtime.factory import pipeline_of
from txmon.runtime.session import LiveSession
from txmon.settings.declarations import Settings
from txmon.sinks.lines import verdict_line

BERLIN = ZoneInfo("Europe/Berlin")
NOON = 1772452800.0  # 2026-03-02T12:00:00Z


def live(walls: Sequence[float]) -> tuple[list[str], list[str]]:
    """The verdicts of a live run, and what it said, while the wall clock shows one of `walls` after the other."""
    reader, writer = os.pipe()
    log, wall = RejectLog(), [walls[0]]
    run = LiveSession(Settings(), pipeline_of(Settings(), live=True), log, lambda: wall[0], lambda: 0.0)
    run.read_from(PipeSource(reader), RecordParser("f", ParseOptions(), TimeParser(UTC, date(2026, 3, 2))))
    header, *rows = table(ordinary(110)).splitlines(keepends=True)
    lines: list[str] = []
    for n, row in enumerate([header, *rows]):
        wall[0] = walls[n % len(walls)]
        os.write(writer, row)
        lines += [verdict_line(v) for outcome in run.poll({reader})[1] for v in outcome.verdicts]
    os.close(writer)
    run.poll({reader})
    os.close(reader)
    return lines, log.summary()


@pytest.mark.fault(
    "the wall clock is set back a day or forward a year",
    "judges as usual: event time and a clock that nobody sets decide",
)
def test_clock_steps_change_nothing() -> None:
    steady = live([NOON])
    assert len(steady[0]) > 300
    assert live([NOON, NOON - 3600 * 1.5, NOON + 366 * 86400]) == steady
    assert live([NOON, NOON - 86400]) == steady


@pytest.mark.fault(
    "times of day where local and UTC dates differ",
    "takes today's date in the zone `--tz`: an evening in São Paulo is not in the future",
)
@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Etc/GMT+12", "America/Sao_Paulo"])
def test_times_of_day_are_of_the_zones_today(zone: str) -> None:
    now = datetime.now(ZoneInfo(zone)) - timedelta(minutes=2)
    done = txmon("watch", "--tz", zone, stdin=table([(f"{now:%H:%M}", "denied", 3)]))
    assert (done.code, done.err) == (0, "")
    assert done.lines[0]["time"] == f"{now.astimezone(UTC):%Y-%m-%dT%H:%M:00Z}"


@pytest.mark.fault(
    "a live stream of times of day begun around midnight",
    "puts the first row on the day that is nearest, not a day ahead",
)
def test_begun_at_midnight() -> None:
    midnight = int(datetime(2026, 3, 2, tzinfo=UTC).timestamp())
    after = TimeParser(UTC, date(2026, 3, 2), midnight + 1)
    assert [after.parse(t) - midnight for t in ("23:59:59", "00:00:02", "00:01")] == [-1, 2, 60]
    before = TimeParser(UTC, date(2026, 3, 1), midnight - 1)
    assert [before.parse(t) - midnight for t in ("00:00:01", "23:59:58", "00:01")] == [1, -2, 60]
    noon = TimeParser(UTC, date(2026, 3, 2), midnight + 43200)
    assert [noon.parse(t) - midnight for t in ("00:00:01", "00:01", "23:59")] == [1, 60, 86340 - 86400]


def local_day(day: date, written: str) -> tuple[list[str], int]:
    """Every minute of a Berlin day as its wall clocks show it, and how many there are."""
    start = datetime(day.year, day.month, day.day, tzinfo=BERLIN)
    end = datetime(day.year, day.month, day.day + 1, tzinfo=BERLIN) if day.day < 31 else start
    minutes = int(end.timestamp() - start.timestamp()) // 60
    moments = (datetime.fromtimestamp(start.timestamp() + 60 * m, BERLIN) for m in range(minutes))
    return [f"{moment:{written}}" for moment in moments], minutes


@pytest.mark.fault(
    "the clocks go back (25 hours, `--tz`)", "the repeated hour is two hours: nothing late, silent or doubled"
)
@pytest.mark.parametrize("written", ["%Y-%m-%d %H:%M", "%Hh %M"])
def test_the_clocks_go_back(written: str) -> None:
    times, minutes = local_day(date(2026, 10, 25), written)
    assert minutes == 25 * 60
    rows = [(text, "denied", 10 + n % 3) for n, text in enumerate(times)]
    done = txmon("replay", "-", "--tz", "Europe/Berlin", "--date", "2026-10-25", stdin=table(rows))
    assert (done.code, done.err) == (0, "")
    assert [line["count"] for line in done.volume()] == [10 + n % 3 for n in range(minutes)]
    assert done.alerts() == []


@pytest.mark.fault("the clocks go forward (23 hours, `--tz`)", "the hour that is left out is no silence")
def test_the_clocks_go_forward() -> None:
    times, minutes = local_day(date(2026, 3, 29), "%Y-%m-%dT%H:%M")
    assert minutes == 23 * 60
    rows = [(text, "denied", 10 + n % 3) for n, text in enumerate(times)]
    done = txmon("replay", "-", "--tz", "Europe/Berlin", stdin=table(rows))
    assert (done.code, done.err) == (0, "")
    assert [line["count"] for line in done.volume()] == [10 + n % 3 for n in range(minutes)]
    assert done.alerts() == []


@pytest.mark.fault("a leap second (23:59:60)", "belongs to its minute")
@pytest.mark.parametrize(
    "text", ["2016-12-31T23:59:60Z", "2016-12-31 23:59:60.5", "23:59:60", "2016-12-31T18:59:60-05:00"]
)
def test_a_leap_second(text: str) -> None:
    rows = [("2016-12-31T23:59:10Z", "denied", 1), (text, "denied", 2)]
    done = txmon("replay", "-", "--date", "2016-12-31", stdin=table(rows))
    assert (done.code, done.err) == (0, "")
    assert [(line["time"], line["count"]) for line in done.volume()] == [("2016-12-31T23:59:00Z", 3)]


@pytest.mark.fault(
    "one row a year ahead, in a file",
    "at most a day of silence is judged, then the gap is skipped; rows after it are judged where they belong",
)
def test_a_years_jump_in_a_file() -> None:
    first, later = ordinary(60), [(t.replace("T10", "T11"), s, n) for t, s, n in ordinary(60)]
    done = txmon("replay", "-", stdin=table([*first, ("2027-03-02T10:00:00Z", "denied", 1), *later]))
    assert (done.code, done.err) == (0, "")
    assert 120 + 1440 <= len(done.volume()) <= 120 + 1440 + 2


@pytest.mark.fault(
    "one row a year ahead, live", "is a bad record (`--max-ahead`); all others are judged as if it had not come"
)
def test_a_years_jump_live() -> None:
    rows = ordinary(60)
    without = txmon("watch", stdin=table(rows))
    done = txmon("watch", stdin=table([*rows[:60], ("2099-03-02T10:00:00Z", "denied", 1), *rows[60:]]))
    assert done.out == without.out
    assert "1 bad record of this kind: future" in done.err


@pytest.mark.fault(
    "a feed that is silent for most of a day",
    "is expected back at its old level, however short the memory and however long the silence",
)
@pytest.mark.parametrize("memory", ["1m", "15m", "4h"])
def test_the_level_outlives_silence(memory: str) -> None:
    before = ordinary(90)
    after = [(t.replace("03-02T1", "03-03T0"), s, n) for t, s, n in before]
    done = txmon("replay", "-", "--half-life", memory, "--level-shift", "7d", stdin=table([*before, *after]))
    silent = [line for line in done.volume() if line["count"] == 0]
    assert len(silent) == 12 * 60 + 30
    assert all(90 < float(line["expected"]) < 130 for line in silent)
    back = [line for line in done.volume() if line["time"] >= "2026-03-03T00:01"]
    assert [line for line in back if line["recommendation"] == "alert"] == []


@pytest.mark.fault("one row a week", "silence is judged for a day after each, never alerted; then the gap is skipped")
def test_one_row_a_week() -> None:
    days = [date(2025, 1, 6) + timedelta(7 * week) for week in range(12)]
    done = txmon("replay", "-", stdin=table((f"{day}T12:00:00Z", "denied", 1) for day in days))
    assert (done.code, done.err) == (0, "")
    assert len([line for line in done.lines if line.get("count") == 1 and line["status"] == "denied"]) == 12
    assert len(done.volume()) <= 12 * 1442
    assert done.alerts() == []

"""The chart and the summary: whole frames on a fixed, colourless console, and the real thing in a pseudo-terminal."""

import io
import os
import sys
from pathlib import Path

import pexpect
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paths import ROOT
from rich.console import Console
from rich.text import Text

from txmon.model.drivers import Driver
from txmon.model.money import Money
from txmon.model.outcome import IncidentEvent, Outcome, Trend
from txmon.model.verdict import Recommendation, Stated, Verdict
from txmon.runtime.pace import Pace
from txmon.support.terminal_text import printable
from txmon.terminal.alternate_screen import AlternateScreen
from txmon.terminal.board import Board
from txmon.terminal.history import RECENT, History, Point, merge
from txmon.terminal.keyboard import decoded
from txmon.terminal.live_chart import Chart, Progress
from txmon.terminal.plots import draw, marks, top_of
from txmon.terminal.summary import Summary

TXMON = str(Path(sys.executable).with_name("txmon"))
SAMPLE = ROOT / "examples" / "transactions.csv"
START = 1772409600


def verdict(minute: int, status: str, count: int, recommendation: Recommendation = "ok", key: str = "") -> Verdict:
    keys = (("merchant", key),) if key else ()
    return Verdict(
        START + 60 * minute, status, keys, count, 40, 5.0, (count - 5) / 2, 1, recommendation, (),
        Stated(1, 12, "text"),
    )  # fmt: skip


def outcome(minute: int, count: int) -> Outcome:
    time = START + 60 * minute
    alert = count > 12
    verdicts = [verdict(minute, "denied", count, "alert" if alert else "ok"), verdict(minute, "*", 40)]
    events = []
    if alert and minute == 6:
        events = [
            IncidentEvent(
                time, "opened", "i1", ("denied",), (), "issuer declines", time, time, 20, 5.0, 15.0, "20 denied"
            )
        ]  # fmt: skip
    return Outcome(time, verdicts, events, {"denied": Trend(0.5, "rising a lot")})


def frame(width: int, height: int, encoding: str, outcomes: list[Outcome]) -> str:
    raw = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    console = Console(
        file=raw, width=width, height=height, color_system=None, force_terminal=False, legacy_windows=False
    )
    chart = Chart(console, 60, lambda: 0.0)
    for item in outcomes:
        chart.accept(item)
    for line in chart.lines():
        console.print(line, soft_wrap=True)
    raw.flush()
    return "\n".join(line.rstrip() for line in raw.buffer.getvalue().decode(encoding).splitlines())


DAY = [outcome(minute, count) for minute, count in enumerate([4, 5, 6, 5, 4, 6, 20, 18, 5])]


def board_of(outcomes: list[Outcome]) -> Board:
    board = Board(60)
    for item in outcomes:
        board.accept(item)
    return board


def test_the_first_line_has_the_newest_bucket_against_normal_and_the_incidents() -> None:
    first = frame(110, 14, "utf-8", DAY).splitlines()[0]
    assert first == "txmon  2026-03-02 00:08 UTC  40 in a minute, 5 expected, 1 to 12 is normal  1 open incident"


def test_a_partial_verdict_never_empties_the_first_line() -> None:
    partial = verdict(9, "denied", 20, "alert").changed(partial=True)
    lines = frame(110, 14, "utf-8", [*DAY, Outcome(START + 540, [partial])]).splitlines()
    assert "40 in a minute" in lines[0]
    assert "denied  ALERT since 00:09  20 now so far" in "\n".join(lines)


def test_the_close_of_a_bucket_takes_the_place_of_its_partial_verdict() -> None:
    partial = verdict(9, "denied", 20, "alert").changed(partial=True)
    board = board_of([*DAY, Outcome(START + 540, [partial]), outcome(9, 31)])
    track = board.tracks[(), "denied"]
    assert [point.count for point in track.history.recent[-2:]] == [5, 31]


def test_a_correction_changes_the_past_and_not_the_present() -> None:
    revised = verdict(6, "denied", 25, "alert").changed(revises=True)
    board = board_of([*DAY, Outcome(START + 360, [revised])])
    track = board.tracks[(), "denied"]
    assert track.history.recent[6].count == 25
    assert (track.newest.count, board.time) == (5, START + 480)
    drawn = track.history.between(START, START + 540, 9)
    assert [point.count for point in drawn if point] == [4, 5, 6, 5, 4, 6, 25, 18, 5]


def test_a_rare_status_without_a_row_is_at_zero_now() -> None:
    board = board_of([*DAY, Outcome(START + 540, [verdict(9, "*", 40)])])
    track = board.tracks[(), "denied"]
    assert (board.count(track), board.state(track)) == (0, "incident")


def test_an_incident_says_where_it_is_and_what_it_is_worth() -> None:
    time = START + 360
    opened = IncidentEvent(
        time, "opened", "i1", ("denied",), (), "issuer declines", time, time, 20, 5.0, 15.0, "20 denied",
        drivers=(Driver((("issuer", "B7"),), 18, 2.0, 0.93),), money=(Money("USD", 2000.0, 500.0, 100.0, 5.0),),
    )  # fmt: skip
    lines = frame(200, 20, "utf-8", [*DAY[:6], Outcome(time, DAY[6].verdicts, [opened])]).splitlines()
    told = " ".join(" ".join(lines[1:3]).split())
    assert "93% of the excess is issuer B7 (18 seen, 2 expected)" in told
    assert "1,500 USD above normal" in told


def test_marks_stand_only_where_alerts_were() -> None:
    lines = frame(110, 20, "utf-8", DAY).splitlines()
    marked = [n for n, line in enumerate(lines) if set(line) - {" ", "▲", "·"} == set() and "▲" in line]
    assert len(marked) == 1
    title = max(n for n in range(marked[0]) if lines[n].startswith(("denied", "all")))
    assert lines[title].startswith("denied")


def test_what_alerts_comes_first_and_goes_back_to_its_place() -> None:
    quiet = Outcome(START + 540, [verdict(9, "approved", 5, "alert"), verdict(9, "denied", 5), verdict(9, "*", 40)])
    assert [track.newest.status for track in board_of([*DAY, quiet]).ranked()] == ["approved", "denied", "*"]


def test_statuses_cannot_write_on_the_terminal() -> None:
    evil = "\x1b]0;owned\x07\x9b31m\u202edenied"
    found = frame(72, 14, "utf-8", [Outcome(START, [verdict(0, evil, 4), verdict(0, "*", 40, key=evil)])])
    assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(found)
    assert "owned" in found


@given(st.text())
def test_printable_text_stays_on_its_line(text: str) -> None:
    safe = printable(text, 20)
    assert len(safe) <= 20
    assert "\x1b" not in safe
    assert len(safe.splitlines()) <= 1


points = st.lists(
    st.builds(Point, st.integers(0, 10**6), st.just(0), st.integers(0, 10**6), st.integers(0, 2)), max_size=90
)


@given(points, st.integers(1, 40), st.integers(1, 6), st.booleans())
def test_every_drawing_fits_and_marks_every_alert(drawn: list[Point], columns: int, rows: int, utf8: bool) -> None:
    shown = drawn[: columns * (2 if utf8 else 1)]
    lines = draw(shown, columns, rows, utf8)
    assert len(lines) == rows
    assert all(len(line) <= columns for line in lines)
    assert top_of(shown) >= max([point.count for point in shown], default=0)
    under = marks(shown, columns, utf8)
    alerts = {i // (2 if utf8 else 1) for i, point in enumerate(shown) if point.mark == 2}
    assert {i for i, glyph in enumerate(under) if glyph in "▲^"} == alerts


@settings(deadline=None)
@given(st.integers(1, 9000), st.integers(1, 200))
def test_history_is_bounded_and_never_loses_an_alert(buckets: int, wanted: int) -> None:
    history = History(0, 60)
    for i in range(buckets):
        history.add(60 * i, Point(3, 1, 9, 2 if i == buckets // 2 else 0))
    assert len(history.recent) < 2 * RECENT
    overview = [point for point in history.between(0, 60 * buckets, wanted) if point is not None]
    assert len(overview) == wanted
    marked = [n for n, point in enumerate(overview) if point.mark == 2]
    assert marked
    assert marked[-1] - marked[0] == len(marked) - 1
    assert len(marked) == 1 or wanted > buckets // 16
    assert all(point.count == 3 for point in overview)


def test_a_window_before_the_first_bucket_is_blank() -> None:
    history = History(600, 60)
    for i in range(5):
        history.add(600 + 60 * i, Point(i, 0, 9))
    drawn = history.between(300, 900, 10)
    assert [point.count if point else None for point in drawn] == [None] * 5 + [0, 1, 2, 3, 4]


def test_a_gap_of_years_starts_a_history_anew() -> None:
    history = History(0, 60)
    history.add(0, Point(7, 0, 9))
    history.add(60 * 5_000_000, Point(8, 0, 9))
    assert (len(history.recent), history.start) == (1, 300_000_000)


def test_merging_keeps_the_alert_and_else_the_mean() -> None:
    assert merge([Point(1, 0, 5), Point(4, 1, 6)]) == Point(2, 0, 6)
    assert merge([Point(1, 0, 5), Point(0, 40, 60, 2), Point(50, 40, 60)]) == Point(0, 0, 60, 2)


def test_the_summary_counts_and_shows_the_worst_moment() -> None:
    summary = Summary()
    for item in [Outcome(START - 60, [verdict(-1, "denied", 99, "warming")]), *DAY]:
        summary.accept(item)
    raw = io.StringIO()
    summary.print(Console(file=raw, width=100, color_system=None))
    text = raw.getvalue()
    row = next(line for line in text.splitlines() if line.startswith("denied"))
    assert row.split() == ["denied", "9", "2", "00:06", "20", "5", "+7.5"]
    assert "1 incident in 10 buckets" in text
    row = next(line for line in text.splitlines() if line.startswith("warning"))
    assert row.split() == ["warning", "issuer", "declines", "00:06", "open", "20", "5", "+15"]


def test_no_frame_is_drawn_before_its_time() -> None:
    console = Console(file=io.StringIO(), width=80, height=24, force_terminal=True, color_system=None)
    now = [0.0]
    chart = Chart(console, 60, lambda: now[0])
    chart.enter()
    drawn = []

    def progress() -> Progress:
        drawn.append(now[0])
        return Progress("f")

    for moment in (0.0, 0.1, 0.17, 0.2, 0.4):
        now[0] = moment
        chart.tick(progress)
    chart.leave()
    assert drawn == [0.0, 0.17, 0.4]


def test_only_lines_that_changed_are_written_and_a_resize_wipes() -> None:
    file = io.StringIO()
    console = Console(file=file, width=80, height=24, force_terminal=True, color_system=None)
    screen = AlternateScreen(console)
    screen.enter()
    screen.draw([Text("one"), Text("two")])
    file.truncate(0)
    screen.draw([Text("one"), Text("2")])
    assert "one" not in file.getvalue()
    assert "\x1b[2;1H2" in file.getvalue()
    console.width = 60
    file.truncate(0)
    screen.draw([Text("one"), Text("2")])
    assert "\x1b[2J" in file.getvalue()
    assert "one" in file.getvalue()
    screen.leave()
    assert file.getvalue().endswith("\x1b[?1049l")


@pytest.mark.parametrize(
    ("sent", "keys"),
    [
        (b"\x1b[A\x1bOBq", ["up", "down", "q"]),
        (b"\x1b", ["escape"]),
        (b"\r\x7f \xc3\xa9", ["enter", "backspace", " ", "é"]),
        (b"\x1b[5~\x1b[99;5u?", ["page up", "?"]),
        (b"\x01\xff", []),
    ],
)
def test_keys_are_decoded(sent: bytes, keys: list[str]) -> None:
    assert decoded(sent) == keys


def in_terminal(command: str, columns: int, **env: str) -> str:
    environment = {**os.environ, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8", **env}
    for name in ("NO_COLOR", "COLUMNS", "LINES"):
        if name not in env:
            environment.pop(name, None)
    child = pexpect.spawn(
        "bash", ["-c", command], dimensions=(40, columns), timeout=60, encoding="utf-8", env=environment
    )
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
    return str(child.before)


def test_a_terminal_gets_the_chart_and_the_summary_instead_of_lines() -> None:
    seen = in_terminal(f"{TXMON} replay {SAMPLE}", 100)
    assert "\x1b[" in seen
    assert "6 incidents in 1,440 buckets" in seen
    assert "reversal wave" in seen
    assert '{"time"' not in seen


def test_a_pipe_still_gets_its_lines(tmp_path: Path) -> None:
    seen = in_terminal(f"{TXMON} replay {SAMPLE} > {tmp_path}/v.jsonl", 100)
    assert "6 incidents in 1,440 buckets" in seen
    assert (tmp_path / "v.jsonl").read_text().count("\n") > 1440


@pytest.mark.parametrize("columns", [40, 100])
def test_no_color_has_no_color(columns: int) -> None:
    seen = in_terminal(f"{TXMON} replay {SAMPLE}", columns, NO_COLOR="1")
    assert "\x1b[31m" not in seen
    assert "\x1b[1;31m" not in seen
    assert "6 incidents in" in seen


def test_without_utf8_all_is_ascii() -> None:
    seen = in_terminal(f"{TXMON} replay {SAMPLE}", 100, LC_ALL="C", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert "6 incidents in" in seen
    assert seen.isascii()


def test_chart_never_and_always(tmp_path: Path) -> None:
    assert '{"time"' in in_terminal(f"{TXMON} replay {SAMPLE} --chart never", 100)
    command = f"{TXMON} replay {SAMPLE} --chart always --out /dev/null 2> {tmp_path}/e"
    in_terminal(command, 100)
    assert "6 incidents in" in (tmp_path / "e").read_text()


def test_speed_holds_the_replay_back() -> None:
    now, slept, idled = [0.0], [], []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    pace = Pace(60, lambda: now[0], sleep)
    pace.wait(START, lambda: None)
    pace.wait(START + 60, lambda: idled.append(now[0]))
    assert now[0] == pytest.approx(1.0)
    assert len(idled) == len(slept) >= 10
    now[0] = 50.0  # behind: no sleep
    pace.wait(START + 120, lambda: None)
    assert now[0] == 50.0


def test_a_replay_that_is_held_goes_on_from_where_it_stood() -> None:
    now = [0.0]
    pace = Pace(60, lambda: now[0], lambda seconds: now.__setitem__(0, now[0] + seconds))
    pace.wait(START, lambda: None)
    pace.held = True

    def release() -> None:
        pace.held = now[0] < 5

    pace.wait(START + 60, release)
    assert now[0] == pytest.approx(5.0, abs=0.2)
    began = now[0]
    pace.wait(START + 120, lambda: None)
    assert now[0] - began == pytest.approx(1.0)


def test_speeds_go_up_to_all_that_is_possible_and_down_again() -> None:
    pace = Pace(90, lambda: 0.0, lambda seconds: None)
    seen = []
    for _ in range(8):
        pace.faster()
        seen.append(pace.text)
    assert seen == ["300x", "600x", "1800x", "3600x", "7200x", "14400x", "full speed", "full speed"]
    for _ in range(12):
        pace.slower()
    assert pace.text == "1x"

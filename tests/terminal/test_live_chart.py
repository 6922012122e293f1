"""The chart and the summary: whole frames on a fixed, colourless console, and the real thing in a pseudo-terminal."""

import io
import os
import sys
from pathlib import Path

import pexpect
import pytest
from hypothesis import given
from hypothesis import strategies as st
from paths import ROOT
from rich.console import Console

from txmon.model.outcome import IncidentEvent, Outcome, Trend
from txmon.model.verdict import Recommendation, Stated, Verdict
from txmon.support.terminal_text import printable
from txmon.terminal.history import RECENT, History, Point, merge
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
    console.print(chart.render())
    raw.flush()
    return "\n".join(line.rstrip() for line in raw.buffer.getvalue().decode(encoding).splitlines())


DAY = [outcome(minute, count) for minute, count in enumerate([4, 5, 6, 5, 4, 6, 20, 18, 5])]


def test_a_wide_frame() -> None:
    assert frame(72, 14, "utf-8", DAY) == (
        "txmon  2026-03-02 00:08  40 in a minute\n"
        "denied  5 now, 1 to 12 is normal  ⇈ rising a lot  ▲ 2 buckets alerted\n"
        "    20    ⡗⡄\n"
        "          ⡇⡇\n"
        "     0 ⠊⠉⠊ ⠁\n"
        "          ▲\n"
        "all statuses  40 now, 1 to 12 is normal  → stable\n"
        "    40 ⠉⠉⠉⠉⠁\n"
        "\n"
        "     0\n"
        "\n"
        "▲ issuer declines  since 00:06 (2 min)  20 denied"
    )


def test_an_ascii_frame() -> None:
    found = frame(72, 14, "ascii", DAY).splitlines()
    assert found[1:6] == [
        "denied  5 now, 1 to 12 is normal  ^^ rising a lot  ^ 2 buckets alerted",
        "    20       ##",
        "       :::::::::",
        "     0 ******::*",
        "             ^^",
    ]
    assert "\n".join(found).isascii()


def test_a_narrow_frame_is_a_line_a_series() -> None:
    lines = frame(40, 10, "utf-8", DAY).splitlines()
    assert lines[1] == "denied         ▂▂▃▂▂▃█▇▂ 5 ▲2"
    assert all(len(line) <= 40 for line in lines)


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


@given(st.integers(1, 9000), st.integers(1, 200))
def test_history_is_bounded_and_never_loses_an_alert(buckets: int, wanted: int) -> None:
    history = History(0, 60)
    for i in range(buckets):
        history.add(60 * i, Point(3, 1, 9, 2 if i == buckets // 2 else 0))
    assert len(history.recent) < 2 * RECENT
    overview = history.overview(wanted)
    assert len(overview) <= wanted
    assert sum(point.mark == 2 for point in overview) == 1
    assert all(point.count == 3 for point in overview)


def test_merging_keeps_the_alert_and_else_the_mean() -> None:
    assert merge([Point(1, 0, 5), Point(4, 1, 6)]) == Point(2, 0, 6)
    assert merge([Point(1, 0, 5), Point(0, 40, 60, 2), Point(50, 40, 60)]) == Point(0, 0, 60, 2)


def test_the_summary_counts_and_shows_the_worst_moment() -> None:
    summary = Summary()
    for item in [Outcome(START - 60, [verdict(-1, "denied", 99, "warming")]), *DAY]:
        summary.accept(item)
    raw = io.StringIO()
    summary.print(Console(file=raw, width=100, color_system=None))
    row = next(line for line in raw.getvalue().splitlines() if "denied" in line)
    assert [cell.strip() for cell in row.strip("│ ").split("│")] == [
        "denied",
        "9",
        "2",
        "2026-03-02 00:06",
        "20",
        "5.0",
        "+7.5",
    ]
    assert "10 buckets, 1 incidents" in raw.getvalue()


def test_no_frame_is_drawn_before_its_time() -> None:
    console = Console(file=io.StringIO(), width=80, height=24, force_terminal=True, color_system=None)
    now = [0.0]
    chart = Chart(console, 60, lambda: now[0])
    drawn = []

    def progress() -> Progress:
        drawn.append(now[0])
        return Progress("f")

    with chart:
        for moment in (0.0, 0.1, 0.17, 0.2, 0.4):
            now[0] = moment
            chart.tick(progress)
    assert drawn == [0.0, 0.17, 0.4]


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
    assert "▲ 22 buckets alerted" in seen
    assert "worst moment" in seen
    assert '{"time"' not in seen


def test_a_pipe_still_gets_its_lines(tmp_path: Path) -> None:
    seen = in_terminal(f"{TXMON} replay {SAMPLE} > {tmp_path}/v.jsonl", 100)
    assert "worst moment" in seen
    assert (tmp_path / "v.jsonl").read_text().count("\n") > 1440


@pytest.mark.parametrize("columns", [40, 100])
def test_no_color_has_no_color(columns: int) -> None:
    seen = in_terminal(f"{TXMON} replay {SAMPLE}", columns, NO_COLOR="1")
    assert "\x1b[31m" not in seen
    assert "\x1b[1;31m" not in seen
    assert "▲" in seen


def test_without_utf8_all_is_ascii() -> None:
    seen = in_terminal(f"{TXMON} replay {SAMPLE}", 100, LC_ALL="C", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert "buckets alerted" in seen
    assert seen.isascii()


def test_chart_never_and_always(tmp_path: Path) -> None:
    assert '{"time"' in in_terminal(f"{TXMON} replay {SAMPLE} --chart never", 100)
    command = f"{TXMON} replay {SAMPLE} --chart always --out /dev/null 2> {tmp_path}/e"
    in_terminal(command, 100)
    assert "22 buckets alerted" in (tmp_path / "e").read_text()


def test_speed_holds_the_replay_back() -> None:
    from txmon.runtime.pace import Pace

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

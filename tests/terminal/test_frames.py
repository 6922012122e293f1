"""Whole frames of the live chart, as files: TXMON_GOLDEN=write writes them again; read the difference."""

import io
import os
from datetime import date
from functools import cache
from pathlib import Path

import pytest
from paths import ROOT
from rich.cells import cell_len
from rich.console import Console

from txmon.ingest.rejects import RejectLog
from txmon.model.outcome import Outcome
from txmon.runtime.factory import pipeline_of
from txmon.runtime.reader import reader_of
from txmon.settings.declarations import Settings
from txmon.terminal.live_chart import Chart
from txmon.terminal.summary import Summary

FRAMES = Path(__file__).with_name("frames")
SAMPLE = ROOT / "examples" / "transactions.csv"
KEYED = "time,status,merchant,count\n" + "".join(
    f"2026-03-02T{minute // 60:02}:{minute % 60:02}:00Z,{status},m{merchant:02},{count}\n"
    for minute in range(200)
    for merchant in range(20)
    for status, count in (
        ("approved", 60 + (minute * 7 + merchant) % 9),
        ("denied", 40 if merchant == 7 and minute > 190 else 4 + (minute * 5 + merchant) % 3),
    )
)


@cache
def outcomes(path: str, by: tuple[str, ...] = ()) -> list[Outcome]:
    settings = Settings(group_by=by)
    reader = reader_of(settings, RejectLog(), date(2026, 3, 2))
    return list(pipeline_of(settings, live=False).run(reader.records([path])))


def chart_of(found: list[Outcome], width: int, height: int, encoding: str = "utf-8") -> tuple[Chart, Console]:
    raw = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    console = Console(file=raw, width=width, height=height, color_system=None, force_terminal=False)
    chart = Chart(console, 60, lambda: 0.0)
    chart.keyed = True
    for item in found:
        chart.accept(item)
    return chart, console


def text_of(chart: Chart) -> str:
    return "\n".join(line.plain.rstrip() for line in chart.lines()) + "\n"


def compare(name: str, text: str, width: int) -> None:
    assert max(map(cell_len, text.splitlines())) <= width
    path = FRAMES / f"{name}.txt"
    if os.environ.get("TXMON_GOLDEN") == "write":
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, "utf-8")
    assert text == path.read_text("utf-8")


def until(clock: str) -> list[Outcome]:
    """The outcomes of the sample's day up to a time."""
    hours, minutes = map(int, clock.split(":"))
    return outcomes(str(SAMPLE))[: 60 * hours + minutes + 1]


@pytest.mark.parametrize(("width", "height"), [(60, 24), (80, 24), (120, 40), (200, 50)])
def test_an_incident(width: int, height: int) -> None:
    chart, _ = chart_of(until("11:26"), width, height)
    text = text_of(chart)
    assert len(text.splitlines()) == height
    compare(f"incident-{width}", text, width)


@pytest.mark.parametrize(("width", "height"), [(60, 24), (80, 24), (120, 40), (200, 50)])
def test_all_normal(width: int, height: int) -> None:
    chart, _ = chart_of(until("08:00"), width, height)
    compare(f"normal-{width}", text_of(chart), width)


def test_ascii() -> None:
    chart, _ = chart_of(until("11:26"), 80, 24, "ascii")
    text = text_of(chart)
    assert text.isascii()
    compare("incident-80-ascii", text, 80)


def test_a_narrow_window_has_a_line_a_series() -> None:
    chart, _ = chart_of(until("11:26"), 40, 20)
    compare("incident-40", text_of(chart), 40)


@pytest.mark.parametrize("width", [60, 120])
def test_one_status_in_full_height(width: int) -> None:
    chart, _ = chart_of(until("11:26"), width, 30)
    chart.press("enter")
    compare(f"one-{width}", text_of(chart), width)


@pytest.mark.parametrize("width", [60, 120])
def test_the_incidents(width: int) -> None:
    chart, _ = chart_of(until("17:59"), width, 20)
    chart.press("i")
    compare(f"incidents-{width}", text_of(chart), width)


def test_the_help() -> None:
    chart, _ = chart_of(until("11:26"), 60, 30)
    chart.view.paced = True
    chart.press("?")
    compare("help-60", text_of(chart), 60)


def test_six_hours() -> None:
    chart, _ = chart_of(until("17:59"), 120, 30)
    chart.press("t")
    compare("six-hours-120", text_of(chart), 120)


def test_many_series(tmp_path: Path) -> None:
    path = tmp_path / "keyed.csv"
    path.write_text(KEYED)
    chart, _ = chart_of(outcomes(str(path), ("merchant",)), 120, 30)
    compare("many-120", text_of(chart), 120)
    for key in "/m07":
        chart.press(key)
    compare("many-filter-120", text_of(chart), 120)
    outcomes.cache_clear()


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_the_end_of_a_replay(width: int) -> None:
    found = until("17:59")
    chart, console = chart_of(found, width, 40)
    summary = Summary()
    for item in found:
        summary.accept(item)
    console.print(chart.render(), soft_wrap=True)
    summary.print(console)
    console.file.flush()
    raw = console.file.buffer.getvalue()  # type: ignore[attr-defined]
    compare(f"end-{width}", "\n".join(line.rstrip() for line in raw.decode().splitlines()) + "\n", width)

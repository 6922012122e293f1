"""Draws docs/chart.svg, the README's picture: the chart as a terminal shows it at the end of the sample.

usage: .venv/bin/python docs/picture.py
"""

import io
import time
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI

from txmon.ingest.rejects import RejectLog
from txmon.runtime.factory import pipeline_of
from txmon.runtime.reader import reader_of
from txmon.settings.declarations import Settings
from txmon.terminal.live_chart import Chart
from txmon.terminal.summary import Summary

ROOT = Path(__file__).parents[1]


def main() -> None:
    """Replay the sample and export its last frame."""
    settings = Settings()
    console = Console(
        record=True, width=110, height=38, force_terminal=True, color_system="truecolor", file=io.StringIO(),
        highlight=False, markup=False, emoji=False,
    )  # fmt: skip
    chart, summary = Chart(console, settings.bucket, time.monotonic), Summary()
    reader = reader_of(settings, RejectLog(None, False), datetime.now(UTC).date())
    for outcome in pipeline_of(settings, live=False).run(reader.records([str(ROOT / "examples" / "transactions.csv")])):
        chart.accept(outcome)
        summary.accept(outcome)
    console.print(chart.render(), soft_wrap=True)
    summary.print(console)
    svg = console.export_svg(title="txmon replay examples/transactions.csv", theme=MONOKAI)
    # the default style names fonts on another host; a terminal's own will do
    start, end = svg.index("@font-face"), svg.index(".terminal-") if ".terminal-" in svg else len(svg)
    (ROOT / "docs" / "chart.svg").write_text(svg[:start] + svg[end:])


if __name__ == "__main__":
    main()

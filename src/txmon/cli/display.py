"""What a person sees of a run on standard error: the live chart, and the summary at the end."""

import os
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from txmon.model.outcome import Outcome
from txmon.runtime.reader import Reader
from txmon.settings.declarations import Settings

if TYPE_CHECKING:
    from txmon.terminal.live_chart import Progress

PAPER_WIDTH: Final = 110
PAPER_HEIGHT: Final = 40


def wanted(settings: Settings) -> bool:
    """Whether the chart is to be shown: asked for, or there is a terminal that can show it."""
    if settings.chart == "auto":
        return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
    return settings.chart == "always"


class Display:
    """A chart and a summary as one sink; rich is imported only when there is one."""

    def __init__(self, settings: Settings, reader: Reader | None = None) -> None:
        """reader: whose progress is shown, where there is an end to reach."""
        from rich.console import Console

        from txmon.terminal.live_chart import Chart
        from txmon.terminal.summary import Summary

        # a file or a CI log has no 80 columns and 25 lines to keep to
        screen = sys.stderr.isatty() or "COLUMNS" in os.environ
        width, height = (None, None) if screen else (PAPER_WIDTH, PAPER_HEIGHT)
        self._console = Console(stderr=True, width=width, height=height, highlight=False, markup=False, emoji=False)
        self.chart = Chart(self._console, settings.bucket, time.monotonic)
        self._summary = Summary()
        self._reader = reader
        self._gone = False  # the terminal

    def __enter__(self) -> "Display":
        self.chart.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        self._draw(lambda: self.chart.finish(self._progress()))
        self._draw(lambda: self.chart.__exit__(kind, *rest))
        if kind is None or issubclass(kind, KeyboardInterrupt):
            self._draw(lambda: self._summary.print(self._console))

    def accept(self, outcome: Outcome) -> None:
        """Take one bucket's outcome."""
        self._summary.accept(outcome)
        self._draw(lambda: self.chart.accept(outcome))
        self.tick()

    def press(self, key: str) -> None:
        """A key of the chart's: space holds it still, up and down show one status alone."""
        self.chart.press(key)
        self.tick()

    def tick(self) -> None:
        """Keep the screen alive."""
        self._draw(lambda: self.chart.tick(self._progress))

    def _draw(self, step: Callable[[], None]) -> None:
        """Do `step` unless the terminal is gone: a picture that nobody sees is no reason to stop judging."""
        if self._gone:
            return
        try:
            step()
        except OSError:
            self._gone = True

    def _progress(self) -> "Progress":
        from txmon.terminal.live_chart import Progress

        source = self._reader.source if self._reader is not None else None
        return Progress(source.name, source.consumed, source.size) if source is not None else Progress("")

"""Shows a run on standard error: the live chart, and at the end a picture and a summary of the whole run."""

import os
import signal
import sys
import time
from collections import deque
from collections.abc import Callable
from io import StringIO
from types import FrameType
from typing import TYPE_CHECKING, Final, TextIO
from zoneinfo import ZoneInfo

from txmon.model.outcome import Outcome
from txmon.runtime.pace import Pace
from txmon.runtime.reader import Reader
from txmon.settings.declarations import Settings
from txmon.terminal.keyboard import Keys

if TYPE_CHECKING:
    from txmon.terminal.frame import Progress
    from txmon.terminal.rate import Rate

PAPER_WIDTH: Final = 110
PAPER_HEIGHT: Final = 40
MOST_HELD: Final = 1000  # messages kept while the screen hides them; the oldest are dropped


def wanted(settings: Settings, typed: bool = False) -> bool:
    """Return whether to show the chart: it was requested, or the terminal can show it.

    typed: the input comes from the keyboard. Then, and if the lines go to the same terminal, the chart must be
    requested.
    """
    if settings.chart == "auto":
        shared = typed or (settings.out == "-" and sys.stdout.isatty())
        return sys.stderr.isatty() and os.environ.get("TERM") != "dumb" and not shared
    return settings.chart == "always"


class Held(StringIO):
    """Replaces standard error while the alternate screen is shown. It keeps the lines and prints them afterwards."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: deque[str] = deque(maxlen=MOST_HELD)
        self._part = ""

    def write(self, text: str) -> int:
        """Keep `text`."""
        *whole, self._part = (self._part + text).split("\n")
        self.lines.extend(whole)
        return len(text)

    def rest(self) -> str:
        """Return all kept text."""
        return "".join(f"{line}\n" for line in self.lines) + self._part


def _whole(stream: TextIO) -> TextIO:
    """Return a stream on the same descriptor that always writes a whole text.

    With PYTHONUNBUFFERED, as in many containers, standard error drops the rest of a frame if a terminal accepts only
    part of it.
    """
    try:
        return open(stream.fileno(), "w", encoding=stream.encoding, errors=stream.errors, closefd=False)
    except OSError:
        return stream


class Display:
    """A chart and a summary as one sink. rich is imported only if there is one."""

    def __init__(
        self, settings: Settings, reader: Reader | None = None, pace: Pace | None = None, typed: bool = False
    ) -> None:
        """Create it. reader: its progress is shown if its size is known. pace: of a replay, which keys change.

        typed: the input comes from the keyboard, so keys are not commands.
        """
        from rich.console import Console

        from txmon.terminal.live_chart import Chart
        from txmon.terminal.summary import Summary

        # a file or a CI log is not limited to 80 columns and 25 lines
        screen = sys.stderr.isatty() or "COLUMNS" in os.environ
        width, height = (None, None) if screen else (PAPER_WIDTH, PAPER_HEIGHT)
        self._stderr = _whole(sys.stderr)
        self._console = Console(
            file=self._stderr, width=width, height=height, highlight=False, markup=False, emoji=False
        )
        tz = ZoneInfo(settings.tz)
        self.chart = Chart(self._console, settings.bucket, time.monotonic, tz, paced=pace is not None)
        self._summary = Summary(tz)
        self._reader = reader
        self._pace = pace
        self._rate: Rate | None = None
        self._keys = Keys()
        shared = typed or (settings.out == "-" and sys.stdout.isatty())
        self._alternate = sys.stderr.isatty() and not shared
        self._held: Held | None = None
        self._original = sys.stderr
        self._before: dict[int, signal._HANDLER] = {}
        self._gone = False  # whether the terminal is gone
        self.quitting = False  # whether the user pressed q
        if pace is not None:
            self.chart.view.speed = pace.text

    @property
    def descriptor(self) -> int | None:
        """Return the descriptor that signals a key, or None without a keyboard or after the terminal was closed."""
        return None if self._keys.gone else self._keys.descriptor

    def __enter__(self) -> "Display":
        if self._alternate:
            self._keys.__enter__()
            self.chart.keyed = self._keys.descriptor is not None
            self._hide()
            self._before[signal.SIGTSTP] = signal.signal(signal.SIGTSTP, self._suspend)
            if signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
                self._before[signal.SIGTERM] = signal.signal(signal.SIGTERM, self._end)
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._show()
        self._keys.__exit__()
        if kind is None or issubclass(kind, KeyboardInterrupt):
            self._draw(lambda: self._console.print(self.chart.render(), soft_wrap=True))
            self._draw(lambda: self._summary.print(self._console))

    def accept(self, outcome: Outcome) -> None:
        """Update the display with one bucket's outcome."""
        self._summary.accept(outcome)
        self.chart.accept(outcome)
        self.tick()

    def tick(self) -> None:
        """Handle keys and refresh the screen."""
        # a live run waits for keys; a replay checks them only when it draws
        for key in self._keys.pressed() if self._pace is None or self.chart.due() else ():
            self._obey(self.chart.press(key))
        if self._held is not None:
            self._draw(lambda: self.chart.tick(self._progress))

    def _obey(self, wish: str) -> None:
        pace = self._pace
        if wish == "quit":
            self.quitting = True
        if pace is None:
            return
        pace.ended = self.quitting
        pace.held = self.chart.view.paused
        if wish == "faster":
            pace.faster()
        elif wish == "slower":
            pace.slower()
        self.chart.view.speed = pace.text

    def _hide(self) -> None:
        """Show the alternate screen. Text written to standard error is kept meanwhile."""
        self._held = sys.stderr = Held()
        self.chart.said = self._held.lines
        self._draw(self.chart.enter)

    def _show(self) -> None:
        """Leave the alternate screen, and print the kept text."""
        if self._held is None:
            return
        held, self._held = self._held, None
        sys.stderr = self._original
        self._draw(self.chart.leave)
        self._draw(lambda: self._write(held.rest()))

    def _write(self, text: str) -> None:
        self._stderr.write(text)
        self._stderr.flush()

    def _suspend(self, number: int, frame: FrameType | None) -> None:
        """Handle Ctrl-Z: restore the terminal for the shell."""
        self._show()
        self._keys.release()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        # the process continues here
        signal.signal(number, self._suspend)
        self._keys.take()
        self._hide()

    def _end(self, number: int, frame: FrameType | None) -> None:
        """Restore the terminal, then end by the signal, which has no other handler."""
        self._show()
        self._keys.release()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    def _draw(self, step: Callable[[], None]) -> None:
        """Run `step`. If the terminal is gone, continue without a picture."""
        if self._gone:
            return
        try:
            step()
        except OSError:
            self._gone = True

    def _progress(self) -> "Progress":
        from txmon.terminal.frame import Progress
        from txmon.terminal.rate import Rate

        source = self._reader.source if self._reader is not None else None
        if source is None:
            return Progress("")
        if self._rate is None or self._rate.name != source.name:
            self._rate = Rate(source.name, time.monotonic)
        return Progress(source.name, source.consumed, source.size, self._rate.note(source.consumed, source.size))

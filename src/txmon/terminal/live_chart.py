"""Shows the live chart: it follows a run, draws at most six frames per second, and handles keys.

On a terminal with keys it uses the alternate screen, so nothing remains after it. At the end, and without a terminal,
one frame shows the whole run.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, tzinfo
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.text import Text

from txmon.model.outcome import Outcome
from txmon.terminal.alternate_screen import AlternateScreen
from txmon.terminal.board import Board
from txmon.terminal.frame import Paper, Progress, final_frame, frame
from txmon.terminal.plots import clock_of
from txmon.terminal.view import View, Wish

__all__ = ["Chart", "Progress"]

FRAME: Final = 1 / 6  # seconds between frames
NONE: Final = Progress("")


class Chart:
    """Shows a board on a console, at most six frames per second."""

    def __init__(
        self, console: Console, bucket: int, clock: Callable[[], float], tz: tzinfo = UTC, paced: bool = False
    ) -> None:
        """Create it. bucket: seconds. clock: monotonic, seconds. tz: of the times shown.

        paced: the speed can be changed.
        """
        self.board = Board(bucket)
        self.view = View(paced)
        self.keyed = False  # whether keys are read
        self.said: Sequence[str] = ()  # messages that the screen hides
        self._screen = AlternateScreen(console)
        self._console = console
        self._clock = clock
        self._tz = tz
        self._progress = NONE
        self._drawn = -1e9
        self._changed = self._pressed = True
        self._size = console.size

    def enter(self) -> None:
        """Start to draw on the terminal's alternate screen."""
        self._screen.enter()
        self._pressed = True

    def leave(self) -> None:
        """Leave the alternate screen."""
        self._screen.leave()

    def accept(self, outcome: Outcome) -> None:
        """Update the chart with one bucket's outcome."""
        self.board.accept(outcome)
        self._changed = True

    def due(self) -> bool:
        """Return whether it is time for another frame."""
        return self._clock() - self._drawn >= FRAME

    def tick(self, progress: Callable[[], Progress]) -> None:
        """Draw a frame if one is due and something changed."""
        if not self.due():
            return
        self._drawn = self._clock()
        size = self._console.size
        held = self.view.paused and not self.view.paced  # the picture does not change, but outcomes are still accepted
        read = self._progress if held else progress()
        changed = size != self._size or read != self._progress or (self._changed and not held)
        if changed or self._pressed:
            self._changed = self._pressed = False
            self._progress, self._size = read, size
            self._screen.draw(self.lines())

    def press(self, key: str) -> Wish:
        """Handle a key, and show its effect at the next tick. Return what the caller must do."""
        wish = self.view.press(key, self.board)
        self._pressed, self._drawn = True, -1e9
        return wish

    def lines(self) -> list[Text]:
        """Return the current frame."""
        return frame(self.board, self.view, self._paper(), self._progress, self.keyed, self.said)

    def render(self) -> RenderableType:
        """Return one picture of the whole run."""
        return Group(*final_frame(self.board, self._paper()))

    def _paper(self) -> Paper:
        width, height = self._console.size
        utf8 = self._console.encoding.lower().startswith("utf")
        zone = self._tz.tzname(None) or str(self._tz)
        return Paper(width, height, utf8, clock_of(self._tz), zone, self._console)

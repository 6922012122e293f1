"""The live chart: follows a run, draws at most six frames a second, and obeys keys.

On a terminal with keys it uses the alternate screen, so that nothing of it stays behind. At the end, and where there is
no terminal, one frame shows all that happened.
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
    """Shows a board on a console, at most six frames a second."""

    def __init__(
        self, console: Console, bucket: int, clock: Callable[[], float], tz: tzinfo = UTC, paced: bool = False
    ) -> None:
        """bucket: seconds. clock: seconds, monotonic. tz: of the times shown. paced: its speed can be changed."""
        self.board = Board(bucket)
        self.view = View(paced)
        self.keyed = False  # keys are read
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
        """Begin to draw on the terminal's alternate screen."""
        self._screen.enter()
        self._pressed = True

    def leave(self) -> None:
        """Leave the alternate screen."""
        self._screen.leave()

    def accept(self, outcome: Outcome) -> None:
        """Take one bucket's outcome."""
        self.board.accept(outcome)
        self._changed = True

    def due(self) -> bool:
        """Return whether it is time for another frame."""
        return self._clock() - self._drawn >= FRAME

    def tick(self, progress: Callable[[], Progress]) -> None:
        """Draw a frame if it is time for one and something changed."""
        if not self.due():
            return
        self._drawn = self._clock()
        size = self._console.size
        held = self.view.paused and not self.view.paced  # the picture holds still; what comes is still taken
        read = self._progress if held else progress()
        changed = size != self._size or read != self._progress or (self._changed and not held)
        if changed or self._pressed:
            self._changed = self._pressed = False
            self._progress, self._size = read, size
            self._screen.draw(self.lines())

    def press(self, key: str) -> Wish:
        """Obey a key, and show what it did at the next tick; return what the caller has to do about it."""
        wish = self.view.press(key, self.board)
        self._pressed, self._drawn = True, -1e9
        return wish

    def lines(self) -> list[Text]:
        """Return the present frame."""
        return frame(self.board, self.view, self._paper(), self._progress, self.keyed, self.said)

    def render(self) -> RenderableType:
        """Return one picture of all that happened."""
        return Group(*final_frame(self.board, self._paper()))

    def _paper(self) -> Paper:
        width, height = self._console.size
        utf8 = self._console.encoding.lower().startswith("utf")
        zone = self._tz.tzname(None) or str(self._tz)
        return Paper(width, height, utf8, clock_of(self._tz), zone, self._console)

"""Draws on the terminal's alternate screen, and restores the normal screen afterwards."""

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

ENTER = "\x1b[?1049h\x1b[?25l\x1b[2J"  # switch to the alternate screen, hide the cursor, clear the screen
LEAVE = "\x1b[?25h\x1b[?1049l"
BEGIN, END = "\x1b[?2026h", "\x1b[?2026l"  # terminals that support these codes show a frame at once


class AlternateScreen:
    """Draws frames on a console's terminal. It writes only the lines that changed."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._shown: list[str] = []
        self._size = (0, 0)
        self._entered = False

    def enter(self) -> None:
        """Show the alternate screen."""
        self._write(ENTER)
        self._entered = True
        self._shown = []

    def leave(self) -> None:
        """Show the normal screen again."""
        if self._entered:
            self._entered = False
            self._write(LEAVE)

    def draw(self, lines: Sequence[Text]) -> None:
        """Draw a frame, each line at most as wide as the console."""
        if not self._entered:
            return
        size = tuple(self._console.size)
        parts = []
        if size != self._size:  # a resize moves lines, so the screen is cleared
            self._size, self._shown = (size[0], size[1]), []
            parts.append("\x1b[2J")
        for n in range(max(len(lines), len(self._shown))):
            text = self._as_text(lines[n]) if n < len(lines) else ""
            if n >= len(self._shown) or text != self._shown[n]:
                parts.append(f"\x1b[{n + 1};1H{text}\x1b[K")
                self._shown[n:] = [text, *self._shown[n + 1 :]]
        self._shown = self._shown[: len(lines)]
        if parts:
            self._write(BEGIN + "".join(parts) + END)

    def _as_text(self, line: Text) -> str:
        with self._console.capture() as capture:
            self._console.print(line, end="", soft_wrap=True)
        return capture.get()

    def _write(self, text: str) -> None:
        self._console.file.write(text)
        self._console.file.flush()

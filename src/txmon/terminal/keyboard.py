"""Keys pressed on the terminal while the chart is shown; standard input stays the stream's."""

import os
import termios
import tty
from collections.abc import Callable
from typing import Any

ARROWS = {b"\x1b[A": "up", b"\x1b[B": "down", b"\x1b[C": "down", b"\x1b[D": "up"}


class Keys:
    """The terminal as a keyboard, put back as it was at the end; without a terminal, nothing."""

    def __init__(self) -> None:
        self.descriptor: int | None = None
        self.gone = False  # the terminal was closed
        self._before: list[Any] | None = None

    def __enter__(self) -> "Keys":
        try:
            self.descriptor = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
            self._before = termios.tcgetattr(self.descriptor)
            tty.setcbreak(self.descriptor)
        except (OSError, termios.error):
            self._close()
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def _close(self) -> None:
        if self.descriptor is not None:
            if self._before is not None and not self.gone:
                termios.tcsetattr(self.descriptor, termios.TCSADRAIN, self._before)
            os.close(self.descriptor)
            self.descriptor = None

    def quit(self, ready: set[int], press: Callable[[str], None]) -> bool:
        """Read what was pressed, if the terminal is among the `ready`, and pass it on; whether it was `q`."""
        if self.descriptor is None or self.descriptor not in ready or self.gone:
            return False
        try:
            pressed = os.read(self.descriptor, 64)
        except OSError:
            pressed = b""
        self.gone = not pressed
        for sequence, name in ARROWS.items():
            if sequence in pressed:
                press(name)
                pressed = pressed.replace(sequence, b"")
        if b" " in pressed:
            press("space")
        return b"q" in pressed

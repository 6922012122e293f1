"""Writes the server's messages on standard error, as text for people or as JSON lines for programs."""

import json
import sys
from collections.abc import Callable
from typing import Final

from txmon.model.clock import iso
from txmon.support.terminal_text import printable

LEVELS: Final = ("info", "warning", "error")


class ServerLog:
    """Writes messages of a level or above, each on one line."""

    def __init__(self, form: str, level: str, clock: Callable[[], float]) -> None:
        """Create it. form: text or json. level: the lowest level that is written. clock: epoch seconds."""
        self._json = form == "json"
        self._least = LEVELS.index(level)
        self._clock = clock

    def info(self, text: str) -> None:
        """Write a message about normal operation."""
        self.write("info", text)

    def warning(self, text: str) -> None:
        """Write a message about a failure or a recovery."""
        self.write("warning", text)

    def write(self, level: str, text: str) -> None:
        """Write a message of `level`, one of LEVELS, unless the level is too low."""
        if LEVELS.index(level) < self._least:
            return
        if self._json:
            row = {"time": iso(int(self._clock())), "level": level, "event": "message", "message": text}
            line = json.dumps(row)
        else:
            line = f"txmon: {printable(text, None)}"
        sys.stderr.write(line + "\n")
        sys.stderr.flush()

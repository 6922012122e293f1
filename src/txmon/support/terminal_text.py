"""Text from outside made safe to show on a terminal."""

import re
from typing import Final, TextIO, cast

# controls (ESC among them), C1, line separators, and what turns the direction of text around
_UNSAFE: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
CONTROLS: Final = re.compile("[\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
ORDERS: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\u200e\u200f\ufeff]")


def printable(text: str, limit: int | None = 60) -> str:
    """`text` on one line, unprintable characters as `?`, at most `limit` characters (None: all of them)."""
    safe = _UNSAFE.sub("?", text)
    return safe if limit is None or len(safe) <= limit else safe[: limit - 3] + "..."


class Harmless:
    """A terminal that gets JSON: JSON escapes the controls below 32 only, a terminal obeys those from 127 too."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write `text` with those controls escaped, which is the same JSON."""
        return self._stream.write(CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", text))

    def flush(self) -> None:
        """Flush the terminal."""
        self._stream.flush()


class Screen:
    """A terminal that gets lines of JSON as bytes."""

    def __init__(self, terminal: TextIO) -> None:
        self._harmless = Harmless(terminal)

    def write(self, data: bytes) -> int:
        """Write `data` as `Harmless` does."""
        return self._harmless.write(data.decode())

    def flush(self) -> None:
        """Flush the terminal."""
        self._harmless.flush()


class Plain(Harmless):
    """A terminal that gets other text, CSV or SQL: what it would obey is a question mark."""

    def write(self, text: str) -> int:
        """Write `text` without controls; lines and tabs stay."""
        return self._stream.write(ORDERS.sub("?", text))


def for_people(stream: TextIO, json: bool = False) -> TextIO:
    """`stream`, made harmless where it is a terminal; a file or a pipe gets the very bytes. json: what is written."""
    return cast(TextIO, (Harmless if json else Plain)(stream)) if stream.isatty() else stream

"""Makes text from outside safe to show on a terminal."""

from typing import Final, TextIO, cast

from txmon.support.lazy_pattern import LazyPattern

# control characters (including ESC), C1, line separators, and characters that reverse the direction of text
_UNSAFE: Final = LazyPattern(
    "[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
CONTROLS: Final = LazyPattern("[\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
ORDERS: Final = LazyPattern("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\u200e\u200f\ufeff]")


def printable(text: str, limit: int | None = 60) -> str:
    """Return `text` on one line, with unprintable characters as `?`, at most `limit` characters (None: all of them)."""
    safe = _UNSAFE.sub("?", text)
    return safe if limit is None or len(safe) <= limit else safe[: limit - 3] + "..."


class Harmless:
    """A terminal that receives JSON.

    JSON escapes only controls below 32, but terminals also interpret those from 127 on.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write `text` with those controls escaped. It is the same JSON."""
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
    """A terminal that receives other text, CSV or SQL. Controls are shown as question marks."""

    def write(self, text: str) -> int:
        """Write `text` without controls, except newlines and tabs."""
        return self._stream.write(ORDERS.sub("?", text))


def for_people(stream: TextIO, json: bool = False) -> TextIO:
    """Return `stream`, made safe if it is a terminal. A file or a pipe receives unchanged bytes.

    json: what is written.
    """
    return cast(TextIO, (Harmless if json else Plain)(stream)) if stream.isatty() else stream

"""Files that commands write, and text that a terminal must not obey."""

import os
import re
from io import TextIOWrapper
from typing import BinaryIO, Final, TextIO, cast

from ..errors import IoFailure
from ..safeopen import open_file

BLOCK: Final = 1 << 16  # bytes written at a time
CONTROLS: Final = re.compile("[\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
ORDERS: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\u200e\u200f\ufeff]")


def create(path: str) -> TextIO:
    """`path` opened for writing anew; IoFailure when that cannot be."""
    return TextIOWrapper(create_bytes(path), encoding="utf-8")


def create_bytes(path: str) -> BinaryIO:
    """The same for bytes, many at a time."""
    try:
        return open(open_file(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), "wb", buffering=BLOCK)
    except OSError as bad:
        raise IoFailure(f"{path}: {bad.strerror}") from bad


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

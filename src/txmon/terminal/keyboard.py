"""Reads keys from the terminal while the chart is shown. Standard input remains available for the stream."""

import os
import select
import termios
import tty
from typing import Any, Final

SEQUENCES: Final = {
    b"\x1b[A": "up", b"\x1b[B": "down", b"\x1b[C": "right", b"\x1b[D": "left",
    b"\x1bOA": "up", b"\x1bOB": "down", b"\x1bOC": "right", b"\x1bOD": "left",
    b"\x1b[5~": "page up", b"\x1b[6~": "page down", b"\x1b[H": "home", b"\x1b[F": "end", b"\x1b[1~": "home",
    b"\x1b[4~": "end",
}  # fmt: skip
SINGLE: Final = {b"\x1b": "escape", b"\r": "enter", b"\n": "enter", b"\x7f": "backspace", b"\x08": "backspace"}


class Keys:
    """Reads the terminal as a keyboard, and restores its settings afterwards. Without a terminal it reads nothing."""

    def __init__(self) -> None:
        self.descriptor: int | None = None
        self.gone = False  # whether the terminal was closed
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
            self.release()
            os.close(self.descriptor)
            self.descriptor = None

    def release(self) -> None:
        """Restore the terminal's settings."""
        if self.descriptor is not None and self._before is not None and not self.gone:
            termios.tcsetattr(self.descriptor, termios.TCSADRAIN, self._before)

    def take(self) -> None:
        """Change the terminal's settings again after `release`."""
        if self.descriptor is not None and not self.gone:
            tty.setcbreak(self.descriptor)

    def pressed(self) -> list[str]:
        """Return the keys pressed since the last call, without waiting: characters, and names of other keys."""
        if self.descriptor is None or self.gone or not select.select([self.descriptor], [], [], 0)[0]:
            return []
        try:
            data = os.read(self.descriptor, 256)
        except OSError:
            data = b""
        self.gone = not data
        return decoded(data)


def decoded(data: bytes) -> list[str]:
    """Return the keys in `data`: characters as they are, others by name. Unknown sequences are ignored."""
    found: list[str] = []
    at = 0
    while at < len(data):
        for sequence, name in SEQUENCES.items():
            if data.startswith(sequence, at):
                found.append(name)
                at += len(sequence)
                break
        else:
            at += _one(data, at, found)
    return found


def _one(data: bytes, at: int, found: list[str]) -> int:
    """Add the key at `at` to `found`. Return its length in bytes."""
    byte = data[at : at + 1]
    if byte == b"\x1b" and data[at + 1 : at + 2] in (b"[", b"O"):  # an unknown sequence
        end = at + 2
        while end < len(data) and not 0x40 <= data[end] <= 0x7E:
            end += 1
        return end + 1 - at
    if byte in SINGLE:
        found.append(SINGLE[byte])
        return 1
    size = 1 if byte < b"\x80" else 2 if byte < b"\xe0" else 3 if byte < b"\xf0" else 4
    text = data[at : at + size].decode("utf-8", "ignore")
    if text.isprintable():
        found.extend(text)
    return size

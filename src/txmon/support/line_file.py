"""Lines appended to a file by a run that must go on though its disk is full: what is lost is counted and said."""

import os
from collections.abc import Callable
from contextlib import suppress
from errno import EPIPE
from typing import Final

from txmon.support.plurals import counted
from txmon.support.safe_open import open_file

BLOCK: Final = 1 << 16  # bytes read at a time


class LineFile:
    """Takes whole lines; one that could not be written, or only in part, never runs into the next."""

    def __init__(self, path: str, say: Callable[[str], None], private: bool = False) -> None:
        """Go on after the last whole line of `path`; a torn one that a kill left behind is cut off.

        say: takes a line when writing begins to fail. private: for the owner's eyes only. OSError when it cannot be.
        """
        self.lost = 0  # lines
        self._path = path
        self._say = say
        self._failing = False
        self._torn = False  # what is on the disk ends within a line
        self._descriptor = open_file(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666, private)
        with suppress(OSError):  # a pipe or a device has nothing to go on after
            _cut_torn_line(self._descriptor)

    def write(self, data: bytes) -> int:
        """Append `data`, whole lines; BrokenPipeError where a pipe's reader is gone, other failures are counted."""
        rest = memoryview(b"\n" + data if self._torn else data)
        try:
            while rest:
                written = os.write(self._descriptor, rest)
                self._torn = True
                rest = rest[written:]
            self._torn = self._failing = False
        except OSError as bad:
            if bad.errno == EPIPE:
                raise
            self.lost += data.count(b"\n")
            if not self._failing:
                self._say(f"{self._path}: {bad.strerror}; going on without")
            self._failing = True
        return len(data)

    def flush(self) -> None:
        """Nothing: every line is written at once."""

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def summary(self) -> list[str]:
        """A line when lines were lost."""
        return [f"{self._path}: {counted(self.lost, 'line')} could not be written"] if self.lost else []


def _cut_torn_line(descriptor: int) -> None:
    end = os.lseek(descriptor, 0, os.SEEK_END)
    whole = end
    while whole > 0:
        start = max(0, whole - BLOCK)
        newline = os.pread(descriptor, whole - start, start).rfind(b"\n")
        whole = start + newline + 1 if newline >= 0 else start
        if newline >= 0:
            break
    if whole < end:
        os.ftruncate(descriptor, whole)

"""Lines appended to a file by a run that must go on though its disk is full: what is lost is counted and said."""

import os
from collections.abc import Callable
from contextlib import suppress
from errno import EPIPE
from stat import S_ISREG
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
        self._private = private
        self._descriptor = self._open()

    def _open(self) -> int:
        descriptor = open_file(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666, self._private)
        with suppress(OSError):  # a pipe or a device has nothing to go on after
            _cut_torn_line(descriptor)
        status = os.fstat(descriptor)
        self._identity = (status.st_dev, status.st_ino) if S_ISREG(status.st_mode) else None
        return descriptor

    def reopen(self) -> None:
        """Open the path anew: what was open may have been renamed. OSError leaves what is open."""
        if self._identity is not None:
            descriptor = self._open()
            os.close(self._descriptor)
            self._descriptor, self._torn = descriptor, False

    def _renamed(self) -> bool:
        """Whether the path is no longer the file that is open: rotation renames it without a word."""
        if self._identity is None:
            return False
        try:
            status = os.stat(self._path)
        except OSError:
            return True
        return (status.st_dev, status.st_ino) != self._identity

    def write(self, data: bytes) -> int:
        """Append `data`, whole lines; BrokenPipeError where a pipe's reader is gone, other failures are counted."""
        try:
            if self._renamed():
                self.reopen()
            rest = memoryview(b"\n" + data if self._torn else data)
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

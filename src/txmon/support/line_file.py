"""Appends lines to a file for a run that must continue when its disk is full. Unwritten lines wait in memory."""

import os
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from errno import EPIPE
from stat import S_ISREG
from typing import Final

from txmon.support.plurals import counted
from txmon.support.safe_open import open_file

BLOCK: Final = 1 << 16  # bytes read at a time
MOST_WAITING: Final = 16 << 20  # bytes of waiting lines; later lines are lost
AGAIN: Final = 0.5  # seconds between two attempts to write waiting lines


class LineFile:
    """Appends whole lines. An unwritten line waits, and is never joined with the next one. Lost lines are counted."""

    def __init__(self, path: str, say: Callable[[str], None], private: bool = False, patient: bool = False) -> None:
        """Continue after the last whole line of `path`. An incomplete line that a killed run left is removed.

        say: receives a line when writing begins to fail, and when it works again. private: readable by the owner only.
        patient: lines also wait if the file cannot be opened; otherwise that raises OSError.
        """
        self.lost = 0  # lines
        self.reason = ""  # reason of the last failure
        self._path = path
        self._say = say
        self._failing = False
        self._waiting: deque[bytes] = deque()  # whole lines, oldest first
        self._size = 0  # bytes of these lines
        self._done = 0  # bytes of the first line that are already written
        self._try_at = 0.0
        self._private = private
        self._descriptor = -1
        self._identity: tuple[int, int] | None = None
        try:
            self._descriptor = self._open()
        except OSError:
            if not patient:
                raise

    def _open(self) -> int:
        descriptor = open_file(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666, self._private)
        with suppress(OSError):  # a pipe or a device cannot be continued
            _cut_torn_line(descriptor)
        status = os.fstat(descriptor)
        self._identity = (status.st_dev, status.st_ino) if S_ISREG(status.st_mode) else None
        return descriptor

    def reopen(self) -> None:
        """Reopen the path, because the open file may have been renamed.

        After an OSError, the open file stays in use.
        """
        if self._descriptor < 0:
            self._descriptor = self._open()
        elif self._identity is not None:
            before = self._descriptor
            self._descriptor = self._open()
            if self._done:  # the line that was partly written goes to the new file as a whole
                with suppress(OSError):
                    _cut_torn_line(before)
                self._done = self._waiting[0].rfind(b"\n", 0, self._done) + 1
            os.close(before)

    def _renamed(self) -> bool:
        """Return whether the path is no longer the open file, because rotation renames files without notice."""
        if self._descriptor < 0:
            return True
        if self._identity is None:
            return False
        try:
            status = os.stat(self._path)
        except OSError:
            return True
        return (status.st_dev, status.st_ino) != self._identity

    @property
    def trouble(self) -> str:
        """Return why lines are waiting, or "" if none are."""
        return f"{self._path}: {self.reason}; {self._size} bytes of lines wait" if self._waiting else ""

    def write(self, data: bytes) -> int:
        """Append `data`, which consists of whole lines. Raise BrokenPipeError if a pipe's reader is gone.

        On other failures it waits.
        """
        if self._size + len(data) > MOST_WAITING and self._waiting:
            self.lost += data.count(b"\n")
            return len(data)
        self._waiting.append(data)
        self._size += len(data)
        if not self._failing or time.monotonic() >= self._try_at:
            self.retry()
        return len(data)

    def retry(self) -> None:
        """Write waiting lines as far as that is possible now. Raise BrokenPipeError as `write` does."""
        if not self._waiting or (self._failing and time.monotonic() < self._try_at):
            return
        waited = len(self._waiting) > 1 or self._done > 0
        try:
            if self._renamed():
                self.reopen()
            while self._waiting:
                first = self._waiting[0]
                while self._done < len(first):
                    self._done += os.write(self._descriptor, memoryview(first)[self._done :])
                self._waiting.popleft()
                self._size -= len(first)
                self._done = 0
        except OSError as bad:
            if bad.errno == EPIPE:
                raise
            self._try_at = time.monotonic() + AGAIN
            self.reason = bad.strerror or str(bad)
            if not self._failing:
                self._say(f"{self._path}: {self.reason}. txmon continues, and up to 16 MB of lines wait for space")
            self._failing = True
            return
        if self._failing and waited:
            self._say(f"{self._path}: writing works again, and the waiting lines are written")
        self._failing = False

    def waiting(self) -> str:
        """Return the waiting lines, for a state."""
        return b"".join(self._waiting)[self._whole() :].decode("utf-8", "replace")

    def take_back(self, lines: str) -> None:
        """Write the lines first that waited when the last run ended."""
        if lines:
            self._waiting.appendleft(lines.encode())
            self._size += len(self._waiting[0])
            self.retry()

    def _whole(self) -> int:
        """Return how many bytes of the waiting data are whole lines that are already written."""
        return self._waiting[0].rfind(b"\n", 0, self._done) + 1 if self._waiting else 0

    def flush(self) -> None:
        """Do nothing, because every line is written at once."""

    def close(self) -> None:
        """Close the file after a last attempt to write waiting lines. The others are lost."""
        self._try_at = 0.0
        with suppress(BrokenPipeError):
            self.retry()
        self.lost += self._left()
        if self._done and self._descriptor >= 0:
            with suppress(OSError):
                _cut_torn_line(self._descriptor)
        self._waiting.clear()
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def summary(self) -> list[str]:
        """Return a line if lines were lost, or would be if the run ended now."""
        with suppress(BrokenPipeError):
            self.retry()
        lost = self.lost + self._left()
        return [f"{self._path}: {counted(lost, 'line')} could not be written"] if lost else []

    def _left(self) -> int:
        """Return the number of waiting lines."""
        return sum(data.count(b"\n") for data in self._waiting) - (
            self._waiting[0].count(b"\n", 0, self._done) if self._waiting else 0
        )


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

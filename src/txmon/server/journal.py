"""An append-only journal beside the state: what was answered with 200 and is in no state file yet.

It consists of numbered segments, PATH.journal-N. Each holds frames: the length and the CRC-32 of a payload, four bytes
each, and the payload. A copy of the state begins a segment, and names it. Once that state is on the disk, the segments
before are deleted. A start reads the segments from the one on that the state names.
"""

import os
import struct
import threading
import zlib
from collections.abc import Iterator
from contextlib import suppress
from errno import EIO, ENOSPC
from pathlib import Path
from typing import BinaryIO, Final

from txmon.support.safe_open import open_file

FRAME: Final = struct.Struct(">II")
BEGIN: Final = b"begin "  # before the number that the state named when the segment was begun
FIRST: Final = 64  # bytes that a segment without entries has at most
PLAIN: Final = b'{"'  # how the payload of an entry begins
LARGEST: Final = 256 << 20  # bytes of a payload; a longer one is damage


class Journal:
    """Takes payloads in turn from many threads, and lets each wait until its own is on the disk."""

    def __init__(self, state: str, shared: bool) -> None:
        """state: path of the state file. shared: who waits at the same time shares one write to the disk."""
        target = Path(os.path.realpath(state))
        self._folder = target.parent
        self._stem = f"{target.name}.journal-"
        self._shared = shared
        self._lock = threading.Condition()
        self._descriptor = -1
        self._number = max(self._segments(), default=0)  # of the segment that is written
        self._size = 0
        self._written = 0  # payloads,
        self._synced = 0  # and how many of them are on the disk
        self._syncing = False
        self._broken: OSError | None = None  # the disk has refused: what it holds of this segment is not known
        self._lost = 0  # payloads up to which it is not known whether they are on the disk
        self._named = 0  # the number that the newest state names
        self.torn = 0  # bytes at the ends of segments that are no whole entry: nobody was told that they are kept
        self.damaged = 0  # other bytes that could not be read at the start,
        self.missing = 0  # and whether segments between the state and the first one are missing: its number

    def append(self, payload: bytes) -> None:
        """Add `payload`; OSError where it cannot be, which leaves the journal as it was."""
        with self._lock:
            if self._broken is not None:
                raise self._broken
            if self._descriptor < 0:
                self._open()
            rest = memoryview(FRAME.pack(len(payload), zlib.crc32(payload)) + payload)
            size = self._size
            try:
                while rest:
                    written = os.write(self._descriptor, rest)
                    size += written
                    rest = rest[written:]
            except OSError:
                with suppress(OSError):
                    os.ftruncate(self._descriptor, self._size)
                raise
            self._size = size
            self._written += 1

    def commit(self) -> None:
        """Return once all that was added before is on the disk; OSError where it may not be."""
        with self._lock:
            mine = self._written
            if 0 < mine <= self._lost:
                raise OSError(EIO, os.strerror(EIO))
            while self._synced < mine:
                if self._broken is not None:
                    raise self._broken
                if self._syncing:
                    self._lock.wait()
                    continue
                self._sync(self._written if self._shared else min(mine, self._written))
                if not self._shared:
                    return

    def _sync(self, until: int) -> None:
        """Write what was added to the disk, while others may add more; with the lock, which is let go meanwhile."""
        self._syncing = True
        descriptor = self._descriptor
        self._lock.release()
        failure: OSError | None = None
        try:
            os.fdatasync(descriptor)
        except OSError as bad:
            failure = bad
        finally:
            self._lock.acquire()
            self._syncing = False
            self._lock.notify_all()
        if failure is not None:
            self._broken = failure  # a second attempt may succeed though the pages were dropped
            raise failure
        self._synced = max(self._synced, until)

    def rotate(self) -> int:
        """Begin a segment; return its number. All that was added before is to be in the state that names it."""
        with self._lock:
            while self._syncing:
                self._lock.wait()
            if self._descriptor >= 0:
                if self._broken is None and self._synced < self._written:
                    self._sync(self._written)
                os.close(self._descriptor)
                self._descriptor = -1
            if self._broken is not None:
                self._broken, self._lost = None, self._written
            self._synced = self._written
            self._number += 1
            self._named = self._number
            return self._number

    def drop(self, before: int) -> None:
        """Delete the segments before a number: their content is in the state."""
        for number in self._segments():
            if number < before:
                with suppress(OSError):
                    self._path(number).unlink()

    def waits(self, first: int) -> bool:
        """Return whether there is anything to `replay` from the segment `first` on."""
        return any(number >= first and self._path(number).stat().st_size > FIRST for number in self._segments())

    def replay(self, first: int) -> Iterator[bytes]:
        """Yield the payloads from the segment `first` on; the segment that is written next is a new one."""
        numbers = [number for number in sorted(self._segments()) if number >= first]
        for number in numbers:
            for payload in self._read(self._path(number)):
                if not payload.startswith(BEGIN):
                    yield payload
                elif number == numbers[0] and int(payload[len(BEGIN) :]) > first:
                    self.missing = number  # it follows on a later state than the one that is read
        self._number = max(self._number, first)
        self._named = first

    def close(self) -> None:
        """Close the segment."""
        with self._lock:
            if self._descriptor >= 0:
                os.close(self._descriptor)
                self._descriptor = -1

    def _read(self, path: Path) -> Iterator[bytes]:
        with os.fdopen(open_file(str(path), os.O_RDONLY, private=True), "rb") as file:
            size = os.fstat(file.fileno()).st_size
            at = 0
            while at < size:
                payload = _entry(file, at, size)
                if payload is not None:
                    at += FRAME.size + len(payload)
                    yield payload
                    continue
                following = _next_entry(file, at + 1, size)
                if following < size or _is_whole(file, at, size):
                    self.damaged += following - at
                else:
                    self.torn += size - at
                at = following

    def _open(self) -> None:
        self._number += 1
        path = self._path(self._number)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_EXCL
        self._descriptor, self._size = open_file(str(path), flags, private=True), 0
        payload = BEGIN + str(self._named).encode()
        begin = FRAME.pack(len(payload), zlib.crc32(payload)) + payload
        if os.write(self._descriptor, begin) < len(begin):
            os.close(self._descriptor)
            self._descriptor = -1
            path.unlink()
            raise OSError(ENOSPC, os.strerror(ENOSPC))
        self._size = len(begin)
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _segments(self) -> list[int]:
        found = []
        with suppress(FileNotFoundError):
            for name in os.listdir(self._folder):
                digits = name.removeprefix(self._stem)
                if len(digits) == 12 and digits.isascii() and digits.isdigit() and name != digits:
                    found.append(int(digits))
        return found

    def _path(self, number: int) -> Path:
        return self._folder / f"{self._stem}{number:012d}"


def _entry(file: BinaryIO, at: int, size: int) -> bytes | None:
    """Return the payload of the frame at a place of a segment; None where there is no whole one."""
    file.seek(at)
    head = file.read(FRAME.size)
    if len(head) < FRAME.size:
        return None
    length, check = FRAME.unpack(head)
    if length > LARGEST or at + FRAME.size + length > size:
        return None
    payload = file.read(length)
    return payload if zlib.crc32(payload) == check else None


def _is_whole(file: BinaryIO, at: int, size: int) -> bool:
    """Return whether a frame that ends where the segment does was written to its end, whatever its content is now."""
    file.seek(at)
    head = file.read(FRAME.size)
    return len(head) == FRAME.size and at + FRAME.size + int(FRAME.unpack(head)[0]) == size


def _next_entry(file: BinaryIO, at: int, size: int) -> int:
    """Return where the next whole frame of an entry begins from `at` on; `size` where there is none."""
    file.seek(at)
    rest = file.read(size - at)
    found = -1
    while (found := rest.find(PLAIN, found + 1)) >= 0:
        if found >= FRAME.size and _entry(file, at + found - FRAME.size, size) is not None:
            return at + found - FRAME.size
    return size

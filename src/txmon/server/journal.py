"""An append-only journal beside the state, with all data that was answered with 200 and is in no state file yet.

It consists of numbered segments, PATH.journal-N. Each contains frames: the length and the CRC-32 of a payload, four
bytes each, and the payload. A copy of the state starts a segment and names it. Once that state is on the disk, earlier
segments are deleted. At the next start, the server reads all segments from the one that the state names.
"""

import os
import struct
import threading
import zlib
from collections.abc import Iterator
from contextlib import suppress
from errno import EIO, ENOENT, ENOSPC
from pathlib import Path
from typing import BinaryIO, Final

from txmon.support.safe_open import open_file

FRAME: Final = struct.Struct(">II")
BEGIN: Final = b"begin "  # precedes the number that the state named when the segment was started
FIRST: Final = 64  # bytes of a segment without entries, at most
PLAIN: Final = b'{"'  # the first bytes of an entry's payload
LARGEST: Final = 256 << 20  # bytes of a payload; a longer one indicates damage


class Journal:
    """Appends payloads from many threads. Each thread can wait until its own payload is on the disk."""

    def __init__(self, state: str, shared: bool) -> None:
        """Create it. state: path of the state file.

        shared: threads that wait at the same time share one write to the disk.
        """
        target = Path(os.path.realpath(state))
        self._folder = target.parent
        self._stem = f"{target.name}.journal-"
        self._shared = shared
        self._lock = threading.Condition()
        self._descriptor = -1
        self._ended: list[int] = []  # descriptors of earlier segments, which `commit` must still write to the disk
        self._is_new = False  # the folder on the disk may lack the current segment
        self._number = max(self._segments(), default=0)  # of the current segment
        self._size = 0
        self._written = 0  # payloads written
        self._synced = 0  # payloads that are on the disk
        self._syncing = False
        # a failure of the disk, after which the content of this segment is uncertain
        self._broken: OSError | None = None
        self._lost = 0  # payloads up to which it is uncertain whether they are on the disk
        self._named = 0  # the number in the newest state
        self.torn = 0  # bytes of incomplete entries at the ends of segments, which were never confirmed
        self.damaged = 0  # other bytes that could not be read at the start
        self.missing = 0  # number of the first missing segment between the state and the others; 0: none

    def append(self, payload: bytes) -> None:
        """Add `payload`. Raise OSError if that fails; the journal then stays unchanged."""
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
        """Wait until everything added before is on the disk. Raise OSError if it may not be."""
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
        """Write added data to the disk while others may add more.

        Call it with the lock held; it is released meanwhile.
        """
        self._syncing = True
        current, ended, is_new = self._descriptor, self._ended, self._is_new
        self._ended, self._is_new = [], False
        self._lock.release()
        failure: OSError | None = None
        try:
            for descriptor in (*ended, current):
                if descriptor >= 0:
                    os.fdatasync(descriptor)
            if is_new:
                self._write_out_folder()
        except OSError as bad:
            failure = bad
        finally:
            for descriptor in ended:
                os.close(descriptor)
            self._lock.acquire()
            self._syncing = False
            self._lock.notify_all()
        if current >= 0 and current == self._descriptor and os.fstat(current).st_nlink == 0:
            failure = failure or OSError(ENOENT, "somebody deleted its file")  # a restart would not find the rows
        if failure is not None:
            self._broken = failure  # a second attempt could succeed although the kernel dropped the data
            raise failure
        self._synced = max(self._synced, until)

    def rotate(self) -> int:
        """Start a segment and return its number. The state that names it must contain everything added before.

        It does not wait for the disk, because all senders of rows wait for it. A thread that waits in `commit` for
        earlier payloads writes the earlier segments to the disk.
        """
        with self._lock:
            if self._descriptor >= 0:
                self._ended.append(self._descriptor)
                self._descriptor = -1
            if self._broken is not None:
                self._broken, self._lost = None, self._written
                self._synced = self._written
            if self._synced == self._written and not self._syncing:
                self._close_ended()
            self._number += 1
            self._named = self._number
            return self._number

    def drop(self, before: int) -> None:
        """Delete the segments before a number, because the state contains them."""
        for number in self._segments():
            if number < before:
                with suppress(OSError):
                    self._path(number).unlink()

    def waits(self, first: int) -> bool:
        """Return whether there is anything to `replay` from the segment `first` on."""
        return any(number >= first and self._path(number).stat().st_size > FIRST for number in self._segments())

    def replay(self, first: int) -> Iterator[bytes]:
        """Yield the payloads from the segment `first` on. The next entry goes to a new segment."""
        numbers = [number for number in sorted(self._segments()) if number >= first]
        for number in numbers:
            for payload in self._read(self._path(number)):
                if not payload.startswith(BEGIN):
                    yield payload
                elif number == numbers[0] and int(payload[len(BEGIN) :]) > first:
                    self.missing = number  # it follows a later state than the one being read
        self._number = max(self._number, first)
        self._named = first

    def close(self) -> None:
        """Close all segments."""
        with self._lock:
            if self._descriptor >= 0:
                self._ended.append(self._descriptor)
                self._descriptor = -1
            self._close_ended()

    def _close_ended(self) -> None:
        for descriptor in self._ended:
            os.close(descriptor)
        self._ended = []

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
        self._is_new = True

    def _write_out_folder(self) -> None:
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
    """Return the payload of the frame at a position of a segment, or None if the frame is incomplete."""
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
    """Return whether the frame at the end of a segment was written completely, whatever its content is."""
    file.seek(at)
    head = file.read(FRAME.size)
    return len(head) == FRAME.size and at + FRAME.size + int(FRAME.unpack(head)[0]) == size


def _next_entry(file: BinaryIO, at: int, size: int) -> int:
    """Return the position of the next complete frame of an entry from `at` on, or `size` if there is none."""
    file.seek(at)
    rest = file.read(size - at)
    found = -1
    while (found := rest.find(PLAIN, found + 1)) >= 0:
        if found >= FRAME.size and _entry(file, at + found - FRAME.size, size) is not None:
            return at + found - FRAME.size
    return size

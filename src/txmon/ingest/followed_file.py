"""One file that is followed: known by device, inode and a fingerprint of what was read of it."""

import bz2
import gzip
import lzma
import os
import zlib
from collections.abc import Mapping
from hashlib import blake2b
from stat import S_ISREG
from typing import Any, Final, Protocol

from txmon.ingest.compression import GZIP, ZSTD
from txmon.ingest.files import LONGEST_LINE

BLOCK: Final = 1 << 18  # bytes read at a time
# Bytes of the fingerprint at the start of a file, and before the place that was read to. A row takes some 40 bytes, and
# rows have times: no other content has the same 512 bytes at the same place.
HEAD: Final = 512
TAIL: Final = 512
DIGITS: Final = 4  # of a row's time, `9:30` with its count among them; names of columns have fewer
BAD_PACKED: Final = (OSError, EOFError, zlib.error, lzma.LZMAError, ValueError)


class _Stream(Protocol):
    """What unpacks a file, block by block."""

    def read(self, size: int, /) -> bytes: ...

    def close(self) -> None: ...


class Rewritten(Exception):
    """The file no longer holds what was read of it: it was cut short, and perhaps has grown again."""


class FollowedFile:
    """An open file, plain or packed, that is read as far as it goes, and on when it grows."""

    def __init__(self, path: str, number: int, parent: int | None = None) -> None:
        """number: of the file in its source. parent: of the file whose header holds where this one has none.

        OSError where `path` cannot be opened, or is no regular file.
        """
        self.path = path
        self.real = os.path.realpath(path)  # where it lies, though `path` may be a link that is turned to another file
        self.number = number
        self.parent = parent
        self.same = False  # it goes on with the content of its parent, as a copy does
        self.offset = 0  # bytes of whole lines given, unpacked
        self.rest = b""  # after them: the line that is being written
        self.begins = True
        self.deadline: float | None = None  # of a renamed file: when it is no longer read
        self._head = b""
        self._recent = b""  # what ends at the place that was read to
        self._changed = 0  # when the file was last changed before it was last read, nanoseconds
        # a pipe put there would be waited for
        self.descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        status = os.fstat(self.descriptor)
        if not S_ISREG(status.st_mode):
            os.close(self.descriptor)
            raise OSError(0, "is no regular file", path)
        self.identity = (status.st_dev, status.st_ino)
        self._changed = status.st_mtime_ns
        try:
            self._begun_with = os.pread(self.descriptor, HEAD, 0)  # it may be cut short before it is first read
            self._stream = _unpacking(self.descriptor)
        except BaseException:
            os.close(self.descriptor)
            raise

    @property
    def packed(self) -> bool:
        """Return whether the file is compressed: nothing is added to such a file."""
        return self._stream is not None

    def size(self) -> int:
        """Return the size of the file as it is stored, bytes."""
        return os.fstat(self.descriptor).st_size

    def close(self) -> None:
        """Close the file."""
        if self._stream is not None:
            self._stream.close()
        os.close(self.descriptor)

    def read(self) -> bytes:
        """Return what follows the place read to, at most a block; Rewritten where the content before it has changed."""
        if self._stream is not None:
            return self._note(self._stream.read(BLOCK))
        at = self.offset + len(self.rest)
        if at == 0:
            data = os.pread(self.descriptor, BLOCK, 0)
            if not data.startswith(self._begun_with):
                raise Rewritten
            return self._note(data)
        known = self._recent[-TAIL:]
        data = os.pread(self.descriptor, len(known) + BLOCK, at - len(known))
        if not data.startswith(known):
            raise Rewritten
        return self._note(data[len(known) :])

    def lines(self, block: bytes) -> tuple[list[bytes], int]:
        """Return the whole lines that `block` completes, and the offset of the first one."""
        lines, rest = split(self.rest, block)
        start, self.offset = self.offset, self.offset + len(self.rest) + len(block) - len(rest)
        self.rest = rest
        return lines, start

    def last_line(self) -> tuple[list[bytes], int]:
        """Return the line without an end that the file ends with, if there is one, and its offset."""
        rest, start = self.rest, self.offset
        self.offset, self.rest = self.offset + len(rest), b""
        return [rest] if rest else [], start

    def skip(self, offset: int) -> None:
        """Go on reading at `offset`, which has to be the start of a line."""
        start = max(0, offset - TAIL)
        self._head = os.pread(self.descriptor, min(HEAD, offset), 0)
        self._recent = os.pread(self.descriptor, offset - start, start)
        self.offset, self.rest = offset, b""

    def place(self, offset: int) -> dict[str, Any]:
        """Return what finds the file again, to go on at `offset`, which lies in what was read last."""
        end = self.offset + len(self.rest)
        before = self._recent[: len(self._recent) - (end - offset)] if offset < end else self._recent
        head = self._head[:offset]
        return {
            "number": self.number, "device": self.identity[0], "inode": self.identity[1], "offset": offset,
            "begins": self.begins, "head": _digest(head), "tail": _digest(before[-TAIL:]),
            "weak": _is_weak(head), "changed": self._changed, "path": self.real,
        }  # fmt: skip

    def seek(self, place: Mapping[str, Any]) -> bool:
        """Go to the place that `place` gave; return False where the file is not the same up to there."""
        offset, known = int(place["offset"]), place.get("head") is not None
        try:
            if self._stream is not None:
                return self._seek_packed(offset, place)
            if self.size() < offset:
                return False
            self.skip(offset)
        except BAD_PACKED:
            return False
        self.begins = bool(place["begins"])
        return not known or (_digest(self._head) == place["head"] and _digest(self._recent[-TAIL:]) == place["tail"])

    def ends_in(self, other: "FollowedFile") -> bool:
        """Return whether this file is a copy of the start of `other`, and all of it was read."""
        size = self.size()
        end = other.offset + len(other.rest)
        have = other._recent[: len(other._recent) - (end - size)] if size <= end else b""
        own = os.pread(self.descriptor, TAIL, max(0, size - TAIL))
        return 0 < size <= end and bool(have) and have.endswith(own[-len(have) :])

    def _seek_packed(self, offset: int, place: Mapping[str, Any]) -> bool:
        assert self._stream is not None
        head = b""
        while len(head) < min(HEAD, offset) and (piece := self._stream.read(min(HEAD, offset) - len(head))):
            head += piece
        if place.get("head") is not None and _digest(head) != place["head"]:
            return False  # most files differ here, before anything is unpacked
        recent, at = head, len(head)
        while at < offset and (piece := self._stream.read(min(BLOCK, offset - at))):
            recent, at = (recent + piece)[-TAIL:], at + len(piece)
        self._head, self._recent, self.offset, self.rest = head, recent, at, b""
        self.begins = bool(place["begins"])
        return at == offset and (place.get("tail") is None or _digest(recent[-TAIL:]) == place["tail"])

    def reset(self) -> None:
        """Go to the start."""
        self.offset, self.rest, self.begins = 0, b"", True
        self._head = self._recent = b""
        if self._stream is not None:
            self._stream.close()
            os.lseek(self.descriptor, 0, os.SEEK_SET)
            self._stream = _unpacking(self.descriptor)

    def _note(self, block: bytes) -> bytes:
        if block:
            self._changed = os.fstat(self.descriptor).st_mtime_ns
        if len(self._head) < HEAD:
            self._head += block[: HEAD - len(self._head)]
        # all places in the next chunk, and the bytes before each
        self._recent = self._recent[-(len(self.rest) + TAIL) :] + block
        return block


def _unpacking(descriptor: int) -> _Stream | None:
    """Return what unpacks the file; None where it is not packed."""
    start = os.pread(descriptor, 6, 0)
    raw = os.fdopen(descriptor, "rb", closefd=False)
    if start.startswith(GZIP):
        return gzip.GzipFile(fileobj=raw, mode="rb")
    if start.startswith(b"BZh"):
        return bz2.open(raw)
    if start.startswith(b"\xfd7zXZ\0"):
        return lzma.open(raw)
    if start.startswith(ZSTD):
        import zstandard

        stream: _Stream = zstandard.open(raw)
        return stream
    return None


def _is_weak(head: bytes) -> bool:
    """Return whether other files may begin like `head`: with nothing, or with a header, which has no time."""
    return len(head) < HEAD and sum(48 <= byte < 58 for byte in head) < DIGITS


def _digest(data: bytes) -> str:
    return blake2b(data, digest_size=8).hexdigest()


def split(rest: bytes, block: bytes) -> tuple[list[bytes], bytes]:
    """Whole lines of `rest` and `block`, and what follows the last newline; what is too long for a line is cut."""
    if b"\n" not in block:
        return [], rest + block if len(rest) < LONGEST_LINE else rest
    lines = (rest + block).split(b"\n")
    return lines, lines.pop()

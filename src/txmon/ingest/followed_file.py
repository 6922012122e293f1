"""Reads one followed file. Device, inode and a fingerprint of its content identify it."""

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
# Bytes of a fingerprint: at the start of a file, and before the position that was read up to. A row takes about 40
# bytes
# and has a time, so other content practically never has the same 512 bytes in the same place.
HEAD: Final = 512
TAIL: Final = 512
DIGITS: Final = 4  # digits in the time and count of a row, as in `9:30`; names of columns have fewer
BAD_PACKED: Final = (OSError, EOFError, zlib.error, lzma.LZMAError, ValueError)


class _Stream(Protocol):
    """Unpacks a file block by block."""

    def read(self, size: int, /) -> bytes: ...

    def close(self) -> None: ...


class Rewritten(Exception):
    """Signals that the file no longer contains what was read of it: it was truncated, and may have grown again."""


class FollowedFile:
    """An open file, plain or packed. It can be read to its current end, and further when it grows."""

    def __init__(self, path: str, number: int, parent: int | None = None) -> None:
        """Open `path`. number: of the file in its source.

        parent: of the file whose header applies if this one has none.

        Raise OSError if `path` cannot be opened or is not a regular file.
        """
        self.path = path
        # the file's own path; `path` may be a link that later points to another file
        self.real = os.path.realpath(path)
        self.number = number
        self.parent = parent
        self.same = False  # whether it continues the content of its parent, as a copy does
        self.offset = 0  # bytes of whole lines returned so far, unpacked
        self.rest = b""  # the incomplete line after them
        self.begins = True
        self.deadline: float | None = None  # for a renamed file: when reading it ends
        self._head = b""
        self._recent = b""  # the bytes before the position that was read up to
        self._changed = 0  # the file's last change before it was last read, nanoseconds
        # without O_NONBLOCK, opening a pipe would wait for its writer
        self.descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        status = os.fstat(self.descriptor)
        if not S_ISREG(status.st_mode):
            os.close(self.descriptor)
            raise OSError(0, "is not a regular file", path)
        self.identity = (status.st_dev, status.st_ino)
        self._changed = status.st_mtime_ns
        try:
            # read now, because the file may be truncated before its first read
            self._begun_with = os.pread(self.descriptor, HEAD, 0)
            self._stream = _unpacking(self.descriptor)
        except BaseException:
            os.close(self.descriptor)
            raise

    @property
    def packed(self) -> bool:
        """Return whether the file is compressed. Nothing is appended to such a file."""
        return self._stream is not None

    def size(self) -> int:
        """Return the size of the file on disk, bytes."""
        return os.fstat(self.descriptor).st_size

    def close(self) -> None:
        """Close the file."""
        if self._stream is not None:
            self._stream.close()
        os.close(self.descriptor)

    def read(self) -> bytes:
        """Return what follows the current position, at most one block.

        Raise Rewritten if the content before it has changed.
        """
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
        """Return the whole lines that end in `block`, and the offset of the first one."""
        lines, rest = split(self.rest, block)
        start, self.offset = self.offset, self.offset + len(self.rest) + len(block) - len(rest)
        self.rest = rest
        return lines, start

    def last_line(self) -> tuple[list[bytes], int]:
        """Return the last line if it has no newline, and its offset."""
        rest, start = self.rest, self.offset
        self.offset, self.rest = self.offset + len(rest), b""
        return [rest] if rest else [], start

    def skip(self, offset: int) -> None:
        """Continue reading at `offset`, which must be the start of a line."""
        start = max(0, offset - TAIL)
        self._head = os.pread(self.descriptor, min(HEAD, offset), 0)
        self._recent = os.pread(self.descriptor, offset - start, start)
        self.offset, self.rest = offset, b""

    def place(self, offset: int) -> dict[str, Any]:
        """Return what identifies the file and `offset`, a position within the last block that was read."""
        end = self.offset + len(self.rest)
        before = self._recent[: len(self._recent) - (end - offset)] if offset < end else self._recent
        head = self._head[:offset]
        return {
            "number": self.number, "device": self.identity[0], "inode": self.identity[1], "offset": offset,
            "begins": self.begins, "head": _digest(head), "tail": _digest(before[-TAIL:]),
            "weak": _is_weak(head), "changed": self._changed, "path": self.real,
        }  # fmt: skip

    def seek(self, place: Mapping[str, Any]) -> bool:
        """Go to a position that `place` returned. Return False if the file differs before it."""
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
            return False  # most files differ here, so this check precedes unpacking
        recent, at = head, len(head)
        while at < offset and (piece := self._stream.read(min(BLOCK, offset - at))):
            recent, at = (recent + piece)[-TAIL:], at + len(piece)
        self._head, self._recent, self.offset, self.rest = head, recent, at, b""
        self.begins = bool(place["begins"])
        return at == offset and (place.get("tail") is None or _digest(recent[-TAIL:]) == place["tail"])

    def reset(self) -> None:
        """Go to the start of the file as it is now."""
        self.offset, self.rest, self.begins = 0, b"", True
        self._begun_with = os.pread(self.descriptor, HEAD, 0)
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
        # the bytes before each offset of the next chunk
        self._recent = self._recent[-(len(self.rest) + TAIL) :] + block
        return block


def _unpacking(descriptor: int) -> _Stream | None:
    """Return the unpacker of the file, or None if it is not packed."""
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
    """Return whether other files may start with `head`: it is empty, or only a header, which has no time."""
    return len(head) < HEAD and sum(48 <= byte < 58 for byte in head) < DIGITS


def _digest(data: bytes) -> str:
    return blake2b(data, digest_size=8).hexdigest()


def split(rest: bytes, block: bytes) -> tuple[list[bytes], bytes]:
    """Return the whole lines of `rest` and `block`, and the text after the last newline.

    Lines that are too long are cut.
    """
    if b"\n" not in block:
        return [], rest + block if len(rest) < LONGEST_LINE else rest
    lines = (rest + block).split(b"\n")
    return lines, lines.pop()

"""Unpacks gzip and zstd streams block by block, in bounded memory."""

import zlib
from collections.abc import Iterator
from typing import Protocol

BLOCK = 1 << 16  # bytes read at a time
STEP = 512  # packed bytes given to zstd at a time; four bytes can be a block of 128 KB of one repeated byte
MEMBERS = 4096  # bytes of a body given to gzip at a time
GZIP = b"\x1f\x8b"
ZSTD = b"\x28\xb5\x2f\xfd"


class Unpacker(Protocol):
    """Unpacks a compressed file block by block."""

    def unpack(self, block: bytes) -> Iterator[bytes]:
        """Yield the content of `block` in pieces of bounded size."""

    def unfinished(self) -> bool:
        """Return whether the data so far ends in the middle of a gzip member or zstd frame."""


class _Plain:
    def unpack(self, block: bytes) -> Iterator[bytes]:
        yield block

    def unfinished(self) -> bool:
        return False


class _Gzip:
    """Unpacks all members of a gzip file, one after the other."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(wbits=31)
        self._begun = False

    def unpack(self, block: bytes) -> Iterator[bytes]:
        while block:
            if not self._begun:
                block = block.lstrip(b"\0")  # padding between members
                if not block:
                    return
            self._begun = True
            yield self._member.decompress(block, BLOCK)
            block = self._member.unconsumed_tail
            if self._member.eof:
                block = self._member.unused_data
                self._member = zlib.decompressobj(wbits=31)
                self._begun = False

    def unfinished(self) -> bool:
        return self._begun


class _Zstd:
    """Unpacks all frames of a zstd file, one after the other."""

    def __init__(self) -> None:
        import zstandard

        self._packed = zstandard.ZstdDecompressor(max_window_size=1 << 27)
        self._frame = self._packed.decompressobj()
        self._begun = False

    def unpack(self, block: bytes) -> Iterator[bytes]:
        while block:
            # small steps limit how much memory one step can fill
            step, block = block[:STEP], block[STEP:]
            self._begun = True
            yield self._frame.decompress(step)
            if self._frame.eof:
                block = self._frame.unused_data + block
                self._frame = self._packed.decompressobj()
                self._begun = False

    def unfinished(self) -> bool:
        return self._begun


def unpacker_of(block: bytes) -> Unpacker:
    """Return the unpacker of a stream that begins with `block`."""
    return _Gzip() if block.startswith(GZIP) else _Zstd() if block.startswith(ZSTD) else _Plain()


def gunzip(packed: bytes, most: int) -> bytes:
    """Return the content of all gzip members of `packed`.

    Raise OverflowError if it is larger than `most` bytes, and ValueError if the data is damaged or ends too early.
    """
    unpacker = _Gzip()
    parts: list[bytes] = []
    room = most
    try:
        # in steps, because each member receives all bytes after it, and a member can be as short as 20 bytes
        for at in range(0, len(packed), MEMBERS):
            for part in unpacker.unpack(packed[at : at + MEMBERS]):
                room -= len(part)
                if room < 0:
                    raise OverflowError(f"unpacks to more than {most} bytes")
                parts.append(part)
    except zlib.error as bad:
        raise ValueError("the gzip data is damaged") from bad
    if unpacker.unfinished():
        raise ValueError("the gzip data ends too early")
    return b"".join(parts)

"""Reads files and standard input as chunks of raw lines, and unpacks gzip and zstd."""

import io
import os
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import IO, Any, BinaryIO

from txmon.errors import IoFailure, NoInput
from txmon.ingest.compression import BLOCK, Unpacker, _Gzip, unpacker_of

QUOTE = b'"'
LONGEST_LINE = 16 << 20  # bytes of a line that are kept, so that a file without newlines does not fill the memory


class FileSource:
    """The lines of one file as lists of bytes without their newline. The path `-` is standard input."""

    def __init__(self, path: str, file: IO[bytes] | None = None) -> None:
        """Open `path`. Raise NoInput if that fails. file: is read instead, and `path` is only its name."""
        self.name = "<stdin>" if path == "-" else path
        self.whole = 0  # lines read so far
        self.quoted = False  # whether the newest lines may contain a quote
        self.magic = b""  # the first bytes of the file, before unpacking
        self.consumed = 0  # bytes of the file read so far, before unpacking
        self._file: Any = _open(path) if file is None else file
        self.size = _size(self._file) if file is None else None  # bytes; None if unknown, as for a pipe

    def __enter__(self) -> "FileSource":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __iter__(self) -> Iterator[list[bytes]]:
        """Yield lists of lines.

        If reading or unpacking fails, yield all lines before the failure, then raise IoFailure.
        """
        return lines_of(self.blocks(), self)

    def blocks(self) -> Iterator[bytes]:
        """Yield blocks of the unpacked content. Raise IoFailure if reading or unpacking fails."""
        blocks = self._unpacked()
        while True:
            try:
                block = next(blocks, None)
            except (OSError, EOFError, zlib.error) as bad:
                reason = getattr(bad, "strerror", None) or str(bad)
                raise IoFailure(f"{self.name}: {reason} after line {self.whole}") from bad
            if block is None:
                return
            yield block

    def _unpacked(self) -> Iterator[bytes]:
        unpacker: Unpacker | None = None
        while block := self._read():
            self.consumed += len(block)
            if unpacker is None:
                self.magic = block[:4]
                unpacker = unpacker_of(block)
            try:
                yield from unpacker.unpack(block)
            except zlib.error as bad:
                raise EOFError(f"the gzip data is damaged ({bad})") from bad
            except Exception as bad:
                if type(bad).__name__ != "ZstdError":
                    raise
                raise EOFError(f"the zstd data is damaged ({bad})") from bad
        if unpacker is not None and unpacker.unfinished():
            kind = "gzip" if isinstance(unpacker, _Gzip) else "zstd"
            raise EOFError(f"the {kind} data ends too early")

    def _read(self) -> bytes:
        # read1 returns what a pipe contains instead of waiting for a whole block
        block: bytes = self._file.read1(BLOCK)
        return block


def lines_of(blocks: Iterable[bytes], source: FileSource) -> Iterator[list[bytes]]:
    """Yield the lines of `blocks` as lists, without newlines.

    Record their number, and whether they have quotes, in `source`.
    """
    rest = b""
    for block in blocks:
        source.quoted = QUOTE in block or QUOTE in rest
        if b"\n" not in block:
            if len(rest) < LONGEST_LINE:
                rest += block
            continue
        lines = (rest + block).split(b"\n")
        rest = lines.pop()
        if lines:
            source.whole += len(lines)
            yield lines
    if rest:
        source.quoted = QUOTE in rest
        yield [rest]


def _open(path: str) -> io.BufferedReader:
    try:
        if path == "-":
            return open(os.dup(0), "rb")
        if os.path.isdir(path):
            raise NoInput(f"{path}: is a directory. Name the files in it")
        return open(path, "rb")
    except FileNotFoundError:
        raise NoInput(f"{path}: no such file{_similar(path)}") from None
    except (OSError, ValueError) as bad:
        reason = bad.strerror if isinstance(bad, OSError) else str(bad)
        raise NoInput(f"{'<stdin>' if path == '-' else path}: {reason}") from None


def _similar(path: str) -> str:
    """Return a file in the same folder with a similar name, for a message."""
    from difflib import get_close_matches

    folder, name = os.path.split(path)
    if folder and not os.path.isdir(folder):
        return f"; there is no folder {folder!r}"
    with suppress(OSError):
        for near in get_close_matches(name, os.listdir(folder or "."), 1):
            return f"; did you mean {os.path.join(folder, near)!r}?"
    return ""


def _size(file: IO[bytes] | BinaryIO) -> int | None:
    status = os.fstat(file.fileno())
    return status.st_size if status.st_size > 0 else None

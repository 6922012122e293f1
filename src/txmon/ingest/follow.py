"""Live sources: standard input, and files that grow. Each gives batches of whole lines with the place after them."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG
from typing import Any, Final, Protocol

from txmon.errors import ConfigError, IoFailure, NoInput
from txmon.ingest.compression import unpacker_of
from txmon.ingest.files import LONGEST_LINE

BLOCK: Final = 1 << 18  # bytes read at a time
UNPACKED: Final = 1 << 20  # bytes unpacked at a time


@dataclass(frozen=True, slots=True)
class Chunk:
    """Whole lines, in order."""

    lines: list[bytes]
    begins: bool = False  # a new file: a header may come first
    start: int = 0  # offset of the first line in its file

    def end(self) -> int:
        """Offset after the last line."""
        return self.start + sum(map(len, self.lines)) + len(self.lines)


class LiveSource(Protocol):
    """What a live run reads from."""

    name: str
    ended: bool  # nothing will ever come again

    def fileno(self) -> int | None:
        """What to wait for; None for a source that must be asked now and then."""

    def holds(self) -> bool:
        """Whether `read` has something to give without waiting, though the descriptor may have nothing."""

    def read(self) -> Chunk | None:
        """What has come since, at most a block; None for nothing."""

    def position(self, offset: int) -> dict[str, Any] | None:
        """For a restart that goes on at this offset of the file being read; None where there is no going back."""

    def saved(self, position: Mapping[str, Any]) -> None:
        """Hear that what lies before `position` is in the state, or judged where there is none."""


class PipeSource:
    """Standard input, or another descriptor, gzip and zstd unpacked on the way."""

    def __init__(self, descriptor: int, name: str = "<stdin>") -> None:
        self.name = name
        self.ended = False
        self._descriptor = descriptor
        self._unpacker: Any = None
        self._unpacking = False
        self._rest = b""
        self._content: Iterator[bytes] = iter(())  # what is still to be unpacked of the block read last

    def fileno(self) -> int | None:
        """The descriptor."""
        return self._descriptor

    def holds(self) -> bool:
        """Whether a packed block was not unpacked to its end: a bomb must not be, at once."""
        return self._unpacking

    def read(self) -> Chunk | None:
        """What the pipe holds; blocks where it holds nothing. IoFailure for damaged packed data."""
        if not self._unpacking:
            if not self._fill():
                rest, self._rest = self._rest, b""
                return Chunk([rest]) if rest else None
            self._unpacking = True
        size, pieces = 0, []
        try:
            while size < UNPACKED:
                piece = next(self._content, None)
                if piece is None:
                    self._unpacking = False
                    break
                pieces.append(piece)
                size += len(piece)
        except Exception as bad:  # zlib.error and zstandard's share no base
            raise IoFailure(f"{self.name}: the packed data is damaged ({bad})") from bad
        lines, self._rest = split(self._rest, b"".join(pieces))
        return Chunk(lines) if lines else None

    def _fill(self) -> bool:
        """Read a block; False at the end."""
        try:
            block = os.read(self._descriptor, BLOCK)
        except OSError as bad:
            raise IoFailure(f"{self.name}: {bad.strerror}") from bad
        if not block:
            self.ended = True
            if self._unpacker is not None and self._unpacker.unfinished():
                raise IoFailure(f"{self.name}: the packed data ends too early")
            return False
        if self._unpacker is None:
            self._unpacker = unpacker_of(block)
        self._content = self._unpacker.unpack(block)
        return True

    def position(self, offset: int) -> dict[str, Any] | None:
        """None: what a pipe has given is gone."""
        return None

    def saved(self, position: Mapping[str, Any]) -> None:
        """Do nothing: a pipe has no position."""


class FollowSource:
    """A file that grows, is renamed and begun anew, is cut short, or does not exist yet."""

    def __init__(self, path: str, position: dict[str, Any] | None = None) -> None:
        """position: where to go on; a file that was renamed meanwhile is read to its end first.

        ConfigError when it is no position.
        """
        self.name = path
        self.ended = False
        self._descriptor: int | None = None
        self._inode = 0
        self._offset = 0  # bytes of whole lines given
        self._rest = b""  # after them: the line that is being written
        self._begins = True
        self._rotated: list[tuple[int, bytes]] = []
        if position is not None:
            self._resume(position)

    def fileno(self) -> int | None:
        """None: a regular file is always ready."""
        return None

    def holds(self) -> bool:
        """Never: it is asked all the time."""
        return False

    def awaits(self) -> str:
        """That there is no such file yet, in words, while that is so; NoInput where no file is what is there."""
        if self._descriptor is not None:
            return ""
        try:
            status = os.stat(self.name)
        except FileNotFoundError:
            return f"{self.name}: no such file yet; waiting for it"
        except OSError as bad:
            raise NoInput(f"{self.name}: {bad.strerror}") from bad
        if not S_ISREG(status.st_mode) or not os.access(self.name, os.R_OK):
            raise NoInput(f"{self.name}: no file, or not to be read")
        return ""

    def read(self) -> Chunk | None:
        """What was appended since; IoFailure where reading fails."""
        try:
            if self._descriptor is None and not self._open():
                return None
            assert self._descriptor is not None
            if os.fstat(self._descriptor).st_size < self._offset + len(self._rest):
                self._restart()  # cut short: what is there now is new
            block = os.read(self._descriptor, BLOCK)
            if not block:
                return self._end()
        except OSError as bad:
            raise IoFailure(f"{self.name}: {bad.strerror}") from bad
        lines, rest = split(self._rest, block)
        start, self._offset = self._offset, self._offset + len(self._rest) + len(block) - len(rest)
        self._rest = rest
        return self._chunk(lines, start)

    def position(self, offset: int) -> dict[str, Any] | None:
        """The inode and the offset."""
        return {"inode": self._inode, "offset": offset, "begins": self._begins}

    def saved(self, position: Mapping[str, Any]) -> None:
        """Do nothing: only the state knows what was read of a file."""

    def close(self) -> None:
        """Close the file."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _chunk(self, lines: list[bytes], start: int) -> Chunk | None:
        if not lines:
            return None
        begins, self._begins = self._begins, False
        return Chunk(lines, begins, start)

    def _open(self) -> bool:
        """Open what has the file's name now; whether there is such a file."""
        try:
            self._descriptor = os.open(self.name, os.O_RDONLY)
        except FileNotFoundError:
            return False
        self._inode = os.fstat(self._descriptor).st_ino
        self._offset, self._rest, self._begins = 0, b"", True
        return True

    def _restart(self) -> None:
        assert self._descriptor is not None
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        self._offset, self._rest, self._begins = 0, b"", True

    def _end(self) -> Chunk | None:
        """Nothing more in this file: go to the next one if the name has passed to it."""
        try:
            renamed = os.stat(self.name).st_ino != self._inode
        except FileNotFoundError:
            return None  # renamed, and the new one is not there yet: more may still come to the old one
        if not renamed:
            return None
        rest, self._rest = self._rest, b""
        self.close()
        if not rest:
            return self.read()
        start, self._offset = self._offset, self._offset + len(rest)
        return self._chunk([rest], start)

    def _resume(self, position: dict[str, Any]) -> None:
        try:
            inode, offset, begins = int(position["inode"]), int(position["offset"]), bool(position["begins"])
        except (KeyError, TypeError, ValueError) as bad:
            raise ConfigError(f"{self.name}: the state has no place in it to go on at ({bad!r})") from bad
        for path in (Path(self.name), *_siblings(Path(self.name))):
            try:
                descriptor = os.open(path, os.O_RDONLY)
            except OSError:
                continue
            status = os.fstat(descriptor)
            if status.st_ino == inode and status.st_size >= offset:
                os.lseek(descriptor, offset, os.SEEK_SET)
                self._descriptor, self._inode, self._offset = descriptor, inode, offset
                self._begins = begins
                return
            os.close(descriptor)


def _siblings(path: Path) -> Iterator[Path]:
    """Files that may be `path` before it was renamed: app.log.1 for app.log."""
    try:
        yield from sorted(sibling for sibling in path.parent.iterdir() if sibling.name.startswith(path.name))
    except OSError:
        return


def split(rest: bytes, block: bytes) -> tuple[list[bytes], bytes]:
    """Whole lines of `rest` and `block`, and what follows the last newline; what is too long for a line is cut."""
    if b"\n" not in block:
        return [], rest + block if len(rest) < LONGEST_LINE else rest
    lines = (rest + block).split(b"\n")
    return lines, lines.pop()

"""Reads live sources: standard input and growing files.

Each yields batches of whole lines and the position after them.
"""

import os
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import Any, Final, Protocol

from txmon.errors import ConfigError, IoFailure, NoInput
from txmon.ingest.compression import unpacker_of
from txmon.ingest.followed_file import BAD_PACKED, BLOCK, FollowedFile, Rewritten, split
from txmon.ingest.rotation import LISTINGS, moved_files, rotated
from txmon.support.frozen import frozen

GONE: Final = 10.0  # seconds without a file of the name after which that is reported; a rotation takes less
ROTATE_WAIT: Final = 5.0  # seconds for which a renamed file is still read, as fluent-bit's rotate_wait
FINISHED: Final = 16  # files that a source remembers after it has closed them
LONGEST_HEADER: Final = 1 << 16  # bytes
LOOK: Final = 0.2  # seconds, at most, between two looks at a followed file
UNPACKED: Final = 1 << 20  # bytes unpacked at a time


@frozen
class Chunk:
    """Whole lines of one file, in order."""

    lines: list[bytes]
    begins: bool = False  # whether it starts a new file, so that a header may come first
    start: int = 0  # offset of the first line in its file
    file: int = 0  # number of that file among those of the source
    parent: int | None = None  # number of the file before it, whose header applies if this one has none
    same: bool = False  # whether it continues the content of `parent` in the middle

    def end(self) -> int:
        """Return the offset after the last line."""
        return self.start + sum(map(len, self.lines)) + len(self.lines)


class LiveSource(Protocol):
    """The source of a live run."""

    name: str
    ended: bool  # whether no more data can come

    def fileno(self) -> int | None:
        """Return the descriptor to wait for, or None for a source that must be polled."""

    def holds(self) -> bool:
        """Return whether `read` can return data without waiting, even if the descriptor is not ready."""

    def read(self) -> Chunk | None:
        """Return the new lines, at most one block, or None if there are none."""

    def position(self, offset: int) -> dict[str, Any] | None:
        """Return the position for a restart at this offset of the current file.

        Return None if the source cannot go back.
        """

    def saved(self, position: Mapping[str, Any]) -> None:
        """Note that the state contains everything before `position`. Without a state, it has been judged."""


class PipeSource:
    """Reads standard input or another descriptor, and unpacks gzip and zstd."""

    def __init__(self, descriptor: int, name: str = "<stdin>") -> None:
        self.name = name
        self.ended = False
        self._descriptor = descriptor
        self._unpacker: Any = None
        self._unpacking = False
        self._rest = b""
        self._content: Iterator[bytes] = iter(())  # the part of the last block that is not unpacked yet

    def fileno(self) -> int | None:
        """Return the descriptor."""
        return self._descriptor

    def holds(self) -> bool:
        """Return whether a packed block is only partly unpacked.

        It is unpacked in steps, so that a bomb does not fill the memory.
        """
        return self._unpacking

    def read(self) -> Chunk | None:
        """Return the lines in the pipe. It blocks while the pipe is empty. Raise IoFailure for damaged packed data."""
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
        except Exception as bad:  # zlib.error and zstandard's errors share no base class
            raise IoFailure(f"{self.name}: the compressed data is damaged ({bad})") from bad
        lines, self._rest = split(self._rest, b"".join(pieces))
        return Chunk(lines) if lines else None

    def _fill(self) -> bool:
        """Read a block. Return False at the end."""
        try:
            block = os.read(self._descriptor, BLOCK)
        except OSError as bad:
            raise IoFailure(f"{self.name}: {bad.strerror}") from bad
        if not block:
            self.ended = True
            if self._unpacker is not None and self._unpacker.unfinished():
                raise IoFailure(f"{self.name}: the compressed data ends too early")
            return False
        if self._unpacker is None:
            self._unpacker = unpacker_of(block)
        self._content = self._unpacker.unpack(block)
        return True

    def position(self, offset: int) -> dict[str, Any] | None:
        """Return None, because data that was read from a pipe cannot be read again."""
        return None

    def saved(self, position: Mapping[str, Any]) -> None:
        """Do nothing: a pipe has no position."""


class FollowSource:
    """Follows a file that grows, is renamed and started anew, is truncated, or does not exist yet.

    Every row is read once, whatever rotation does. The source knows files by their content, so it finds the rest of a
    file under another name, in a copy, or in a packed file. A renamed file is read beside the new one for
    `ROTATE_WAIT` seconds, because its writer continues until it opens the new one. The source reports what it cannot
    find.
    """

    def __init__(
        self,
        path: str,
        position: Mapping[str, Any] | None = None,
        say: Callable[[str], None] | None = None,
        from_end: bool = False,
        others: "Others | None" = None,
        history: Collection[str] = (),
        lasting: bool = True,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Create it. position: where to continue. say: receives a line when data is lost.

        others: the other sources of the run.

        from_end: without a position, skip what is in the file now. history: without a position, rotated files of
        `path` to read first. lasting: report it if no file has the name for long.

        Raise ConfigError if `position` is not valid.
        """
        self.name = path
        self.ended = False
        self._say = say or _nothing
        self._others = others or Others()
        self._monotonic = monotonic
        self._current: FollowedFile | None = None
        self._older: list[FollowedFile] = []  # renamed or copied files, oldest first
        self._finished: tuple[dict[str, Any], ...] = ()  # the positions at which files were closed
        self._number = 0  # of the newest file
        # the file of the last chunk, and the offset of its end
        self._given: tuple[FollowedFile | None, int] = (None, 0)
        self._trouble = ""
        self._lasting = lasting
        self._gone_since: float | None = None  # when the file's name was missed first
        self._gone = ""  # a message that it has been missing for long
        self._found = position is not None  # whether the file has existed at some time; if so, txmon waits for it
        self._from_end = from_end and position is None and os.path.exists(path)
        self._others.sources.append(self)
        if position is not None:
            self._resume(position)
        else:
            for earlier in rotated(path):
                if str(earlier) in history:
                    self._add(earlier, {})

    def fileno(self) -> int | None:
        """Return None, because a regular file is always ready."""
        return None

    def holds(self) -> bool:
        """Return False, because this source is polled."""
        return False

    def awaits(self) -> str:
        """Return a message while the file does not exist yet, or "". Raise NoInput if `path` is not a regular file."""
        if self._current is not None or self._older:
            return self._trouble or self._gone
        try:
            status = os.stat(self.name)
        except FileNotFoundError:
            return f"{self.name}: no such file yet; waiting for it"
        except OSError as bad:
            if self._found:
                return self._trouble
            raise NoInput(f"{self.name}: {bad.strerror}") from bad
        if not S_ISREG(status.st_mode) or not os.access(self.name, os.R_OK):
            if self._found:
                return self._trouble
            if S_ISDIR(status.st_mode):
                raise NoInput(f"{self.name}: is a directory. Name a file, or a quoted pattern like '{self.name}/*.log'")
            raise NoInput(f"{self.name}: the file is missing or not readable")
        self._found = True
        return ""

    def read(self) -> Chunk | None:
        """Return the appended lines. A file that cannot be read is reported once and tried again."""
        try:
            chunk = self._read()
        except OSError as bad:
            reason = bad.strerror or str(bad)
            if reason != self._trouble:
                self._trouble = reason
                self._say(f"{self.name}: cannot be read: {reason}; txmon tries again")
            return None
        if self._trouble:
            self._trouble = ""
            self._say(f"{self.name}: is read again")
        return chunk

    def position(self, offset: int) -> dict[str, Any] | None:
        """Return the positions in all open files, newest last."""
        given, end = self._given
        files = [file for file in (*self._older, self._current) if file is not None]
        # a line without a newline, or a truncated one, ends before its chunk does
        places = [
            file.place(offset if file is given and offset < end and offset <= file.offset else file.offset)
            for file in files
        ]
        return {"files": places, "finished": list(self._finished), "offset": places[-1]["offset"] if places else 0}

    def saved(self, position: Mapping[str, Any]) -> None:
        """Do nothing, because only the state records what was read of a file."""

    def close(self) -> None:
        """Close all files."""
        for file in (*self._older, self._current):
            if file is not None:
                file.close()
        self._older, self._current = [], None

    def numbers(self) -> set[int]:
        """Return the numbers of the files that are open."""
        return {file.number for file in (*self._older, self._current) if file is not None}

    def vanished(self) -> bool:
        """Return whether no file has the name any more, and all of the last one was read."""
        return self._current is not None and not self._older and os.fstat(self._current.descriptor).st_nlink == 0

    def holds_file(self, path: str) -> bool:
        """Return whether this source reads `path`, or has read it under its own name."""
        try:
            status = os.stat(path)
            identity = (status.st_dev, status.st_ino)
            if any(file.identity == identity for file in (*self._older, self._current) if file is not None):
                return True
            return any(self._matches(path, place) for place in self._finished if not place["weak"])
        except OSError:
            return False

    # reading

    def _read(self) -> Chunk | None:
        chunk = self._read_all_older()
        if chunk is not None:
            return chunk
        while True:
            if self._current is None and not self._open():
                return None
            assert self._current is not None
            file = self._current
            if self._from_end:
                self._from_end = False
                header = self._skip_present(file)
                if header is not None:
                    return header
            block = self._block(file)
            if block:
                return self._chunk(file, *file.lines(block))
            if block is None or not self._renamed(file):
                return self._read() if block is None else None
            self._turn(file)
            chunk = self._read_all_older()  # the renamed files come before the file that has the name now
            if chunk is not None:
                return chunk

    def _read_all_older(self) -> Chunk | None:
        """Return data of the oldest renamed file that has some."""
        for file in list(self._older):
            chunk = self._read_older(file)
            if chunk is not None:
                return chunk
        return None

    def _block(self, file: FollowedFile) -> bytes | None:
        """Return what was appended to the current file, or None if it was truncated and replaced."""
        try:
            return file.read()
        except Rewritten:
            self._cut(file)
            return None
        except BAD_PACKED as bad:
            if isinstance(bad, OSError) and bad.errno is not None:
                raise
            raise OSError(0, f"the compressed data is damaged ({bad})") from bad

    def _read_older(self, file: FollowedFile) -> Chunk | None:
        """Return the rest of a renamed or copied file. Close it when no more can come."""
        try:
            block = file.read()
        except Rewritten:
            self._leave(file)
            return None
        except BAD_PACKED as bad:
            self._say(f"{file.path}: the compressed data is damaged ({bad}); what follows byte {file.offset} is lost")
            self._leave(file)
            return None
        if block:
            file.deadline = None
            return self._chunk(file, *file.lines(block))
        now = self._monotonic()
        if file.deadline is None:
            file.deadline = now + (0.0 if file.packed else ROTATE_WAIT)
        if now < file.deadline:
            return None
        lines, start = file.last_line()
        chunk = self._chunk(file, lines, start)
        self._leave(file)
        return chunk

    def _chunk(self, file: FollowedFile, lines: list[bytes], start: int) -> Chunk | None:
        if not lines:
            return None
        if start == 0 and lines[0].startswith(b"\0"):
            # a writer without O_APPEND continues at its old offset after a truncation, which leaves a hole of zeros
            hole = len(lines[0]) - len(lines[0].lstrip(b"\0"))
            lines[0], start = lines[0][hole:], hole
        begins, file.begins = file.begins, False
        chunk = Chunk(lines, begins, start, file.number, file.parent, file.same)
        self._given = (file, chunk.end())
        return chunk

    def _leave(self, file: FollowedFile) -> None:
        self._finished = (*self._finished, file.place(file.offset))[-FINISHED:]
        self._older.remove(file)
        file.close()

    def _skip_present(self, file: FollowedFile) -> Chunk | None:
        """Skip the content that is there now. Return the header if there is one, because later rows need it."""
        size = file.size()
        first = os.pread(file.descriptor, LONGEST_HEADER, 0)
        line, newline, _ = first.partition(b"\n")
        at = size
        while at > 0:  # back to the last newline
            start = max(0, at - BLOCK)
            found = os.pread(file.descriptor, at - start, start).rfind(b"\n")
            at = start + found + 1 if found >= 0 else start
            if found >= 0:
                break
        if not newline or at == 0:
            return None
        file.skip(at)
        if line.lstrip(b"\xef\xbb\xbf \t").startswith((b"{", b"[")):
            return None
        file.begins = False
        self._given = (file, at)
        return Chunk([line], True, at - len(line) - 1, file.number, None, False)

    # files that take the place of others

    def _open(self) -> bool:
        """Open the file that has the name now. Return whether there is one."""
        try:
            file = FollowedFile(self.name, self._number + 1)
        except FileNotFoundError:
            return False
        if self._others.have(file, self):
            file.close()
            return False
        self._number += 1
        self._current, self._found = file, True
        return True

    def _renamed(self, file: FollowedFile) -> bool:
        """Return whether another file has the name now and can be opened."""
        try:
            status = os.stat(self.name)
        except FileNotFoundError:
            self._note_gone()
            return False  # renamed, and the new file does not exist yet: the old one may still grow
        self._gone_since = None
        if self._gone:
            self._gone = ""
            self._say(f"{self.name}: exists again")
        return (status.st_dev, status.st_ino) != file.identity

    def _note_gone(self) -> None:
        """Report it once if no file has had the name for long."""
        if not self._lasting or self._gone:
            return
        now = self._monotonic()
        if self._gone_since is None:
            self._gone_since = now
        elif now - self._gone_since >= GONE:
            self._gone = f"{self.name}: no such file any more; waiting for a new one"
            self._say(self._gone)

    def _turn(self, file: FollowedFile) -> None:
        """Continue with the file that has the name now. `file` had it before."""
        place = file.place(file.offset)
        try:
            opened = self._open()
        finally:
            new, self._current = self._current, file
        if not opened or new is None:
            return
        self._current = new
        if not place["weak"] and new.seek(place):
            # a copy in place of the file, as an editor or rsync makes it: rows that were read are not read again
            new.parent, new.same = file.number, True
            file.close()
            return
        new.reset()
        self._older.append(file)
        self._add_between(file.identity, place)

    def _cut(self, file: FollowedFile) -> None:
        """Continue after `file` was truncated: first with the rest of a copy, if any, then from its start."""
        new = FollowedFile(self.name, 0, file.number)
        place = file.place(file.offset)
        copy = self._find(place, {file.identity})
        complete = copy is not None
        if copy is not None:
            copy.parent, copy.same = file.number, True
            self._older.append(copy)
            self._add_between(copy.identity, place)
        else:
            for path in reversed(rotated(self.name)):
                complete = complete or _is_copy_of(path, file)
            if place["weak"]:
                complete = self._add_between(None, place) or complete
        if not complete:
            torn = f", including {len(file.rest)} bytes of an unfinished line" if file.rest else ""
            self._say(
                f"{self.name}: was truncated after byte {file.offset}. txmon reads it from its start. Rows that were"
                f" written in the last {LOOK} s before the truncation may be lost{torn}"
            )
        self._number += 1
        new.number = self._number
        self._current = new
        if new.identity == file.identity:
            file.close()
            return
        file.reset()  # it was renamed after it was truncated, and nobody has read what was written between
        self._older.append(file)

    def _add_between(self, identity: tuple[int, int] | None, place: Mapping[str, Any]) -> bool:
        """Add files that were started after the one of `place` and rotated before they were seen.

        Return whether any were.
        """
        before = len(self._older)
        for _ in range(LISTINGS):
            listing = self._listing()
            if self._add_listed(listing, identity, place) and self._listing() == listing:
                break
            for file in self._older[before:]:  # rotation went on meanwhile, and may have hidden a file
                file.close()
            del self._older[before:]
        else:
            self._add_listed(self._listing(), identity, place)
        return len(self._older) > before

    def _listing(self) -> list[tuple[Path, tuple[int, int] | None]]:
        return [(path, _identity(path)) for path in rotated(self.name)]

    def _add_listed(
        self,
        listing: Sequence[tuple[Path, tuple[int, int] | None]],
        identity: tuple[int, int] | None,
        place: Mapping[str, Any],
    ) -> bool:
        """Add those of the listed files as `_add_between`. Return whether all of them could be opened."""
        open_files = {file.identity for file in (*self._older, self._current) if file is not None}
        changed = place.get("changed")
        at = next((n for n, (_, found) in enumerate(listing) if found == identity), None)
        complete = True
        for n, (path, found) in enumerate(listing):
            try:
                newer = n > at if at is not None else changed is not None and path.stat().st_mtime_ns >= int(changed)
                if not newer or found in open_files:
                    continue
                self._add(path, place)
            except OSError:
                complete = False  # it has another name by now
        return complete

    def _add(self, path: Path, place: Mapping[str, Any]) -> None:
        known = [place, *(file.place(file.offset) for file in self._older)]
        if any(not one.get("weak", True) and self._matches(str(path), one) for one in known):
            return  # another copy of a file that is being read
        file = FollowedFile(str(path), self._number + 1)
        for finished in reversed(self._finished):
            if not finished["weak"] and file.seek(finished):
                file.parent, file.same = int(finished["number"]), True  # it was read before, and may have grown
                break
            file.reset()
        if self._others.have(file, self) or (file.offset and not file.packed and file.size() <= file.offset):
            file.close()
            return
        self._number += 1
        self._older.append(file)

    def _matches(self, path: str, place: Mapping[str, Any]) -> bool:
        try:
            file = FollowedFile(path, 0)
        except OSError:
            return False
        try:
            return file.seek(place)
        finally:
            file.close()

    def _find(self, place: Mapping[str, Any], without: set[tuple[int, int]]) -> FollowedFile | None:
        """Return the file that contains `place`, opened there, whatever its name is now, or None if there is none."""
        found = None
        for _ in range(LISTINGS):
            listing = self._listing()
            found = self._find_listed(place, without)
            if found is not None or self._listing() == listing:
                break  # else rotation went on meanwhile, and may have hidden it
        return found

    def _find_listed(self, place: Mapping[str, Any], without: set[tuple[int, int]]) -> FollowedFile | None:
        identity = _identity_of(place)
        likely = (Path(self.name), *reversed(rotated(self.name)))
        paths = [path for path in likely if _identity(path) not in without]
        if not any(_alike(found, identity) for path in paths if (found := _identity(path)) is not None):
            real = place.get("path")
            moved = moved_files(self.name, real if isinstance(real, str) else None, identity[1])
            paths += [path for path in moved if _identity(path) not in without]
        # try its inode first, then check its content, because inodes are reused
        paths.sort(key=lambda path: (found := _identity(path)) is None or not _alike(found, identity))
        for path in paths:
            own = _alike(_identity(path) or (-1, -1), identity)
            if not own and place.get("weak", True):
                return None  # too little was read to recognize it by its content
            try:
                file = FollowedFile(str(path), self._number + 1)
            except OSError:
                continue
            if file.seek(place):
                self._number += 1
                return file
            file.close()
        return None

    # a restart

    def _resume(self, position: Mapping[str, Any]) -> None:
        try:
            places = list(position["files"]) if "files" in position else [_migrated(position)]
            finished = tuple(dict(place) for place in position.get("finished", ()))
            for place in (*places, *finished):
                _identity_of(place), int(place["offset"]), bool(place["begins"]), int(place.get("number", 0))
                bool(place.get("weak")), int(place.get("changed") or 0), place.get("head"), place.get("tail")
        except (KeyError, TypeError, ValueError, AttributeError) as bad:
            raise ConfigError(f"{self.name}: the state has no valid position for it ({bad!r})") from bad
        self._finished = finished
        self._number = max([int(place.get("number", 0)) for place in places], default=0)
        for n, place in enumerate(places):
            self._resume_file(place, n == len(places) - 1)

    def _resume_file(self, place: Mapping[str, Any], newest: bool) -> None:
        opened = {file.identity for file in self._older}
        file = self._find(place, opened)
        if file is None:
            if newest:
                self._open_soon()
            weak = bool(place.get("weak", True)) and place.get("head") is not None
            between = (newest or weak) and self._add_between(None, place)
            if int(place["offset"]) > 0 and not (weak and between):
                self._say(
                    f"{self.name}: cannot find the file that was read to byte {place['offset']}, neither renamed nor"
                    " copied. Rows that were written to it after that byte are lost"
                )
            return
        file.parent, file.same = int(place.get("number", 0)), True
        if newest and file.identity == _identity(Path(self.name)):
            self._current = file
            if place.get("weak", True):
                self._add_between(None, place)
            return
        self._older.append(file)
        if newest:
            self._open_soon()
            self._add_between(file.identity, place)

    def _open_soon(self) -> None:
        """Open the file that has the name now, if possible, because it may be renamed before its first read."""
        with suppress(OSError):
            self._open()


class Others:
    """The sources of one run. They ensure that no file is read twice if several patterns match it."""

    def __init__(self) -> None:
        self.sources: list[FollowSource] = []

    def have(self, file: FollowedFile, source: FollowSource) -> bool:
        """Return whether another source than `source` reads, or has read, the content of `file`."""
        return any(other is not source and other.holds_file(file.path) for other in self.sources)


def _nothing(line: str) -> None:
    """Ignore a message."""


def _migrated(position: Mapping[str, Any]) -> dict[str, Any]:
    """Return a position of txmon 0.1, which knew a file only by its inode, in today's form."""
    return {**position, "number": 1, "device": None, "weak": True}


def _identity_of(place: Mapping[str, Any]) -> tuple[int | None, int]:
    device = place["device"]
    return None if device is None else int(device), int(place["inode"])


def _alike(found: tuple[int, int], wanted: tuple[int | None, int]) -> bool:
    return found[1] == wanted[1] and wanted[0] in (None, found[0])


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _is_copy_of(path: Path, file: FollowedFile) -> bool:
    try:
        copy = FollowedFile(str(path), 0)
    except OSError:
        return False
    try:
        return not copy.packed and copy.ends_in(file)
    finally:
        copy.close()

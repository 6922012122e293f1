"""A file or standard input read beside the requests: what it holds, and what is appended to it."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from ..errors import NoInput, TxmonError
from ..records import Record, RecordParser, Reject
from ..sources.file import LONGEST_LINE, FileSource
from .engine import Engine
from .intake import Intake

BLOCK: Final = 256 << 10  # bytes fed at once
EACH: Final = 0.2  # seconds between two looks for more


class Tail(threading.Thread):
    """Feeds the lines of one file to the engine, from where the state says it was."""

    def __init__(self, path: str, engine: Engine, intake: Intake) -> None:
        """NoInput when `path` is no readable file. `-` is standard input."""
        super().__init__(name="tail", daemon=True)
        self._path = path
        self._engine = engine
        self._intake = intake
        self._ending = threading.Event()
        if path != "-" and not (Path(path).is_file() and os.access(path, os.R_OK)):
            raise NoInput(f"{path}: no such file, or not to be read")

    def run(self) -> None:
        """Read until told to stop, or until standard input ends."""
        try:
            if self._path == "-":
                parser = self._parser()
                for lines in FileSource("-"):
                    self._feed(parser, lines)
            else:
                while not self._ending.is_set():
                    self._follow()
        except (TxmonError, OSError) as bad:
            self._engine.troubles["tail"] = str(bad)

    def stop(self) -> None:
        """End, once what was read is fed; standard input is not waited for."""
        self._ending.set()
        if self._path != "-":
            self.join(5)

    def _parser(self) -> RecordParser:
        return self._intake.parser("<stdin>" if self._path == "-" else self._path, self._engine.settings.format)

    def _follow(self) -> None:
        """Read one file until it is replaced or cut short; on a restart, from where the state left off."""
        parser = self._parser()
        with open(self._path, "rb") as file:
            status = os.fstat(file.fileno())
            inode, offset = self._engine.marks.get(self._path, (0, 0))
            if inode != status.st_ino or status.st_size < offset:
                offset = 0
            elif offset:
                # a header names the columns still; the record that JSON lines begin with was counted before
                list(parser.parse([file.readline().rstrip(b"\n")]))
            file.seek(offset)
            rest = b""
            while not self._ending.is_set():
                block = file.read(BLOCK)
                if not block:
                    if self._is_replaced(file, offset):
                        if rest:
                            self._feed(parser, [rest])
                        return
                    self._ending.wait(EACH)
                    continue
                *lines, rest = (rest + block).split(b"\n")
                if len(rest) > LONGEST_LINE:
                    lines, rest = [*lines, rest], b""
                offset = file.tell() - len(rest)
                self._feed(parser, lines, (status.st_ino, offset))

    def _is_replaced(self, file: BinaryIO, offset: int) -> bool:
        here = os.fstat(file.fileno())
        try:
            there = os.stat(self._path)
        except FileNotFoundError:
            return False  # between two files
        return there.st_ino != here.st_ino or here.st_size < offset

    def _feed(self, parser: RecordParser, lines: list[bytes], mark: tuple[int, int] | None = None) -> None:
        with self._engine.lock:
            self._engine.take(self._records(parser, lines))
            if mark is not None:  # together with what it stands for, or a state between them would count twice
                self._engine.marks[self._path] = list(mark)

    def _records(self, parser: RecordParser, lines: list[bytes]) -> Iterator[Record | Reject]:
        return self._intake.timely(parser, parser.parse(lines), self._engine.latest())

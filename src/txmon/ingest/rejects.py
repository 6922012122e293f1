"""Counts bad records by kind, remembers the first of each kind, and saves all of them if asked."""

import binascii
import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import BinaryIO, TypeVar

from txmon.errors import BadData, IoFailure
from txmon.ingest.records import Reject
from txmon.support.line_file import LineFile
from txmon.support.plurals import counted
from txmon.support.safe_open import open_file

Say = Callable[[str], None]
T = TypeVar("T")


@dataclass(slots=True)
class _Kind:
    first: Reject
    count: int = 0


class RejectLog:
    """Collects every reject. At the end it prints one line for each kind."""

    def __init__(self, path: str | None = None, strict: bool = False, say: Say | None = None) -> None:
        """Create it. path: JSON lines file for rejects, created at once with mode 0600.

        strict: raise at the first reject.

        say: for a live run only. Rejects are then appended to those of earlier runs, and a failure to write is
        reported to `say` instead of ending the run. Raise IoFailure if `path` cannot be opened.
        """
        self._kinds: dict[str, _Kind] = {}
        self._strict = strict
        self._path = path
        self._file: BinaryIO | None = None
        self._lines: LineFile | None = None
        try:
            if path is not None and say is not None:
                self._lines = LineFile(path, say, private=True)
            elif path is not None:
                # rejects are raw payment data, so only their owner may read them
                self._file = os.fdopen(open_file(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, private=True), "wb")
        except OSError as bad:
            raise IoFailure(f"{path}: {bad.strerror}") from bad

    def add(self, reject: Reject) -> None:
        """Count and save `reject`. Raise BadData under strict, IoFailure if it cannot be saved."""
        kind = self._kinds.setdefault(reject.kind, _Kind(reject))
        kind.count += 1
        if self._lines is not None:
            self._lines.write(reject_line(reject))
        if self._file is not None:
            try:
                self._file.write(reject_line(reject))
            except OSError as bad:
                raise IoFailure(f"{self._path}: {bad.strerror}") from bad
        if self._strict:
            raise BadData(f"{reject.source}:{reject.line}: {reject.reason}")

    def count_only(self, reject: Reject) -> None:
        """Count `reject` without saving it, because its sender has sent too many."""
        self._kinds.setdefault(reject.kind, _Kind(reject)).count += 1

    def sift(self, items: Iterable[T | Reject]) -> list[T]:
        """Return `items` without the rejects among them, and add these to the log."""
        found: list[T] = []
        for item in items:
            if isinstance(item, Reject):
                self.add(item)
            else:
                found.append(item)
        return found

    @property
    def count(self) -> int:
        """Return the number of rejects so far, of all kinds."""
        return sum(kind.count for kind in self._kinds.values())

    @property
    def keeps(self) -> bool:
        """Return whether bad records are saved in a file."""
        return self._path is not None

    def commonest(self) -> tuple[str, Reject]:
        """Return the most frequent kind of reject and the first reject of that kind.

        Raise ValueError if there is none.
        """
        name = max(self._kinds, key=lambda kind: self._kinds[kind].count)
        return name, self._kinds[name].first

    def summary(self) -> list[str]:
        """Return one line for each kind: where it first occurred, how often, and why."""
        return [
            f"{kind.first.source}:{kind.first.line}: {kind.first.reason}"
            f" ({counted(kind.count, 'bad record')} of this kind: {name})"
            for name, kind in self._kinds.items()
        ] + (self._lines.summary() if self._lines is not None else [])

    def reopen(self) -> None:
        """Reopen the file of a live run after it was rotated. Raise IoFailure if that fails."""
        try:
            if self._lines is not None:
                self._lines.reopen()
        except OSError as bad:
            raise IoFailure(f"{self._path}: {bad.strerror}") from bad

    def close(self) -> None:
        """Write out everything and close the file."""
        if self._lines is not None:
            self._lines.close()
        if self._file is not None:
            try:
                self._file.close()
            except OSError as bad:
                raise IoFailure(f"{self._path}: {bad.strerror}") from bad


def reject_line(reject: Reject) -> bytes:
    """Return `reject` as a JSON line with its source, line number, reason and text."""
    row: dict[str, object] = {
        "source": reject.source,
        "line": reject.line,
        "kind": reject.kind,
        "reason": reject.reason,
    }
    try:
        row["raw"] = reject.raw.decode()
    except UnicodeDecodeError:
        row["raw"] = reject.raw.decode(errors="replace")
        row["raw_base64"] = binascii.b2a_base64(reject.raw, newline=False).decode()
    # a file name that is not UTF-8 is shown as its bytes
    return json.dumps(row, ensure_ascii=False).encode(errors="backslashreplace") + b"\n"

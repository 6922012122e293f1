"""Joins CSV rows that span several lines because a quoted cell contains a newline (RFC 4180)."""

import csv
from typing import Final

QUOTE: Final = b'"'


class QuoteJoiner:
    """Joins the lines of a row. A quote that is never closed affects only its own line."""

    def __init__(self, delimiter: str, most: int) -> None:
        """Create it. most: bytes that a row may have."""
        self._delimiter = delimiter or ","
        self._most = most
        self._waiting: list[bytes] = []  # the lines of a row whose quote is open
        self._size = 0

    def join(self, lines: list[bytes]) -> list[bytes]:
        """Return whole rows. An incomplete row is kept for the next call."""
        if not self._waiting and QUOTE not in b"".join(lines):
            return lines
        found: list[bytes] = []
        for line in lines:
            self._take(line, found)
        return found

    def waiting(self) -> bool:
        """Return whether a row is incomplete."""
        return bool(self._waiting)

    def held(self) -> list[bytes]:
        """Return the lines of the incomplete row."""
        return list(self._waiting)

    def flush(self) -> list[bytes]:
        """Return the lines of the row whose quote was never closed, as they are."""
        found: list[bytes] = []
        while self._waiting:
            first, *others = self._waiting
            self._waiting, self._size = [], 0
            found.append(first)
            for line in others:
                self._take(line, found)
        return found

    def _take(self, line: bytes, found: list[bytes]) -> None:
        if not self._waiting:
            if line.count(QUOTE) % 2 and self._is_open(line):
                self._waiting, self._size = [line], len(line)
            else:
                found.append(line)
            return
        self._waiting.append(line)
        self._size += len(line) + 1
        if line.count(QUOTE) % 2:
            row = b"\n".join(self._waiting)
            if not self._is_open(row):
                self._waiting, self._size = [], 0
                found.append(row)
        elif self._size > self._most:
            first, *others = self._waiting
            self._waiting, self._size = [], 0
            found.append(first)
            for other in others:
                self._take(other, found)

    def _is_open(self, row: bytes) -> bool:
        try:
            next(csv.reader([row.decode("utf-8", "replace")], delimiter=self._delimiter, strict=True), None)
        except csv.Error as bad:
            return "unexpected end" in str(bad)
        return False

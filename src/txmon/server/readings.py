"""Decides how bodies are read, once for each shape of them, with the decision module that files use."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from io import BytesIO
from typing import Final

from txmon.errors import BadData
from txmon.ingest.decision import read_plan
from txmon.ingest.formats.opened import OpenedSource
from txmon.ingest.formats.quotes import QuoteJoiner
from txmon.ingest.order_of_dates import decide_order, row_orders
from txmon.ingest.reading import Container, Hints, Reading
from txmon.server.http.message import HttpError

_NUMERIC_DAY: Final = re.compile(r"\d{1,2}[-/.]\d")
SHAPES: Final = 64  # shapes that are remembered
ROWS: Final = 1000  # rows of a body used to decide
MANY: Final = 20  # rows from which a count can be recognized


class BodyReadings:
    """The readings of all shapes of bodies, newest last. Only one thread may use it at a time."""

    def __init__(self, hints: Hints) -> None:
        self._hints = hints
        self._known: dict[object, Reading] = {}
        self._news: list[Reading] = []

    def all(self) -> list[Reading]:
        """Return all readings, oldest first."""
        return list({reading.statement(): reading for reading in self._known.values()}.values())

    def taken_news(self) -> list[Reading]:
        """Return the readings decided since the last call."""
        news, self._news = self._news, []
        return news

    def of_rows(self, rows: Sequence[object], source: str) -> Reading | None:
        """Return how decoded rows are read, or None if none of them is an object."""
        first = next((row for row in rows if isinstance(row, dict)), None)
        if first is None:
            return None
        key = (_shape(first), len(rows) >= MANY)
        known = self._known.get(key)
        return known or self._decide(key, source, [json.dumps(row).encode() for row in rows[:ROWS]])

    def of_lines(self, lines: Sequence[bytes], source: str) -> Reading | None:
        """Return how JSON lines are read, or None if the first is not an object."""
        line = next(filter(bytes.strip, lines), b"")
        try:
            first = json.loads(line)
        except (ValueError, RecursionError):
            return None
        if not isinstance(first, dict):
            return None
        key = (_shape(first), len(lines) >= MANY)
        return self._known.get(key) or self._decide(key, source, lines[:ROWS])

    def of_csv(self, body: bytes, lines: list[bytes], source: str, most: int) -> tuple[Reading, list[bytes]]:
        """Return how CSV is read, and its rows. Raise HttpError 422 if that is unclear, 413 if it is too long.

        body: the whole text. lines: the same, split. most: bytes allowed after unpacking.
        """
        header = next(filter(bytes.strip, lines), b"")
        many = len(lines) >= MANY
        key = (header, many)
        known = self._known.get(key)
        if known is not None and b"\0" not in header:
            return known, _joined(body, lines, known, self._hints.options.max_line)
        try:
            with OpenedSource(source, replace(self._hints, format="csv"), BytesIO(body), live=not many) as opened:
                found, size = [], 0
                for some in opened:
                    size += sum(map(len, some))
                    if size > most:
                        raise HttpError(413, f"the body has more than {most} bytes after unpacking")
                    found += some
                reading = opened.reading
        except BadData as bad:
            raise HttpError(422, _bare(bad, source)) from None
        # formats that are not read line by line are examined each time
        plain = reading.container.kind == "CSV" and reading.container.encoding == "UTF-8" and not reading.skip
        if plain and not reading.container.detail:
            self._keep(key, reading)
        else:
            self._keep((reading.statement(),), reading)
        return reading, found

    def _decide(self, key: object, source: str, lines: Sequence[bytes]) -> Reading:
        container = Container("jsonl", "JSON")
        try:
            reading = read_plan(source, lines, self._hints, container, live=len(lines) < MANY)
            if reading.order == "?":
                reading = decide_order(reading, row_orders(reading, lines))
        except BadData as bad:
            raise HttpError(422, _bare(bad, source)) from None
        self._keep(key, reading)
        return reading

    def _keep(self, key: object, reading: Reading) -> None:
        if len(self._known) >= SHAPES:
            self._known.pop(next(iter(self._known)))
        if all(reading.statement() != other.statement() for other in self._known.values()):
            self._news = [*self._news[-SHAPES:], reading]
        self._known[key] = reading


def _shape(row: Mapping[str, object]) -> object:
    """Return what rows that are read alike have in common: their names, also nested ones, and their kind of times.

    For example, two rows with the same names may be read differently because of a numeric date.
    """
    found: list[object] = []
    for name, value in row.items():
        found.append(name)
        if isinstance(value, dict):
            found.append(_shape(value))
        elif isinstance(value, str) and _NUMERIC_DAY.match(value):
            found.append("/")
    return tuple(found)


def _bare(bad: BadData, source: str) -> str:
    return str(bad).removeprefix(f"{source}: ")


def _joined(body: bytes, lines: list[bytes], reading: Reading, max_line: int) -> list[bytes]:
    if b'"' not in body:
        return lines
    joiner = QuoteJoiner(reading.delimiter, max_line)
    return [*joiner.join(lines), *joiner.flush()]

"""Reads rows of a query to a database or a Prometheus server. The first rows decide how all rows are read."""

import itertools
from collections.abc import Iterator
from typing import Final, Protocol, runtime_checkable

from txmon.errors import BadData
from txmon.ingest.calendar_texts import UNDECIDED
from txmon.ingest.decision import read_plan
from txmon.ingest.order_of_dates import decide_order
from txmon.ingest.reading import Container, Hints, Reading
from txmon.ingest.records import RecordParser
from txmon.ingest.timestamps import TimeParser

ROWS: Final = Container("jsonl", "rows of --query")
COPIED: Final = Container("csv", "rows of --query")  # PostgreSQL sends CSV when it copies rows
POINTS: Final = Container("jsonl", "points of --query")


class Asked(Protocol):
    """The answer to a query as lists of JSON lines. It can be read once."""

    name: str
    container: Container
    consumed: int  # bytes read so far
    size: int | None  # bytes; None if unknown

    def __enter__(self) -> "Asked":
        """Open the connection."""

    def __exit__(self, *what: object) -> None:
        """Close the connection."""

    def __iter__(self) -> Iterator[list[bytes]]:
        """Yield lists of lines."""


@runtime_checkable
class PartlyObserved(Protocol):
    """A source that knows during which times no data was observed."""

    def unobserved(self) -> list[tuple[int, int]]:
        """Return those times once, as (start, end) in epoch seconds, `end` excluded."""


class AskedSource:
    """An answer to a query, and how its rows are read.

    Iterate over it for lists of lines, and parse them with `parser`.
    """

    def __init__(self, answer: Asked, hints: Hints) -> None:
        """Read the first lines and decide how to read them.

        Raise BadData if there are no rows or they cannot be read, IoFailure if the connection fails.
        """
        self._answer = answer
        self._options = hints.options
        self.name = answer.name
        self._chunks = iter(answer)
        try:
            first = next(self._chunks, [])
            if not first:
                raise BadData(f"{answer.name}: --query gives no rows. Look at its conditions, --since and --until.")  # noqa: TRY301
            self.reading = decided(answer.name, first, hints, answer.container)
        except BaseException:
            answer.__exit__()
            raise
        self._chunks = itertools.chain([first], self._chunks)

    @property
    def consumed(self) -> int:
        """Return the bytes read so far."""
        return self._answer.consumed

    @property
    def size(self) -> int | None:
        """Return None, because the size of an answer is not known before its end."""
        return self._answer.size

    def __enter__(self) -> "AskedSource":
        return self

    def __exit__(self, *what: object) -> None:
        self._answer.__exit__(*what)

    def __iter__(self) -> Iterator[list[bytes]]:
        """Yield lists of lines. Raise IoFailure or BadData."""
        return self._chunks

    def parser(self, times: TimeParser) -> RecordParser:
        """Return the parser of the lines. times: the parser of times that all sources of a run share."""
        times.decide(self.reading.order if self.reading.order in ("dmy", "mdy") else "", self.reading.time_form)
        return RecordParser(self.name, self.reading.options(self._options), times)


def decided(name: str, lines: list[bytes], hints: Hints, container: Container) -> Reading:
    """Return how to read rows that begin with `lines`. Raise BadData if that cannot be decided."""
    reading = read_plan(name, lines, hints, container)
    return decide_order(reading, ()) if reading.order == UNDECIDED else reading

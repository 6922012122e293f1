"""Rows that were asked for, of a database or a Prometheus server, with the reading decided of the first ones."""

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
COPIED: Final = Container("csv", "rows of --query")  # as PostgreSQL copies them
POINTS: Final = Container("jsonl", "points of --query")


class Asked(Protocol):
    """The answer to a query, which can be read once, as lists of JSON lines."""

    name: str
    container: Container
    consumed: int  # bytes read so far
    size: int | None  # bytes; None where nobody knows

    def __enter__(self) -> "Asked":
        """Begin."""

    def __exit__(self, *what: object) -> None:
        """End."""

    def __iter__(self) -> Iterator[list[bytes]]:
        """Yield lists of lines."""


@runtime_checkable
class PartlyObserved(Protocol):
    """A source that knows which times nobody observed."""

    def unobserved(self) -> list[tuple[int, int]]:
        """Return, once, those times in epoch seconds, the end excluded."""


class AskedSource:
    """An answer with its reading: iterate over it for lists of lines, and parse them with `parser`."""

    def __init__(self, answer: Asked, hints: Hints) -> None:
        """Read the first lines and decide; BadData where there are none, or they cannot be read. Raise IoFailure."""
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
        """Bytes read so far."""
        return self._answer.consumed

    @property
    def size(self) -> int | None:
        """Return None: nobody knows how much comes."""
        return self._answer.size

    def __enter__(self) -> "AskedSource":
        return self

    def __exit__(self, *what: object) -> None:
        self._answer.__exit__(*what)

    def __iter__(self) -> Iterator[list[bytes]]:
        """Yield lists of lines. Raise IoFailure or BadData."""
        return self._chunks

    def parser(self, times: TimeParser) -> RecordParser:
        """Return the parser of the lines. times: of all sources of a run."""
        times.decide(self.reading.order if self.reading.order in ("dmy", "mdy") else "", self.reading.time_form)
        return RecordParser(self.name, self.reading.options(self._options), times)


def decided(name: str, lines: list[bytes], hints: Hints, container: Container) -> Reading:
    """Return how rows that begin with `lines` are read; BadData where that cannot be decided."""
    reading = read_plan(name, lines, hints, container)
    return decide_order(reading, ()) if reading.order == UNDECIDED else reading

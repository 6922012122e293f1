"""Reads files into one stream of records, as the settings ask."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from typing import Protocol
from zoneinfo import ZoneInfo

from txmon.errors import TxmonError
from txmon.ingest.aggregate.aggregator import Aggregator
from txmon.ingest.aggregate.ledger import Item, Tally
from txmon.ingest.aggregate.whole import WholeInput
from txmon.ingest.files import FileSource
from txmon.ingest.records import ParseOptions, Record, RecordParser, Reject
from txmon.ingest.rejects import RejectLog
from txmon.ingest.timestamps import TimeParser
from txmon.runtime.readable import check_readable, refuse_repeats, repeats_text
from txmon.settings.declarations import Settings


class Lines(Protocol):
    """Something other than a file that can be read once, as lists of lines: the rows of a database, for example."""

    name: str
    consumed: int  # bytes read so far
    size: int | None  # bytes; None where nobody knows

    def __enter__(self) -> "Lines":
        """Begin."""

    def __exit__(self, *what: object) -> None:
        """End."""

    def __iter__(self) -> Iterator[list[bytes]]:
        """Yield lists of lines."""


def opened(path: "str | Lines") -> "FileSource | Lines":
    """Return what reads `path`: a file of that name, or what is no name but can be read."""
    return FileSource(path) if isinstance(path, str) else path


def names_of(paths: "Iterable[str | Lines]") -> str:
    """Return the names of all `paths`, for a message."""
    return ", ".join([path if isinstance(path, str) else path.name for path in paths])


class Reader:
    """Reads files one after the other into one stream of records, bad ones into the log."""

    def __init__(self, options: ParseOptions, times: TimeParser, log: RejectLog) -> None:
        self._options = options
        self._times = times
        self._log = log
        self.read = 0  # records
        self.repeated = 0  # those of them whose id, status and time another one has
        self.source: FileSource | Lines | None = None  # the file being read, for a progress bar

    def records(self, paths: Iterable[str | Lines]) -> Iterator[Record]:
        """The records of all `paths` in order; times without a date go on from file to file."""
        for path in paths:
            with opened(path) as self.source:
                parser = RecordParser(self.source.name, self._options, self._times)
                for lines in self.source:
                    for record in parser.parse(lines):
                        if isinstance(record, Reject):
                            self._log.add(record)
                        else:
                            self.read += 1
                            yield record
                parser.finish()

    def tallies(self, paths: Sequence[str | Lines], width: int) -> Iterator[Tally]:
        """What all `paths` hold together, one tally for each bucket of `width` seconds, oldest first.

        The rows, and the files, may be in any order: all of them are read before the first tally comes. BadData where
        so many rows repeat the id of another one that the column is probably no id.
        """
        whole = WholeInput(width)
        failure: TxmonError | None = None
        try:
            try:
                for path in paths:
                    self._gather(path, width, whole)
            except TxmonError as bad:
                failure = bad  # what was read before it is judged all the same
            self.read = whole.rows
            marked = whole.marked
            whole.settle()
            self.repeated = whole.repeated
            if "id" not in self._options.mapping:
                refuse_repeats(names_of(paths), whole.repeated, marked)
            yield from whole.tallies()
            if failure is not None:
                raise failure
        finally:
            whole.close()

    def _gather(self, path: str | Lines, width: int, whole: WholeInput) -> None:
        with opened(path) as self.source:
            parser = RecordParser(self.source.name, self._options, self._times)
            aggregator = Aggregator(parser, width, whole=True)
            for lines in self.source:
                read: list[Item] = []
                rejects: list[Reject] = []
                for item in aggregator.take(lines):
                    if isinstance(item, Reject):
                        rejects.append(item)
                    else:
                        read.append(item)
                whole.take(read)
                for reject in rejects:
                    self._log.add(reject)
            parser.finish()

    def check(self, paths: Sequence[str | Lines]) -> None:
        """Raise BadData where nothing could be read of all `paths`, or less than half; after the reading."""
        check_readable(names_of(paths), self.read, self._log)

    def summary(self) -> list[str]:
        """What was not counted, one line each."""
        return repeats_text(self.repeated)


def reader_of(settings: Settings, log: RejectLog, today: date) -> Reader:
    """The reader that `settings` ask for; `today` dates the times that have no date."""
    return Reader(*parsing_of(settings, today), log)


def parsing_of(settings: Settings, today: date) -> tuple[ParseOptions, TimeParser]:
    """How `settings` ask for lines and times to be read; `today` dates the times that have no date."""
    options = ParseOptions(settings.format, settings.map, settings.by, settings.max_line)
    return options, TimeParser(ZoneInfo(settings.tz), settings.date or today)


def live_parser(settings: Settings, name: str, wall: float, kind: str | None = None) -> RecordParser:
    """Return a parser of the live source `name`, with dates of its own, begun at `wall` (epoch seconds).

    kind: csv, jsonl or auto, where the settings' format is not that of this source.
    """
    zone = ZoneInfo(settings.tz)
    now = datetime.fromtimestamp(wall, zone)
    times = TimeParser(zone, settings.date or now.date(), None if settings.date else int(wall))
    return RecordParser(
        name, ParseOptions(kind or settings.format, settings.map, settings.by, settings.max_line), times
    )

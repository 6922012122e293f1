"""Reads files into one stream of records, as the settings ask."""

from collections.abc import Iterable, Iterator
from datetime import date, datetime
from typing import Protocol
from zoneinfo import ZoneInfo

from txmon.ingest.aggregate.aggregator import Aggregator
from txmon.ingest.aggregate.ledger import Item
from txmon.ingest.files import FileSource
from txmon.ingest.records import ParseOptions, Record, RecordParser, Reject
from txmon.ingest.rejects import RejectLog
from txmon.ingest.timestamps import TimeParser
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


class Reader:
    """Reads files one after the other into one stream of records, bad ones into the log."""

    def __init__(self, options: ParseOptions, times: TimeParser, log: RejectLog) -> None:
        self._options = options
        self._times = times
        self._log = log
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
                            yield record
                parser.finish()

    def items(self, paths: Iterable[str | Lines], width: int) -> Iterator[Item]:
        """The same, with what can be added up in buckets of `width` seconds added up."""
        for path in paths:
            with opened(path) as self.source:
                parser = RecordParser(self.source.name, self._options, self._times)
                tallier = Aggregator(parser, width)
                for lines in self.source:
                    for item in tallier.take(lines):
                        if isinstance(item, Reject):
                            self._log.add(item)
                        else:
                            yield item
                parser.finish()


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

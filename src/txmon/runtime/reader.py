"""Reads files into one stream of records, as the settings ask."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import date, datetime
from typing import Final
from zoneinfo import ZoneInfo

from txmon.errors import UsageError
from txmon.ingest.aggregate.aggregator import Aggregator
from txmon.ingest.aggregate.ledger import Item
from txmon.ingest.formats.opened import OpenedSource
from txmon.ingest.reading import Hints, Reading
from txmon.ingest.records import ParseOptions, Record, RecordParser, Reject
from txmon.ingest.rejects import RejectLog
from txmon.ingest.timestamps import TimeParser
from txmon.settings.declarations import Settings

KEPT_OPEN: Final = 64  # files that stay open between the look at them and their reading


class Reader:
    """Reads files one after the other into one stream of records, bad ones into the log."""

    def __init__(self, hints: Hints, times: TimeParser, log: RejectLog) -> None:
        self._hints = hints
        self._times = times
        self._log = log
        self._ready: dict[str, OpenedSource] = {}  # opened for their readings, and not yet read
        self.source: OpenedSource | None = None  # the file being read, for a progress bar

    def readings(self, paths: Iterable[str]) -> list[Reading]:
        """How each of `paths` is read, decided from how it begins. Raises NoInput, BadData and IoFailure."""
        found: list[Reading] = []
        for path in paths:
            source = self._ready.get(path) or OpenedSource(path, self._hints)
            found.append(source.reading)
            if path == "-" or len(self._ready) < KEPT_OPEN:
                self._ready[path] = source
            else:
                source.close()
        return found

    def _open(self, path: str) -> OpenedSource:
        return self._ready.pop(path, None) or OpenedSource(path, self._hints)

    def records(self, paths: Iterable[str]) -> Iterator[Record]:
        """The records of all `paths` in order; times without a date go on from file to file."""
        for path in paths:
            with self._open(path) as self.source:
                parser = self.source.parser(self._times)
                for lines in self.source:
                    for record in parser.parse(lines):
                        if isinstance(record, Reject):
                            self._log.add(record)
                        else:
                            yield record
                parser.finish()

    def items(self, paths: Iterable[str], width: int) -> Iterator[Item]:
        """The same, with what can be added up in buckets of `width` seconds added up."""
        for path in paths:
            with self._open(path) as self.source:
                parser = self.source.parser(self._times)
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
    return Reader(hints_of(settings), times_of(settings, today), log)


def hints_of(settings: Settings) -> Hints:
    """What `settings` say about how a source is read, before it is looked at."""
    mapping = dict(settings.map)
    if settings.date_column is not None:
        mapping["date"] = settings.date_column
    order = "dmy" if settings.day_first else "mdy" if settings.month_first else ""
    if settings.day_first and settings.month_first:
        raise UsageError("--day-first and --month-first exclude each other")
    options = ParseOptions(_line_format(settings.format), mapping, settings.by, settings.max_line)
    return Hints(
        options, settings.tz, settings.date, order, settings.time_format, settings.encoding, settings.wide,
        settings.format,
    )  # fmt: skip


def _line_format(name: str) -> str:
    """What the parser takes of a setting's format: it reads logfmt and documents once they are JSON lines."""
    return "jsonl" if name in ("logfmt", "json") else name


def times_of(settings: Settings, today: date, now: int | None = None) -> TimeParser:
    """The parser of times that `settings` ask for; `today` dates the times that have no date."""
    order = "dmy" if settings.day_first else "mdy" if settings.month_first else ""
    return TimeParser(ZoneInfo(settings.tz), settings.date or today, now, order, settings.time_format)


def parsing_of(settings: Settings, today: date) -> tuple[ParseOptions, TimeParser]:
    """How `settings` ask for lines and times to be read; `today` dates the times that have no date."""
    return hints_of(settings).options, times_of(settings, today)


def step_of(readings: Iterable[Reading]) -> int | None:
    """The step of aggregated rows that all `readings` share, seconds; None where there is none, or several."""
    steps = {reading.step for reading in readings if reading.step is not None}
    return steps.pop() if len(steps) == 1 else None


def live_parser(settings: Settings, name: str, wall: float, kind: str | None = None) -> RecordParser:
    """Return a parser of the live source `name`, with dates of its own, begun at `wall` (epoch seconds).

    kind: csv, jsonl or auto, where the settings' format is not that of this source.
    """
    zone = ZoneInfo(settings.tz)
    now = datetime.fromtimestamp(wall, zone)
    times = times_of(settings, now.date(), None if settings.date else int(wall))
    return RecordParser(name, replace(hints_of(settings).options, format=kind or _line_format(settings.format)), times)

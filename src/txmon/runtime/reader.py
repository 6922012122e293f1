"""Reads files into one stream of records, as the settings ask."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Final
from zoneinfo import ZoneInfo

from txmon.errors import TxmonError, UsageError
from txmon.ingest.aggregate.aggregator import Aggregator
from txmon.ingest.aggregate.ledger import Item, Tally
from txmon.ingest.aggregate.whole import WholeInput
from txmon.ingest.asked import Asked, AskedSource
from txmon.ingest.formats.opened import OpenedSource
from txmon.ingest.reading import Hints, Reading
from txmon.ingest.records import ParseOptions, Record, RecordParser, Reject
from txmon.ingest.rejects import RejectLog
from txmon.ingest.timestamps import TimeParser
from txmon.runtime.readable import check_readable, refuse_repeats, repeats_text
from txmon.settings.declarations import Settings

KEPT_OPEN: Final = 64  # files that stay open between the look at them and their reading


def names_of(paths: Iterable[str | Asked]) -> str:
    """Return the names of all `paths`, for a message."""
    return ", ".join([path if isinstance(path, str) else path.name for path in paths])


class Reader:
    """Reads files one after the other into one stream of records, bad ones into the log."""

    def __init__(self, hints: Hints, times: TimeParser, log: RejectLog) -> None:
        self._hints = hints
        self._times = times
        self._log = log
        self._ready: dict[str, OpenedSource | AskedSource] = {}  # opened for their readings, and not yet read
        self.read = 0  # records
        self.repeated = 0  # those of them whose id, status and time another one has
        self.source: OpenedSource | AskedSource | None = None  # the file being read, for a progress bar

    def readings(self, paths: Iterable[str | Asked]) -> list[Reading]:
        """How each file of `paths` is read, decided from how it begins. Raises NoInput, BadData and IoFailure."""
        found: list[Reading] = []
        for path in paths:
            name = path if isinstance(path, str) else path.name
            source = self._ready.get(name) or self._opened(path)
            found.append(source.reading)
            if path == "-" or not isinstance(path, str) or len(self._ready) < KEPT_OPEN:
                self._ready[name] = source
            else:
                source.__exit__()
        return found

    def _open(self, path: str | Asked) -> OpenedSource | AskedSource:
        return self._ready.pop(path if isinstance(path, str) else path.name, None) or self._opened(path)

    def _opened(self, path: str | Asked) -> OpenedSource | AskedSource:
        return OpenedSource(path, self._hints) if isinstance(path, str) else AskedSource(path, self._hints)

    def records(self, paths: Iterable[str | Asked]) -> Iterator[Record]:
        """Yield the records of all `paths` in order; times without a date go on from file to file."""
        for path in paths:
            with self._open(path) as self.source:
                parser = self.source.parser(self._times)
                for lines in self.source:
                    for record in parser.parse(lines):
                        if isinstance(record, Reject):
                            self._log.add(record)
                        else:
                            self.read += 1
                            yield record
                parser.finish()

    def tallies(self, paths: Sequence[str | Asked], width: int) -> Iterator[Tally]:
        """Yield what all `paths` hold together, one tally for each bucket of `width` seconds, oldest first.

        The rows, and the files, may be in any order: all of them are read before the first tally comes. BadData where
        so many rows repeat the id of another one that the column is probably no id.
        """
        whole = WholeInput(width)
        failure: TxmonError | None = None
        try:
            try:
                for path in paths:
                    self._gather(path, width, whole, alone=len(paths) == 1)
            except TxmonError as bad:
                failure = bad  # what was read before it is judged all the same
            self.read = whole.rows
            marked = whole.marked
            whole.settle()
            self.repeated = whole.repeated
            if "id" not in self._hints.options.mapping:
                refuse_repeats(names_of(paths), whole.repeated, marked)
            yield from whole.tallies()
            if failure is not None:
                raise failure
        finally:
            whole.close()

    def _gather(self, path: str | Asked, width: int, whole: WholeInput, alone: bool) -> None:
        with self._open(path) as self.source:
            if isinstance(self.source, OpenedSource) and self._gather_columns(self.source, width, whole, alone):
                return
            parser = self.source.parser(self._times)
            aggregator = Aggregator(parser, width, whole=True)
            try:
                for lines in self.source:
                    self._take(whole, aggregator.take(lines))
            finally:
                self._take(whole, aggregator.rest())
            parser.finish()

    def _gather_columns(self, source: OpenedSource, width: int, whole: WholeInput, alone: bool) -> bool:
        """Take the rows of a file of columns, added up; False where they must be read one by one."""
        if source.file is None:
            return False
        from txmon.ingest import grouped  # here, because few inputs need it

        parser = source.parser(self._times)
        tallies = grouped.tallies_of(source.file, source.reading, parser, source.head(), width, alone)
        if tallies is None:
            return False
        for tally in tallies:
            whole.take([tally])
        return True

    def _take(self, whole: WholeInput, found: list[Item | Reject]) -> None:
        read: list[Item] = []
        rejects: list[Reject] = []
        for item in found:
            if isinstance(item, Reject):
                rejects.append(item)
            else:
                read.append(item)
        whole.take(read)
        for reject in rejects:
            self._log.add(reject)

    def check(self, paths: Sequence[str | Asked]) -> None:
        """Raise BadData where nothing could be read of all `paths`, or less than half; after the reading."""
        check_readable(names_of(paths), self.read, self._log)

    def summary(self) -> list[str]:
        """Return what was not counted, one line each."""
        return repeats_text(self.repeated)


def reader_of(settings: Settings, log: RejectLog, today: date, detailed: bool = False) -> Reader:
    """The reader that `settings` ask for; `today` dates the times that have no date. detailed: as `hints_of` has it."""
    return Reader(hints_of(settings, detailed), times_of(settings, today), log)


def hints_of(settings: Settings, detailed: bool = False) -> Hints:
    """Return what `settings` say about how a source is read, before it is looked at.

    detailed: for a pipeline that looks for drivers: keys have more dimensions than --group-by, and amounts are kept.
    """
    mapping = dict(settings.map)
    if settings.date_column is not None:
        mapping["date"] = settings.date_column
    order = "dmy" if settings.day_first else "mdy" if settings.month_first else ""
    if settings.day_first and settings.month_first:
        raise UsageError("--day-first and --month-first exclude each other. Give one of them.")
    drivers = settings.drivers if detailed else ()
    options = ParseOptions(
        _line_format(settings.format), mapping, settings.group_by + drivers, settings.max_line, money=detailed,
        drivers=len(drivers),
    )  # fmt: skip
    return Hints(
        options, settings.tz, settings.date, order, settings.time_format, settings.encoding, settings.wide,
        settings.format,
    )  # fmt: skip


def _line_format(name: str) -> str:
    """Return what the parser takes of a setting's format: it reads logfmt and documents once they are JSON lines."""
    return "jsonl" if name in ("logfmt", "json") else name


def times_of(settings: Settings, today: date | None, now: int | None = None) -> TimeParser:
    """The parser of times that `settings` ask for; `today` dates the times that have no date (None: no times)."""
    order = "dmy" if settings.day_first else "mdy" if settings.month_first else ""
    return TimeParser(ZoneInfo(settings.tz), settings.date or today, now, order, settings.time_format)


def parsing_of(settings: Settings, today: date) -> tuple[ParseOptions, TimeParser]:
    """Return how `settings` ask for lines and times to be read; `today` dates the times that have no date."""
    return hints_of(settings, detailed=True).options, times_of(settings, today)


def step_of(readings: Iterable[Reading]) -> int | None:
    """Return the step of aggregated rows that all `readings` share, seconds; None where there is none, or several."""
    steps = {reading.step for reading in readings if reading.step is not None}
    return steps.pop() if len(steps) == 1 else None


def live_parser(settings: Settings, name: str, wall: float, kind: str | None = None) -> RecordParser:
    """Return a parser of the live source `name`, with dates of its own, begun at `wall` (epoch seconds).

    kind: csv, jsonl or auto, where the settings' format is not that of this source.
    """
    zone = ZoneInfo(settings.tz)
    now = datetime.fromtimestamp(wall, zone)
    times = times_of(settings, now.date(), None if settings.date else int(wall))
    options = hints_of(settings, detailed=True).options
    return RecordParser(name, replace(options, format=kind or _line_format(settings.format)), times)

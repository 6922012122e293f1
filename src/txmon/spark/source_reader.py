"""The lines of one source on a worker, read as the module that decides it for files says of the first of them."""

from collections.abc import Callable, Sequence
from typing import Final

from txmon.errors import BadData
from txmon.ingest.calendar_texts import UNDECIDED
from txmon.ingest.decision import read_plan
from txmon.ingest.formats import drawn
from txmon.ingest.formats.live_lines import CONTAINERS, form_of, json_of
from txmon.ingest.formats.quotes import QuoteJoiner
from txmon.ingest.order_of_dates import decide_order, row_orders
from txmon.ingest.reading import Container, Reading
from txmon.ingest.records import Record, RecordParser, Reject
from txmon.runtime.reader import hints_of, times_of
from txmon.settings.declarations import Settings

SAMPLE: Final = 1000  # lines that decide
MANY: Final = 20  # lines from which on they can tell a count from one transaction


class SourceReader:
    """Makes records of one source's lines, in as many pieces as they come."""

    def __init__(self, source: str, lines: Sequence[bytes], settings: Settings) -> None:
        """lines: the first ones. What cannot be read makes every line a reject that says why."""
        self.source = source
        self.reading: Reading | None = None
        self.refused = ""  # why no line can be read
        self._convert: Callable[[list[bytes]], list[bytes]] | None = None
        self._joiner: QuoteJoiner | None = None
        # the date of a bare time of day is a file's own, and rows of a stream have no file: only --date helps
        times = times_of(settings, settings.date)
        hints = hints_of(settings)
        options = hints.options
        try:
            reading = self.reading = self._decide([line for line in lines if line is not None][:SAMPLE], settings)
            options = reading.options(options)
            times.decide(reading.order if reading.order in ("dmy", "mdy") else "", reading.time_form)
            if reading.container.format == "csv":
                self._joiner = QuoteJoiner(reading.delimiter, options.max_line)
        except BadData as bad:
            self.refused = str(bad)
        self._parser = RecordParser(source, options, times)

    def _decide(self, lines: list[bytes], settings: Settings) -> Reading:
        hints = hints_of(settings)
        container: Container | None = None
        form = form_of(lines, hints.format)
        table = None if form or hints.format != "auto" or lines[:1] == [] else drawn.converter(lines)
        if form:
            self._convert, container = json_of(form), CONTAINERS[form]
        elif table is not None and not lines[0].lstrip().startswith((b"{", b"[")):
            kind, convert = table
            self._convert, container = lambda some: list(map(convert, some)), Container("csv", kind)
        rows = lines if self._convert is None else self._convert(lines)
        reading = read_plan(self.source, rows, hints, container, live=len(rows) < MANY)
        return decide_order(reading, row_orders(reading, rows)) if reading.order == UNDECIDED else reading

    def take(self, lines: Sequence[bytes | None]) -> list[Record | Reject]:
        """Return what `lines` make, in order."""
        if self.refused:
            return [Reject(self.source, 0, "source", self.refused, raw or b"") for raw in lines]
        raws = [raw or b"" for raw in lines]
        if self._convert is not None:
            raws = self._convert(raws)
        if self._joiner is not None:
            raws = self._joiner.join(raws)
        return self._parsed(raws)

    def rest(self) -> list[Record | Reject]:
        """Return what a row of CSV makes that was begun and has not ended: there are no more lines."""
        return [] if self._joiner is None else self._parsed(self._joiner.flush())

    def _parsed(self, raws: list[bytes]) -> list[Record | Reject]:
        found: list[Record | Reject] = []
        for at, raw in enumerate(raws):
            try:
                one = self._parser.one(raw)
            except BadData as bad:
                self.refused = str(bad)
                return found + [Reject(self.source, self._parser.lines, "source", self.refused, r) for r in raws[at:]]
            if one is not None:
                found.append(one)
                if self._parser.more:
                    found += self._parser.rest()
        return found

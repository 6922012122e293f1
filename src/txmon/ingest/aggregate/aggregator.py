"""Turns lines into counts without a `Record` for each line, for commands that need only the counts.

Most lines of a stream resemble the line before: the same second, one of a few statuses, a known key. Their cells are
looked up in tables. Everything else (a new status, a quote, a bad line, another shape) goes to the `RecordParser`, the
only place that defines what a line means. A line of a live stream that has an id becomes a record, because each id
must be compared when its line is counted.
"""

from typing import Final

from txmon.ingest.aggregate.csv_lines import CsvAggregator
from txmon.ingest.aggregate.json_lines import JsonAggregator
from txmon.ingest.aggregate.ledger import Item, Ledger
from txmon.ingest.records import CsvLayout, RecordParser, Reject

TOGETHER: Final = 1 << 14  # lines processed together; their cells take about 200 bytes per line, and more in wide files


class Aggregator:
    """Reads the lines of one source through its parser, and adds them up by bucket, key and status."""

    def __init__(self, parser: RecordParser, width: int, whole: bool = False) -> None:
        """Create it. width: of a bucket, seconds.

        whole: the input is read before it is judged, so that lines with ids are added up too.
        """
        self._parser = parser
        self._ledger = Ledger(parser, width, whole)
        self._csv: CsvAggregator | None = None
        self._layout: CsvLayout | None = None  # the layout of `_csv`; another file may have another header
        self._json = JsonAggregator(self._ledger)

    def take(self, lines: list[bytes]) -> list[Item | Reject]:
        """Return the counts and rejects of `lines`, in order of arrival. Raise BadData as the parser does."""
        self._ledger.out = []
        at = 0
        while at < len(lines) and not self._parser.ready():
            self._ledger.one(lines[at])
            at += 1
        rest = lines[at:] if at else lines
        for start in range(0, len(rest), TOGETHER):
            self._take_some(rest if len(rest) <= TOGETHER else rest[start : start + TOGETHER])
        self._ledger.flush()
        return self._ledger.out

    def rest(self) -> list[Item | Reject]:
        """Return what was kept back of a whole input. Call it when the input has ended."""
        self._ledger.out = []
        self._ledger.gather()
        return self._ledger.out

    def _take_some(self, lines: list[bytes]) -> None:
        layout = self._parser.layout()
        if layout is not None:
            if self._csv is None or self._layout is not layout:
                self._ledger.name_dimensions(self._parser.names)
                self._csv, self._layout = CsvAggregator(self._ledger, layout), layout
            self._csv.add(lines)
        elif self._parser.is_json():
            self._json.add(lines)
        else:
            for raw in lines:
                self._ledger.one(raw)

"""What a live run reads: sources with their parsers, in the order of event time where several have a backlog."""

import heapq
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from txmon.errors import ConfigError
from txmon.ingest.aggregate.aggregator import Aggregator
from txmon.ingest.aggregate.ledger import Item
from txmon.ingest.calendar_texts import UNDECIDED
from txmon.ingest.follow import Chunk, FollowSource, LiveSource
from txmon.ingest.formats.quotes import QuoteJoiner
from txmon.ingest.reading import Hints, Reading, decide_order, read_plan
from txmon.ingest.records import Record, RecordParser
from txmon.ingest.rejects import RejectLog

MANY: Final = 1000  # first lines after which a reading is decided without a row


@dataclass(slots=True)
class Feed:
    """One source with its parser, and what was read of it but not yet taken."""

    source: LiveSource
    parser: RecordParser
    taken: dict[str, Any] | None = None  # where a restart goes on: after the newest batch taken
    more: bool = False  # the last reading gave something, so the next one may too
    waiting: list["Batch"] = field(default_factory=list)
    tallier: Aggregator | None = None
    reading: Reading | None = None
    seen: list[bytes] = field(default_factory=list)  # first lines, until there is a row to decide the reading from
    joiner: QuoteJoiner | None = None  # of CSV

    def resume(self, found: Mapping[str, Any], state: str | None) -> None:
        """Continue at the position found in the file `state`; ConfigError where that cannot be."""
        try:
            self.parser.restore(found["parser"])
            if self.parser.planned():
                self._begin_reading()
                if self.joiner is not None:
                    self.joiner.join([str(line).encode() for line in found.get("open", [])])
        except (KeyError, TypeError, ValueError, AttributeError) as bad:
            raise ConfigError(f"{state}: does not know its place in {self.parser.source} ({bad!r})") from bad
        self.taken = dict(found)

    def awaits(self) -> list[str]:
        """Return that the file does not exist yet, in words, while that is so; NoInput where it cannot be read."""
        text = self.source.awaits() if isinstance(self.source, FollowSource) else ""
        return [text] if text else []

    def read(self) -> Chunk | None:
        """Return what has come since the last call; None for nothing. IoFailure where reading fails."""
        chunk = self.source.read()
        self.more = chunk is not None
        if chunk is not None and chunk.begins:
            self.parser.begin()
        return chunk

    def place(self, offset: int) -> dict[str, Any] | None:
        """Return where a restart goes on after `offset` bytes and what was parsed of them; None for a pipe."""
        position = self.source.position(offset)
        if position is None:
            return None
        waiting = [] if self.joiner is None else [line.decode("utf-8", "replace") for line in self.joiner.held()]
        return {**position, "parser": self.parser.snapshot(), **({"open": waiting} if waiting else {})}

    def plan(self, lines: Sequence[bytes], hints: Hints) -> Reading | None:
        """Decide how the source is read, from its first lines; None where it is decided, or nothing has come yet.

        Raises BadData where the first lines allow two readings.
        """
        if self.parser.planned() and not self.seen:
            return None
        self.seen += lines
        if not any(line.strip() for line in self.seen):
            return None
        form = self.parser.options.format
        own = hints if form == "auto" else replace(hints, options=replace(hints.options, format=form))
        reading = read_plan(self.parser.source, self.seen, own, live=True)
        if reading.order == UNDECIDED:
            reading = decide_order(reading, ())
        self.parser.adopt(reading.options(hints.options), reading.order)
        self._begin_reading()
        if reading.rows or len(self.seen) >= MANY:
            self.seen = []
            self.reading = reading
            return reading
        return None

    def _begin_reading(self) -> None:
        options = self.parser.options
        if options.format == "csv" and self.joiner is None:
            self.joiner = QuoteJoiner(options.delimiter, options.max_line)

    def rows(self, lines: list[bytes]) -> list[bytes]:
        """Return the rows that `lines` make, where one of CSV may go over several."""
        return lines if self.joiner is None else self.joiner.join(lines)

    def take(self, after: dict[str, Any] | None) -> None:
        """Note that all records before the place `after` are in the pipeline; None for a source without places."""
        if after is not None:
            self.taken = after


@dataclass(order=True, slots=True)
class Batch:
    """Records of one source that are taken together."""

    time: int
    number: int
    records: Sequence[Item] = field(compare=False)
    after: dict[str, Any] | None = field(compare=False)  # where its source stands after them
    feed: Feed = field(compare=False)


class LiveFeeds:
    """Reads every source as it comes; where several have a backlog, in the order of event time."""

    def __init__(
        self,
        width: int,
        log: RejectLog,
        admit: Callable[[RecordParser], None],
        hints: Hints,
        say: Callable[[Reading], None],
    ) -> None:
        """width: of a bucket, seconds. admit: called before a parser reads, to set which times it accepts.

        hints: what the settings say about reading. say: takes the reading of each source once it is decided.
        """
        self._hints = hints
        self._say = say
        self.all: list[Feed] = []
        self._width = width
        self._log = log
        self._admit = admit
        self._number = 0

    def ended(self) -> bool:
        """Return whether no source will ever give anything again."""
        return all(feed.source.ended and not feed.waiting for feed in self.all)

    def read(self, ready: Collection[int]) -> tuple[bool, list[Batch]]:
        """Read the sources that can be read without waiting; return whether one had something, and what is due.

        ready: the descriptors that hold something; a source without a descriptor is always asked.
        """
        came = False
        for feed in self.all:
            if feed.waiting:
                came = True
            elif not feed.source.ended and (
                feed.source.fileno() is None or feed.source.fileno() in ready or feed.source.holds()
            ):
                chunk = feed.read()
                if chunk is not None:
                    came = True
                    self._queue(feed, chunk)
        return came, self._due()

    def restore(self, found: Mapping[str, Any], state: str) -> None:
        """Do nothing: a source continues from its position when it is opened."""

    def kept(self, kept: bool) -> None:
        """Do nothing: `saved` tells the sources, also where there is no state file."""

    def positions(self) -> dict[str, Any]:
        """Return where every source stands after what was taken of it, by name."""
        return {feed.source.name: feed.taken for feed in self.all if feed.taken is not None}

    def saved(self) -> None:
        """Tell the sources that what was taken of them needs no second reading."""
        for feed in self.all:
            if feed.taken is not None:
                feed.source.saved(feed.taken)

    def _queue(self, feed: Feed, chunk: Chunk) -> None:
        self._admit(feed.parser)
        reading = feed.plan(chunk.lines, self._hints)
        if reading is not None:
            self._say(reading)
        if len(self.all) == 1:
            self._add(feed, self._items(feed, feed.rows(chunk.lines)), chunk.end())
            return
        # by the bucket, so that one file's backlog does not make the other's records late
        width, group, offset = self._width, list[Record](), chunk.start
        for line in chunk.lines:
            before = feed.place(offset)
            for record in self._log.sift(feed.parser.parse(feed.rows([line]))):
                if group and record.time // width != group[-1].time // width:
                    self._wait(feed, group, before)
                    group = []
                group.append(record)
            offset += len(line) + 1
        self._add(feed, group, chunk.end())

    def _add(self, feed: Feed, records: Sequence[Item], offset: int) -> None:
        self._wait(feed, records, feed.place(offset))

    def _wait(self, feed: Feed, records: Sequence[Item], after: dict[str, Any] | None) -> None:
        time = records[0].time if records else feed.waiting[-1].time if feed.waiting else 0
        self._number += 1
        feed.waiting.append(Batch(time, self._number, records, after, feed))

    def _items(self, feed: Feed, lines: list[bytes]) -> list[Item]:
        if feed.tallier is None:
            feed.tallier = Aggregator(feed.parser, self._width)
        return self._log.sift(feed.tallier.take(lines))

    def _due(self) -> list[Batch]:
        """Return the batches that no source with more to read can still precede, in order of event time."""
        ends = [feed.waiting[-1].time for feed in self.all if feed.more and feed.waiting]
        limit = min(ends, default=None)
        queue = []
        for feed in self.all:
            due = len(feed.waiting)
            if limit is not None and len(self.all) > 1:
                # in their own order, whatever their times: a position covers all that lies before it
                due = next((i for i, batch in enumerate(feed.waiting) if batch.time > limit), due)
            queue += feed.waiting[:due]
            del feed.waiting[:due]
        heapq.heapify(queue)
        return [heapq.heappop(queue) for _ in range(len(queue))]

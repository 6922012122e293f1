"""A live run: sources in, outcomes out, with the clock only at this edge.

Event time goes on by itself between two rows: the newest row's time plus the monotonic seconds since. So a pause in the
stream closes minutes and shows silence, whatever the wall clock does meanwhile, while rows that come decide alone.
"""

import heapq
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from txmon.errors import ConfigError
from txmon.ingest.aggregate.aggregator import Aggregator
from txmon.ingest.aggregate.ledger import Item
from txmon.ingest.follow import Chunk, LiveSource
from txmon.ingest.records import Record, RecordParser
from txmon.ingest.rejects import RejectLog
from txmon.model.outcome import Outcome
from txmon.pipeline.pipeline import Pipeline


class EventClock:
    """What time it is in the stream; a stream that always comes late has a clock that is as late."""

    def __init__(self) -> None:
        self.ahead: float | None = None  # event time less the moment that a row came, at its largest; seconds

    def note(self, time: int, wall: float, moment: float) -> None:
        """A row of this time came when the wall clock stood at `wall` (both epoch seconds).

        moment: the same on the clock that `now` is asked with, seconds. A row from the future says no more than that it
        is now: else one whose clock is wrong would make all others late for good.
        """
        ahead = min(time, wall) - moment
        if self.ahead is None or ahead > self.ahead:
            self.ahead = ahead

    def now(self, moment: float) -> int | None:
        """Event time, epoch seconds; None before the first row."""
        return None if self.ahead is None else int(moment + self.ahead)


def place(source: LiveSource, parser: RecordParser, offset: int) -> dict[str, Any] | None:
    """Where a restart goes on after `offset` bytes of a source and what `parser` read of them; None for a pipe."""
    position = source.position(offset)
    return None if position is None else {**position, "parser": parser.snapshot()}


def go_on(parser: RecordParser, found: Mapping[str, Any], state: str | None) -> None:
    """Let `parser` go on at the `place` found in the file `state`; ConfigError where that cannot be."""
    try:
        parser.restore(found["parser"])
    except (KeyError, TypeError, ValueError, AttributeError) as bad:
        raise ConfigError(f"{state}: does not know its place in {parser.source} ({bad!r})") from bad


@dataclass(slots=True)
class Feed:
    """One source with its parser, and what was read of it but not yet taken."""

    source: LiveSource
    parser: RecordParser
    taken: dict[str, Any] | None = None  # where a restart goes on: after the newest batch taken
    more: bool = False  # the last reading gave something, so the next one may too
    waiting: list["Batch"] = field(default_factory=list)
    tallier: Aggregator | None = None


@dataclass(order=True, slots=True)
class Batch:
    """Records of one source that are taken together."""

    time: int
    number: int
    records: Sequence[Item] = field(compare=False)
    after: dict[str, Any] | None = field(compare=False)  # where its source stands after them
    feed: Feed = field(compare=False)


class LiveRun:
    """Reads every source as it comes; where several have a backlog, in the order of event time."""

    def __init__(
        self,
        pipeline: Pipeline,
        feeds: Sequence[Feed],
        log: RejectLog,
        max_ahead: int,
        wall: Callable[[], float],
        monotonic: Callable[[], float],
    ) -> None:
        """max_ahead: seconds. wall: epoch seconds. monotonic: seconds."""
        self.pipeline = pipeline
        self.feeds = list(feeds)
        self._log = log
        self._max_ahead = max_ahead
        self._wall = wall
        self._monotonic = monotonic
        self._clock = EventClock()
        self._number = 0

    def ended(self) -> bool:
        """Whether no source will ever give anything again."""
        return all(feed.source.ended and not feed.waiting for feed in self.feeds)

    def poll(self, ready: Collection[int]) -> tuple[bool, list[Outcome]]:
        """Take what has come to the sources that can be read without waiting; whether something had, and its outcomes.

        ready: the descriptors that hold something; a source without a descriptor is always asked.
        """
        came = False
        for feed in self.feeds:
            if feed.waiting:
                came = True
            elif not feed.source.ended and (
                feed.source.fileno() is None or feed.source.fileno() in ready or feed.source.holds()
            ):
                chunk = feed.source.read()
                feed.more = chunk is not None
                if chunk is not None:
                    came = True
                    self._queue(feed, chunk)
        outcomes: list[Outcome] = []
        for batch in self._due():
            outcomes += self._take(batch)
        if came:
            outcomes += self.pipeline.peek()
        return came, outcomes

    def tick(self) -> list[Outcome]:
        """Close what the clock says is over."""
        now = self._clock.now(self._monotonic())
        return [] if now is None else list(self.pipeline.advance(now - self.pipeline.bucketer.lateness))

    def positions(self) -> dict[str, Any]:
        """Where every source stands after what was taken of it, by name."""
        return {feed.source.name: feed.taken for feed in self.feeds if feed.taken is not None}

    def _queue(self, feed: Feed, chunk: Chunk) -> None:
        if chunk.begins:
            feed.parser.begin()
        feed.parser.admit(int(self._wall()), self._max_ahead)
        if len(self.feeds) == 1:
            self._add(feed, self._items(feed, chunk.lines), chunk.end())
            return
        # by the minute, so that one file's backlog does not make the other's rows late
        width, group, offset = self.pipeline.bucketer.width, list[Record](), chunk.start
        for line in chunk.lines:
            before = place(feed.source, feed.parser, offset)
            for record in self._log.sift(feed.parser.parse([line])):
                if group and record.time // width != group[-1].time // width:
                    self._wait(feed, group, before)
                    group = []
                group.append(record)
            offset += len(line) + 1
        self._add(feed, group, chunk.end())

    def _add(self, feed: Feed, records: Sequence[Item], offset: int) -> None:
        self._wait(feed, records, place(feed.source, feed.parser, offset))

    def _wait(self, feed: Feed, records: Sequence[Item], after: dict[str, Any] | None) -> None:
        time = records[0].time if records else feed.waiting[-1].time if feed.waiting else 0
        self._number += 1
        feed.waiting.append(Batch(time, self._number, records, after, feed))

    def _items(self, feed: Feed, lines: list[bytes]) -> list[Item]:
        if feed.tallier is None:
            feed.tallier = Aggregator(feed.parser, self.pipeline.bucketer.width)
        return self._log.sift(feed.tallier.take(lines))

    def _due(self) -> list[Batch]:
        """The batches that no source with more to read can still come before, in order of event time."""
        ends = [feed.waiting[-1].time for feed in self.feeds if feed.more and feed.waiting]
        limit = min(ends, default=None)
        queue = []
        for feed in self.feeds:
            due = len(feed.waiting)
            if limit is not None and len(self.feeds) > 1:
                # in their own order, whatever their times: a position covers all that lies before it
                due = next((i for i, batch in enumerate(feed.waiting) if batch.time > limit), due)
            queue += feed.waiting[:due]
            del feed.waiting[:due]
        heapq.heapify(queue)
        return [heapq.heappop(queue) for _ in range(len(queue))]

    def _take(self, batch: Batch) -> list[Outcome]:
        outcomes = list(self.pipeline.feed(batch.records))
        if batch.records:
            self._clock.note(max([record.time for record in batch.records]), self._wall(), self._monotonic())
        if batch.after is not None:
            batch.feed.taken = batch.after
        return outcomes

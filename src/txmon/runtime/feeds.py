"""What a live run reads: sources with their parsers, in the order of event time where several have a backlog."""

import heapq
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeVar

from txmon.errors import BadData, ConfigError
from txmon.ingest.aggregate.aggregator import Aggregator
from txmon.ingest.aggregate.ledger import Item
from txmon.ingest.follow import Chunk, FollowSource, LiveSource
from txmon.ingest.records import ParseOptions, Record, RecordParser
from txmon.ingest.rejects import RejectLog

T = TypeVar("T", Record, Item)
PARENTS: Final = 64  # parsers kept of files that are no longer open: a file may follow on one


@dataclass(slots=True)
class Feed:
    """One source with its parser, and what was read of it but not yet taken."""

    source: LiveSource
    parser: RecordParser
    taken: dict[str, Any] | None = None  # where a restart goes on: after the newest batch taken
    more: bool = False  # the last reading gave something, so the next one may too
    waiting: list["Batch"] = field(default_factory=list)
    tallier: Aggregator | None = None
    parsers: dict[int, RecordParser] = field(default_factory=dict)  # by the number of the file that they read
    options: ParseOptions = field(init=False)  # of the settings; a file that was begun may be read by others

    def __post_init__(self) -> None:
        self.options = self.parser.options

    def resume(self, found: Mapping[str, Any], state: str | None) -> list[str]:
        """Continue at the position found in the file `state`; ConfigError where that cannot be.

        Return a line where a file that was begun has another header than the settings ask for.
        """
        notes: list[str] = []
        try:
            self.parser = self._restored(found["parser"], notes)
            for place in found.get("files", ()):
                if "parser" in place:
                    self.parsers[int(place["number"])] = self._restored(place["parser"], notes)
            if "files" not in found:  # of txmon 0.1, which knew of one file
                self.parsers = {0: self.parser, 1: self.parser}
        except (KeyError, TypeError, ValueError, AttributeError) as bad:
            raise ConfigError(f"{state}: does not know its place in {self.parser.source} ({bad!r})") from bad
        self.taken = dict(found)
        return list(dict.fromkeys(notes))

    def _restored(self, found: Mapping[str, Any], notes: list[str]) -> RecordParser:
        """Return a parser that goes on in the middle of a file: the header found is that file's.

        A mapping that does not fit this header is for the files to come. The rest of this one is read as before.
        """
        options = self.options
        for mapping in (options.mapping, found.get("map") or {}, {}):
            parser = self.parser.successor(replace(options, mapping=mapping))
            try:
                parser.restore(found)
            except BadData as bad:
                notes.append(f"{bad}; the rest of the file with that header is read as before")
                continue
            return parser
        parser = self.parser.successor(options)  # nothing of the header is of use: the next file brings its own
        parser.restore({**found, "header": None})
        return parser

    def awaits(self) -> list[str]:
        """Return that the file does not exist yet, in words, while that is so; NoInput where it cannot be read."""
        text = self.source.awaits() if isinstance(self.source, FollowSource) else ""
        return [text] if text else []

    def read(self) -> Chunk | None:
        """Return what has come since the last call; None for nothing. IoFailure where reading fails."""
        chunk = self.source.read()
        self.more = chunk is not None
        if chunk is not None:
            self._choose(chunk)
        return chunk

    def _choose(self, chunk: Chunk) -> None:
        """Let the parser of the chunk's file be the one that reads."""
        parser = self.parsers.get(chunk.file)
        if parser is None:
            parent = self.parsers.get(-1 if chunk.parent is None else chunk.parent)
            if parent is None and not self.parsers:
                parser = self.parser
            elif chunk.same and parent is not None:
                parser = self._restored(self._snapshot(parent), [])
                if chunk.begins:
                    parser.begin()
            else:
                parser = (parent or self.parser).successor(self.options)
            self.parsers[chunk.file] = parser
        elif chunk.begins:
            parser.begin()
        if parser is not self.parser:
            self.parser, self.tallier = parser, None

    def place(self, offset: int) -> dict[str, Any] | None:
        """Return where a restart goes on after `offset` bytes and what was parsed of them; None for a pipe."""
        position = self.source.position(offset)
        if position is None:
            return None
        found: dict[str, Any] = {**position, "parser": self._snapshot(self.parser)}
        files = found.get("files", ())
        for place in files:
            if place["number"] in self.parsers:
                place["parser"] = self._snapshot(self.parsers[place["number"]])
        if len(self.parsers) > len(files) + PARENTS:
            kept = sorted(self.parsers)[-(len(files) + PARENTS) // 2 :]
            self.parsers = {n: p for n, p in self.parsers.items() if n in kept or p is self.parser}
        return found

    def _snapshot(self, parser: RecordParser) -> dict[str, object]:
        return {**parser.snapshot(), "map": dict(parser.options.mapping)}

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

    def __init__(self, width: int, log: RejectLog, admit: Callable[[RecordParser], None]) -> None:
        """width: of a bucket, seconds. admit: called before a parser reads, to set which times it accepts."""
        self.all: list[Feed] = []
        self.open_ended = False  # further sources may come
        self.since = 0  # epoch seconds: records of buckets before it are left out
        self.left_out = 0  # transactions
        self._width = width
        self._log = log
        self._admit = admit
        self._number = 0

    def ended(self) -> bool:
        """Return whether no source will ever give anything again."""
        return not self.open_ended and all(feed.source.ended and not feed.waiting for feed in self.all)

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
        if len(self.all) == 1:
            self._add(feed, self._items(feed, chunk.lines), chunk.end())
            return
        # by the bucket, so that one file's backlog does not make the other's records late
        width, group, offset = self._width, list[Record](), chunk.start
        for line in chunk.lines:
            before = feed.place(offset)
            for record in self._timely(self._log.sift(feed.parser.parse([line]))):
                if group and record.time // width != group[-1].time // width:
                    self._wait(feed, group, before)
                    group = []
                group.append(record)
            offset += len(line) + 1
        self._add(feed, group, chunk.end())

    def _add(self, feed: Feed, records: Sequence[Item], offset: int) -> None:
        self._wait(feed, records, feed.place(offset))

    def _wait(self, feed: Feed, records: Sequence[Item], after: dict[str, Any] | None) -> None:
        time = records[0].time if records else 0
        if feed.waiting:  # they are taken in their own order, since a position covers all that lies before it
            time = max(time, feed.waiting[-1].time)
        self._number += 1
        feed.waiting.append(Batch(time, self._number, records, after, feed))

    def _items(self, feed: Feed, lines: list[bytes]) -> list[Item]:
        if feed.tallier is None:
            feed.tallier = Aggregator(feed.parser, self._width)
        return self._timely(self._log.sift(feed.tallier.take(lines)))

    def _timely(self, items: list[T]) -> list[T]:
        """Leave out what lies before the time from which the run judges."""
        if not self.since:
            return items
        found = [item for item in items if item.time // self._width * self._width >= self.since]
        self.left_out += len(items) - len(found)
        return found

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

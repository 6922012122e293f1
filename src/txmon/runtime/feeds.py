"""What a live run reads: sources with their parsers, in the order of event time where several have a backlog."""

import heapq
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeVar

from txmon.errors import BadData, ConfigError
from txmon.ingest.aggregate.aggregator import Aggregator
from txmon.ingest.aggregate.ledger import Item
from txmon.ingest.asked import PartlyObserved
from txmon.ingest.calendar_texts import UNDECIDED
from txmon.ingest.decision import read_plan
from txmon.ingest.fields import NEEDED, choose
from txmon.ingest.follow import Chunk, FollowSource, LiveSource
from txmon.ingest.formats.live_lines import CONTAINERS, form_of, json_of
from txmon.ingest.formats.quotes import QuoteJoiner
from txmon.ingest.order_of_dates import decide_order
from txmon.ingest.reading import Hints, Reading
from txmon.ingest.records import DELIMITERS, ParseOptions, Record, RecordParser
from txmon.ingest.rejects import RejectLog

T = TypeVar("T", Record, Item)
PARENTS: Final = 64  # files that are no longer open whose reading is kept: a file may follow on one
MANY: Final = 1000  # first lines after which a reading is decided without a row


@dataclass(slots=True)
class Part:
    """What reads one file of a source: during a rotation there are two, whose headers may differ."""

    parser: RecordParser
    tallier: Aggregator | None = None
    joiner: QuoteJoiner | None = None  # of CSV
    seen: list[bytes] = field(default_factory=list)  # first lines, until there is a row to decide the reading from
    form: str = ""  # of lines that are made JSON lines first, as `live_lines` names it

    def join(self) -> None:
        """Begin to join the lines of rows of CSV."""
        options = self.parser.options
        if options.format == "csv" and self.joiner is None:
            self.joiner = QuoteJoiner(options.delimiter, options.max_line)

    def place(self) -> dict[str, Any]:
        """Return what `Feed` needs to go on in the middle of the file."""
        waiting = [] if self.joiner is None else [line.decode("utf-8", "replace") for line in self.joiner.held()]
        known = {**self.parser.snapshot(), "map": dict(self.parser.options.mapping)}
        return {
            "parser": known,
            **({"open": waiting} if waiting else {}),
            **({"form": self.form} if self.form else {}),
        }


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
    form: str = ""  # of lines that are made JSON lines first, as `live_lines` names it
    parts: dict[int, "Part"] = field(default_factory=dict)  # by the number of the file that they read
    options: ParseOptions = field(init=False)  # of the settings; a file that was begun may be read by others
    _file: int = -1  # number of the file that is being read

    def __post_init__(self) -> None:
        self.options = self.parser.options

    def resume(self, found: Mapping[str, Any], state: str | None) -> list[str]:
        """Continue at the position found in the file `state`. Raise ConfigError if that fails.

        Return a line where a file that was begun has another header than the settings ask for.
        """
        notes: list[str] = []
        try:
            own = self._restored(found, notes)
            for place in found.get("files", ()):
                if "parser" in place:
                    self.parts[int(place["number"])] = self._restored(place, notes)
            if "files" not in found:  # of txmon 0.1, which knew of one file
                self.parts = {0: own, 1: own}
            self._use(-1, own)
        except (KeyError, TypeError, ValueError, AttributeError) as bad:
            raise ConfigError(f"{state}: does not know its place in {self.parser.source} ({bad!r})") from bad
        self.taken = dict(found)
        return list(dict.fromkeys(notes))

    def _restored(self, found: Mapping[str, Any], notes: list[str]) -> "Part":
        """Return what goes on in the middle of a file: the header found is that file's.

        A mapping that does not fit this header is for the files to come. The rest of this one is read as before.
        """
        known, options = found["parser"], self.options
        for mapping in (options.mapping, known.get("map") or {}, {}):
            part = Part(self.parser.successor(replace(options, mapping=mapping)))
            try:
                part.parser.restore(known)
            except BadData as bad:
                notes.append(f"{bad}; the rest of the file with that header is read as before")
                continue
            break
        else:
            part = Part(self.parser.successor(options))  # the header is not kept, because the next file has its own
            part.parser.restore({**known, "header": None})
        header = known["header"]
        if not part.parser.planned() and (known["json"] or header is not None) and part.parser.lines:
            # read by the header alone, as txmon 0.1 did: the lines that follow cannot decide the reading
            form = "jsonl" if known["json"] else "csv"
            delimiter = "" if header is None else max(DELIMITERS, key=str(header).count)
            part.parser.adopt(replace(part.parser.options, format=form, delimiter=delimiter), "")
        part.form = str(found.get("form", ""))
        if part.parser.planned():
            part.join()
            if part.joiner is not None:
                part.joiner.join([str(line).encode() for line in found.get("open", [])])
        return part

    def awaits(self) -> list[str]:
        """Return a message while the file does not exist yet, or "". Raise NoInput if it cannot be read."""
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
        """Let what belongs to the chunk's file read it."""
        if chunk.file == self._file:
            if chunk.begins:
                self.parser.begin()
            return
        part = self.parts.get(chunk.file)
        if part is None:
            part = self._new_part(chunk)
        elif chunk.begins and not self._names_columns(chunk.lines[0], part.parser):
            part.parser.begin()
        elif chunk.begins:
            part = Part(self.parser.successor(self.options))
        self._use(chunk.file, part)

    def _new_part(self, chunk: Chunk) -> "Part":
        """Return what reads a file that was not read before."""
        parent = self.parts.get(-1 if chunk.parent is None else chunk.parent)
        if parent is None and not self.parts:
            return Part(self.parser)
        before = parent or Part(self.parser)
        if not chunk.same and self._names_columns(chunk.lines[0], before.parser):
            return Part(self.parser.successor(self.options))  # it is read as a source of its own
        part = self._restored(before.place(), [])
        if chunk.begins:
            if not chunk.same:
                part.parser.lines = part.parser.options.skip
            part.parser.begin()
        return part

    def _names_columns(self, line: bytes, before: RecordParser) -> bool:
        """Whether the first line of a new file says how it is read, and not as `before` reads."""
        text = line.decode("utf-8", "replace").removeprefix("\ufeff").strip()
        if text.startswith("{"):
            return not before.is_json()
        if before.has_header(line) and not before.is_json():
            return False
        delimiter = max(DELIMITERS, key=text.count)
        found = choose([cell.strip().strip('"') for cell in text.split(delimiter)], self.options.mapping)
        return all(name in found for name in NEEDED)

    def _use(self, number: int, part: "Part") -> None:
        """Go on with `part`, and keep what has read before."""
        if self._file in self.parts:
            self.parts[self._file] = Part(self.parser, self.tallier, self.joiner, self.seen, self.form)
        self._file = number
        if number >= 0:
            self.parts[number] = part
        self.parser, self.tallier, self.joiner, self.seen = part.parser, part.tallier, part.joiner, part.seen
        self.form = part.form

    def place(self, offset: int) -> dict[str, Any] | None:
        """Return where a restart goes on after `offset` bytes and what was parsed of them; None for a pipe."""
        position = self.source.position(offset)
        if position is None:
            return None
        own = Part(self.parser, self.tallier, self.joiner, self.seen, self.form)
        found: dict[str, Any] = {**position, **own.place()}
        files = found.get("files", ())
        for place in files:
            number = place["number"]
            if number == self._file or number in self.parts:
                place.update((own if number == self._file else self.parts[number]).place())
        if len(self.parts) > len(files) + PARENTS:
            kept = {*sorted(self.parts)[-(len(files) + PARENTS) // 2 :], self._file, *(p["number"] for p in files)}
            self.parts = {number: part for number, part in self.parts.items() if number in kept}
        return found

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
        container = getattr(self.source, "container", None)  # of rows that were asked for
        self.form = "" if container is not None else form_of(self.seen, hints.format)
        if self.form:
            container = CONTAINERS[self.form]
        reading = read_plan(self.parser.source, self._as_rows(self.seen), own, container, live=True)
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
        part = Part(self.parser, self.tallier, self.joiner, self.seen, self.form)
        part.join()
        self.joiner = part.joiner

    def rows(self, lines: list[bytes]) -> list[bytes]:
        """Return the rows that `lines` make, where one of CSV may go over several."""
        return self._as_rows(lines) if self.joiner is None else self.joiner.join(lines)

    def _as_rows(self, lines: list[bytes]) -> list[bytes]:
        return json_of(self.form)(lines) if self.form else lines

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

    def unobserved(self) -> list[tuple[int, int]]:
        """Return, once, the times (epoch seconds) that the sources know nobody observed: a server was away."""
        sources = [feed.source for feed in self.all if isinstance(feed.source, PartlyObserved)]
        return [times for source in sources for times in source.unobserved()]

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
            for record in self._timely(self._log.sift(feed.parser.parse(feed.rows([line])))):
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

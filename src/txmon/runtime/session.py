"""One live run, for `watch` and `serve` alike: records in, outcomes out, with clocks and files only at this edge.

The session owns what a live run has and a replay has not: the event clock, the time that nobody could observe, which
times are accepted from the sources, what fails at the moment, acknowledgements, and the state file. It has no threads
and no locks. `watch` turns it from one loop, and the server's engine holds its locks around it.
"""

import marshal
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final, Protocol

from txmon.errors import IoFailure
from txmon.ingest.aggregate.ledger import Item, Tally
from txmon.ingest.follow import FollowSource, LiveSource
from txmon.ingest.reading import Reading
from txmon.ingest.records import RecordParser
from txmon.ingest.rejects import RejectLog
from txmon.model.outcome import Outcome
from txmon.pipeline.pipeline import Pipeline
from txmon.runtime import state_file as state
from txmon.runtime.acknowledgements import Word, take_words
from txmon.runtime.actions import do
from txmon.runtime.event_clock import EventClock
from txmon.runtime.factory import depended_on, restore
from txmon.runtime.feeds import Feed, LiveFeeds
from txmon.runtime.reader import hints_of, live_parser
from txmon.settings.declarations import Settings
from txmon.support.durations import duration_text

LIVE: Final = 900  # seconds of age up to which the newest record shows that the stream is live, and not a past replayed
AWAY: Final = 2.0  # seconds that a turn of a loop takes only when something held the process up
CATCH_UP: Final = 5.0  # seconds that whoever feeds it then gets
SERVE: Final = "serve"  # in a state: what the server keeps; it has its positions in there


class Remembering(Protocol):
    """A part of a run that has something in the state file besides the pipeline."""

    def positions(self) -> Mapping[str, Any]:
        """Return what the state is to keep, by name."""

    def restore(self, found: Mapping[str, Any], state: str) -> None:
        """Take over its own of all that the file `state` keeps; ConfigError where that cannot be."""

    def kept(self, kept: bool) -> None:
        """Hear whether the state file now holds the newest `positions`."""


class Troubles:
    """Failures that last, by what they concern: the output, the state, the followed file. For several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._texts: dict[str, str] = {}

    def __contains__(self, kind: str) -> bool:
        with self._lock:
            return kind in self._texts

    def add(self, kind: str, text: str) -> bool:
        """Note that `kind` fails, and how; return whether it worked before."""
        with self._lock:
            new = kind not in self._texts
            self._texts[kind] = text
            return new

    def clear(self, kind: str) -> None:
        """Note that `kind` works."""
        with self._lock:
            self._texts.pop(kind, None)

    @property
    def text(self) -> str:
        """All of them on one line; empty where everything works."""
        with self._lock:
            return "; ".join(self._texts.values())


class LiveSession:
    """A pipeline with everything that lets it run live, stop, and continue."""

    def __init__(
        self,
        settings: Settings,
        pipeline: Pipeline,
        log: RejectLog,
        wall: Callable[[], float],
        moment: Callable[[], float],
        live_only: bool = False,
        warn: Callable[[str], None] | None = None,
    ) -> None:
        """wall: epoch seconds. moment: seconds; event time goes on by it between two records.

        live_only: the clock closes buckets only while the newest record came about when it happened, so that a past
        that is posted is not hurried. warn: takes a line when the state cannot be written any more.
        """
        self.settings = settings
        self.pipeline = pipeline
        self.log = log
        self.troubles = Troubles()
        self.clock = EventClock()
        self.feeds = LiveFeeds(pipeline.bucketer.width, log, self._admit, hints_of(settings), self._read_so)
        self.readings: list[Reading] = []  # of the sources, once each is decided
        self.saver = state.Saver(time.monotonic())
        self.changed = False  # since the state was last copied
        self.read = 0  # records fed
        self.newest = 0  # event time of the newest record
        self.live = False  # whether that record came about when it happened
        self.saved = 0.0  # when the state was last written, epoch seconds; 0 for not yet
        self.save_failures = 0
        self._wall = wall
        self._moment = moment
        self._live_only = live_only
        self._warn = warn
        self._parts: list[Remembering] = []
        self._found: Mapping[str, Any] = {}
        self._hold = 0.0  # the moment before which the clock closes nothing
        self._looked = moment()

    # the state that the run begins with

    def restore(self) -> None:
        """Take over the state file, if the settings name one and it exists; ConfigError where that cannot be."""
        if self.settings.state is not None:
            self._found = restore(self.pipeline, self.settings, self.settings.state)
            self.obey()  # what was said while nothing ran counts before the first record

    def remember(self, part: Remembering) -> None:
        """Keep `part` in the state from now on, and give it what `restore` found; ConfigError where that cannot be."""
        if self.settings.state is not None:
            part.restore(self._found, self.settings.state)
        self._parts.append(part)

    def position(self, name: str) -> Any:
        """Return where reading the source `name` continues, as the state has it; None where it does not know it.

        A file that `serve` has followed can be continued by `watch`, and the other way round.
        """
        own = self._found.get(SERVE)
        served = own.get("positions") if isinstance(own, dict) else None
        if not isinstance(served, dict):
            return self._found.get(name)
        return served.get(name, None if name == SERVE else self._found.get(name))

    # sources

    def follow(self, path: str, parser: RecordParser | None = None) -> Feed:
        """Read the file `path` as it grows, from where the state says; ConfigError where that cannot be."""
        found = self.position(path)
        feed = self.read_from(FollowSource(path, found), parser)
        if found is not None:
            feed.resume(found, self.settings.state)
        return feed

    def read_from(self, source: LiveSource, parser: RecordParser | None = None, kind: str | None = None) -> Feed:
        """Read `source` from where it stands. parser: not the settings' own. kind: of its lines, else as set."""
        feed = Feed(source, parser or live_parser(self.settings, source.name, self._wall(), kind))
        self.feeds.all.append(feed)
        return feed

    def now(self) -> float:
        """Epoch seconds by the wall clock."""
        return self._wall()

    def latest(self) -> int:
        """Return the latest time that a record may have, epoch seconds.

        One from the far future would make all others late.
        """
        return int(self._wall()) + self.settings.max_ahead

    def _read_so(self, reading: Reading) -> None:
        """Note and say how a source is read."""
        self.readings.append(reading)
        if self._warn is None or self.settings.no_reading:
            return
        step, bucket = reading.step, self.settings.bucket
        hint = f"; --bucket {duration_text(step)} fits them" if step is not None and step > bucket else ""
        self._warn(reading.statement() + hint)

    def _admit(self, parser: RecordParser) -> None:
        parser.admit(int(self._wall()), self.settings.max_ahead)

    # records in, outcomes out

    def poll(self, ready: Collection[int]) -> tuple[bool, list[Outcome]]:
        """Take what has come to the sources that can be read without waiting; whether something had, and its outcomes.

        ready: the descriptors that hold something; a source without a descriptor is always asked.
        """
        came, batches = self.feeds.read(ready)
        outcomes: list[Outcome] = []
        for batch in batches:
            outcomes += self.feed(batch.records)
            batch.feed.take(batch.after)
        if came:
            outcomes += self.peek()
        return came, outcomes

    def feed(self, records: Sequence[Item]) -> Iterator[Outcome]:
        """Feed `records`, which came just now; yield an outcome for each bucket that they close."""
        self.changed = True
        if records:
            self.read += sum([record.rows if isinstance(record, Tally) else 1 for record in records])
            self._note(max([record.time for record in records]))
        yield from self.pipeline.feed(records)

    def peek(self) -> list[Outcome]:
        """Return the alerts of buckets that are still open; each once."""
        outcomes = self.pipeline.peek()
        self.changed = self.changed or bool(outcomes)
        return outcomes

    def _note(self, newest: int) -> None:
        wall = self._wall()
        self.clock.note(newest, wall, self._moment())
        if newest >= self.newest:
            self.newest = newest
            self.live = wall - newest <= self.pipeline.bucketer.lateness + max(LIVE, 2 * self.settings.bucket)

    def tick(self) -> Iterator[Outcome]:
        """Close what the clock says is over, but not while the silence may not be the stream's."""
        moment = self._moment()
        there = self.clock.now(moment)
        if there is None or moment < self._hold or (self._live_only and not self.live):
            return
        for outcome in self.pipeline.advance(there - self.pipeline.bucketer.lateness):
            self.changed = True
            yield outcome

    # time that nobody observed

    def hold(self, seconds: float) -> None:
        """Let the clock close nothing for so long: those who feed the run send what they could not send meanwhile."""
        self._hold = self._moment() + seconds

    def awake(self, patience: float) -> None:
        """Note that a loop has waited for at most `patience` seconds.

        Where it took much longer, the process was stopped (Ctrl-Z, a suspended machine), and often its feeder with it.
        The silence of that time is not the stream's.
        """
        moment = self._moment()
        if moment - self._looked > patience + AWAY:
            self.hold(CATCH_UP)
        self._looked = moment

    # acknowledgements and the state that is kept

    def obey_word(self, word: Word) -> bool:
        """Do what somebody wants of an incident, or silence a status; return whether the incident is open."""
        self.changed = True
        return do(word, self.pipeline)

    def obey(self, act: Callable[[Word], object] | None = None) -> None:
        """Do what `txmon ack` and `txmon silence` have left beside the state. act: does it, instead of the session."""
        if self.settings.state is not None:
            for word in take_words(self.settings.state):
                (act or self.obey_word)(word)

    def checkpoint(self) -> None:
        """Keep everything, when it is time for that."""
        began = time.monotonic()
        if self.saver.due(began):
            self.keep()
            self.saver.wrote(began, time.monotonic())

    def keep(self) -> None:
        """Write the state, if there is one, and only then tell the sources that what is in it is read."""
        self.obey()
        if self.settings.state is None or self.save():
            self.feeds.saved()

    def save(self, quiet: AbstractContextManager[object] | None = None) -> bool:
        """Write the state; return whether that worked. A failure is a trouble: detection is worth more than its memory.

        quiet: held only while the state is copied, so that others need not wait for the disk.
        """
        path = self.settings.state
        assert path is not None
        if quiet is None:
            whole = self._state()
        else:
            with quiet:
                found = self._state()
                copy = marshal.dumps((dict(found.pipeline), dict(found.sources)))
            whole = state.State(found.settings, *marshal.loads(copy))
        failure = None
        try:
            state.save(path, whole)
        except IoFailure as bad:
            failure = bad
        return self.note_saved(failure)

    def note_saved(self, failure: IoFailure | None) -> bool:
        """Note whether the state could be written, and why not; return whether it could."""
        if failure is not None:
            self.changed = True
            self.save_failures += 1
            if self.troubles.add("state", str(failure)) and self._warn is not None:
                self._warn(f"{failure}; going on without")
        else:
            self.saved = self._wall()
            self.troubles.clear("state")
        for part in self._parts:
            part.kept(failure is None)
        return failure is None

    def copy(self) -> state.State:
        """Return the state as it is now; parts of it are the run's own tables, not copies."""
        return self._state()

    def _state(self) -> state.State:
        self.changed = False
        sources = {name: value for part in self._parts for name, value in part.positions().items()}
        return state.State(depended_on(self.settings), self.pipeline.snapshot(), sources)

    def finish(self) -> Iterator[Outcome]:
        """Close what is still open, where the stream has ended and no state keeps it for the records to come."""
        yield from self.pipeline.finish()

    def summary(self) -> list[str]:
        """Return what was rejected, not counted or forgotten, one line each."""
        return [*self.log.summary(), *self.pipeline.summary()]

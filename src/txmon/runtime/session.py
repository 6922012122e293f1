"""One live run, for `watch` and `serve` alike: records in, outcomes out, with clocks and files only at this edge.

The session owns what a live run has and a replay has not: the event clock, the time that nobody could observe, which
times are accepted from the sources, what fails at the moment, acknowledgements, and the state file. It has no threads
and no locks. `watch` turns it from one loop, and the server's engine holds its locks around it.
"""

import json
import marshal
import os
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from fnmatch import fnmatch
from glob import glob
from typing import Any, Final, Protocol

from txmon.errors import ConfigError, IoFailure
from txmon.ingest.aggregate.ledger import Item, Tally
from txmon.ingest.follow import FollowSource, LiveSource, Others
from txmon.ingest.reading import Reading
from txmon.ingest.records import RecordParser
from txmon.ingest.rejects import RejectLog
from txmon.ingest.rotation import rotated
from txmon.model.clock import iso
from txmon.model.outcome import Outcome
from txmon.pipeline.buckets import NEVER
from txmon.pipeline.pipeline import Pipeline
from txmon.runtime import state_file as state
from txmon.runtime.acknowledgements import Word, take_words
from txmon.runtime.actions import do
from txmon.runtime.arrival import ArrivalLag
from txmon.runtime.event_clock import EventClock
from txmon.runtime.factory import depended_on, pipeline_of, restore, resume
from txmon.runtime.feeds import Feed, LiveFeeds
from txmon.runtime.reader import hints_of, live_parser
from txmon.settings.declarations import DECLARATIONS, Settings, flag, text_of_setting
from txmon.support.durations import duration_text

LIVE: Final = 900  # seconds of age up to which the newest record shows that the stream is live, and not a past replayed
OWN: Final = "session:"  # in a state: what the session keeps
DAY: Final = 86400  # seconds by which a live stream may be behind the wall clock
STARVED: Final = 3600  # seconds without a connection for which buckets stay open
CLOCK: Final = "source"  # a trouble: a source is not connected
AWAY: Final = 2.0  # seconds that a turn of a loop takes only when something held the process up
FILES: Final = 1.0  # seconds between two looks for files that match a pattern
CATCH_UP: Final = 5.0  # seconds that its senders then get
CHANGEABLE: Final = ("detection", "incidents")  # sections of settings that a run can change as it goes on,
KINDS: Final = 100  # of warnings that are given once
FIXED: Final = ("bucket", "drivers", "drivers_keep", "drivers_share")  # but for what all that was learned depends on
SERVE: Final = "serve"  # in a state: what the server keeps; it has its positions in there


def uptime() -> float:
    """Return seconds on a clock that nobody sets and that goes on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class Remembering(Protocol):
    """A part of a run that has something in the state file besides the pipeline."""

    def positions(self) -> Mapping[str, Any]:
        """Return what the state is to keep, by name."""

    def restore(self, found: Mapping[str, Any], state: str) -> None:
        """Take over its own of all that the file `state` keeps. Raise ConfigError if that fails."""

    def kept(self, kept: bool) -> None:
        """Note whether the state file contains the newest `positions`."""


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

    def put(self, kind: str, text: str) -> None:
        """Note how `kind` fails; an empty text: that it works."""
        if text:
            self.add(kind, text)
        else:
            self.clear(kind)

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
        self.feeds = LiveFeeds(pipeline.bucketer.width, log, self._admit, hints_of(settings, True), self._read_so)
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
        self._told_late = False  # that records come late was said
        self._warn = warn
        self._said: set[str] = set()
        self.notices: list[str] = []  # where nobody is warned at once
        self.from_end = False  # files that the state does not know: leave out what they hold now
        self._patterns: list[str] = []
        self._others = Others()
        self._skipped: dict[str, tuple[int, int]] = {}  # files that are another's rest: inode and size at the last look
        self._look_at = 0.0
        self._parts: list[Remembering] = []
        self._found: Mapping[str, Any] = {}
        self._hold = 0.0  # the moment before which the clock closes nothing
        self._looked = moment()
        self._deaf = live_only  # nobody keeps for this run what is sent while it does not run
        self._unheard_until: int | None = None  # until the first record comes: when this run began, epoch seconds
        self._starved_since: float | None = None  # the moment since when a source is not connected
        self.lag = ArrivalLag(settings.bucket, pipeline.bucketer.lateness)
        self._latest_offset = wall() - moment()  # the wall clock less the moment, at its largest; seconds

    # the state that the run begins with

    def restore(self) -> None:
        """Take over the state file, if the settings name one and it exists. Raise ConfigError if that fails."""
        if self.settings.state is None:
            return
        self._found = restore(self.pipeline, self.settings, self.settings.state)
        if not self._found:
            self.saver.hurry(time.monotonic())
        try:
            if OWN in self._found and self.settings.lateness is None:
                self.lag.resume(self._found[OWN])
        except (KeyError, TypeError, ValueError) as bad:
            raise ConfigError(f"{self.settings.state}: is damaged ({bad!r}). txmon did not change it.") from bad
        self.obey()  # what was said while nothing ran counts before the first record

    def begin(self, deaf: bool, last: float = 0.0) -> None:
        """Note that the run begins now, with its sources open. deaf: what was sent while it did not run is lost.

        last: when something was heard after the state was written, as a journal has it; epoch seconds.

        A server and a pipe receive nothing while they do not run, so a time without records before the start is not a
        silence. A followed file and a topic contain the records of that time, so there a silence is real.
        """
        self._deaf = deaf
        bucketer = self.pipeline.bucketer
        if not deaf or not bucketer.is_settled:
            return
        started = int(self._wall())
        own = self._found.get(OWN)
        heard = own.get("heard") if isinstance(own, Mapping) else None
        if last:
            heard = max(int(last), heard if isinstance(heard, int) else 0)
        if not isinstance(heard, int) or not bucketer.next_start - DAY <= heard <= started:
            return  # a past that is replayed in pieces: it goes on where it stopped, whenever that is
        if not self.live:
            self._unheard_until = started
            return
        self.pipeline.coverage.miss(bucketer.next_start, started)
        self.pipeline.coverage.miss(heard, started, partial=True)

    @property
    def heard(self) -> int:
        """When the state was written that the run goes on from, epoch seconds; 0 for none."""
        own = self._found.get(OWN)
        found = own.get("heard") if isinstance(own, Mapping) else None
        return found if isinstance(found, int) else 0

    def remember(self, part: Remembering) -> None:
        """Keep `part` in the state from now on, and give it what `restore` found. Raise ConfigError if that fails."""
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
        """Read the file `path` as it grows, from where the state says. Raise ConfigError if that fails."""
        return self._follow(path, parser)

    def follow_pattern(self, pattern: str) -> None:
        """Follow all files that match `pattern`, and those that come to match it; ConfigError as `follow` raises it."""
        self._patterns.append(pattern)
        self.feeds.open_ended = True
        self._look_for_files(pattern, first=True)

    def _follow(
        self, path: str, parser: RecordParser | None = None, history: Collection[str] = (), lasting: bool = True
    ) -> Feed:
        found = self.position(path)
        if found is not None and not isinstance(found, Mapping):
            raise ConfigError(f"{path}: the state has no valid position for it")
        source = FollowSource(path, found, self.say, self.from_end, self._others, history, lasting)
        feed = self.read_from(source, parser)
        if found is not None:
            for line in feed.resume(found, self.settings.state):
                self.say(line)
        return feed

    def _look_for_files(self, pattern: str, first: bool = False) -> None:
        followed = {feed.source.name for feed in self.feeds.all}
        paths = sorted(path for path in glob(pattern) if os.path.isfile(path) and path not in followed)
        if first:
            paths += sorted(name for name in self._found if fnmatch(name, pattern) and name not in paths)
            rests = {str(rest) for path in paths for rest in rotated(path)}
            known = set(paths)
            paths = [path for path in paths if path not in rests or path in self._found]
        for path in paths:
            if not first and self._is_a_rest(path):
                continue
            self._follow(path, history=() if not first or self.from_end else known, lasting=False)
            if not first:
                self.say(f"{path}: is new. txmon follows it")

    def _is_a_rest(self, path: str) -> bool:
        """Whether `path` is a file that was followed under another name; looked into again only when it changes."""
        try:
            status = os.stat(path)
        except OSError:
            return True
        mark = (status.st_ino, status.st_size)
        if self._skipped.get(path) != mark:
            if not any(source.holds_file(path) for source in self._others.sources):
                return False
            self._skipped[path] = mark
        return True

    def look_around(self) -> None:
        """Follow new files that match a pattern, and close those that were deleted."""
        moment = self._moment()
        if not self._patterns or moment < self._look_at:
            return
        self._look_at = moment + FILES
        for source in list(self._others.sources):
            feed = next(feed for feed in self.feeds.all if feed.source is source)
            matched = any(fnmatch(source.name, pattern) for pattern in self._patterns)
            if matched and not feed.waiting and not feed.more and source.vanished() and not os.path.exists(source.name):
                source.close()
                self._others.sources.remove(source)
                self.feeds.all.remove(feed)
        for pattern in self._patterns:
            self._look_for_files(pattern)

    def taken_notices(self) -> list[str]:
        """Return what was to be said since the last call, one line each."""
        found, self.notices = self.notices, []
        return found

    def say(self, line: str) -> None:
        """Warn of something that concerns people, or keep it among the notices."""
        if self._warn is not None:
            self._warn(line)
        else:
            self.notices.append(line)

    def say_once(self, kind: str, line: str) -> None:
        """Warn as `say` does, once for each kind, and of at most KINDS of them."""
        if kind not in self._said and len(self._said) < KINDS:
            self._said.add(kind)
            self.say(line)

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
        if self.settings.no_reading:
            return
        step, bucket = reading.step, self.settings.bucket
        hint = f"; --bucket {duration_text(step)} fits them" if step is not None and step > bucket else ""
        self.say(reading.statement() + hint)

    def _admit(self, parser: RecordParser) -> None:
        parser.admit(int(self._wall()), self.settings.max_ahead)

    # records in, outcomes out

    def poll(self, ready: Collection[int]) -> tuple[bool, list[Outcome]]:
        """Take what has come to the sources that can be read without waiting; whether something had, and its outcomes.

        ready: the descriptors that hold something; a source without a descriptor is always asked.
        """
        self.look_around()
        came, batches = self.feeds.read(ready)
        for begin, end in self.feeds.unobserved():
            self.pipeline.coverage.miss(begin, end)
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
        bucketer = self.pipeline.bucketer
        bucketer.ceiling = self._ceiling()
        if records:
            self._note_arrival(records)
        yield from self.pipeline.feed(records)
        if records:
            self.read += sum([record.rows if isinstance(record, Tally) else 1 for record in records])
            self._note(max([record.time for record in records]))

    def _note_arrival(self, records: Sequence[Item]) -> None:
        """Learn how late records come, and for a pipe, until when nobody listened."""
        if self._unheard_until is not None:
            first = min([record.time for record in records])
            self.pipeline.coverage.miss(self.pipeline.bucketer.next_start, min(first, self._unheard_until))
            self._unheard_until = None
        there = self.clock.now(self._moment())
        if there is None or not self.live:
            return
        self.lag.note(records, there)
        lateness = self.lag.lateness(there)
        if self.settings.lateness is None:
            self._keep_open(lateness)
        elif lateness > self.settings.lateness and not self._told_late:
            self._told_late = True
            self._say(f"records often come later than --lateness; use --lateness {duration_text(lateness)}")

    def _keep_open(self, lateness: int) -> None:
        """Let buckets stay open for so many seconds after their end."""
        bucketer = self.pipeline.bucketer
        if lateness > bucketer.lateness and not self._told_late:
            self._told_late = True
            text = duration_text(lateness)
            self._say(
                f"records come in bursts, up to {text} after their bucket ended. Buckets now stay open for {text}"
                f" before they are judged. Use --lateness {text} to make this permanent"
            )
        bucketer.lateness = lateness

    def _say(self, text: str) -> None:
        if self._warn is not None:
            self._warn(text)

    def peek(self) -> list[Outcome]:
        """Return the alerts of buckets that are still open; each once."""
        outcomes = self.pipeline.peek()
        self.changed = self.changed or bool(outcomes)
        return outcomes

    def _ceiling(self) -> int:
        """Return the time beyond which no row closes a bucket, epoch seconds: the wall clock, never put back."""
        moment = self._moment()
        self._latest_offset = max(self._latest_offset, self._wall() - moment)
        return int(moment + self._latest_offset)

    def _note(self, newest: int) -> None:
        wall = self._wall()
        bucketer = self.pipeline.bucketer
        if bucketer.bulk != NEVER:
            self.clock.note(bucketer.bulk, wall, self._moment(), bucketer.is_settled)
        if newest >= self.newest:
            self.newest = newest
            self.live = wall - newest <= self.pipeline.bucketer.lateness + max(LIVE, 2 * self.settings.bucket)

    def tick(self) -> Iterator[Outcome]:
        """Close what the clock says is over, but not while the silence may not be the stream's."""
        moment = self._moment()
        there = self.clock.now(moment)
        starved = self._is_starved(moment)
        if there is None or moment < self._hold or (self._live_only and not self.live):
            return
        if self.settings.lateness is None and self.live:
            self._keep_open(self.lag.lateness(there))
        if starved:  # for too long to keep everything open: what closes now was not observed
            self.pipeline.coverage.miss(self.pipeline.bucketer.next_start, there)
        for outcome in self.pipeline.advance(there - self.pipeline.bucketer.lateness):
            self.changed = True
            yield outcome

    # time that nobody observed

    def _is_starved(self, moment: float) -> bool:
        """Return whether a source has had no connection for longer than buckets can stay open for it.

        Until then the clock closes nothing: a topic delivers later what it holds.
        """
        lost = [feed.source.name for feed in self.feeds.all if not getattr(feed.source, "connected", True)]
        if not lost:
            if self._starved_since is not None:
                self._starved_since = None
                self.troubles.clear(CLOCK)
                self.hold(CATCH_UP)
            return False
        if self._starved_since is None:
            self._starved_since = moment
            self.troubles.add(
                CLOCK, f"{', '.join(lost)}: not connected. Until then, txmon does not alert about silence"
            )
            self._say(self.troubles.text)
        if moment - self._starved_since < STARVED:
            self._hold = max(self._hold, moment + CATCH_UP)
            return False
        return True

    def hold(self, seconds: float) -> None:
        """Let the clock close nothing for this long: those who feed the run send what they could not send meanwhile."""
        self._hold = self._moment() + seconds

    def awake(self, patience: float) -> None:
        """Note that a loop has waited for at most `patience` seconds.

        Where it took much longer, the process was stopped (Ctrl-Z, a suspended machine), and often its feeder with it.
        The silence of that time is not the stream's.
        """
        moment = self._moment()
        if moment - self._looked > patience + AWAY:
            self.absent(moment - self._looked)
        self._looked = moment

    def absent(self, seconds: float) -> None:
        """Note that the process was stopped for the last so many seconds."""
        now = self.clock.now(self._moment())
        if self._deaf and now is not None:
            self.pipeline.coverage.miss(int(now - seconds), now)
        self.hold(CATCH_UP)

    # new settings, and what is known

    def adopt(self, settings: Settings) -> list[str]:
        """Go on with those of `settings` that can change while a run goes on; return what changed, one line each.

        The pipeline keeps what it has learned, its open buckets and its incidents. ConfigError leaves all as it was.
        """
        names = [name for name in DECLARATIONS if getattr(settings, name) != getattr(self.settings, name)]
        now = [name for name in names if DECLARATIONS[name].section in CHANGEABLE and name not in FIXED]
        found = replace(self.settings, **{name: getattr(settings, name) for name in now})
        if now:
            pipeline = pipeline_of(found, live=True, partial=True, detailed=True)
            copy = json.loads(json.dumps(self.pipeline.snapshot()))
            resume(pipeline, found, state.State(depended_on(found), copy), "the state in memory")
            self.pipeline = pipeline
        said = [
            f"{flag(name)[2:]} {text_of_setting(self.settings, name) or 'not set'}"
            f" -> {text_of_setting(found, name) or 'not set'}"
            for name in now
        ]
        self.settings = found
        later = [flag(name)[2:] for name in names if name not in now]
        return [
            f"settings read again: {', '.join(said) if said else 'nothing has changed'}",
            *([f"a restart is needed for: {', '.join(later)}"] if later else []),
        ]

    def statistics(self) -> list[str]:
        """Return what the run has done so far, one line each."""
        lines = [
            f"{self.read} records taken, {self.log.count} rejected, {self.feeds.left_out} before --from;"
            f" newest {iso(self.newest) if self.newest else 'none yet'}",
            f"{len(self.pipeline.tracker.open())} incidents open; judged until"
            f" {iso(self.pipeline.detector.time()) if self.pipeline.detector.time() >= 0 else 'nothing yet'}",
        ]
        for name, place in self.feeds.positions().items():
            lines.append(f"{name}: read to byte {place['offset']}" if "offset" in place else f"{name}: read")
        if self.settings.state is not None:
            when = iso(int(self.saved)) if self.saved else "not yet"
            lines.append(f"{self.settings.state}: written {when}, {self.save_failures} failures")
        return [*lines, *self.summary(), *([self.troubles.text] if self.troubles.text else [])]

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
            whole = self.copy()
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
                self._warn(f"{failure}. txmon continues without it")
        else:
            self.saved = self._wall()
            self.troubles.clear("state")
        for part in self._parts:
            part.kept(failure is None)
        return failure is None

    @property
    def save_failing(self) -> bool:
        """Whether the state could not be written the last time."""
        return "state" in self.troubles

    def copy(self) -> state.State:
        """Return the state as it is now; parts of it are the run's own tables, so nothing may change until its end."""
        return self._state(lazy=True)

    def _state(self, lazy: bool = False) -> state.State:
        self.changed = False
        sources = {name: value for part in self._parts for name, value in part.positions().items()}
        wall = int(self._wall())
        sources[OWN] = {"heard": wall, **self.lag.learned(self.clock.now(self._moment()) or wall)}
        return state.State(depended_on(self.settings), self.pipeline.snapshot(lazy=lazy), sources)

    def finish(self) -> Iterator[Outcome]:
        """Close what is still open, where the stream has ended and no state keeps it for the records to come."""
        yield from self.pipeline.finish()

    def summary(self) -> list[str]:
        """Return what was rejected, not counted or forgotten, one line each."""
        return [*self.log.summary(), *self.pipeline.summary()]

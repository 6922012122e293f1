"""The pipeline behind the endpoint. Requests and a clock feed it in turn, and it is queried and saved in between."""

import gc
import math
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any, Final

from txmon.errors import ConfigError, IoFailure
from txmon.ingest.aggregate.ledger import Item, Tally
from txmon.ingest.records import Reject
from txmon.ingest.rejects import RejectLog
from txmon.model.clock import iso
from txmon.model.keys import TOTAL
from txmon.model.outcome import Outcome
from txmon.model.verdict import Verdict
from txmon.pipeline.incidents import SilenceOrder
from txmon.pipeline.pipeline import Pipeline, Place
from txmon.runtime.acknowledgements import Word
from txmon.runtime.session import AWAY, SERVE, LiveSession, uptime
from txmon.server.entries import Entry, unpack
from txmon.server.feed import PageFeed
from txmon.server.history import PACE, Recent, paced
from txmon.server.idempotency import IdempotencyCache
from txmon.server.journal import Journal
from txmon.server.locks import Busy, QueuedLock, WriterLock
from txmon.server.otlp import Counters, Point
from txmon.server.receipt import IngestResult, Totals, answer_of, gravest, places_of
from txmon.server.saving import Saving, save_in_child
from txmon.settings.declarations import Settings

ANSWERED: Final = 1000  # verdicts in one answer
ASSESSED: Final = 200  # verdicts processed between two moments in which other threads may read
AGE: Final = 300.0  # seconds after which a trouble that did not recur is no longer reported
REJECTS: Final = 100  # rejects of one request that are kept and returned; the others are only counted
LARGE: Final = 5000  # series from which another process writes the state, and buckets are judged in steps
REWRITE: Final = 300.0  # seconds after which such a state is written even if its series did not change
BEHIND: Final = 3  # waiting buckets from which senders of rows must wait too
TICK: Final = 0.5  # seconds between two ticks
STEP: Final = 0.01  # approximate seconds of work between two moments in which other threads may read
SHOWN: Final = 100  # buckets closing together that are sent one by one; after more, listeners load everything again

Sink = Callable[[Outcome], None]
Parse = Callable[[Sequence[object]], Iterable[Item | Reject]]  # rows in txmon's own names


class Engine:
    """Feeds a live session from many threads, and passes its outcomes to sinks and the live feed.

    One thread at a time may feed or save, and all others that want to do so wait. It changes shared data under a lock
    for short moments only. Readers therefore receive answers even while it closes days of buckets.
    """

    def __init__(
        self,
        settings: Settings,
        pipeline: Pipeline,
        clock: Callable[[], float],
        log: RejectLog | None = None,
        sinks: Sequence[Sink] = (),
    ) -> None:
        """Create it. clock: epoch seconds. sinks: called in order; an OSError of a sink is counted."""
        self.settings = settings
        self.pipeline = pipeline
        self.clock = clock
        self._at: float | None = None  # the time of the journal entry that is being replayed
        # a server's stream continues by the wall clock, so its state stays useful after a restart
        self.session = LiveSession(settings, pipeline, log or RejectLog(), self._now, self._now, live_only=True)
        self._prepare(pipeline)
        # after a restart, clients have time to send what they could not send before
        self.session.hold(2 * settings.bucket)
        self.lock = QueuedLock()
        self.turn = WriterLock()
        self.recent = Recent(settings.bucket)
        self.feed = PageFeed()
        self.totals = Totals(verdicts={})
        self._sinks = sinks
        self._answers = IdempotencyCache()
        self.counters = Counters()
        self._begun = clock()
        # by trouble: how often it occurred, and when it was last noticed
        self._counted: dict[str, tuple[int, float]] = {}
        self.journal: Journal | None = None
        if settings.state is not None and settings.durability != "none":
            self.journal = Journal(settings.state, shared=settings.durability == "batch")
        self._segment = 0  # the segment of the journal that the next state names
        self._key: tuple[str, str] | None = None  # Idempotency-Key and digest of the current request
        self._saving: Saving | None = None
        self._generation = 0  # of the garbage collection that is due while many keys are judged
        self._began = 0.0  # when that started, seconds, monotonic
        self._judged = -1  # start of the newest judged bucket in the state that was written last
        self._looked = math.inf  # end of the last tick, on a clock that continues while the machine sleeps
        # positions of all files in the state, whether they are followed now or not
        self._positions: dict[str, Any] = {}

    def _now(self) -> float:
        return self.clock() if self._at is None else self._at

    def _prepare(self, pipeline: Pipeline) -> None:
        """Prepare to let other threads run while a bucket of many keys is judged."""
        for judge in pipeline.judges():
            judge.let_run(self._breathe)

    def _breathe(self) -> None:
        """Let waiting readers run, and senders of rows that do not affect the current work.

        Call it with the lock held.
        """
        if not gc.isenabled():
            gc.collect(self._generation)
            self._generation = 0
        self.lock.release()
        try:
            self.turn.lend()
        finally:
            self.lock.acquire()

    def take(
        self, items: Iterable[Item | Reject], journaled: bool = True, news: Callable[[], Sequence[str]] = tuple
    ) -> IngestResult:
        """Parse and feed `items`. Their exceptions, and Busy, are raised before anything is fed.

        journaled: no other source has the items, so a crash would lose them. Raise OSError if they cannot be saved.
        news: called in the same turn, returns how `items` were read if that is new.
        """
        with self.turn.short() as lent:
            records, rejects, rejected = self._sorted(items)
            readings = news()
            aside = (
                self.pipeline.detector.size >= LARGE and self.pipeline.unsettled < BEHIND and self._is_timely(records)
            )
            if aside or not lent:
                return self._keep_and_feed(records, rejects, rejected, readings, journaled, aside)
        with self.turn():  # the current work must end first
            return self._keep_and_feed(records, rejects, rejected, readings, journaled, False)

    def _is_timely(self, records: Sequence[Item]) -> bool:
        """Return whether all records belong to open buckets, because closed ones may be in the middle of judgement."""
        next_start = self.pipeline.bucketer.next_start
        return all(record.time >= next_start for record in records)

    def _keep_and_feed(
        self,
        records: list[Item],
        rejects: list[Reject],
        rejected: int,
        readings: Sequence[str],
        journaled: bool,
        aside: bool,
    ) -> IngestResult:
        """Write to the journal and feed. aside: the clock's thread judges the closed buckets later."""
        if journaled and records:
            key, digest = self._key or (None, "")
            self._keep(Entry(self.clock(), "rows", records, rejects, rejected, key, digest, readings=readings))
        self.pipeline.defers = aside
        try:
            result = self._feed(records, rejects, rejected)
            return replace(result, readings=readings) if readings else result
        finally:
            self.pipeline.defers = False

    def take_export(
        self, points: Iterable[Point], status: Sequence[str], by: Sequence[str], parse: Parse
    ) -> IngestResult:
        """Feed the counts of OTLP counters. status, by: names of attributes. parse: turns rows into records.

        Raise OSError if the rows cannot be saved, or Busy. Then nothing is fed, and the same points may be sent again.
        """
        with self.turn():
            rows, marks = self.counters.rows(points, self.settings.bucket, self._begun, status, by)
            records, rejects, rejected = self._sorted(parse(rows))
            if records or marks:
                self._keep(Entry(self.clock(), "rows", records, rejects, rejected, marks=marks))
            self.counters.adopt(marks)
            return self._feed(records, rejects, rejected)

    def _keep(self, entry: Entry) -> None:
        if self.journal is not None and self._at is None:
            self.journal.append(entry.pack())

    def commit(self) -> None:
        """Wait until everything that this thread fed would survive a crash. Raise OSError if it may not."""
        if self.journal is not None:
            try:
                self.journal.commit()
            except OSError as bad:
                self.session.troubles.add("journal", f"the journal cannot be written: {bad.strerror}")
                raise
            if "journal" in self.session.troubles:
                self.session.troubles.clear("journal")

    def _feed(self, records: list[Item], rejects: list[Reject], rejected: int) -> IngestResult:
        bucketer = self.pipeline.bucketer
        if not self.pipeline.defers:
            self._tell(self.pipeline.settle())  # a late row may belong to a bucket that is waiting to be judged
        late, repeated = bucketer.late, bucketer.repeated
        # before feeding, because a tally may become a bucket that later rows are added to
        every = [place for item in records for place in places_of(item, bucketer.width)]
        places = dict.fromkeys([(start, bucketer.series_of(key), status) for start, key, status in every])
        accepted = sum([item.rows if isinstance(item, Tally) else 1 for item in records])
        closed: dict[Place, Verdict] = {}
        for outcome in self._publish(self.session.feed(records)):
            closed.update({place: v for v in outcome.verdicts if (place := (v.time, v.key, v.status)) in places})
        verdicts = self._assessed(list(places), closed)
        answered = gravest(verdicts, ANSWERED)
        self.totals.records += accepted
        return IngestResult(
            accepted, bucketer.repeated - repeated, bucketer.late - late, answered,
            len(verdicts) - len(answered), rejects, rejected,
        )  # fmt: skip

    def _assessed(self, places: Sequence[Place], closed: Mapping[Place, Verdict]) -> list[Verdict]:
        """Return the current verdicts on `places`, in steps between which readers may run.

        closed: verdicts already known.
        """
        found: list[Verdict] = []
        for at in range(0, len(places), ASSESSED):
            with self.lock:
                for place in places[at : at + ASSESSED]:
                    verdict = closed.get(place) or self.pipeline.assess_open(place)
                    if verdict is not None:
                        found.append(verdict)
        return found

    def poll(self, ready: Collection[int], journaled: bool) -> bool:
        """Process new data of the sources besides the requests. Return whether there was any.

        ready: the descriptors with data. journaled: no source has the data any more.
        """
        session = self.session
        with self.turn(math.inf):
            session.look_around()
            before = session.log.count
            came, batches = session.feeds.read(ready)
            self.totals.rejected += session.log.count - before
            for batch in batches:
                records = batch.records
                if journaled and records:
                    self._keep(Entry(self.clock(), "rows", records))
                self._tell(self.pipeline.settle())
                self._tell(session.feed(records))
                self.totals.records += sum([item.rows if isinstance(item, Tally) else 1 for item in records])
                # in the same turn, because a state saved in between would count the rows twice
                batch.feed.take(batch.after)
        return came

    def latest(self) -> int:
        """Return the latest time that a record may have, epoch seconds."""
        return self.session.latest()

    def _sorted(self, items: Iterable[Item | Reject]) -> tuple[list[Item], list[Reject], int]:
        """Return the records, the first rejects, and the number of all rejects."""
        records: list[Item] = []
        rejects: list[Reject] = []
        rejected = 0
        for item in items:
            if not isinstance(item, Reject):
                records.append(item)
                continue
            rejected += 1
            if rejected > REJECTS:
                self.session.log.count_only(item)
            else:
                rejects.append(item)
                self.session.log.add(item)
        self.totals.rejected += rejected
        return records, rejects, rejected

    def assess(self, place: Place) -> Verdict | None:
        """Return the current verdict on a series, above or below normal, or None if its bucket is no longer known."""
        with self.lock:
            return self.pipeline.assess(place)

    def _publish(self, outcomes: Iterable[Outcome]) -> Iterator[Outcome]:
        """Yield the outcomes after publishing them, in steps between which readers may run."""
        rest, told = iter(outcomes), 0
        while step := self._step(rest, told):
            for outcome in step:
                self._write(outcome)
            told += len(step)
            yield from step
        if told > SHOWN:
            with self.lock:
                self.feed.reset()

    def _step(self, rest: Iterator[Outcome], told: int) -> list[Outcome]:
        """Return the next outcomes of `rest`, as many as arrive within a moment. `told` came before them."""
        step: list[Outcome] = []
        with self.lock:
            until = time.monotonic() + STEP
            for outcome in rest:
                self._note(outcome, told + len(step) < SHOWN)
                step.append(outcome)
                if time.monotonic() >= until:
                    break
        return step

    def _note(self, outcome: Outcome, shown: bool) -> None:
        """Store an outcome for queries, and send it to listeners."""
        verdicts = self.totals.verdicts
        assert verdicts is not None
        breathe = self._breathe if len(outcome.verdicts) > PACE else None
        for verdict in paced(outcome.verdicts, breathe):
            verdicts[verdict.recommendation] = verdicts.get(verdict.recommendation, 0) + 1
        points = self.recent.accept(outcome, breathe)
        # either all verdicts of an outcome are revised, or none
        if not any(verdict.revises for verdict in outcome.verdicts[:1]):
            self.totals.close({status: point[1] for status, point in points.items()})
        self.feed.publish(outcome, points if shown else {}, self.recent)

    def _write(self, outcome: Outcome) -> None:
        for sink in self._sinks:
            try:
                sink(outcome)
                self.session.troubles.clear("sink")
            except OSError as bad:  # detection continues; the page and /readyz report it
                self.totals.sink_failures += 1
                self.session.troubles.add("sink", f"the output cannot be written: {bad.strerror}")

    def tick(self, patience: float | None = None) -> None:
        """Do the work of the clock: close buckets, send early alerts, write the state.

        Do nothing if other threads have the turn for the next `patience` seconds.
        """
        if uptime() - self._looked > TICK + AWAY:
            self.session.absent(uptime() - self._looked)
        try:
            with self.turn(patience):
                self._move_on()
            self._note_troubles()
            self.feed.trouble(self.trouble)
            began = time.monotonic()
            self._finish_saving()
            if self.settings.state is not None and self._saving is None and self.session.saver.due(began):
                self.session.obey(self._obey)
                if self.session.changed and not self._is_in_journal():
                    self._begin_saving(TICK if patience is None else patience)
                self.session.saver.wrote(began, time.monotonic())
        except Busy:
            return
        finally:
            self._looked = uptime()

    def _is_in_journal(self) -> bool:
        """Return whether the journal restores everything that a large state on the disk lacks.

        Between two judged buckets no series changes. To write all of them again would only add what was counted since.
        """
        return (
            self.journal is not None
            and self.pipeline.detector.size >= LARGE
            and self.pipeline.detector.time() == self._judged
            and time.monotonic() - self._began < REWRITE
            and not self.session.save_failing
            and "journal" not in self.session.troubles
        )

    def _note_troubles(self) -> None:
        """Report troubles of the input: late rows, and too many different statuses."""
        troubles, now = self.session.troubles, time.monotonic()
        late, folded = self.pipeline.bucketer.late, self.pipeline.detector.folded
        for kind, count, text in (
            ("late", late, "rows arrive after their minute has closed. Check the senders' clocks, or raise --lateness"),
            ("statuses", folded, "counts of statuses beyond 1000 of a key were added up as (other)"),
        ):
            before, since = self._counted.get(kind, (0, now - AGE))
            if count > before:
                self._counted[kind] = count, now
                troubles.add(kind, f"{count} {text}")
            elif now - since > AGE:
                troubles.clear(kind)

    def _move_on(self) -> None:
        with self._collecting_in_steps():
            self._judge_and_tell()
        with self.lock:
            bucket = self.pipeline.bucketer.newest()
            if bucket is not None and (len(bucket.counts) < LARGE or len(self.feed.hub)):
                self.feed.show(bucket.start, bucket.counts.values())

    @contextmanager
    def _collecting_in_steps(self) -> Iterator[None]:
        """Collect garbage in small steps while a bucket of many keys is judged.

        A bucket makes hundreds of thousands of objects, and to examine all of them at once takes 100 ms. They are freed
        without a collection, so it only has to find the garbage of the requests in between.
        """
        if self.pipeline.detector.size < LARGE or not gc.isenabled():
            yield
            return
        gc.disable()
        self._generation = 2  # since the last bucket was judged, all that was older has been frozen
        try:
            yield
        finally:
            gc.enable()

    def _judge_and_tell(self) -> None:
        judged = self._tell(self.pipeline.settle())
        if told := self._tell(self.session.tick()):
            with suppress(OSError):  # the next rows report it
                self._keep(Entry(self.clock(), "tick"))
        self._tell(self.session.peek())
        if judged + told and not gc.isenabled():
            gc.freeze()  # what is left is kept for long; to examine millions of objects would take a second

    def _tell(self, outcomes: Iterable[Outcome]) -> int:
        """Publish `outcomes`. Return how many there were."""
        return sum(1 for _ in self._publish(outcomes))

    def _obey(self, word: Word) -> None:
        """Execute a request of `txmon ack` or `txmon silence`, which they leave beside the state."""
        if self.act(word) is None:
            self.silence(word)

    def act(self, word: Word) -> Mapping[str, object] | None:
        """Execute an action on an open incident. Return its row, or None if no incident with this id is open."""
        with self.turn(), self.lock:
            if not word.id or self.pipeline.tracker.find(word.id) is None:
                return None
            self._keep(Entry(self.clock(), "word", word=word))
            self.session.obey_word(word)  # if it ends the incident, the next bucket shows that
            self._refresh()
            self.recent.incidents.obeyed(word, int(self._now()))
            row = self.recent.incidents.row(word.id)
            self.feed.incident(row)
            return row

    def acknowledge(self, identity: str) -> Mapping[str, object] | None:
        """Stop the reminders of an open incident. Return its row, or None if no incident with this id is open."""
        return self.act(Word("ack", identity))

    def now(self) -> float:
        """Return the epoch seconds of the wall clock."""
        return self.session.now()

    def silences(self) -> list[dict[str, object]]:
        """Return the active silences, ordered by their end."""
        with self.lock:
            return self._silences()

    def _silences(self) -> list[dict[str, object]]:
        orders = sorted(self.pipeline.tracker.silences(), key=lambda one: (one.until, one.status, one.key))
        return [
            {
                "status": one.status,
                "key": dict(one.key),
                "until": iso(one.until),
                "author": one.author,
                "note": one.note,
            }
            for one in orders
        ]

    def silence(self, word: Word) -> bool:
        """Silence a status until a time, or end a silence. Return whether there was one to end."""
        with self.turn(), self.lock:
            self._keep(Entry(self.clock(), "word", word=word))
            done = self.session.obey_word(word)
            if done:
                self._note_silence(word)
                self.feed.silences(self._silences())
            return done

    def _note_silence(self, word: Word) -> None:
        """Write a silence, or its end, into the timeline of each open incident that it covers."""
        self._refresh()
        now = int(self._now())
        order = SilenceOrder(word.status, word.key, now + 1, word.author, word.note)
        for incident in self.pipeline.tracker.open():
            if order.covers(incident, now):
                self.recent.incidents.obeyed(replace(word, id=incident.id), now)
                self.feed.incident(self.recent.incidents.row(incident.id))

    def incidents(self) -> list[dict[str, object]]:
        """Return recently resolved incidents and all open ones in their current state, newest last."""
        with self.lock:
            return self._rows()

    def find_incidents(self, states: str, text: str, limit: int) -> tuple[list[dict[str, object]], bool]:
        """Return incidents as `IncidentBook.find` does, in their current state."""
        with self.lock:
            self._refresh()
            rows, more = self.recent.incidents.find(states, text, limit)
            return [row.public() for row in rows], more

    def incident(self, identity: str) -> dict[str, object] | None:
        """Return an incident of the last 30 days with its timeline, or None if the id is unknown."""
        with self.lock:
            self._refresh()
            row = self.recent.incidents.get(identity)
            return None if row is None else row.timeline()

    def notified(self, identities: Collection[str], step: str, channel: str, outcome: str) -> None:
        """Note the result of notifying a channel about incidents. Any thread may call it."""
        with self.lock:
            self.recent.incidents.notified(identities, int(self.clock()), step, channel, outcome)
            self.session.changed = True

    def _refresh(self) -> None:
        for incident in self.pipeline.tracker.open():
            self.recent.incidents.refresh(incident)

    def _rows(self) -> list[dict[str, object]]:
        self._refresh()
        return [row.public() for row in self.recent.incidents.rows()]

    def once(self, key: str | None, digest: str, make: Callable[[], tuple[int, str]]) -> tuple[int, str] | None:
        """Return the answer of `make`, or the earlier one for `key`. Return None if that was for another request."""
        if key is None:
            return make()
        with self.turn():
            self._key = key, digest
            try:
                return self._answers.once(key, digest, make)
            finally:
                self._key = None

    def adopt(self, settings: Settings) -> list[str]:
        """Apply the changeable parts of `settings`, as `LiveSession.adopt`, when this thread has the turn."""
        with self.turn():
            self._tell(self.pipeline.settle())
            with self.lock:
                return self._adopt(settings)

    def _adopt(self, settings: Settings) -> list[str]:
        lines = self.session.adopt(settings)
        self.settings, self.pipeline = self.session.settings, self.session.pipeline
        self._prepare(self.pipeline)
        return lines

    def save_now(self) -> bool:
        """Write the state, if there is one, before it is due. Return whether it is written."""
        try:
            return self.settings.state is None or self.save()
        except Busy:
            return False

    def save(self, patience: float | None = None) -> bool:
        """Write the state. Return whether that worked. A failure is reported and retried later. Raise Busy."""
        self._finish_saving(wait=True)
        if self.pipeline.detector.size < LARGE:
            return self.session.save(self._quiet(patience))
        self._begin_saving(patience)
        failures = self.session.save_failures
        self._finish_saving(wait=True)
        return self.session.save_failures == failures

    def _begin_saving(self, patience: float | None) -> None:
        """Start to write the state. A large state is written in a separate process, so that requests do not wait.

        Raise Busy.
        """
        assert self.settings.state is not None
        if self.pipeline.detector.size < LARGE:
            self.save(patience)
            return
        with self._quiet(patience):
            self.session.changed = False
            self._began, self._judged = time.monotonic(), self.pipeline.detector.time()
            try:
                self._saving = save_in_child(self.settings.state, self.session.copy)
            except OSError as bad:  # there is no memory or no room for another process
                self.session.note_saved(
                    IoFailure(f"{self.settings.state}: the state cannot be written: {bad.strerror}")
                )

    def _finish_saving(self, wait: bool = False) -> None:
        """Note the result of the process that writes the state, if it has ended."""
        saving = self._saving
        if saving is not None and saving.ended(wait):
            self._saving = None
            self.session.saver.wrote(self._began, time.monotonic())
            self.session.note_saved(saving.failure)

    @contextmanager
    def _quiet(self, patience: float | None) -> Iterator[None]:
        """Block all other threads, only while the state is copied, so that they do not wait for the disk."""
        with self.turn(patience):
            self._tell(self.pipeline.settle())  # buckets that have closed are in no state until they are judged
            with self.lock:
                if self.journal is not None:
                    self._segment = self.journal.rotate()
                yield

    def replay(self) -> int:
        """Replay the journal's entries that the state lacks. Return the number of rows.

        Raise ConfigError for a damaged one.
        """
        if self.settings.state is None:
            return 0
        journal = self.journal or Journal(self.settings.state, shared=True)
        rows, first, last = 0, 0.0, 0.0
        self._at = 0.0
        self.session.hold(0.0)
        try:
            for raw in journal.replay(self._segment):
                entry = unpack(raw)
                self._at = last = entry.at
                first = first or last
                rows += self._again(entry)
        except (KeyError, TypeError, ValueError, OSError) as bad:
            raise ConfigError(
                f"{self.settings.state}: its journal cannot be read ({bad!r}). txmon did not change it."
            ) from bad
        finally:
            self._at = None
        self.session.hold(2 * self.settings.bucket)
        if last:
            self.session.begin(self.settings.tail in (None, "-"), last)
        self._note_damage(journal, first)
        return rows

    def _note_damage(self, journal: Journal, first: float) -> None:
        """Report what is missing from the journal. first: when its first entry was written, epoch seconds."""
        found = []
        if journal.torn:
            found.append(
                f"{journal.torn} bytes at the end of the journal are an incomplete entry, which was never confirmed"
            )
        if journal.damaged:
            found.append(f"{journal.damaged} bytes of the journal are damaged. The rows in them are lost")
        if journal.missing:
            since = iso(int(self.session.heard)) if self.session.heard else "the state was written"
            until = iso(int(first)) if first else "the start"
            found.append(
                "the state is older than the journal, as after a restored backup;"
                f" rows taken between {since} and {until} are lost"
            )
        if found:
            self.session.troubles.add("damage", "; ".join(found))

    def _again(self, entry: Entry) -> int:
        if entry.kind == "tick":
            self._tell(self.session.tick())
        elif entry.word is not None:
            self._obey(entry.word)
        else:
            with self.turn():
                rows = self.totals.records
                self.totals.rejected += entry.rejected
                self.counters.adopt(entry.marks)
                result = self._feed(list(entry.records), list(entry.rejects), entry.rejected)
                told = replace(result, readings=entry.readings)
                if entry.key is not None:
                    self._answers.once(entry.key, entry.digest, lambda: answer_of(told))
                return self.totals.records - rows
        return 0

    def positions(self) -> dict[str, Any]:
        """Return the server's data for the state, by name."""
        session = self.session
        self._positions |= session.feeds.positions()
        own = {
            "newest": session.newest,
            "live": session.live,
            "ahead": session.clock.snapshot(),
            "recent": self.recent.snapshot(),
            "answers": self._answers.snapshot(),
            "counters": self.counters.snapshot(),
            "positions": self._positions,
            "journal": self._segment,
        }
        return {SERVE: own}

    def restore(self, found: Mapping[str, Any], state: str) -> None:
        """Restore the server's data from the file `state`. Raise ConfigError if it is not valid."""
        own = found.get(SERVE)
        if own is None:
            return
        session = self.session
        try:
            session.newest, session.live = int(own["newest"]), bool(own["live"])
            session.clock.restore(own.get("ahead", 0.0))  # in older states the stream's clock was the wall clock
            self.recent.restore(own["recent"])
            self._answers.restore(own["answers"])
            self.counters.restore(own.get("counters", ()))  # missing in older states
            self._positions = dict(own["positions"])
            self._segment = int(own.get("journal", 0))  # missing in older states
            # a followed file contains the rows that were written while the server was stopped; clients and pipes do
            # not
            if self.journal is None or not self.journal.waits(self._segment):
                session.begin(deaf=self.settings.tail in (None, "-"))
        except (KeyError, TypeError, ValueError, AttributeError) as bad:
            raise ConfigError(f"{state}: is damaged ({bad!r}). txmon did not change it.") from bad

    def kept(self, kept: bool) -> None:
        """Delete the journal entries that are no longer needed."""
        if kept and self.journal is not None:
            self.journal.drop(self._segment)

    def finish(self, patience: float | None = None) -> bool:
        """Finish: write the state, or close open buckets if there is none. Return whether everything was written.

        It writes no state if a request is still being processed after `patience` seconds, because a state must not
        contain half a request.
        """
        try:
            with self.turn(patience):
                if self.settings.state is None:
                    self._tell(self.session.finish())
                    return True
                self.session.obey(self._obey)
                return self.save()
        except Busy:
            self.session.troubles.add("state", "ended in the middle of a request; of what came since, nothing is kept")
            return False
        finally:
            self.feed.hub.close()
            if self.journal is not None:
                self.journal.close()

    @property
    def trouble(self) -> str:
        """Return the current troubles on one line, or "" if there are none."""
        return self.session.troubles.text

    def report(self) -> list[str]:
        """Return lines about the run so far, as `watch` reports it, and about the server."""
        verdicts = self.totals.verdicts or {}
        given = ", ".join(f"{count} {word}" for word, count in verdicts.items()) or "none"
        with self.lock:
            lines = self.session.statistics()
        return [*lines, f"verdicts: {given}; clients of the live feed: {len(self.feed.hub)}"]

    def farewell(self) -> list[str]:
        """Return lines about what was not counted, and why."""
        return self.session.summary()

    def overview(self) -> dict[str, object]:
        """Return the data that the page starts with. The events after `position` continue it."""
        with self.lock:
            recent = self.recent
            return {
                "position": self.feed.hub.position(),
                "bucket": self.settings.bucket,
                "total": TOTAL,
                "series": {status: list(points) for status, points in recent.series.items()},
                "trends": {status: {"slope": round(t.slope, 2), "name": t.name} for status, t in recent.trends.items()},
                "hour": recent.last_hour(),
                "incidents": [row for row in self._rows() if row["state"] != "resolved"],
                "keys": len({key for key, _ in recent.keys.series()}),
                "open": self.feed.shown,
                "silences": self._silences(),
                "trouble": self.trouble,
                "now": iso(int(self._now())),
                "last": None if recent.last is None else iso(recent.last),
            }

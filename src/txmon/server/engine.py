"""The pipeline behind the endpoint: fed by requests in turn, kept going by a clock, asked and saved in between."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from txmon.errors import ConfigError
from txmon.ingest.aggregate.ledger import Item, Tally
from txmon.ingest.records import Reject
from txmon.ingest.rejects import RejectLog
from txmon.model.keys import TOTAL
from txmon.model.outcome import Outcome
from txmon.model.verdict import Verdict
from txmon.pipeline.pipeline import Pipeline, Place
from txmon.runtime.session import SERVE, LiveSession
from txmon.server.feed import PageFeed
from txmon.server.history import Recent
from txmon.server.idempotency import IdempotencyCache
from txmon.server.locks import Busy, QueuedLock, WriterLock
from txmon.server.receipt import IngestResult, Totals, places_of
from txmon.settings.declarations import Settings

ANSWERED: Final = 1000  # verdicts in one answer
STEP: Final = 0.01  # seconds of work, about, between two moments in which others may ask
SHOWN: Final = 100  # buckets that close at once and are sent one by one; after more, listeners ask anew

Sink = Callable[[Outcome], None]


class Engine:
    """Feeds a live session from many threads, and tells sinks and the live feed what comes out.

    One thread has the turn: it feeds, or saves, and all others that want to do so wait. What it changes it changes
    under the lock, for a moment at a time, so that those who only ask are answered though it closes days of buckets.
    """

    def __init__(
        self,
        settings: Settings,
        pipeline: Pipeline,
        clock: Callable[[], float],
        log: RejectLog | None = None,
        sinks: Sequence[Sink] = (),
    ) -> None:
        """clock: epoch seconds. sinks: called in order, in turn; one that raises OSError is counted."""
        self.settings = settings
        self.pipeline = pipeline
        self.clock = clock
        # a server's stream goes on by the wall clock: its state is of use after a restart
        self.session = LiveSession(settings, pipeline, log or RejectLog(), clock, clock, live_only=True)
        self.session.hold(2 * settings.bucket)  # after a restart, clients get time to send what they could not
        self.lock = QueuedLock()
        self.turn = WriterLock()
        self.recent = Recent(settings.bucket)
        self.feed = PageFeed()
        self.totals = Totals(verdicts={})
        self._sinks = sinks
        self._answers = IdempotencyCache()
        self._positions: dict[str, Any] = {}  # where files go on that the state knows, followed now or not

    def take(self, items: Iterable[Item | Reject]) -> IngestResult:
        """Parse and feed `items`; an exception of theirs, or Busy, is raised before anything is fed."""
        with self.turn():
            records, rejects = self._sorted(items)
            bucketer = self.pipeline.bucketer
            late, repeated = bucketer.late, bucketer.repeated
            # before they are fed: a tally may become the bucket that others add to
            places = dict.fromkeys([place for item in records for place in places_of(item, bucketer.width)])
            accepted = sum([item.rows if isinstance(item, Tally) else 1 for item in records])
            closed: dict[Place, Verdict] = {}
            for outcome in self._publish(self.session.feed(records)):
                closed.update({place: v for v in outcome.verdicts if (place := (v.time, v.key, v.status)) in places})
            answered = list(places)[-ANSWERED:]
            with self.lock:
                found = [closed.get(place) or self.pipeline.assess_open(place) for place in answered]
            verdicts = [verdict for verdict in found if verdict is not None]
            self.totals.records += accepted
            return IngestResult(
                accepted, bucketer.repeated - repeated, bucketer.late - late, verdicts,
                len(places) - len(answered), rejects,
            )  # fmt: skip

    def latest(self) -> int:
        """Return the latest time that a record may have, epoch seconds."""
        return self.session.latest()

    def _sorted(self, items: Iterable[Item | Reject]) -> tuple[list[Item], list[Reject]]:
        everything = list(items)
        rejects = [item for item in everything if isinstance(item, Reject)]
        records = [item for item in everything if not isinstance(item, Reject)]
        for reject in rejects:
            self.session.log.add(reject)
        self.totals.rejected += len(rejects)
        return records, rejects

    def assess(self, place: Place) -> Verdict | None:
        """The verdict on what a series has by now, on either side; None where its bucket is no longer known."""
        with self.lock:
            return self.pipeline.assess(place)

    def _publish(self, outcomes: Iterable[Outcome]) -> Iterator[Outcome]:
        """Tell what comes out and hand it on, in steps between which others may ask."""
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
        """The next outcomes of `rest`, as many as come within a moment; `told` came before them."""
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
        """Remember an outcome for those who ask, and tell those who listen."""
        verdicts = self.totals.verdicts
        assert verdicts is not None
        for verdict in outcome.verdicts:
            verdicts[verdict.recommendation] = verdicts.get(verdict.recommendation, 0) + 1
        points = self.recent.accept(outcome)
        self.feed.publish(outcome, points if shown else {}, self.recent)

    def _write(self, outcome: Outcome) -> None:
        for sink in self._sinks:
            try:
                sink(outcome)
                self.session.troubles.clear("output")
            except OSError as bad:  # detection goes on; the page and /readyz say so
                self.totals.sink_failures += 1
                self.session.troubles.add("output", f"the output cannot be written: {bad.strerror}")

    def tick(self, patience: float | None = None) -> None:
        """What time alone does: buckets close, early alerts go out, the state is written.

        None of it where others have the turn for the next `patience` seconds.
        """
        try:
            with self.turn(patience):
                self._move_on()
            began = time.monotonic()
            if self.settings.state is not None and self.session.saver.due(began):
                self.session.obey(self._obey)
                if self.session.changed:
                    self.save(patience)
                self.session.saver.wrote(began, time.monotonic())
        except Busy:
            return

    def _move_on(self) -> None:
        self._tell(self.session.tick())
        self._tell(self.session.peek())
        with self.lock:
            bucket = self.pipeline.bucketer.newest()
            if bucket is not None:
                self.feed.show(bucket.start, bucket.counts.values())

    def _tell(self, outcomes: Iterable[Outcome]) -> None:
        for _ in self._publish(outcomes):
            pass  # told

    def _obey(self, identity: str, normal: bool) -> None:
        """Do what `txmon ack` asks for, which leaves word beside the state."""
        with self.lock:
            self.session.acknowledge(identity, normal)
        self.acknowledge(identity)

    def acknowledge(self, identity: str) -> Mapping[str, object] | None:
        """Stop the reminders of an open incident; its row, or None where none is open under that id."""
        with self.lock:
            if not self.pipeline.tracker.acknowledge(identity):
                return None
            self.session.changed = True
            row = next(row for row in self._rows() if row["id"] == identity)
            self.feed.incident(row)
            return row

    def incidents(self) -> list[dict[str, object]]:
        """Incidents lately resolved and all open ones as they stand, newest last."""
        with self.lock:
            return self._rows()

    def _rows(self) -> list[dict[str, object]]:
        for incident in self.pipeline.tracker.open():
            self.recent.refresh(incident)
        return [row.public() for row in self.recent.incidents.values()]

    def once(self, key: str | None, digest: str, make: Callable[[], tuple[int, str]]) -> tuple[int, str] | None:
        """`make`'s answer, or the one given before under `key`; None where that was to another request."""
        if key is None:
            return make()
        with self.turn():
            return self._answers.once(key, digest, make)

    def adopt(self, settings: Settings) -> list[str]:
        """Go on with what can change of `settings`, as `LiveSession.adopt`, when it is this thread's turn."""
        with self.turn(), self.lock:
            lines = self.session.adopt(settings)
            self.settings, self.pipeline = self.session.settings, self.session.pipeline
            return lines

    def save_now(self) -> bool:
        """Write the state, if there is one, though it is not time for that; whether it is written."""
        try:
            return self.settings.state is None or self.save()
        except Busy:
            return False

    def save(self, patience: float | None = None) -> bool:
        """Write the state; whether that worked. A failure is a trouble, and tried again later. Or Busy."""
        return self.session.save(self._quiet(patience))

    @contextmanager
    def _quiet(self, patience: float | None) -> Iterator[None]:
        """Let nobody change or see anything; only while the state is copied, so that the disk does not hold them up."""
        with self.turn(patience), self.lock:
            yield

    def positions(self) -> dict[str, Any]:
        """Return what the state is to keep of the server, by name."""
        session = self.session
        self._positions |= session.feeds.positions()
        own = {
            "newest": session.newest,
            "live": session.live,
            "ahead": session.clock.snapshot(),
            "recent": self.recent.snapshot(),
            "answers": self._answers.snapshot(),
            "positions": self._positions,
        }
        return {SERVE: own}

    def restore(self, found: Mapping[str, Any], state: str) -> None:
        """Take over what the file `state` keeps of the server; ConfigError where that cannot be."""
        own = found.get(SERVE)
        if own is None:
            return
        session = self.session
        try:
            session.newest, session.live = int(own["newest"]), bool(own["live"])
            session.clock.restore(own.get("ahead", 0.0))  # before it was kept, the stream's clock was the wall's
            self.recent.restore(own["recent"])
            self._answers.restore(own["answers"])
            self._positions = dict(own["positions"])
        except (KeyError, TypeError, ValueError, AttributeError) as bad:
            raise ConfigError(f"{state}: does not hold together ({bad!r}); it is left as it is") from bad

    def kept(self, kept: bool) -> None:
        """Do nothing: what was not written is still in memory."""

    def finish(self, patience: float | None = None) -> bool:
        """End: write the state, or close what is open where there is none; whether all was written.

        Not where a request is still worked on after `patience` seconds: half of it is in no state that may be kept.
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

    @property
    def trouble(self) -> str:
        """What does not work now, on one line; empty where all does."""
        return self.session.troubles.text

    def farewell(self) -> list[str]:
        """What was not counted, and why, a line each."""
        return [*self.session.log.summary(), *self.pipeline.bucketer.summary()]

    def overview(self) -> dict[str, object]:
        """All that the page begins with; events after `position` continue it."""
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
                "open": self.feed.shown,
                "trouble": self.trouble,
            }

"""The pipeline behind the endpoint: one lock around it, fed by requests, kept going by a clock, saved in between."""

import marshal
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from .. import state
from ..assembly import depended_on
from ..errors import IoFailure
from ..inbox import take_acknowledgements
from ..live import EventClock
from ..pipeline import Pipeline
from ..records import Reject
from ..rejects import RejectLog
from ..settings import Settings
from ..tally import Item, Tally
from ..verdict import TOTAL, Key, Outcome, Verdict
from .feed import PageFeed
from .receipt import GivenAnswer, Receipt, Totals
from .recent import Recent

ANSWERED: Final = 1000  # verdicts in one answer
LIVE: Final = 900  # seconds of age up to which a feed's newest record shows that it is live, and not a past replayed
REMEMBERED: Final = 2000  # answers kept by Idempotency-Key
REMEMBERED_BYTES: Final = 8 << 20

Sink = Callable[[Outcome], None]
Place = tuple[int, Key, str]  # bucket, key, status


class Engine:
    """Feeds the pipeline from many threads, and tells sinks and the live feed what comes out."""

    def __init__(
        self,
        settings: Settings,
        pipeline: Pipeline,
        clock: Callable[[], float],
        log: RejectLog | None = None,
        sinks: Sequence[Sink] = (),
        more: Callable[[], Mapping[str, Any]] = dict,
    ) -> None:
        """clock: epoch seconds. sinks: called in order under the lock; one that raises OSError is counted.

        more: what else the state is to keep, by name; asked for under the lock.
        """
        self.settings = settings
        self.pipeline = pipeline
        self.clock = clock
        self.lock = threading.RLock()
        self.recent = Recent(settings.bucket)
        self.feed = PageFeed()
        self.totals = Totals(verdicts={})
        self.troubles: dict[str, str] = {}  # failures that last: of the output, the state, the tailed file
        self.positions: dict[str, Any] = {}  # where tailed files go on, by name
        self._log = log or RejectLog()
        self._sinks = sinks
        self._more = more
        self._answers: OrderedDict[str, GivenAnswer] = OrderedDict()
        self._answers_size = 0
        self._newest = 0  # event time
        self._live = False  # whether the newest record came about when it happened
        self._stream = EventClock()
        self._began = clock()
        self._saver = state.Saver(time.monotonic())
        self._dirty = False

    def take(self, items: Iterable[Item | Reject]) -> Receipt:
        """Parse and feed `items`; an exception of theirs is raised before anything is fed."""
        with self.lock:
            records, rejects = self._sorted(items)
            bucketer = self.pipeline.bucketer
            late, repeated = bucketer.late, bucketer.repeated
            # before they are fed: a tally may become the bucket that others add to
            places = dict.fromkeys([place for item in records for place in _places(item, bucketer.width)])
            accepted = sum([item.rows if isinstance(item, Tally) else 1 for item in records])
            closed: dict[Place, Verdict] = {}
            for outcome in self.pipeline.feed(records):
                self._tell(outcome)
                closed.update({(v.time, v.key, v.status): v for v in outcome.verdicts})
            answered = list(places)[-ANSWERED:]
            verdicts = [v for v in (closed.get(place) or self._now(place) for place in answered) if v is not None]
            self.totals.records += accepted
            self._dirty = True
            return Receipt(
                accepted, bucketer.repeated - repeated, bucketer.late - late, verdicts,
                len(places) - len(answered), rejects,
            )  # fmt: skip

    def latest(self) -> int:
        """The latest time a record may have, epoch seconds: one from the future would make all others late for good."""
        return int(self.clock()) + self.settings.max_ahead

    def _sorted(self, items: Iterable[Item | Reject]) -> tuple[list[Item], list[Reject]]:
        everything = list(items)
        rejects = [item for item in everything if isinstance(item, Reject)]
        records = [item for item in everything if not isinstance(item, Reject)]
        for reject in rejects:
            self._log.add(reject)
        self.totals.rejected += len(rejects)
        newest = max([record.time for record in records], default=-1)
        if records:
            now = self.clock()
            self._stream.note(newest, now, now)
            if newest >= self._newest:
                self._newest = newest
                self._live = now - newest <= self.pipeline.bucketer.lateness + max(LIVE, 2 * self.settings.bucket)
        return records, rejects

    def _now(self, place: Place) -> Verdict | None:
        """What a series means in a bucket that is open or was corrected; None where it is too old to know."""
        verdict = self.assess(place)
        if verdict is None:
            return None
        if verdict.recommendation == "alert" and verdict.score < 0 and self._is_open(place[0]):
            return verdict.changed(recommendation="ok", reasons=())  # it has every chance to come up yet
        return verdict

    def _is_open(self, start: int) -> bool:
        return self.pipeline.bucketer.is_open(start)

    def assess(self, place: Place) -> Verdict | None:
        """The verdict on what a series has by now, on either side; None where its bucket is no longer known."""
        start, key, status = place
        counts = self.pipeline.bucketer.counts(start, key)
        if counts is None:
            return None
        verdict = self.pipeline.detector.assess(start, key, status, counts)
        if verdict is None:
            count, total = counts.get(status, 0), sum(counts.values())
            text = f"warming up: {count} {status}"
            verdict = Verdict(start, status, key, count, total, 0.0, 0, 0, 0.0, 1, "warming", (), text)
        partial = self._is_open(start)
        incident = self._incident(key, status) if verdict.recommendation == "alert" else None
        return verdict.changed(partial=partial, revises=not partial, incident=incident)

    def _incident(self, key: Key, status: str) -> str | None:
        for incident in self.pipeline.tracker.open():
            if incident.key == key and status in incident.members:
                return incident.id
        return None

    def _tell(self, outcome: Outcome) -> None:
        verdicts = self.totals.verdicts
        assert verdicts is not None
        for verdict in outcome.verdicts:
            verdicts[verdict.recommendation] = verdicts.get(verdict.recommendation, 0) + 1
        points = self.recent.accept(outcome)
        self.feed.publish(outcome, points, self.recent)
        for sink in self._sinks:
            try:
                sink(outcome)
                self.troubles.pop("output", None)
            except OSError as bad:  # detection goes on; the page and /readyz say so
                self.totals.sink_failures += 1
                self.troubles["output"] = f"the output cannot be written: {bad.strerror}"

    def tick(self) -> None:
        """What time alone does: buckets close, early alerts go out, the state is written."""
        with self.lock:
            now = self.clock()
            # after a restart, clients get time to send what they could not send meanwhile
            there = self._stream.now(now)
            if self._live and there is not None and now - self._began >= 2 * self.settings.bucket:
                self._publish(self.pipeline.advance(there - self.pipeline.bucketer.lateness))
            self._publish(self.pipeline.peek())
            bucket = self.pipeline.bucketer.newest()
            if bucket is not None:
                self.feed.show(bucket.start, bucket.counts.values())
        began = time.monotonic()
        if self.settings.state is not None and self._saver.due(began):
            self._take_acknowledgements(self.settings.state)
            if self._dirty:
                self.save()
            self._saver.wrote(began, time.monotonic())

    def _publish(self, outcomes: Iterable[Outcome]) -> None:
        for outcome in outcomes:
            self._tell(outcome)
            self._dirty = True

    def _take_acknowledgements(self, path: str) -> None:
        """Obey `txmon ack`, which leaves word beside the state."""
        for identity, normal in take_acknowledgements(path):
            with self.lock:
                self.pipeline.acknowledge(identity, normal)
                self.acknowledge(identity)

    def acknowledge(self, identity: str) -> Mapping[str, object] | None:
        """Stop the reminders of an open incident; its row, or None where none is open under that id."""
        with self.lock:
            if not self.pipeline.tracker.acknowledge(identity):
                return None
            self._dirty = True
            row = next(row for row in self.incidents() if row["id"] == identity)
            self.feed.incident(row)
            return row

    def incidents(self) -> list[dict[str, object]]:
        """Incidents lately resolved and all open ones as they stand, newest last."""
        with self.lock:
            for incident in self.pipeline.tracker.open():
                self.recent.refresh(incident)
            return [row.public() for row in self.recent.incidents.values()]

    def once(self, key: str | None, digest: str, make: Callable[[], tuple[int, str]]) -> tuple[int, str] | None:
        """`make`'s answer, or the one given before under `key`; None where that was to another request."""
        if key is None:
            return make()
        with self.lock:
            before = self._answers.get(key)
            if before is not None:
                return (before.status, before.body) if before.digest == digest else None
            status, body = make()
            self._remember(key, GivenAnswer(digest, status, body))
            return status, body

    def _remember(self, key: str, answer: GivenAnswer) -> None:
        self._answers[key] = answer
        self._answers_size += len(answer.body)
        while len(self._answers) > REMEMBERED or self._answers_size > REMEMBERED_BYTES:
            self._answers_size -= len(self._answers.popitem(last=False)[1].body)

    def save(self) -> bool:
        """Write the state; whether that worked. A failure is kept in `troubles`, and tried again later."""
        path = self.settings.state
        assert path is not None
        with self.lock:  # a copy, so that the disk does not hold up requests
            copy = marshal.dumps((self.pipeline.snapshot(), {**self._more(), "serve": self._own()}))
            self._dirty = False
        pipeline, sources = marshal.loads(copy)
        try:
            state.save(path, state.State(depended_on(self.settings), pipeline, sources))
        except IoFailure as bad:
            self.totals.save_failures += 1
            self.troubles["state"] = str(bad)
            self._dirty = True
            return False
        self.totals.saved = self.clock()
        self.troubles.pop("state", None)
        return True

    def _own(self) -> dict[str, object]:
        return {
            "newest": self._newest,
            "live": self._live,
            "ahead": self._stream.ahead,
            "recent": self.recent.snapshot(),
            "answers": [[key, a.digest, a.status, a.body] for key, a in self._answers.items()],
            "positions": self.positions,
        }

    def restore(self, sources: Mapping[str, Any]) -> None:
        """Take over what a state file says of the server; KeyError, TypeError or ValueError where that cannot be."""
        own = sources.get("serve")
        if own is None:
            return
        self._newest, self._live = int(own["newest"]), bool(own["live"])
        ahead = own.get("ahead", 0.0)  # before it was kept, the stream's clock was the wall's
        self._stream.ahead = None if ahead is None else float(ahead)
        self.recent.restore(own["recent"])
        for key, digest, status, body in own["answers"]:
            self._remember(key, GivenAnswer(digest, status, body))
        self.positions = dict(own["positions"])

    def finish(self) -> bool:
        """End: write the state, or close what is open where there is none; whether all was written."""
        written = True
        with self.lock:
            if self.settings.state is None:
                self._publish(self.pipeline.finish())
        if self.settings.state is not None:
            self._take_acknowledgements(self.settings.state)
            written = self.save()
        self.feed.hub.close()
        return written

    @property
    def trouble(self) -> str:
        """What does not work now, on one line; empty where all does."""
        return "; ".join(self.troubles.values())

    def farewell(self) -> list[str]:
        """What was not counted, and why, a line each."""
        return [*self._log.summary(), *self.pipeline.bucketer.summary()]

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
                "incidents": [row for row in self.incidents() if row["state"] != "resolved"],
                "open": self.feed.shown,
                "trouble": self.trouble,
            }


def _places(item: Item, width: int) -> list[Place]:
    """What a record, or each of those that were added up, counts to."""
    if isinstance(item, Tally):
        return [(item.start, key, status) for key, statuses in item.counts.items() for status in statuses]
    return [(item.time - item.time % width, item.key, item.status)]

"""The whole story in one loop: records in, one outcome a closed bucket out."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from txmon.detection.detail import DetailCounts
from txmon.detection.detector import BucketJudge
from txmon.detection.driver_watch import DriverWatch
from txmon.detection.driver_watch import Place as ValuePlace
from txmon.detection.drivers import BucketParts, DriverBook
from txmon.detection.money import MoneyBook
from txmon.ingest.aggregate.ledger import Item
from txmon.model.drivers import Drivers
from txmon.model.keys import TOTAL, Key
from txmon.model.outcome import Outcome
from txmon.model.statuses import shown
from txmon.model.verdict import Stated, Verdict
from txmon.pipeline.buckets import Bucketer, Correction, OpenBucket
from txmon.pipeline.coverage import REASONS, Coverage, Mark
from txmon.pipeline.incidents import IncidentTracker
from txmon.pipeline.rules import RuleBook
from txmon.pipeline.trends import TrendTracker

OPENING: Final = 900  # seconds after closed hours in which too little does not alert
PARTIALS: Final = 100_000  # early alerts remembered, so that each is given once
Place = tuple[int, Key, str]  # bucket, key, status


def summed(counts: Mapping[Key, Mapping[str, int]]) -> dict[str, int]:
    """Return the transactions by status over all keys."""
    sums: dict[str, int] = {}
    for statuses in counts.values():
        for status, count in statuses.items():
            sums[status] = sums.get(status, 0) + count
    return sums


class Pipeline:
    """Gathers records into buckets, judges each as it closes, asks the rules, and keeps the incidents."""

    def __init__(
        self,
        bucketer: Bucketer,
        detector: BucketJudge,
        rules: RuleBook,
        tracker: IncidentTracker,
        coverage: Coverage | None = None,
        platform: BucketJudge | None = None,
        drivers: DriverBook | None = None,
    ) -> None:
        """platform: judges all keys together as if the rows had no keys; None without keys, or where others do that.

        drivers: explains alerts by the values of other columns; None without such columns.
        """
        self.drivers = drivers
        self.detail: DetailCounts | None = None  # a second table of counts, which explains alerts too
        self.watch: DriverWatch | None = None  # judges each value of these columns by itself
        self.bucketer = bucketer
        self.platform = platform
        self.coverage = coverage or Coverage(bucketer.width)
        self.detector = detector
        self.rules = rules
        self.tracker = tracker
        self._trends = TrendTracker(bucketer.width, detector.config.role)
        self._opened = -1  # when the closed hours ended, epoch seconds, while that is not long ago
        self._early: dict[tuple[int, object, str], None] = {}  # partial alerts given
        self.defers = False  # buckets that records close are judged by `settle`, and not while records are fed
        self._due: list[OpenBucket] = []  # closed, and not judged yet
        self._settling = False
        self._money = MoneyBook()

    def run(self, records: Iterable[Item]) -> Iterator[Outcome]:
        """All outcomes of a stream that ends."""
        yield from self.feed(records)
        yield from self.finish()

    def feed(self, records: Iterable[Item]) -> Iterator[Outcome]:
        """Take `records` in order of arrival; yield an outcome for each bucket that they close."""
        for bucket in self.bucketer.add(records):
            self._due.append(bucket)
            if not self.defers:
                yield from self.settle()

    def settle(self) -> Iterator[Outcome]:
        """Judge the buckets that have closed. While that goes on, records may be fed, as long as none is late."""
        if self._settling:
            return
        self._settling = True
        try:
            while self._due:
                yield from self._conclude(self._due.pop(0))
        finally:
            self._settling = False

    def judges(self) -> list[BucketJudge]:
        """Return all that judges: the keys, and where there are any, all of them together."""
        return [self.detector] if self.platform is None else [self.detector, self.platform]

    @property
    def unsettled(self) -> int:
        """How many buckets have closed and are not judged yet."""
        return len(self._due)

    def advance(self, watermark: int) -> Iterator[Outcome]:
        """Close what ended before `watermark` (epoch seconds): the clock says so, not a record."""
        for bucket in self.bucketer.advance(watermark):
            self._due.append(bucket)
            yield from self.settle()

    def finish(self) -> Iterator[Outcome]:
        """Close what is still open: the stream has ended."""
        for bucket in self.bucketer.flush():
            self._due.append(bucket)
            yield from self.settle()
        yield from self._correct()

    def peek(self) -> list[Outcome]:
        """Alerts of buckets that are still open and already beyond their line; each once."""
        found: dict[int, list[Verdict]] = {}
        for bucket, key, status in self.bucketer.grown():
            place = (bucket.start, key, status)
            if place in self._early:
                continue
            if self.coverage.mark(bucket.start, False) == "closed":
                continue
            verdict = self.detector.assess(bucket.start, key, status, bucket.counts[key])
            # only what is above: an open bucket has every chance to come up yet
            if verdict is not None and verdict.recommendation == "alert" and verdict.score > 0:
                self._early[place] = None
                verdict = self._explained(bucket, verdict.changed(partial=True))
                found.setdefault(bucket.start, []).append(verdict)
        while len(self._early) > PARTIALS:
            del self._early[next(iter(self._early))]
        return [Outcome(start, found[start]) for start in sorted(found)]

    def _conclude(self, bucket: OpenBucket) -> Iterator[Outcome]:
        yield from self._correct()
        mark = "unobserved" if bucket.astray else self.coverage.mark(bucket.start, not bucket.counts)
        self.coverage.passed(bucket.start)
        if mark is not None:
            if mark == "closed":
                self._opened = bucket.start + self.bucketer.width
            yield self._unjudged(bucket, mark)
            return
        judged = self.detector.judge(bucket.start, bucket.counts, bucket.whole, bucket.sample)
        whole: list[Verdict] = []
        if self.platform is not None:
            sums = self.detector.whole
            whole = self.platform.judge(bucket.start, {(): sums} if sums else {})
        trends, rises = self._trends.observe(bucket.start, self.detector.whole)
        if self._opened >= 0:
            whole, judged = self._opening(bucket.start, [whole, judged])
        # rules are meant for what a line of the input has: with keys, for each of them
        if self.rules.rules or self.rules.only:
            judged = self.rules.apply(judged, bucket.counts, trends)
        if self.detail is not None:
            self.detail.reach(bucket.start)
        judged = self._explained_all(bucket, whole + judged if whole else judged)
        if self.detail is not None and not any(one.recommendation == "alert" for one in judged):
            self.detail.learn(bucket.start)
        self._money.learn(bucket.start, bucket.counts, bucket.money, judged, self.detector.whole)
        parts, values, pieces = self._watched(bucket, judged)
        verdicts, events = self.tracker.observe(bucket.start, judged + parts if parts else judged)
        if self.drivers is not None and pieces is not None:
            odd = [(one.key, one.status) for one in judged if one.recommendation in ("alert", "pending")]
            self.drivers.learn(bucket.start, pieces, odd, values)
        count = len(judged)
        yield Outcome(bucket.start, verdicts[:count] if parts else verdicts, events, trends, rises, verdicts[count:])

    def _watched(
        self, bucket: OpenBucket, judged: list[Verdict]
    ) -> tuple[list[Verdict], set[ValuePlace], BucketParts | None]:
        """The verdicts on values that fail by themselves, which are off normal, and what the bucket has of each."""
        if self.drivers is None:
            return [], set(), None
        pieces = BucketParts(bucket.leaves, len(self.drivers.columns))
        if self.watch is None:
            return [], set(), pieces
        busy = {one.status for one in judged if one.recommendation == "alert"}
        found, odd = self.watch.judge(bucket.start, pieces, self.drivers, busy)
        return found, odd, pieces

    def _explained_all(self, bucket: OpenBucket, judged: list[Verdict]) -> list[Verdict]:
        """The same verdicts; those that are not ok say what their excess is worth."""
        return [self._explained(bucket, one) if one.recommendation in ("alert", "pending") else one for one in judged]

    def _explained(self, bucket: OpenBucket, verdict: Verdict) -> Verdict:
        """The same verdict with what its excess is worth, and an alert with what drives it."""
        money = self._money.value(verdict, bucket.money)
        drivers: Drivers | None = None
        # without transactions there are no values: nothing to say of where is not the same as "spread evenly"
        if self.drivers is not None and verdict.recommendation == "alert" and verdict.total > 0:
            window = 1 if verdict.partial else verdict.window
            leaves = self.bucketer.leaves(bucket.start, window)
            if leaves:
                expected = verdict.window_expected * len(leaves) / window if window > 1 else verdict.expected
                above = verdict.score > 0.0 if verdict.score else verdict.count > verdict.expected
                drivers = self.drivers.explain(verdict.key, verdict.status, expected, leaves, above)
        alerts = verdict.recommendation == "alert" and verdict.total > 0 and not verdict.partial
        if self.detail is not None and not drivers and alerts:
            told = self.detail.explain(bucket.start, self.bucketer.width, verdict.window, verdict.window_excess)
            drivers = told if told or drivers is None else drivers
        return verdict.explained(money, drivers) if money or drivers is not None else verdict

    def _opening(self, start: int, judged: list[list[Verdict]]) -> list[list[Verdict]]:
        """Let little pass for a while after closed hours: the level is still that of the hour of closing.

        Nothing at all is a feed that did not open, and alerts.
        """
        if start >= self._opened + OPENING:
            self._opened = -1
            return judged
        return [
            [
                verdict.changed(recommendation="ok", reasons=("opening",))
                if verdict.score < 0.0 and verdict.total > 0 and verdict.recommendation in ("alert", "pending")
                else verdict
                for verdict in some
            ]
            for some in judged
        ]

    def _unjudged(self, bucket: OpenBucket, mark: Mark) -> Outcome:
        """The outcome of a bucket that nobody observed, or in closed hours: it teaches nothing.

        What is too much in a bucket that was observed in part is too much all the same, and alerts.
        """
        verdicts: list[Verdict] = []
        for key, counts in bucket.counts.items():
            for status in (*counts, TOTAL):
                verdict = self._assessed(bucket.start, key, status, counts)
                verdicts.append(self._marked(verdict, mark))
        if self.platform is not None and bucket.counts:
            sums = summed(bucket.counts)
            whole = [self._assessed(bucket.start, (), status, sums) for status in (TOTAL, *sums)]
            verdicts = [self._marked(verdict, mark) for verdict in whole] + verdicts
        if not bucket.counts and bucket.whole is None:  # a shard of a cluster does not speak for all keys
            verdicts.append(self._marked(self._assessed(bucket.start, (), TOTAL, {}), mark))
        trends = self._trends.skip(bucket.start)
        if not any(verdict.recommendation == "alert" for verdict in verdicts):
            return Outcome(bucket.start, verdicts, (), trends)
        verdicts, events = self.tracker.observe(bucket.start, verdicts)
        return Outcome(bucket.start, verdicts, events, trends)

    def _assessed(self, start: int, key: Key, status: str, counts: dict[str, int]) -> Verdict:
        """The verdict on one count by itself, `warming` where too little is known of the series."""
        verdict = self._judge_of(key).assess(start, key, status, counts)
        if verdict is None:
            total = sum(counts.values())
            count = total if status == TOTAL else counts.get(status, 0)
            text = f"warming up: {count} {'transactions' if status == TOTAL else shown(status)}"
            verdict = Verdict(start, status, key, count, total, 0.0, 0.0, 1, "warming", (), Stated(0, 0, text))
        return verdict

    def _marked(self, verdict: Verdict, mark: Mark) -> Verdict:
        """The verdict on a series of a bucket that is not judged, which says why."""
        if mark == "unobserved" and verdict.recommendation == "alert" and verdict.score > 0.0:
            return verdict.changed(reasons=(*verdict.reasons, "unobserved"))
        what = f"{verdict.count} {'transactions' if verdict.status == TOTAL else shown(verdict.status)}"
        if mark == "closed":
            text = f"closed hours: {what}"
        elif verdict.count == 0:
            text = "not observed: txmon was not running or not connected"
        else:
            text = f"observed in part: {what}"
        return Verdict(
            verdict.time, verdict.status, verdict.key, verdict.count, verdict.total, verdict.expected, 0.0, 1, "ok",
            REASONS[mark], Stated(verdict.low, verdict.high, text),
        )  # fmt: skip

    def _correct(self) -> Iterator[Outcome]:
        for correction in self.bucketer.corrections():
            verdicts = self._revised(correction)
            if verdicts:
                yield Outcome(correction.start, verdicts)

    def _revised(self, correction: Correction) -> list[Verdict]:
        """The verdicts of what late records changed, and of their keys' volumes."""
        places = dict.fromkeys(correction.changed)
        places |= dict.fromkeys((key, TOTAL) for key, _ in correction.changed)
        counts: Mapping[Key, dict[str, int]] = correction.counts
        if self.platform is not None:
            counts = {**counts, (): summed(counts)}
            places = dict.fromkeys(((), status) for _, status in places) | places
        verdicts = []
        for key, status in places:
            # while a series warms up too: the count of a line must become right
            verdict = self._assessed(correction.start, key, status, counts[key])
            mark = self.coverage.mark(correction.start, False)
            verdicts.append((verdict if mark is None else self._marked(verdict, mark)).changed(revises=True))
        return verdicts

    def _judge_of(self, key: Key) -> BucketJudge:
        """Return the detector that knows the series of `key`."""
        return self.platform if self.platform is not None and not key else self.detector

    def summary(self) -> list[str]:
        """Return what was not counted or was forgotten, one line each."""
        lines = self.bucketer.summary()
        if self.detector.forgotten:
            lines.append(f"{self.detector.forgotten} keys were forgotten: idle (--idle), or too many (--max-series)")
        if self.detector.folded:
            text = "counts of statuses beyond the 1000 that a key may have were added up as (other)"
            lines.append(f"{self.detector.folded} {text}")
        return lines

    def ignore(self, identity: str, author: str = "", note: str = "") -> bool:
        """Acknowledge an open incident, and keep what it brought out of the baselines. Whether it is open."""
        incident = self.tracker.find(identity)
        if incident is None:
            return False
        self.tracker.acknowledge(identity, author, note)
        self._judge_of(incident.key).exclude(incident.key, tuple(incident.members))
        return True

    def accept(self, identity: str, author: str = "", note: str = "") -> bool:
        """Take how an open incident is now for normal, which ends it. Whether it is open."""
        incident = self.tracker.find(identity)
        if incident is None:
            return False
        self.tracker.accept(identity, author, note)
        # a volume of nothing is never a level
        judge = self._judge_of(incident.key)
        judge.accept(incident.key, tuple([one.status for one in incident.members.values() if not one.over]))
        return True

    def snapshot(self, *, lazy: bool = False) -> dict[str, object]:
        """Return all of the state, as values of JSON; between two outcomes only. lazy: as `Roster.snapshot` has it."""
        return {
            "buckets": self.bucketer.snapshot(),
            "detector": self.detector.snapshot(lazy=lazy),
            "rules": self.rules.snapshot(),
            "incidents": self.tracker.snapshot(),
            "trends": self._trends.snapshot(),
            "missed": self.coverage.snapshot(),
            "opened": self._opened,
            "money": self._money.snapshot(),
            "watch": self.watch.snapshot() if self.watch is not None else None,
            "drivers": self.drivers.snapshot() if self.drivers is not None else None,
            "platform": self.platform.snapshot() if self.platform is not None else None,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restore what `snapshot` returned. Raise KeyError, TypeError or ValueError if it is not valid."""
        self.bucketer.restore(state["buckets"])
        self.detector.restore(state["detector"])
        self.rules.restore(state["rules"])
        self.tracker.restore(state["incidents"])
        self._trends.restore(state["trends"])
        # not in older states
        self.coverage.restore(state.get("missed", []))
        self._opened = int(state.get("opened", -1))
        self._money.restore(state.get("money", []))
        drivers = state.get("drivers")
        if self.drivers is not None and drivers is not None:
            self.drivers.restore(drivers)
        watch = state.get("watch")
        if self.watch is not None and watch is not None:
            self.watch.restore(watch)
        platform = state.get("platform")
        if self.platform is not None and platform is not None:
            self.platform.restore(platform)

    def assess(self, place: Place) -> Verdict | None:
        """Return the verdict on what a series has by now, on either side; None where its bucket is no longer known."""
        start, key, status = place
        counts = self.bucketer.counts(start, key)
        if counts is None:
            return None
        verdict = self._assessed(start, key, status, counts)
        mark = self.coverage.mark(start, False)
        if mark is not None:
            verdict = self._marked(verdict, mark)
        partial = self.bucketer.is_open(start)
        incident = self._incident(key, status) if verdict.recommendation == "alert" else None
        return verdict.changed(partial=partial, revises=not partial, incident=incident)

    def assess_open(self, place: Place) -> Verdict | None:
        """Return the same, but no alert where an open bucket has too little: it has every chance to come up yet."""
        verdict = self.assess(place)
        if verdict is None:
            return None
        if verdict.recommendation == "alert" and verdict.score < 0 and verdict.partial:
            return verdict.changed(recommendation="ok", reasons=())
        return verdict

    def _incident(self, key: Key, status: str) -> str | None:
        for incident in self.tracker.open():
            if incident.key == key and status in incident.members and not incident.members[status].over:
                return incident.id
        return None

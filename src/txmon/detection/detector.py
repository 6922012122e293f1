"""The judgement: what the counts of a closed bucket mean, given what was normal before it.

Volume first, then mix. A key's total volume has a level of its own; every status has a share in it. A status is
expected at its share of the usual volume or of this bucket's, whichever is more: a busy sale raises every count and no
share, and a collapse of the volume must not make the other shares explode.
"""

from collections.abc import Callable, Mapping, Sequence
from math import fsum, sqrt
from typing import Any, Final

from txmon.detection.baseline import Baseline
from txmon.detection.episodes import Episodes, Surges
from txmon.detection.hours import PART, RUN, ClosedHours, KeyHours, hours_since
from txmon.detection.joint import JointDeviation
from txmon.detection.judgement import LAG, Judgement, excess_of, judge, judge_one
from txmon.detection.key_series import STATUSES, Bucket, KeyVolume, SeriesState, describe, expect
from txmon.detection.pulses import HOUR, ODD, Pulses
from txmon.detection.registry import BREATH, Roster
from txmon.detection.season import Season
from txmon.detection.tails import LONG_ALERT, Tail
from txmon.detection.thresholds import DetectorConfig, ThresholdTable, raised
from txmon.model.keys import TOTAL, Key, pack_key, unpack_key
from txmon.model.scores import Thresholds, count_score
from txmon.model.verdict import Evidence, Recommendation, Verdict

ALERT_WEIGHT: Final = 0.1  # how much of its usual pace a series keeps learning at while it alerts
RELIEF_WEIGHT: Final = 6.0  # pace at which a series learns that things are better than it thought
RELIEF: Final = 4.0  # sigmas on the safe side over the longest window that mean so
SUSPECT: Final = 2.5  # sigmas on the wrong side over the longest window, from which on a status may be in an incident
SUSPECT_WEIGHT: Final = 0.2  # pace at which such a status learns, so that a slow incident does not teach its own level
RISE: Final = 1.35  # times what was expected in five buckets: what rises less is a morning, which the level follows
TELLING: Final = 1.05  # times the usual threshold, from which on a verdict says so
NARROW: Final = 600  # seconds of a bucket up to which a level follows a day well enough without a season
MOST_BOOKS: Final = 20_000  # series of keys whose pulses are remembered: each may take a kilobyte
FADE_EACH: Final = 60  # buckets between two times that the tails of many series are worked out
PRIOR_BLOCKS: Final = 4.0  # residuals that the dispersion of a status over all keys stands for
SURE_BLOCKS: Final = 20.0  # residuals of a series, from which on its own dispersion is known
MOST_POOLED: Final = 1000  # keys in the mean: a mean of more keys takes longer and is not more exact
LEAST_POOLED: Final = 5  # series that make a mean
MOST_OF_ONE: Final = 10.0  # dispersion that one series brings to it
POOLED: Final = 1.0  # transactions expected in a bucket, below which a key's series has no tail of its own
OPENING: Final = 0.3  # squared relative error of a level when closed hours end: nobody opens to the minute
NOISE: Final = 1.5  # sigmas from what is usual, within which a bucket's volume may differ by chance
MOST_NOISE: Final = 0.25  # of what is usual, likewise
FEW: Final = 3.0  # buckets that a level counts for when the hours in which its key is closed end
BUSY: Final = 5.0  # transactions of a key expected in the shortest closed time, so that a count of 0 cannot be chance
NOTHING: Final[dict[str, int]] = {}
WAITING: Final = "comes in bursts"
CLOSED: Final = "closed at this time on the days before"
# why a series alerts
NO_REASON: Final[tuple[str, ...]] = ()
SCORE: Final[tuple[str, ...]] = ("score",)
SILENCE: Final[tuple[str, ...]] = ("silence",)
TOGETHER: Final[tuple[str, ...]] = ("together",)
LEVEL_SHIFT: Final[tuple[str, ...]] = ("level shift",)


class BucketJudge:
    """Judges each bucket against what it learned from those before, then learns from it."""

    def __init__(self, config: DetectorConfig | None = None) -> None:
        self.config = config or DetectorConfig()
        # of the configuration what every bucket or series asks for
        self._width: int = self.config.bucket
        self._rowless: bool = self.config.rowless
        self._explain: bool = self.config.explain
        self._discount: float = 0.5 ** (self.config.bucket / self.config.half_life)
        self._mix_discount: float = 0.5 ** (self.config.bucket / self.config.mix_half_life)
        self._warmup = int(self.config.warmup // self.config.bucket)
        self._shift = int(self.config.level_shift // self.config.bucket)
        self._first_hour = HOUR // self.config.bucket
        self._roster = Roster(self.config, self._discount, self._mix_discount)
        self._season = Season(self.config.bucket)
        self._surges = Surges(self._discount)
        self._hours = ClosedHours()
        self._edge = False  # closed on the days before, or about to be: it may have only a part of what is usual
        self._closed = False  # nothing arrived in this bucket, and that is usual
        self._open = -1  # start of the last bucket that was not closed: the levels are those of that time
        self._opened = -1  # when it last was open again after closed hours
        self._span = 1.0  # buckets over which what came in the present one was gathered
        self._before = -1  # start of the bucket judged last
        self._level = 0.0  # of the total volume in the one before
        self._age = 0  # buckets judged
        self.whole = NOTHING  # transactions by status over all keys, in the bucket judged last
        self._episodes = Episodes()
        self._lag = LAG  # squared relative error of every volume's level, in this bucket
        self._anchored = False  # the levels follow the season
        self._gates = ThresholdTable(self.config)
        self._books = 0  # series whose pulses are remembered
        self._pools: dict[str, float] = {}  # dispersion of the keys' series by status
        self._tails: dict[str, Tail] = {}  # of each status's small series together

    def let_run(self, breathe: Callable[[], None], breath: int = BREATH) -> None:
        """Call `breathe` after each `breath` keys, so that others can run while a bucket of many keys is judged."""
        self._roster.breathe, self._roster.breath = breathe, breath

    @property
    def forgotten(self) -> int:
        """Keys dropped: idle, or too many."""
        return self._roster.forgotten

    @property
    def folded(self) -> int:
        """Counts of statuses for which their key had no room, and that were added to those of `(other)`."""
        return self._roster.folded

    @property
    def size(self) -> int:
        """Series that are followed."""
        return self._roster.size

    def sigma(self) -> float:
        """The score that alerts: given, or such that all series together alert falsely `budget` times a day."""
        self._gates.share(self._roster.sharing)
        return self._gates.sigma

    def judge(
        self,
        time: int,
        counts: dict[Key, dict[str, int]],
        whole: dict[str, int] | None = None,
        sample: tuple[int, Mapping[str, Sequence[str]]] | None = None,
    ) -> list[Verdict]:
        """The verdicts of the bucket that starts at `time` (epoch seconds), given its counts by key and status.

        Buckets are judged in order, those in which nothing arrived among them (with empty `counts`).
        whole: the counts by status over all keys, for a detector that has only some of them, or that need not sum them
        up again. sample: where it has only some, a level, and of all keys those of that level with their statuses.
        """
        arrivals, sums = self._roster.enlist(time, counts, sample)
        self.whole = whole = sums if whole is None else whole
        if self._roster.drop(time, bool(whole)):
            self._surges.release(self._roster.knows)
            self._episodes.release(self._roster.knows)
        verdicts: list[Verdict] = []
        self._edge = self._age > 0 and self._hours.closed(time)
        self._closed = self._edge and not whole
        self._note_gap(time)
        growth = self._growth(time)
        if growth != 1.0:
            self._surges.grow(growth)
        self._gates.share(self._roster.sharing)
        self._span = 1.0
        expected = self._judge_whole(time, whole, growth)
        breathe, waits = self._roster.breathe, self._roster.breath
        for key, volume in self._roster.volumes.items():
            if breathe is not None:
                waits -= 1
                if waits == 0:
                    breathe()
                    waits = self._roster.breath
            if volume.hours is None or not volume.hours.shut:
                volume.grow(growth)  # else it waits for the hour in which its key opens
            if expected < 0.0:
                expected = volume.rate()
            self._judge_key(time, key, volume, arrivals.get(volume, NOTHING), verdicts)
        self._age += 1
        self._fade_tails()
        if not self._closed:
            self._level = expected
        self._learn_day(time, whole, expected)
        return verdicts

    def _fade_tails(self) -> None:
        """Let what many series' scores taught count less each hour or so, and work it out anew."""
        if self._age % FADE_EACH == 0:
            if self.config.pooled and not self._roster.is_alone():
                self._pool()
            for tail in self._tails.values():
                tail.fade()
                tail.fit(self._gates.sigma, self._gates.tail)

    def _learn_day(self, time: int, whole: dict[str, int], expected: float) -> None:
        """Learn the hours in which something arrives, and the day's shape."""
        if self._width <= PART:
            self._hours.learn(time, bool(whole))
        if self._age <= self._warmup:
            expected = 0.0  # nothing yet that a bucket could be reined in to
        if whole:
            total = 0
            for count in whole.values():
                total += count
            self._season.learn(time, total, expected, max(1.0, self._span))

    def _judge_whole(self, time: int, whole: dict[str, int], growth: float) -> float:
        """Let all keys as one be judged and learned, unheard; the volume expected of them, -1 where there is one key.

        The season needs that level. A sum over the keys' own levels would do, but no shard of a cluster has all keys.
        """
        if self._roster.is_alone():
            return -1.0
        volume = self._roster.as_one(whole)
        if volume is None:
            return 0.0
        volume.grow(growth)
        expected = volume.rate()
        self._judge_key(time, (), volume, whole, [])
        return expected

    def _growth(self, time: int) -> float:
        """By how much every volume's level moves before the bucket at `time` is judged."""
        self._before = time
        if self._closed:
            return 1.0  # the levels wait for the hour in which it opens
        before, self._open = self._open, time
        if before >= 0 and time - before > HOUR:
            self._opened = time
        self._lag = LAG + (self._season.error(time) if self._anchored else 0.0)
        if self._opened >= 0 and time - self._opened < HOUR:
            self._lag += OPENING * (1.0 - (time - self._opened) / HOUR)
        growth = self._season.growth(before, time, self._level) if before >= 0 else 1.0
        if growth != 1.0 and not self._anchored:
            # until now the levels trailed the day; from here on they move with it, so they must start where it is
            self._anchored = True
            volumes, whole = [*self._roster.volumes.values()], self._roster.whole
            of_all = [whole] if whole is not None else volumes
            volumes += [whole] if whole is not None else []
            trailing = fsum([volume.rate() for volume in of_all])
            if trailing > 0.0:
                growth = min(5.0, max(0.2, self._season.level(time) / trailing))
            for volume in volumes:
                volume.slope = 0.0
                if self.config.bucket > NARROW:
                    volume.clear_windows()
                    for series in volume.series():
                        series.clear_windows()
        return growth

    def assess(self, time: int, key: Key, status: str, counts: dict[str, int]) -> Verdict | None:
        """What one count, by itself, means now: of an open bucket, or of a closed one that was corrected.

        Nothing is learned. None while the key is unknown or warms up.
        """
        volume = self._roster.volumes.get(key)
        if volume is None or volume.buckets < self._warmup:
            return None
        gates = self._gates.of(status)
        total = sum(counts.values())
        bucket = Bucket(time, key, counts, total, self._surges.usual(key, volume.rate(), total), True)
        if status == TOTAL:
            count, expected = bucket.total, bucket.usual
            series: Baseline = volume
            surety: Baseline | None = None
        else:
            count = counts.get(status, 0)
            known = volume.of(status)
            if known is None and len(volume.layout.names) >= STATUSES:
                return None  # it is judged with the others that its key has no room for
            series = known if known is not None else volume.new_series(self._mix_discount)
            expected, _, by_volume = expect(bucket, count, series, gates)
            surety = volume if by_volume else None
        seen = judge_one(series, gates, count, expected, surety, self._lag)
        recommendation: Recommendation = "alert" if seen.passed else "ok"
        reasons = SCORE if seen.passed else NO_REASON
        excess = excess_of(series, expected, surety, self._lag)
        evidence = Evidence(raised(gates, seen.ratio), excess, seen.seen, seen.window_mean, seen.gate, False, "")
        verdict = Verdict(
            time, status, key, count, bucket.total, expected, seen.score / seen.ratio, 1, recommendation, reasons,
            evidence,
        )  # fmt: skip
        if seen.passed:
            verdict.rarity = self._rarity(series, seen)
        return verdict

    def _judge_key(self, time: int, key: Key, volume: KeyVolume, counts: dict[str, int], out: list[Verdict]) -> None:
        bucket = self._bucket_of(time, key, volume, counts)
        total = bucket.total
        volume.buckets += 1
        volume.mix_exposure = volume.mix_exposure * self._mix_discount + float(total)
        odd = JointDeviation()
        alone = True  # no status alerts by itself
        excess = 0.0  # what statuses that alert bring beyond what was expected of them
        if total > 0:
            layout = volume.layout
            if layout.sigma != self._gates.sigma:
                layout.sigma = self._gates.sigma
                layout.gates = [self._gates.of(status) for status in layout.names]
            held = volume.held
            if isinstance(held, tuple):
                for place, series in enumerate(held):
                    more = self._judge_row(bucket, volume, place, series, odd, out)
                    if more >= 0.0:
                        alone = False
                        excess += more
            elif held is not None:
                more = self._judge_row(bucket, volume, 0, held, odd, out)
                alone, excess = more < 0.0, max(0.0, more)
        elif bucket.span == 0.0 and not bucket.closed:
            for waiting in volume.series():  # or their windows would reach further back than the volume's
                waiting.observe(0.0, 0.0)
        out.append(self._judge_volume(bucket, volume, odd, alone, excess))

    def _bucket_of(self, time: int, key: Key, volume: KeyVolume, counts: dict[str, int]) -> Bucket:
        """One key's bucket, and the volume that is usual in it."""
        total = 0
        for count in counts.values():
            total += count
        closed = self._closed or (bool(key) and self._is_closed(time, volume, total))
        span = 0.0 if closed else volume.wait(total > 0)
        usual = 0.0
        if closed:
            volume.empty += 1
        if not key:
            self._span = span
        if span > 0.0:  # a burst stands for the buckets that waited for it
            self._surges.end(key, volume, total / span)
            usual = span * self._surges.usual(key, volume.rate(), total / span)
        bucket = Bucket(time, key, counts, total, usual, volume.buckets >= self._warmup, volume.buckets)
        bucket.span, bucket.closed = span, closed
        hours = volume.hours
        bucket.opening = self._edge
        if hours is not None:
            bucket.opening |= (hours.opened >= 0 and time - hours.opened < HOUR) or hours.near(time, self._hours)
        if usual > 0.0:
            drift, chance = self._lag + volume.doubt(), volume.dispersion() / usual
            bucket.trust = drift / (drift + chance)
            bucket.noise = usual * min(MOST_NOISE, NOISE * sqrt(drift + chance))
        return bucket

    def _is_closed(self, time: int, volume: KeyVolume, total: int) -> bool:
        """Return whether nothing of a key arrived, and that is usual at this time. Learns when something does."""
        hours = volume.hours
        if hours is None:
            if volume.busy_since < 0:
                if total > 0 and self._width <= PART and self._is_busy(volume):
                    volume.busy_since = time
                return False
            if total > 0:
                return False  # as in all buckets since it became busy: nothing is kept of that yet
            hours = volume.hours = hours_since(volume.busy_since, time - self._width)
        if total > 0:
            if hours.note(time):
                volume.doubt_level(FEW)  # it is that of the hour of closing
            return False
        return self._is_busy(volume) and hours.closed(time, self._hours, volume.empty * self._width >= HOUR)

    def _note_gap(self, time: int) -> None:
        """Begin to keep the hours of all busy keys where buckets before `time` were not judged, or it is closed."""
        before = self._before
        if not self._closed and (before < 0 or time - before <= self._width):
            return
        for volume in self._roster.volumes.values():
            if volume.hours is None and volume.busy_since >= 0:
                volume.hours = hours_since(volume.busy_since, before)

    def _is_busy(self, volume: KeyVolume) -> bool:
        """Return whether a count of 0 in the shortest closed time cannot be chance.

        In a slower key, zeros that are left out would raise the level.
        """
        return volume.rate() * RUN * PART >= BUSY * self._width

    def _judge_row(
        self, bucket: Bucket, volume: KeyVolume, place: int, series: Baseline, odd: JointDeviation, out: list[Verdict]
    ) -> float:
        """Judge the status at this place of the volume's layout; what it brings too many while it alerts, else -1."""
        layout = volume.layout
        status = layout.names[place]
        count = bucket.counts.get(status, -1)  # below 0: no row
        verdict = self._judge_status(bucket, status, max(0, count), series, layout.gates[place], volume, odd)
        quiet = verdict.recommendation == "ok" or verdict.recommendation == "warming"
        if not quiet or count >= 0 or self._rowless:
            out.append(verdict)
        return -1.0 if quiet else max(0.0, verdict.count - verdict.expected)

    def _judge_status(
        self,
        bucket: Bucket,
        status: str,
        count: int,
        series: Baseline,
        gates: Thresholds,
        volume: Baseline,
        odd: JointDeviation,
    ) -> Verdict:
        expected, driven, by_volume = expect(bucket, count, series, gates)
        level = expected
        pulses = series.pulses
        if pulses is not None:
            expected = pulses.usual(bucket.time, count, level, self._width)
        series.observe(count, expected)
        surety = volume if by_volume else None
        judgement = judge(series, gates, surety, self._lag)
        if judgement.passed and bucket.key and self._shrink(status, series):
            judgement = judge(series, gates, surety, self._lag)
        recurs = ""
        if bucket.warm and (pulses is not None or abs(judgement.newest) >= ODD):
            recurs = self._note_pulse(bucket, series, count, level, judgement, surety, gates)
        verdict = self._conclude(bucket, status, count, expected, series, judgement, gates, surety, recurs)
        newest = judgement.newest if series.tail is None else judgement.newest / series.tail.one.ratio
        odd.add(status, -newest if gates.direction == "below" else newest)
        relief = judgement.longest < -RELIEF and gates.direction == "above"
        if not recurs:
            pace = RELIEF_WEIGHT if relief else 1.0
            if bucket.warm and gates.direction == "above" and judgement.longest > SUSPECT and judgement.swells:
                pace = SUSPECT_WEIGHT
            self._learn(bucket, status, series, count, driven, pace)
        return verdict

    def _shrink(self, status: str, series: Baseline) -> bool:
        """Let a key's series of which little is known be as dispersed as others of its status; whether that widens it.

        Empirical Bayes with the mean of the others as a prior that stands for PRIOR_BLOCKS residuals. A series of five
        transactions a day cannot show in a week that its customers come in clusters.
        """
        pool = self._pools.get(status, 0.0)
        own = series.dispersion()
        if pool <= own or series.blocks >= SURE_BLOCKS:
            return False
        series.disperse((series.blocks * own + PRIOR_BLOCKS * pool) / (series.blocks + PRIOR_BLOCKS))
        return True

    def _pool(self) -> None:
        """Learn how dispersed the series of each status are over the keys, from those of which enough is known."""
        sums: dict[str, float] = {}
        found: dict[str, int] = {}
        for at, volume in enumerate(self._roster.volumes.values()):
            if at >= MOST_POOLED:
                break
            for status, series in zip(volume.layout.names, volume.series(), strict=True):
                if series.blocks >= PRIOR_BLOCKS and not series.alerting:
                    sums[status] = sums.get(status, 0.0) + min(MOST_OF_ONE, series.dispersion())
                    found[status] = found.get(status, 0) + 1
        self._pools = {status: total / found[status] for status, total in sums.items() if found[status] >= LEAST_POOLED}

    def _note_pulse(
        self,
        bucket: Bucket,
        series: Baseline,
        count: float,
        level: float,
        seen: Judgement,
        surety: Baseline | None,
        gates: Thresholds,
    ) -> str:
        """Let the series learn what recurs; the note of a verdict that a pulse decided, else an empty text."""
        if not bucket.warm:
            return ""
        pulses = series.pulses
        # a deviation that is not a problem, or existed from the start, is not an outage that comes and goes
        at_once = gates.sign * (count - level) < 0.0 or bucket.age <= self._warmup + self._first_hour
        if pulses is None:
            if abs(seen.newest) < ODD or (bucket.key and self._books >= MOST_BOOKS):
                return ""
            pulses = series.pulses = Pulses()
            self._books += 1
            pulses.note(bucket.time, count - level, seen.newest, at_once, self._width)
            return ""
        score = seen.newest
        if pulses.named and level > 0.0:
            score = count_score(count, level, excess_of(series, level, surety, self._lag))
        if (
            pulses.note(bucket.time, count - level, score, at_once)
            and series.tail is not None
            and not series.tail.shared
        ):
            series.tail = None  # a count that a pulse explains is not part of the tail
        if not pulses.named or abs(score) < ODD:
            return ""
        return f"recurs at this minute of the {pulses.named}"

    def _judge_volume(
        self, bucket: Bucket, series: KeyVolume, odd: JointDeviation, alone: bool, excess: float
    ) -> Verdict:
        if series.alerting and bucket.total > 0:
            series.end_silence()
        expected = bucket.usual
        pulses = series.pulses
        if pulses is not None and bucket.span == 1.0:
            expected = pulses.usual(bucket.time, bucket.total, bucket.usual, self._width)
        series.observe(bucket.total, expected)
        gates = self._gates.of(TOTAL)
        judgement = judge(series, gates, None, self._lag)
        distance = odd.distance() if bucket.warm else 0.0
        if alone and distance >= gates.sigma and not judgement.passed:
            judgement.together = bucket.total >= gates.min_count and odd.is_shared()
        recurs = ""
        if bucket.span == 1.0:
            recurs = self._note_pulse(bucket, series, bucket.total, bucket.usual, judgement, None, gates)
        note = recurs if bucket.span > 0.0 else _joined(recurs, CLOSED if bucket.closed else WAITING)
        if judgement.together or (self._explain and distance > 0.0):
            note = _joined(note, f"together {format(distance, '.1f')} sigmas: {odd.parts()}")
        verdict = self._conclude(bucket, TOTAL, bucket.total, expected, series, judgement, gates, None, note)
        if judgement.together:
            verdict.rarity = self._gates.rarity(distance)
        if bucket.span == 0.0 or recurs:
            return verdict
        # An empty bucket teaches nothing where transactions were due; where few are, it is an ordinary zero
        if bucket.total > 0 or judgement.newest > -gates.sigma / 2:
            # an attack is not part of the usual volume, because its end would look like a loss
            usual = max(0.0, bucket.total - excess)
            surging = judgement.longest > RELIEF
            if bucket.warm and bucket.span == 1.0:
                self._surges.follow(bucket.key, series, surging and judgement.rise > RISE)
            surging = surging and bucket.span == 1.0
            self._learn(bucket, TOTAL, series, usual, bucket.span, RELIEF_WEIGHT if surging else 1.0)
        else:
            series.forget()
        return verdict

    def _conclude(
        self,
        bucket: Bucket,
        status: str,
        count: int,
        expected: float,
        series: Baseline,
        seen: Judgement,
        gates: Thresholds,
        volume: Baseline | None,
        note: str,
    ) -> Verdict:
        recommendation: Recommendation = "ok"
        reasons = NO_REASON
        alerts = False
        excess = seen.excess
        if not bucket.warm:
            recommendation = "warming"
            note = f"{bucket.age} of {self._warmup} buckets learned"
        elif series.alerting > self._shift:
            self._episodes.leave(bucket.key, status, series, bucket.time)
            series.accept_level()
            reasons = LEVEL_SHIFT
            excess = excess_of(series, expected, volume, self._lag)
        elif seen.passed and not (bucket.opening and seen.score < 0.0):
            recommendation, alerts = "alert", True
            reasons = SILENCE if bucket.total == 0 else SCORE
        elif seen.together:
            recommendation = "alert"
            reasons = TOGETHER
        elif series.alerting and seen.lingers:
            recommendation, alerts = "pending", True
            reasons = SCORE
        if alerts or series.alerting or self._episodes.are_there():
            young = bucket.age <= self._warmup + self._first_hour
            self._episodes.count(bucket.key, status, series, alerts, bucket.time, young)
            if not alerts and bucket.total > 0:
                self._episodes.come_back(
                    bucket.key, status, series, 1.0 if status == TOTAL else bucket.usual, bucket.time
                )
        if bucket.warm and (series.tail is not None or seen.over1 > 0.0 or seen.over5 > 0.0 or seen.over15 > 0.0):
            self._calibrate(bucket, status, series, seen)
        gates = raised(gates, series.tail.one.ratio) if series.tail is not None else gates
        note = _noted(note, seen.ratio, alerts)
        evidence = Evidence(gates, excess, seen.seen, seen.window_mean, seen.gate, seen.together, note)
        verdict = Verdict(
            bucket.time, status, bucket.key, count, bucket.total, expected, seen.score / seen.ratio, seen.window,
            recommendation, reasons, evidence,
        )  # fmt: skip
        if seen.passed and alerts:
            verdict.rarity = self._rarity(series, seen)
        return verdict

    def _rarity(self, series: Baseline, seen: Judgement) -> float:
        """Return how many false alarms a year to expect if every series alerted at this one's score.

        The larger of two estimates counts: that of a normal distribution, to whose threshold the series is calibrated,
        and that of the series' own tail. Only the second one knows that the highest ratio may not be high enough.
        """
        tail = series.tail
        own = tail.beyond(seen.window, abs(seen.score)) if tail is not None else 0.0
        return self._gates.rarity(seen.score / seen.ratio, own)

    def _calibrate(self, bucket: Bucket, status: str, series: Baseline, seen: Judgement) -> None:
        """Let the series learn how far its scores reach: one has been beyond what is usual, now or before."""
        tail = series.tail
        if tail is None:
            tail = Tail()
            if bucket.key and self.config.pooled and series.expectations[0] < POOLED:
                tail = self._tails.setdefault(status, Tail(shared=True))
            series.tail = tail
        if series.alerting == 0 and not tail.shared:
            tail.settle(seen.plain5, seen.plain15, series.dispersion())
        # one outage that goes on and off is taken as one long alert
        flaps = series.alerting > 0 and self._episodes.flaps(bucket.key, status, bucket.time)
        alerting = max(series.alerting, LONG_ALERT) if flaps else series.alerting
        tail.learn(seen.over1, seen.over5, seen.over15, alerting, self._gates.sigma, self._gates.tail)

    def time(self) -> int:
        """Start of the bucket judged last, epoch seconds; -1 before the first."""
        return self._before

    def describe(self) -> list[SeriesState]:
        """What is known of every series."""
        return describe(self._roster.volumes)

    def exclude(self, key: Key, statuses: Sequence[str]) -> None:
        """Unlearn what these series learned since they began to alert; until they are quiet, learn nothing of them."""
        volume = self._roster.volumes.get(key)
        if volume is None:
            return
        for status in statuses:
            series = volume if status == TOTAL else volume.of(status)
            if series is not None:
                self._episodes.exclude(key, status, series)

    def accept(self, key: Key, statuses: Sequence[str]) -> None:
        """Take the level that these series are at for the normal one, as a level shift does."""
        volume = self._roster.volumes.get(key)
        if volume is None:
            return
        for status in statuses:
            series = volume if status == TOTAL else volume.of(status)
            if series is not None and series.alerting and (status != TOTAL or series.newest() > 0.0):
                series.accept_level()
                self._episodes.count(key, status, series, False, self._before)

    def snapshot(self, *, lazy: bool = False) -> dict[str, object]:
        """Return all of the state, as values of JSON, for `restore`. lazy: as `Roster.snapshot` has it."""
        return {
            "before": self._before,
            "age": self._age,
            "level": self._level,
            "lag": self._lag,
            "anchored": self._anchored,
            "open": self._open,
            "opened": self._opened,
            "hours": self._hours.snapshot(),
            "key_hours": [
                [pack_key(key), (volume.hours or hours_since(volume.busy_since, self._before)).snapshot()]
                for key, volume in self._roster.volumes.items()
                if volume.hours is not None or volume.busy_since >= 0
            ],
            "season": self._season.snapshot(),
            "surges": self._surges.snapshot(),
            "pools": dict(sorted(self._pools.items())),
            "tails": {status: tail.snapshot() for status, tail in sorted(self._tails.items())},
            "pulses": [] if self._books == 0 else self._packed_pulses(),
            **self._episodes.snapshot(),
            **self._roster.snapshot(lazy=lazy),
        }

    def _packed_pulses(self) -> list[list[object]]:
        return [
            [pack_key(key), status, whole, series.pulses.snapshot()]
            for key, status, whole, series in self._all_series()
            if series.pulses is not None
        ]

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restore what `snapshot` returned. Raise ValueError, KeyError or TypeError if it is not valid."""
        self._episodes.restore(state)
        self._season.restore(state["season"])
        self._surges.restore(state.get("surges", []))
        self._before, self._age = int(state["before"]), int(state["age"])
        self._open = int(state.get("open", self._before))  # not in older states
        self._opened = int(state.get("opened", -1))
        if "hours" in state:
            self._hours.restore(state["hours"])
        self._anchored = bool(state["anchored"])
        self._level, self._lag = float(state["level"]), float(state["lag"])
        # states from before `seen` was kept: something arrived in the bucket judged last
        self._roster.restore({"seen": self._before, **state})
        self._restore_books(state)
        for key, hours in state.get("key_hours", []):  # not in older states
            volume = self._roster.volumes.get(unpack_key(key))
            if volume is not None:
                volume.hours = KeyHours(0)
                volume.hours.restore(hours)
        self._gates = ThresholdTable(self.config)
        self._gates.share(self._roster.sharing)

    def _restore_books(self, state: Mapping[str, Any]) -> None:
        """Take over the tails of many series and the pulses of each, neither of which is in older states."""
        self._pools = {str(status): float(phi) for status, phi in state.get("pools", {}).items()}
        self._tails = {}
        for status, numbers in state.get("tails", {}).items():
            tail = self._tails[str(status)] = Tail(shared=True)
            tail.restore(numbers)
        pulses = {
            (unpack_key(key), str(status), bool(whole)): book for key, status, whole, book in state.get("pulses", [])
        }
        self._books = 0
        for key, status, whole, series in self._all_series():
            if series.tail is not None and series.tail.shared:
                series.tail = self._tails.setdefault(status, series.tail)
            book = pulses.get((key, status, whole))
            if book is not None:
                series.pulses = Pulses()
                series.pulses.restore(book)
                self._books += 1

    def _all_series(self) -> list[tuple[Key, str, bool, Baseline]]:
        """Return every series with its key and status, and whether it is one of all keys as one.

        It takes two seconds for a million of them.
        """
        found: list[tuple[Key, str, bool, Baseline]] = []
        for key, volume in self._roster.volumes.items():
            found.append((key, TOTAL, False, volume))
            found += [(key, status, False, series) for status, series in volume.statuses.items()]
        volume_of_all = self._roster.whole
        if volume_of_all is not None:
            found.append(((), TOTAL, True, volume_of_all))
            found += [((), status, True, series) for status, series in volume_of_all.statuses.items()]
        return found

    def _learn(self, bucket: Bucket, status: str, series: Baseline, count: float, exposure: float, pace: float) -> None:
        if self._episodes.is_excluded(bucket.key, status, series):
            return
        if not series.alerting:
            series.learn(count, exposure, pace, bucket.warm)
        else:
            spread = bucket.warm and not self._episodes.flaps(bucket.key, status, bucket.time)
            series.learn(count, exposure, ALERT_WEIGHT, spread)


def _noted(note: str, ratio: float, alerts: bool) -> str:
    """The note of a verdict, with how much further than a model's its series' scores reach, where that matters."""
    if not alerts or ratio <= TELLING:
        return note
    return _joined(note, f"its scores reach {format(ratio, '.1f')} times as far as the model's")


def _joined(note: str, more: str) -> str:
    """A note with another one after it."""
    return f"{note}; {more}" if note else more

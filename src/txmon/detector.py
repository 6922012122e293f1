"""The judgement: what the counts of a closed bucket mean, given what was normal before it.

Volume first, then mix. A key's total volume has a level of its own; every status has a share in it. A status is
expected at its share of the usual volume or of this bucket's, whichever is more: a busy sale raises every count and no
share, and a collapse of the volume must not make the other shares explode.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import fsum
from statistics import NormalDist
from typing import Any, Final

from .baseline import Baseline
from .explain import explain
from .judgement import LAG, Judgement, Thresholds, interval, judge, judge_one
from .season import Season
from .together import parts, shared, together
from .verdict import TOTAL, Key, Recommendation, Verdict

ALERT_WEIGHT: Final = 0.1  # how much of its usual pace a series keeps learning at while it alerts
RELIEF_WEIGHT: Final = 6.0  # pace at which a series learns that things are better than it thought
RELIEF: Final = 4.0  # sigmas on the safe side over the longest window that mean so
TREND_GAIN: Final = 0.001  # of the volume's slope: a morning's ramp is followed within an hour
DOMINANT: Final = 0.5  # share of the volume from which a status is the volume, more than a part of it
# Effective independent tests a series makes in a bucket: its windows overlap, its gates hold much back, and alarms in
# a row are one. Measured on clean streams at 3 to 4 sigmas (docs/methods.md).
TESTS_A_BUCKET: Final = 0.3
DAY: Final = 86400
WORST_TAIL: Final = 1e-3  # no budget is so large that less than 3.1 sigmas alert: nearer, models err more than counts
NARROW: Final = 600  # seconds of a bucket up to which a level follows a day well enough without a season
DROP_EACH: Final = 60  # buckets between two looks for idle keys
NOTHING: Final[Mapping[str, int]] = {}


@dataclass(frozen=True, slots=True)
class DetectorConfig:
    """How the detector judges. Durations are in seconds."""

    bucket: int = 60
    half_life: float = 900.0  # of the volume's level
    mix_half_life: float = 7200.0  # of a status's share in the volume
    warmup: float = 1800.0
    sigma: float | None = None  # score that alerts; None: from the budget
    budget: float = 1 / 7  # false alarms a day over all series, windows and directions
    min_count: int = 3  # transactions in a window, below which nothing alerts
    min_ratio: float = 1.5  # seen over expected (or expected over seen), below which nothing alerts
    min_counts: Mapping[str, int] = field(default_factory=dict)  # by status, instead of min_count
    min_ratios: Mapping[str, float] = field(default_factory=dict)
    directions: Mapping[str, str] = field(default_factory=dict)  # by status: above, below, both
    level_shift: float = 7200.0  # a deviation that lasted this long is the new normal
    idle: float = 86400.0  # a key without a transaction for so long is forgotten
    max_series: int = 2_000_000  # beyond, the keys seen least recently are forgotten
    explain: bool = False  # say in every bucket's text which statuses make it odd
    rowless: bool = False  # give the verdicts of statuses without a row too


class Group:
    """The baselines of one key: its volume's and its statuses'."""

    __slots__ = ("buckets", "mix_exposure", "seen", "statuses", "volume")

    def __init__(self, discount: float) -> None:
        self.seen = 0  # when something of it last arrived, epoch seconds
        self.volume = Baseline(discount, TREND_GAIN)
        self.statuses: dict[str, Baseline] = {}
        self.buckets = 0  # judged so far
        self.mix_exposure = 0.0  # discounted transactions: what a status never seen before has been absent from


@dataclass(frozen=True, slots=True)
class Bucket:
    """The counts of one key in one bucket, with what they are judged against."""

    time: int
    key: Key
    counts: Mapping[str, int]
    total: int
    usual: float  # volume expected
    warm: bool
    age: int = 0  # buckets judged before


@dataclass(frozen=True, slots=True)
class Expectation:
    """What one status was expected to bring."""

    expected: float  # transactions
    driven: float  # this bucket's volume without the status's own excess
    surety: Baseline | None  # the volume's baseline, where the expectation can be no surer than that


class Detector:
    """Judges each bucket against what it learned from those before, then learns from it."""

    def __init__(self, config: DetectorConfig | None = None) -> None:
        self.config = config or DetectorConfig()
        self._discount = 0.5 ** (self.config.bucket / self.config.half_life)
        self._mix_discount = 0.5 ** (self.config.bucket / self.config.mix_half_life)
        self._warmup = int(self.config.warmup // self.config.bucket)
        self._shift = int(self.config.level_shift // self.config.bucket)
        self._groups: dict[Key, Group] = {}
        self._season = Season(self.config.bucket)
        self._before = -1  # start of the bucket judged last
        self._age = 0  # buckets judged
        self._lag = LAG  # squared relative error of every volume's level, in this bucket
        self._anchored = False  # the levels follow the season
        self._series = 0
        self._sigma = (-1, 0.0)  # number of series, the score that alerts among so many
        self._gates: dict[str, Thresholds] = {}
        self.forgotten = 0  # keys dropped

    def sigma(self) -> float:
        """The score that alerts: given, or such that all series together alert falsely `budget` times a day."""
        if self.config.sigma is not None:
            return self.config.sigma
        if self._sigma[0] != self._series:
            tests = max(1, self._series) * TESTS_A_BUCKET * DAY / self.config.bucket
            tail = min(WORST_TAIL, self.config.budget / tests)
            self._sigma = (self._series, -NormalDist().inv_cdf(tail))
            self._gates.clear()
        return self._sigma[1]

    def judge(self, time: int, counts: Mapping[Key, Mapping[str, int]]) -> list[Verdict]:
        """The verdicts of the bucket that starts at `time` (epoch seconds), given its counts by key and status.

        Buckets are judged in order, those in which nothing arrived among them (with empty `counts`).
        """
        for key in counts:
            group = self._groups.get(key)
            if group is None:
                group = self._groups[key] = Group(self._discount)
                self._series += 1
            group.seen = time
        self._drop(time)
        verdicts: list[Verdict] = []
        growth = self._growth(time)
        expected = 0.0
        for key, group in self._groups.items():
            group.volume.grow(growth)
            expected += group.volume.rate()
            self._judge_group(time, key, group, counts.get(key, NOTHING), verdicts)
        self._age += 1
        if self._age <= self._warmup:
            expected = 0.0  # nothing yet that a bucket could be reined in to
        if counts:
            self._season.learn(time, sum([sum(statuses.values()) for statuses in counts.values()]), expected)
        return verdicts

    def _growth(self, time: int) -> float:
        """By how much every volume's level moves before the bucket at `time` is judged."""
        before, self._before = self._before, time
        self._lag = LAG + (self._season.error(time) if self._anchored else 0.0)
        growth = self._season.growth(before, time) if before >= 0 else 1.0
        if growth != 1.0 and not self._anchored:
            # until now the levels trailed the day; from here on they move with it, so they must start where it is
            self._anchored = True
            trailing = fsum([group.volume.rate() for group in self._groups.values()])
            if trailing > 0.0:
                growth = min(5.0, max(0.2, self._season.level(time) / trailing))
            for group in self._groups.values():
                group.volume.slope = 0.0
                if self.config.bucket > NARROW:
                    group.volume.clear_windows()
                    for series in group.statuses.values():
                        series.clear_windows()
        return growth

    def assess(self, time: int, key: Key, status: str, counts: Mapping[str, int]) -> Verdict | None:
        """What one count, by itself, means now: of an open bucket, or of a closed one that was corrected.

        Nothing is learned. None while the key is unknown or warms up.
        """
        group = self._groups.get(key)
        if group is None or group.buckets < self._warmup:
            return None
        gates = self._thresholds(status)
        bucket = Bucket(time, key, counts, sum(counts.values()), group.volume.rate(), True)
        if status == TOTAL:
            count, expected = bucket.total, bucket.usual
            series = group.volume
            surety: Baseline | None = None
        else:
            count = counts.get(status, 0)
            known = group.statuses.get(status)
            series = known if known is not None else self._new_series(group)
            expectation = self._expect(bucket, count, series, gates, group.volume)
            expected, surety = expectation.expected, expectation.surety
        seen = judge_one(series, gates, count, expected, surety, self._lag)
        recommendation: Recommendation = "alert" if seen.passed else "ok"
        reasons = ("score",) if seen.passed else ()
        low, high = interval(expected, series, gates, surety, self._lag)
        text = explain(status, count, expected, low, high, seen, recommendation, reasons, "")
        return Verdict(
            time, status, key, count, bucket.total, expected, low, high, seen.score, 1, recommendation, reasons, text
        )  # fmt: skip

    def _new_series(self, group: Group) -> Baseline:
        """The baseline of a status never seen before: absent from all that the group saw."""
        series = Baseline(self._mix_discount)
        series.exposure = group.mix_exposure
        return series

    def _judge_group(self, time: int, key: Key, group: Group, counts: Mapping[str, int], out: list[Verdict]) -> None:
        for status in counts:
            if status not in group.statuses:
                group.statuses[status] = self._new_series(group)
                self._series += 1
        total = sum(counts.values())
        bucket = Bucket(time, key, counts, total, group.volume.rate(), group.buckets >= self._warmup, group.buckets)
        group.buckets += 1
        group.mix_exposure = group.mix_exposure * self._mix_discount + total
        odd: list[float] = []
        names: list[str] = []
        alone = True  # no status alerts by itself
        if total > 0:
            for status, series in group.statuses.items():
                verdict = self._judge_status(bucket, status, series, group.volume, odd)
                names.append(status)
                alone = alone and verdict.recommendation in ("ok", "warming")
                if status in counts or self.config.rowless or verdict.recommendation not in ("ok", "warming"):
                    out.append(verdict)
        out.append(self._judge_volume(bucket, group.volume, names, odd, alone))

    def _drop(self, time: int) -> None:
        """Forget keys that were idle too long, and the least recently seen where there are too many."""
        if time % DAY // self.config.bucket % DROP_EACH == 0:
            oldest = time - self.config.idle
            gone = [key for key, group in self._groups.items() if group.seen < oldest]
            # one key alone is the feed itself, whose silence goes on being silence
            for key in gone if len(self._groups) > 1 else []:
                self._forget(key)
        if self._series > self.config.max_series:
            for key in sorted(self._groups, key=lambda key: self._groups[key].seen):
                if self._series <= self.config.max_series * 0.9:
                    break
                self._forget(key)

    def _forget(self, key: Key) -> None:
        self._series -= 1 + len(self._groups.pop(key).statuses)
        self.forgotten += 1

    def _expect(
        self, bucket: Bucket, count: int, series: Baseline, gates: Thresholds, volume: Baseline
    ) -> "Expectation":
        """What a status should have brought, given its share, the usual volume and this bucket's."""
        share = series.rate()
        level = share * bucket.usual
        # this bucket's volume without what this status itself adds to it, or an attack would excuse itself
        driven = bucket.total - max(0.0, count - level) if series.exposure > 0.0 else float(bucket.total)
        dominant = share > DOMINANT
        if gates.direction == "above":
            expected = share * max(bucket.usual, driven)
        elif gates.direction == "below" or dominant:
            expected = level
        else:
            expected = share * max(0.0, bucket.total - count + level)
        return Expectation(expected, driven, None if gates.direction == "above" and not dominant else volume)

    def _judge_status(
        self, bucket: Bucket, status: str, series: Baseline, volume: Baseline, odd: list[float]
    ) -> Verdict:
        count = bucket.counts.get(status, 0)
        gates = self._thresholds(status)
        due = self._expect(bucket, count, series, gates, volume)
        series.observe(count, due.expected)
        judgement = judge(series, gates, due.surety, self._lag)
        verdict = self._conclude(bucket, status, count, due.expected, series, judgement, gates, due.surety)
        odd.append(max(0.0, -judgement.newest if gates.direction == "below" else judgement.newest))
        relief = gates.direction == "above" and judgement.longest < -RELIEF
        self._learn(bucket, series, count, due.driven, RELIEF_WEIGHT if relief else 1.0)
        return verdict

    def _judge_volume(
        self, bucket: Bucket, series: Baseline, names: list[str], odd: list[float], alone: bool
    ) -> Verdict:
        if series.alerting and bucket.total > 0 and series.counts[0] == 0.0:
            # the silence is over; what the volume is now is judged without it
            series.alerting = 0
            series.clear_windows()
        series.observe(bucket.total, bucket.usual)
        gates = self._thresholds(TOTAL)
        judgement = judge(series, gates, None, self._lag)
        distance = together(odd) if bucket.warm else 0.0
        if alone and distance >= gates.sigma and not judgement.passed:
            judgement.together = bucket.total >= gates.min_count and shared(odd)
        said = ""
        if judgement.together or (self.config.explain and distance > 0.0):
            said = f"together {distance:.1f} sigmas: {parts(names, odd)}"
        verdict = self._conclude(bucket, TOTAL, bucket.total, bucket.usual, series, judgement, gates, None, said)
        # An empty bucket teaches nothing where transactions were due; where few are, it is an ordinary zero
        if bucket.total > 0 or judgement.newest > -gates.sigma / 2:
            self._learn(bucket, series, bucket.total, 1.0, RELIEF_WEIGHT if judgement.longest > RELIEF else 1.0)
        else:
            series.forget()
        return verdict

    def _thresholds(self, status: str) -> Thresholds:
        sigma = self.sigma()
        found = self._gates.get(status)
        if found is None:
            config = self.config
            usual_direction = "below" if status in (TOTAL, "approved") else "above"
            found = self._gates[status] = Thresholds(
                sigma,
                config.min_counts.get(status, config.min_count),
                config.min_ratios.get(status, config.min_ratio),
                config.directions.get(status, usual_direction),
            )
        return found

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
        said: str = "",
    ) -> Verdict:
        recommendation: Recommendation = "ok"
        reasons: tuple[str, ...] = ()
        if not bucket.warm:
            recommendation = "warming"
            said = f"{bucket.age} of {self._warmup} buckets learned"
        elif series.alerting > self._shift:
            series.accept_level()
            reasons = ("level shift",)
        elif seen.passed:
            recommendation = "alert"
            reasons = ("silence",) if bucket.total == 0 else ("score",)
            series.alerting += 1
        elif seen.together:
            recommendation = "alert"
            reasons = ("together",)
        elif series.alerting and seen.lingers:
            recommendation = "pending"
            reasons = ("score",)
            series.alerting += 1
        elif series.alerting:
            series.alerting = 0
            series.restart_windows()
        low, high = interval(expected, series, gates, volume, self._lag)
        text = explain(status, count, expected, low, high, seen, recommendation, reasons, said)
        return Verdict(
            bucket.time, status, bucket.key, count, bucket.total, expected, low, high, seen.score, seen.window,
            recommendation, reasons, text,
        )  # fmt: skip

    def snapshot(self) -> dict[str, object]:
        """All of the state, as JSON takes it, for `restore`."""
        groups = [
            [
                [list(pair) for pair in key],
                group.seen,
                group.buckets,
                group.mix_exposure,
                group.volume.snapshot(),
                {status: series.snapshot() for status, series in group.statuses.items()},
            ]
            for key, group in self._groups.items()
        ]
        return {
            "before": self._before,
            "age": self._age,
            "anchored": self._anchored,
            "season": self._season.snapshot(),
            "groups": groups,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what `snapshot` gave; ValueError, KeyError or TypeError where that cannot be."""
        groups: dict[Key, Group] = {}
        for key, seen, buckets, mix_exposure, volume, statuses in state["groups"]:
            group = Group(self._discount)
            group.seen, group.buckets, group.mix_exposure = int(seen), int(buckets), float(mix_exposure)
            group.volume = Baseline.restore(volume)
            group.statuses = {str(status): Baseline.restore(series) for status, series in statuses.items()}
            groups[tuple([(str(name), str(value)) for name, value in key])] = group
        self._season = Season.restore(state["season"])
        self._before, self._age = int(state["before"]), int(state["age"])
        self._anchored = bool(state["anchored"])
        self._groups = groups
        self._series = sum([1 + len(group.statuses) for group in groups.values()])
        self._sigma = (-1, 0.0)
        self._gates.clear()

    def _learn(self, bucket: Bucket, series: Baseline, count: float, exposure: float, pace: float) -> None:
        series.learn(count, exposure, ALERT_WEIGHT if series.alerting else pace, bucket.warm)

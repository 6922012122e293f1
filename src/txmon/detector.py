"""The judgement: what the counts of a closed bucket mean, given what was normal before it.

Volume first, then mix. A key's total volume has a level of its own; every status has a share in it. A status is
expected at its share of the usual volume or of this bucket's, whichever is more: a busy sale raises every count and no
share, and a collapse of the volume must not make the other shares explode.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Final

from .baseline import Baseline
from .explain import explain
from .judgement import Judgement, Thresholds, interval, judge
from .season import Season
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


class Group:
    """The baselines of one key: its volume's and its statuses'."""

    __slots__ = ("buckets", "mix_exposure", "statuses", "volume")

    def __init__(self, discount: float) -> None:
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
        self._series = 0
        self._sigma = (-1, 0.0)  # number of series, the score that alerts among so many
        self._gates: dict[str, Thresholds] = {}

    def sigma(self) -> float:
        """The score that alerts: given, or such that all series together alert falsely `budget` times a day."""
        if self.config.sigma is not None:
            return self.config.sigma
        if self._sigma[0] != self._series:
            tests = max(1, self._series) * TESTS_A_BUCKET * DAY / self.config.bucket
            tail = min(0.02, self.config.budget / tests)
            self._sigma = (self._series, -NormalDist().inv_cdf(tail))
            self._gates.clear()
        return self._sigma[1]

    def judge(self, time: int, counts: Mapping[Key, Mapping[str, int]]) -> list[Verdict]:
        """The verdicts of the bucket that starts at `time` (epoch seconds), given its counts by key and status.

        Buckets are judged in order, those in which nothing arrived among them (with empty `counts`).
        """
        for key in counts:
            if key not in self._groups:
                self._groups[key] = Group(self._discount)
                self._series += 1
        verdicts: list[Verdict] = []
        growth = self._season.growth(self._before, time) if self._before >= 0 else 1.0
        self._before = time
        expected = 0.0
        for key, group in self._groups.items():
            group.volume.grow(growth)
            expected += group.volume.rate()
            self._judge_group(time, key, group, counts.get(key, {}), verdicts)
        if counts:
            self._season.learn(time, sum([sum(statuses.values()) for statuses in counts.values()]), expected)
        return verdicts

    def _judge_group(self, time: int, key: Key, group: Group, counts: Mapping[str, int], out: list[Verdict]) -> None:
        for status in counts:
            if status not in group.statuses:
                series = group.statuses[status] = Baseline(self._mix_discount)
                series.exposure = group.mix_exposure
                self._series += 1
        total = sum(counts.values())
        usual = group.volume.rate()
        bucket = Bucket(time, key, counts, total, usual, group.buckets >= self._warmup)
        group.buckets += 1
        group.mix_exposure = group.mix_exposure * self._mix_discount + total
        if total > 0:
            for status, series in group.statuses.items():
                verdict = self._judge_status(bucket, status, series, group.volume)
                if status in counts or verdict.recommendation not in ("ok", "warming"):
                    out.append(verdict)
        out.append(self._judge_volume(bucket, group.volume))

    def _judge_status(self, bucket: Bucket, status: str, series: Baseline, volume: Baseline) -> Verdict:
        count = bucket.counts.get(status, 0)
        share = series.rate()
        level = share * bucket.usual
        # this bucket's volume without what this status itself adds to it, or an attack would excuse itself
        driven = bucket.total - max(0.0, count - level) if series.exposure > 0.0 else float(bucket.total)
        gates = self._thresholds(status)
        dominant = share > DOMINANT
        if gates.direction == "above":
            expected = share * max(bucket.usual, driven)
        elif gates.direction == "below" or dominant:
            expected = level
        else:
            expected = share * max(0.0, bucket.total - count + level)
        surety = None if gates.direction == "above" and not dominant else volume
        series.observe(count, expected)
        judgement = judge(series, gates, surety)
        verdict = self._conclude(bucket, status, count, expected, series, judgement, gates, surety)
        relief = gates.direction == "above" and judgement.longest < -RELIEF
        self._learn(bucket, series, count, driven, RELIEF_WEIGHT if relief else 1.0)
        return verdict

    def _judge_volume(self, bucket: Bucket, series: Baseline) -> Verdict:
        if series.alerting and bucket.total > 0 and series.counts[0] == 0.0:
            # the silence is over; what the volume is now is judged without it
            series.alerting = 0
            series.clear_windows()
        series.observe(bucket.total, bucket.usual)
        gates = self._thresholds(TOTAL)
        judgement = judge(series, gates)
        verdict = self._conclude(bucket, TOTAL, bucket.total, bucket.usual, series, judgement, gates, None)
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
    ) -> Verdict:
        recommendation: Recommendation = "ok"
        reasons: tuple[str, ...] = ()
        if not bucket.warm:
            recommendation = "warming"
        elif series.alerting > self._shift:
            series.accept_level()
            reasons = ("level shift",)
        elif seen.passed:
            recommendation = "alert"
            reasons = ("silence",) if bucket.total == 0 else ("score",)
            series.alerting += 1
        elif series.alerting and seen.lingers:
            recommendation = "pending"
            reasons = ("score",)
            series.alerting += 1
        elif series.alerting:
            series.alerting = 0
            series.restart_windows()
        low, high = interval(expected, series, gates, volume)
        text = explain(status, count, expected, low, high, seen, recommendation, reasons)
        return Verdict(
            bucket.time, status, bucket.key, count, bucket.total, expected, low, high, seen.score, seen.window,
            recommendation, reasons, text,
        )  # fmt: skip

    def _learn(self, bucket: Bucket, series: Baseline, count: float, exposure: float, pace: float) -> None:
        series.learn(count, exposure, ALERT_WEIGHT if series.alerting else pace, bucket.warm)

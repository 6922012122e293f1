"""One key's baselines, what is expected of its statuses, and how all of them are packed for a restart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mypy_extensions import mypyc_attr

from .baseline import Baseline
from .key_packing import pack_key as pack_key
from .key_packing import unpack_key as unpack_key
from .limits import Thresholds
from .verdict import TOTAL, Key

TREND_GAIN: Final = 0.001  # of the volume's slope: a morning's ramp is followed within an hour
DOMINANT: Final = 0.5  # share of the volume from which a status is the volume, more than a part of it


@mypyc_attr(acyclic=True)
class Group:
    """The baselines of one key: its volume's and its statuses'."""

    __slots__ = ("buckets", "mix_exposure", "seen", "statuses", "volume")

    def __init__(self, discount: float) -> None:
        self.seen = 0  # when something of it last arrived, epoch seconds
        self.volume = Baseline(discount, TREND_GAIN)
        self.statuses: dict[str, Baseline] = {}
        self.buckets = 0  # judged so far
        self.mix_exposure = 0.0  # discounted transactions: what a status never seen before has been absent from

    def new_series(self, discount: float) -> Baseline:
        """The baseline of a status never seen before: absent from all that the group saw."""
        series = Baseline(discount)
        series.exposure = self.mix_exposure
        return series


@mypyc_attr(acyclic=True, free_list_len=1)
class Bucket:
    """The counts of one key in one bucket, with what they are judged against."""

    __slots__ = ("age", "counts", "key", "time", "total", "usual", "warm")

    def __init__(
        self, time: int, key: Key, counts: dict[str, int], total: int, usual: float, warm: bool, age: int = 0
    ) -> None:
        self.time = time
        self.key = key
        self.counts = counts
        self.total = total
        self.usual = usual  # volume expected
        self.warm = warm
        self.age = age  # buckets judged before


@dataclass(frozen=True, slots=True)
class SeriesState:
    """What is known of one series, for people."""

    key: Key
    status: str
    expected: float  # transactions a bucket
    dispersion: float  # variance over mean
    evidence: float  # discounted transactions behind the level
    alerting: int  # buckets since it last was quiet


def expect(bucket: Bucket, count: int, series: Baseline, gates: Thresholds) -> tuple[float, float, bool]:
    """What a status should have brought, given its share, the usual volume and this bucket's.

    Returns the transactions expected; this bucket's volume without the status's own excess; and whether the expectation
    can be no surer than the volume's.
    """
    share = series.rate()
    level = share * bucket.usual
    # this bucket's volume without what this status itself adds to it, or an attack would excuse itself
    driven = bucket.total - max(0.0, count - level) if series.exposure > 0.0 else float(bucket.total)
    dominant = share > DOMINANT
    if gates.direction == "above":
        return share * max(bucket.usual, driven), driven, dominant
    if gates.direction == "below" or dominant:
        return level, driven, True
    return share * max(0.0, bucket.total - count + level), driven, True


def describe(groups: Mapping[Key, Group]) -> list[SeriesState]:
    """What is known of every series."""
    found = []
    for key, group in groups.items():
        usual = group.volume.rate()
        every = {TOTAL: (group.volume, usual)}
        every |= {status: (series, series.rate() * usual) for status, series in group.statuses.items()}
        for status, (series, expected) in every.items():
            found.append(SeriesState(key, status, expected, series.dispersion(), series.events, series.alerting))
    return found


def pack(groups: Mapping[Key, Group]) -> list[object]:
    """All groups as JSON takes them."""
    return [
        [
            pack_key(key),
            group.seen,
            group.buckets,
            group.mix_exposure,
            group.volume.snapshot(),
            {status: series.snapshot() for status, series in group.statuses.items()},
        ]
        for key, group in groups.items()
    ]


def unpack(rows: Sequence[Any], discount: float) -> dict[Key, Group]:
    """The groups that `pack` packed; ValueError or TypeError where that cannot be."""
    groups: dict[Key, Group] = {}
    for key, seen, buckets, mix_exposure, volume, statuses in rows:
        group = Group(discount)
        group.seen, group.buckets, group.mix_exposure = int(seen), int(buckets), float(mix_exposure)
        group.volume = Baseline.restore(volume)
        group.statuses = {str(status): Baseline.restore(series) for status, series in statuses.items()}
        groups[unpack_key(key)] = group
    return groups

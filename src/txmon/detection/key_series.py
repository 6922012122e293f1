"""One key's baselines, what is expected of its statuses, and how all of them are packed for a restart."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from mypy_extensions import mypyc_attr

from txmon.detection.baseline import MIN_DISPERSION, MIN_OF_KEYS, Baseline, restored
from txmon.detection.hours import KeyHours
from txmon.model.keys import TOTAL, Key
from txmon.model.keys import pack_key as pack_key
from txmon.model.keys import unpack_key as unpack_key
from txmon.model.scores import Thresholds
from txmon.support.frozen import frozen

SHARED: Final = 16  # statuses up to which volumes share a layout
STATUSES: Final = 1000  # statuses of one key that are counted on their own; the others are counted together
OTHER: Final = "(other)"  # as this one
TREND_GAIN: Final = 0.001  # of the volume's slope: a morning's ramp is followed within an hour
SHORT_GAP: Final = 8  # empty buckets that may lie between two bursts
GAP_GAIN: Final = 0.05
BURSTS: Final = 0.2  # of the buckets come after a gap, where the feed comes in bursts
DOMINANT: Final = 0.5  # share of the volume from which a status is the volume, more than a part of it


@mypyc_attr(acyclic=True)
class Sum:
    """Transactions of one status in one bucket, over all keys."""

    __slots__ = ("bucket", "count", "status")

    def __init__(self, status: str) -> None:
        self.status = status
        self.bucket = 0  # its number, from 1 on
        self.count = 0

    def add(self, bucket: int, count: int) -> None:
        """Add what one key brought in the bucket of that number."""
        if bucket != self.bucket:
            self.bucket, self.count = bucket, 0
        self.count += count


class StatusLayout:
    """The statuses that a volume has, in the order in which they came: one for all volumes that have the same ones.

    Volumes with more than SHARED statuses have one of their own. A shared one is kept with all shorter ones that it
    came from, so the memory of a long one would grow with the square of its length.
    """

    __slots__ = ("_longer", "gates", "names", "shared", "sigma", "sums")

    def __init__(self, names: list[str], sums: dict[str, Sum]) -> None:
        self.names = names
        self.shared = len(names) <= SHARED
        self.sums = sums  # of these statuses
        self.gates: list[Thresholds] = []  # what each must exceed where `sigma` alerts
        self.sigma = 0.0
        self._longer: dict[str, StatusLayout] = {}

    def with_status(self, status: str, sums: dict[str, Sum]) -> "StatusLayout":
        """The layout with one status more; sums: of all statuses, by name."""
        if status not in sums:
            sums[status] = Sum(status)
        if not self.shared:
            self.names.append(status)
            self.sums[status] = sums[status]
            self.sigma = 0.0  # the gates lack the new one
            return self
        found = self._longer.get(status)
        if found is None:
            found = StatusLayout([*self.names, status], {**self.sums, status: sums[status]})
            if found.shared:
                self._longer[status] = found
        return found


@mypyc_attr(acyclic=True)
class KeyVolume(Baseline):
    """The baseline of one key's volume, which also holds the baselines of the key's statuses.

    It is one object, not a key that has a volume, and there is no tuple around a single status: a detector follows a
    million keys, and most of them have one status.
    """

    __slots__ = ("buckets", "busy_since", "empty", "gaps", "held", "hours", "layout", "mix_exposure", "seen")

    def __init__(self, discount: float, layout: StatusLayout, keyed: bool = False) -> None:
        """layout: that of no status; keyed: it is one key's, and not that of all."""
        super().__init__(discount, TREND_GAIN, MIN_OF_KEYS if keyed else MIN_DISPERSION)
        self.seen = 0  # when something of it last arrived, epoch seconds
        self.layout = layout
        self.held: Baseline | tuple[Baseline, ...] | None = None  # of its statuses, as the layout has them
        # when it is closed; None for a key that is not busy enough, or has brought something in every bucket since then
        self.hours: KeyHours | None = None
        self.busy_since = -1  # epoch seconds; -1 for never
        self.buckets = 0  # judged so far
        self.empty = 0  # buckets without a transaction since the last one
        self.gaps = 0.0  # part of the buckets with transactions that came after a short gap: a feed of bursts has many
        self.mix_exposure = 0.0  # discounted transactions: what a status never seen before has been absent from

    def wait(self, arrived: bool) -> float:
        """Take a bucket; over how many buckets what is in it was gathered: 1, but where the feed comes in bursts.

        There an empty bucket waits for the next burst (0), which brings what is due for all of them. After SHORT_GAP
        empty ones no burst is waited for any more.
        """
        bursts = self.gaps > BURSTS
        if arrived:
            empty = self.empty
            self.empty = 0
            if empty > SHORT_GAP:
                return 1.0
            self.gaps += GAP_GAIN * ((1.0 if empty > 0 else 0.0) - self.gaps)
            return empty + 1.0 if bursts else 1.0
        self.empty += 1
        if not bursts or self.empty > SHORT_GAP + 1:
            return 1.0
        return 0.0 if self.empty <= SHORT_GAP else float(self.empty)

    def new_series(self, discount: float) -> Baseline:
        """The baseline of a status never seen before: absent from all that the volume saw."""
        series = Baseline(discount, 0.0, self.pace.least)
        series.exposure = self.mix_exposure
        return series

    def add(self, status: str, series: Baseline, sums: dict[str, Sum]) -> None:
        """Begin to follow a status; sums: of all statuses, by name."""
        self.layout = self.layout.with_status(status, sums)
        self.held = (*self.series(), series) if self.held is not None else series

    def series(self) -> tuple[Baseline, ...]:
        """The statuses' baselines, as the layout has them."""
        held = self.held
        if held is None:
            return ()
        return held if isinstance(held, tuple) else (held,)

    def of(self, status: str) -> Baseline | None:
        """The baseline of one status; None where it has none."""
        return self.series()[self.layout.names.index(status)] if status in self.layout.sums else None

    @property
    def statuses(self) -> dict[str, Baseline]:
        """All of them by name, in a new dictionary."""
        return dict(zip(self.layout.names, self.series(), strict=True))


@mypyc_attr(acyclic=True, free_list_len=1)
class Bucket:
    """The counts of one key in one bucket, with what they are judged against."""

    __slots__ = (
        "age", "closed", "counts", "key", "noise", "opening", "span", "time", "total", "trust", "usual", "warm",
    )  # fmt: skip

    def __init__(
        self, time: int, key: Key, counts: dict[str, int], total: int, usual: float, warm: bool, age: int = 0
    ) -> None:
        self.time = time
        self.key = key
        self.counts = counts
        self.total = total
        self.usual = usual  # volume expected
        self.noise = 0.0  # by which this bucket's volume may differ from that while nothing happens
        self.trust = 1.0  # part of such a difference that is the volume's own, 0..1; the rest is chance
        self.warm = warm
        self.age = age  # buckets judged before
        self.closed = False  # nothing arrived, and that is usual
        self.opening = False  # its key was closed until lately: the level may be too high, and is learned anew
        self.span = 1.0  # buckets over which its transactions were gathered; 0 where they come with a later one


@frozen
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
        off = driven - bucket.usual
        if off > bucket.noise:
            return share * driven, driven, dominant
        # of the two the larger would be too large by part of their noise; one that collapsed measures nothing
        volume = bucket.usual + bucket.trust * off if off >= -bucket.noise else bucket.usual
        return share * volume, driven, dominant
    if gates.direction == "below" or dominant:
        return level, driven, True
    return share * max(0.0, bucket.total - count + level), driven, True


def describe(volumes: Mapping[Key, KeyVolume]) -> list[SeriesState]:
    """What is known of every series."""
    found = []
    for key, volume in volumes.items():
        usual = volume.rate()
        every: dict[str, tuple[Baseline, float]] = {TOTAL: (volume, usual)}
        every |= {status: (series, series.rate() * usual) for status, series in volume.statuses.items()}
        for status, (series, expected) in every.items():
            found.append(SeriesState(key, status, expected, series.dispersion(), series.events, series.alerting))
    return found


def pack(volumes: Mapping[Key, KeyVolume]) -> list[object]:
    """Return all volumes as values of JSON."""
    return [_packed(key, volume) for key, volume in volumes.items()]


class PackedVolumes:
    """Yield all volumes as values of JSON, packed one by one, because a million at once would need gigabytes."""

    def __init__(self, volumes: Mapping[Key, KeyVolume]) -> None:
        self._volumes = volumes

    def __iter__(self) -> Iterator[object]:
        for key, volume in self._volumes.items():
            yield _packed(key, volume)


def _packed(key: Key, volume: KeyVolume) -> list[object]:
    return [
        pack_key(key),
        volume.seen,
        volume.buckets,
        volume.mix_exposure,
        volume.snapshot(),
        {status: series.snapshot() for status, series in volume.statuses.items()},
        [volume.empty, volume.gaps],
    ]


def unpack(rows: Sequence[Any], discount: float, layout: StatusLayout, sums: dict[str, Sum]) -> dict[Key, KeyVolume]:
    """Return the volumes that `pack` packed. Raise ValueError or TypeError if they are not valid.

    layout: that of no status; sums: of all statuses, by name.
    """
    volumes: dict[Key, KeyVolume] = {}
    for key, seen, buckets, mix_exposure, numbers, statuses, *rest in rows:
        volume = KeyVolume(discount, layout, bool(key))
        volume.seen, volume.buckets, volume.mix_exposure = int(seen), int(buckets), float(mix_exposure)
        volume.restore(numbers)
        for empty, gaps in rest:  # not in older states
            volume.empty, volume.gaps = int(empty), float(gaps)
        for status, series in statuses.items():
            volume.add(str(status), restored(series, volume.pace.least), sums)
        volumes[unpack_key(key)] = volume
    return volumes

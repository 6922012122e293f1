"""The keys that a detector knows: which are new, which were idle too long, and how many series share the budget."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from heapq import merge
from typing import Any, Final

from txmon.detection.baseline import Baseline
from txmon.detection.cardinality import SharedSeriesCount
from txmon.detection.key_series import OTHER, STATUSES, KeyVolume, PackedVolumes, StatusLayout, Sum, pack, unpack
from txmon.detection.thresholds import DetectorConfig
from txmon.model.keys import Key

DAY: Final = 86400
DROP_EACH: Final = 60  # buckets between two looks for idle keys
BREATH: Final = 250  # keys that are judged, or begun, between two moments in which others may do something
EASY: Final = 20  # times as many keys are looked up meanwhile


class Roster:
    """The baselines of every key, and of all keys as one."""

    def __init__(self, config: DetectorConfig, discount: float, mix_discount: float) -> None:
        """discount, mix_discount: what a bucket leaves of the evidence on a volume, and on a status's share."""
        self._width: int = config.bucket
        self._idle: float = config.idle
        self._most: int = config.max_series
        self._discount = discount
        self._mix_discount = mix_discount
        self.volumes: dict[Key, KeyVolume] = {}
        self._sums: dict[str, Sum] = {}  # by status
        self._bucket = 0  # number of the present one, by which the sums know it
        self._no_status = StatusLayout([], {})
        self.whole: KeyVolume | None = None  # all keys as one: what the season is learned from where there are keys
        self.forgotten = 0  # keys dropped
        self.folded = 0  # counts of statuses beyond those that one key may have
        self._seen = -1  # start of the last bucket in which anything arrived
        self._series = 0
        self._fresh = 0  # statuses among them that are new in the present bucket
        self._roll = SharedSeriesCount()
        self.sharing = 0  # series that share the budget, by the roll
        self.breathe: Callable[[], None] | None = None  # called now and then while there are many keys
        self.breath: int = BREATH

    def enlist(
        self, time: int, counts: dict[Key, dict[str, int]], sample: tuple[int, Mapping[str, Sequence[str]]] | None
    ) -> tuple[dict[KeyVolume, dict[str, int]], dict[str, int]]:
        """Begin a baseline for every series that is new in the bucket at `time`, and count it.

        Returns the counts of the keys that arrived, by status, and the transactions by status over all keys: both need
        a look at every count. The first has the keys' volumes for keys, since a tuple of texts takes longer to look up.
        """
        arrivals: dict[KeyVolume, dict[str, int]] = {}
        self._fresh = 0
        self._bucket += 1
        new: list[tuple[Key, str]] = []
        folded: dict[Key, dict[str, int]] = {}
        breathe, waits = self.breathe, self.breath * EASY
        for key, came in counts.items():
            if breathe is not None:
                waits -= 1
                if waits == 0:
                    breathe()
                    waits = self.breath * EASY
            statuses = came
            volume = self.volumes.get(key)
            if len(came) + (len(volume.layout.names) if volume is not None else 0) > STATUSES:
                statuses = folded[key] = self._folded(volume, came)
            if volume is None:
                new += [(key, status) for status in statuses] if statuses else [(key, "")]
                continue
            volume.seen = time
            arrivals[volume] = statuses
            sums = volume.layout.sums
            for status, count in statuses.items():
                one = sums.get(status)
                if one is None:
                    new.append((key, status))
                else:
                    one.add(self._bucket, count)
        if new:
            self._begin(time, new, counts | folded if folded else counts, arrivals)
        self._roll.close(time, sample)
        return arrivals, self._over_all(arrivals)

    def _over_all(self, arrivals: dict[KeyVolume, dict[str, int]]) -> dict[str, int]:
        """Return the transactions of this bucket by status over all keys."""
        if len(arrivals) == 1:
            for only in arrivals.values():
                return only
        return {one.status: one.count for one in self._sums.values() if one.bucket == self._bucket}

    def _new_series(self, volume: KeyVolume, status: str) -> Baseline:
        """The baseline of a status that is new for a key: as dispersed as that status is over all keys, until it knows.

        A rare series has too little of its own to learn that from.
        """
        series = volume.new_series(self._mix_discount)
        pooled = self.whole.of(status) if self.whole is not None else None
        if pooled is not None:
            series.median, series.blocks = pooled.median, pooled.blocks
        return series

    def _folded(self, volume: KeyVolume | None, statuses: dict[str, int]) -> dict[str, int]:
        """Return the counts of one key with those of statuses that it has no room for as one.

        Which of the new ones get the room does not depend on the order in which they came.
        """
        known: dict[str, Sum] = volume.layout.sums if volume is not None else {}
        fresh = sorted([(-count, status) for status, count in statuses.items() if status not in known])
        room = max(0, STATUSES - len(known))
        if len(fresh) <= room:
            return statuses
        found = dict(statuses)
        rest = 0
        for _, status in fresh[room:]:
            if status != OTHER:
                rest += found.pop(status)
                self.folded += 1
        found[OTHER] = found.get(OTHER, 0) + rest
        return found

    def _begin(
        self,
        time: int,
        new: list[tuple[Key, str]],
        counts: dict[Key, dict[str, int]],
        arrivals: dict[KeyVolume, dict[str, int]],
    ) -> None:
        """Begin baselines for `new` series, sorted: the order in which the rows of one bucket came must not show."""
        breathe, waits = self.breathe, self.breath
        for key, status in self._in_order(new):
            if breathe is not None:
                waits -= 1
                if waits == 0:
                    breathe()
                    waits = self.breath
            volume = self.volumes.get(key)
            if volume is None:
                volume = self.volumes[key] = KeyVolume(self._discount, self._no_status, bool(key))
                volume.seen = time
                arrivals[volume] = counts[key]
                self._series += 1
                self._roll.add_key(key)
            if status not in counts[key]:  # a key without any row
                continue
            volume.add(status, self._new_series(volume, status), self._sums)
            self._series += 1
            self._fresh += 1
            self._roll.add_series(key)
            volume.layout.sums[status].add(self._bucket, counts[key][status])

    def _in_order(self, new: list[tuple[Key, str]]) -> Iterable[tuple[Key, str]]:
        """Return `new` sorted. Of many series, only some are sorted between two moments in which others run."""
        size = self.breath * EASY
        if self.breathe is None or len(new) <= size:
            new.sort()
            return new
        parts: list[list[tuple[Key, str]]] = []
        for at in range(0, len(new), size):
            parts.append(sorted(new[at : at + size]))
            self.breathe()
        return merge(*parts)

    def as_one(self, whole: dict[str, int]) -> KeyVolume | None:
        """Return the baselines of all keys as one, given their counts by status; None before anything arrived."""
        volume = self.whole
        if volume is None:
            if not whole:
                return None
            volume = self.whole = KeyVolume(self._discount, self._no_status)
        for status in sorted(whole):  # the order in which they came is not known everywhere
            if status not in volume.layout.sums and len(volume.layout.names) < STATUSES:
                volume.add(status, volume.new_series(self._mix_discount), self._sums)
        return volume

    @property
    def size(self) -> int:
        """Series that are followed: volumes and statuses."""
        return self._series

    def is_alone(self) -> bool:
        """Return whether there are no keys, so that all keys as one are the one there is."""
        return len(self.volumes) == 1 and () in self.volumes

    def knows(self, key: Key) -> bool:
        """Return whether a key has baselines; () is all keys as one, too."""
        return not key or key in self.volumes

    def drop(self, time: int, arrived: bool) -> bool:
        """Forget keys that were idle too long, and the least recently seen where there are too many; whether any was.

        time: start of the present bucket, epoch seconds; arrived: whether anything arrived in it.
        """
        before = self.forgotten
        if arrived:
            self._seen = time
        if time % DAY // self._width % DROP_EACH == 0:
            oldest = time - self._idle
            # while nothing at all arrives it is the feed that is silent, and goes on being that, not its keys
            if self._seen >= oldest:
                for key in [key for key, volume in self.volumes.items() if volume.seen < oldest]:
                    self._forget(key)
                self._roll.forget(int(oldest))
        # what is new counts from the next bucket on: until then nothing tells which of the new keys is the busiest
        if self._series - self._fresh > self._most:
            # of those that are seen the busiest stays: the feed would be forgotten with it, again and again
            of_use = [(volume.seen, volume.mix_exposure, key) for key, volume in self.volumes.items()]
            for _, _, key in sorted(of_use)[:-1]:
                if self._series <= self._most * 0.9:
                    break
                self._forget(key)
        self.sharing = self._roll.series()
        return self.forgotten > before

    def _forget(self, key: Key) -> None:
        series = 1 + len(self.volumes.pop(key).layout.names)
        self._series -= series
        self._roll.drop_key(key, series)
        self.forgotten += 1

    def snapshot(self, *, lazy: bool = False) -> dict[str, object]:
        """Return all of the state, as values of JSON, for `restore`.

        lazy: the keys are packed while somebody iterates over them, and nothing may change until then.
        """
        return {
            "seen": self._seen,
            "groups": PackedVolumes(self.volumes) if lazy else pack(self.volumes),
            "whole": pack({(): self.whole} if self.whole is not None else {}),
            "roll": self._roll.snapshot(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restore what `snapshot` returned. Raise ValueError, KeyError or TypeError if it is not valid.

        A state from before all keys were known as one begins anew with that.
        """
        volumes = unpack(state["groups"], self._discount, self._no_status, self._sums)
        whole = unpack(state.get("whole", []), self._discount, self._no_status, self._sums).get(())
        roll = SharedSeriesCount()
        if "roll" in state:  # not in older states
            roll.restore(state["roll"])
        self.volumes, self.whole, self._roll = volumes, whole, roll
        self._seen = int(state["seen"])
        self._series = 0
        for key, volume in volumes.items():
            roll.add_key(key, 1 + len(volume.layout.names))
            self._series += 1 + len(volume.layout.names)
        self.sharing = roll.series()

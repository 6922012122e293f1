"""The episodes of alerts that series are in, what was known before each, and those that someone called normal."""

from collections.abc import Callable, Mapping, Sequence
from math import exp, log, sqrt
from typing import Any, Final

from mypy_extensions import mypyc_attr

from txmon.detection.baseline import PRIOR_EVENTS, Baseline, rate_of
from txmon.detection.key_series import KeyVolume
from txmon.model.keys import Key, pack_key, unpack_key

Known = tuple[float, float, float, float]  # of a series, as Baseline.known gives it
MEMORY: Final = 24.0  # half-lives of a level in which what was usual before moves half of the way to it
SHORT: Final = 10  # buckets of an episode that moves a dispersion too little to matter
DAY: Final = 86400
HIGH: Final = 6.0  # times what was usual before: a morning, more than a surge
BRIEF: Final = 30  # buckets up to which even that is a surge: a merchant that charges its subscribers
HOUR: Final = 3600
FLAPS: Final = 2.2  # alerts in an hour (three, of which the older count less) that are one outage on and off
FLAPS_END: Final = 10800  # seconds without an alert, after which it is over
MANY: Final = 1000
NEAR: Final = 1.1  # times what was usual before: a level no higher has come back, or has been met


@mypyc_attr(acyclic=True)
class Flapping:
    """The alerts of one series lately, which may be one outage that goes on and off."""

    __slots__ = ("last", "since", "starts")

    def __init__(self, time: int) -> None:
        self.since = time  # of the first, epoch seconds
        self.last = time  # of the newest
        self.starts = 1.0  # how many there were, halved each hour

    def starts_again(self, time: int) -> None:
        """Take an alert that begins at `time`."""
        past = time - self.last
        self.last = time
        self.starts = 1.0 + self.starts * exp(-log(2.0) * past / HOUR)
        if past > FLAPS_END:
            self.since = time


class Episodes:
    """A series is in one from its first alert until it is quiet."""

    __slots__ = ("_excluded", "_flapping", "_kept", "_left", "_many")

    def __init__(self) -> None:
        self._kept: dict[tuple[Key, str], Known] = {}  # before the episode, while it lasts
        # before a level that was accepted as new, and since when (epoch seconds)
        self._left: dict[tuple[Key, str], tuple[int, Known]] = {}
        self._excluded: set[tuple[Key, str]] = set()  # called normal
        self._flapping: dict[tuple[Key, str], Flapping] = {}  # what alerted lately
        self._many = MANY  # of these, from which on the old ones are let go

    def are_there(self) -> bool:
        """Return whether any series is in one."""
        return len(self._kept) > 0 or len(self._left) > 0

    def count(self, key: Key, status: str, series: Baseline, alerts: bool, time: int, young: bool = False) -> None:
        """Begin, go on with or end the series' episode of alerts.

        time: of the bucket, epoch seconds; young: the feed has begun so lately that what it does is how it comes.
        """
        if alerts:
            if not series.alerting:
                self._kept[key, status] = series.known()
                self._begin(key, status, time - DAY if young else time, time)
            series.alerting += 1
        elif series.alerting:
            kept = self._kept.get((key, status))
            if kept is not None and series.alerting > SHORT:
                series.median = kept[2]  # the incident's own spread is not the series' own
            series.alerting = 0
            series.restart_windows()
        if not series.alerting and self._kept:
            self._kept.pop((key, status), None)

    def _begin(self, key: Key, status: str, since: int, time: int) -> None:
        """Count an alert that begins at `time`; since: when the first of them began, if this is it."""
        found = self._flapping.get((key, status))
        if found is not None:
            found.starts_again(time)
            return
        if len(self._flapping) >= self._many:
            oldest = time - FLAPS_END
            self._flapping = {series: one for series, one in self._flapping.items() if one.last >= oldest}
            self._many = max(MANY, 2 * len(self._flapping))
        found = self._flapping[key, status] = Flapping(time)
        found.since = since

    def flaps(self, key: Key, status: str, time: int) -> bool:
        """Whether the series' alerts are those of one outage that goes on and off: three an hour, for less than a day.

        Where so many come for longer it is how the series comes.
        """
        found = self._flapping.get((key, status))
        return found is not None and found.starts >= FLAPS and time - found.since < DAY

    def leave(self, key: Key, status: str, series: Baseline, time: int) -> None:
        """Remember, at `time` (epoch seconds), what the series is about to give up for a new level."""
        kept = self._kept.get((key, status))
        if kept is not None and (key, status) not in self._left:
            self._left[key, status] = (time, kept)

    def come_back(self, key: Key, status: str, series: Baseline, usual: float, time: int) -> None:
        """Know again what was known before a new level, once the last five buckets are nearer to that.

        usual: what one of `rate` stands for in a bucket; time: of that, epoch seconds. After a day it is forgotten.
        """
        left = self._left.get((key, status)) if self._left else None
        if left is None:
            return
        since, known = left
        if time - since > DAY:
            del self._left[key, status]
            return
        five, _ = series.sums()
        if series.expectations[4] <= 0.0:
            return  # there are no five buckets yet
        new, old = series.rate(), rate_of(known[0], known[1])
        middle = 5.0 * usual * sqrt(new * old)
        if (new > old and five < middle) or (new < old and five > middle):
            series.recall(known)
            series.restart_windows()
            del self._left[key, status]

    def exclude(self, key: Key, status: str, series: Baseline) -> None:
        """Unlearn what the series learned since it began to alert; until it is quiet, nothing is learned of it."""
        kept = self._kept.get((key, status))
        if series.alerting and kept is not None:
            series.recall(kept)
        self._excluded.add((key, status))

    def is_excluded(self, key: Key, status: str, series: Baseline) -> bool:
        """Return whether nothing is to be learned of the series yet; one that is quiet again is excluded no more."""
        if len(self._excluded) == 0 or (key, status) not in self._excluded:
            return False
        if series.alerting:
            return True
        self._excluded.discard((key, status))
        return False

    def release(self, known: Callable[[Key], bool]) -> None:
        """Remove keys that are no longer known."""
        self._kept = {(key, status): kept for (key, status), kept in self._kept.items() if known(key)}
        self._left = {(key, status): left for (key, status), left in self._left.items() if known(key)}
        self._excluded = {(key, status) for key, status in self._excluded if known(key)}
        self._flapping = {(key, status): one for (key, status), one in self._flapping.items() if known(key)}

    def snapshot(self) -> dict[str, object]:
        """Return all of the state, as values of JSON, for `restore`."""
        return {
            "kept": [[pack_key(key), status, list(known)] for (key, status), known in self._kept.items()],
            "left": [[pack_key(key), status, time, list(known)] for (key, status), (time, known) in self._left.items()],
            "excluded": [[pack_key(key), status] for key, status in sorted(self._excluded)],
            "flapping": [
                [pack_key(key), status, one.since, one.last, one.starts]
                for (key, status), one in self._flapping.items()
            ],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restore what `snapshot` returned. Raise ValueError, KeyError or TypeError if it is not valid."""
        kept = {(unpack_key(key), str(status)): known_of(known) for key, status, known in state["kept"]}
        self._excluded = {(unpack_key(key), str(status)) for key, status in state["excluded"]}
        self._kept = kept
        # not in older states
        self._left = {
            (unpack_key(key), str(status)): (int(time), known_of(known))
            for key, status, time, known in state.get("left", [])
        }
        self._flapping = {}
        for key, status, since, last, starts in state.get("flapping", []):
            one = self._flapping[unpack_key(key), str(status)] = Flapping(int(last))
            one.since, one.starts = int(since), float(starts)


def known_of(numbers: Sequence[float]) -> Known:
    """Return what `Baseline.known` gave, from a state. Raise ValueError or TypeError if it is not valid."""
    events, exposure, median, slope = numbers
    return float(events), float(exposure), float(median), float(slope)


@mypyc_attr(acyclic=True)
class Surge:
    """What was known of one key before its volume surged."""

    __slots__ = ("age", "statuses", "usual", "volume")

    def __init__(self, usual: float, volume: Known, statuses: dict[str, Known]) -> None:
        self.age = 0  # buckets since it began
        self.usual = usual  # transactions a bucket, moved since with the season and towards the level
        self.volume = volume
        self.statuses = statuses


class Surges:
    """The keys whose volume is above what was usual, and what that was."""

    __slots__ = ("_keep", "_surges")

    def __init__(self, discount: float) -> None:
        """discount: what a bucket leaves of the evidence on a volume's level."""
        self._keep = discount ** (1.0 / MEMORY)
        self._surges: dict[Key, Surge] = {}

    def usual(self, key: Key, level: float, total: float) -> float:
        """The volume to be expected where `total` came and the level is `level`: of all that is usual the nearest."""
        surge = self._surges.get(key) if self._surges else None
        if surge is None or total >= level or surge.usual >= level:
            return level
        return max(surge.usual, total)

    def grow(self, factor: float) -> None:
        """Move what was usual as the levels move with the season."""
        for surge in self._surges.values():
            surge.usual *= factor

    def end(self, key: Key, volume: KeyVolume, total: float) -> None:
        """Know again what was known before a surge that is over: two buckets in a row are nearer to that.

        total: transactions in the bucket that is about to be judged.
        """
        surge = self._surges.get(key) if self._surges else None
        if surge is None:
            return
        level = volume.rate()
        if level > surge.usual and max(total, volume.newest()) < sqrt(level * surge.usual):
            _recall(volume, surge)
            del self._surges[key]

    def follow(self, key: Key, volume: KeyVolume, surging: bool) -> None:
        """Begin to remember, go on, or stop, after a bucket was judged and before its volume is learned.

        surging: the volume is far above its level.
        """
        surge = self._surges.get(key) if self._surges else None
        level = volume.rate()
        if surge is None:
            if surging:
                statuses = {status: series.known() for status, series in volume.statuses.items()}
                self._surges[key] = Surge(level, volume.known(), statuses)
            return
        surge.age += 1
        if (level > HIGH * surge.usual and surge.age > BRIEF) or (not surging and level < NEAR * surge.usual):
            del self._surges[key]
        else:
            surge.usual = level + self._keep * (surge.usual - level)

    def release(self, known: Callable[[Key], bool]) -> None:
        """Forget the keys that are not known any more."""
        self._surges = {key: surge for key, surge in self._surges.items() if known(key)}

    def snapshot(self) -> list[object]:
        """Return all of the state, as values of JSON, for `restore`."""
        return [
            [
                pack_key(key),
                one.usual,
                list(one.volume),
                {status: list(known) for status, known in one.statuses.items()},
                one.age,
            ]
            for key, one in self._surges.items()
        ]

    def restore(self, state: Sequence[Sequence[Any]]) -> None:
        """Restore what `snapshot` returned. Raise ValueError or TypeError if it is not valid."""
        self._surges = {}
        for key, usual, volume, statuses, *age in state:
            known = {str(status): known_of(numbers) for status, numbers in statuses.items()}
            surge = self._surges[unpack_key(key)] = Surge(float(usual), known_of(volume), known)
            surge.age = int(age[0]) if age else BRIEF  # not in older states


def _recall(volume: KeyVolume, surge: Surge) -> None:
    """The surge is over: what was known before it holds again."""
    _, exposure, median, _ = surge.volume
    volume.recall((max(0.0, surge.usual * exposure - PRIOR_EVENTS), exposure, median, 0.0))
    by_name = volume.statuses
    for status, known in surge.statuses.items():
        series = by_name.get(status)
        if series is None:  # a program that mixes records with and without a key: () is a key and all keys as one
            continue
        # one that the surge had no part in had less of a share while it lasted, and has its own again
        if not series.alerting and rate_of(known[0], known[1]) > series.rate():
            series.recall(known)
            series.restart_windows()

"""The episodes of alerts that series are in, what was known before each, and those that someone called normal."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .baseline import Baseline
from .key_packing import pack_key, unpack_key
from .verdict import Key

Known = tuple[float, float, float, float]  # of a series, as Baseline.known gives it


class Episodes:
    """A series is in one from its first alert until it is quiet."""

    __slots__ = ("_excluded", "_kept")

    def __init__(self) -> None:
        self._kept: dict[tuple[Key, str], Known] = {}  # before the episode, while it lasts
        self._excluded: set[tuple[Key, str]] = set()  # called normal

    def are_there(self) -> bool:
        """Whether any series is in one."""
        return len(self._kept) > 0

    def count(self, key: Key, status: str, series: Baseline, alerts: bool) -> None:
        """Begin, go on with or end the series' episode of alerts."""
        if alerts:
            if not series.alerting:
                self._kept[key, status] = series.known()
            series.alerting += 1
        elif series.alerting:
            series.alerting = 0
            series.restart_windows()
        if not series.alerting and self._kept:
            self._kept.pop((key, status), None)

    def exclude(self, key: Key, status: str, series: Baseline) -> None:
        """Unlearn what the series learned since it began to alert; until it is quiet, nothing is learned of it."""
        kept = self._kept.get((key, status))
        if series.alerting and kept is not None:
            series.recall(kept)
        self._excluded.add((key, status))

    def is_excluded(self, key: Key, status: str, series: Baseline) -> bool:
        """Whether nothing is to be learned of the series yet; one that is quiet again is excluded no more."""
        if len(self._excluded) == 0 or (key, status) not in self._excluded:
            return False
        if series.alerting:
            return True
        self._excluded.discard((key, status))
        return False

    def release(self, known: Callable[[Key], bool]) -> None:
        """Let go of keys that are not known any more."""
        self._kept = {(key, status): kept for (key, status), kept in self._kept.items() if known(key)}
        self._excluded = {(key, status) for key, status in self._excluded if known(key)}

    def snapshot(self) -> dict[str, object]:
        """All of the state, as JSON takes it, for `restore`."""
        return {
            "kept": [[pack_key(key), status, list(known)] for (key, status), known in self._kept.items()],
            "excluded": [[pack_key(key), status] for key, status in sorted(self._excluded)],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what `snapshot` gave; ValueError, KeyError or TypeError where that cannot be."""
        kept = {(unpack_key(key), str(status)): known_of(known) for key, status, known in state["kept"]}
        self._excluded = {(unpack_key(key), str(status)) for key, status in state["excluded"]}
        self._kept = kept


def known_of(numbers: Sequence[float]) -> Known:
    """What `Baseline.known` gave, from a state; ValueError or TypeError where it cannot be that."""
    events, exposure, median, slope = numbers
    return float(events), float(exposure), float(median), float(slope)

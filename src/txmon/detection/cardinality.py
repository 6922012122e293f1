"""How many series share the budget, and what all keys bring together: what no single key knows.

The number is exact for up to SAMPLE keys. Beyond that it is taken from a sample of the keys, those whose hash begins
with so many zero bits (adaptive sampling: Wegman; Flajolet 1990), within 1/sqrt(SAMPLE) of it, a hundredth of a sigma.
A process that has all keys could count them; the shards of a cluster have some keys each, and can be told of a sample.
This way both come to the same number.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final
from zlib import crc32

from txmon.model.keys import Key

SAMPLE: Final = 256  # keys at most
LEVELS: Final = 33  # a hash of 32 bits begins with 0 to 32 zeros
SPREAD: Final = 2654435761  # Knuth's multiplier: a CRC alone has patterns in it where names are numbered
SEPARATOR: Final = "\x1f"  # between the values of a key: ASCII's own unit separator


def text_of(key: Key) -> str:
    """Return the values of a key as one text."""
    return SEPARATOR.join([value for _, value in key])


def level_of(text: str) -> int:
    """With how many zero bits, 0..32, the hash of a key (as `text_of` gives it) begins."""
    return 32 - (crc32(text.encode("utf-8", "surrogatepass")) * SPREAD % 4294967296).bit_length()


class Census:
    """Counts series by the level of their keys."""

    __slots__ = ("_keys", "_keys_above", "_series", "_series_above", "level")

    def __init__(self, level: int = 0) -> None:
        self.level = level  # of the sample: it holds the keys of this level and above, and never grows again
        self._keys = [0] * LEVELS
        self._series = [0] * LEVELS
        # of this level and above: asked for in every bucket
        self._keys_above = 0
        self._series_above = 0

    def add_key(self, level: int, series: int = 1) -> None:
        """Count a key with so many series: that of its volume, and one a status."""
        self._count(level, 1, series)

    def add_series(self, level: int) -> None:
        """Count a status of a key that is counted already."""
        self._count(level, 0, 1)

    def drop_key(self, level: int, series: int) -> None:
        """Count a key and its series no more."""
        self._count(level, -1, -series)

    def _count(self, level: int, keys: int, series: int) -> None:
        self._keys[level] += keys
        self._series[level] += series
        if level >= self.level:
            self._keys_above += keys
            self._series_above += series

    def settle(self) -> None:
        """Raise the level until the sample is small enough."""
        while self._keys_above > SAMPLE:
            self.rise(self.level + 1)

    def rise(self, level: int) -> None:
        """Raise the level to this one, at most LEVELS."""
        while self.level < level:
            self._keys_above -= self._keys[self.level]
            self._series_above -= self._series[self.level]
            self.level += 1

    def series(self) -> int:
        """Return how many series there are: exact at level 0, an estimate above."""
        return self._series_above << self.level


class Sample:
    """The census of keys that are elsewhere: one shard's account of the sampled keys of all shards."""

    __slots__ = ("_keys", "census")

    def __init__(self) -> None:
        self.census = Census()
        self._keys: dict[str, tuple[int, list[str]]] = {}  # key -> when it was last seen (epoch seconds), its statuses

    def take(self, time: int, level: int, keys: Mapping[str, Iterable[str]]) -> None:
        """The keys of `level` and above, with their statuses, that came in the bucket at `time`.

        A sample that left out those below had too many, so they would be too many here too.
        """
        census = self.census
        self._raise(level)
        for key, statuses in keys.items():
            own = level_of(key)
            if own < census.level:
                continue
            known = self._keys.get(key)
            if known is None:
                census.add_key(own)
            names = known[1] if known is not None else []
            for status in statuses:
                if status not in names:
                    names.append(status)
                    census.add_series(own)
            self._keys[key] = (time, names)
        was = census.level
        census.settle()
        if census.level > was:
            self._keep()

    def _raise(self, level: int) -> None:
        if level > self.census.level:
            self.census.rise(level)
            self._keep()

    def _keep(self) -> None:
        """Forget the keys below the level; the census looks no longer at what it counted of them."""
        self._keys = {key: known for key, known in self._keys.items() if level_of(key) >= self.census.level}

    def drop(self, oldest: int) -> None:
        """Forget the keys that were last seen before `oldest`, epoch seconds."""
        for key in [key for key, (seen, _) in self._keys.items() if seen < oldest]:
            self.census.drop_key(level_of(key), 1 + len(self._keys.pop(key)[1]))

    def snapshot(self) -> dict[str, object]:
        """Return all of the state, as values of JSON."""
        return {"level": self.census.level, "keys": [[key, seen, names] for key, (seen, names) in self._keys.items()]}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Become the sample whose `snapshot` was `state`.

        Raise KeyError, TypeError or ValueError if it is not valid.
        """
        census = Census()
        census.rise(int(state["level"]))
        known: dict[str, tuple[int, list[str]]] = {}
        rows: Sequence[Any] = state["keys"]
        for key, seen, names in rows:
            known[str(key)] = (int(seen), [str(name) for name in names])
            census.add_key(level_of(str(key)), 1 + len(names))
        self.census, self._keys = census, known


class SharedSeriesCount:
    """The series of a detector that share the budget: those of its own keys, or of all keys, once told of a sample."""

    __slots__ = ("_census", "_sample")

    def __init__(self) -> None:
        self._census = Census()
        self._sample: Sample | None = None

    def add_key(self, key: Key, series: int = 1) -> None:
        """Enter a key with so many series."""
        self._census.add_key(level_of(text_of(key)), series)

    def add_series(self, key: Key) -> None:
        """Enter a status of a key that is entered already."""
        self._census.add_series(level_of(text_of(key)))

    def drop_key(self, key: Key, series: int) -> None:
        """Strike out a key with its series."""
        self._census.drop_key(level_of(text_of(key)), series)

    def close(self, time: int, sample: tuple[int, Mapping[str, Sequence[str]]] | None) -> None:
        """All of the bucket at `time` is entered; sample: a level, and of all keys those of that level and above."""
        self._census.settle()
        if sample is not None:
            if self._sample is None:
                self._sample = Sample()
            self._sample.take(time, sample[0], sample[1])

    def forget(self, oldest: int) -> None:
        """Strike out keys elsewhere that were last seen before `oldest`, epoch seconds."""
        if self._sample is not None:
            self._sample.drop(oldest)

    def series(self) -> int:
        """Return how many there are."""
        return self._sample.census.series() if self._sample is not None else self._census.series()

    def snapshot(self) -> dict[str, object]:
        """Return what `restore` cannot count again."""
        return {"level": self._census.level, "sample": self._sample.snapshot() if self._sample is not None else None}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restore what `snapshot` returned. Raise KeyError, TypeError or ValueError if it is not valid.

        The detector's own keys are not part of the state. Enter them anew, with `add_key`.
        """
        census = Census()
        census.rise(int(state["level"]))
        sample: Sample | None = None
        if state["sample"] is not None:
            sample = Sample()
            sample.restore(state["sample"])
        self._census, self._sample = census, sample

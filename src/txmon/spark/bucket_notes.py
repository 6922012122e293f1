"""What each shard learns of the others: by bucket the counts over all keys, and the keys that a census samples.

Each task that reads a part of a batch makes notes of what it saw, and every shard gets them all: a few numbers a
bucket, by which all shards come to the same season, the same trends and the same number of series.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from txmon.detection.cardinality import SAMPLE, level_of

HELD: Final = 1000  # buckets that one task's notes are of, before they are handed over


class Note(NamedTuple):
    """What one task saw of one bucket."""

    start: int  # of the bucket, epoch seconds
    whole: Mapping[str, int]  # transactions by status
    sample: tuple[int, Mapping[str, Sequence[str]]] | None  # level, its keys with their statuses; None: no census

    def text(self) -> str:
        """Return the note as JSON, for `read`."""
        return json.dumps(self)


def read(text: str) -> Note:
    """Return the note that `Note.text` wrote."""
    start, whole, sample = json.loads(text)
    return Note(start, whole, (sample[0], sample[1]) if sample is not None else None)


class Notes:
    """Gathers notes of rows; a bucket's sample holds all keys from the lowest level at which they are few enough."""

    def __init__(self, width: int, sampling: bool) -> None:
        """width: of a bucket, seconds. sampling: whether a census is taken."""
        self.width = width
        self.sampling = sampling
        self._whole: dict[int, dict[str, int]] = {}
        self._samples: dict[int, dict[str, list[str]]] = {}
        self._levels: dict[int, int] = {}

    def add(self, start: int, status: str, count: int) -> None:
        """Count transactions of the bucket at `start`."""
        whole = self._whole.setdefault(start, {})
        whole[status] = whole.get(status, 0) + count

    def level(self, start: int) -> int:
        """Return the level below which keys of the bucket at `start` are of no interest."""
        return self._levels.get(start, 0)

    def meet(self, start: int, key: str, status: str) -> None:
        """A key had this status in the bucket at `start`."""
        level = self._levels.get(start, 0)
        sample = self._samples.setdefault(start, {})
        known = sample.get(key)
        if known is None:
            if level_of(key) < level:
                return
            known = sample[key] = []
        if status not in known:
            known.append(status)
        while len(sample) > SAMPLE:
            self._levels[start] = level = level + 1
            sample = self._samples[start] = {key: names for key, names in sample.items() if level_of(key) >= level}

    def full(self) -> bool:
        """Return whether it is time to hand over."""
        return len(self._whole) >= HELD

    def hand_over(self) -> list[Note]:
        """Return the notes so far, which are forgotten here."""
        found = [
            Note(start, whole, (self.level(start), self._samples.get(start, {})) if self.sampling else None)
            for start, whole in sorted(self._whole.items())
        ]
        self._whole.clear()
        self._samples.clear()
        self._levels.clear()
        return found


def notes_of(rows: Iterable[Any], width: int, sampling: bool) -> list[Note]:
    """Return the notes of `rows` that have a time, a status, a count (`many`) and a key."""
    notes = Notes(width, sampling)
    for row in rows:
        start = row.time - row.time % width
        notes.add(start, row.status, row.many)
        if sampling:
            notes.meet(start, row.key, row.status)
    return notes.hand_over()

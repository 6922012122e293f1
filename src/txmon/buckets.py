"""Event time: records gathered into buckets, and buckets closed in order by the watermark.

A bucket closes when the watermark, the newest event time less the lateness, passes its end. Every bucket between the
first and the last closes, those in which nothing arrived among them: that is how silence is seen.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from .records import Record
from .verdict import Key, iso

REMEMBERED = 15  # closed buckets whose ids are kept, so that a repeated transaction is counted once
LONGEST_SILENCE = 86400  # seconds of empty buckets after a record; a longer gap in the stream is skipped


@dataclass(slots=True)
class OpenBucket:
    """The counts of one bucket by key and status, still growing."""

    start: int  # epoch seconds
    counts: dict[Key, dict[str, int]] = field(default_factory=dict)


class Bucketer:
    """Gathers records into buckets of `width` seconds and closes them `lateness` seconds after their end."""

    def __init__(self, width: int, lateness: int = 0) -> None:
        self.width = width
        self.lateness = lateness
        self.late = 0  # records that came after their bucket had closed
        self.first_late = 0  # its time, epoch seconds
        self.repeated = 0  # records whose id had been counted already
        self._open: dict[int, OpenBucket] = {}
        self._ids: dict[int, set[str]] = {}
        self._watermark: int | None = None
        self._next: int | None = None  # start of the oldest bucket that has not closed
        self._last = 0  # start of the newest closed bucket in which something arrived

    def add(self, records: Iterable[Record]) -> Iterator[OpenBucket]:
        """Take `records` in order of arrival; yield each bucket as it closes."""
        for record in records:
            start = record.time - record.time % self.width
            if self._next is not None and start < self._next:
                self._refuse_late(record)
                continue
            if record.id is not None and self._is_repeat(record.id, start):
                continue
            bucket = self._open.get(start)
            if bucket is None:
                bucket = self._open[start] = OpenBucket(start)
            counts = bucket.counts.get(record.key)
            if counts is None:
                counts = bucket.counts[record.key] = {}
            counts[record.status] = counts.get(record.status, 0) + record.count
            if self._watermark is None or record.time - self.lateness > self._watermark:
                self._watermark = record.time - self.lateness
                if self._next is None or self._watermark >= self._next + self.width:
                    yield from self._close()

    def flush(self) -> Iterator[OpenBucket]:
        """Close all that is open: the stream has ended."""
        if self._open:
            self._watermark = max(self._open) + self.width
            yield from self._close()

    def summary(self) -> list[str]:
        """What was not counted, and why, a line each."""
        lines = []
        if self.late:
            many = f"{self.late} records came after their" if self.late > 1 else "1 record came after its"
            lines.append(f"{many} bucket had closed; the first at {iso(self.first_late)}")
        if self.repeated:
            many = f"{self.repeated} records repeated" if self.repeated > 1 else "1 record repeated"
            lines.append(f"{many} the id of one counted before")
        return lines

    def _close(self) -> Iterator[OpenBucket]:
        """Close every bucket that ended at or before the watermark, empty ones included, oldest first."""
        assert self._watermark is not None
        if self._next is None:
            # the first record to arrive need not be the first in time: start only once nothing earlier is on time
            first = min(self._open)
            if first + self.width > self._watermark:
                return
            self._next = self._last = first
        while self._next + self.width <= self._watermark:
            if self._next - self._last > LONGEST_SILENCE:
                if not self._open:
                    return
                self._next = self._last = min(self._open)
                continue
            bucket = self._open.pop(self._next, None)
            if bucket is None:
                bucket = OpenBucket(self._next)
            else:
                self._last = self._next
            self._next += self.width
            yield bucket
        for start in [start for start in self._ids if start < self._next - REMEMBERED * self.width]:
            del self._ids[start]

    def _refuse_late(self, record: Record) -> None:
        if not self.late:
            self.first_late = record.time
        self.late += 1

    def _is_repeat(self, identity: str, start: int) -> bool:
        oldest = start - REMEMBERED * self.width
        if any(identity in ids for bucket, ids in self._ids.items() if bucket >= oldest):
            self.repeated += 1
            return True
        self._ids.setdefault(start, set()).add(identity)
        return False

"""Event time: records gathered into buckets, and buckets closed in order by the watermark.

A bucket closes when the watermark passes its end. The watermark is an event time less the lateness. Of a file it is the
newest time read. Of a live stream it is the time that the bulk of the stream has reached: a sender whose clock is wrong
is ahead of the others and closes nothing. Every bucket between the first and the last closes, those in which nothing
arrived among them: that is how silence is seen.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from mypy_extensions import i64, mypyc_attr

from txmon.ingest.aggregate.ledger import Item, Tally
from txmon.ingest.records import Record
from txmon.model.clock import iso
from txmon.model.keys import Counts, Key, pack_counts, pack_key, pack_table, unpack_counts, unpack_key, unpack_table
from txmon.model.money import (
    CURRENCY,
    NO_AMOUNT,
    NO_MONEY,
    MoneyTable,
    add_money,
    merge_money,
    pack_money,
    units_of,
    unpack_money,
)
from txmon.support.frozen import frozen
from txmon.support.plurals import counted

REMEMBERED: Final = 15  # closed buckets whose ids are kept, so that a repeated transaction is counted once
CORRECTABLE: Final = 15  # closed buckets that a late record still corrects,
FIRST_PRIME: Final = 2147483647  # of the numbers that stand for ids
FIRST_BASE: Final = 1103515245
SECOND_PRIME: Final = 2147483629
SECOND_BASE: Final = 1566083941
MOST_IDS: Final = 2_000_000  # ids remembered, about 200 MB; beyond, those of the oldest bucket are forgotten
KEPT_ROWS: Final = 100_000  # as far as they hold no more (key, status) counts than this together
LONGEST_SILENCE: Final = 86400  # seconds of empty buckets after a record; a longer gap in the stream is skipped
NEVER: Final = -(1 << 60)  # epoch seconds; where a time is not known yet
UNLIMITED: Final = 1 << 60
# The bulk of a live stream has reached a bucket when most of the newest rows are of it or after it. Half as many rows
# must be as a bucket usually has, so that a feed of one row per minute advances row by row, but no more than
MOST_ASKED: Final = 8
LEAST_AFTER_JUMP: Final = 4  # rows; over a gap that is longer than those before it, so that three strays move nothing
TYPICAL: Final = 9  # closed buckets whose rows, and the gaps between them, are typical

KEPT_LEAVES: Final = 100_000  # counts by all columns of --drivers that are kept of closed buckets together
SPLITS: Final = 1 << 16  # keys remembered with what they are made of

Sample = tuple[int, dict[str, list[str]]]
NO_LEAVES: Final[Counts] = {}


@mypyc_attr(acyclic=True)
class OpenBucket:
    """The counts of one bucket by key and status, still growing."""

    __slots__ = ("astray", "counts", "leaves", "money", "newest", "rows", "sample", "start", "whole")

    def __init__(
        self, start: int, counts: Counts, whole: dict[str, int] | None = None, sample: Sample | None = None
    ) -> None:
        self.start = start  # epoch seconds
        self.rows = 0  # that arrived in it, as far as a live stream counts them,
        self.newest = start  # and the time of the newest
        self.astray = False  # only rows that were ahead of the rest of the stream when it ended are in it
        self.counts = counts
        self.whole = whole  # by status over all keys, where `counts` are of some keys only,
        self.sample = sample  # and of all keys those of a level, with their statuses
        self.leaves: Counts = NO_LEAVES  # the counts by --group-by and --drivers together
        self.money: MoneyTable = NO_MONEY  # by key, with the currency as its last pair where there is one


@mypyc_attr(acyclic=True)
class Split:
    """What the key of a record is made of."""

    __slots__ = ("leaf", "money", "series")

    def __init__(self, series: Key, leaf: Key, money: Key) -> None:
        self.series = series  # the columns of --group-by
        self.leaf = leaf  # and those of --drivers
        self.money = money  # the columns of --group-by, and the currency


@frozen
class Correction:
    """A closed bucket that late records changed: its counts now, and which of them changed."""

    start: int
    counts: Counts
    changed: tuple[tuple[Key, str], ...]


class Bucketer:
    """Gathers records into buckets of `width` seconds and closes them `lateness` seconds after their end."""

    def __init__(
        self,
        width: int,
        lateness: int = 0,
        track: bool = False,
        live: bool = False,
        detailed: bool = False,
        drivers: tuple[str, ...] = (),
    ) -> None:
        """track: remember which counts of open buckets grow, for `grown`. live: let the watermark follow the bulk.

        detailed: add amounts up, and take the currency for what it is where a record's key ends with it. drivers: the
        columns of --drivers, which are the last dimensions of a key before the currency and name no series.
        """
        self._detailed = detailed
        self._drivers = len(drivers)
        self._columns = drivers
        self._splits: dict[Key, Split] = {}
        self.width = width
        self.lateness = lateness
        self.ceiling = UNLIMITED  # the wall clock, epoch seconds: rows lift the watermark no further
        self.late = 0  # records that came after their bucket had closed
        self.first_late = 0  # its time, epoch seconds
        self.repeated = 0  # records whose id, status and time had been counted already
        self._track = track
        self._grown: dict[tuple[int, Key, str], None] = {}
        self._open: dict[int, OpenBucket] = {}
        self._closed: list[OpenBucket] = []  # oldest first
        self._kept = 0  # counts in the closed buckets
        self._changed: dict[tuple[int, Key, str], None] = {}
        self._ids: dict[int, set[int]] = {}  # by the bucket's start, eight bytes of a digest for each record
        self._remembered = 0  # ids in there
        self._watermark = NEVER
        self._next = NEVER  # start of the oldest bucket that has not closed
        self._last = 0  # start of the newest closed bucket in which something arrived
        self._live = live
        self.bulk = NEVER  # event time that the bulk of a live stream has reached
        self._runs: list[tuple[int, int]] = []  # bucket and number of the rows that arrived last, oldest first
        self._sizes: list[int] = []  # rows of the buckets with rows that closed last,
        self._steps: list[int] = []  # and seconds between them

    def add(self, records: Iterable[Item]) -> Iterator[OpenBucket]:
        """Take `records` in order of arrival; yield each bucket as it closes."""
        for record in records:
            if isinstance(record, Tally):
                yield from self._add_tally(record)
                continue
            start = record.time - record.time % self.width
            if record.id is not None and self._is_repeat(record, start):
                continue
            if start < self._next:
                self._take_late(record, start)
                continue
            bucket = self._count(record, start)
            if self._live:
                self._arrive(bucket, record.time, 1)
                while self._follow(start):
                    yield from self._close()
            elif self._rise(record.time):
                yield from self._close()

    def _count(self, record: Record, start: int) -> OpenBucket:
        """Count a record in the open bucket at `start`, and return that."""
        bucket = self._opened(start)
        key = record.key
        if self._detailed:
            key = self._detail(bucket, record)
        counts = bucket.counts.get(key)
        if counts is None:
            counts = bucket.counts[key] = {}
        counts[record.status] = counts.get(record.status, 0) + record.count
        if self._track:
            self._grown[start, key, record.status] = None
        return bucket

    def series_of(self, key: Key) -> Key:
        """Return the key of the series that a record with this key belongs to."""
        return self._split(key).series if self._detailed and not self._is_series(key) else key

    def _is_series(self, key: Key) -> bool:
        """Return whether a record's key names its series and nothing else."""
        return self._drivers == 0 and (not key or key[-1][0] != CURRENCY)

    def _split(self, key: Key) -> Split:
        """Return what `key` is made of."""
        found = self._splits.get(key)
        if found is None:
            if len(self._splits) >= SPLITS:
                self._splits.clear()
            currency = key[-1:] if key and key[-1][0] == CURRENCY else ()
            leaf = key[: len(key) - len(currency)]
            series = leaf[: max(0, len(leaf) - self._drivers)]
            found = self._splits[key] = Split(series, leaf, series + currency)
        return found

    def _detail(self, bucket: OpenBucket, record: Record) -> Key:
        """Add what a record says beyond its series to its bucket; the key of the series."""
        if record.amount is None and self._is_series(record.key):
            return record.key
        split = self._split(record.key)
        if self._drivers:
            if bucket.leaves is NO_LEAVES:
                bucket.leaves = {}
            leaf = bucket.leaves.setdefault(split.leaf, {})
            leaf[record.status] = leaf.get(record.status, 0) + record.count
        if record.amount is not None:
            units = units_of(record.amount)
            if units != NO_AMOUNT:
                if bucket.money is NO_MONEY:
                    bucket.money = {}
                add_money(bucket.money, split.money, record.status, units, record.count)
        return split.series

    def _fold(self, bucket: OpenBucket, counts: Counts, money: MoneyTable) -> Counts:
        """Add what a tally has beyond its series to its bucket; its counts by series."""
        if money:
            if bucket.money is NO_MONEY:
                bucket.money = {}
            for key, sums in money.items():
                merge_money(bucket.money, {self._split(key).money: sums})
        for key in counts:
            if not self._is_series(key):
                break
        else:
            return counts
        if self._drivers:
            self._add_leaves(bucket, counts)
        folded: Counts = {}
        for key, statuses in counts.items():
            series = self._split(key).series
            known = folded.get(series)
            if known is None:
                known = folded[series] = {}
            for status, count in statuses.items():
                known[status] = known.get(status, 0) + count
        return folded

    def _add_leaves(self, bucket: OpenBucket, counts: Counts) -> None:
        """Add a tally's counts to those by --group-by and --drivers, which take over its tables."""
        if bucket.leaves is NO_LEAVES:
            bucket.leaves = {}
        leaves = bucket.leaves
        for key, statuses in counts.items():
            leaf = self._split(key).leaf
            known = leaves.get(leaf)
            if known is None:
                leaves[leaf] = statuses
            else:
                for status, count in statuses.items():
                    known[status] = known.get(status, 0) + count

    def leaves(self, start: int, most: int) -> list[Counts]:
        """Return the counts by --group-by and --drivers of the bucket at `start` and of those before it, newest first.

        most: of them; fewer where not so many are kept.
        """
        if start in self._open:
            return [self._open[start].leaves]
        found: list[Counts] = []
        for bucket in reversed(self._closed):
            if bucket.start > start:
                continue
            if len(found) == most or (bucket.counts and not bucket.leaves):
                break
            found.append(bucket.leaves)
        return found

    def _opened(self, start: int) -> OpenBucket:
        bucket = self._open.get(start)
        return bucket if bucket is not None else self._open.setdefault(start, OpenBucket(start, {}))

    def _rise(self, time: int) -> bool:
        """Lift the watermark to a record's time; whether buckets may close."""
        if time - self.lateness <= self._watermark:
            return False
        self._watermark = time - self.lateness
        return self._watermark >= self._next + self.width

    @property
    def is_settled(self) -> bool:
        """Return whether a bucket has closed, so that nothing before it will be opened."""
        return self._next != NEVER

    @property
    def next_start(self) -> int:
        """Start of the oldest bucket that has not closed, epoch seconds; of use once it is settled."""
        return self._next

    def _advance(self, bucket: OpenBucket, time: int, rows: int) -> Iterator[OpenBucket]:
        """Close what the bulk of the stream has left behind, now that these rows have arrived in `bucket`."""
        self._arrive(bucket, time, rows)
        while self._follow(bucket.start):
            yield from self._close()

    def _arrive(self, bucket: OpenBucket, time: int, rows: int) -> None:
        """Take note of rows that arrived one after the other in `bucket`; time: of the newest of them."""
        bucket.rows += rows
        bucket.newest = max(bucket.newest, time)
        runs = self._runs
        if runs and runs[-1][0] == bucket.start:
            runs[-1] = (bucket.start, runs[-1][1] + rows)
            return
        runs.append((bucket.start, rows))
        if len(runs) > 2 * MOST_ASKED:
            del runs[0]

    def _follow(self, arrived: int) -> bool:
        """Lift the watermark to where the bulk is now; whether it moved, so that buckets may close.

        arrived: the bucket of the newest rows. To be repeated until it gives False, so that what follows is the same
        however rows of one bucket are cut into tallies.
        """
        if arrived < self._next:
            return False
        present = self.bulk
        if self._next != NEVER:
            present = max(present, self._watermark + self.lateness)
        if self._next != NEVER and self._open[arrived].newest <= present:
            return False  # as most rows are
        reached = self._reached(present, arrived)
        if reached is None or reached.newest == self.bulk or (reached.newest <= present and self._next != NEVER):
            return False
        self.bulk = reached.newest
        if self._next != NEVER:
            self._rise(min(self.bulk, self.ceiling))
        else:  # the first row to arrive may have been the one that is ahead
            self._watermark = min(self.bulk, self.ceiling) - self.lateness
        return True

    def _reached(self, present: int, arrived: int) -> OpenBucket | None:
        """Return the newest bucket that most of the newest rows are of, or come after; None where that is a closed one.

        No further than the bucket at `arrived`, of which rows have just come.
        """
        start = min(arrived, self._supported(self._asked(present)))
        if (self._next != NEVER or self.bulk != NEVER) and self._is_jump(present - present % self.width, start):
            start = min(arrived, self._supported(max(self._asked(present), LEAST_AFTER_JUMP)))
        return self._open.get(start)

    def _is_jump(self, start: int, to: int) -> bool:
        """Return whether the way to the bucket at `to` leads over a gap that is longer than those before it."""
        step = max(self._steps) if self._steps else self.width
        if to - start <= step:
            return False
        for place in sorted([one for one in self._open if start < one <= to]):
            if place - start > step:
                return True
            start = place
        return False

    def _asked(self, present: int) -> int:
        """Return how many of the newest rows must agree on where the stream is."""
        bucket = self._open.get(present - present % self.width)
        usual = bucket.rows if bucket is not None else 1
        if self._sizes:
            usual = max(usual, sorted(self._sizes)[len(self._sizes) // 2])
        elif self._open:
            usual = max(1, self._open[min(self._open)].rows)
        return 1 if usual <= 1 else max(2, min(MOST_ASKED, (usual + 1) // 2))

    def _supported(self, asked: int) -> int:
        """The newest bucket's start that `asked` of the newest 2 * asked - 1 rows have reached; NEVER for none."""
        left = 2 * asked - 1
        newest: list[tuple[int, int]] = []
        for start, rows in reversed(self._runs):
            newest.append((start, min(rows, left)))
            left -= rows
            if left <= 0:
                break
        newest.sort(reverse=True)
        for start, rows in newest:
            asked -= rows
            if asked <= 0:
                return start
        return NEVER

    def _note_typical(self, bucket: OpenBucket) -> None:
        """Remember how many rows a bucket has that closed, and how long after the one before it began."""
        if self._sizes:
            self._steps = [*self._steps[1 - TYPICAL :], max(self.width, bucket.start - self._last)]
        self._sizes = [*self._sizes[1 - TYPICAL :], bucket.rows]

    def _add_tally(self, tally: Tally) -> Iterator[OpenBucket]:
        """Take what came in a row to one bucket: none of it can close its own; yield those that close."""
        if tally.start < self._next:
            self._take_late_tally(tally)
            return
        bucket = self._open.get(tally.start)
        counts = tally.surrender()
        if bucket is None:
            bucket = self._open[tally.start] = OpenBucket(tally.start, counts)
            if self._detailed:
                bucket.counts = counts = self._fold(bucket, counts, tally.money)
        else:
            if self._detailed:
                counts = self._fold(bucket, counts, tally.money)
            _merge(bucket.counts, counts)
        if self._track:
            for key, statuses in counts.items():
                for status in statuses:
                    self._grown[tally.start, key, status] = None
        if self._live:
            yield from self._advance(bucket, tally.time, tally.rows)
        elif self._rise(tally.time):
            yield from self._close()

    def _take_late_tally(self, tally: Tally) -> None:
        if not self.late:
            self.first_late = tally.first
        self.late += tally.rows
        bucket = self._closed_at(tally.start)
        if bucket is not None:
            before = _rows(bucket)
            counts = tally.surrender()
            if self._detailed:
                counts = self._fold(bucket, counts, tally.money)
            _merge(bucket.counts, counts)
            self._kept += _rows(bucket) - before
            for key, statuses in counts.items():
                for status in statuses:
                    self._changed[tally.start, key, status] = None

    def note(
        self, start: int, whole: Mapping[str, int], sample: tuple[int, Mapping[str, Sequence[str]]] | None = None
    ) -> None:
        """Take the counts of all keys, including those elsewhere, in the bucket at `start`; late, it is left out.

        sample: a level, and the keys of that level and above with their statuses (census). The bucket is open from
        then on, though none of the keys here has a row in it.
        """
        if start < self._next:
            return
        bucket = self._opened(start)
        if self._watermark == NEVER:
            self._watermark = start - self.lateness
        if bucket.whole is None:
            bucket.whole = {}
        for status, count in whole.items():
            bucket.whole[status] = bucket.whole.get(status, 0) + count
        if sample is None:
            return
        level, keys = bucket.sample if bucket.sample is not None else (0, {})
        bucket.sample = (max(level, sample[0]), keys)
        for key, statuses in sample[1].items():
            known = keys.setdefault(key, [])
            known.extend([status for status in statuses if status not in known])

    def advance(self, watermark: int) -> Iterator[OpenBucket]:
        """Close what ended before `watermark` (epoch seconds), though no record says that it is so late."""
        if self._watermark != NEVER and watermark > self._watermark:
            self._watermark = watermark
            yield from self._close()

    def flush(self) -> Iterator[OpenBucket]:
        """Close all that is open: the stream has ended.

        Rows of a live stream that were ahead of it to the end, with others after them, are in buckets of their own.
        The time between is not a silence, and those buckets are not complete.
        """
        if not self._open:
            return
        astray: list[int] = []
        if self._live and self._runs:
            reached = max(self.bulk, self._runs[-1][0]) + (max(self._steps) if self._steps else self.width)
            astray = sorted([start for start in self._open if start > reached])
        ahead = [self._open.pop(start) for start in astray]
        if self._open:
            self._watermark = max(self._open) + self.width
            yield from self._close()
        for bucket in ahead:
            bucket.astray = True
            self._next = self._last = bucket.start
            self._open[bucket.start] = bucket
            self._watermark = bucket.start + self.width
            yield from self._close()

    def unsettled(self) -> bool:
        """Return whether late records changed closed buckets whose corrections have not been asked for."""
        return bool(self._changed)

    def is_late(self, time: int) -> bool:
        """Return whether a record of this time (epoch seconds) would come after its bucket had closed."""
        return time - time % self.width < self._next

    def surrender(self) -> list[OpenBucket]:
        """Return the closed buckets that are kept for late records, oldest first; they are no longer kept here."""
        closed, self._closed = self._closed, []
        self._kept = 0
        return closed

    def recall(self, rows: Iterable[Any]) -> None:
        """Take back closed buckets, [start, counts] as a snapshot has them, that were surrendered before those here."""
        older = [OpenBucket(start, unpack_counts(counts)) for start, counts in rows]
        self._closed = older + self._closed
        self._kept += sum([_rows(bucket) for bucket in older])
        self._trim()

    def corrections(self) -> list[Correction]:
        """Return the closed buckets that late records changed since the last call, oldest first."""
        if not self._changed:
            return []
        by_start: dict[int, list[tuple[Key, str]]] = {}
        # sorted: how the lines were cut into tallies must not show
        for start, key, status in sorted(self._changed):
            by_start.setdefault(start, []).append((key, status))
        self._changed.clear()
        # a bucket that left since, pushed out by those that closed at once after its late row, is past correcting
        counts = {bucket.start: bucket.counts for bucket in self._closed}
        return [
            Correction(start, counts[start], tuple(by_start[start])) for start in sorted(by_start) if start in counts
        ]

    def grown(self) -> list[tuple[OpenBucket, Key, str]]:
        """Return the counts of open buckets that grew since the last call."""
        grown = [place for place in sorted(self._grown) if place[0] in self._open]
        self._grown.clear()
        return [(self._open[start], key, status) for start, key, status in grown]

    def counts(self, start: int, key: Key) -> dict[str, int] | None:
        """What `key` has so far in the bucket at `start`, open or lately closed; None where that is not known."""
        bucket = self._open.get(start) or self._closed_at(start)
        return bucket.counts.get(key) if bucket is not None else None

    def is_open(self, start: int) -> bool:
        """Return whether the bucket at `start` still takes records."""
        return start in self._open

    def newest(self) -> OpenBucket | None:
        """Return the newest open bucket; None where all is closed."""
        return self._open[max(self._open)] if self._open else None

    def summary(self) -> list[str]:
        """Return what was not counted, and why, one line each."""
        lines = []
        if self.late:
            begun = f"{counted(self.late, 'record')} came after {'their' if self.late > 1 else 'its'} bucket had closed"
            lines.append(f"{begun}; the first at {iso(self.first_late)}")
        if self.repeated:
            records = f"{counted(self.repeated, 'record')} {'repeats' if self.repeated == 1 else 'repeat'}"
            lines.append(f"{records} the id, status and time of one counted before")
        return lines

    def _close(self) -> Iterator[OpenBucket]:
        """Close every bucket that ended at or before the watermark, empty ones included, oldest first."""
        if self._next == NEVER:
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
            bucket = self._open.get(self._next)
            if bucket is None:
                bucket = OpenBucket(self._next, {})
            else:
                del self._open[self._next]
                if self._live and bucket.rows:
                    self._note_typical(bucket)
                self._last = self._next
            self._next += self.width
            self._keep(bucket)
            yield bucket
        if self._ids:
            for start in [start for start in self._ids if start < self._next - REMEMBERED * self.width]:
                self._remembered -= len(self._ids.pop(start))

    def _keep(self, bucket: OpenBucket) -> None:
        """Keep a closed bucket for late records, as long as it and those after it are not too much."""
        self._closed.append(bucket)
        self._kept += _rows(bucket)
        if self._drivers:
            rows = 0
            for one in reversed(self._closed):
                if not one.leaves:
                    continue
                if rows > KEPT_LEAVES:
                    one.leaves = NO_LEAVES
                rows += len(one.leaves)
        self._trim()

    def _trim(self) -> None:
        while len(self._closed) > CORRECTABLE or (self._kept > KEPT_ROWS and len(self._closed) > 1):
            if self._changed and any(start == self._closed[0].start for start, _, _ in self._changed):
                return  # its correction has not been asked for yet
            self._kept -= _rows(self._closed.pop(0))

    def _take_late(self, record: Record, start: int) -> None:
        if not self.late:
            self.first_late = record.time
        self.late += 1
        bucket = self._closed_at(start)
        if bucket is None:
            return
        key = self._detail(bucket, record) if self._detailed else record.key
        counts = bucket.counts.setdefault(key, {})
        self._kept += record.status not in counts
        counts[record.status] = counts.get(record.status, 0) + record.count
        self._changed[start, key, record.status] = None

    def _closed_at(self, start: int) -> OpenBucket | None:
        """Return the closed bucket that began then, as long as it is kept."""
        return next((bucket for bucket in self._closed if bucket.start == start), None)

    def _is_repeat(self, record: Record, start: int) -> bool:
        """Return whether a record has the id, status and time of one before; remember it where not."""
        ids = self._ids.get(start)
        if ids is None:
            ids = self._ids[start] = set()
        # a status that follows another one under the same id, a reversal say, is a transaction of its own
        mark = _mark(record.time, f"{record.status}\0{record.id}")
        if mark in ids:
            self.repeated += 1
            return True
        ids.add(mark)
        self._remembered += 1
        if self._remembered > MOST_IDS and len(self._ids) > 1:
            self._remembered -= len(self._ids.pop(min(self._ids)))
        return False

    def snapshot(self) -> dict[str, object]:
        """Return all of the state, as values of JSON; between two calls of `add` only."""
        return {
            "late": self.late,
            "first_late": self.first_late,
            "repeated": self.repeated,
            "open": [
                [one.start, pack_counts(one.counts), one.whole, one.sample, one.rows, one.newest]
                for one in self._open.values()
            ],
            "closed": [[bucket.start, pack_counts(bucket.counts)] for bucket in self._closed],
            "details": [
                [one.start, pack_table(one.leaves), pack_money(one.money)]
                for one in [*self._open.values(), *self._closed]
                if one.leaves or one.money
            ],
            "changed": [[start, pack_key(key), status] for start, key, status in self._changed],
            "ids": [[start, sorted(ids)] for start, ids in self._ids.items()],
            "watermark": self._watermark if self._watermark != NEVER else None,
            "next": self._next if self._next != NEVER else None,
            "last": self._last,
            "bulk": self.bulk if self.bulk != NEVER else None,
            "runs": [list(run) for run in self._runs],
            "sizes": self._sizes,
            "steps": self._steps,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restore what `snapshot` returned. Raise KeyError, TypeError or ValueError if it is not valid."""
        self.late, self.first_late, self.repeated = state["late"], state["first_late"], state["repeated"]
        self._open = {row[0]: _reopened(row) for row in state["open"]}
        self._closed = [OpenBucket(start, unpack_counts(counts)) for start, counts in state["closed"]]
        self._kept = sum(map(_rows, self._closed))
        places = {bucket.start: bucket for bucket in [*self._open.values(), *self._closed]}
        for start, leaves, money in state.get("details", []):  # not in older states
            places[start].money = unpack_money(money)
            if self._drivers and tuple(leaves[0][-self._drivers :]) == self._columns:  # others: --drivers has changed
                places[start].leaves = unpack_table(leaves)
        self._changed = {(start, unpack_key(key), status): None for start, key, status in state["changed"]}
        # a state of before knew ids alone, as texts: they say nothing of a status and a time
        self._ids = {start: {one for one in ids if isinstance(one, int)} for start, ids in state["ids"]}
        self._remembered = sum([len(ids) for ids in self._ids.values()])
        self._watermark = NEVER if state["watermark"] is None else state["watermark"]
        self._next = NEVER if state["next"] is None else state["next"]
        self._last = state["last"]
        # not in older states: there the newest row was the bulk
        bulk = state.get("bulk")
        self.bulk = NEVER if bulk is None else bulk
        self._runs = [(start, rows) for start, rows in state.get("runs", [])]
        self._sizes, self._steps = list(state.get("sizes", [])), list(state.get("steps", []))


def _mark(time: int, text: str) -> int:
    """Return a number of 62 bits for a time and a text, the same in every process, because a state file keeps it.

    Two polynomials modulo primes below 2^31: of a million ids, two have the same number in one of ten million cases.
    """
    first: i64 = time % FIRST_PRIME
    second: i64 = time % SECOND_PRIME
    raw = text.encode("utf-8", "surrogatepass")
    for i in range(len(raw)):  # not over the bytes themselves: that makes an object of each
        value: i64 = raw[i]
        first = (first * FIRST_BASE + value) % FIRST_PRIME
        second = (second * SECOND_BASE + value) % SECOND_PRIME
    return int(first << 31 | second)


def _reopened(row: Sequence[Any]) -> OpenBucket:
    """Return an open bucket of a snapshot; of older ones it has its counts alone."""
    start, counts = row[0], row[1]
    whole, sample = (row[2], row[3]) if len(row) > 2 else (None, None)
    known = (int(sample[0]), dict(sample[1])) if sample is not None else None
    bucket = OpenBucket(start, unpack_counts(counts), whole, known)
    bucket.rows, bucket.newest = (row[4], row[5]) if len(row) > 4 else (_rows(bucket), start)
    return bucket


def _merge(counts: Counts, added: Counts) -> None:
    """Add `added` to `counts`, which takes over the tables of keys that it did not have."""
    for key, statuses in added.items():
        found = counts.get(key)
        if found is None:
            counts[key] = statuses
        else:
            for status, count in statuses.items():
                found[status] = found.get(status, 0) + count


def _rows(bucket: OpenBucket) -> int:
    rows = 0
    for statuses in bucket.counts.values():
        rows += len(statuses)
    return rows

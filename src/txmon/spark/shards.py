"""Keys dealt out to shards: the plan that all of them follow, and what one shard does with a batch of rows.

A shard is a whole pipeline over some of the keys: all statuses of a key share it, so its verdicts and incidents are
those of one process. Of the other shards' keys it gets what a judgement needs (txmon.spark.bucket_notes). One more,
the platform's, sees every row without its key, and gives the platform's totals, incidents and trends. Nothing here
knows Spark.
"""

import gc
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, NamedTuple
from zlib import crc32

from txmon.detection.cardinality import SEPARATOR
from txmon.detection.thresholds import sigma_for
from txmon.errors import ConfigError
from txmon.ingest.records import Record
from txmon.model.keys import Key, pack_counts
from txmon.model.outcome import Outcome
from txmon.pipeline.pipeline import Pipeline
from txmon.runtime import state_file as state
from txmon.runtime.factory import LIVE_LATENESS, detector_config, pipeline_of, resume, state_of
from txmon.settings.declarations import Settings
from txmon.sinks.lines import event_line, rise_line, verdict_line
from txmon.spark import shard_state as blob
from txmon.spark.bucket_notes import Note

PLATFORM: Final = -1  # the shard that sees every row, without its key
MOST_SHARDS: Final = 65536


class Row(NamedTuple):
    """A record on its way to its shard, or several of one key, status and bucket added up."""

    time: int  # epoch seconds, of the first of them
    order: int  # of arrival, among rows of one time
    status: str
    many: int  # transactions
    id: str | None
    key: str  # values joined by SEPARATOR
    reject: str | None  # the line of a bad record, which then has nothing else


class ShardLine(NamedTuple):
    """A line that leaves a shard."""

    kind: str  # verdict, incident, trend or reject
    text: str  # JSON


@dataclass(frozen=True, slots=True)
class Plan:
    """What every shard needs to know; the same on the driver and on every worker."""

    settings: Settings  # of the keyed shards: with `by`
    platform: Settings | None  # of the platform's shard; None: there is none
    shards: int
    start: str | None = None  # folder of saved states to begin with

    @property
    def lateness(self) -> int:
        """Seconds that a record may be late."""
        return LIVE_LATENESS if self.settings.lateness is None else self.settings.lateness

    @property
    def census(self) -> bool:
        """Return whether shards must agree on the number of series: the budget and `rarity` depend on it."""
        return bool(self.settings.group_by)


def plan_of(
    settings: Settings, shards: int, series: int | None = None, totals: bool = True, start: str | None = None
) -> Plan:
    """Return the plan for `settings`, or a ConfigError that says what one process could do and shards cannot.

    series: how many series all shards together will have, for the budget to be shared among; else they are counted.
    totals: whether all keys together are judged too, unless rules alone decide.
    """
    if not 1 <= shards <= MOST_SHARDS:
        raise ConfigError(f"{shards} shards are not valid. Use 1 to {MOST_SHARDS}.")
    if start is not None and (found := shards_in(start)) != shards:
        raise ConfigError(f"{start}: holds the state of {found} shards, not of {shards}: rebalance it, or use {found}")
    if not settings.group_by:
        return Plan(settings, settings, shards, start)
    # rules are meant for each key, as without a cluster
    platform = replace(settings, group_by=(), rule=()) if totals and settings.mode != "rules" else None
    if settings.sigma is None and series is not None:
        if series < 1:
            raise ConfigError(f"{series} series: use at least 1")
        settings = replace(settings, sigma=sigma_for(detector_config(settings), series))
    share = max(10, -(-settings.max_series // shards))
    return Plan(replace(settings, max_series=share), platform, shards, start)


def shard_of(key: str, shards: int) -> int:
    """Return the shard of a key (values joined by SEPARATOR); the same in every process and version."""
    return crc32(key.encode()) % shards


class Shard:
    """One shard's pipeline, from its packed state or from nothing."""

    def __init__(self, plan: Plan, number: int, packed: bytes | None = None, watermark: int | None = None) -> None:
        """watermark: epoch seconds before which all buckets have closed elsewhere, when this shard is a new one.

        Raises ConfigError when `packed` is damaged, of another version, or of other settings.
        """
        self._plan = plan
        self._number = number
        settings = plan.platform if number == PLATFORM else plan.settings
        assert settings is not None
        self._settings = settings
        self._pipeline = pipeline_of(settings, live=True, platform=False)
        name = f"shard {number}"
        self._name = name
        self._closed: tuple[blob.Closed, ...] = ()  # buckets that no late row has asked for
        found = None
        if packed is not None:
            found, self._closed = blob.unpack(packed, name)
        elif plan.start is not None:
            found = state.load(file_of(plan.start, number))
        if found is not None:
            resume(self._pipeline, settings, found, name, own=packed is not None)
            self.go_on()
        elif watermark is not None:
            _begin_at(self._pipeline, watermark, settings.bucket)

    def go_on(self) -> None:
        """Get ready for the next batch, after `pack`."""
        if self._pipeline.bucketer.unsettled():
            self._recall()

    def take(self, rows: Iterable[Row], watermark: int | None = None, notes: Iterable[Note] = ()) -> list[ShardLine]:
        """Close what ended before `watermark` (epoch seconds), then take `rows`; the lines that this brought.

        notes: of what all shards got in the same batch. The rows of a batch came after all those before: what the
        watermark closed, they are late for.
        """
        lines: list[ShardLine] = []
        if watermark is not None:
            self._tell(self._pipeline.advance(watermark), lines)
        bucketer = self._pipeline.bucketer
        for note in notes:
            bucketer.note(note.start, note.whole, note.sample)
        records = []
        keys: dict[str, Key] = {}
        for row in sorted(rows, key=_arrival):
            if row.reject is not None:
                lines.append(ShardLine("reject", row.reject))
                continue
            key = keys.get(row.key)
            if key is None:
                key = keys[row.key] = self._key(row.key)
            records.append(Record(row.time, row.status, row.many, key, None, row.id))
        if records and bucketer.is_late(records[0].time):
            self._recall()
        self._tell(self._pipeline.feed(records), lines)
        return lines

    def _recall(self) -> None:
        """Give the closed buckets back to the pipeline: late rows correct them."""
        self._pipeline.bucketer.recall([blob.unpack_closed(one, self._name) for one in self._closed])
        self._closed = ()

    def end(self, until: int) -> list[ShardLine]:
        """Close everything that began before `until` (epoch seconds): the stream has ended."""
        lines: list[ShardLine] = []
        self._tell(self._pipeline.advance(until), lines)
        self._tell(self._pipeline.finish(), lines)
        return lines

    def pack(self) -> bytes:
        """Return the state, as a state store holds it."""
        surrendered = self._pipeline.bucketer.surrender()
        closed = [blob.pack_closed(bucket.start, pack_counts(bucket.counts)) for bucket in surrendered]
        self._closed = blob.kept([*self._closed, *closed])
        return blob.pack(state_of(self._pipeline, self._settings, {}), self._closed)

    def save(self) -> bytes:
        """Return the state, as a state file holds it."""
        self._recall()
        return state.pack(state_of(self._pipeline, self._settings, {}))

    def _key(self, text: str) -> Key:
        if self._number == PLATFORM:
            return ()
        return tuple(zip(self._settings.group_by, text.split(SEPARATOR), strict=True))

    def _tell(self, outcomes: Iterator[Outcome], lines: list[ShardLine]) -> None:
        thin = self._settings.only == "alerts"
        # in closed hours without any row each shard has a verdict on nothing at all: the platform's is enough
        keyed = self._number != PLATFORM
        for outcome in outcomes:
            lines += [
                ShardLine("verdict", verdict_line(verdict))
                for verdict in outcome.verdicts
                if (verdict.key or not keyed) and (not thin or verdict.recommendation in ("alert", "pending"))
            ]
            lines += [ShardLine("incident", event_line(event)) for event in outcome.events]
            if not keyed:  # a trend is of a status over all keys
                lines += [ShardLine("trend", rise_line(rise)) for rise in outcome.rises]


@contextmanager
def without_collection() -> Iterator[None]:
    """No garbage collection meanwhile: packing and unpacking make millions of lists, and no cycle among them."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _arrival(row: Row) -> tuple[int, int]:
    return row.time, row.order


def _begin_at(pipeline: Pipeline, watermark: int, bucket: int) -> None:
    """Let a new pipeline know that all buckets before `watermark` are closed: rows for them come too late."""
    begun: dict[str, Any] = dict(pipeline.bucketer.snapshot())
    first = watermark - watermark % bucket
    pipeline.bucketer.restore(begun | {"watermark": watermark, "next": first, "last": first - bucket})


def file_of(folder: str, shard: int) -> str:
    """Return the state file of a shard within a folder of states."""
    return str(Path(folder) / (f"shard-{shard:05d}.state" if shard != PLATFORM else "platform.state"))


def shards_in(folder: str) -> int:
    """Of how many shards `folder` holds the states; ConfigError when it holds none."""
    try:
        return int((Path(folder) / "shards").read_text())
    except (OSError, ValueError) as bad:
        raise ConfigError(f"{folder}: is not a folder with states of shards ({bad})") from bad


def write_states(folder: str, shards: int, packed: Iterable[tuple[int, bytes]]) -> None:
    """Write packed states by shard into `folder`; the count last, so that a folder half written is none."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    (Path(folder) / "shards").unlink(missing_ok=True)
    for number, raw in packed:
        state.write(file_of(folder, number), (raw,))
    (Path(folder) / "shards").write_text(f"{shards}\n")


def read_states(folder: str) -> Sequence[tuple[int, state.State]]:
    """Return the states in `folder` by shard, the platform's first; a shard that never had a row has none."""
    numbers = [PLATFORM, *range(shards_in(folder))]
    found = [(number, state.load(file_of(folder, number))) for number in numbers]
    return [(number, one) for number, one in found if one is not None]

"""The same detector on a cluster: a streaming or static DataFrame of transactions in, a DataFrame of verdicts out.

    from txmon.spark import detect
    verdicts = detect(transactions, Settings(sigma=5.0), by=("merchant",), shards=64)

Keys are hashed into shards; a shard is a whole pipeline over its keys (txmon.spark.shards), and its packed state is one
value of Spark's state store. The verdicts, incidents and trends are those of `txmon replay --group-by` with the same
settings, byte for byte, and the platform's those of `txmon replay` without --group-by. What a judgement needs of all
keys (the shape of the day, the number of series that share the budget, trends) comes to every shard as notes
(txmon.spark.bucket_notes).

Buckets close by Spark's own watermark, the newest event time of all batches before: a micro-batch later than in one
process, and with the same lines. What arrives in one batch counts as arrived at once.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from txmon.pipeline.buckets import CORRECTABLE
from txmon.settings.declarations import Settings
from txmon.spark.bucket_notes import Note
from txmon.spark.held_shards import hold, shard_with
from txmon.spark.route import route, rows_of
from txmon.spark.shards import Plan, Row, Shard, ShardLine, plan_of, without_collection, write_states

if TYPE_CHECKING:
    import pandas
    import pyarrow
    from pyspark.sql import DataFrame

    Arrow = Iterator[pyarrow.RecordBatch]

CHUNK: Final = 20_000  # lines handed to Spark at a time
LINE: Final = "shard int, kind string, line string"
STATE: Final = "state binary"
FIELDS: Final = (
    "time timestamp, status string, key map<string,string>, count long, total long, expected double, low long, "
    "high long, score double, window int, recommendation string, reasons array<string>, text string, incident string, "
    "revises boolean, rarity double, state string, id string, statuses array<string>, label string, start timestamp, "
    "peak timestamp, observed long, excess double, trend string, slope double"
)


def detect(
    stream: "DataFrame",
    settings: Settings | None = None,
    *,
    by: Sequence[str] = (),
    shards: int = 16,
    series: int | None = None,
    totals: bool = True,
    start: str | None = None,
) -> "DataFrame":
    """Return the verdicts, incidents, trends and rejects of `stream`, streaming or static, one row per line.

    stream: columns `time` (a timestamp, or epoch seconds), `status`, `count` (optional), `id` (optional) and those of
    `by`; or raw lines, `value` (bytes or text) with `source` (where from), read as txmon reads files. A row that is not
    a record becomes one of kind `reject`.
    by: columns whose values are judged separately; else those of `settings`. shards: fixed for a checkpoint's life.
    series: how many series there will be, for the budget; else they are counted.
    totals: whether the platform as a whole is judged too, as lines without a key. start: a folder of saved states.

    Columns of the result: `shard`, `kind` (verdict, incident, trend, reject), `line` (the JSON line of the contract),
    and the line's own fields, typed; those are read off the line only where a query asks for them.
    Raises ConfigError where shards cannot do what settings ask, UsageError for a missing column.
    """
    return typed(stream, plan_for(settings or Settings(), by, shards, series, totals, start))


def typed(stream: "DataFrame", plan: Plan) -> "DataFrame":
    """Return what `detect` gives, by a plan that is made already."""
    from pyspark.sql import functions as f

    routed = route(stream, plan, limited=stream.isStreaming)
    lines = _streaming(routed, plan) if stream.isStreaming else _static(routed, plan)
    fields = f.when(f.col("kind") != "reject", f.from_json("line", FIELDS))
    return lines.withColumn("f", fields).select("shard", "kind", "f.*", "line")


def lines_of(text: "DataFrame") -> "DataFrame":
    """A frame of Spark's text source as `detect` takes raw lines: their bytes, whatever they are, and their file."""
    return text.selectExpr("cast(value as binary) as value", "_metadata.file_path as source")


def plan_for(
    settings: Settings, by: Sequence[str], shards: int, series: int | None, totals: bool, start: str | None
) -> Plan:
    """Return the plan that `detect` follows for the same arguments."""
    return plan_of(replace(settings, group_by=tuple(by)) if by else settings, shards, series, totals, start)


def backfill(history: "DataFrame", folder: str, settings: Settings | None = None, **arguments: Any) -> int:
    """Learn from a static DataFrame, and write each shard's state into `folder` (the driver's); how many were written.

    The arguments are those of `detect`, which takes the folder as `start`. The newest buckets stay open: the stream
    goes on where the history ends.
    """
    given: dict[str, Any] = {"by": (), "shards": 16, "series": None, "totals": True, "start": None} | arguments
    return learn(history, folder, plan_for(settings or Settings(), **given))


def learn(history: "DataFrame", folder: str, plan: Plan) -> int:
    """Return what `backfill` does, by a plan that is made already."""
    routed = route(history, plan, limited=False)
    until = _newest(routed) - plan.lateness
    packed = _by_shard(routed, plan).mapInArrow(_runner(plan, until, final=False), f"shard int, {STATE}")
    states = [(int(row["shard"]), bytes(row["state"])) for row in packed.toLocalIterator()]
    write_states(folder, plan.shards, states)
    return len(states)


def _streaming(routed: "DataFrame", plan: Plan) -> "DataFrame":
    from pyspark.sql import functions as f
    from pyspark.sql.streaming.state import GroupStateTimeout

    # Spark drops what is older than its watermark before any code of ours sees it. Its watermark is set to stay so
    # far behind that all a shard can still correct arrives; `_stateful` adds the same time on again.
    behind = plan.lateness + (CORRECTABLE + 1) * plan.settings.bucket
    clock = f.when(f.col("status").isNotNull(), f.timestamp_seconds("time"))  # none of a note: each batch has its own
    clocked = routed.withColumn("clock", clock).withWatermark("clock", f"{behind} seconds")
    grouped = clocked.groupBy("shard")
    return grouped.applyInPandasWithState(
        _stateful(plan, behind), LINE, STATE, "append", GroupStateTimeout.EventTimeTimeout
    )


def _stateful(plan: Plan, behind: int) -> Callable[..., Any]:
    """Yield what Spark calls for each shard that has rows, and for each one whenever the watermark has moved."""

    def run(key: tuple[int], frames: "Iterator[pandas.DataFrame]", state: Any) -> "Iterator[pandas.DataFrame]":
        now = state.getCurrentWatermarkMs()  # 0 in the first batch
        watermark = now // 1000 + behind - plan.lateness if now > 0 else None
        packed = bytes(state.get[0]) if state.exists else None
        rows: list[Row] = []
        notes: list[Note] = []
        for frame in frames:
            some, noted = rows_of(frame)
            rows += some
            notes += noted
        with without_collection():
            shard = shard_with(plan, int(key[0]), packed, watermark)
            lines = shard.take(rows, watermark, notes)
            packed = shard.pack()
            state.update((packed,))
            hold(plan, int(key[0]), packed, shard)
        state.setTimeoutTimestamp(max(0, now) + 1)
        yield from _frames(int(key[0]), lines)

    return run


def _frames(shard: int, lines: Sequence[ShardLine]) -> "Iterator[pandas.DataFrame]":
    import pandas

    for begin in range(0, len(lines), CHUNK):
        part = lines[begin : begin + CHUNK]
        kinds, texts = zip(*part, strict=True)
        yield pandas.DataFrame({"shard": shard, "kind": kinds, "line": texts}).astype({"shard": "int32"})


def _static(routed: "DataFrame", plan: Plan) -> "DataFrame":
    until = _newest(routed)
    return _by_shard(routed, plan).mapInArrow(
        _runner(plan, until - until % plan.settings.bucket + plan.settings.bucket, final=True), LINE
    )


def _newest(routed: "DataFrame") -> int:
    """Return the newest event time (epoch seconds) of all rows; 0 without any. Reads the input."""
    from pyspark.sql import functions as f

    newest = routed.where("status is not null").agg(f.max("time")).first()
    return int(newest[0]) if newest is not None and newest[0] is not None else 0


def _by_shard(routed: "DataFrame", plan: Plan) -> "DataFrame":
    """Return all rows of a shard together, in order of time."""
    tasks = routed.sparkSession.conf.get("spark.sql.shuffle.partitions")
    placed = routed.repartition(min(plan.shards + 1, int(str(tasks))), "shard")
    return placed.sortWithinPartitions("shard", "first", "row")


def _runner(plan: Plan, until: int, final: bool) -> Callable[["Arrow"], "Arrow"]:
    """Runs the shards of a partition one after the other; gives their lines, or where it is not final their states."""

    def run(batches: "Arrow") -> "Arrow":
        shard: Shard | None = None
        number = 0
        for here, (rows, notes) in _runs(batches):
            if shard is not None and here != number:
                yield from _last(shard, number, until, final)
                shard = None
            if shard is None:
                shard, number = Shard(plan, here), here
            lines = shard.take(rows, notes=notes)
            if final:
                yield from _arrow(number, lines)
        if shard is not None:
            yield from _last(shard, number, until, final)

    return run


def _last(shard: Shard, number: int, until: int, final: bool) -> "Arrow":
    import pyarrow

    if final:
        yield from _arrow(number, shard.end(until))
        return
    shard.take((), until)
    yield pyarrow.record_batch({"shard": pyarrow.array([number], pyarrow.int32()), "state": [shard.save()]})


def _arrow(number: int, lines: Sequence[ShardLine]) -> "Arrow":
    import pyarrow

    for frame in _frames(number, lines):
        yield pyarrow.RecordBatch.from_pandas(frame, preserve_index=False)


def _runs(batches: "Iterable[pyarrow.RecordBatch]") -> Iterator[tuple[int, tuple[list[Row], list[Note]]]]:
    """(shard, its rows and notes in a row)."""
    for batch in batches:
        frame = batch.to_pandas()
        for number, part in frame.groupby("shard", sort=False):
            yield int(number), rows_of(part)

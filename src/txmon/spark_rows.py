"""Rows on their way to shards: raw lines or a typed frame read as records, each told its shard.

The reading is txmon's own (records.py), in Python on the workers, so that a line means the same everywhere.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

from .errors import BadData, UsageError
from .records import ParseOptions, Record, RecordParser, Reject
from .rejects import reject_line
from .settings import Settings
from .shards import PLATFORM, SEPARATOR, Plan, Row, shard_of
from .times import TimeParser

if TYPE_CHECKING:
    import pandas
    import pyarrow
    from pyspark.sql import Column, DataFrame

    Arrow = Iterator[pyarrow.RecordBatch]

RECORD: Final = "time long, status string, count long, id string, key string, reject string"
ROUTED: Final = f"{RECORD}, shard int, row long"
LINES: Final = {"value", "source"}  # columns of a frame of raw lines


def route(stream: "DataFrame", plan: Plan) -> "DataFrame":
    """The rows of `stream`, each with its shard; the platform's summed by second and status where that is allowed."""
    lines = set(stream.columns) <= LINES
    if lines:
        from pyspark.sql import functions as f

        source = f.col("source") if "source" in stream.columns else f.lit("stream")
        frame = stream.select(f.col("value").cast("binary").alias("value"), source.alias("source"))
    else:
        frame = canonical(stream, plan.settings.by)
    settings = plan.settings
    keyed, platform, shards = bool(settings.by), plan.platform is not None, plan.shards
    # a shard is called for the first time when it has a row, and its saved state may know of keys that have gone silent
    woken = plan.start is not None

    def run(batches: "Arrow") -> "Arrow":
        records = _parsed(batches, settings) if lines else batches
        yield from _routed(records, shards, keyed, platform)
        if woken:
            yield _wake(shards)

    return frame.mapInArrow(run, ROUTED)


def canonical(frame: "DataFrame", by: Sequence[str]) -> "DataFrame":
    """A typed frame's rows with the columns of RECORD; UsageError names a column that it lacks."""
    from pyspark.sql import functions as f

    types = dict(frame.dtypes)
    for name in ("time", "status", *by):
        if name not in types:
            raise UsageError(f"no column {name!r}; columns found: {', '.join(frame.columns)}")
    if types["time"] in ("string", "date", "boolean", "binary"):
        raise UsageError(f"column 'time' is a {types['time']}: cast it to a timestamp, or to epoch seconds")
    time = f.floor(f.col("time").cast("double")).cast("long")
    status = f.lower(f.trim(f.col("status").cast("string")))
    count = f.col("count").cast("long") if "count" in types else f.lit(1).cast("long")
    values = [f.translate(f.coalesce(f.trim(f.col(name).cast("string")), f.lit("")), SEPARATOR, " ") for name in by]
    fault = _fault(time, status, count, f.col("count").cast("double") if "count" in types else count)
    reject = f.to_json(
        f.struct(
            f.lit("stream").alias("source"),
            fault.alias("kind"),
            f.concat(f.lit("no "), fault).alias("reason"),
            f.to_json(f.struct("*")).alias("raw"),
        )
    )
    return frame.select(
        f.when(fault.isNull(), time).alias("time"),
        status.alias("status"),
        count.alias("count"),
        (f.col("id").cast("string") if "id" in types else f.lit(None).cast("string")).alias("id"),
        (f.concat_ws(SEPARATOR, *values) if values else f.lit("")).alias("key"),
        f.when(fault.isNotNull(), reject).alias("reject"),
    )


def admitted(routed: "DataFrame", plan: Plan) -> "DataFrame":
    """`routed`, with what lies more than `max_ahead` in the future refused: it would end the present for all.

    The present is the batch's own, which Spark remembers: a batch that is run again refuses the same rows.
    """
    from pyspark.sql import functions as f

    ahead = plan.settings.max_ahead
    future = f.coalesce(f.col("time") > f.unix_timestamp(f.current_timestamp()) + ahead, f.expr("false"))
    raw = f.to_json(f.struct("time", "status", "count", f.translate("key", SEPARATOR, ",").alias("key")))
    fault = [("source", f.lit("stream")), ("kind", f.lit("future")), ("reason", f.lit(f"more than {ahead} s ahead"))]
    line = f.to_json(f.struct(*[value.alias(name) for name, value in [*fault, ("raw", raw)]]))
    once = f.expr("true") if not plan.settings.by else f.col("shard") != PLATFORM
    kept = routed.where(~future | once)
    return kept.withColumn("reject", f.when(future, line).otherwise(f.col("reject"))).withColumn(
        "time", f.when(~future, f.col("time"))
    )


def _fault(time: "Column", status: "Column", count: "Column", exact: "Column") -> "Column":
    """The field that makes a row no record, or null."""
    from pyspark.sql import functions as f

    no_status = status.isNull() | (status == "") | (status == "*")
    no_count = count.isNull() | (count < 0) | (count.cast("double") != exact)
    return f.when(time.isNull(), "time").when(no_status, "status").when(no_count, "count")


def _parsed(batches: "Arrow", settings: Settings) -> "Arrow":
    """Raw lines as records, read as files are; a file's lines come in order, and no file in two parts."""
    import pyarrow

    options = ParseOptions(settings.format, settings.map, settings.by, settings.max_line)
    parser: RecordParser | None = None
    refused = ""  # why nothing of this source can be read
    for batch in batches:
        rows: list[tuple[object, ...]] = []
        for raw, source in zip(batch.column(0).to_pylist(), batch.column(1).to_pylist(), strict=True):
            if parser is None or parser.source != source:
                # the date of a bare time of day is a file's own, and rows of a stream have no file: only --date helps
                parser, refused = RecordParser(source, options, TimeParser(ZoneInfo(settings.tz), settings.date)), ""
            try:
                found: list[Record | Reject] = (
                    [Reject(source, 0, "source", refused, raw)] if refused else list(parser.parse([raw or b""]))
                )
            except BadData as bad:
                refused = str(bad)
                found = [Reject(source, parser.lines, "source", refused, raw)]
            rows += [_columns(one, source, parser.lines, raw or b"") for one in found]
        columns = list(zip(*rows, strict=True)) if rows else [()] * 6
        yield pyarrow.record_batch([pyarrow.array(c, t) for c, t in zip(columns, _types(), strict=True)], _names())


def _columns(one: Record | Reject, source: str, line: int, raw: bytes) -> tuple[object, ...]:
    if isinstance(one, Record):
        key = SEPARATOR.join([value.replace(SEPARATOR, " ") for _, value in one.key])
        if not _is_lone(f"{one.status}{key}{one.id}"):
            return one.time, one.status, one.count, one.id, key, None
        one = Reject(source, line, "encoding", "half a surrogate pair is no character", raw)
    return None, None, None, None, None, reject_line(one).decode().rstrip("\n")


def _is_lone(text: str) -> bool:
    """Whether `text` holds half a surrogate pair: JSON can say it, and neither Arrow nor UTF-8 can."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _names() -> list[str]:
    return [field.split()[0] for field in RECORD.split(", ")]


def _types() -> list[Any]:
    import pyarrow

    return [pyarrow.int64() if field.endswith("long") else pyarrow.string() for field in RECORD.split(", ")]


def _routed(batches: "Arrow", shards: int, keyed: bool, platform: bool) -> "Arrow":
    """Records with their shard and their place in the task's order; for the platform, sums."""
    import pyarrow
    from pyspark import TaskContext

    context = TaskContext.get()
    row = (context.partitionId() if context else 0) << 40
    for batch in batches:
        table = pyarrow.Table.from_batches([batch])
        rows = pyarrow.array(range(row, row + table.num_rows), pyarrow.int64())
        row += table.num_rows
        bad = table.column("reject").is_valid()
        if keyed:
            keys = table.column("key").combine_chunks().fill_null("").dictionary_encode()
            by_key = pyarrow.array([shard_of(key, shards) for key in keys.dictionary.to_pylist()], pyarrow.int32())
            to = by_key.take(keys.indices)
            yield from _placed(table, to, rows).to_batches()
        if platform:
            kept = _placed(table, pyarrow.array([PLATFORM] * len(rows), pyarrow.int32()), rows)
            yield from _summed(kept.filter(pyarrow.compute.invert(bad)) if keyed else kept).to_batches()


def _wake(shards: int) -> Any:
    """A row for every shard, with nothing in it."""
    import pyarrow

    n = shards + 1
    columns = [pyarrow.nulls(n, kind) for kind in _types()]
    to = [pyarrow.array(range(PLATFORM, shards), pyarrow.int32()), pyarrow.array([0] * n, pyarrow.int64())]
    return pyarrow.record_batch([*columns, *to], [*_names(), "shard", "row"])


def _placed(table: Any, shards: Any, rows: Any) -> Any:
    return table.append_column("shard", shards).append_column("row", rows)


def _summed(table: Any) -> Any:
    """The platform's rows, added up by second and status; those with an id or a fault as they are."""
    import pyarrow
    import pyarrow.compute

    alone = pyarrow.compute.or_(table.column("id").is_valid(), table.column("reject").is_valid())
    sums = table.filter(pyarrow.compute.invert(alone)).group_by(["time", "status"])
    sums = sums.aggregate([("count", "sum"), ("row", "min")])
    n = sums.num_rows
    columns = {
        "time": sums.column("time"), "status": sums.column("status"), "count": sums.column("count_sum"),
        "id": pyarrow.nulls(n, pyarrow.string()), "key": pyarrow.nulls(n, pyarrow.string()),
        "reject": pyarrow.nulls(n, pyarrow.string()),
        "shard": pyarrow.array([PLATFORM] * n, pyarrow.int32()), "row": sums.column("row_min"),
    }  # fmt: skip
    summed = pyarrow.table(columns).cast(table.schema)
    return pyarrow.concat_tables([summed, table.filter(alone)])


def rows_of(frame: "pandas.DataFrame") -> Iterator[Row]:
    """The rows of a frame of ROUTED."""
    columns = [frame[name].tolist() for name in ("time", "row", "status", "count", "id", "key", "reject")]
    for time, row, status, count, identity, key, reject in zip(*columns, strict=True):
        if reject is not None:
            yield Row(0, int(row), "", 0, None, "", reject)
        elif status is not None:  # a column with nulls in it is one of floats, exact up to 2^53
            yield Row(int(time), int(row), status, int(count), identity, key, None)

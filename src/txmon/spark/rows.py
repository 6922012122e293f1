"""Raw lines or a typed frame read as records.

The reading is txmon's own (txmon.ingest.records), in Python on the workers, so that a line means the same everywhere.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

from txmon.detection.cardinality import SEPARATOR
from txmon.errors import UsageError
from txmon.ingest.fields import MAX_COUNT, MAX_STATUS
from txmon.ingest.records import Record, Reject
from txmon.ingest.rejects import reject_line
from txmon.ingest.timestamps import LATEST
from txmon.model.keys import TOTAL
from txmon.settings.declarations import Settings
from txmon.spark.source_reader import SourceReader

if TYPE_CHECKING:
    import pyarrow
    from pyspark.sql import Column, DataFrame

    Arrow = Iterator[pyarrow.RecordBatch]

RECORD: Final = "time long, status string, count long, id string, key string, reject string"
LINES: Final = {"value", "source"}  # columns of a frame of raw lines
NOW: Final = "now"  # the batch's own present, epoch seconds, where the future is refused


def records(stream: "DataFrame", settings: Settings, limited: bool) -> tuple["DataFrame", Callable[["Arrow"], "Arrow"]]:
    """Yield a frame, and what makes records (RECORD) of its batches on the workers.

    limited: refuse what lies more than `max_ahead` in the future: it would end the present for all. The present is the
    batch's own, which Spark remembers: a batch that is run again refuses the same rows.
    """
    from pyspark.sql import functions as f

    lines = set(stream.columns) <= LINES
    if lines:
        source = f.col("source") if "source" in stream.columns else f.lit("stream")
        frame = stream.select(f.col("value").cast("binary").alias("value"), source.alias("source"))
    else:
        frame = canonical(stream, settings.group_by)
    if limited:
        frame = frame.withColumn(NOW, f.unix_timestamp(f.current_timestamp()))

    def read(batches: "Arrow") -> "Arrow":
        found = _parsed(batches, settings) if lines else batches
        yield from _admitted(found, settings.max_ahead) if limited else found

    return frame, read


def canonical(frame: "DataFrame", by: Sequence[str]) -> "DataFrame":
    """Return a typed frame's rows with the columns of RECORD; UsageError names a column that it lacks."""
    from pyspark.sql import functions as f

    types = dict(frame.dtypes)
    for name in ("time", "status", *by):
        if name not in types:
            raise UsageError(f"no column {name!r}; columns found: {', '.join(frame.columns)}")
    if types["time"] in ("string", "date", "boolean", "binary"):
        raise UsageError(f"column 'time' is a {types['time']}: cast it to a timestamp, or to epoch seconds")
    time = f.floor(f.col("time").cast("double")).cast("long")
    status = f.lower(f.trim(f.col("status").cast("string")))
    given = f.col("count") if "count" in types else f.lit(1)
    exact = given.try_cast("double")
    # null outside the limits: a cast of a larger number fails in Spark's ANSI mode
    count = f.when(exact.between(0, MAX_COUNT), exact).cast("long")
    values = [f.translate(f.coalesce(f.trim(f.col(name).cast("string")), f.lit("")), SEPARATOR, " ") for name in by]
    identity = f.trim(f.col("id").cast("string")) if "id" in types else f.lit(None).cast("string")
    kind, reason = _fault(time, status, count, exact, f.substring(given.cast("string"), 1, 60))
    reject = f.to_json(
        f.struct(
            f.lit("stream").alias("source"),
            kind.alias("kind"),
            reason.alias("reason"),
            f.to_json(f.struct("*")).alias("raw"),
        )
    )
    return frame.select(
        f.when(kind.isNull(), time).alias("time"),
        status.alias("status"),
        count.alias("count"),
        f.when(identity != "", identity).alias("id"),  # rows with an empty id are not repeats of each other
        (f.concat_ws(SEPARATOR, *values) if values else f.lit("")).alias("key"),
        f.when(kind.isNotNull(), reject).alias("reject"),
    )


def _fault(
    time: "Column", status: "Column", count: "Column", exact: "Column", given: "Column"
) -> tuple["Column", "Column"]:
    """Return the field that makes a row no record, and the reason; both are null for a record.

    The limits are those of `txmon.ingest.fields`, which other readers use, as expressions that Spark evaluates.
    """
    from pyspark.sql import functions as f

    length = f.length(status)
    too_long = f.concat(f.lit("a status of "), length, f.lit(f" characters, at most {MAX_STATUS} are accepted"))
    not_whole = f.concat(f.lit("'"), given, f.lit("' is not a whole number from 0 to 10^15"))
    faults = [
        (time.isNull(), "time", f.lit("no time")),
        (~time.between(0, LATEST), "time", f.lit("the time is not between 1970 and 2100")),
        (status.isNull(), "status", f.lit("no status")),
        (status == "", "status", f.lit("the status is empty")),
        (length > MAX_STATUS, "status", too_long),
        (status == TOTAL, "status", f.lit(f"{TOTAL!r} stands for all statuses together")),
        (given.isNull(), "count", f.lit("no count")),
        (count.isNull() | (count.cast("double") != exact), "count", not_whole),
    ]
    kind, reason = f.lit(None).cast("string"), f.lit(None).cast("string")
    for is_fault, field, text in reversed(faults):
        kind, reason = f.when(is_fault, field).otherwise(kind), f.when(is_fault, text).otherwise(reason)
    return kind, reason


def _parsed(batches: "Arrow", settings: Settings) -> "Arrow":
    """Raw lines as records, read as files are; a file's lines come in order, and no file in two parts."""
    reader: SourceReader | None = None
    for batch in batches:
        rows: list[tuple[object, ...]] = []
        for source, lines in _by_source(batch.column(1).to_pylist(), batch.column(0).to_pylist()):
            if reader is None or reader.source != source:
                rows += map(_columns, [] if reader is None else reader.rest())
                reader = SourceReader(source, lines, settings)
            rows += map(_columns, reader.take(lines))
        yield _batch(rows, batch)
    if reader is not None and (rows := list(map(_columns, reader.rest()))):
        yield _batch(rows, batch)


def _by_source(sources: Sequence[str], lines: Sequence[bytes]) -> Iterator[tuple[str, list[bytes]]]:
    """Yield the lines of each source that follow each other."""
    for source, pairs in groupby(zip(sources, lines, strict=True), itemgetter(0)):
        yield source, [line for _, line in pairs]


def _batch(rows: list[tuple[object, ...]], batch: "pyarrow.RecordBatch") -> "pyarrow.RecordBatch":
    """Rows as a batch of records, with the present of the batch that they came in."""
    import pyarrow

    columns = list(zip(*rows, strict=True)) if rows else [()] * 6
    read = pyarrow.record_batch([pyarrow.array(c, t) for c, t in zip(columns, types(), strict=True)], names())
    if NOW in batch.schema.names:
        now = batch.column(NOW)[0].as_py() if batch.num_rows else 0
        read = read.append_column(NOW, pyarrow.array([now] * read.num_rows, pyarrow.int64()))
    return read


def _admitted(batches: "Arrow", ahead: int) -> "Arrow":
    """Records without those that lie more than `ahead` seconds after the batch's present: they become rejects."""
    import pyarrow
    from pyarrow import compute

    for batch in batches:
        limit = batch.column(NOW)[0].as_py() + ahead if batch.num_rows else 0
        records = batch.select(names())
        if (compute.max(records.column("time")).as_py() or 0) <= limit:
            yield records
            continue
        rows = records.to_pylist()
        for row in rows:
            if row["time"] is not None and row["time"] > limit:
                raw = {name: row[name] for name in ("time", "status", "count", "key")}
                raw["key"] = (raw["key"] or "").replace(SEPARATOR, ",")
                fault = {"source": "stream", "kind": "future", "reason": f"more than {ahead} s ahead"}
                row["reject"], row["time"] = json.dumps({**fault, "raw": json.dumps(raw)}), None
        yield pyarrow.RecordBatch.from_pylist(rows, records.schema)


def _columns(one: Record | Reject) -> tuple[object, ...]:
    if isinstance(one, Record):
        key = SEPARATOR.join([value.replace(SEPARATOR, " ") for _, value in one.key])
        return one.time, one.status, one.count, one.id, key, None
    return None, None, None, None, None, reject_line(one).decode().rstrip("\n")


def names() -> list[str]:
    """Return the columns of RECORD."""
    return [field.split()[0] for field in RECORD.split(", ")]


def types() -> list[Any]:
    """Return the Arrow types of RECORD's columns."""
    import pyarrow

    return [pyarrow.int64() if field.endswith("long") else pyarrow.string() for field in RECORD.split(", ")]

"""Raw lines or a typed frame read as records.

The reading is txmon's own (txmon.ingest.records), in Python on the workers, so that a line means the same everywhere.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from txmon.detection.cardinality import SEPARATOR
from txmon.errors import BadData, UsageError
from txmon.ingest.fields import MAX_COUNT, MAX_STATUS
from txmon.ingest.records import Record, RecordParser, Reject
from txmon.ingest.rejects import reject_line
from txmon.ingest.timestamps import LATEST
from txmon.model.keys import TOTAL
from txmon.runtime.reader import hints_of, times_of
from txmon.settings.declarations import Settings

if TYPE_CHECKING:
    import pyarrow
    from pyspark.sql import Column, DataFrame

    Arrow = Iterator[pyarrow.RecordBatch]

RECORD: Final = "time long, status string, count long, id string, key string, reject string"
LINES: Final = {"value", "source"}  # columns of a frame of raw lines
NOW: Final = "now"  # the batch's own present, epoch seconds, where the future is refused


def records(stream: "DataFrame", settings: Settings, limited: bool) -> tuple["DataFrame", Callable[["Arrow"], "Arrow"]]:
    """A frame, and what makes records (RECORD) of its batches on the workers.

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
    not_whole = f.concat(f.lit("'"), given, f.lit("' is no whole number from 0 to 10^15"))
    faults = [
        (time.isNull(), "time", f.lit("no time")),
        (~time.between(0, LATEST), "time", f.lit("the time is not between 1970 and 9999")),
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
    import pyarrow

    options = hints_of(settings).options
    parser: RecordParser | None = None
    refused = ""  # why nothing of this source can be read
    for batch in batches:
        rows: list[tuple[object, ...]] = []
        for raw, source in zip(batch.column(0).to_pylist(), batch.column(1).to_pylist(), strict=True):
            if parser is None or parser.source != source:
                # the date of a bare time of day is a file's own, and rows of a stream have no file: only --date helps
                parser, refused = RecordParser(source, options, times_of(settings, settings.date)), ""
            found: Record | Reject | None
            try:
                found = Reject(source, 0, "source", refused, raw) if refused else parser.one(raw or b"")
            except BadData as bad:
                refused = str(bad)
                found = Reject(source, parser.lines, "source", refused, raw)
            if found is not None:
                rows.append(_columns(found))
        columns = list(zip(*rows, strict=True)) if rows else [()] * 6
        read = pyarrow.record_batch([pyarrow.array(c, t) for c, t in zip(columns, types(), strict=True)], names())
        if NOW in batch.schema.names:
            now = batch.column(NOW)[0].as_py() if batch.num_rows else 0
            read = read.append_column(NOW, pyarrow.array([now] * read.num_rows, pyarrow.int64()))
        yield read


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
    """The columns of RECORD."""
    return [field.split()[0] for field in RECORD.split(", ")]


def types() -> list[Any]:
    """The Arrow types of RECORD's columns."""
    import pyarrow

    return [pyarrow.int64() if field.endswith("long") else pyarrow.string() for field in RECORD.split(", ")]

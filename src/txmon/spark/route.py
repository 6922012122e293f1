"""Records on their way to shards: each told its shard, those of one key, status and bucket added up on the way.

Besides its own records every shard gets the notes of all (txmon.spark.bucket_notes), and the platform's shard gets
every record without its key. It is done in Arrow's columns on the workers: no record becomes a Python object before
its shard.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from txmon.detection.cardinality import level_of
from txmon.spark.bucket_notes import Note, Notes, read
from txmon.spark.rows import records
from txmon.spark.shards import PLATFORM, Plan, Row, shard_of

if TYPE_CHECKING:
    import pandas
    import pyarrow
    from pyspark.sql import DataFrame

    Arrow = Iterator[pyarrow.RecordBatch]

# time: of the newest transaction, for Spark's watermark; first and row: of the oldest, for their order; no number is
# null, or pandas would make floats of them all. A row without a status is a reject, a note, or nothing.
ROUTED: Final = (
    "time long, status string, count long, id string, key string, reject string, first long, row long, shard int, "
    "note string"
)
NOTED: Final = -1  # the row of a note: before all records of its bucket


def route(stream: "DataFrame", plan: Plan, limited: bool) -> "DataFrame":
    """Yield the rows of `stream` by shard, with the notes of them; `limited`: without those from the future."""
    frame, parse = records(stream, plan.settings, limited)
    shards, woken = plan.shards, plan.start is not None

    def run(batches: "Arrow") -> "Arrow":
        yield from _routed(parse(batches), plan)
        if woken:
            # a shard is called for the first time when it has a row, and its saved state may know of keys gone silent
            yield _to_all(range(PLATFORM, shards), 0, None)

    return frame.mapInArrow(run, ROUTED)


def _routed(batches: "Arrow", plan: Plan) -> "Arrow":
    """Records (RECORD) with their shard and their place in the task's order, and at the end the notes of them."""
    import pyarrow
    from pyarrow import compute
    from pyspark import TaskContext

    context = TaskContext.get()
    row = (context.partitionId() if context else 0) << 40
    keyed, width = bool(plan.settings.group_by), plan.settings.bucket
    notes = Notes(width, plan.census)
    for batch in batches:
        table = pyarrow.Table.from_batches([batch])
        table = table.append_column("row", pyarrow.array(range(row, row + table.num_rows), pyarrow.int64()))
        row += table.num_rows
        bad = table.column("reject").is_valid()
        rejects = table.filter(bad)
        if rejects.num_rows:
            yield _rejected(rejects, shard_of("", plan.shards) if keyed else PLATFORM)
        good = _started(table.filter(compute.invert(bad)), width)
        if plan.platform is not None:
            yield _summed(good, ["start", "status"], _platform_of)
        if keyed:
            _note(good, notes)
            yield _summed(good, ["start", "status", "key"], lambda summed: _shards_of(summed, notes, plan))
        if notes.full():
            yield from _noted(notes, plan.shards)
    yield from _noted(notes, plan.shards)


def _started(table: Any, width: int) -> Any:
    """`table` with the starts of its rows' buckets."""
    import pyarrow

    times = table.column("time").to_numpy()
    return table.append_column("start", pyarrow.array(times - times % width, pyarrow.int64()))


def _summed(table: Any, by: list[str], shards_of: Callable[[Any], Any]) -> Any:
    """Return the rows of a table with a start, added up; those with an id, which may be a repeat, as they are."""
    import pyarrow
    from pyarrow import compute

    known = table.column("id").is_valid()
    sums = table.filter(compute.invert(known)).group_by(by)
    sums = sums.aggregate([("count", "sum"), ("time", "max"), ("time", "min"), ("row", "min")])
    alone = table.filter(known)
    text = pyarrow.nulls(sums.num_rows, pyarrow.string())

    def both(name: str, summed: Any) -> Any:
        return pyarrow.chunked_array([*summed.chunks, *alone.column(name).chunks], alone.schema.field(name).type)

    n = sums.num_rows + alone.num_rows
    found = {
        "time": both("time", sums.column("time_max")),
        "status": both("status", sums.column("status")),
        "count": both("count", sums.column("count_sum")),
        "id": both("id", pyarrow.chunked_array([text])),
        "key": both("key", sums.column("key")) if "key" in by else pyarrow.nulls(n, pyarrow.string()),
        "reject": pyarrow.nulls(n, pyarrow.string()),
        "first": both("time", sums.column("time_min")),
        "row": both("row", sums.column("row_min")),
    }
    summed = pyarrow.table(found)
    placed = summed.append_column("shard", shards_of(summed))
    return _one_batch(placed.append_column("note", pyarrow.nulls(n, pyarrow.string())))


def _one_batch(table: Any) -> Any:
    import pyarrow

    columns = [column.combine_chunks() for column in table.columns]
    return pyarrow.record_batch(columns, table.column_names)


def _platform_of(summed: Any) -> Any:
    import pyarrow

    return pyarrow.array([PLATFORM] * summed.num_rows, pyarrow.int32())


def _shards_of(summed: Any, notes: Notes, plan: Plan) -> Any:
    """Return each row's shard; the keys that a census may want are noted on the way."""
    import pyarrow

    keys = summed.column("key").combine_chunks().dictionary_encode()
    texts = keys.dictionary.to_pylist()
    if notes.sampling:
        _sample(summed, keys.indices.to_numpy(), texts, notes)
    return pyarrow.array([shard_of(text, plan.shards) for text in texts], pyarrow.int32()).take(keys.indices)


def _sample(summed: Any, places: Any, texts: Sequence[str], notes: Notes) -> None:
    """Note the keys of rows that lie above their bucket's level."""
    import numpy

    levels = numpy.array([level_of(text) for text in texts], numpy.int8)
    times = summed.column("time").to_numpy()
    starts, which = numpy.unique(times - times % notes.width, return_inverse=True)
    least = numpy.array([notes.level(int(start)) for start in starts], numpy.int8)
    wanted = numpy.flatnonzero(levels[places] >= least[which])
    statuses = summed.column("status").take(wanted).to_pylist()
    for at, status in zip(wanted.tolist(), statuses, strict=True):
        notes.meet(int(starts[which[at]]), texts[places[at]], status)


def _note(good: Any, notes: Notes) -> None:
    """Note the totals of records with a start."""
    sums = good.group_by(["start", "status"]).aggregate([("count", "sum")])
    columns = [sums.column(name).to_pylist() for name in ("start", "status", "count_sum")]
    for start, status, count in zip(*columns, strict=True):
        notes.add(start, status, count)


def _rejected(rejects: Any, shard: int) -> Any:
    import pyarrow

    none, zeros = pyarrow.nulls(rejects.num_rows, pyarrow.string()), [0] * rejects.num_rows
    numbers = pyarrow.array(zeros, pyarrow.int64())
    columns = [numbers, none, numbers, none, none, rejects.column("reject").combine_chunks(), numbers, numbers]
    shards = pyarrow.array([shard] * rejects.num_rows, pyarrow.int32())
    return pyarrow.record_batch([*columns, shards, none], _columns())


def _noted(notes: Notes, shards: int) -> "Arrow":
    for note in notes.hand_over():
        yield _to_all(range(shards), note.start, note.text())


def _to_all(shards: Sequence[int], start: int, note: str | None) -> Any:
    """Return a row for each of `shards`: a note of the bucket at `start`, or nothing but a reason to be called."""
    import pyarrow

    n = len(shards)
    none, starts = pyarrow.nulls(n, pyarrow.string()), pyarrow.array([start] * n, pyarrow.int64())
    rows, to = pyarrow.array([NOTED] * n, pyarrow.int64()), pyarrow.array(shards, pyarrow.int32())
    columns = [starts, none, starts, none, none, none, starts, rows, to, pyarrow.array([note] * n, pyarrow.string())]
    return pyarrow.record_batch(columns, _columns())


def _columns() -> list[str]:
    return [field.split()[0] for field in ROUTED.split(", ")]


def rows_of(frame: "pandas.DataFrame") -> tuple[list[Row], list[Note]]:
    """Return the records and rejects of a frame of ROUTED, and the notes in it."""
    said = frame["status"].isna()
    notes = [read(text) for text in frame["note"][said].dropna().tolist()]
    rows = [Row(0, 0, "", 0, None, "", text) for text in frame["reject"][said].dropna().tolist()]
    names = ("first", "row", "status", "count", "id", "key")
    columns = [frame[name][~said].tolist() for name in names]
    rows += [Row._make((*values, None)) for values in zip(*columns, strict=True)]
    return rows, notes

"""A streaming job around `txmon.spark.detect`: the session, the sources, the sink and the checkpoint's own record.

Its sink is in txmon.spark.sink.
"""

import json
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from txmon.errors import ConfigError, IoFailure, NoInput, TxmonError, UsageError
from txmon.settings.declarations import DECLARATIONS, Settings, present_name, text_of_setting
from txmon.spark.checkpoint import place_in
from txmon.spark.files import exists, listed, read_text, write_text
from txmon.spark.notify import Tell, Teller
from txmon.spark.shards import Plan
from txmon.spark.sink import Sink, check_out, topic_of_out
from txmon.spark.source_reader import SAMPLE, SourceReader
from txmon.spark.streaming import lines_of, typed
from txmon.support.kafka_address import topic_of
from txmon.support.suggest import nearest

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

Say = Callable[[str], None]

WHOLE: Final = str(1 << 40)  # bytes: no file is read in two parts, for its header and its line numbers
ROCKSDB: Final = "org.apache.spark.sql.execution.streaming.state.RocksDBStateStoreProvider"
LOCAL: Final = {  # for a session on this machine: nobody else is to reach it, and stderr is a person's
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.ui.enabled": "false",
    "spark.log.level": "ERROR",
}
RECORD: Final = "txmon.json"  # in the checkpoint
RATE: Final = 1000  # rows a second
SHOWN: Final = 5  # files whose reading is stated
RATE_MERCHANTS: Final = 200
RUNNING: Final = frozenset(("group_by", "bucket"))  # settings that hold for a checkpoint's life
TOLD: Final = frozenset(("input", "detection", "incidents"))  # sections of settings that verdicts depend on


@dataclass(frozen=True, slots=True)
class Job:
    """What one streaming query reads, keeps and writes."""

    source: str  # files:DIR, kafka:SERVERS/TOPIC, rate or rate:N
    checkpoint: str
    out: str  # a folder, or kafka:SERVERS/TOPIC
    kind: str = "json"  # or parquet
    every: int = 10  # seconds between batches; 0: take what is there, and end
    files: int | None = None  # most files a batch


def session(shards: int, defaults: Mapping[str, str] | None = None) -> "SparkSession":
    """The Spark session, as spark-submit set it up; what it left open is set for txmon. ConfigError without PySpark."""
    try:
        from pyspark import SparkConf, SparkContext
        from pyspark.sql import SparkSession
    except ImportError as bad:
        raise ConfigError(f"needs PySpark ({bad}): pip install 'txmon[spark]', and Java 17") from bad
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # or workers take the first python3 on the PATH
    try:
        SparkContext._ensure_initialized()  # the JVM, so that SparkConf sees what spark-submit was given
    except Exception as bad:
        raise ConfigError(f"Spark does not start ({bad}): it needs Java 17 or later") from bad
    conf = SparkConf()
    conf.setIfMissing("spark.master", "local[*]")
    conf.setIfMissing("spark.app.name", "txmon")
    if str(conf.get("spark.master")).startswith("local"):
        for name, value in {
            "driver.host": "127.0.0.1",
            "driver.bindAddress": "127.0.0.1",
            "ui.enabled": "false",
        }.items():
            conf.setIfMissing(f"spark.{name}", value)
        conf.setIfMissing("spark.log.level", "ERROR")
    given = {
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.streaming.stateStore.providerClass": ROCKSDB,
        "spark.sql.streaming.stateStore.rocksdb.changelogCheckpointing.enabled": "true",
        "spark.sql.files.maxPartitionBytes": WHOLE,
        "spark.sql.files.openCostInBytes": WHOLE,
        **(defaults or {}),
    }
    for name, value in given.items():
        conf.setIfMissing(name, value)
    found = SparkSession.builder.config(conf=conf).getOrCreate()
    if not conf.contains("spark.sql.shuffle.partitions"):
        tasks = min(shards + 1, 2 * found.sparkContext.defaultParallelism)
        found.conf.set("spark.sql.shuffle.partitions", str(tasks))
    return found


def read(spark: "SparkSession", job: Job, start: str | None = None) -> "DataFrame":
    """Return the stream that `job.source` names, as raw lines; UsageError for a name that means nothing.

    start: a folder of saved states, whose place in the source the stream goes on from.
    """
    place = place_in(start) if start is not None else {}
    kind, _, rest = job.source.partition(":")
    if kind == "files" and rest:
        stream = files(spark, rest, job.files)
        return (
            stream.where(~_plain(stream["source"]).isin(_plain_names(place["files"]))) if place.get("files") else stream
        )
    if kind == "rate" and (not rest or rest.isdecimal()):
        return _rate(spark, int(rest or RATE))
    topic = topic_of(rest) if kind == "kafka" else None
    if topic is not None:
        return _kafka(spark, *topic, place.get("offsets"))
    hint = nearest(kind, ("files", "kafka", "rate"))
    raise UsageError(f"--source {job.source!r} is not files:DIR, kafka:SERVERS/TOPIC or rate{hint}")


def state_reading(spark: "SparkSession", job: Job, settings: Settings, say: Say) -> None:
    """Say how the lines of `job.source` are read: of a folder, the first SHOWN files that are there.

    Workers decide about each file by itself, with the same code.
    """
    kind, _, rest = job.source.partition(":")
    if kind != "files":
        say(f"{job.source}: JSON lines; each worker finds the columns by their names (--map)")
        return
    names = sorted(name for name in listed(spark, rest) if not name.startswith(("_", ".")))
    if not names:
        say(f"{rest}: no files yet, so the reading of their lines cannot be stated")
    for name in names[:SHOWN]:
        path = f"{rest.rstrip('/')}/{name}"
        frame = spark.read.format("text").load(path).selectExpr("cast(value as binary) as value")
        lines = [bytes(row["value"]) for row in frame.head(SAMPLE)]
        reader = SourceReader(name, lines, settings)
        # what cannot be read becomes rejects, and the job goes on
        say(reader.reading.statement() if reader.reading is not None else reader.refused)
    if len(names) > SHOWN:
        say(f"{rest}: {len(names) - SHOWN} more files; each is read by its own first lines")


def _plain(source: Any) -> Any:
    """Return the names of files as `_plain_names` gives them.

    A local file is file:///a/b where Spark notes what it has read, and file:/a/b in the stream.
    """
    from pyspark.sql import functions as f

    return f.regexp_replace(source, "^file:/+", "/")


def _plain_names(names: Sequence[str]) -> list[str]:
    return [re.sub("^file:/+", "/", name) for name in names]


def files(spark: "SparkSession", folder: str, most: int | None = None, stream: bool = True) -> "DataFrame":
    """Return the lines of all files in `folder`, oldest file first; as a stream, of those still to come as well."""
    reader: Any = spark.readStream if stream else spark.read
    if most is not None and stream:
        reader = reader.option("maxFilesPerTrigger", most)
    if "://" not in folder and not os.path.isdir(folder):
        raise NoInput(f"{folder}: no such folder")
    return lines_of(reader.format("text").load(folder))


def _rate(spark: "SparkSession", rows: int) -> "DataFrame":
    """Made-up transactions, so many a second, to try a cluster with."""
    made = spark.readStream.format("rate").option("rowsPerSecond", rows).load()
    status = "case when value % 50 = 0 then 'failed' when value % 17 = 0 then 'denied' else 'approved' end"
    row = (
        f"to_json(struct(unix_seconds(timestamp) as time, {status} as status, "
        f"concat('m', pmod(hash(value), {RATE_MERCHANTS})) as merchant))"
    )
    return made.selectExpr(f"cast({row} as binary) as value", "'rate' as source")


def _kafka(spark: "SparkSession", servers: str, topic: str, offsets: Any) -> "DataFrame":
    begin = json.dumps(offsets) if offsets else "earliest"  # the checkpoint's own place goes before it
    options = {"kafka.bootstrap.servers": servers, "subscribe": topic, "startingOffsets": begin}
    try:
        stream = spark.readStream.format("kafka").options(**options).load()
    except Exception as bad:
        if "data source" not in str(bad).lower():
            raise
        raise ConfigError(
            "Spark has no Kafka connector: start with spark-submit --packages "
            f"org.apache.spark:spark-sql-kafka-0-10_2.13:{spark.version}"
        ) from bad
    return stream.selectExpr("value", "concat(topic, '/', partition) as source")


def run(spark: "SparkSession", job: Job, plan: Plan, say: Say, tell: Tell | None = None) -> None:
    """Run `job` to its end, or until it is interrupted.

    say: gets what a person at the terminal should know. tell: gets the outcomes that hold incidents.

    Raises ConfigError when the checkpoint was begun with another `by`, bucket or number of shards, or its state is
    damaged or of another version.
    """
    check_out(job.out, job.kind)
    _check(spark, job, plan, say)
    source = read(spark, job, plan.start)
    if job.source.startswith(("kafka", "rate")):
        plan = replace(plan, settings=replace(plan.settings, format="jsonl"))  # messages have no header
    if not plan.settings.no_reading:
        state_reading(spark, job, plan.settings, say)
    lines = typed(source, plan)
    sink = Sink(job.out, job.kind, say, Teller(spark, job.checkpoint, tell) if tell is not None else None)
    writer = lines.writeStream.foreachBatch(sink).option("checkpointLocation", job.checkpoint).queryName("txmon")
    trigger = writer.trigger(processingTime=f"{job.every} seconds") if job.every else writer.trigger(availableNow=True)
    query = trigger.start()
    sink.query = query
    try:
        query.awaitTermination()
    except KeyboardInterrupt:
        query.stop()
        raise
    except Exception as bad:
        raise _failure(str(bad)) from bad
    sink.report()


def _check(spark: "SparkSession", job: Job, plan: Plan, say: Say) -> None:
    """Hold the checkpoint's record against what is asked for now, and write it anew."""
    path = f"{job.checkpoint}/{RECORD}"
    shown = {
        name: text_of_setting(plan.settings, name)
        for name, declaration in DECLARATIONS.items()
        if declaration.section in TOLD
    }
    now = {"shards": plan.shards, "totals": plan.platform is not None, "settings": shown}
    before = _record(spark, path)
    if before is None and topic_of_out(job.out) is None and exists(spark, f"{job.out}/batch=0"):
        raise ConfigError(f"{job.out}: holds the batches of another checkpoint, which new ones would overwrite")
    if before is not None:
        for name in ("shards", "totals"):
            if before[name] != now[name]:
                raise ConfigError(
                    f"{job.checkpoint}: was begun with {name} {before[name]}, not {now[name]}; `txmon spark rebalance` "
                    "takes its state to a new checkpoint"
                )
        recorded = {present_name(name, value): value for name, value in before["settings"].items()}
        for name, value in shown.items():
            was = recorded.get(name, "")
            if was == value:
                continue
            if name in RUNNING:
                raise ConfigError(f"{job.checkpoint}: was begun with {name} {was!r}, not {value!r}")
            say(f"{name} was {was or 'not set'}, is {value or 'not set'} from here on")
    write_text(spark, path, json.dumps(now, indent=1))


def _record(spark: "SparkSession", path: str) -> dict[str, Any] | None:
    """Return what the checkpoint was begun with; None for a new one."""
    if not exists(spark, path):
        return None
    try:
        found = json.loads(read_text(spark, path))
        return found if isinstance(found["settings"], dict) else None
    except (ValueError, KeyError, TypeError) as bad:
        raise ConfigError(f"{path}: is damaged ({bad!r})") from bad


def _failure(text: str) -> TxmonError:
    """The error that a query's failure stands for: one of txmon's own from a worker, or what Spark said first."""
    own = re.search(r"txmon\.errors\.(\w+): (.*)", text)
    if own is not None:
        kind = {"ConfigError": ConfigError, "IoFailure": IoFailure}.get(own[1], TxmonError)
        return kind(own[2].strip())
    said = re.search(r"^(?:\w+\.)*(\w*(?:Error|Exception): .*)$", text, re.MULTILINE)
    return TxmonError(f"the query failed: {said[1] if said else text.strip().splitlines()[0]}")

"""Where a streaming job's lines go: a folder a batch, or a Kafka topic.

In a folder one `foreachBatch` overwrites `batch=<id>`: a batch that is run again after a crash writes the same lines to
the same place, so that a plain glob over the folder sees every line once. To Kafka each task sends its own lines; a
batch that is run again sends them again, with the same keys and headers (txmon.sinks.kafka).
"""

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from txmon.errors import TxmonError, UsageError
from txmon.sinks.kafka import KafkaLines
from txmon.spark.files import exists
from txmon.spark.notify import Teller
from txmon.support.kafka_address import topic_of
from txmon.support.suggest import choose

if TYPE_CHECKING:
    import pyarrow
    from pyspark.sql import DataFrame

    Arrow = Iterator[pyarrow.RecordBatch]

KINDS: Final = ("json", "parquet")
KAFKA: Final = "kafka:"


def topic_of_out(out: str) -> tuple[str, str] | None:
    """Return the servers and the topic of `kafka:SERVERS/TOPIC`; None for a folder; UsageError for half an address."""
    if not out.startswith(KAFKA):
        return None
    found = topic_of(out.removeprefix(KAFKA))
    if found is None:
        raise UsageError(f"--out {out!r} is not kafka:SERVERS/TOPIC. Use for example kafka:broker:9092/verdicts.")
    return found


def check_out(out: str, kind: str) -> None:
    """Raise UsageError where `out` cannot be written as `kind`."""
    if kind not in KINDS:
        raise UsageError(choose(kind, KINDS))
    if topic_of_out(out) is not None and kind != "json":
        raise UsageError(f"--as {kind}: a Kafka topic takes only JSON lines")


class Sink:
    """Writes each batch, and says what was bad or late in it."""

    def __init__(self, out: str, kind: str, say: Callable[[str], None], teller: Teller | None) -> None:
        self.query: Any = None
        self._out = out
        self._kind = kind
        self._topic = topic_of_out(out)
        self._say = say
        self._teller = teller
        self._last = -1

    def __call__(self, batch: "DataFrame", number: int) -> None:
        """Write the batch with this number; what it is called with again takes the place of what was there."""
        self.report()
        if self._topic is None:
            self._write(batch, number)
        else:
            self._send(batch, number, *self._topic)

    def _write(self, batch: "DataFrame", number: int) -> None:
        from pyspark.sql import Observation
        from pyspark.sql import functions as f

        seen = Observation("txmon")
        watched = batch.observe(seen, f.count_if(f.col("kind") == "reject").alias("rejects"))
        folder = f"{self._out}/batch={number}"
        if self._kind == "parquet":
            watched.write.mode("overwrite").partitionBy("kind").parquet(folder)
        else:
            watched.select("kind", "line").write.mode("overwrite").partitionBy("kind").text(folder)
        self._say_bad(number, int(seen.get["rejects"]), f"{folder}/kind=reject")
        if self._teller is not None and exists(batch.sparkSession, f"{folder}/kind=verdict"):
            # what is written is read, for the batch would be judged again
            reader = batch.sparkSession.read
            found = reader.parquet(folder) if self._kind == "parquet" else reader.text(folder)
            self._teller.batch(number, found.withColumnRenamed("value", "line"))

    def _send(self, batch: "DataFrame", number: int, servers: str, topic: str) -> None:
        lines = batch.select("shard", "kind", "line")
        if self._teller is not None:
            lines = lines.persist()  # or telling would judge the batch again
        try:
            sent = lines.mapInArrow(_sender(servers, topic, number), "rejects long")
            rejects = sent.agg({"rejects": "sum"}).first()
            self._say_bad(number, int(rejects[0] or 0) if rejects is not None else 0, f"{KAFKA}{servers}/{topic}")
            if self._teller is not None:
                self._teller.batch(number, lines)
        finally:
            if self._teller is not None:
                lines.unpersist()

    def _say_bad(self, number: int, rejects: int, place: str) -> None:
        if rejects:
            self._say(f"batch {number}: {rejects} bad record{'s' * (rejects > 1)}, in {place}")

    def report(self) -> None:
        """Say how many records the batch before came too late even to correct a verdict."""
        progress = self.query.lastProgress if self.query is not None else None
        if progress is None or progress.batchId == self._last:
            return
        self._last = progress.batchId
        dropped = sum(operator.numRowsDroppedByWatermark for operator in progress.stateOperators)
        if dropped:
            self._say(f"batch {progress.batchId}: {dropped} rows came too late to correct anything")


def _sender(servers: str, topic: str, number: int) -> "Callable[[Arrow], Arrow]":
    """Sends a task's lines, from the worker that has them; gives how many of them were rejects."""

    def send(batches: "Arrow") -> "Arrow":
        import pyarrow

        producer = _producer(servers, topic)
        rejects = 0
        try:
            for batch in batches:
                columns = [batch.column(name).to_pylist() for name in ("kind", "line", "shard")]
                for kind, line, shard in zip(*columns, strict=True):
                    producer.send(kind, line, number, shard + 1)  # the platform's shard is -1
                    rejects += kind == "reject"
            producer.flush()
        except TxmonError:
            _producer.cache_clear()  # what waits in it belongs to this attempt
            raise
        yield pyarrow.record_batch({"rejects": pyarrow.array([rejects], pyarrow.int64())})

    return send


@lru_cache(maxsize=1)
def _producer(servers: str, topic: str) -> KafkaLines:
    """Return the worker's own, kept from batch to batch."""
    return KafkaLines(servers, topic)

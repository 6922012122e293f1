"""Sends lines to a Kafka topic. Each has an identity, so that a consumer can recognize duplicates.

Delivery is at least once: a batch that is repeated after a crash sends the same lines with the same keys and headers.
Exactly-once delivery would need Kafka transactions that contain the batch's number. It was not built, because no
broker was available to test it.
"""

import json
from collections.abc import Mapping
from typing import Any, Final
from zlib import crc32

from txmon.errors import ConfigError, IoFailure

PATIENCE: Final = 120.0  # seconds within which a line must be delivered
DEFAULTS: Final = {
    "acks": "all",
    "enable.idempotence": True,  # the client's own retries then neither repeat nor reorder lines
    "compression.type": "zstd",
    "linger.ms": 20,
    "message.timeout.ms": int(1000 * PATIENCE),
    "client.id": "txmon",
    "log_level": 2,  # failures are raised, and not logged at each retry
}


class KafkaLines:
    """Sends lines to a topic.

    The headers `kind` and `batch` give the kind of a line, and the batch that produced it.
    """

    def __init__(self, servers: str, topic: str, options: Mapping[str, Any] | None = None) -> None:
        """Connect. servers: HOST:PORT,...; options: librdkafka's, which take precedence.

        Raise ConfigError if confluent-kafka is missing or refuses the options, IoFailure if no broker answers or the
        topic is unusable.
        """
        try:
            from confluent_kafka import KafkaError, KafkaException, Producer
        except ImportError as bad:
            raise ConfigError(f"needs confluent-kafka ({bad}): pip install 'txmon[kafka]'") from bad
        self.name = f"kafka:{servers}/{topic}"
        self._topic = topic
        self._failed: list[str] = []
        settings = {**DEFAULTS, "bootstrap.servers": servers, **(options or {})}
        try:
            self._producer: Any = Producer(settings)
            found = self._producer.list_topics(topic, timeout=settings["message.timeout.ms"] / 1000).topics[topic]
        except (ValueError, TypeError) as bad:
            raise ConfigError(f"{self.name}: {bad}") from bad
        except KafkaException as bad:
            error = bad.args[0]
            kind = ConfigError if error.code() == KafkaError._INVALID_ARG else IoFailure
            raise kind(f"{self.name}: {error.str()}") from bad
        if found.error is not None or not found.partitions:
            raise IoFailure(f"{self.name}: {found.error.str() if found.error else 'has no partitions'}")
        self._partitions = len(found.partitions)

    def send(self, kind: str, line: str, batch: int, lane: int) -> None:
        """Send a line. Lines of one lane (a shard) stay in order, because they go to one partition.

        Raise IoFailure for a line that no broker accepts.
        """
        from confluent_kafka import KafkaException

        message = {"key": identity_of(kind, line).encode(), "partition": lane % self._partitions}
        headers = {"kind": kind, "batch": str(batch)}
        while True:
            try:
                self._producer.produce(self._topic, line.encode(), headers=headers, on_delivery=self._told, **message)
                break
            except BufferError:  # the queue is full; wait until some lines are delivered
                self._producer.poll(0.5)
            except KafkaException as bad:
                raise IoFailure(f"{self.name}: {bad.args[0].str()}") from bad
        self._producer.poll(0)

    def flush(self) -> None:
        """Wait until all lines are delivered. Raise IoFailure if some are not."""
        left = self._producer.flush(PATIENCE)
        failed, self._failed = self._failed, []
        if failed or left:
            many = len(failed) + left
            reason = failed[0] if failed else "no answer"
            raise IoFailure(f"{self.name}: {many} line{'s' * (many > 1)} did not arrive: {reason}")

    def _told(self, error: Any, _: Any) -> None:
        if error is not None:
            self._failed.append(error.str())


def identity_of(kind: str, line: str) -> str:
    """Return the identity of a line: equal for repeats of a line, and different for all other lines of a batch.

    It is time/key's values/status for a verdict, with /revised if it corrects one; id/state/time for a step of an
    incident; time/trend/status for a trend; source/line/checksum for a bad record.
    """
    row = json.loads(line)
    if kind == "verdict":
        parts = [row["time"], *row.get("key", {}).values(), row["status"], *["revised"] * row.get("revises", False)]
    elif kind == "incident":
        parts = [row["id"], row["state"], row["time"]]
    elif kind == "trend":
        parts = [row["time"], "trend", row["status"]]
    else:
        # rows of a typed frame have no line number
        parts = [row["source"], str(row.get("line", "")), f"{crc32(line.encode()):08x}"]
    return "/".join(parts)

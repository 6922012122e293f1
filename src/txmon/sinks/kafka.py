"""Lines to a Kafka topic, each under an identity, so that whoever reads one twice can tell.

At least once: a batch that is run again after a crash sends the same lines with the same keys and headers. Transactions
would need the batch's number committed in the same one, and no broker was at hand to show that it holds.
"""

import json
from collections.abc import Mapping
from typing import Any, Final
from zlib import crc32

from txmon.errors import ConfigError, IoFailure

PATIENCE: Final = 120.0  # seconds in which a line must have arrived
DEFAULTS: Final = {
    "acks": "all",
    "enable.idempotence": True,  # the client's own retries neither repeat nor reorder anything
    "compression.type": "zstd",
    "linger.ms": 20,
    "message.timeout.ms": int(1000 * PATIENCE),
    "client.id": "txmon",
    "log_level": 2,  # what fails is raised, and not said each time it is tried
}


class KafkaLines:
    """A producer of lines; the headers `kind` and `batch` say what a message is, and in which batch it was made."""

    def __init__(self, servers: str, topic: str, options: Mapping[str, Any] | None = None) -> None:
        """servers: HOST:PORT,...; options: librdkafka's own, which win.

        Raises ConfigError when confluent-kafka is missing or refuses the options, IoFailure when no broker answers or
        the topic is none.
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
        """Send a line; those of one lane (a shard) stay in order, since they go to one partition.

        Raises IoFailure for a line that no broker would take.
        """
        from confluent_kafka import KafkaException

        message = {"key": identity_of(kind, line).encode(), "partition": lane % self._partitions}
        headers = {"kind": kind, "batch": str(batch)}
        while True:
            try:
                self._producer.produce(self._topic, line.encode(), headers=headers, on_delivery=self._told, **message)
                break
            except BufferError:  # the queue is full: let some of it go first
                self._producer.poll(0.5)
            except KafkaException as bad:
                raise IoFailure(f"{self.name}: {bad.args[0].str()}") from bad
        self._producer.poll(0)

    def flush(self) -> None:
        """Return once all lines have arrived; IoFailure when some have not."""
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
    """What a line is of: the same for the same line however often it is sent, another for any other of its batch.

    time/key's values/status of a verdict, with /revised where it corrects one; id/state/time of the step of an
    incident; time/trend/status of a trend; source/line/checksum of a bad record.
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

"""Reads a Kafka topic as a live source. A message is a line, and a position is an offset for each partition.

Partitions are merged by the timestamps of their messages. Otherwise, after an hour's pause, one partition's hour would
be read before the others, and all of theirs would be late.

A restart continues where the state ends, because open minutes and baselines belong to the state. Whenever the state is
written, the group's offsets in Kafka are committed as well. Tools that show a consumer's lag use them, and so does a
process that takes over a partition without that state.
"""

import heapq
import time
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from txmon.errors import ConfigError, IoFailure
from txmon.ingest.follow import Chunk

MOST: Final = 10_000  # messages read at a time
WAIT: Final = 0.05  # seconds to wait for the first message
AGAIN: Final = 2.0  # seconds between two checks whether a broker is back
ANSWER: Final = 10.0  # seconds within which Kafka must answer a request
HELD: Final = 50_000  # waiting messages of a partition before it is paused
PATIENCE: Final = 10.0  # seconds for which a partition without messages delays the others
DEFAULTS: Final = {
    "enable.partition.eof": True,  # distinguishes a partition without more messages from a slow one
    "enable.auto.commit": False,
    "auto.offset.reset": "earliest",
    "partition.assignment.strategy": "cooperative-sticky",
    "session.timeout.ms": 10_000,  # then another process of the group takes over from a dead one
    "client.id": "txmon",
}


class Message(NamedTuple):
    """A message that waits for the other partitions."""

    stamp: int  # Kafka's timestamp, milliseconds
    partition: int
    offset: int
    line: bytes


class KafkaSource:
    """Reads the messages of a topic from the partitions that the group assigns to this process."""

    def __init__(
        self,
        servers: str,
        topic: str,
        group: str,
        position: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Create it. servers: HOST:PORT,... position: where to continue. options: librdkafka's, which take precedence.

        monotonic: a clock, seconds. Raise ConfigError if confluent-kafka is missing or refuses the options.
        """
        try:
            from confluent_kafka import Consumer, KafkaException
        except ImportError as bad:
            raise ConfigError(f"needs confluent-kafka ({bad}): pip install 'txmon[kafka]'") from bad
        self.name = f"kafka:{servers}/{topic}"
        self.ended = False
        self.connected = True  # as librdkafka reports it; without brokers, silence is not judged
        self._asked = 0.0  # when brokers were last checked, on the monotonic clock
        self._topic = topic
        self._monotonic = monotonic
        self._waiting: dict[int, deque[Message]] = {}  # by partition: messages that wait for the other partitions
        self._heard: dict[int, float] = {}  # when each partition with more to read last had a message
        self._paused: set[int] = set()
        self._known = {int(name): int(at) for name, at in (position or {}).get("offsets", {}).items()}
        self._next: dict[int, int] = {}  # partition -> the offset at which the last chunk began
        self._given: list[tuple[int, int]] = []  # (partition, offset) of each line of the last chunk
        self._ends: list[int] = []  # the end of each of these lines, as `position` counts
        self._count = 0  # bytes of lines returned, with their newlines
        try:
            self._consumer: Any = Consumer(
                {
                    **DEFAULTS,
                    "bootstrap.servers": servers,
                    "group.id": group,
                    "error_cb": self._notice,
                    **(options or {}),
                }
            )
        except (KafkaException, ValueError, TypeError) as bad:
            raise ConfigError(f"{self.name}: {_reason(bad)}") from bad
        self._consumer.subscribe([topic], on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._revoked)

    def fileno(self) -> int | None:
        """Return None, because librdkafka waits in its own threads."""
        return None

    def holds(self) -> bool:
        """Return False, because this source is polled."""
        return False

    def read(self) -> Chunk | None:
        """Return the new messages, oldest first. Raise IoFailure for an error that a retry cannot cure."""
        self._settle()
        try:
            messages = self._consumer.consume(MOST, WAIT)
        except Exception as bad:
            raise IoFailure(f"{self.name}: {_reason(bad)}") from bad
        for message in messages:
            self._hear(message)
        if not self.connected:
            self._look_for_brokers()
        start = self._count
        lines = []
        for message in self._due():
            lines.append(message.line)
            self._count += len(message.line) + 1
            self._ends.append(self._count)
            self._given.append((message.partition, message.offset))
        self._pace()
        return Chunk(lines, start=start) if lines else None

    def _hear(self, message: Any) -> None:
        """Add a message to the waiting ones of its partition."""
        from confluent_kafka import KafkaError

        error, partition = message.error(), message.partition()
        if error is None:
            self.connected = True
            # an empty message, a tombstone, is skipped like a blank line
            line = (message.value() or b"").rstrip(b"\r\n")
            waiting = self._waiting.setdefault(partition, deque())
            waiting.append(Message(message.timestamp()[1], partition, message.offset(), line))
            self._heard[partition] = self._monotonic()
        elif error.code() == KafkaError._PARTITION_EOF:
            self._heard.pop(partition, None)
        else:
            self._endure(error)

    def _due(self) -> list[Message]:
        """Return the messages that no partition can still precede."""
        patient = self._monotonic() - PATIENCE
        limits = [
            waiting[-1].stamp if (waiting := self._waiting.get(partition)) else -1
            for partition, heard in self._heard.items()
            if heard > patient or partition in self._paused
        ]
        limit = min(limits, default=None)
        due = []
        for waiting in self._waiting.values():
            taken = []
            while waiting and (limit is None or waiting[0].stamp <= limit):
                taken.append(waiting.popleft())
            due.append(taken)
        return list(heapq.merge(*due, key=_stamp))

    def _pace(self) -> None:
        """Pause partitions that are far ahead of the others, and resume paused ones."""
        from confluent_kafka import TopicPartition

        full = {partition for partition, waiting in self._waiting.items() if len(waiting) > HELD}
        ready = {partition for partition in self._paused if len(self._waiting[partition]) < HELD // 2}
        if full - self._paused:
            self._consumer.pause([TopicPartition(self._topic, one) for one in full - self._paused])
        if ready:
            self._consumer.resume([TopicPartition(self._topic, one) for one in ready])
        self._paused = (self._paused | full) - ready

    def position(self, offset: int) -> dict[str, Any] | None:
        """Return the offset of every partition after the lines before `offset`, which counts as Chunk.start does."""
        after = {**self._known, **self._next}
        for partition, place in self._given[: bisect_right(self._ends, offset)]:
            after[partition] = place + 1
        return {"offsets": {str(partition): at for partition, at in sorted(after.items())}}

    def saved(self, position: Mapping[str, Any]) -> None:
        """Commit `position`, which the state contains, to the group. A failed commit is repeated with the next one."""
        from confluent_kafka import KafkaException, TopicPartition

        mine = set(self._next) | {partition for partition, _ in self._given}
        offsets = [
            TopicPartition(self._topic, int(name), at)
            for name, at in position["offsets"].items()
            if int(name) in mine and at >= 0
        ]
        if not offsets:
            return
        try:
            self._consumer.commit(offsets=offsets, asynchronous=False)
        except KafkaException:
            # the group is rebalancing, or Kafka is away: the state has the position, and the next commit repeats it
            return

    def close(self) -> None:
        """Leave the group."""
        self._consumer.close()

    def _settle(self) -> None:
        """Forget the lines of the last chunk. From now on, only positions after it are needed."""
        for partition, place in self._given:
            self._next[partition] = place + 1
        self._given.clear()
        self._ends.clear()

    def _assigned(self, consumer: Any, partitions: list[Any]) -> None:
        """Continue at the position of the state, or of the group if another process read further."""
        committed = self._committed(consumer, partitions)
        now = self._monotonic()
        for partition in partitions:
            # there may be more messages, so the others wait until the partition reports its end
            self._heard[partition.partition] = now
            places = [self._known.get(partition.partition, -1), committed.get(partition.partition, -1)]
            places.append(self._next.get(partition.partition, -1))
            if max(places) >= 0:
                partition.offset = max(places)
                self._known[partition.partition] = partition.offset
        consumer.incremental_assign(partitions)

    def _committed(self, consumer: Any, partitions: list[Any]) -> dict[int, int]:
        from confluent_kafka import KafkaException

        try:
            return {one.partition: one.offset for one in consumer.committed(partitions, timeout=ANSWER)}
        except KafkaException:
            return {}

    def _revoked(self, consumer: Any, partitions: list[Any]) -> None:
        """Release partitions that another process has now. This process commits nothing more for them."""
        self._settle()
        for partition in partitions:
            # the next owner reads what was fetched and not returned
            self._waiting.pop(partition.partition, None)
            self._heard.pop(partition.partition, None)
            self._paused.discard(partition.partition)
            if partition.partition in self._next:
                self._known[partition.partition] = self._next.pop(partition.partition)

    def _notice(self, error: Any) -> None:
        """Note an error that concerns no partition. librdkafka calls this while messages are read."""
        from confluent_kafka import KafkaError

        if error.code() == KafkaError._ALL_BROKERS_DOWN:
            self.connected = False

    def _look_for_brokers(self) -> None:
        """Check now and then whether a broker is back, because an idle topic does not show it."""
        from confluent_kafka import KafkaException

        now = self._monotonic()
        if now - self._asked < AGAIN:
            return
        self._asked = now
        try:
            self._consumer.list_topics(self._topic, timeout=WAIT)
        except KafkaException:
            return
        self.connected = True

    def _endure(self, error: Any) -> None:
        """Raise IoFailure for a permanent error. librdkafka recovers from all others."""
        from confluent_kafka import KafkaError

        lasting = (
            KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError._UNKNOWN_TOPIC,
            KafkaError.GROUP_AUTHORIZATION_FAILED, KafkaError._AUTHENTICATION,
        )  # fmt: skip
        if error.fatal() or error.code() in lasting:
            raise IoFailure(f"{self.name}: {error.str()}")


def _stamp(message: Message) -> int:
    return message.stamp


def _reason(bad: Exception) -> str:
    """Return librdkafka's message without the tuple around it."""
    first = bad.args[0] if bad.args else bad
    return first.str() if hasattr(first, "str") else str(first)

"""A Kafka topic as a live source: a message is a line, and the place is an offset a partition.

Partitions are merged by their messages' timestamps: after an hour away, one partition's hour must not be read before
another's, or all of that would be late.

Where a restart goes on is what the state says, since open minutes and baselines belong to it; the group's offsets in
Kafka follow each time the state is written, for tools that show a consumer's lag and for a process that takes over a
partition without that state.
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
WAIT: Final = 0.05  # seconds to wait for the first
AGAIN: Final = 2.0  # seconds between two questions whether a broker answers again
ANSWER: Final = 10.0  # seconds within which Kafka must answer a question
HELD: Final = 50_000  # messages of a partition that wait for the other partitions before it is paused
PATIENCE: Final = 10.0  # seconds for which a partition that says nothing holds the others up
DEFAULTS: Final = {
    "enable.partition.eof": True,  # tells a partition that has nothing more from one that is slow
    "enable.auto.commit": False,
    "auto.offset.reset": "earliest",
    "partition.assignment.strategy": "cooperative-sticky",
    "session.timeout.ms": 10_000,  # after which another process of the group takes over from a dead one
    "client.id": "txmon",
}


class Message(NamedTuple):
    """A message on its way through."""

    stamp: int  # Kafka's, milliseconds
    partition: int
    offset: int
    line: bytes


class KafkaSource:
    """The messages of a topic, those of the partitions that the group gives to this process."""

    def __init__(
        self,
        servers: str,
        topic: str,
        group: str,
        position: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """servers: HOST:PORT,...; position: where to go on; options: librdkafka's own, which win; monotonic: seconds.

        Raises ConfigError when confluent-kafka is missing or refuses the options.
        """
        try:
            from confluent_kafka import Consumer, KafkaException
        except ImportError as bad:
            raise ConfigError(f"needs confluent-kafka ({bad}): pip install 'txmon[kafka]'") from bad
        self.name = f"kafka:{servers}/{topic}"
        self.ended = False
        self.connected = True  # as far as librdkafka says; without brokers there is no silence to judge
        self._asked = 0.0  # when a broker was last asked for, on the monotonic clock
        self._topic = topic
        self._monotonic = monotonic
        self._waiting: dict[int, deque[Message]] = {}  # by partition: read, and not given yet
        self._heard: dict[int, float] = {}  # when a partition last had a message, while it has more
        self._paused: set[int] = set()
        self._known = {int(name): int(at) for name, at in (position or {}).get("offsets", {}).items()}
        self._next: dict[int, int] = {}  # partition -> the offset after what was given before the last chunk
        self._given: list[tuple[int, int]] = []  # (partition, offset) of the last chunk's lines
        self._ends: list[int] = []  # where each of them ends, as `position` counts
        self._count = 0  # bytes of lines given, newlines among them
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
        """None: librdkafka waits in threads of its own."""
        return None

    def holds(self) -> bool:
        """Never: it is asked all the time."""
        return False

    def read(self) -> Chunk | None:
        """Return the messages that have come, oldest first; IoFailure for what no retry will cure."""
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
        """Put a message with those of its partition that wait."""
        from confluent_kafka import KafkaError

        error, partition = message.error(), message.partition()
        if error is None:
            self.connected = True
            line = (message.value() or b"").rstrip(b"\r\n")  # an empty one, a tombstone, is skipped as blank lines are
            waiting = self._waiting.setdefault(partition, deque())
            waiting.append(Message(message.timestamp()[1], partition, message.offset(), line))
            self._heard[partition] = self._monotonic()
        elif error.code() == KafkaError._PARTITION_EOF:
            self._heard.pop(partition, None)
        else:
            self._endure(error)

    def _due(self) -> list[Message]:
        """Return what no partition with more to read can still come before."""
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
        """Let partitions far ahead of the others wait, and those that waited go on."""
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
        """Tell the group that all before `position` is in the state; what fails is sent again with the next one."""
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
            # the group is being dealt out anew, or Kafka is away: the state knows better, and so does the next saving
            return

    def close(self) -> None:
        """Leave the group."""
        self._consumer.close()

    def _settle(self) -> None:
        """Forget the last chunk line by line: what follows it is all that will be asked for."""
        for partition, place in self._given:
            self._next[partition] = place + 1
        self._given.clear()
        self._ends.clear()

    def _assigned(self, consumer: Any, partitions: list[Any]) -> None:
        """Go on where the state says, or the group where it has gone further: another process had the partition."""
        committed = self._committed(consumer, partitions)
        now = self._monotonic()
        for partition in partitions:
            self._heard[partition.partition] = now  # more may be there: until it says otherwise, the others wait
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
        """Another process has these now: their lines are read, and no longer this one's to tell the group of."""
        self._settle()
        for partition in partitions:
            # what was read and not given is the next owner's
            self._waiting.pop(partition.partition, None)
            self._heard.pop(partition.partition, None)
            self._paused.discard(partition.partition)
            if partition.partition in self._next:
                self._known[partition.partition] = self._next.pop(partition.partition)

    def _notice(self, error: Any) -> None:
        """Hear of an error that concerns no partition; called while messages are asked for."""
        from confluent_kafka import KafkaError

        if error.code() == KafkaError._ALL_BROKERS_DOWN:
            self.connected = False

    def _look_for_brokers(self) -> None:
        """Ask now and then whether a broker answers again: a topic without news would not show it."""
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
        """Raise IoFailure for an error that stays; librdkafka mends the others itself."""
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
    """librdkafka's words without the tuple around them."""
    first = bad.args[0] if bad.args else bad
    return first.str() if hasattr(first, "str") else str(first)

"""librdkafka's mock cluster, and what is in its topics."""

import time
from collections.abc import Callable

from confluent_kafka import Consumer, Message, Producer, TopicPartition

SECONDS = 60.0
PARTITIONS = 4


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


class Cluster:
    """A mock cluster: it lives as long as the producer that brought it up."""

    def __init__(self) -> None:
        self.producer = Producer({"test.mock.num.brokers": 1, "linger.ms": 0})
        brokers = self.producer.list_topics(timeout=30).brokers.values()
        self.servers = ",".join(f"{broker.host}:{broker.port}" for broker in brokers)
        self._topics = 0

    def topic(self) -> str:
        """A new topic of four partitions: the mock makes what it is asked for."""
        self._topics += 1
        name = f"transactions-{self._topics}"
        until(lambda: len(self.producer.list_topics(name, timeout=30).topics[name].partitions) == PARTITIONS)
        return name

    def send(self, topic: str, partition: int, values: list[bytes], stamps: list[int]) -> None:
        for value, stamp in zip(values, stamps, strict=True):
            self.producer.produce(topic, value, partition=partition, timestamp=stamp)
        assert self.producer.flush(30) == 0

    def sizes(self, topic: str) -> list[int]:
        """How many messages each partition has."""
        consumer = Consumer({"bootstrap.servers": self.servers, "group.id": "tests"})
        try:
            places = [TopicPartition(topic, partition) for partition in range(PARTITIONS)]
            return [consumer.get_watermark_offsets(place, timeout=30)[1] for place in places]
        finally:
            consumer.close()

    def messages(self, topic: str) -> list[Message]:
        """All that is in a topic, by partition."""
        consumer = Consumer({"bootstrap.servers": self.servers, "group.id": "tests", "fetch.wait.max.ms": 50})
        found: list[Message] = []
        try:
            for partition in range(PARTITIONS):
                _, end = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=30)
                consumer.assign([TopicPartition(topic, partition, 0)])
                some: list[Message] = []
                until(lambda some=some, end=end: len(some) >= end or some.extend(consumer.consume(5000, 0.1)))  # type: ignore[misc]
                assert all(one.error() is None for one in some)
                found += some
        finally:
            consumer.close()
        return found

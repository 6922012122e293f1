"""The address of a Kafka topic: one parser for `watch --kafka`, and for `--source` and `--out` of `txmon spark`."""

import pytest

from txmon.support.kafka_address import topic_of


@pytest.mark.parametrize(
    ("address", "found"),
    [
        ("b:9092/t", ("b:9092", "t")),
        ("a:1,b:2/t", ("a:1,b:2", "t")),
        ("[::1]:9092/t", ("[::1]:9092", "t")),
        ("t", None),
        ("b:9092/", None),
        ("/t", None),
        ("", None),
    ],
)
def test_servers_and_topic(address: str, found: tuple[str, str] | None) -> None:
    assert topic_of(address) == found

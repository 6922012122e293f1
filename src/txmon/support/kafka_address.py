"""The address of a Kafka topic, as every command spells it."""


def topic_of(address: str) -> tuple[str, str] | None:
    """Return (servers, topic) of `SERVERS/TOPIC`; None where a part is missing. SERVERS are like `a:9092,b:9092`."""
    servers, _, topic = address.rpartition("/")
    return (servers, topic) if servers and topic else None

"""Parses the address of a Kafka topic for all commands."""


def topic_of(address: str) -> tuple[str, str] | None:
    """Return (servers, topic) of `SERVERS/TOPIC`, or None if a part is missing. SERVERS are like `a:9092,b:9092`."""
    servers, _, topic = address.rpartition("/")
    return (servers, topic) if servers and topic else None

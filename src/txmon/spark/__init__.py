"""The same detector on Spark Structured Streaming: `detect` takes a DataFrame and gives one of verdicts.

Keys are hashed into shards, a shard is a whole pipeline, and its packed state is one value of Spark's state store.
It may import everything below the commands (runtime, pipeline and what they use), and nothing imports it but `cli`.
Start reading at `streaming`; `job` runs what the command asks for.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from txmon.spark.streaming import detect as detect


def __getattr__(name: str) -> object:
    """Import `detect` when it is asked for: Spark's libraries are optional, and shards work without them."""
    if name == "detect":
        from txmon.spark.streaming import detect

        return detect
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

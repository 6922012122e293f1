"""A checkpoint's states and its place in the sources, read back out of Spark's state store."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from txmon.errors import ConfigError, NoInput
from txmon.runtime import state_file as state
from txmon.spark import shard_state as blob
from txmon.spark.files import exists, listed, read_text
from txmon.spark.shards import write_states

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

PLACE: Final = "place.json"  # in a folder of states: where the sources go on


def read_checkpoint(spark: "SparkSession", checkpoint: str) -> list[tuple[int, state.State]]:
    """Return the state of every shard as of the newest batch that was finished; NoInput where there is none."""
    if not exists(spark, f"{checkpoint}/commits"):
        raise NoInput(f"{checkpoint}: is not a checkpoint, or no batch of it was finished")
    rows = spark.read.format("statestore").load(checkpoint)
    found = rows.selectExpr("key.shard as shard", "value.groupState.state as state").toLocalIterator()
    states = []
    for row in found:
        name = f"shard {row['shard']}"
        states.append((int(row["shard"]), blob.whole_of(blob.unpack(bytes(row["state"]), name), name)))
    return sorted(states, key=lambda one: one[0])


def write_folder(spark: "SparkSession", checkpoint: str, folder: str, shards: int, states: Sequence[Any]) -> list[str]:
    """Write `states` by shard, and the place of the checkpoint's sources, into `folder`; what a person must know."""
    batch = newest(spark, f"{checkpoint}/commits")
    Path(folder).mkdir(parents=True, exist_ok=True)
    (Path(folder) / PLACE).write_text(json.dumps(_place(spark, checkpoint, batch)))
    write_states(folder, shards, [(number, state.pack(one)) for number, one in states])
    if newest(spark, f"{checkpoint}/offsets") > batch:
        return [
            f"batch {batch + 1} was begun and not finished: delete it from the old --out, the new job does it again"
        ]
    return []


def newest(spark: "SparkSession", folder: str) -> int:
    """Return the newest batch that has a file in `folder`; -1 without any."""
    return max((int(name) for name in listed(spark, folder) if name.isdecimal()), default=-1)


def _place(spark: "SparkSession", checkpoint: str, batch: int) -> dict[str, Any]:
    """Return the files that the batches up to `batch` have read, or the offsets in Kafka at which they stopped."""
    source = json.loads(read_text(spark, f"{checkpoint}/offsets/{batch}").splitlines()[2])
    if "logOffset" not in source:
        return {"offsets": source}
    read = []
    for name in listed(spark, f"{checkpoint}/sources/0"):
        if name.removesuffix(".compact").isdecimal():
            lines = read_text(spark, f"{checkpoint}/sources/0/{name}").splitlines()[1:]
            read += [row["path"] for row in map(json.loads, lines) if row["batchId"] <= source["logOffset"]]
    return {"files": sorted(set(read))}


def place_in(folder: str) -> dict[str, Any]:
    """Return where the sources go on, as `folder` has it; empty for one that a backfill wrote."""
    try:
        found = json.loads((Path(folder) / PLACE).read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as bad:
        raise ConfigError(f"{folder}/{PLACE}: is damaged ({bad})") from bad
    return found if isinstance(found, dict) else {}

"""What one shard's batch costs without Spark: reading its state, judging a minute, writing the state again.

    .venv/bin/python benchmarks/shard.py [--keys 6250] [--minutes 20]

Every key has one record in each minute; a minute is a batch. 6,250 keys are 100,000 on 16 shards. Processor time of the
last batch (the best of three runs of it), microseconds a key; bytes a key of the packed state. The default minutes fill
all that a state ever holds.
"""

import random
import time
from itertools import pairwise
from typing import Any

from common import arguments, tell

from txmon.settings.declarations import Settings
from txmon.spark.bucket_notes import notes_of
from txmon.spark.shards import Row, Shard, plan_of, without_collection

SETTINGS = Settings(group_by=("merchant",), sigma=6.0, lateness=0, only="alerts")
START = 1772445600
RUNS = 3


def minute(number: int, keys: int, dice: random.Random) -> list[Row]:
    rows = []
    for n in range(keys):
        status = "failed" if dice.random() < 0.03 else "approved"
        rows.append(Row(START + 60 * number + n * 60 // keys, n, status, dice.randint(1, 9), None, f"m{n}", None))
    return rows


def run(keys: int, minutes: int) -> dict[str, Any]:
    dice = random.Random(1)
    plan = plan_of(SETTINGS, 1)
    packed: bytes | None = None
    watermark: int | None = None
    best = [float("inf")] * 3
    for number in range(minutes):
        rows = minute(number, keys, dice)
        notes = notes_of(rows, 60, sampling=False)
        before = packed
        for _ in range(RUNS if number == minutes - 1 else 1):
            with without_collection():
                marks = [time.process_time()]
                shard = Shard(plan, 0, before, watermark)
                marks.append(time.process_time())
                shard.take(rows, watermark, notes)
                marks.append(time.process_time())
                packed = shard.pack()
                marks.append(time.process_time())
            spent = [1e6 * (after - at) / keys for at, after in pairwise(marks)]
            if number == minutes - 1:
                best = [min(pair) for pair in zip(best, spent, strict=True)]
        watermark = rows[-1].time
    assert packed is not None
    return {"keys": keys, "minutes": minutes, "unpack us": best[0], "judge us": best[1], "pack us": best[2],
            "bytes a key": len(packed) / keys}  # fmt: skip


if __name__ == "__main__":
    given = arguments(__doc__, keys=6250, minutes=20)
    tell([run(given.keys, given.minutes)], given.json)

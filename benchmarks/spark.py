"""What the detector costs on Spark, a record and a key, beside `txmon replay` and beside one call a key.

    .venv-spark/bin/python benchmarks/spark.py --keys 1000,100000 --a-key 1000

Every key has one record in each minute; a minute is a micro-batch. The first half of the batches is left out. Costs are
processor time of all processes (JVM, workers, driver), so that a busy machine changes them little; `seconds` are the
clock's, the median's. Only alerts are written, so that the sink is not what is measured.
"""

import argparse
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from common import processor_time

from txmon.settings.declarations import Settings
from txmon.spark.job import files, session
from txmon.spark.shards import PLATFORM, plan_of
from txmon.spark.streaming import typed

CORES = 2
SETTINGS = Settings(group_by=("merchant",), sigma=6.0, lateness=0, only="alerts")


def minutes(folder: Path, keys: int, count: int) -> list[Path]:
    """`count` minutes of a row a key, a file a core and minute."""
    dice = random.Random(1)
    paths = []
    for minute in range(count):
        rows = []
        for n in range(keys):
            status = "failed" if dice.random() < 0.03 else "approved"
            rows.append(f"2026-03-02T10:{minute:02d}:{n * 60 // keys:02d}Z,{status},{dice.randint(1, 9)},m{n}\n")
        for core in range(CORES):
            path = folder / f"{minute:03d}-{core}.csv"
            path.write_text("time,status,count,merchant\n" + "".join(rows[core::CORES]))
            os.utime(path, (1e9 + minute, 1e9 + minute))
            paths.append(path)
    return paths


def on_spark(spark: Any, folder: Path, keys: int, shards: int, totals: bool = True) -> dict[str, float]:
    """Of a warm batch: seconds, and seconds of all processes' processor time; bytes of packed state a key."""
    marks: list[float] = []

    def sink(batch: Any, _: int) -> None:
        marks.append(processor_time(os.getpid()))
        batch.write.format("noop").mode("overwrite").save()

    with tempfile.TemporaryDirectory() as checkpoint:
        lines = typed(files(spark, str(folder), CORES), plan_of(SETTINGS, shards, totals=totals)).select("kind", "line")
        writer = lines.writeStream.foreachBatch(sink)
        query = writer.option("checkpointLocation", checkpoint).trigger(availableNow=True).start()
        query.awaitTermination()
        seconds = [one.durationMs["triggerExecution"] / 1000 for one in query.recentProgress if one.numInputRows]
        stored = spark.read.format("statestore").load(checkpoint).where(f"key.shard <> {PLATFORM}")
        size = stored.selectExpr("sum(length(value.groupState.state))").first()[0]
    # the second half: Java's compiler has done its work, and with 20 minutes all that a state ever holds is in it
    half = len(seconds) // 2
    warm = statistics.median(seconds[half:])
    worked = (marks[len(seconds) - 1] - marks[half]) / (len(seconds) - 1 - half)
    return {"seconds": warm, "us_a_record": 1e6 * worked / keys, "bytes_a_key": size / keys}


def replayed(paths: list[Path], keys: int, count: int) -> float:
    """Processor time of `txmon replay`, microseconds a record, its start left out."""
    command = [sys.executable, "-m", "txmon", "replay", "--group-by", "merchant", "--sigma", "6", "--only", "alerts"]

    def seconds(some: list[Path]) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([*command, "--chart", "never", *map(str, some)], check=True, stdout=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    # files of one minute are halves of it: replay wants them as one, in order of time
    whole = []
    for minute in range(count):
        halves = [path.read_text().splitlines() for path in paths[minute * CORES : (minute + 1) * CORES]]
        rows = sorted(row for half in halves for row in half[1:])
        whole.append(paths[0].parent.parent / f"whole-{minute:03d}.csv")
        whole[-1].write_text("\n".join([halves[0][0], *rows, ""]))
    return 1e6 * (seconds(whole) - seconds(whole[:1])) / (keys * (count - 1))


def main() -> None:
    """Measure, and print one JSON object a line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keys", default="1000,100000")
    parser.add_argument("--shards", type=int, default=16)
    parser.add_argument("--minutes", type=int, default=20, help="at least 4")
    parser.add_argument("--a-key", type=int, default=0, metavar="N", help="also a shard a key, with N keys")
    options = parser.parse_args()
    spark = session(options.shards, {"spark.master": f"local[{CORES}]", "spark.driver.memory": "4g"})
    for keys in map(int, options.keys.split(",")):
        with tempfile.TemporaryDirectory() as folder:
            stream = Path(folder) / "in"
            stream.mkdir()
            paths = minutes(stream, keys, options.minutes)
            found = {"keys": keys, "shards": options.shards, **on_spark(spark, stream, keys, options.shards)}
            one = replayed(paths, keys, options.minutes)
            found |= {"replay_us_a_record": one, "times_replay": found["us_a_record"] / one}
            if keys == options.a_key:
                # so many shards that nearly every key has one of its own
                found["a_key_seconds"] = on_spark(spark, stream, keys, 65536, totals=False)["seconds"]
            found["records_a_second_a_core"] = 1e6 / found["us_a_record"]
            print(json.dumps({name: round(value, 2) for name, value in found.items()}), flush=True)
    spark.stop()


if __name__ == "__main__":
    main()

"""From a row to the verdict that it brings about, at 10,000 events a second; and how long txmon takes to start.

The clock of the events runs a hundred times as fast as ours, so that a bucket of 10 s closes ten times a second. A
latency is the time from writing the row that closes a bucket to reading the bucket's first line.
python benchmarks/latency.py [--seconds 10] [--rate 10000]
"""

import json
import random
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from common import MEANS, STATUSES, arguments, tell

BUCKET, SPEED, START = 10, 100, 1772409600
TXMON = [sys.executable, "-m", "txmon"]


def latencies(seconds: int, rate: int) -> list[float]:
    words = ["watch", "--bucket", f"{BUCKET}s", "--lateness", "0s", "--format", "csv"]
    process = subprocess.Popen([*TXMON, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    read: dict[int, float] = {}
    reader = threading.Thread(target=_read, args=(process.stdout, read))
    reader.start()
    closed: dict[int, float] = {}
    draw, begun, given, newest = random.Random(4), time.monotonic(), 0, START
    process.stdin.write(b"time,status\n")
    while (now := time.monotonic() - begun) < seconds:
        moment = START + int(now * SPEED)
        due = int(now * rate) - given
        given += due
        rows = "".join(f"{moment},{status}\n" for status in draw.choices(STATUSES, MEANS, k=due))
        if due and moment // BUCKET > newest // BUCKET:
            closed[newest // BUCKET * BUCKET] = time.monotonic()
            newest = moment
        process.stdin.write(rows.encode())
        process.stdin.flush()
        time.sleep(0.001)
    process.stdin.close()
    reader.join()
    process.wait()
    return sorted(read[start] - moment for start, moment in closed.items() if start in read)


def _read(lines: Any, read: dict[int, float]) -> None:
    for line in lines:
        now = time.monotonic()
        row = json.loads(line)
        if "recommendation" in row and not row.get("partial"):
            read.setdefault(int(datetime.fromisoformat(row["time"]).astimezone(UTC).timestamp()), now)


def started(words: Sequence[str], given: bytes) -> float:
    """Seconds until the first line of output, the least of five."""
    best = 9.0
    for _ in range(5):
        begun = time.monotonic()
        process = subprocess.Popen([*TXMON, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(given)
        process.stdin.flush()
        process.stdout.readline()
        best = min(best, time.monotonic() - begun)
        process.stdin.close()
        process.stdout.read()
        process.wait()
    return best


if __name__ == "__main__":
    given = arguments(__doc__, seconds=10, rate=10_000)
    rows = b"time,status\n2026-03-02T10:00:00Z,approved\n2026-03-02T10:01:30Z,approved\n"
    found = latencies(given.seconds, given.rate)
    cuts = statistics.quantiles(found, n=100)
    tell(
        [
            {"work": "latency", "buckets": len(found), "p50 ms": 1000 * cuts[49], "p99 ms": 1000 * cuts[98]},
            {"work": "txmon --version", "ms": 1000 * started(["--version"], b"")},
            {"work": "first verdict of watch", "ms": 1000 * started(["watch"], rows)},
        ],
        given.json,
    )

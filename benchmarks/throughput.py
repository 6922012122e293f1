"""The pipeline from lines to verdict lines, beside what only reads the same lines: CPU seconds of whole processes.

python benchmarks/throughput.py [--days 30] [--events 1000000] [--json FILE]
"""

import csv
import tempfile
import time
from pathlib import Path
from typing import Any

import duckdb
import msgspec
from common import aggregated, arguments, cpu, events, tell, timed, txmon


def replay(folder: Path, days: int) -> list[dict[str, Any]]:
    source, out = folder / "rows.csv", folder / "verdicts.jsonl"
    rows = aggregated(source, days)
    seconds = txmon("replay", str(source), "--jobs", "1", "--out", str(out))
    # by the clock: two processes share the work
    _, both = timed("replay", str(source), "--jobs", "2", "--out", str(out))
    lines = out.read_bytes().splitlines(keepends=True)

    def peer() -> None:
        with open(source, newline="") as given:
            for _ in csv.reader(given):
                pass
        with open(folder / "copy.jsonl", "wb") as copy:
            for line in lines:
                copy.write(line)

    begun = time.perf_counter()
    least = cpu(peer)
    clock = time.perf_counter() - begun
    return [
        {"work": "replay", "rows": rows, "verdicts": len(lines), "seconds": seconds,
         "verdicts a second": len(lines) / seconds},
        {"work": "replay --jobs 2, by the clock", "seconds": both, "verdicts a second": len(lines) / both},
        {"work": "csv.reader and writing", "seconds": least, "times its time": seconds / least,
         "with two processes, by the clock": both / clock},
    ]  # fmt: skip


def watch(folder: Path, count: int) -> list[dict[str, Any]]:
    rows, lines = folder / "events.csv", folder / "events.jsonl"
    events(rows, lines, count)
    found = []
    for name, source, peer in (("JSON lines", lines, _msgspec), ("CSV", rows, _duckdb)):
        seconds = txmon("watch", "--out", str(folder / "live.jsonl"), stdin=source)
        other = peer(source)
        found.append(
            {"work": f"watch, {name}", "events": count, "seconds": seconds, "events a second": count / seconds}
        )
        found.append({"work": peer.__name__.strip("_"), "seconds": other, "its share of txmon's time": other / seconds})
    return found


def _msgspec(source: Path) -> float:
    row = msgspec.defstruct("Row", [("time", str), ("status", str), ("merchant", str)])
    decode = msgspec.json.Decoder(row).decode
    given = source.read_bytes().splitlines()

    def peer() -> None:
        for line in given:
            decode(line)

    return cpu(peer)


def _duckdb(source: Path) -> float:
    connection = duckdb.connect()
    connection.execute("SET threads = 1")
    given = f"read_csv('{source}', types = {{'time': 'VARCHAR'}})"
    query = f"SELECT time[1:16] AS minute, status, count(*) FROM {given} GROUP BY ALL"
    return cpu(lambda: connection.execute(query).fetchall())


if __name__ == "__main__":
    given = arguments(__doc__, days=30, events=1_000_000)
    with tempfile.TemporaryDirectory() as made:
        tell([*replay(Path(made), given.days), *watch(Path(made), given.events)], given.json)

"""The pipeline from lines to verdict lines, beside what only reads the same lines: CPU seconds of whole processes.

python benchmarks/throughput.py [--days 30] [--events 1000000] [--json FILE]
"""

import csv
import random
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


def formats(folder: Path, count: int) -> list[dict[str, Any]]:
    """The same events in other formats and another order, beside sorted CSV."""
    rows, lines = folder / "events.csv", folder / "events.jsonl"
    events(rows, lines, count)
    header, *body = rows.read_bytes().splitlines(keepends=True)
    random.Random(7).shuffle(body)
    mixed, array, tight, parquet = (folder / n for n in ("mixed.csv", "array.json", "tight.json", "events.parquet"))
    mixed.write_bytes(header + b"".join(body))
    objects = lines.read_bytes().splitlines()
    array.write_bytes(b"[\n" + b",\n".join(objects) + b"\n]\n")
    tight.write_bytes(b"[" + b",".join(objects) + b"]")
    duckdb.sql(f"COPY (SELECT * FROM read_csv('{rows}')) TO '{parquet}' (FORMAT parquet)")
    found: list[dict[str, Any]] = []
    for name, source in (
        ("CSV", rows), ("CSV in no order", mixed), ("JSON lines", lines), ("JSON array, an object on each line", array),
        ("JSON array on one line", tight), ("Parquet", parquet),
    ):  # fmt: skip
        seconds = txmon("replay", str(source), "--jobs", "1", "--out", str(folder / "out.jsonl"))
        found.append(
            {"work": f"replay, {name}", "events": count, "seconds": seconds, "events a second": count / seconds}
        )
        found[-1]["of the speed of sorted CSV"] = found[0]["seconds"] / seconds
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
        work = Path(made)
        tell([*replay(work, given.days), *watch(work, given.events), *formats(work, given.events)], given.json)

"""`txmon replay` of a Parquet file of raw rows beside the same GROUP BY in DuckDB, by the clock and in processor time.

    .venv/bin/python benchmarks/columns.py [--rows 20000000] [--merchants 50] [--json FILE]

The file has a time, one of five statuses and a merchant in each row, over a day. Both start as new processes, and use
as many threads as there are processors. With keys, `txmon` also judges each merchant's series.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import duckdb
from common import arguments, tell

GROUPED = """
import duckdb, sys
by = ", ".join(["date_trunc('minute', time)", "status", *sys.argv[2:]])
print(len(duckdb.sql(f"SELECT {by}, count(*) FROM read_parquet('{sys.argv[1]}') GROUP BY ALL").fetchall()))
"""


def made(path: Path, rows: int, merchants: int) -> None:
    duckdb.sql(f"""COPY (
        SELECT TIMESTAMP '2026-03-02' + to_microseconds((n * 86400000000 // {rows})::BIGINT) AS time,
            CASE WHEN h < 900 THEN 'approved' WHEN h < 960 THEN 'denied' WHEN h < 985 THEN 'failed'
                WHEN h < 995 THEN 'reversed' ELSE 'refunded' END AS status,
            'm' || (hash(n * 7) % {merchants}) AS merchant
        FROM (SELECT range AS n, hash(range) % 1000 AS h FROM range({rows}))
    ) TO '{path}' (FORMAT parquet)""")


def spent(words: list[str]) -> tuple[float, float]:
    """Return seconds of processors and of the clock."""
    begun = time.perf_counter()
    process = subprocess.Popen([sys.executable, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{words} failed")
    return usage.ru_utime + usage.ru_stime, time.perf_counter() - begun


def main() -> None:
    given = arguments(__doc__, rows=20_000_000, merchants=50)
    found: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        path, out = Path(folder) / "rows.parquet", str(Path(folder) / "out.jsonl")
        made(path, given.rows, given.merchants)
        for name, keys, flags in (("all rows", [], []), ("by merchant", ["merchant"], ["--group-by", "merchant"])):
            peer, peer_clock = spent(["-c", GROUPED, str(path), *keys])
            own, own_clock = spent(["-m", "txmon", "replay", "-q", str(path), "--out", out, *flags])
            found.append({
                "work": f"replay of Parquet, {name}", "rows": given.rows, "processor seconds": own,
                "seconds": own_clock,
                "rows a processor second": given.rows / own, "rows a second": given.rows / own_clock,
                "DuckDB, processor seconds": peer, "DuckDB, seconds": peer_clock,
            })  # fmt: skip
    tell(found, given.json)


if __name__ == "__main__":
    main()

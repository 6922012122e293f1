"""Rows a second from a table of PostgreSQL, and the limit of the driver: python benchmarks/sql.py [ROWS].

It starts a server of its own from Debian's package. Seconds of processor time are shown besides, since they do not
depend on what else the machine does.
"""

import json
import os
import resource
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "helpers"))

from servers import Postgres, postgres

ROWS = 1_000_000
QUERY = "SELECT created_at, status FROM payments"
RESULTS = Path(__file__).parent / "results" / "sql.json"
BATCH = 5_000


def fill(server: Postgres, rows: int) -> None:
    """Make a day of single transactions, a third of them within the same second as another."""
    server.run("CREATE TABLE payments (id bigint, created_at timestamptz, status text, merchant text, amount numeric)")
    words = "ARRAY['approved', 'approved', 'approved', 'approved', 'denied', 'failed']"
    server.run(
        "INSERT INTO payments SELECT i, timestamptz '2026-03-02 00:00:00+00' + i * interval '86399 s' / "
        f"{rows}, ({words})[1 + i % 6], 'm' || i % 50, i % 1000 FROM generate_series(0, {rows - 1}) i"
    )
    server.run("CREATE INDEX ON payments (created_at)")
    server.run("ANALYZE payments")


def by_cursor(address: str, query: str) -> int:
    """Fetch all rows from a server-side cursor, and do nothing with them."""
    with psycopg.connect(address) as connection, connection.cursor("txmon") as cursor:
        cursor.execute(query)
        many = 0
        while rows := cursor.fetchmany(BATCH):
            many += len(rows)
        return many


def by_copy(address: str, query: str) -> int:
    """Copy all rows, and do nothing with them."""
    asked = f"COPY ({query}) TO STDOUT (FORMAT csv)"
    with psycopg.connect(address) as connection, connection.cursor() as cursor, cursor.copy(asked) as copy:
        return sum(1 for _ in copy)


def measured(name: str, run: Callable[[], int]) -> dict[str, Any]:
    """Run once; return rows a second by the wall clock, and rows a second of processor time here."""
    before = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    began = time.monotonic()
    rows = run()
    seconds = time.monotonic() - began
    after = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    work = sum(b.ru_utime + b.ru_stime - a.ru_utime - a.ru_stime for a, b in zip(before, after, strict=True))
    print(f"{name:44} {rows / seconds:10,.0f} rows/s {seconds:7.2f} s, {work:6.2f} s of processor time", flush=True)
    return {"rows_per_second": round(rows / seconds), "rows_per_cpu_second": round(rows / work)}


def main() -> None:
    """Measure, and write the results."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    txmon = str(Path(sysconfig.get_path("scripts")) / "txmon")
    with postgres() as server:
        fill(server, rows)
        address = f"{server.url.replace('txmon@', f'txmon:{server.PASSWORD}@')}?options=-c%20timezone%3DUTC"
        environment = {**os.environ, "TXMON_SQL_PASSWORD": server.PASSWORD}

        def replay() -> int:
            words = [txmon, "replay", "--sql", server.url, "--query", QUERY, "--out", os.devnull, "-q"]
            subprocess.run(words, check=True, env=environment, stderr=subprocess.DEVNULL)
            return rows

        ordered = f"{QUERY} ORDER BY created_at"
        found = {
            "rows": rows,
            "cursor": measured("driver: server-side cursor", lambda: by_cursor(address, ordered)),
            "copy": measured("driver: COPY ... TO STDOUT", lambda: by_copy(address, ordered)),
            "replay": measured("txmon replay --sql", replay),
        }
    RESULTS.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()

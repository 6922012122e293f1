"""Reads Parquet files as CSV lines: DuckDB reads the file and writes into a pipe."""

import os
import re
import threading
from collections.abc import Iterator
from typing import Final

from txmon.errors import BadData

BLOCK: Final = 1 << 18  # bytes


def blocks(source: str, path: str) -> Iterator[bytes]:
    """Yield the file's rows as blocks of CSV, the header first. Raise BadData if it cannot be read."""
    import duckdb

    here = re.sub(r"[*?\[]", r"[\g<0>]", os.path.abspath(path)).replace("'", "''")
    try:
        connection = duckdb.connect()
        described = connection.execute(f"DESCRIBE SELECT * FROM read_parquet('{here}')").fetchall()
    except duckdb.Error as bad:
        raise BadData(f"{source}: is a Parquet file that cannot be read ({str(bad).splitlines()[0][:120]})") from None
    columns = ", ".join(_column(str(name), str(kind)) for name, kind, *_ in described)
    reading, writing = os.pipe()
    failed: list[str] = []

    def write() -> None:
        try:
            connection.execute(
                f"COPY (SELECT {columns} FROM read_parquet('{here}')) TO '/dev/fd/{writing}' (FORMAT csv, HEADER)"
            )
        except duckdb.Error as bad:
            failed.append(str(bad).splitlines()[0][:120])
        finally:
            os.close(writing)

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    with open(reading, "rb", buffering=0) as pipe:
        while block := pipe.read(BLOCK):
            yield block
    writer.join()
    if failed:
        raise BadData(f"{source}: is a Parquet file that cannot be read ({failed[0]})")


def _column(name: str, kind: str) -> str:
    """Return a column as SQL. Times get the form that is read fastest, without fractions of a second."""
    quoted = '"' + name.replace('"', '""') + '"'
    if kind == "TIMESTAMP WITH TIME ZONE":
        return f"strftime({quoted} AT TIME ZONE 'UTC', '%Y-%m-%dT%H:%M:%SZ') AS {quoted}"
    if kind.startswith("TIMESTAMP"):
        return f"strftime({quoted}::TIMESTAMP, '%Y-%m-%d %H:%M:%S') AS {quoted}"
    return quoted

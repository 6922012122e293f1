"""Parquet and Arrow files: DuckDB reads their columns, as CSV lines or grouped by bucket, status and key."""

import os
import re
import tempfile
import threading
from collections.abc import Iterator
from typing import Final

from txmon.errors import BadData

BLOCK: Final = 1 << 18  # bytes
FIRST: Final = 1200  # rows that are read before the others: the reading is decided from them
MEMORY: Final = "4GB"  # beyond it, DuckDB uses the temporary folder
PARQUET: Final = "Parquet"
ZONED: Final = "TIMESTAMP WITH TIME ZONE"
ARROW: Final = "Arrow"
ARROW_TABLE: Final = "arrow_file"


class ColumnFile:
    """A file of columns, opened by DuckDB."""

    def __init__(self, source: str, path: str, kind: str) -> None:
        """source: its name in messages. kind: PARQUET or ARROW. BadData when it cannot be read."""
        import duckdb

        self._source = source
        self._kind = kind
        self._table: object = None  # what an Arrow file holds
        try:
            self.connection = duckdb.connect()
            self.connection.execute(f"SET memory_limit = '{MEMORY}'")
            self.connection.execute("SET temp_directory = ?", [tempfile.gettempdir()])
            self.connection.execute("SET TimeZone = 'UTC'")
            self.relation = self._parquet(path) if kind == PARQUET else self._arrow(path)
            described = self.connection.execute(f"DESCRIBE SELECT * FROM {self.relation}").fetchall()
        except duckdb.Error as bad:
            raise self.refusal(bad) from None
        self.columns = [(str(name), str(kind)) for name, kind, *_ in described]  # names and types of SQL

    def refusal(self, bad: Exception) -> BadData:
        """Return the error of a file that DuckDB cannot read."""
        article = "an" if self._kind == ARROW else "a"
        reason = (str(bad).splitlines() or [type(bad).__name__])[0][:120]
        return BadData(f"{self._source}: is {article} {self._kind} file that cannot be read ({reason})")

    def _parquet(self, path: str) -> str:
        here = re.sub(r"[*?\[]", r"[\g<0>]", os.path.abspath(path)).replace("'", "''")
        return f"read_parquet('{here}')"

    def _arrow(self, path: str) -> str:
        try:
            import pyarrow
            from pyarrow import ipc
        except ImportError:
            raise BadData(
                f"{self._source}: is an Arrow file, and pyarrow is not installed. "
                "Install it: pip install pyarrow. Or save the file as Parquet, CSV or JSON lines."
            ) from None
        try:
            table = ipc.open_file(pyarrow.memory_map(os.path.abspath(path))).read_all()
        except (pyarrow.ArrowException, OSError) as bad:
            raise self.refusal(bad) from None
        self._table = table
        self.connection.register(ARROW_TABLE, table)
        return ARROW_TABLE

    def blocks(self) -> Iterator[bytes]:
        """Yield the rows as blocks of CSV, the header first; all but the first rows are read only when asked for."""
        begun = 0
        for block in self._csv(f"LIMIT {FIRST}"):
            begun += len(block)
            yield block
        asked = f"SELECT count(*) FROM (SELECT 1 FROM {self.relation} LIMIT {FIRST + 1})"
        (more,) = self.connection.execute(asked).fetchall()[0]
        if more <= FIRST:
            return
        for block in self._csv(""):
            if begun >= len(block):
                begun -= len(block)
                continue
            yield block[begun:] if begun else block
            begun = 0

    def _csv(self, limit: str) -> Iterator[bytes]:
        import duckdb

        columns = ", ".join(as_text(name, kind) for name, kind in self.columns)
        cursor = self.connection.cursor()  # of its own: the reader may leave rows behind and ask for something else
        if self._table is not None:
            cursor.register(ARROW_TABLE, self._table)
        reading, writing = os.pipe()
        failed: list[str] = []

        def write() -> None:
            try:
                cursor.execute(
                    f"COPY (SELECT {columns} FROM {self.relation} {limit}) TO '/dev/fd/{writing}' (FORMAT csv, HEADER)"
                )
            except duckdb.Error as bad:
                failed.append(str(bad))
            finally:
                os.close(writing)

        writer = threading.Thread(target=write, daemon=True)
        writer.start()
        with open(reading, "rb", buffering=0) as pipe:
            while block := pipe.read(BLOCK):
                yield block
        writer.join()
        if failed:
            raise self.refusal(duckdb.Error(failed[0]))


def quoted(name: str) -> str:
    """Return the name of a column as SQL has it."""
    return '"' + name.replace('"', '""') + '"'


def as_text(name: str, kind: str) -> str:
    """Return a column as SQL; times in the form that is read fastest, without their fractions of a second."""
    column = quoted(name)
    if kind == ZONED:
        return f"strftime({column} AT TIME ZONE 'UTC', '%Y-%m-%dT%H:%M:%SZ') AS {column}"
    if kind.startswith("TIMESTAMP"):
        return f"strftime({column}::TIMESTAMP, '%Y-%m-%d %H:%M:%S') AS {column}"
    return column

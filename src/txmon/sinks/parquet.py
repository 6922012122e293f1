"""Writes verdicts and incidents to Parquet files, one folder per day and one file per hour, each row once.

DIR/verdicts/day=2026-03-02/14.parquet DIR/incidents/day=2026-03-02/14.parquet

A file is written completely and then replaces the previous one, so a reader never sees a partial file. Before an hour
is written again, the rows of its file are read. A run that is killed and repeated, and a line that revises another,
therefore leave one row. Times are in UTC.
"""

import fcntl
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from txmon.errors import ConfigError, IoFailure
from txmon.model.clock import iso
from txmon.model.outcome import Outcome
from txmon.sinks.rows import EVENT_PLACE, EVENTS, PARTIAL, VERDICT_PLACE, VERDICTS, Kind, Place, Row, Rows
from txmon.support.plurals import counted
from txmon.support.safe_open import check_link, open_file

if TYPE_CHECKING:
    import duckdb

PREFIX: Final = "parquet:"
EACH: Final = 60.0  # seconds after which a live run writes, unless writing the state requires it sooner
KEPT: Final = 3  # hours kept in memory, because late rows revise the newest ones
TYPES: Final[Mapping[Kind, str]] = {
    "time": "TIMESTAMPTZ", "text": "VARCHAR", "name": "VARCHAR", "whole": "BIGINT", "number": "DOUBLE",
    "flag": "BOOLEAN", "texts": "VARCHAR[]", "json": "JSON",
}  # fmt: skip

Hour = tuple[str, int]  # table, and the hour's start in epoch seconds


class ParquetFolder:
    """Keeps rows in Parquet files. Only one process may write to a folder at a time."""

    def __init__(self, folder: str, only_alerts: bool, say: Callable[[str], None] | None = None) -> None:
        """Open the folder. folder: created if missing.

        say: for a live run, which continues when a disk is full; receives a line.

        Raise IoFailure if the folder is not writable, ConfigError if another process writes to it.
        """
        self._folder = Path(folder)
        self._only_alerts = only_alerts
        self._say = say
        self._hours: dict[Hour, dict[Place, Row]] = {}
        self._dirty: set[Hour] = set()
        self._newest = 0  # hour, epoch seconds
        self._wrote = time.monotonic()
        self._database: duckdb.DuckDBPyConnection | None = None
        self._failing = ""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = open_file(str(self._folder / ".lock"), os.O_RDWR | os.O_CREAT, private=True)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(f"{folder}: another process writes to this folder. Name another one in --out.") from None
        except OSError as bad:
            raise IoFailure(f"{folder}: {bad.strerror}") from bad

    def accept(self, outcome: Outcome) -> None:
        """Add the outcome of one bucket. Raise IoFailure if a run that ends cannot write."""
        rows = Rows()
        rows.add(outcome, self._only_alerts)
        for place, row in rows.verdicts.items():
            self._put("verdicts", place, row, bool(row[PARTIAL]))
        for place, row in rows.events.items():
            self._put("incidents", place, row, False)
        hour = _hour(outcome.time)
        turned, self._newest = hour > self._newest > 0, max(hour, self._newest)
        if turned or (self._say is not None and time.monotonic() - self._wrote >= EACH):
            self.flush()

    def _put(self, table: str, place: Place, row: Row, early: bool) -> None:
        hour = (table, _hour(int(str(row[0]))))
        found = self._hours.get(hour)
        if found is None:
            found = self._hours[hour] = self._read(hour)
        before = found.get(place)
        if early and before is not None and not before[PARTIAL]:
            return
        if before != row:
            found[place] = row
            self._dirty.add(hour)

    def flush(self) -> bool:
        """Write each hour that has changed. Return whether everything is written.

        Raise IoFailure in a run that ends.
        """
        self._wrote = time.monotonic()
        try:
            for hour in sorted(self._dirty):
                self._write(hour)
                self._dirty.discard(hour)
        except IoFailure as bad:
            if self._say is None:
                raise
            if not self._failing:
                self._say(f"{bad}. txmon keeps the rows and tries again")
            self._failing = str(bad)
            return False
        if self._failing and self._say is not None:
            self._say(f"{self._folder}: writing works again")
            self._failing = ""
        oldest = self._newest - 3600 * KEPT
        for hour in [hour for hour in self._hours if hour[1] < oldest]:
            del self._hours[hour]
        return True

    @property
    def lost(self) -> int:
        """Return the number of rows that are in no file."""
        return sum(len(self._hours[hour]) for hour in self._dirty)

    def close(self) -> None:
        """Close the folder. Rows that `flush` did not write are lost."""
        if self._database is not None:
            self._database.close()
        os.close(self._lock)

    def summary(self) -> list[str]:
        """Return a line if rows could not be written."""
        if not self._dirty or self._say is None:
            return []
        return [f"{self._folder}: {counted(self.lost, 'row')} could not be written ({self._failing})"]

    # files

    def _path(self, hour: Hour) -> Path:
        moment = iso(hour[1])
        return self._folder / hour[0] / f"day={moment[:10]}" / f"{moment[11:13]}.parquet"

    def _base(self) -> "duckdb.DuckDBPyConnection":
        if self._database is None:
            import duckdb

            self._database = duckdb.connect(":memory:")
            self._database.execute("SET TimeZone = 'UTC'; SET threads = 1")
        return self._database

    def _read(self, hour: Hour) -> dict[Place, Row]:
        """Return the rows in the hour's file, or an empty dict if the file does not exist."""
        path = self._path(hour)
        if not path.exists():
            return {}
        import duckdb

        columns, place = _shape(hour[0])
        values = ", ".join(
            f'epoch("{name}")::BIGINT' if kind == "time" else f'"{name}"' for name, kind in columns.items()
        )
        try:
            rows = self._base().execute(f"SELECT {values} FROM read_parquet({_quoted(path)})").fetchall()
        except duckdb.Error as bad:
            raise IoFailure(f"{path}: {str(bad).splitlines()[0]}. Move the file away.") from None
        return {row[:place]: row for row in map(_row, rows)}

    def _write(self, hour: Hour) -> None:
        import duckdb
        import pandas

        columns, place = _shape(hour[0])
        rows = sorted(self._hours[hour].values(), key=lambda row: tuple(map(str, row[:place])))
        frame = pandas.DataFrame(
            {
                name: pandas.Series(_cells(kind, rows, n), dtype=_dtype(kind))
                for n, (name, kind) in enumerate(columns.items())
            }
        )
        values = ", ".join(
            f'to_timestamp("{name}") AS "{name}"' if kind == "time" else f'"{name}"::{TYPES[kind]} AS "{name}"'
            for name, kind in columns.items()
        )
        path = self._path(hour)
        part = path.with_name(f".{path.name}.tmp")
        base = self._base()
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            check_link(str(path))
            part.unlink(missing_ok=True)  # left by a killed run
            base.register("txmon_rows", frame)
            base.execute(
                f"COPY (SELECT {values} FROM txmon_rows) TO {_quoted(part)} (FORMAT parquet, COMPRESSION zstd)"
            )
            with part.open("rb") as written:
                os.fsync(written.fileno())
            part.replace(path)
        except OSError as bad:
            raise IoFailure(f"{path}: {bad.strerror}") from bad
        except duckdb.Error as bad:
            raise IoFailure(f"{path}: {str(bad).splitlines()[0]}") from None
        finally:
            base.unregister("txmon_rows")


def _hour(moment: int) -> int:
    return moment - moment % 3600


def _shape(table: str) -> tuple[Mapping[str, Kind], int]:
    return (VERDICTS, VERDICT_PLACE) if table == "verdicts" else (EVENTS, EVENT_PLACE)


def _row(values: Sequence[Any]) -> Row:
    return tuple([tuple(value) if isinstance(value, list) else value for value in values])


def _cells(kind: Kind, rows: Sequence[Row], place: int) -> list[Any]:
    if kind == "texts":
        return [list(value) if isinstance(value, tuple) else value for value in [row[place] for row in rows]]
    return [row[place] for row in rows]


def _dtype(kind: Kind) -> str:
    """Return the pandas type of a column, among the types that allow missing values."""
    return {"time": "Int64", "whole": "Int64", "number": "Float64", "flag": "boolean"}.get(kind, "object")


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"

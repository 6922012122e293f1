"""Creates the sinks for `--out sql:URL/TABLE` and `--out parquet:DIR`."""

import os
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final

from txmon.errors import ConfigError, UsageError
from txmon.model.outcome import Outcome
from txmon.support.plurals import counted

if TYPE_CHECKING:
    from txmon.sinks import parquet, sql

SQL: Final = "sql:"
PARQUET: Final = "parquet:"
LEFT: Final = "out:"  # in a state: the unwritten rows
Say = Callable[[str], None]


def is_table(out: str | None) -> bool:
    """Return whether an --out names tables or Parquet files rather than a file of lines."""
    return out is not None and out.startswith((SQL, PARQUET))


def file_written(out: str | None) -> str | None:
    """Return the file or folder that an --out writes to, or None for a server."""
    if out is None or not is_table(out):
        return out
    if out.startswith(PARQUET):
        return out.removeprefix(PARQUET)
    from txmon.support.sql_address import file_of

    return file_of(out.removeprefix(SQL).rpartition("/")[0])


class TableOut:
    """The sink of one run. It is closed when `stack` closes."""

    def __init__(self, out: str, only_alerts: bool, live: bool, stack: ExitStack, say: Say) -> None:
        """Create it. say: receives a line. Raise UsageError, ConfigError or IoFailure if `out` is not writable."""
        self._say = say
        self._kept = False
        self._sql: sql.LiveSqlVerdicts | None = None
        self._parquet: parquet.ParquetFolder | None = None
        self.accept: Callable[[Outcome], None]
        stack.callback(self._tell_lost)  # after everything is closed
        if out.startswith(PARQUET):
            self._write_files(out.removeprefix(PARQUET), only_alerts, live, stack)
        else:
            self._write_rows(out, only_alerts, live, stack)

    def _write_files(self, folder: str, only_alerts: bool, live: bool, stack: ExitStack) -> None:
        from txmon.sinks.parquet import ParquetFolder

        if not folder:
            raise UsageError("--out parquet: names no folder. Use for example parquet:verdicts.")
        self._parquet = ParquetFolder(folder, only_alerts, self._say if live else None)
        stack.callback(self._parquet.close)
        stack.callback(self._parquet.flush)
        self.accept = self._parquet.accept

    def _write_rows(self, out: str, only_alerts: bool, live: bool, stack: ExitStack) -> None:
        from txmon.sinks.sql import LiveSqlVerdicts, SqlVerdicts, VerdictTable, place_of

        table = VerdictTable(*place_of(out), os.environ.get("TXMON_OUT_PASSWORD"))
        if live:
            self._sql = LiveSqlVerdicts(table, only_alerts, self._say)
            stack.callback(self._end)
            self.accept = self._sql.accept
            return
        whole = SqlVerdicts(table, only_alerts)
        stack.callback(whole.close)
        stack.callback(whole.flush)
        self.accept = whole.accept

    def _end(self) -> None:
        assert self._sql is not None
        self._sql.close(self._kept)

    @property
    def lost(self) -> int:
        """Return the number of rows that could neither be written nor kept in a state."""
        if self._parquet is not None:
            return self._parquet.lost
        return 0 if self._sql is None else self._sql.lost

    def _tell_lost(self) -> None:
        part = self._parquet or self._sql
        for line in [] if part is None else part.summary():
            self._say(line)

    def positions(self) -> dict[str, Any]:
        """Return data for the state. Rows for files are written first."""
        if self._parquet is not None:
            self._parquet.flush()
        if self._sql is None:
            return {}
        return {LEFT: {"name": self._sql.name, "rows": self._sql.left()}}

    def keep(self, kept: bool) -> None:
        """Note whether a state contains the newest `positions`."""
        self._kept = kept

    def restore(self, found: Any, state: str) -> None:
        """Restore what `positions` returned. Raise ConfigError if it is not valid."""
        if self._sql is None:
            return
        try:
            name, rows = found["name"], found["rows"]
            many = sum(map(len, rows))
            if name == self._sql.name:
                self._sql.take_back(rows)
            elif many:
                self._say(f"{counted(many, 'row')} of the run before were not written to {name}, and are dropped")
        except (KeyError, TypeError, ValueError) as bad:
            raise ConfigError(f"{state}: the waiting rows in it are damaged ({bad!r})") from bad

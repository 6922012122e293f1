"""Writes verdicts and incidents to tables of a SQL database, each row once.

With `sql:URL/TABLE`, verdicts are in TABLE and incidents in TABLE_incidents. txmon creates both, and upgrades tables
of an older version. The table `txmon_migrations` records their versions.
"""

import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final

from txmon.errors import ConfigError, IoFailure, TxmonError, UsageError
from txmon.model.clock import iso
from txmon.model.outcome import Outcome
from txmon.sinks.rows import EVENT_PLACE, EVENTS, PARTIAL, VERDICT_PLACE, VERDICTS, Kind, Row, Rows, packed, unpacked
from txmon.support.plurals import counted
from txmon.support.sql_address import SqlEngine, has_password, hidden, reason

PREFIX: Final = "sql:"
FORM: Final = "Use for example sql:postgresql://user@host/database/verdicts or sql:sqlite:////path/to/file.db/verdicts."
TABLE: Final = re.compile(r"(?:[A-Za-z_]\w{0,47}\.)?[A-Za-z_]\w{0,47}", re.ASCII)
MIGRATIONS: Final = "txmon_migrations"
BATCH: Final = 5_000  # rows written at a time
MOST: Final = 50_000  # rows kept while the database is away
LAST: Final = 10.0  # seconds allowed for writing rows at the end of a live run
FIRST_WAIT: Final = 1.0  # seconds before the first retry; doubled each time
LONGEST_WAIT: Final = 60.0


def place_of(out: str) -> tuple[str, str]:
    """Return the address and the table of `sql:URL/TABLE`. Raise UsageError for another text."""
    address, _, table = out.removeprefix(PREFIX).rpartition("/")
    if "://" not in address or not TABLE.fullmatch(table):
        raise UsageError(f"--out {hidden(out)!r} is not sql:URL/TABLE. {FORM}")
    if has_password(address):
        raise UsageError(
            f"--out {hidden(out)!r} must not contain a password, because other users see it in the process list."
            " Set TXMON_OUT_PASSWORD."
        )
    return address, table


class VerdictTable:
    """The verdict table and the incident table of one name in one database."""

    def __init__(self, address: str, table: str, password: str | None) -> None:
        """Create it without connecting. Raise ConfigError for an unusable address."""
        found = SqlEngine("--out", address, password, {})
        if not found.database or found.database == ":memory:":
            raise ConfigError(f"--out: {found.name} names no database. {FORM}")
        self.name = f"{found.name}/{table}"
        self.kind = found.kind
        self._engine = found.engine
        schema, _, self._table = table.rpartition(".")
        self._schema = schema or None
        self._connection: Any = None
        self._statements: list[tuple[Any, Any]] = []

    def open(self) -> None:
        """Connect, and create or upgrade the tables. Raise IoFailure, or ConfigError if the tables are not txmon's."""
        from sqlalchemy.exc import SQLAlchemyError

        try:
            self._connect()
            self._migrate()
            if not self._statements:
                self._statements = [self._inserts(self._verdicts()), self._inserts(self._events())]
        except SQLAlchemyError as bad:
            self.close()
            raise IoFailure(f"{self.name}: {reason(bad)}") from None
        finally:
            if self.kind == "duckdb":  # a process that has a duckdb file open locks out all others
                self.close()

    def try_to_connect(self) -> None:
        """Connect and disconnect. Raise IoFailure if that fails."""
        from sqlalchemy.exc import SQLAlchemyError

        try:
            self._connect()
        except SQLAlchemyError as bad:
            raise IoFailure(f"{self.name}: {reason(bad)}") from None
        finally:
            self.close()

    def write(self, rows: Rows) -> None:
        """Write all of `rows` or nothing. Raise IoFailure if that fails."""
        from sqlalchemy.exc import SQLAlchemyError

        try:
            self._connect()
            with self._connection.begin():
                verdicts = list(rows.verdicts.values())
                self._put(0, [row for row in verdicts if row[PARTIAL]], VERDICTS, early=True)
                self._put(0, [row for row in verdicts if not row[PARTIAL]], VERDICTS)
                self._put(1, list(rows.events.values()), EVENTS)
        except SQLAlchemyError as bad:
            self.close()
            raise IoFailure(f"{self.name}: {reason(bad)}") from None
        finally:
            if self.kind == "duckdb":
                self.close()

    def close(self) -> None:
        """Close the connection if there is one."""
        if self._connection is not None:
            with suppress(Exception):  # closing a broken connection can fail
                self._connection.close()
        self._connection = None

    def _connect(self) -> None:
        if self._connection is None:
            self._connection = self._engine.connect()

    def _put(self, number: int, rows: Sequence[Row], columns: Mapping[str, Kind], early: bool = False) -> None:
        if not rows:
            return
        kinds, names = list(columns.values()), list(columns)
        values = [dict(zip(names, map(self._value, kinds, row), strict=True)) for row in rows]
        if self.kind == "duckdb":
            self._put_frame(number, values, early)
        else:
            self._connection.execute(self._statements[number][early], values)

    def _put_frame(self, number: int, values: list[dict[str, Any]], early: bool) -> None:
        """Insert through a data frame, because duckdb inserts single rows a thousand times slower."""
        import duckdb
        import pandas

        raw = self._connection.connection.driver_connection
        table = (self._verdicts, self._events)[number]()
        names = ", ".join(f'"{column.name}"' for column in table.columns)
        place = ", ".join(f'"{column.name}"' for column in table.primary_key.columns)
        changed = ", ".join(f'"{c.name}" = excluded."{c.name}"' for c in table.columns if not c.primary_key)
        action = "NOTHING" if early else f"UPDATE SET {changed}"
        full = ".".join(f'"{part}"' for part in (self._schema, table.name) if part)
        statement = f"INSERT INTO {full} ({names}) SELECT {names} FROM txmon_rows ON CONFLICT ({place}) DO {action}"
        try:
            raw.register("txmon_rows", pandas.DataFrame(values))
            raw.execute(statement)
            raw.unregister("txmon_rows")
        except duckdb.Error as bad:
            raise IoFailure(f"{self.name}: {reason(bad)}") from None

    def _value(self, kind: Kind, value: Any) -> Any:
        if value is None:
            return None
        if kind == "time":
            if self.kind == "sqlite":
                return iso(value)
            moment = datetime.fromtimestamp(value, UTC)
            return moment.replace(tzinfo=None) if self.kind in ("mysql", "mariadb") else moment
        return ",".join(value) if kind == "texts" else value

    # the tables and their migrations

    def _verdicts(self) -> Any:
        return self._described(self._table, VERDICTS, VERDICT_PLACE)

    def _events(self) -> Any:
        return self._described(f"{self._table}_incidents", EVENTS, EVENT_PLACE)

    def _described(self, name: str, columns: Mapping[str, Kind], place: int) -> Any:
        import sqlalchemy as sql

        mysql = ("mysql", "mariadb")
        types: Mapping[Kind, Any] = {
            "time": sql.Text() if self.kind == "sqlite" else sql.DateTime(timezone=True),
            # an index of these servers has at most 3,072 bytes
            "name": sql.Text().with_variant(sql.String(700 // (place - 1), collation="utf8mb4_bin"), *mysql),
            "text": sql.Text(), "texts": sql.Text(), "json": sql.Text(), "whole": sql.BigInteger(),
            "number": sql.Double(), "flag": sql.Boolean(),
        }  # fmt: skip
        made = [
            sql.Column(column, types[kind], primary_key=n < place, nullable=n >= place)
            for n, (column, kind) in enumerate(columns.items())
        ]
        return sql.Table(name, sql.MetaData(), *made, schema=self._schema, mysql_charset="utf8mb4")

    def _inserts(self, table: Any) -> tuple[Any, Any]:
        """Return the statement that inserts or replaces a row, and the one that inserts it only if it is missing."""
        import sqlalchemy as sql
        from sqlalchemy.dialects import mysql, postgresql, sqlite

        others = [column.name for column in table.columns if not column.primary_key]
        if self.kind in ("mysql", "mariadb"):
            statement = mysql.insert(table)
            return (
                statement.on_duplicate_key_update({name: statement.inserted[name] for name in others}),
                sql.insert(table).prefix_with("IGNORE"),
            )
        insert = sqlite.insert if self.kind == "sqlite" else postgresql.insert
        statement = insert(table)
        place = list(table.primary_key.columns)
        return (
            statement.on_conflict_do_update(
                index_elements=place, set_={name: statement.excluded[name] for name in others}
            ),
            statement.on_conflict_do_nothing(index_elements=place),
        )

    def _migrate(self) -> None:
        """Upgrade the tables to the newest version. Two processes may do so at the same time."""
        import warnings

        from sqlalchemy.exc import SQLAlchemyError

        warnings.filterwarnings("ignore", message="duckdb-engine doesn't yet support reflection")
        try:
            self._migrate_once()
        except SQLAlchemyError:
            self._connection.rollback()
            time.sleep(0.2)  # another process was faster
            self._migrate_once()

    def _migrate_once(self) -> None:
        import sqlalchemy as sql

        connection = self._connection
        noted = sql.Table(
            MIGRATIONS, sql.MetaData(), sql.Column("name", sql.String(200), primary_key=True),
            sql.Column("version", sql.Integer()), schema=self._schema,
        )  # fmt: skip
        look = sql.inspect(connection)
        version = None
        if look.has_table(MIGRATIONS, schema=self._schema):
            version = connection.execute(sql.select(noted.c.version).where(noted.c.name == self._table)).scalar()
        steps = (self._create, self._index)
        if version is None and look.has_table(self._table, schema=self._schema):
            raise ConfigError(f"{self.name}: this table is not one that txmon created. Name another table in --out.")
        if version is not None and version > len(steps):
            raise ConfigError(f"{self.name}: a newer txmon wrote it (version {version}). Install that one.")
        connection.rollback()
        if version == len(steps):
            return
        if version is None:  # first, because some servers keep a table after its transaction failed
            with connection.begin():
                noted.create(connection, checkfirst=True)
                connection.execute(noted.insert().values(name=self._table, version=0))
        for number, step in enumerate(steps[version or 0 :], (version or 0) + 1):
            with connection.begin():
                step()
                connection.execute(noted.update().where(noted.c.name == self._table).values(version=number))

    def _create(self) -> None:
        """Create the tables (version 1)."""
        for table in (self._verdicts(), self._events()):
            table.create(self._connection, checkfirst=True)

    def _index(self) -> None:
        """Create the index for reading one series over time (version 2)."""
        import sqlalchemy as sql

        table = self._verdicts()
        sql.Index(f"{self._table}_by_status", table.c.status, table.c.time).create(self._connection, checkfirst=True)


class SqlVerdicts:
    """Writes rows of a run that ends, in batches. A database failure ends the run."""

    def __init__(self, table: VerdictTable, only_alerts: bool) -> None:
        """Open the table. Raise IoFailure or ConfigError."""
        self._table = table
        self._only_alerts = only_alerts
        self._rows = Rows()
        table.open()

    def accept(self, outcome: Outcome) -> None:
        """Add the outcome of one bucket. Raise IoFailure if rows cannot be written."""
        self._rows.add(outcome, self._only_alerts)
        if len(self._rows) >= BATCH:
            self.flush()

    def flush(self) -> None:
        """Write the waiting rows. Raise IoFailure if that fails."""
        if len(self._rows):
            self._table.write(self._rows)
            self._rows = Rows()

    def close(self) -> None:
        """Close the connection."""
        self._table.close()


class LiveSqlVerdicts:
    """Writes rows of a live run in a thread, so that a slow or unreachable database does not delay detection.

    Unwritten rows are part of the state. Without a state, or beyond MOST rows, they are lost and counted.
    """

    def __init__(self, table: VerdictTable, only_alerts: bool, say: Callable[[str], None]) -> None:
        """Create it. say: receives a line, from another thread, when writing begins to fail and when it works again.

        Raise ConfigError if the tables are not txmon's. If the database is away, writing is retried.
        """
        self._table = table
        self.name = table.name
        self._only_alerts = only_alerts
        self._say = say
        self.lost = 0  # rows
        self._rows = Rows()
        self._changed = threading.Condition()
        self._ending = False
        self._opened = False
        self._failing = ""
        self._open_now()
        self._thread = threading.Thread(target=self._work, name="txmon-sql-out", daemon=True)
        self._thread.start()

    def accept(self, outcome: Outcome) -> None:
        """Add the outcome of one bucket."""
        with self._changed:
            self._rows.add(outcome, self._only_alerts)
            self.lost += self._rows.drop_oldest(MOST)
            self._changed.notify()

    def left(self) -> list[list[list[object]]]:
        """Return the unwritten rows as values that JSON can represent."""
        with self._changed:
            return packed(self._rows)

    def take_back(self, found: Sequence[Sequence[Sequence[object]]]) -> None:
        """Restore the rows that `left` returned. Raise TypeError or ValueError if they are not valid."""
        rows = unpacked(found)
        with self._changed:
            self._rows = rows
            self._changed.notify()

    def close(self, kept: bool = False) -> None:
        """Write the remaining rows, for a limited time. kept: the state contains them, so none are lost."""
        with self._changed:
            self._ending = True
            self._changed.notify()
        self._thread.join(0.5 if kept and self._failing else LAST)
        with self._changed:
            if not kept:
                self.lost += len(self._rows)

    def summary(self) -> list[str]:
        """Return a line if rows were lost."""
        if not self.lost:
            return []
        return [f"{self._table.name}: {counted(self.lost, 'row')} could not be written ({self._failing or 'too many'})"]

    def _open_now(self) -> None:
        try:
            self._table.open()
            self._opened = True
        except IoFailure as bad:
            self._fail(str(bad))

    def _fail(self, text: str) -> None:
        if not self._failing:
            self._say(f"{text}. txmon keeps the rows and tries again")
        self._failing = text

    def _work(self) -> None:
        wait = FIRST_WAIT
        while True:
            with self._changed:
                while not len(self._rows) and not self._ending:
                    self._changed.wait()
                if not len(self._rows):
                    break
                batch = self._rows.first(BATCH)
            try:
                if not self._opened:
                    self._table.open()
                    self._opened = True
                self._table.write(batch)
            except Exception as bad:  # the thread must not end, because no other would write
                known = isinstance(bad, TxmonError)
                self._fail(str(bad) if known else f"{self._table.name}: unexpected {type(bad).__name__}: {reason(bad)}")
                with self._changed:
                    if self._ending:
                        break
                    self._changed.wait_for(lambda: self._ending, wait)
                wait = min(LONGEST_WAIT, 2 * wait)
                continue
            if self._failing:
                self._say(f"{self._table.name}: writing works again")
                self._failing, wait = "", FIRST_WAIT
            with self._changed:
                self._rows.drop(batch)
        self._table.close()

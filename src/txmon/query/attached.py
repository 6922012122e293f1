"""Makes a SQL database available next to the files of a query: its tables are in the schema `db`, read-only.

duckdb attaches its own files directly. For other databases duckdb would have to download an extension. Instead txmon
reads them with the reader of `--sql`. It copies each table that the SQL names before the SQL runs.
"""

from collections.abc import Iterator, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from txmon.errors import IoFailure, UsageError
from txmon.ingest.sql import Database as Source
from txmon.ingest.sql import SqlQuery
from txmon.query.load import literal, quoted
from txmon.support.sql_address import file_of, reason
from txmon.support.suggest import nearest

if TYPE_CHECKING:
    import duckdb

SCHEMA: Final = "db"
BATCH: Final = 50_000  # rows inserted at a time
TYPES: Final[dict[type, str]] = {
    bool: "BOOLEAN", int: "BIGINT", float: "DOUBLE", Decimal: "DOUBLE", date: "DATE", time: "TIME",
}  # fmt: skip


class Attached:
    """A database whose tables are copied when a query names them."""

    def __init__(self, query: SqlQuery, connection: "duckdb.DuckDBPyConnection") -> None:
        """Connect. query: its address and password are used. Raise ConfigError or IoFailure if that fails."""
        self._connection = connection
        self._source = Source(query)
        self._is_duckdb = self._source.kind == "duckdb"
        self._names: list[str] = []
        if self._is_duckdb:
            import duckdb

            path = file_of(query.address) or ":memory:"
            try:
                connection.execute(f"ATTACH {literal(path)} AS {SCHEMA} (READ_ONLY)")
            except duckdb.Error as bad:
                raise IoFailure(f"{self._source.name}: {str(bad).splitlines()[0]}") from None
            return
        connection.execute(f"CREATE SCHEMA {SCHEMA}")
        self._names = self._all_names()

    def load(self, sql: str | None) -> None:
        """Copy the tables that `sql` names as db.TABLE, or all of them without SQL. Raise UsageError or IoFailure."""
        if self._is_duckdb:
            return
        wanted = self._names if sql is None else self._named(sql)
        for name in wanted:
            if name not in self._names:
                raise UsageError(
                    f"{self._source.name} has no table {name!r}{nearest(name, self._names) or '.'}"
                    f" It has: {', '.join(self._names[:20]) or 'none'}."
                )
            self._copy(name)
        self._source.close()

    def _named(self, sql: str) -> Sequence[str]:
        import json

        (found,) = self._connection.execute("SELECT json_serialize_sql(?)", [sql]).fetchone() or ("{}",)
        tree = json.loads(str(found))
        # only a SELECT has a tree; running any other statement gives the error
        return sorted(set(_tables(tree))) if not tree.get("error") else ()

    def _all_names(self) -> list[str]:
        import sqlalchemy
        from sqlalchemy.exc import SQLAlchemyError

        try:
            with self._source.connection() as connection:
                look = sqlalchemy.inspect(connection)
                return sorted([*look.get_table_names(), *look.get_view_names()])
        except SQLAlchemyError as bad:
            raise IoFailure(f"{self._source.name}: {reason(bad)}") from None

    def _copy(self, name: str) -> None:
        import duckdb
        import pandas

        mark = "`" if self._source.kind in ("mysql", "mariadb") else '"'
        columns, rows = self._source.select(f"SELECT * FROM {mark}{name.replace(mark, mark * 2)}{mark}", {})
        target = f"{SCHEMA}.{quoted(name)}"
        kinds = self._kinds(name)
        described = ", ".join(f"{quoted(column)} {kinds.get(column, 'VARCHAR')}" for column in columns)
        self._connection.execute(f"CREATE TABLE {target} ({described})")
        values = ", ".join(f"CAST({quoted(column)} AS {kinds.get(column, 'VARCHAR')})" for column in columns)
        texts = [kinds.get(column, "VARCHAR") == "VARCHAR" for column in columns]
        while batch := list(islice(rows, BATCH)):
            plain = [[_plain(value, text) for value, text in zip(row, texts, strict=True)] for row in batch]
            frame = pandas.DataFrame(plain, columns=columns, dtype=object)
            self._connection.register("txmon_rows", frame)
            try:
                self._connection.execute(f"INSERT INTO {target} SELECT {values} FROM txmon_rows")
            except duckdb.Error as bad:
                raise UsageError(f"{self._source.name}: {name}: {str(bad).splitlines()[0]}") from None
            finally:
                self._connection.unregister("txmon_rows")

    def _kinds(self, name: str) -> dict[str, str]:
        """Return duckdb's types of the columns; text for a column of unknown type."""
        import sqlalchemy
        from sqlalchemy.exc import SQLAlchemyError

        try:
            with self._source.connection() as connection:
                columns = sqlalchemy.inspect(connection).get_columns(name)
        except SQLAlchemyError as bad:
            raise IoFailure(f"{self._source.name}: {reason(bad)}") from None
        return {column["name"]: _type_of(column["type"]) for column in columns}


def _type_of(kind: Any) -> str:
    """Return duckdb's type for one of SQLAlchemy's; text if there is no counterpart."""
    try:
        found = kind.python_type
    except NotImplementedError:
        return "VARCHAR"
    if found is datetime:
        return "TIMESTAMPTZ" if getattr(kind, "timezone", False) else "TIMESTAMP"
    return TYPES.get(found, "VARCHAR")


def _tables(tree: Any) -> Iterator[str]:
    """Yield the tables of the schema `db` in a parsed statement."""
    if isinstance(tree, dict):
        if tree.get("type") == "BASE_TABLE" and SCHEMA in (tree.get("schema_name"), tree.get("catalog_name")):
            yield str(tree["table_name"])
        tree = list(tree.values())
    if isinstance(tree, list):
        for part in tree:
            yield from _tables(part)


def _plain(value: Any, text: bool) -> Any:
    return str(value) if text and value is not None else value

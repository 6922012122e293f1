"""Runs SQL over files, in duckdb in memory. The files are loaded first, then the connection is locked.

All files are read before the user's first statement runs. From then on, the connection can neither read nor write
files, load no extension and use no network. These settings cannot be changed back.
"""

import os
import re
import secrets
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import partial
from importlib.resources import files as package_files
from pathlib import Path
from shutil import rmtree
from threading import Thread
from typing import TYPE_CHECKING, Final, TypeVar

from txmon.errors import BadData, IoFailure, TxmonError, UsageError
from txmon.ingest.asked import AskedSource
from txmon.ingest.checkouts import Checkouts, read_checkouts
from txmon.ingest.formats.opened import OpenedSource
from txmon.ingest.reading import Hints, Reading
from txmon.ingest.sql import SqlQuery, SqlRows
from txmon.query.attached import Attached
from txmon.query.files import QueryFile, expand, look, table_of
from txmon.query.load import Loader, Rejected, literal, parquet_columns, quoted
from txmon.query.normal import is_equal, write_plain
from txmon.support.plurals import counted
from txmon.support.safe_open import create_bytes
from txmon.support.suggest import nearest

if TYPE_CHECKING:
    import duckdb

T = TypeVar("T")
STATUSES: Final = ("approved", "denied", "failed", "reversed", "backend_reversed", "processing", "refunded")
MOST_STATUSES: Final = 50  # columns of per_minute; with more statuses, use the table `transactions`
FILLED: Final = 400  # days; over a longer span, minutes without transactions have no row
ZONED: Final = "TIMESTAMP WITH TIME ZONE"
RETRIES: Final = 4  # of reading a folder whose files change while they are read
CHANGES: Final = ("DROP", "DELETE", "UPDATE", "INSERT", "ALTER", "TRUNCATE")
BATCH: Final = 2000  # rows fetched at a time


@dataclass(frozen=True, slots=True)
class TableInfo:
    """A table or view, for the list of tables."""

    name: str
    rows: int
    columns: tuple[tuple[str, str], ...]  # name, type


class Result:
    """The rows of a statement. Columns and types are known at once, and rows are fetched when they are needed."""

    def __init__(self, connection: "duckdb.DuckDBPyConnection") -> None:
        self._connection = connection
        description = connection.description or []
        self.columns = tuple(str(column[0]) for column in description)
        self.types = tuple(str(column[1]) for column in description)

    def __iter__(self) -> Iterator[tuple[object, ...]]:
        """Yield rows in order. Raise BadData if the statement fails while it runs."""
        while True:
            with _Explained():
                rows = _interruptible(lambda: self._connection.fetchmany(BATCH))
            if not rows:
                return
            yield from rows


class Database:
    """The files of one `txmon query`, as tables."""

    def __init__(
        self,
        paths: Sequence[str],
        hints: Hints | None = None,
        beside: SqlQuery | None = None,
        sql: str | None = None,
        say: Callable[[Reading], None] = lambda reading: None,
    ) -> None:
        """Read `paths` (files, or folders of logs) and lock the connection.

        hints: the settings for reading. Their date, or today, is the date of times without one. beside: a database
        whose tables are available as db.TABLE; its query, if it has one, provides transactions. sql: the statements
        that will run; None for a list of the tables. say: receives the reading of each file of transactions. Raise
        NoInput or BadData for a file that cannot be read, UsageError for files that cannot be read together, IoFailure
        for a database that does not answer.
        """
        import duckdb

        hints = hints or Hints()
        self._connection = duckdb.connect(":memory:")
        execute = self._connection.execute
        # without these settings, a statement could read Python's variables, or spill to a folder that it creates
        execute("SET python_enable_replacements=false; SET temp_directory=''; SET autoinstall_known_extensions=false")
        execute(f"SET TimeZone={literal(hints.tz)}")
        first = hints.date or datetime.now(UTC).date()
        self._say = say
        loader = Loader(self._connection, hints.options.mapping, first)
        with ExitStack() as stack:
            files = [self._read(path, hints, first, loader, stack) for path in expand(paths)]
            if beside is not None and beside.text:
                answer = AskedSource(SqlRows(beside), hints)
                say(answer.reading)
                files.append(self._plain(answer, answer.name, hints, first, loader, stack))
            with _Explained():
                self._load(loader, files)
                if beside is not None:
                    Attached(beside, self._connection).load(sql)
                execute("DROP TABLE IF EXISTS lines")
        self.rejected: Sequence[Rejected] = loader.rejected
        # the only path that can be written: its name is random, and it exists only while a result is written
        self._out = _scratch_folder() / f"txmon-query-{secrets.token_hex(16)}" / "result.parquet"
        execute(f"SET allowed_paths=[{literal(str(self._out))}]")
        execute("SET enable_external_access=false; SET lock_configuration=true")

    def close(self) -> None:
        """Close the connection and drop all tables."""
        self._connection.close()

    def run(self, sql: str) -> Result:
        """Return the rows of the last statement in `sql`. Raise UsageError with duckdb's reason if one fails."""
        with _Explained():
            statements = self._connection.extract_statements(sql)
            if not statements:
                raise UsageError("the SQL contains no statement")
            for statement in statements:
                _refuse_changes(statement.type.name)
                _interruptible(partial(self._connection.execute, statement))
            result = Result(self._connection)
            if ZONED in result.types:  # duckdb's Python client returns such times only if pytz is installed
                names = zip(map(quoted, result.columns), result.types, strict=True)
                chosen = [f"{name} AT TIME ZONE 'UTC' AS {name}" if kind == ZONED else name for name, kind in names]
                again = f"SELECT {', '.join(chosen)} FROM ({statements[-1].query.rstrip('; ')})"
                _interruptible(partial(self._connection.execute, again))
                result = Result(self._connection)
        return result

    def write_parquet(self, sql: str, path: str) -> None:
        """Write the rows of `sql`, one SELECT, as a Parquet file.

        Raise UsageError if it fails, IoFailure for the file.
        """
        try:
            self._out.parent.mkdir(mode=0o700)
            with _Explained():
                rows = self._connection.sql(sql)
                _interruptible(lambda: rows.write_parquet(str(self._out)))
            # duckdb may write only to that folder, so a statement cannot reach the user's file
            with create_bytes(path) as file:
                file.write(self._out.read_bytes())
        except OSError as bad:
            raise IoFailure(f"{path}: {bad.strerror}") from bad
        finally:
            rmtree(self._out.parent, ignore_errors=True)

    def tables(self) -> list[TableInfo]:
        """Return the tables and views that a query can select from."""
        names = self._connection.execute(
            "SELECT table_catalog, table_schema, table_name FROM information_schema.tables"
            " WHERE table_schema = 'main' OR table_catalog = 'db' OR table_schema = 'db' ORDER BY 1, 2, 3"
        ).fetchall()
        return [self._info(str(name), *self._place(str(base), str(schema))) for base, schema, name in names]

    @staticmethod
    def _place(base: str, schema: str) -> tuple[str, ...]:
        """Return the prefix of a table's name; it is empty for tables of files."""
        if base == "db" and schema != "main":
            return (base, schema)
        return ("db",) if "db" in (base, schema) else ()

    def check(self) -> None:
        """Raise BadData if no row of the transactions could be read, or if more rows were left out than read."""
        left = sum(bad.count for bad in self.rejected)
        tables = [table for table in self.tables() if table.name not in ("per_minute", "per_hour")]
        read = sum(table.rows for table in tables)
        nothing = any(table.name == "transactions" and not table.rows for table in tables)
        if left <= read and not nothing:
            return
        if not left:
            raise BadData("no record could be read, because no line follows the header")
        worst = max(self.rejected, key=lambda bad: bad.count)
        some = (
            "no record could be read" if not read else f"only {read} of {counted(read + left, 'record')} could be read"
        )
        raise BadData(
            f"{worst.path}: {some}: {worst.reason}. Use --map FIELD=COLUMN to name the columns; `txmon replay` shows an"
            " example of each kind of bad record."
        )

    def _info(self, name: str, *place: str) -> TableInfo:
        whole = ".".join(map(quoted, (*place, name)))
        (rows,) = self._connection.execute(f"SELECT count(*) FROM {whole}").fetchall()[0]
        columns = self._connection.execute(f"DESCRIBE {whole}").fetchall()
        return TableInfo(".".join((*place, name)), int(rows), tuple((str(row[0]), str(row[1])) for row in columns))

    def _read(
        self,
        path: str,
        hints: Hints,
        first: date,
        loader: Loader,
        stack: ExitStack,
    ) -> QueryFile:
        """Return what `path` is.

        Transactions that duckdb would read differently from replay are first converted to plain CSV.
        """
        found, mapping = None, hints.options.mapping
        with suppress(BadData):  # txmon's reader may understand what duckdb cannot read
            found = self._look(path, mapping)
        if found is not None and found.table in ("verdicts", "checkouts"):
            return found
        try:
            source = OpenedSource(path, hints)
        except BadData:
            if found is None or found.table == "transactions":
                raise
            return found
        self._say(source.reading)
        if found is not None and is_equal(source.reading, found, hints):
            source.close()
            return found
        return self._plain(source, path, hints, first, loader, stack)

    def _plain(
        self, source: OpenedSource | AskedSource, path: str, hints: Hints, first: date, loader: Loader, stack: ExitStack
    ) -> QueryFile:
        """Return the transactions of `source`, converted to plain CSV as txmon reads them."""
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="txmon-query-"))
        plain = os.path.join(folder, "plain.csv")
        with open(plain, "w", encoding="utf-8", newline="") as out:
            columns, bad_rows, reason = write_plain(source, hints, first, out)
        if bad_rows:
            loader.rejected.append(Rejected(path, bad_rows, reason))
        return QueryFile(plain, "csv", "none", ",", columns, "transactions", plain=True)

    def _look(self, path: str, mapping: Mapping[str, str]) -> QueryFile:
        found = look(path, mapping)
        if found.format != "parquet":
            return found
        columns = parquet_columns(self._connection, path)
        return replace(found, columns=columns, table=table_of(columns, mapping))

    def _load(self, loader: Loader, files: Sequence[QueryFile]) -> None:
        kinds: dict[str, list[QueryFile]] = {}
        for file in files:
            kinds.setdefault(file.table, []).append(file)
        if "transactions" in kinds:
            loader.transactions(kinds["transactions"])
            self._views()
        if "verdicts" in kinds:
            loader.verdicts(kinds["verdicts"])
        if "checkouts" in kinds:
            self._checkouts(loader, kinds["checkouts"])
        taken = {"transactions", "per_minute", "per_hour", "verdicts", "incidents", "checkouts"}
        for file in kinds.get("other", []):
            stem = re.sub(r"\W+", "_", os.path.basename(file.path).split(".")[0]).strip("_").lower() or "file"
            name = next(
                name for n in range(1, len(files) + 8) if (name := f"{stem}_{n}" if n > 1 else stem) not in taken
            )
            taken.add(name)
            loader.other(file, name)

    def _checkouts(self, loader: Loader, files: Sequence[QueryFile]) -> None:
        if any(file.format != "csv" for file in files):
            for file in files:
                loader.other(file, "checkouts")
            return
        tables = [read_checkouts(file.path) for file in files]
        columns = list(dict.fromkeys(column for table in tables for column in table.columns))
        described = ", ".join(f"{quoted(column)} DOUBLE" for column in columns)
        self._connection.execute(f"CREATE TABLE checkouts (file VARCHAR, hour INTEGER, {described})")
        for table in tables:
            self._insert(table)

    def _insert(self, table: Checkouts) -> None:
        names = ", ".join(map(quoted, ["file", "hour", *table.columns]))
        marks = ", ".join("?" * (len(table.columns) + 2))
        for n, hour in enumerate(table.hours):
            row = [os.path.basename(table.source), hour, *(values[n] for values in table.columns.values())]
            self._connection.execute(f"INSERT INTO checkouts ({names}) VALUES ({marks})", row)

    def _views(self) -> None:
        """Create per_minute and per_hour: one column per status, with rows for minutes without transactions."""
        rows = self._connection.execute(
            "SELECT status FROM transactions GROUP BY 1 ORDER BY sum(count) DESC, 1"
        ).fetchall()
        statuses = list(dict.fromkeys([*STATUSES, *(str(row[0]) for row in rows)]))[:MOST_STATUSES]
        own = {"minute", "hour", "total"}  # a status with one of these names gets another
        columns = []
        for status in statuses:
            seen = f"coalesce(sum(count) FILTER (WHERE status = {literal(status)}), 0)::BIGINT"
            columns.append(f"{seen} AS {quoted(status + '_' if status in own else status)}")
        for status in statuses:
            seen = f"coalesce(sum(count) FILTER (WHERE status = {literal(status)}), 0)"
            columns.append(f"round({seen} / nullif(sum(count), 0), 4) AS {quoted(status + '_share')}")
        for view, unit in (("per_minute", "minute"), ("per_hour", "hour")):
            self._connection.execute(f"""
                CREATE VIEW {view} AS
                WITH every AS (
                    SELECT unnest(CASE WHEN date_diff('day', min(time), max(time)) <= {FILLED} THEN
                        generate_series(date_trunc('{unit}', min(time)), max(time), INTERVAL 1 {unit})
                        ELSE list(DISTINCT date_trunc('{unit}', time)) END) AS "{unit}" FROM transactions)
                SELECT every."{unit}", coalesce(sum(count), 0)::BIGINT AS total, {", ".join(columns)}
                FROM every LEFT JOIN transactions ON date_trunc('{unit}', time) = every."{unit}"
                GROUP BY 1 ORDER BY 1""")


def open_database(
    paths: Sequence[str],
    hints: Hints | None = None,
    beside: SqlQuery | None = None,
    sql: str | None = None,
    say: Callable[[Reading], None] = lambda reading: None,
) -> Database:
    """Return a `Database`. Open it again if a folder's files changed meanwhile, because a log deletes its old hours."""
    for _ in range(RETRIES):
        listed = expand(paths)
        try:
            return Database(listed, hints, beside, sql, say)
        except TxmonError:
            if expand(paths) == listed:
                raise
    return Database(paths, hints, beside, sql, say)


def _interruptible(action: Callable[[], T]) -> T:
    """Return the result of `action`, which runs in its own thread so that Ctrl-C is noticed at once.

    duckdb notices Ctrl-C only at the end of a statement, and refuses `interrupt()` during one. The statement therefore
    continues, and the caller that catches KeyboardInterrupt must leave the process with `os._exit`.
    """
    result: list[T] = []
    failure: list[BaseException] = []

    def work() -> None:
        try:
            result.append(action())
        except BaseException as bad:  # raised again below, in the calling thread
            failure.append(bad)

    worker = Thread(target=work, daemon=True)
    worker.start()
    worker.join()
    if failure:
        raise failure[0]
    return result[0]


class _Explained:
    """Turns duckdb's errors into txmon's. The first line is the reason, and the rest points into the SQL."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, failure: BaseException | None, trace: object) -> None:
        import duckdb

        if isinstance(failure, duckdb.Error):
            first, _, rest = str(failure).strip().partition("\n")
            text = " ".join(first.split())
            if "file system operations are disabled" in text or "is disabled through configuration" in text:
                text += " (a query can read only the named files, as tables)"
            if isinstance(
                failure, duckdb.OutOfMemoryException | duckdb.ConversionException | duckdb.OutOfRangeException
            ):
                raise _with_lines(BadData(text), rest) from failure
            raise _with_lines(UsageError(text), rest) from failure
        if isinstance(failure, RuntimeError) and "interrupted" in str(failure):  # duckdb's error for Ctrl-C
            raise KeyboardInterrupt from failure


def _scratch_folder() -> Path:
    """Return the folder of temporary files, or a missing path if nothing can be written, as in a container."""
    try:
        return Path(tempfile.gettempdir())
    except FileNotFoundError:
        return Path("/proc/no-temporary-folder")


def _with_lines(error: TxmonError, rest: str) -> TxmonError:
    """Return `error` with the lines that point into the SQL."""
    error.detail = "\n".join(line.rstrip() for line in rest.splitlines() if line.strip())
    return error


def _refuse_changes(kind: str) -> None:
    """Raise UsageError for a statement that would change tables, because txmon only reads files."""
    if kind in CHANGES:
        raise UsageError(f"{kind} is refused: a query reads its files and changes nothing. Use SELECT.")


def shipped() -> dict[str, str]:
    """Return the queries that are part of txmon: name -> SQL. Their first line is a comment with their purpose."""
    folder = package_files(__package__) / "sql"
    found = {item.name.removesuffix(".sql"): item.read_text("utf-8") for item in folder.iterdir()}
    return {name: found[name] for name in sorted(found)}


def shipped_query(name: str) -> str:
    """Return the SQL of one of these queries. Raise UsageError for another name."""
    queries = shipped()
    if name not in queries:
        raise UsageError(f"no query {name!r}{nearest(name, queries)}; there are {', '.join(queries)}")
    return queries[name]

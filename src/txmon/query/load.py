"""Builds the SQL that turns a file's rows into typed tables.

It converts text to times and numbers, and counts bad rows.

It reads the same times as `timestamps.TimeParser`, but in SQL, because duckdb reads millions of lines per second.
"""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Final

from txmon.errors import BadData
from txmon.ingest.fields import MAX_COUNT, MAX_STATUS
from txmon.ingest.files import LONGEST_LINE
from txmon.query.files import QueryFile, field_column

if TYPE_CHECKING:
    import duckdb

TYPES: Final = {"time": "TIMESTAMP", "status": "VARCHAR", "count": "BIGINT", "amount": "DOUBLE", "id": "VARCHAR"}
VERDICT: Final = {
    "time": "TIMESTAMP", "status": "VARCHAR", "key": "JSON", "count": "BIGINT", "total": "BIGINT",
    "expected": "DOUBLE", "low": "BIGINT", "high": "BIGINT", "score": "DOUBLE", "window": "BIGINT",
    "recommendation": "VARCHAR", "reasons": "VARCHAR[]", "text": "VARCHAR", "incident": "VARCHAR",
    "partial": "BOOLEAN", "revises": "BOOLEAN", "rarity": "DOUBLE",
}  # fmt: skip
INCIDENT: Final = {
    "time": "TIMESTAMP", "state": "VARCHAR", "id": "VARCHAR", "statuses": "VARCHAR[]", "key": "JSON",
    "label": "VARCHAR", "start": "TIMESTAMP", "peak": "TIMESTAMP", "observed": "BIGINT", "expected": "DOUBLE",
    "excess": "DOUBLE", "text": "VARCHAR", "severity": "VARCHAR", "root": "VARCHAR", "low": "BIGINT", "high": "BIGINT",
    "total": "BIGINT", "times": "BIGINT",
}  # fmt: skip

# seconds since midnight of `14h05`, `14h 05`, `14h` and `14:05[:30[.5]]`; NULL for other texts
OF_DAY: Final = r"""CREATE TEMP MACRO of_day(t) AS (
    SELECT CASE WHEN fits AND h < 24 AND m < 60 AND s < 61 THEN h * 3600 + m * 60 + least(s, 59) END
    FROM (SELECT regexp_matches(t, '^\d{1,2}(\s?h\s?(\d{1,2})?|:\d{2}(:\d{2}([.,]\d+)?)?)$') AS fits,
                 try_cast(regexp_extract(t, '^\d{1,2}') AS INT) AS h,
                 coalesce(try_cast(regexp_extract(t, '^\d{1,2}(\s?h\s?|:)(\d{1,2})', 2) AS INT), 0) AS m,
                 coalesce(try_cast(regexp_extract(t, '^\d{1,2}:\d{2}:(\d{2})', 1) AS INT), 0) AS s))"""
# a moment in UTC from ISO 8601, a date, or epoch seconds or milliseconds
MOMENT: Final = r"""CREATE TEMP MACRO moment(t) AS (
    CASE WHEN regexp_matches(t, '^\d+(\.\d*)?([eE]\+?\d{1,2})?$') AND length(t) <> 8
         THEN make_timestamp(CASE WHEN try_cast(t AS DOUBLE) BETWEEN 1e11 AND 253402300799999
                  THEN floor(try_cast(t AS DOUBLE) / 1000)::BIGINT * 1000000
                  WHEN try_cast(t AS DOUBLE) < 1e11 THEN floor(try_cast(t AS DOUBLE))::BIGINT * 1000000 END)
         ELSE date_trunc('second', coalesce(try_cast(t AS TIMESTAMPTZ), try_strptime(t, '%Y%m%d')::TIMESTAMPTZ)
              AT TIME ZONE 'UTC') END)"""


@dataclass(frozen=True, slots=True)
class Rejected:
    """The rows of one file that are in no table."""

    path: str
    count: int
    reason: str


def quoted(name: str) -> str:
    """Return `name` as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return `text` as an SQL string."""
    return "'" + text.replace("'", "''") + "'"


def path_literal(path: str) -> str:
    """Return `path` as an SQL string for exactly that file. duckdb would read `*`, `?` and `[` as patterns."""
    return literal(re.sub(r"[*?\[]", r"[\g<0>]", os.path.abspath(path)))


class Loader:
    """Loads files into the tables of a duckdb connection, one after the other."""

    def __init__(self, connection: "duckdb.DuckDBPyConnection", mapping: Mapping[str, str], first: date) -> None:
        """Create it. mapping: field -> column.

        first: the date of times without one, which continues from file to file.
        """
        self._connection = connection
        self._mapping = mapping
        self._first = first
        self.rejected: list[Rejected] = []
        connection.execute(OF_DAY)
        connection.execute(MOMENT)

    def transactions(self, files: Sequence[QueryFile]) -> None:
        """Create the table `transactions`: time, status, count, then amount, id and all other columns of a file."""
        execute = self._connection.execute
        columns = list(dict.fromkeys(["time", "status", "count", *(c for file in files for c in self._fields(file))]))
        execute(f"CREATE TEMP TABLE texts (file INT, {', '.join(quoted(c) + ' VARCHAR' for c in columns)})")
        for number, file in enumerate(files):
            fields = self._fields(file)
            names = ", ".join(map(quoted, fields))
            values = ", ".join(f"trim({fields[name]})" for name in fields)
            source, ignored = self._source(file)
            execute(f"INSERT INTO texts (file, {names}) SELECT {number}, {values} FROM {source}")
            if "count" not in fields:  # each row is one transaction
                execute(f"UPDATE texts SET count = '1' WHERE file = {number}")
            self._note(file, ignored, "a line that is not a row")
        self._type_transactions(files, columns)

    def _type_transactions(self, files: Sequence[QueryFile], columns: Sequence[str]) -> None:
        # if the time of day steps back by half a day, midnight has passed; a large step forward is a late row
        self._connection.execute(f"""
            CREATE TEMP TABLE typed AS
            WITH parsed AS (SELECT *, rowid AS place_, of_day(time) AS second FROM texts),
            stepped AS (SELECT *, second - lag(second) OVER (ORDER BY place_) AS step
                        FROM parsed WHERE second IS NOT NULL),
            dated AS (SELECT *, sum(CASE WHEN step < -43200 THEN 1 WHEN step > 43200 THEN -1 ELSE 0 END)
                      OVER (ORDER BY place_) AS day FROM stepped),
            timed AS (
                SELECT place_, file, (({literal(self._first.isoformat())}::DATE + day::INT)::TIMESTAMP
                       + to_seconds(second))::TIMESTAMPTZ AT TIME ZONE 'UTC' AS moment FROM dated
                UNION ALL SELECT place_, file, moment(time) FROM parsed WHERE second IS NULL)
            SELECT file, moment AS time, lower(status) AS status, try_cast(count AS DOUBLE) AS number,
                   {", ".join(quoted(c) for c in columns[3:]) or "NULL AS nothing"}
            FROM texts JOIN (SELECT place_, moment FROM timed) ON texts.rowid = place_ ORDER BY place_""")
        faults = {
            "a time that cannot be read": "time IS NULL",
            "no status": f"status IS NULL OR status IN ('', '*') OR length(status) > {MAX_STATUS}",
            "a count that is not a whole number": f"number IS NULL OR number < 0 OR number > {MAX_COUNT}"
            " OR number <> floor(number)",
        }
        for reason, condition in faults.items():
            found = self._connection.execute(
                f"SELECT file, count(*) FROM typed WHERE {condition} GROUP BY 1 ORDER BY 1"
            )
            for number, count in found.fetchall():
                self._note(files[number], count, reason)
            self._connection.execute(f"DELETE FROM typed WHERE {condition}")
        rest = [f"try_cast({quoted(c)} AS {TYPES.get(c, 'VARCHAR')}) AS {quoted(c)}" for c in columns[3:]]
        kept = ", ".join(["time", "status", "number::BIGINT AS count", *rest])
        self._connection.execute(f"CREATE TABLE transactions AS SELECT {kept} FROM typed")
        self._connection.execute("DROP TABLE texts; DROP TABLE typed")

    def _fields(self, file: QueryFile) -> dict[str, str]:
        """Return field -> SQL for its column. Names are in lower case, each once."""
        taken: dict[int, str] = {}
        for field in TYPES:
            column = field_column(field, file.columns, {} if file.plain else self._mapping)
            if column is not None:
                taken[column] = field
        fields: dict[str, str] = {name: self._value(file, file.columns[column]) for column, name in taken.items()}
        for column, name in enumerate(file.columns):
            if column not in taken and name.lower() not in (*fields, "file"):
                fields[name.lower() or f"column{column}"] = self._value(file, file.columns[column])
        return fields

    @staticmethod
    def _value(file: QueryFile, name: str) -> str:
        if file.format == "csv":
            return f"c{file.columns.index(name)}"
        if file.format == "parquet":
            return f"{quoted(name)}::VARCHAR"
        return f"json ->> {literal('/' + name.replace('~', '~0').replace('/', '~1'))}"

    def _source(self, file: QueryFile) -> tuple[str, int]:
        """Return what to select the file's rows from, and how many of its lines are not rows."""
        path = path_literal(file.path)
        if file.format == "parquet":
            return f"read_parquet({path})", 0
        if file.format == "jsonl":
            # a line that is still being written is not JSON yet, and is left out
            self._connection.execute(
                "CREATE OR REPLACE TEMP TABLE lines AS SELECT json FROM read_ndjson_objects("
                f"{path}, ignore_errors=true, compression='{file.packing}', maximum_object_size={LONGEST_LINE})"
            )
            if file.first:  # a byte order mark hides the first line from duckdb
                self._connection.execute("UPDATE lines SET json = ? WHERE rowid = 0 AND json IS NULL", [file.first])
            whole = "(SELECT json FROM lines WHERE json_type(json) = 'OBJECT' ORDER BY rowid)"
            (bad,) = self._one("SELECT count(*) FROM lines WHERE coalesce(json_type(json), '') <> 'OBJECT'")
            return whole, bad
        columns = ", ".join(f"'c{n}': 'VARCHAR'" for n in range(len(file.columns)))
        self._connection.execute(
            f"""CREATE OR REPLACE TEMP TABLE lines AS SELECT * FROM read_csv({path}, auto_detect=false, header=true,
            delim={literal(file.delimiter)}, quote='"', escape='"', columns={{{columns}}}, ignore_errors=true,
            store_rejects=true, strict_mode=false, max_line_size={LONGEST_LINE}, compression='{file.packing}')"""
        )
        (bad,) = self._one("SELECT count(DISTINCT line) FROM reject_errors")
        self._connection.execute("DROP TABLE reject_errors; DROP TABLE reject_scans")
        return "lines", bad

    def verdicts(self, files: Sequence[QueryFile]) -> None:
        """Create the tables `verdicts` and `incidents` from lines that txmon wrote."""
        for table, columns in (("verdicts", VERDICT), ("incidents", INCIDENT)):
            described = ", ".join(f"{quoted(name)} {kind}" for name, kind in columns.items())
            self._connection.execute(f"CREATE TABLE {table} ({described})")
        for file in files:
            source, ignored = self._source(file)
            for table, columns in (("verdicts", VERDICT), ("incidents", INCIDENT)):
                chosen = {name: kind for name, kind in columns.items() if self._has(file, name)}
                kept = "recommendation" if table == "verdicts" else "label"
                if not self._has(file, kept):
                    continue
                values = ", ".join(self._typed(file, name, kind) for name, kind in chosen.items())
                condition = f"{self._value(file, kept)} IS NOT NULL"
                self._connection.execute(
                    f"INSERT INTO {table} ({', '.join(map(quoted, chosen))})"
                    f" SELECT {values} FROM {source} WHERE {condition}"
                )
            self._note(file, ignored, "a line that is not a JSON object (it may be incomplete)")

    @staticmethod
    def _has(file: QueryFile, name: str) -> bool:
        # the first lines may contain no incident, and a column that a line lacks is NULL
        return file.format == "jsonl" or name in file.columns

    def _typed(self, file: QueryFile, name: str, kind: str) -> str:
        value = self._value(file, name)
        if kind == "TIMESTAMP":
            return f"moment({value})"
        if kind in ("JSON", "VARCHAR[]") and file.format == "jsonl":
            value = value.replace("->>", "->", 1)
            return value if kind == "JSON" else f"from_json({value}, '[\"VARCHAR\"]')"
        return f"try_cast({value} AS {kind})"

    def other(self, file: QueryFile, table: str) -> None:
        """Create a separate table for a file that txmon did not write, with types as duckdb detects them."""
        source, ignored = self._source(file)
        if file.format == "parquet":
            self._connection.execute(f"CREATE TABLE {quoted(table)} AS SELECT * FROM {source}")
            return
        names = dict.fromkeys(file.columns)
        values = ", ".join(f"{self._value(file, name)} AS {quoted(name or 'column')}" for name in names)
        self._connection.execute(f"CREATE TABLE {quoted(table)} AS SELECT {values} FROM {source}")
        for name in names:
            self._narrow(table, name or "column")
        self._note(file, ignored, "a line that is not a row")

    def _narrow(self, table: str, name: str) -> None:
        """Convert a text column to numbers or times if every value is one."""
        column = quoted(name)
        for kind in ("BIGINT", "DOUBLE", "TIMESTAMP"):
            # duckdb casts 1.5 to 2
            whole = f"regexp_full_match({column}, '[+-]?\\d{{1,18}}')" if kind == "BIGINT" else "true"
            fitting = f"count(try_cast({column} AS {kind})) FILTER (WHERE {whole})"
            filled, fits = self._one(f"SELECT count({column}), {fitting} FROM {quoted(table)}")
            if filled and filled == fits:
                self._connection.execute(f"ALTER TABLE {quoted(table)} ALTER {column} TYPE {kind}")
                return

    def _one(self, sql: str) -> tuple[int, ...]:
        row = self._connection.execute(sql).fetchone()
        assert row is not None
        return row

    def _note(self, file: QueryFile, count: int, reason: str) -> None:
        if count:
            self.rejected.append(Rejected(file.path, count, reason))


def parquet_columns(connection: "duckdb.DuckDBPyConnection", path: str) -> tuple[str, ...]:
    """Return the columns of a Parquet file. Raise BadData if it is not Parquet."""
    import duckdb

    try:
        described = connection.execute(f"DESCRIBE SELECT * FROM read_parquet({path_literal(path)})").fetchall()
    except duckdb.Error as bad:
        raise BadData(f"{path}: {str(bad).splitlines()[0]}") from bad
    return tuple(str(row[0]) for row in described)

"""Reads a SQL database. The rows of a query become JSON lines, each row once.

The query returns raw rows or counts per minute. One of its columns is the watermark: a time that grows, such as the
time of the transaction or of its insertion. Each poll reads the rows from the newest watermark minus an overlap, so
that it finds rows that were committed late. A row of an earlier poll is not returned again: txmon remembers a digest
of every row in the overlap. For a row with a count, it also remembers how much of the count it has returned.
"""

import itertools
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from hashlib import blake2b
from typing import Any, Final

from txmon.errors import BadData, IoFailure
from txmon.ingest.asked import COPIED, decided
from txmon.ingest.asked import ROWS as ROWS_OF_QUERY
from txmon.ingest.fields import NAMES
from txmon.ingest.follow import Chunk
from txmon.ingest.patience import Patience
from txmon.ingest.reading import Hints
from txmon.support.frozen import frozen
from txmon.support.sql_address import SqlEngine, reason

ROWS: Final = 5_000  # rows returned at a time
SAMPLE: Final = 1_000  # rows from which the column of counts is found
JSON_TYPES: Final = (114, 3802)  # PostgreSQL's json and jsonb, whose fields have paths
TIME_TYPES: Final = (1114, 1184)  # timestamp, without and with a time zone
BOUND: Final = re.compile(r"(?<![:\w\\]):(since|until)\b(?!:)")  # the values of a statement
MILLISECONDS: Final = 10**11  # a larger epoch is in milliseconds; in seconds it would be the year 5138

Watermark = datetime | date | int | float | Decimal | str


@frozen
class SqlQuery:
    """A query, and how its polls continue."""

    address: str  # SQLAlchemy's URL, without a password
    text: str  # SELECT ...; may use :since and :until
    password: str | None = None
    watermark: str | None = None  # column; None: the time column
    count: str | None = None  # column; None to find it by its name
    since: str | None = None  # first watermark; None: from the beginning
    until: str | None = None  # watermark at which it ends (excluded); None: no end
    overlap: int = 60  # seconds that each poll reads again
    every: float = 5.0  # seconds between two polls


class Database:
    """A connection to a database, opened when needed and reopened after a failure."""

    def __init__(self, query: SqlQuery) -> None:
        """Create it. Raise ConfigError if SQLAlchemy or the driver is missing, or the address is not valid."""
        # a database file that another process may write at the same time
        connect = {"read_only": True} if query.address.startswith("duckdb") else {}
        found = SqlEngine("--sql", query.address, query.password, connect)
        import sqlalchemy

        self.name, self.kind, self._engine = found.name, found.kind, found.engine
        self._text = sqlalchemy.text
        self._connection: Any = None
        self._found: Any = None  # the newest result

    def connection(self) -> Any:
        """Return a separate connection, for example to list the tables, as a context manager."""
        return self._engine.connect()

    def select(self, text: str, values: Mapping[str, Any]) -> tuple[list[str], Iterator[Any]]:
        """Run `text`. Return its columns and its rows, streamed.

        Raise IoFailure or BadData, without secrets in the message.
        """
        from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError

        try:
            if self._connection is None:
                connection = self._engine.connect()
                if self.kind == "postgresql":
                    connection = connection.execution_options(postgresql_readonly=True)
                elif self.kind in ("mysql", "mariadb"):
                    connection.exec_driver_sql("SET SESSION TRANSACTION READ ONLY")
                self._connection = connection.execution_options(stream_results=True, yield_per=ROWS)
            found = self._connection.execute(self._text(text), {name: self._bound(one) for name, one in values.items()})
            self._found = found
            return list(found.keys()), self._rows(found)
        except OperationalError as bad:
            self.close()
            text = reason(bad)
            # SQLite reports a missing table as an operational error, like a disk failure
            mistaken = self.kind == "sqlite" and text.startswith(("no such", "near "))
            raise (BadData if mistaken else IoFailure)(f"{self.name}: {text}") from None
        except DBAPIError as bad:
            lost = bad.connection_invalidated
            self.close()
            raise (IoFailure if lost else BadData)(f"{self.name}: {reason(bad)}") from None
        except SQLAlchemyError as bad:
            self.close()
            raise BadData(f"{self.name}: {reason(bad)}") from None

    def copied(self, text: str, values: Mapping[str, Any]) -> Iterator[list[bytes]] | None:
        """Return the rows of `text` as PostgreSQL's COPY writes them (CSV), or None if a column contains JSON.

        COPY is several times as fast as rows that the driver converts to Python values. Raise as `select` does.
        """
        # the types of its columns, without any row
        _, none = self.select(f"SELECT * FROM ({text}) AS txmon_copy LIMIT 0", values)
        described = list(self._found.cursor.description)
        list(none)
        if any(column.type_code in JSON_TYPES for column in described):
            return None
        return self._copied(text, {name: self._bound(one) for name, one in values.items()}, described)

    def _copied(self, text: str, values: Mapping[str, Any], described: Sequence[Any]) -> Iterator[list[bytes]]:
        import psycopg

        names = ['"' + column.name.replace('"', '""') + '"' for column in described]
        header = ",".join(names).encode()
        # txmon uses whole seconds, and rows that share a second are read many times faster
        shown = [
            f"date_trunc('second', {name}) AS {name}" if column.type_code in TIME_TYPES else name
            for name, column in zip(names, described, strict=True)
        ]
        whole = f"SELECT {', '.join(shown)} FROM ({text}) AS txmon_copy"
        asked = BOUND.sub(r"%(\1)s", whole.replace("%", "%%"))
        try:
            raw = self._connection.connection.driver_connection
            with raw.cursor() as cursor, cursor.copy(f"COPY ({asked}) TO STDOUT (FORMAT csv)", values) as copy:
                rows = iter(copy)
                while batch := list(itertools.islice(rows, ROWS)):
                    block = b"".join(batch)
                    if b'"' in block:  # a value may contain a newline
                        lines = [bytes(row).removesuffix(b"\n") for row in batch]
                    else:
                        lines = block.removesuffix(b"\n").split(b"\n")
                    yield [header, *lines] if header else lines
                    header = b""
        except psycopg.Error as bad:
            self.close()
            lost = isinstance(bad, psycopg.OperationalError | psycopg.InterfaceError)
            raise (IoFailure if lost else BadData)(f"{self.name}: {reason(bad)}") from None

    def _bound(self, value: Any) -> Any:
        """Return a watermark in the type that the database compares: text for SQLite, a datetime for the others."""
        if self.kind != "sqlite" and isinstance(value, str):
            try:
                value = datetime.fromisoformat(value)
            except ValueError:
                return value
        if self.kind in ("mysql", "mariadb") and isinstance(value, datetime) and value.tzinfo is not None:
            return value.astimezone(UTC).replace(tzinfo=None)  # the session's zone is UTC
        return value

    def _rows(self, found: Any) -> Iterator[Any]:
        from sqlalchemy.exc import SQLAlchemyError

        try:
            yield from found
        except SQLAlchemyError as bad:
            self.close()
            raise IoFailure(f"{self.name}: {reason(bad)}") from None
        # a transaction that stays open would never see new rows, and would delay the server's vacuum
        if self._connection is not None:
            self._connection.rollback()

    def close(self) -> None:
        """Close the connection if there is one."""
        for one in (self._found, self._connection):
            if one is not None:
                with suppress(Exception):  # closing a broken connection can fail
                    one.close()
        self._found = self._connection = None


class SqlRows:
    """All rows of a query, in the order of the watermark, as lists of lines: CSV from PostgreSQL, else JSON."""

    def __init__(self, query: SqlQuery) -> None:
        self._query = query
        self._database = Database(query)
        self.name = self._database.name
        self.container = COPIED if self._database.kind == "postgresql" else ROWS_OF_QUERY
        self.size: int | None = None  # unknown, so a progress bar has no end
        self.consumed = 0

    def __enter__(self) -> "SqlRows":
        """Return the source itself."""
        return self

    def __exit__(self, *what: object) -> None:
        """Close the connection."""
        self._database.close()

    def __iter__(self) -> Iterator[list[bytes]]:
        """Yield lists of lines. Raise IoFailure, or BadData if the query does not fit."""
        text, values, columns = _statement(self._database, self._query, self._query.since, self._query.until)
        if columns:
            _watermark(self._query, columns, self.name)
        if self._database.kind == "postgresql":
            copied = self._database.copied(text, values)
            if copied is not None:
                return copied
            self.container = ROWS_OF_QUERY
        return self._encoded(text, values)

    def _encoded(self, text: str, values: Mapping[str, Any]) -> Iterator[list[bytes]]:
        columns, rows = self._database.select(text, values)
        _watermark(self._query, columns, self.name)
        encode = encoder(columns)
        while batch := list(itertools.islice(rows, ROWS)):
            yield list(map(encode, batch))


class SqlSource:
    """Runs a query again and again. A position is the newest watermark and the rows seen since the overlap."""

    container = ROWS_OF_QUERY

    def __init__(
        self,
        query: SqlQuery,
        say: Callable[[str], None],
        position: Mapping[str, Any] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        hints: Hints | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """Create it. say: receives a line when the server goes away and when it is back. monotonic: seconds.

        wall: epoch seconds.

        hints: the settings for reading, or None to read columns with known names. Raise ConfigError.
        """
        self._wall = wall
        self._answered = wall()  # wall time of the server's last answer
        self._missed: list[tuple[int, int]] = []
        self._hints = hints or Hints()
        self._query = query
        self._monotonic = monotonic
        self._database = Database(query)
        self.name = f"sql:{self._database.name}"
        self._patience = Patience(self.name, say, monotonic)
        self.ended = False
        self._newest: Watermark | None = None
        self._seen: dict[str, list[Any]] = {}  # digest -> [watermark, rows or transactions returned]
        self._counts: str | None = query.count  # column of counts; "" if a row is one transaction, None if undecided
        if position is not None:
            self._newest = unpacked(position["newest"])
            self._counts = position.get("counts", query.count)  # missing in older states
            self._seen = {digest: [unpacked(at), int(many)] for digest, at, many in position["seen"]}
        self._rows: Iterator[Any] | None = None  # of the current poll
        self._columns: list[str] = []
        self._times: dict[str, int] = {}  # how often each row occurred in the current poll
        self._count = 0

    def fileno(self) -> int | None:
        """Return None, because this source is polled."""
        return None

    @property
    def connected(self) -> bool:
        """Return whether the server answers."""
        return self._patience.answers

    def unobserved(self) -> list[tuple[int, int]]:
        """Return once the times during which the server was away, as (start, end) in epoch seconds."""
        found, self._missed = self._missed, []
        return found

    def holds(self) -> bool:
        """Return whether a poll is in progress."""
        return self._rows is not None

    def read(self) -> Chunk | None:
        """Return new rows, at most ROWS, or None if there are none. Raise BadData if the query does not fit."""
        if self._rows is None and self._monotonic() < self._patience.due:
            return None
        try:
            lines = self._poll()
        except IoFailure as bad:
            self._rows = None
            self._patience.failed(str(bad))
            return None
        now = self._wall()
        if not self._patience.answers:
            # other clients could not write to the table during that time either
            self._missed.append((int(self._answered), int(now)))
        self._answered = now
        self._patience.answered()
        if not lines:
            return None
        start = self._count
        self._count += sum(map(len, lines)) + len(lines)
        return Chunk(lines, start=start)

    def _poll(self) -> list[bytes]:
        if self._rows is None:
            since = self._query.since if self._newest is None else earlier(self._newest, self._query.overlap)
            columns, self._rows = _ask(self._database, self._query, since, None)
            if self._columns and columns != self._columns:
                self._database.close()
                raise BadData(
                    f"{self.name}: the query's columns changed from {', '.join(self._columns)} to {', '.join(columns)}."
                    " Start txmon again if that is meant."
                )
            self._columns = columns
            self._times = {}
            self._encode = encoder(columns)
            self._at = columns.index(_watermark(self._query, columns, self.name))
            self._rows = self._decided(columns, self._rows)
        lines: list[bytes] = []
        for row in self._rows:
            line = self._fresh(row)
            if line is not None:
                lines.append(line)
                if len(lines) >= ROWS:
                    return lines
        self._rows = None
        self._patience.due = self._monotonic() + self._query.every
        self._forget()
        return lines

    def _decided(self, columns: list[str], rows: Iterator[Any]) -> Iterator[Any]:
        """Return the rows, and decide from the first ones which column has counts."""
        if self._counts is None:
            first = list(itertools.islice(rows, SAMPLE))
            rows = itertools.chain(first, rows)
            if first:
                reading = decided(self.name, list(map(self._encode, first)), self._hints, self.container)
                self._counts = reading.columns.get("count", "")
        lowered = [column.lower() for column in columns]
        found = (self._counts or "").lower()
        self._counted = lowered.index(found) if found in lowered else None
        return rows

    def _fresh(self, row: Any) -> bytes | None:
        """Return the line of a row that is new, or of the new part of its count, or None."""
        at = row[self._at]
        if at is None:
            return self._encode(row)  # the parser rejects it with the reason
        if self._newest is None or later(at, self._newest, self.name):
            self._newest = at
        if self._counted is None:
            digest = digest_of(row)
            many = self._times[digest] = self._times.get(digest, 0) + 1
            known = self._seen.get(digest)
            if known is not None and many <= known[1]:
                return None
            self._seen[digest] = [at, many]
            return self._encode(row)
        place = self._counted
        digest = digest_of((*row[:place], *row[place + 1 :]))
        known = self._seen.get(digest)
        before = known[1] if known is not None else 0
        try:
            count = int(row[place])
        except (TypeError, ValueError):
            return self._encode(row)  # the parser rejects it with the reason
        if count <= before and known is not None:
            return None
        self._seen[digest] = [at, count]
        return self._encode((*row[:place], count - before, *row[place + 1 :]))

    def _forget(self) -> None:
        """Forget rows that no later poll can read again."""
        if self._newest is None:
            return
        limit = earlier(self._newest, self._query.overlap)
        self._seen = {digest: one for digest, one in self._seen.items() if not later(limit, one[0], self.name)}

    def position(self, offset: int) -> dict[str, Any] | None:
        """Return where a restart continues. It is after the newest chunk, so a run can have only one such source."""
        if self._newest is None:
            return {"newest": None, "seen": [], "counts": self._counts}
        seen = [[digest, packed(at), many] for digest, (at, many) in self._seen.items()]
        return {"newest": packed(self._newest), "seen": seen, "counts": self._counts}

    def saved(self, position: Mapping[str, Any]) -> None:
        """Do nothing, because the database stores no positions for its readers."""

    def close(self) -> None:
        """Close the connection."""
        self._database.close()


def _ask(database: Database, query: SqlQuery, since: Any, until: Any) -> tuple[list[str], Iterator[Any]]:
    """Run the query from the watermark `since` on, in its order. Return the columns and the rows."""
    text, values, _ = _statement(database, query, since, until)
    return database.select(text, values)


def _statement(database: Database, query: SqlQuery, since: Any, until: Any) -> tuple[str, dict[str, Any], list[str]]:
    """Return the statement for rows from the watermark `since` on, its values, and the query's columns.

    The columns are empty if they were not needed.
    """
    text = query.text.strip().rstrip(";")
    if not text.lower().startswith(("select", "with", "from")):
        raise BadData(f"{database.name}: --query must be a SELECT. txmon only reads.")
    if ":since" in text:
        values = {"since": since if since is not None else _least(database)}
        return text, values | ({"until": until} if ":until" in text else {}), []
    column, columns = query.watermark, list[str]()
    if column is None:
        columns, none = database.select(f"SELECT * FROM ({text}) AS txmon_rows WHERE 1 = 0", {})
        list(none)  # a cursor that is not exhausted stays open on the server
        column = _watermark(query, columns, database.name)
    mark = "`" if database.kind in ("mysql", "mariadb") else '"'
    quoted = mark + column.replace(mark, 2 * mark) + mark
    wanted = [f"{quoted} >= :since"] * (since is not None) + [f"{quoted} < :until"] * (until is not None)
    where = f" WHERE {' AND '.join(wanted)}" if wanted else ""
    values = {name: value for name, value in (("since", since), ("until", until)) if value is not None}
    return f"SELECT * FROM ({text}) AS txmon_rows{where} ORDER BY {quoted}", values, columns


def _least(database: Database) -> str:
    """Return a time before all others, for the first poll of a query that uses :since."""
    return "1970-01-01 00:00:00" if database.kind != "sqlite" else ""


def _watermark(query: SqlQuery, columns: list[str], name: str) -> str:
    """Return the name of the watermark column. Raise BadData, with the columns found, if the query lacks it."""
    if query.watermark is not None:
        if query.watermark in columns:
            return query.watermark
        raise BadData(f"{name}: the query has no column {query.watermark!r}. It has: {', '.join(columns)}.")
    for known in NAMES["time"]:
        for column in columns:
            if column.lower() == known:
                return column
    raise BadData(
        f"{name}: the query has no time column. It has: {', '.join(columns)}. Name it with --watermark COLUMN and"
        " --map time=COLUMN."
    )


def encoder(columns: list[str]) -> Callable[[Any], bytes]:
    """Return a function that writes a row with these columns as one JSON line."""
    import msgspec

    write = msgspec.json.Encoder(enc_hook=_plain, decimal_format="number").encode

    def encode(row: Any) -> bytes:
        return write(dict(zip(columns, row, strict=True)))

    return encode


def _plain(value: object) -> object:
    return str(value)


def digest_of(row: Any) -> str:
    """Return a digest of a row: 16 bytes in hexadecimal."""
    return blake2b("\0".join(map(repr, row)).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def later(one: Watermark, other: Watermark, name: str) -> bool:
    """Return whether a watermark is later than another. Raise BadData if they cannot be compared."""
    try:
        return bool(one > other)  # type: ignore[operator]
    except TypeError:
        raise BadData(
            f"{name}: the watermark column holds values that cannot be compared: {one!r} and {other!r}."
            " Name another column with --watermark."
        ) from None


def earlier(at: Watermark, seconds: int) -> Watermark:
    """Return the watermark `seconds` before `at`. Raise BadData if `at` is not a time."""
    if isinstance(at, datetime | date):
        return at - timedelta(seconds=seconds) if isinstance(at, datetime) else at - timedelta(days=1)
    if isinstance(at, int | float | Decimal):
        return float(at) - seconds * (1000 if at > MILLISECONDS else 1)
    try:
        moment = datetime.fromisoformat(at)
    except ValueError:
        raise BadData(
            f"the watermark {at!r} is text and not an ISO 8601 time. Name another column with --watermark."
        ) from None
    text = (moment - timedelta(seconds=seconds)).isoformat("T" if "T" in at else " ")
    return text.replace("+00:00", "Z") if at.endswith("Z") else text


def packed(at: Watermark) -> list[Any]:
    """Return a watermark as values that JSON can represent."""
    if isinstance(at, datetime):
        return ["datetime", at.isoformat()]
    if isinstance(at, date):
        return ["date", at.isoformat()]
    if isinstance(at, Decimal):
        return ["number", float(at)]
    return ["number" if isinstance(at, int | float) else "text", at]


def unpacked(value: Any) -> Any:
    """Return the watermark that `packed` converted. Raise ValueError or TypeError for any other value."""
    if value is None:
        return None
    kind, text = value
    if kind == "datetime":
        return datetime.fromisoformat(text)
    return date.fromisoformat(text) if kind == "date" else text


def start_of(text: str, now: float) -> str:
    """Return the watermark for a value of `--since`: a time, or a duration before `now` (epoch seconds)."""
    from txmon.support.durations import seconds

    try:
        length = seconds(text)
    except ValueError:
        return text
    return datetime.fromtimestamp(now - length, UTC).strftime("%Y-%m-%d %H:%M:%S")

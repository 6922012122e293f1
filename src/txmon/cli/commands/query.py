"""`txmon query`: runs SQL over transactions, checkouts and verdicts."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import click

from txmon.cli.completing import a_file
from txmon.cli.help_page import Command, option
from txmon.cli.messages import fail, tell
from txmon.cli.options import UNDERSTANDING, load_config, options
from txmon.cli.own_inputs import files_of, spare_inputs
from txmon.cli.sources import attached
from txmon.errors import ExitCode, UsageError
from txmon.ingest.reading import Reading
from txmon.query.database import Database, Result, TableInfo, open_database, shipped, shipped_query
from txmon.runtime.reader import hints_of
from txmon.support.safe_open import create
from txmon.support.terminal_text import for_people, printable

if TYPE_CHECKING:
    from rich.console import Console

# here, --format and --group-by apply to the result, not to the input
PARSING = tuple(name for name in UNDERSTANDING if name not in ("format", "group_by"))
FORMATS = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}
NUMBERS = ("INT", "DOUBLE", "FLOAT", "DECIMAL", "HUGEINT")


@click.command(
    cls=Command,
    short_help="Run SQL over transactions, checkouts and verdicts.",
    common=("name", "list_them", "show", "kind", "out", "chart", "rows", "address"),
)
@click.argument("arguments", nargs=-1, metavar="[SQL] [FILE...]", shell_complete=a_file)
@option("--sql", "address", metavar="URL", help="Attach this database read-only as db (txmon[sql]).")
@option("--query", "text", metavar="TEXT", help="SELECT for --sql whose rows are the transactions.")
@option("--password-file", metavar="FILE", help="File with the database's password.")
@options(*PARSING)
@option("--name", metavar="NAME", help="Run a query that comes with txmon.")
@option("--list", "list_them", is_flag=True, help="List the queries that come with txmon.")
@option("--show", is_flag=True, help="Print the SQL of --name (or of all) instead of running it.")
@option("--format", "kind", type=click.Choice(["table", "csv", "jsonl", "parquet"]), help="Format of the result.")
@option("-o", "--out", metavar="FILE", help="Write the result to this file: .csv, .jsonl or .parquet.")
@option("--chart", is_flag=True, help="Draw every number of the result over its first column.")
@option("--rows", type=click.IntRange(0), default=100, show_default=True, help="Most rows in a table. 0: all.")
def query(
    arguments: tuple[str, ...],
    address: str | None,
    text: str | None,
    password_file: str | None,
    name: str | None,
    list_them: bool,
    show: bool,
    kind: str | None,
    out: str | None,
    chart: bool,
    rows: int,
    **flags: object,
) -> None:
    """Run SQL (- reads it from standard input) over FILE...: CSV, JSON lines, Parquet, gzip, zstd, a folder of logs.

    \b
    A file of transactions fills the tables transactions, per_minute and per_hour. A file of checkouts fills the table
    checkouts. txmon's own lines fill verdicts and incidents. Any other file fills a table with its name.
    Without SQL, txmon lists the tables and their columns.
    --sql attaches a database: db.payments is its table payments. With --query, its rows are the transactions.
    The SQL can read only these files and tables. It cannot write, and it has no network.

    \b
    Examples:
      txmon query "SELECT status, sum(count) FROM transactions GROUP BY ALL" transactions.csv
      txmon query --name rate-by-hour transactions.csv --chart
      txmon analyze checkouts.csv --sql | txmon query - checkouts.csv
      txmon query "SELECT status, count(*) FROM db.payments GROUP BY ALL" --sql sqlite:///shop.db
    """
    if list_them or (show and name is None):
        _print_shipped(show)
        return None
    if show and name is not None:
        click.echo(shipped_query(name), nl=False)
        return None
    beside = attached(address, text, password_file)
    sql, files = _split(arguments, name, beside is not None)
    how = kind or (FORMATS.get(Path(out).suffix.lower()) if out else None) or ("csv" if out else "table")
    if how == "parquet" and out is None:
        raise UsageError("--format parquet needs --out FILE")
    if chart and (kind is not None or out is not None):
        raise UsageError("--chart excludes --format and --out. Leave them out.")
    settings = load_config(flags).settings
    own = files_of({"sql": address, "password_file": password_file}) if beside is not None else []
    spare_inputs([*files, *own], {"--out": out}, settings)

    def say(reading: Reading) -> None:
        if not settings.no_reading:
            tell([reading.statement()])

    database = open_database(files, hints_of(settings), beside, sql, say)
    with closing(database), _at_once():
        _answer(database, sql, how, out, chart, rows)
        return database.check()


@contextmanager
def _at_once() -> Iterator[None]:
    """Let Ctrl-C end the process immediately."""
    try:
        yield
    except KeyboardInterrupt:
        # duckdb cannot be stopped within a statement, and an ordinary end of Python would crash it
        fail("interrupted")
        os._exit(ExitCode.INTERRUPTED)


def _answer(database: Database, sql: str | None, how: str, out: str | None, chart: bool, rows: int) -> None:
    for bad in database.rejected:
        tell([f"{bad.path}: {bad.count} rows left out: {bad.reason}"], "warning")
    if sql is None:
        return _print_tables(database.tables())
    if how == "parquet" and out is not None:
        return database.write_parquet(sql, out)
    result = database.run(sql)
    return _draw(result) if chart else _write(result, how, out, rows)


def _split(arguments: Sequence[str], name: str | None, beside: bool) -> tuple[str | None, Sequence[str]]:
    """Return the SQL (None for a list of the tables) and the files.

    beside: a database is given, so no file is needed.
    """
    if name is not None:
        sql: str | None = shipped_query(name)
    elif arguments and not os.path.exists(arguments[0]):
        sql, arguments = arguments[0], arguments[1:]
        if " " not in sql and sql != "-":
            raise UsageError(f"{sql!r} is not a file, and not SQL")
        if sql == "-" and sys.stdin.isatty():
            tell(["reading SQL from the keyboard. Ctrl-D ends it."])
        sql = sys.stdin.read() if sql == "-" else sql
    else:
        sql = None
    if sql is None and len(arguments) > 1 and " " in arguments[-1] and not os.path.exists(arguments[-1]):
        raise UsageError(f"{arguments[-1]!r} is not a file. Put the SQL before the files.")
    if not arguments and not beside:
        raise UsageError("no FILE to query. Use for example: txmon query --name per-minute transactions.csv")
    return sql, arguments


def _print_shipped(show: bool) -> None:
    queries = shipped()
    for name, sql in queries.items():
        if show:
            click.echo(f"-- {name}\n{sql}")
        else:
            click.echo(f"{name:{max(map(len, queries))}}  {sql.splitlines()[0].removeprefix('-- ')}")


def _print_tables(tables: Sequence[TableInfo]) -> None:
    for table in tables:
        click.echo(f"{printable(table.name, None)}  ({table.rows:,} rows)")
        for column, kind in table.columns:
            click.echo(f"    {printable(column, None):24} {kind.lower()}")


def _write(result: Result, how: str, out: str | None, most: int) -> None:
    from txmon.query.export import write_csv, write_json_lines

    with ExitStack() as stack:
        to_file = out is not None and out != "-"
        stream = stack.enter_context(create(str(out))) if to_file else for_people(sys.stdout, json=how == "jsonl")
        if how == "csv":
            write_csv(stream, result.columns, result)
        elif how == "jsonl":
            write_json_lines(stream, result.columns, result)
        else:
            from txmon.terminal.tables import console_of

            _write_table(console_of(stream if to_file else sys.stdout), result, most)


def _write_table(console: "Console", result: Result, most: int) -> None:
    from txmon.query.export import cell_text
    from txmon.terminal.tables import speaks_unicode, table_of

    found = iter(result)
    shown = [[cell_text(value) for value in row] for row in (islice(found, most) if most else found)]
    right = [kind.startswith(NUMBERS) or "INT" in kind for kind in result.types]
    console.print(table_of(result.columns, shown, right, speaks_unicode(sys.stdout)))
    left = sum(1 for _ in found)
    if left:
        console.print(f"{left:,} more rows (--rows 0 shows all)")


def _draw(result: Result) -> None:
    from txmon.query.export import cell_text
    from txmon.support.bars import Series, chart
    from txmon.terminal.tables import console_of, speaks_unicode

    rows = list(result)
    drawable = [n for n, kind in enumerate(result.types) if n and (kind.startswith(NUMBERS) or "INT" in kind)]
    if not rows or not drawable:
        raise UsageError("nothing to draw. A chart needs rows, and a column of numbers after the first column.")
    console = console_of(sys.stdout)
    plain = not speaks_unicode(sys.stdout)
    for n in drawable:
        values = [None if row[n] is None else float(row[n]) for row in rows]  # type: ignore[arg-type]
        lines = chart(Series(printable(result.columns[n], None), values), min(console.width, 120), ascii_only=plain)
        click.echo("\n".join(lines))
    first, last = (printable(cell_text(row[0]), None) for row in (rows[0], rows[-1]))
    click.echo(f"{printable(result.columns[0], None)} from {first} to {last}, {len(rows):,} rows")

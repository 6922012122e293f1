"""The flags of replay and watch for a database or a Prometheus server as the source."""

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from os import environ
from typing import TYPE_CHECKING, Any, TypeVar

from txmon.cli.help_page import option
from txmon.errors import ConfigError, UsageError
from txmon.settings.declarations import Settings
from txmon.support.durations import seconds
from txmon.support.frozen import frozen
from txmon.support.sql_address import has_password

if TYPE_CHECKING:
    from txmon.ingest.prometheus import PromQuery, PromRows, PromSource
    from txmon.ingest.reading import Hints
    from txmon.ingest.sql import SqlQuery, SqlRows, SqlSource

F = TypeVar("F", bound=Callable[..., Any])


def source_options(live: bool) -> Callable[[F], F]:
    """Return a decorator that adds the flags of a database or a Prometheus server. live: also those for polling."""
    found = [
        option(
            "--sql", section="Source", metavar="URL", help="Read the rows of --query from this database (txmon[sql])."
        ),
        option(
            "--prometheus",
            section="Source",
            metavar="URL",
            help="Read the points of --query from this Prometheus server.",
        ),
        option("--query", section="Source", metavar="TEXT", help="SELECT for --sql, or PromQL for --prometheus."),
        option(
            "--watermark", section="Source", metavar="COLUMN", help="Column of --query that grows. [default: the time]"
        ),
        option("--since", section="Source", metavar="TIME", help="Begin there: a time, or how long ago, as 1d."),
        option("--step", section="Source", metavar="TIME", help="Step of --prometheus. [default: the bucket]"),
        option("--ca-file", section="Source", metavar="FILE", help="Certificates that --prometheus is checked with."),
        option(
            "--password-file",
            section="Source",
            metavar="FILE",
            help="File with the database's password, or the bearer token.",
        ),
    ]
    if live:
        found += [
            option("--poll", section="Source", metavar="TIME", help="Time between two polls of --sql. [default: 5s]"),
            option(
                "--overlap",
                section="Source",
                metavar="TIME",
                help="Time that a poll of --sql reads again. [default: 1m]",
            ),
        ]
    else:
        found.append(option("--until", section="Source", metavar="TIME", help="End before this time."))

    def decorate(command: F) -> F:
        for add in reversed(found):
            command = add(command)
        return command

    return decorate


@frozen
class Source:
    """The database or Prometheus server that the flags name."""

    sql: "SqlQuery | None" = None
    prometheus: "PromQuery | None" = None

    def rows(self, say: Callable[[str], None]) -> "SqlRows | PromRows":
        """Return all of its rows, to be read once."""
        if self.sql is not None:
            from txmon.ingest.sql import SqlRows

            return SqlRows(self.sql)
        from txmon.ingest.prometheus import PromRows

        assert self.prometheus is not None
        return PromRows(self.prometheus, say, time.time())

    def live(
        self, say: Callable[[str], None], position: Callable[[str], dict[str, Any] | None], hints: "Hints"
    ) -> "SqlSource | PromSource":
        """Return it as a live source. position: where the state continues a source of this name.

        hints: the settings for reading.
        """
        if self.sql is not None:
            from txmon.ingest.sql import SqlSource

            return SqlSource(self.sql, say, position(SqlSource(self.sql, say).name), hints=hints)
        from txmon.ingest.prometheus import PromSource

        assert self.prometheus is not None
        return PromSource(self.prometheus, say, position(PromSource(self.prometheus, say).name))


def source_of(flags: dict[str, Any], settings: Settings, live: bool) -> Source | None:
    """Remove the flags of `source_options` from `flags`. Return their source, or None. Raise UsageError."""
    given = {name: flags.pop(name, None) for name in NAMES}
    sql, prometheus = given["sql"] or environ.get("TXMON_SQL"), given["prometheus"]
    if given["sql"] is None and prometheus is None:
        if given["query"] is None:
            return None  # TXMON_SQL alone requests nothing
        if not sql:
            raise UsageError("--query needs --sql URL or --prometheus URL.")
    if given["sql"] and prometheus:
        raise UsageError("--sql and --prometheus cannot be combined. Run txmon for each.")
    if given["query"] is None:
        raise UsageError(f"{'--prometheus' if prometheus else '--sql'} needs --query TEXT.")
    secret = _secret(given["password_file"])
    if prometheus:
        return Source(prometheus=_prometheus(given, prometheus, settings, secret))
    assert sql is not None
    return Source(sql=_sql(given, sql, settings, secret, live))


def attached(address: str | None, text: str | None, password_file: str | None) -> "SqlQuery | None":
    """Return the database that `txmon query` attaches, with the query for its transactions, or None."""
    whole = address or (environ.get("TXMON_SQL") if text else None)
    if not whole:
        if text or password_file:
            raise UsageError(f"--{'query' if text else 'password-file'} needs --sql URL")
        return None
    _refuse_password(address)
    from txmon.ingest.sql import SqlQuery

    return SqlQuery(whole, text or "", _secret(password_file) or environ.get("TXMON_SQL_PASSWORD"))


def _refuse_password(address: str | None) -> None:
    if address and has_password(address):
        raise UsageError(
            "--sql must not contain a password, because other users see it in the process list. Set TXMON_SQL to the"
            " whole address, or TXMON_SQL_PASSWORD, or use --password-file."
        )


NAMES = (
    "sql", "prometheus", "query", "watermark", "since", "until", "step", "ca_file", "password_file", "poll", "overlap",
)  # fmt: skip


def _sql(given: Mapping[str, Any], address: str, settings: Settings, secret: str | None, live: bool) -> "SqlQuery":
    for name in ("step", "ca_file"):
        if given[name]:
            raise UsageError(f"--{name.replace('_', '-')} belongs to --prometheus")
    _refuse_password(given["sql"])
    from txmon.ingest.sql import SqlQuery, start_of

    now = time.time()
    since = given["since"] or ("1d" if live else None)
    return SqlQuery(
        address, given["query"], secret or environ.get("TXMON_SQL_PASSWORD"), given["watermark"],
        settings.map.get("count"), start_of(since, now) if since else None,
        start_of(given["until"], now) if given["until"] else None,
        _duration(given["overlap"], "--overlap", 60), _duration(given["poll"], "--poll", 5),
    )  # fmt: skip


def _prometheus(given: Mapping[str, Any], address: str, settings: Settings, secret: str | None) -> "PromQuery":
    from txmon.ingest.prometheus import PromQuery

    for name in ("watermark", "poll", "overlap"):
        if given[name]:
            raise UsageError(f"--{name} belongs to --sql")
    step = _duration(given["step"], "--step", settings.bucket)
    if step != settings.bucket:
        raise UsageError(f"--step {given['step']} differs from the bucket. Use --bucket {given['step']} as well.")
    return PromQuery(
        address, given["query"], step, settings.map.get("status"), _moment(given["since"], "--since"),
        _moment(given["until"], "--until"), 30, secret or environ.get("TXMON_PROMETHEUS_TOKEN"),
        environ.get("TXMON_PROMETHEUS_BASIC"), given["ca_file"],
    )  # fmt: skip


def _duration(text: str | None, flag: str, default: int) -> int:
    try:
        found = seconds(text) if text else default
    except ValueError as bad:
        raise UsageError(f"{flag}: {bad}") from None
    if found < 1:
        raise UsageError(f"{flag} {text!r} is too short. Give at least 1s.")
    return found


def _moment(text: str | None, flag: str) -> float | None:
    if text is None:
        return None
    from txmon.ingest.sql import start_of

    try:
        moment = datetime.fromisoformat(start_of(text, time.time()))
    except ValueError:
        raise UsageError(f"{flag} {text!r} is not a time. Use for example 2026-03-02T10:00:00Z or 1d.") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _secret(path: str | None) -> str | None:
    if path is None:
        return None
    try:
        with open(path, encoding="utf-8") as file:
            return file.read(4096).strip()
    except (OSError, UnicodeDecodeError) as bad:
        raise ConfigError(f"{path}: cannot read the password ({getattr(bad, 'strerror', bad)})") from None

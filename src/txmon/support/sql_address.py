"""Addresses of SQL databases: how txmon connects to one, and how messages show one without its secrets."""

import re
from collections.abc import Mapping
from typing import Any, Final

from txmon.errors import ConfigError

FORMS: Final = "Use for example postgresql://user@host/database, sqlite:////path/to/file or duckdb:////path/to/file."
DRIVERS: Final = {"postgresql": "postgresql+psycopg", "mysql": "mysql+pymysql", "mariadb": "mariadb+pymysql"}
# options of every connection: times in UTC, and a limit for waiting for an unreachable server
CONNECT: Final[Mapping[str, Mapping[str, Any]]] = {
    "postgresql": {
        "options": "-c timezone=UTC -c client_encoding=UTF8 -c datestyle=ISO",
        "application_name": "txmon",
        "connect_timeout": 10,
    },
    "mysql": {"init_command": "SET time_zone = '+00:00'", "connect_timeout": 10, "charset": "utf8mb4"},
    "mariadb": {"init_command": "SET time_zone = '+00:00'", "connect_timeout": 10, "charset": "utf8mb4"},
}


class SqlEngine:
    """A database that can be connected to. Nothing is opened before the first connection."""

    def __init__(self, flag: str, address: str, password: str | None, connect: Mapping[str, Any]) -> None:
        """Create it. flag: that gave the address, for messages. connect: more arguments for the driver.

        Raise ConfigError if SQLAlchemy or the driver is missing, or the address is not valid.
        """
        try:
            import sqlalchemy
            from sqlalchemy.engine import make_url
            from sqlalchemy.exc import ArgumentError, NoSuchModuleError
        except ImportError as bad:
            raise ConfigError(f"{flag} needs SQLAlchemy. Install it with: pip install 'txmon[sql]'") from bad
        try:
            url = make_url(address)
        except ArgumentError as bad:
            raise ConfigError(f"{flag} {hidden(address)!r} is not a database URL. {FORMS}") from bad
        shown = url.set(password=None)
        url = url.set(drivername=DRIVERS.get(url.drivername, url.drivername))
        if password is not None and url.host:  # a database file has no login
            url = url.set(password=password)
        self.name = hidden(shown.render_as_string(hide_password=True)).replace(":***", "")
        self.kind = url.get_backend_name()
        self.database = url.database
        arguments = {**CONNECT.get(self.kind, {}), **connect}
        try:
            self.engine: Any = sqlalchemy.create_engine(url, poolclass=sqlalchemy.pool.NullPool, connect_args=arguments)
        except (ImportError, NoSuchModuleError) as bad:
            raise ConfigError(f"{self.name}: no driver for {url.drivername!r} ({bad}). {FORMS}") from bad


def reason(bad: Exception) -> str:
    """Return a driver's message on one line, without the statement, its values and the password."""
    text = str(getattr(bad, "orig", None) or bad).strip()
    return hidden(" ".join(text.split()))[:300]


def hidden(text: str) -> str:
    """Return `text` without the passwords of the addresses in it."""
    return re.sub(r"(://[^\s:/@]+):[^\s@/]+@", r"\1@", re.sub(r"(?i)(password|pwd)\s*=\s*\S+", r"\1=***", text))


def has_password(address: str) -> bool:
    """Return whether an address contains a password."""
    before, at, _ = address.partition("://")[2].rpartition("@")
    return bool(at) and ":" in before


def file_of(address: str) -> str | None:
    """Return the path of a database file, or None for a server and for a database in memory."""
    scheme, _, rest = address.partition("://")
    if not scheme.startswith(("sqlite", "duckdb")):
        return None
    path = rest.partition("?")[0]
    return (path[1:] if path.startswith("/") else path) or None

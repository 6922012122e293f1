"""Real servers for tests: PostgreSQL, MariaDB and Prometheus of Debian, on loopback, in folders of their own."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

WAIT: Final = 60.0  # seconds for a server to answer


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def program(name: str) -> str:
    """Return the path of a program of Debian's postgresql or mariadb-server; skips the test where it is missing."""
    folders = [*Path("/usr/lib/postgresql").glob("*/bin"), Path("/usr/sbin")]
    found = shutil.which(name) or next((str(one / name) for one in folders if (one / name).exists()), None)
    if found is None:
        pytest.skip(f"needs {name}: apt-get install postgresql mariadb-server")
    return found


def as_postgres() -> dict[str, Any]:
    """Return how PostgreSQL's programs are started: it refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    user = pwd.getpwnam("postgres" if any(one.pw_name == "postgres" for one in pwd.getpwall()) else "nobody")
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


class Postgres:
    """A cluster of its own, with the database `postgres` and the user `txmon`, whose password is PASSWORD."""

    PASSWORD = "s3cret-of-the-tests"

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._folder = folder
        self._data = folder / "data"
        self._given = as_postgres()
        self._data.mkdir()
        if self._given:
            os.chown(self._data, self._given["user"], self._given["group"])
        words = [program("initdb"), "-D", str(self._data), "-U", "postgres", "--auth=trust", "-E", "UTF8", "--no-sync"]
        subprocess.run(words, check=True, capture_output=True, cwd="/", **self._given)
        self.start()
        self.run(f"CREATE ROLE txmon LOGIN PASSWORD '{self.PASSWORD}'; GRANT pg_read_all_data TO txmon")

    @property
    def url(self) -> str:
        """The address that txmon is given, without a password."""
        return f"postgresql://txmon@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Start the server and wait until it answers."""
        words = [program("postgres"), "-D", str(self._data), "-p", str(self.port), "-c", "listen_addresses=127.0.0.1"]
        words += ["-c", "unix_socket_directories=", "-c", "fsync=off", "-c", "timezone=America/Sao_Paulo"]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(words, stdout=log, stderr=log, cwd="/", **self._given)
        until = time.monotonic() + WAIT
        while time.monotonic() < until:
            try:
                self.run("SELECT 1")
            except Exception:
                time.sleep(0.1)
            else:
                return
        raise AssertionError((self._folder / "log").read_text()[-2000:])

    def stop(self) -> None:
        """Stop the server at once; its clients lose their connections."""
        self._process.send_signal(signal.SIGINT)
        self._process.wait(30)

    def run(self, text: str, rows: Sequence[Sequence[object]] = ()) -> Any:
        """Run a statement as the owner, for each of `rows`, if any; return its rows."""
        import psycopg

        with psycopg.connect(f"host=127.0.0.1 port={self.port} user=postgres dbname=postgres") as connection:
            return _run(connection.cursor(), text, rows)


@contextmanager
def postgres() -> Iterator[Postgres]:
    """Run a PostgreSQL server in a folder that its own user can reach, as pytest's folders are not."""
    with _reachable("txmon-postgres-") as folder:
        server = Postgres(folder)
        try:
            yield server
        finally:
            server.stop()


def _run(cursor: Any, text: str, rows: Sequence[Sequence[object]]) -> Any:
    """Run a statement, for each of `rows`, if any; return its rows."""
    if rows:
        cursor.executemany(text, rows)
    else:
        cursor.execute(text)
    return cursor.fetchall() if cursor.description else []


@contextmanager
def _reachable(prefix: str) -> Iterator[Path]:
    """Make a folder that other users can enter."""
    with tempfile.TemporaryDirectory(prefix=prefix) as folder:
        Path(folder).chmod(0o711)
        yield Path(folder)


class MariaDb:
    """A server of its own, with the database `shop` and the user `txmon`, whose password is PASSWORD."""

    PASSWORD = Postgres.PASSWORD

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._folder = folder
        self._data = folder / "data"
        self._given = as_postgres()
        self._data.mkdir()
        if self._given:
            os.chown(self._data, self._given["user"], self._given["group"])
        words = [program("mariadb-install-db"), "--no-defaults", f"--datadir={self._data}", "--skip-test-db"]
        words += ["--auth-root-authentication-method=normal", "--skip-name-resolve"]
        subprocess.run(words, check=True, capture_output=True, cwd="/", **self._given)
        self.start()
        self.run("CREATE DATABASE shop")
        self.run(f"CREATE USER txmon@'127.0.0.1' IDENTIFIED BY '{self.PASSWORD}'")
        self.run("GRANT ALL ON shop.* TO txmon@'127.0.0.1'")

    @property
    def url(self) -> str:
        """The address that txmon is given, without a password."""
        return f"mysql://txmon@127.0.0.1:{self.port}/shop"

    def start(self) -> None:
        """Start the server and wait until it answers."""
        words = [program("mariadbd"), "--no-defaults", f"--datadir={self._data}", f"--port={self.port}"]
        words += ["--bind-address=127.0.0.1", f"--socket={self._data}/socket", f"--pid-file={self._data}/pid"]
        words += ["--skip-name-resolve", "--default-time-zone=-03:00", "--innodb-flush-log-at-trx-commit=0"]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(words, stdout=log, stderr=log, cwd="/", **self._given)
        until = time.monotonic() + WAIT
        while time.monotonic() < until:
            if (self._data / "socket").exists():  # pymysql leaves a socket open where nobody listens
                return
            time.sleep(0.1)
        raise AssertionError((self._folder / "log").read_text()[-2000:])

    def stop(self) -> None:
        """Stop the server; its clients lose their connections."""
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(30)

    def run(self, text: str, rows: Sequence[Sequence[object]] = ()) -> Any:
        """Run a statement as the owner, for each of `rows`, if any; return its rows."""
        import pymysql

        with pymysql.connect(
            unix_socket=f"{self._data}/socket", user="root", autocommit=True, init_command="SET time_zone = '+00:00'"
        ) as connection:
            return _run(connection.cursor(), text, rows)


@contextmanager
def mariadb() -> Iterator[MariaDb]:
    """Run a MariaDB server in a folder that its own user can reach."""
    with _reachable("txmon-mariadb-") as folder:
        server = MariaDb(folder)
        try:
            yield server
        finally:
            server.stop()


@contextmanager
def prometheus(folder: Path, metrics: str = "", scrape: str = "", rules: Path | None = None) -> Iterator[str]:
    """Run a Prometheus server whose history is `metrics` (OpenMetrics with times); yield its address.

    scrape: HOST:PORT that it scrapes each second. rules: a file of rules, evaluated each second.
    """
    for name in ("prometheus", "promtool"):
        if shutil.which(name) is None:
            pytest.skip(f"needs {name}: apt-get install prometheus")
    data = folder / "tsdb"
    if metrics:
        (folder / "metrics").write_text(metrics)
        words = ["promtool", "tsdb", "create-blocks-from", "openmetrics", str(folder / "metrics"), str(data)]
        subprocess.run(words, check=True, capture_output=True)
    targets = f'[{{targets: ["{scrape}"]}}]' if scrape else "[]"
    (folder / "prometheus.yml").write_text(
        "global: {scrape_interval: 1s, evaluation_interval: 1s}\n"
        f"rule_files: [{'' if rules is None else rules}]\n"
        f"scrape_configs: [{{job_name: shop, static_configs: {targets}}}]\n"
    )  # fmt: skip
    port = free_port()
    words = ["prometheus", f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={data}"]
    words += [f"--web.listen-address=127.0.0.1:{port}", "--storage.tsdb.retention.time=10y"]
    with (folder / "prometheus.log").open("ab") as log:
        process = subprocess.Popen(words, stdout=log, stderr=log)
    try:
        until = time.monotonic() + WAIT
        while time.monotonic() < until:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=1).close()
                break
            except OSError:
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)

"""--out sql: and --out parquet: in real PostgreSQL, MariaDB, SQLite and DuckDB, and in files: each row once."""

import json
import os
import signal
import sqlite3
import subprocess
import sysconfig
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pytest
from paths import ROOT
from servers import MariaDb, Postgres, mariadb, postgres

TXMON = str(Path(sysconfig.get_path("scripts")) / "txmon")
SAMPLE = ROOT / "examples" / "transactions.csv"
PASSWORD = Postgres.PASSWORD
Ask = Callable[[str], list[tuple[Any, ...]]]
ENVIRONMENT = {**os.environ, "TXMON_OUT_PASSWORD": PASSWORD}


def run(*words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [TXMON, *words], capture_output=True, text=True, timeout=120, check=False, env={**ENVIRONMENT, **environment}
    )


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with postgres() as running:
        running.run("GRANT CREATE, USAGE ON SCHEMA public TO txmon")
        yield running


@pytest.fixture(scope="module")
def maria() -> Iterator[MariaDb]:
    with mariadb() as running:
        yield running


@pytest.fixture(params=["postgresql", "mysql", "sqlite", "duckdb", "parquet"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Ask]:
    """Where lines go, and what asks for them: `verdicts` and `incidents` stand for the tables' names."""
    name = f"v{time.monotonic_ns()}"
    if request.param in ("postgresql", "mysql"):
        store: Postgres | MariaDb = request.getfixturevalue("server" if request.param == "postgresql" else "maria")
        prefix = "shop." if request.param == "mysql" else ""

        def in_server(text: str) -> list[tuple[Any, ...]]:
            named = text.replace(" incidents", f" {prefix}{name}_incidents").replace(" verdicts", f" {prefix}{name}")
            return [tuple(row) for row in store.run(named)]

        return f"sql:{store.url}/{name}", in_server
    path = tmp_path / "out"

    def in_file(text: str) -> list[tuple[Any, ...]]:
        if request.param == "sqlite":
            with closing(sqlite3.connect(path)) as base:
                return base.execute(text.replace(" incidents", " verdicts_incidents")).fetchall()
        if request.param == "duckdb":
            with closing(duckdb.connect(str(path), read_only=True)) as other:
                return other.execute(text.replace(" incidents", " verdicts_incidents")).fetchall()
        for table in ("verdicts", "incidents"):
            text = text.replace(f" {table}", f" '{path}/{table}/*/*.parquet'")
        return duckdb.connect().execute(text).fetchall()

    return (f"parquet:{path}" if request.param == "parquet" else f"sql:{request.param}:///{path}/verdicts"), in_file


def lines_of(text: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    rows = [json.loads(line) for line in text.splitlines()]
    return [row for row in rows if "event" not in row], [row for row in rows if "event" in row]


def test_a_table_has_each_line_once_however_often_it_is_written(place: tuple[str, Ask]) -> None:
    out, ask = place
    verdicts, events = lines_of(run("replay", str(SAMPLE)).stdout)
    for _ in range(2):
        done = run("replay", str(SAMPLE), "--out", out, "--chart", "never")
        assert (done.returncode, done.stdout) == (0, ""), done.stderr
        found = ask("SELECT time, status, count, expected, score, recommendation, text, incident FROM verdicts")
        assert len(found) == len(verdicts)
        given = sorted((text, status, count, score, told) for _, status, count, _, score, told, text, _ in found)
        wanted = sorted((r["text"], r["status"], r["count"], r["score"], r["recommendation"]) for r in verdicts)
        assert given == wanted
        assert sum(row[3] for row in found) == pytest.approx(sum(row["expected"] for row in verdicts))
        kinds = ask("SELECT event, count(*) FROM incidents GROUP BY 1 ORDER BY 1")
        assert dict(kinds) == Counter(row["event"] for row in events)
        lines = [json.loads(row[0]) for row in ask("SELECT line FROM incidents WHERE event = 'incident'")]
        assert sorted(row["text"] for row in lines) == sorted(r["text"] for r in events if r["event"] == "incident")


ROWS = "time,status,count,merchant\n"


def rows(begin: int, end: int, count: int = 50, status: str = "approved") -> str:
    return "".join(f"2026-03-02T{m // 60:02}:{m % 60:02}:00Z,{status},{count},m{m % 2}\n" for m in range(begin, end))


def test_late_rows_replace_the_verdict(place: tuple[str, Ask], tmp_path: Path) -> None:
    out, ask = place
    late = rows(0, 60) + rows(55, 56, 7, "failed") + rows(60, 80)
    done = subprocess.run(
        [TXMON, "watch", "--out", out, "--lateness", "0s"], input=(ROWS + late).encode(), env=ENVIRONMENT,
        capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = ask("SELECT count, revises FROM verdicts WHERE status = '*'")
    assert len(found) == 80
    assert [(count, bool(revises)) for count, revises in found if revises] == [(57, True)]
    assert sum(count for count, _ in found) == 80 * 50 + 7


@pytest.mark.parametrize("place", ["mysql", "parquet"], indirect=True)
def test_a_key_has_rows_of_its_own(place: tuple[str, Ask], tmp_path: Path) -> None:
    out, ask = place
    path = tmp_path / "keys.csv"
    path.write_text(ROWS + rows(0, 30))
    done = run("replay", str(path), "--group-by", "merchant", "--out", out)
    assert done.returncode == 0, done.stderr
    quote = "`" if "mysql" in out else '"'
    keys = {row[0] for row in ask(f"SELECT DISTINCT {quote}key{quote} FROM verdicts")}
    assert {'{"merchant": "m0"}', '{"merchant": "m1"}'} <= keys


@pytest.mark.parametrize("place", ["postgresql", "sqlite", "parquet"], indirect=True)
def test_kill_9_at_any_moment_and_a_rerun_give_each_row_once(place: tuple[str, Ask], tmp_path: Path) -> None:
    out, ask = place
    path, state = tmp_path / "feed.csv", tmp_path / "state"
    text = ROWS + "".join(rows(m, m + 1) + rows(m, m + 1, m % 5, "failed") for m in range(300))
    path.write_text(ROWS)
    words = [TXMON, "watch", "--follow", str(path), "--state", str(state), "--out", out, "--lateness", "0s"]
    body = text.removeprefix(ROWS).splitlines(keepends=True)
    for step in range(4):
        with (tmp_path / "err").open("ab") as err, subprocess.Popen(words, stderr=err, env=ENVIRONMENT) as process:
            for part in range(5):
                with path.open("a") as file:
                    file.write("".join(body[(5 * step + part) * 30 : (5 * step + part + 1) * 30]))
                time.sleep(0.15 * (step + 1) if part < 4 else 0.3)
            process.send_signal(signal.SIGKILL if step < 3 else signal.SIGHUP)
            if step == 3:
                time.sleep(3)
                process.send_signal(signal.SIGTERM)
            process.wait(30)
    whole = tmp_path / "whole.csv"
    whole.write_text(text)
    verdicts, _ = lines_of(run("replay", str(whole)).stdout)
    found = ask("SELECT time, status, count FROM verdicts")
    assert len(found) == len({row[:2] for row in found})
    wanted = [row["count"] for row in verdicts if row["status"] == "*" and row["time"] < "2026-03-02T04:55"]
    given = sorted((str(at), count) for at, status, count in found if status == "*")
    assert [count for _, count in given][: len(wanted)] == wanted, (tmp_path / "err").read_text()
    assert PASSWORD not in (tmp_path / "err").read_text()


def test_a_database_that_is_away_is_waited_for_and_no_row_is_lost(server: Postgres, tmp_path: Path) -> None:
    path, state = tmp_path / "feed.csv", tmp_path / "state"
    path.write_text(ROWS + rows(0, 30))
    name = "away"
    words = [TXMON, "watch", "--follow", str(path), "--state", str(state), "--out", f"sql:{server.url}/{name}"]
    words += ["--lateness", "0s"]
    err = tmp_path / "err"

    def until(true: Callable[[], bool]) -> None:
        end = time.monotonic() + 40
        while not true():
            assert time.monotonic() < end, err.read_text()
            time.sleep(0.1)

    def many() -> int:
        return int(server.run(f"SELECT count(*) FROM {name} WHERE status = '*'")[0][0])

    with err.open("ab") as said, subprocess.Popen(words, stderr=said, env=ENVIRONMENT) as process:
        until(lambda: "away" in str(server.run("SELECT table_name FROM information_schema.tables")))
        until(lambda: many() >= 20)
        server.stop()
        with path.open("a") as file:
            file.write(rows(30, 60))
        until(lambda: "txmon keeps the rows and tries again" in err.read_text())
        process.terminate()  # the state keeps what could not be written
        assert process.wait(30) == 0
    server.start()
    with path.open("a") as file:
        file.write(rows(60, 80))
    with err.open("ab") as said, subprocess.Popen(words, stderr=said, env=ENVIRONMENT) as process:
        until(lambda: many() >= 75)
        process.terminate()
        assert process.wait(30) == 0
    assert PASSWORD not in err.read_text() + state.read_bytes().decode("latin-1")
    minutes = server.run(f"SELECT extract(epoch FROM time)::bigint / 60 FROM {name} WHERE status = '*' ORDER BY 1")
    first = int(minutes[0][0])
    assert [int(row[0]) - first for row in minutes] == list(range(len(minutes)))


def test_tables_of_an_older_version_are_migrated_and_others_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "base.db"
    out = f"sql:sqlite:///{path}/verdicts"
    assert run("replay", str(SAMPLE), "--out", out).returncode == 0
    with closing(sqlite3.connect(path)) as base, base:
        base.execute("DROP INDEX verdicts_by_status")  # version 1 had none
        base.execute("UPDATE txmon_migrations SET version = 1")
    assert run("replay", str(SAMPLE), "--out", out).returncode == 0
    with closing(sqlite3.connect(path)) as base, base:
        assert base.execute("SELECT version FROM txmon_migrations").fetchall() == [(2,)]
        assert ("verdicts_by_status",) in base.execute("SELECT name FROM sqlite_master").fetchall()
        base.execute("UPDATE txmon_migrations SET version = 9")
        base.execute("CREATE TABLE customers (name TEXT)")
    newer = run("replay", str(SAMPLE), "--out", out)
    assert (newer.returncode, "a newer txmon wrote it (version 9)" in newer.stderr) == (78, True)
    foreign = run("replay", str(SAMPLE), "--out", f"sql:sqlite:///{path}/customers")
    assert (foreign.returncode, "not one that txmon created. Name another table" in foreign.stderr) == (78, True)


@pytest.mark.parametrize(
    ("out", "code", "says"),
    [
        ("sql:postgresql://me:hunter2@db/x/verdicts", 2, "must not contain a password"),
        ("sql:verdicts", 2, "is not sql:URL/TABLE. Use for example sql:postgresql://"),
        ("sql:sqlite:///a.db/drop table", 2, "is not sql:URL/TABLE"),
        ("sql:sqlite:///verdicts", 78, "names no database"),
        ("sql:nonsense://x/y/verdicts", 78, "no driver for 'nonsense'"),
        ("sql:sqlite:////nowhere/at/all.db/verdicts", 74, "unable to open database file"),
        ("sql:postgresql://me@127.0.0.1:1/x/verdicts", 74, "refused"),
        ("parquet:", 2, "names no folder"),
        ("parquet:/proc/nowhere", 74, "/proc/nowhere: "),
    ],
)
def test_mistakes_are_one_clear_line(out: str, code: int, says: str, tmp_path: Path) -> None:
    done = run("replay", str(SAMPLE), "--out", out, "-q", "--chart", "never")
    assert done.returncode == code, done.stderr
    assert says in done.stderr
    assert "hunter2" not in done.stderr
    assert PASSWORD not in done.stderr
    assert done.stderr.count("\n") == 1


def test_no_input_is_written_to(tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    with closing(sqlite3.connect(path)) as base, base:
        base.execute("CREATE TABLE counts (time TEXT, status TEXT, count INTEGER)")
    done = run("replay", "--sql", f"sqlite:///{path}", "--query", "SELECT * FROM counts",
               "--out", f"sql:sqlite:///{path}/verdicts")  # fmt: skip
    assert (done.returncode, "txmon never writes to its input" in done.stderr) == (2, True)
    inside = tmp_path / "folder" / "day.csv"
    inside.parent.mkdir()
    inside.write_text(SAMPLE.read_text())
    done = run("replay", str(inside), "--out", f"parquet:{inside.parent}")
    assert (done.returncode, "contains the input" in done.stderr) == (2, True)


def test_one_process_writes_to_a_folder_at_a_time(tmp_path: Path) -> None:
    words = [TXMON, "watch", "--out", f"parquet:{tmp_path}"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT) as first:
        end = time.monotonic() + 20
        while not (tmp_path / ".lock").exists():
            assert time.monotonic() < end
            time.sleep(0.05)
        time.sleep(0.2)
        done = run("replay", str(SAMPLE), "--out", f"parquet:{tmp_path}")
        first.kill()
    assert (done.returncode, "another process writes to this folder" in done.stderr) == (78, True)


@pytest.mark.parametrize("place", ["sqlite", "parquet"], indirect=True)
def test_alerts_alone(place: tuple[str, Ask]) -> None:
    out, ask = place
    assert run("replay", str(SAMPLE), "--out", out, "--only", "alerts").returncode == 0
    assert {row[0] for row in ask("SELECT DISTINCT recommendation FROM verdicts")} <= {"alert", "pending"}


@pytest.mark.parametrize("place", ["sqlite", "parquet"], indirect=True)
def test_serve_writes_to_tables_too(place: tuple[str, Ask], tmp_path: Path) -> None:
    out, ask = place
    words = [TXMON, "serve", "--port", "0", "--out", out, "--state", str(tmp_path / "state")]
    with subprocess.Popen(words, stderr=subprocess.PIPE, env=ENVIRONMENT, text=True) as process:
        assert process.stderr is not None
        address = next(line for line in process.stderr if "serving on" in line).split()[-1]
        body = (ROWS + rows(0, 60)).encode()
        request = urllib.request.Request(f"{address}v1/transactions", body, {"Content-Type": "text/csv"})
        urllib.request.urlopen(request, timeout=20).close()
        process.terminate()
        process.communicate(timeout=60)
    assert process.returncode == 0
    minutes = ask("SELECT count(*) FROM verdicts WHERE status = '*'")
    assert 50 <= minutes[0][0] <= 60


def test_doctor_looks_at_the_database(server: Postgres, tmp_path: Path) -> None:
    for out, mark, says in (
        (f"sql:{server.url}/verdicts", "ok", "the database answers"),
        ("sql:postgresql://me@127.0.0.1:1/x/verdicts", "BAD", "efused"),
        (f"sql:sqlite:///{tmp_path}/new.db/verdicts", "ok", "it can be made"),
        (f"parquet:{tmp_path}/new", "ok", "it can be made"),
        ("parquet:/nowhere/at/all", "BAD", "there is no folder /nowhere/at"),
    ):
        done = run("doctor", "--out", out)
        (line,) = [line for line in done.stdout.splitlines() if line.split()[1] == "out"]
        assert line.split()[0] == mark
        assert says in line
        assert PASSWORD not in done.stdout + done.stderr
    assert list(tmp_path.iterdir()) == []

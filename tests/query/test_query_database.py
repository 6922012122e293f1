"""`txmon query --sql`: tables of real databases beside files, read-only."""

import json
import os
import sqlite3
import subprocess
import sysconfig
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import duckdb
import pytest
from paths import ROOT
from servers import Postgres, postgres

TXMON = str(Path(sysconfig.get_path("scripts")) / "txmon")
SAMPLE = ROOT / "examples" / "transactions.csv"
ROWS = [("2026-03-02T10:00:00Z", "approved", 1250.5, "m1"), ("2026-03-02T10:00:30Z", "failed", None, "m2")]


def query(*words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [TXMON, "query", *words], capture_output=True, text=True, timeout=120, check=False,
        env={**os.environ, "TXMON_SQL_PASSWORD": Postgres.PASSWORD, **environment},
    )  # fmt: skip


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with postgres() as running:
        running.run("CREATE TABLE payments (paid_at timestamptz, status text, amount numeric, merchant text)")
        running.run("INSERT INTO payments VALUES (%s, %s, %s, %s)", ROWS)
        yield running


@pytest.fixture(params=["postgresql", "sqlite", "duckdb"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgresql":
        found: Postgres = request.getfixturevalue("server")
        return found.url
    path = tmp_path / "shop.db"
    if request.param == "sqlite":
        with closing(sqlite3.connect(path)) as base, base:
            base.execute("CREATE TABLE payments (paid_at TEXT, status TEXT, amount REAL, merchant TEXT)")
            base.executemany("INSERT INTO payments VALUES (?, ?, ?, ?)", ROWS)
    else:
        with closing(duckdb.connect(str(path))) as other:
            other.execute(
                "CREATE TABLE payments (paid_at TIMESTAMPTZ, status VARCHAR, amount DOUBLE, merchant VARCHAR)"
            )
            other.executemany("INSERT INTO payments VALUES (?, ?, ?, ?)", ROWS)
    return f"{request.param}:///{path}"


def test_tables_stand_beside_files(address: str) -> None:
    sql = (
        "SELECT p.status, p.amount, count(*) AS minutes FROM db.payments p JOIN transactions t USING (status)"
        " GROUP BY ALL ORDER BY 1"
    )
    done = query(sql, str(SAMPLE), "--sql", address, "--format", "jsonl")
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(row["status"], row["amount"]) for row in rows] == [("approved", 1250.5), ("failed", None)]
    assert rows[0]["minutes"] > 1000


def test_rows_of_a_query_are_transactions_as_replay_reads_them(address: str) -> None:
    done = query("SELECT time, status, count FROM transactions ORDER BY 1", "--sql", address, "--format", "csv",
                 "--query", "SELECT paid_at AS created_at, status FROM payments")  # fmt: skip
    assert done.stdout.splitlines() == [
        "time,status,count", "2026-03-02 10:00:00,approved,1", "2026-03-02 10:00:30,failed,1",
    ], done.stderr  # fmt: skip


def test_the_tables_are_listed(address: str) -> None:
    done = query("--sql", address)
    assert "db.payments  (2 rows)\n    paid_at " in done.stdout, done.stderr


def test_nothing_is_written(address: str) -> None:
    done = query("DELETE FROM db.payments WHERE true", "--sql", address)
    assert (done.returncode, "a query reads its files and changes nothing" in done.stderr) == (2, True)
    query("CREATE TABLE db.more AS SELECT 1 AS one", "--sql", address)  # of a copy, or refused
    listed = query("--sql", address).stdout
    assert "(2 rows)" in listed
    assert "more" not in listed


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("SELECT 1 FROM db.paymens",), 2, "has no table 'paymens'; did you mean 'payments'? It has: payments."),
        (("SELECT nothing FROM db.payments",), 2, 'column "nothing"'),
    ],
)
def test_mistakes_in_the_sql(server: Postgres, words: tuple[str, ...], code: int, says: str) -> None:
    done = query(*words, "--sql", server.url)
    assert done.returncode == code
    assert says in done.stderr


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("SELECT 1 AS x FROM db.t", "--sql", "postgresql://me:hunter2@db/x"), 2, "must not contain a password"),
        (("SELECT 1 AS x", "--query", "SELECT 1"), 2, "--query needs --sql URL"),
        (("SELECT 1 AS x FROM db.t", "--sql", "postgresql://me@127.0.0.1:1/x"), 74, "efused"),
        (("SELECT 1 AS x FROM db.t", "--sql", "duckdb:////nowhere/at/all.db"), 74, "/nowhere/at/all.db"),
    ],
)
def test_a_database_that_cannot_be_attached(words: tuple[str, ...], code: int, says: str) -> None:
    done = query(*words)
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    assert says in done.stderr
    assert "hunter2" not in done.stderr
    assert Postgres.PASSWORD not in done.stderr


def test_the_result_is_not_written_to_the_database(tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    with closing(sqlite3.connect(path)) as base, base:
        base.execute("CREATE TABLE t (x)")
    done = query("SELECT 1 AS x FROM db.t", "--sql", f"sqlite:///{path}", "--out", str(path), "--format", "csv")
    assert (done.returncode, "txmon never writes to its input" in done.stderr) == (2, True)

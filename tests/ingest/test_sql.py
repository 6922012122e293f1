"""Databases as sources: real PostgreSQL, SQLite and DuckDB, through the command."""

import csv
import io
import json
import os
import signal
import sqlite3
import subprocess
import sysconfig
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from paths import ROOT
from servers import MariaDb, Postgres, mariadb, postgres
from tools import need

from txmon.errors import BadData, IoFailure
from txmon.ingest.reading import Hints
from txmon.ingest.records import ParseOptions
from txmon.ingest.sql import Database, SqlQuery, SqlRows, SqlSource, earlier, packed, unpacked
from txmon.support.sql_address import hidden

TXMON = str(Path(sysconfig.get_path("scripts")) / "txmon")
SAMPLE = ROOT / "examples" / "transactions.csv"
QUERY = "SELECT created_at, status FROM payments"


def rows(limit: int = 10**9) -> list[tuple[str, str, int]]:
    with SAMPLE.open() as file:
        return [(row["time"], row["status"], int(row["count"])) for row in list(csv.DictReader(file))[:limit]]


def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [TXMON, *words], capture_output=True, text=True, timeout=120, check=False, env={**os.environ, **environment}
    )


def totals(lines: str) -> dict[tuple[str, str], int]:
    """The last count of each time and status, those of the total and of open buckets left out."""
    found: dict[tuple[str, str], int] = {}
    for line in lines.splitlines():
        row: dict[str, Any] = json.loads(line)
        if "recommendation" in row and row["status"] != "*" and not row.get("partial"):
            found[row["time"], row["status"]] = row["count"]
    return found


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with postgres() as running:
        running.run("CREATE TABLE counts (minute timestamptz, status text, transactions bigint)")
        running.run("INSERT INTO counts VALUES (%s, %s, %s)", rows())
        yield running


def test_a_table_of_counts_gives_the_verdicts_of_the_file(server: Postgres) -> None:
    query = "SELECT minute AS time, status, transactions AS count FROM counts"
    done = run("replay", "--sql", server.url, "--query", query, TXMON_SQL_PASSWORD=server.PASSWORD)
    assert done.returncode == 0, done.stderr
    assert done.stdout == run("replay", str(SAMPLE)).stdout


def test_a_part_of_the_table(server: Postgres) -> None:
    words = ("--since", "2026-03-02T10:00:00Z", "--until", "2026-03-02T11:00:00Z", "--watermark", "minute")
    query = "SELECT minute AS time, minute, status, transactions AS count FROM counts"
    done = run("replay", "--sql", server.url, "--query", query, *words)
    wanted = {(time, status): count for time, status, count in rows() if "T10:" in time}
    assert totals(done.stdout) == wanted


def test_the_reading_is_decided_and_said_as_for_a_file(server: Postgres, tmp_path: Path) -> None:
    server.run("CREATE TABLE odd AS SELECT minute AS moment, status AS outcome, transactions AS how_many FROM counts")
    words = ("--sql", server.url, "--query", "SELECT * FROM odd", "--watermark", "moment", "--map", "time=moment")
    said = "rows of --query; time=moment (UTC), status=outcome, count=how_many\n"
    try:
        for command in ("replay", "inspect"):
            done = run(
                command, *words, "--map", "count=how_many", TXMON_NO_READING="false", TXMON_SQL_PASSWORD=server.PASSWORD
            )
            assert done.returncode == 0, done.stderr
            assert said in done.stderr + done.stdout
        found = json.loads(
            run("inspect", "--json", *words, "--map", "count=how_many", TXMON_SQL_PASSWORD=server.PASSWORD).stdout
        )
        assert found["columns"] == {"time": "moment", "status": "outcome", "count": "how_many"}
        assert found["records"] == len(rows())
        assert found["totals"]["approved"] == sum(count for _, status, count in rows() if status == "approved")
    finally:
        server.run("DROP TABLE odd")


def test_a_query_without_rows_says_so(server: Postgres) -> None:
    for command in ("replay", "inspect"):
        done = run(command, "--sql", server.url, "--query", "SELECT minute AS time, status FROM counts WHERE false",
                   TXMON_SQL_PASSWORD=server.PASSWORD)  # fmt: skip
        assert (done.returncode, done.stdout) == (65, "")
        assert "--query gives no rows. Look at its conditions, --since and --until." in done.stderr


def test_a_column_of_counts_without_a_known_name_grows_too(server: Postgres) -> None:
    """What the reading finds to be a count is one for the source: a count that grows is no new row."""
    server.run("CREATE TABLE hourly (time timestamptz, status text, how_many int)")
    try:
        server.run("INSERT INTO hourly VALUES (%s, %s, %s)", [(f"2026-03-02T10:{m:02}:00Z", s, 30 + m) for m in range(9)
                                                             for s in ("approved", "failed")])  # fmt: skip
        query = SqlQuery(server.url, "SELECT * FROM hourly", server.PASSWORD, since="2026-03-02 00:00:00", overlap=900,
                         every=0.0)  # fmt: skip
        hints = Hints(ParseOptions(mapping={"count": "how_many"}))
        with closing(SqlSource(query, print, hints=hints)) as reading:
            assert len(drained_rows(reading)) == 18
            kept = json.loads(json.dumps(reading.position(0)))
            server.run("UPDATE hourly SET how_many = 100 WHERE status = 'failed' AND time = '2026-03-02T10:08:00Z'")
            with closing(SqlSource(query, print, kept, hints=hints)) as again:
                assert [row["how_many"] for row in drained_rows(again)] == [62]
    finally:
        server.run("DROP TABLE hourly")


@pytest.mark.parametrize("kind", ["sqlite", "duckdb"])
def test_files_of_databases(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "shop.db"
    if kind == "sqlite":
        with sqlite3.connect(path) as base:
            base.execute("CREATE TABLE counts (time TEXT, status TEXT, count INTEGER)")
            base.executemany("INSERT INTO counts VALUES (?, ?, ?)", rows())
        base.close()
    else:
        import duckdb

        with duckdb.connect(str(path)) as other:
            other.execute(f"CREATE TABLE counts AS SELECT * FROM read_csv('{SAMPLE}')")
    done = run("replay", "--sql", f"{kind}:///{path}", "--query", "SELECT * FROM counts ORDER BY status")
    assert done.returncode == 0, done.stderr
    assert totals(done.stdout) == {(time, status): count for time, status, count in rows()}


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("--query", "SELECT 1"), 2, "--query needs --sql URL or --prometheus URL"),
        (("--sql", "sqlite:////nowhere/at/all.db", "--query", "SELECT * FROM t"), 74, "unable to open database file"),
        (("--sql", "nonsense", "--query", "SELECT 1"), 78, "is not a database URL. Use for example postgresql://"),
        (("--sql", "sqlite://", "--query", "SELECT * FROM payments"), 65, "no such table: payments"),
        (("--sql", "sqlite://", "--query", "SELECT 1 AS a, 2 AS b"), 65, "has no time column. It has: a, b."),
        (("--sql", "sqlite://", "--query", "DROP TABLE t"), 65, "--query must be a SELECT. txmon only reads."),
        (("--sql", "sqlite://", "--query", "SELECT 1 AS time", "--watermark", "x"), 65, "no column 'x'. It has: time"),
        (("--sql", "sqlite://"), 2, "--sql needs --query"),
        (("--sql", "postgresql://me:hunter2@db/x", "--query", "SELECT 1"), 2, "--sql must not contain a password"),
        (("--sql", "sqlite://", "--query", "SELECT 1", "--step", "1m"), 2, "--step belongs to --prometheus"),
        (("--sql", "sqlite://", "--query", "SELECT 1", "a.csv"), 2, "replace FILE... Leave the files out."),
    ],
)  # fmt: skip
def test_mistakes_are_one_clear_line(words: tuple[str, ...], code: int, says: str) -> None:
    done = run("replay", *words)
    assert (done.returncode, done.stdout) == (code, "")
    assert says in done.stderr
    assert "hunter2" not in done.stderr


def test_a_refused_login_says_so_without_the_password(server: Postgres, tmp_path: Path) -> None:
    nobody = server.url.replace("txmon@", "nobody@")
    done = run("replay", "--sql", nobody, "--query", QUERY, TXMON_SQL_PASSWORD="hunter2")
    assert done.returncode == 74
    assert 'role "nobody" does not exist' in done.stderr
    assert "hunter2" not in done.stderr


class Watch:
    """A watch of the table `payments`, with what it wrote."""

    def __init__(self, server: Postgres, folder: Path, *words: str) -> None:
        self.folder = folder
        self._words = [
            TXMON, "watch", "--sql", server.url, "--query", QUERY, "--poll", "1s", "--overlap", "10m",
            "--since", "2026-03-02 00:00:00", "--state", str(folder / "state"), "--out", str(folder / "out"),
            "--lateness", "1h", *words,
        ]  # fmt: skip
        self._environment = {**os.environ, "TXMON_SQL_PASSWORD": Postgres.PASSWORD}
        self.start()

    def start(self) -> None:
        with (self.folder / "err").open("ab") as err:
            self._process = subprocess.Popen(self._words, stderr=err, env=self._environment)

    def end(self, number: int = signal.SIGTERM) -> None:
        self._process.send_signal(number)
        self._process.wait(30)

    def said(self) -> str:
        return (self.folder / "err").read_text()


def until(true: Any, seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.1)


@contextmanager
def source(
    server: Postgres, position: dict[str, Any] | None = None, said: list[str] | None = None
) -> Iterator[SqlSource]:
    query = SqlQuery(server.url, QUERY, server.PASSWORD, since="2026-03-02 00:00:00", overlap=600, every=0.0)
    with closing(SqlSource(query, (said if said is not None else []).append, position)) as reading:
        yield reading


def drained_rows(reading: SqlSource) -> list[dict[str, Any]]:
    found = []
    while (chunk := reading.read()) is not None:
        found += [json.loads(line) for line in chunk.lines]
    return found


def drained(reading: SqlSource) -> list[tuple[str, str]]:
    found = []
    while (chunk := reading.read()) is not None:
        found += [(row["created_at"], row["status"]) for row in map(json.loads, chunk.lines)]
    return found


@pytest.fixture
def payments(server: Postgres) -> Iterator[Postgres]:
    server.run("CREATE TABLE payments (created_at timestamptz, status text)")
    yield server
    server.run("DROP TABLE payments")


INSERT = "INSERT INTO payments VALUES (%s, %s)"


def test_rows_committed_late_and_rows_alike_are_given_once(payments: Postgres) -> None:
    payments.run(INSERT, [("2026-03-02T10:00:00Z", "approved")] * 3 + [("2026-03-02T10:05:00Z", "denied")])
    with source(payments) as reading:
        assert len(drained(reading)) == 4
        assert drained(reading) == []
        payments.run(INSERT, [("2026-03-02T10:01:00Z", "failed"), ("2026-03-02T10:00:00Z", "approved")])  # late
        found = drained(reading)
        assert [status for _, status in found] == ["approved", "failed"]
        assert drained(reading) == []


def test_a_restart_goes_on_without_a_repeat(payments: Postgres) -> None:
    payments.run(INSERT, [("2026-03-02T10:00:00Z", "approved"), ("2026-03-02T10:05:00Z", "denied")])
    with source(payments) as reading:
        assert len(drained(reading)) == 2
        kept = json.loads(json.dumps(reading.position(0)))
        payments.run(INSERT, [("2026-03-02T10:04:00Z", "failed"), ("2026-03-02T10:06:00Z", "failed")])
        with source(payments, kept) as again:
            assert [status for _, status in drained(again)] == ["failed", "failed"]


def test_the_server_may_go_away_and_come_back(payments: Postgres) -> None:
    payments.run(INSERT, [("2026-03-02T10:00:00Z", "approved")])
    said: list[str] = []
    with source(payments, None, said) as reading:
        assert len(drained(reading)) == 1
        payments.stop()
        assert drained(reading) == []
        assert len(said) == 1
        assert "tries again until it answers" in said[0]
        payments.start()
        payments.run(INSERT, [("2026-03-02T10:01:00Z", "denied")])
        until(lambda: [status for _, status in drained(reading)] == ["denied"])
        assert said[1].endswith("answers again")
        assert Postgres.PASSWORD not in "".join(said)


def test_a_changed_table_is_one_clear_line(payments: Postgres) -> None:
    payments.run(INSERT, [("2026-03-02T10:00:00Z", "approved")])
    query = SqlQuery(payments.url, "SELECT * FROM payments", payments.PASSWORD, since="2026-03-02 00:00:00", every=0.0)
    with closing(SqlSource(query, print)) as reading:
        assert reading.read() is not None
        payments.run("ALTER TABLE payments ADD COLUMN merchant text")
        with pytest.raises(BadData, match="columns changed from created_at, status to created_at, status, merchant"):
            reading.read()


def test_counts_that_grow_are_counted_once(server: Postgres) -> None:
    server.run("CREATE TABLE growing (time timestamptz, status text, count int)")
    try:
        server.run("INSERT INTO growing VALUES ('2026-03-02T10:00:00Z', 'failed', 3)")
        query = SqlQuery(server.url, "SELECT * FROM growing", server.PASSWORD, since="2026-03-02 00:00:00", every=0.0)
        with closing(SqlSource(query, print)) as reading:

            def counts() -> list[int]:
                chunk = reading.read()
                return [] if chunk is None else [json.loads(line)["count"] for line in chunk.lines]

            assert counts() == [3]
            assert counts() == []
            server.run("UPDATE growing SET count = 10")
            assert counts() == [7]
    finally:
        server.run("DROP TABLE growing")


def polled_since(server: Postgres, moment: object) -> bool:
    """Whether txmon has asked for rows since `moment`, and has them."""
    found = server.run("SELECT query_start, state FROM pg_stat_activity WHERE application_name = 'txmon'")
    return any(begun is not None and begun > moment and state == "idle" for begun, state in found)


def test_kill_9_at_any_moment_loses_and_repeats_nothing(payments: Postgres, tmp_path: Path) -> None:
    wanted: dict[tuple[str, str], int] = {}
    watch = Watch(payments, tmp_path)
    try:
        for minute in range(12):
            stamp = f"2026-03-02T10:{minute:02}:00Z"
            payments.run(INSERT, [(stamp, "approved")] * 5 + [(stamp, "denied")] * (minute % 3))
            wanted |= {(stamp, status): count for status, count in (("approved", 5), ("denied", minute % 3)) if count}
            if minute % 4 == 3:
                time.sleep(0.7)
                watch.end(signal.SIGKILL)
                watch.start()
        # a poll that began after the last row was there has ended
        (asked,) = payments.run("SELECT now()")[0]
        until(lambda: polled_since(payments, asked))
    finally:
        watch.end()
    assert Postgres.PASSWORD not in watch.said() + (tmp_path / "state").read_bytes().decode("latin-1")
    done = subprocess.run(
        [TXMON, "watch", "--state", str(tmp_path / "state"), "--out", str(tmp_path / "out"), "--lateness", "0s"],
        input=("time,status,count\n" + "".join(f"2026-03-02T12:{m}:00Z,approved,1\n" for m in range(10, 60))).encode(),
        capture_output=True, timeout=60, check=True,
    )  # fmt: skip
    assert done.returncode == 0
    found = totals((tmp_path / "out").read_text())
    assert {place: count for place, count in found.items() if place in wanted} == wanted


def test_the_password_is_in_no_process_list(payments: Postgres, tmp_path: Path) -> None:
    watch = Watch(payments, tmp_path)
    try:
        listed = subprocess.run([need("ps"), "axww", "-o", "args"], capture_output=True, text=True, check=True).stdout
        assert "--sql" in listed
        assert Postgres.PASSWORD not in listed
    finally:
        watch.end()


def test_watermarks_go_to_json_and_back() -> None:
    for at in ("2026-03-02 10:00:00", "2026-03-02T10:00:00Z", 1772445600, 1772445600000, 1.5):
        assert unpacked(json.loads(json.dumps(packed(at)))) == at
    assert earlier("2026-03-02 10:00:00", 60) == "2026-03-02 09:59:00"
    assert earlier("2026-03-02T10:00:00Z", 60) == "2026-03-02T09:59:00Z"
    assert earlier(1772445600, 60) == 1772445540
    assert earlier(1772445600000, 60) == 1772445540000
    with pytest.raises(BadData, match="not an ISO 8601 time"):
        earlier("yesterday", 60)


def test_passwords_are_left_out_of_texts() -> None:
    assert hidden("postgresql://a:b@c/d password=x") == "postgresql://a@c/d password=***"
    assert "b" not in Database(SqlQuery("sqlite://", "", password=None)).name.partition("://")[2]


def test_copied_rows_keep_newlines_quotes_and_signs(server: Postgres) -> None:
    server.run("CREATE TABLE odd_texts (created_at timestamptz, status text, note text)")
    notes = ['a "quoted" word', "two\nlines", "a, b; c", "100 % :since", "", "ação"]
    try:
        server.run(
            "INSERT INTO odd_texts VALUES ('2026-03-02T10:00:00.25Z', 'failed', %s)", [(note,) for note in notes]
        )
        query = (
            "SELECT created_at, status, note FROM odd_texts WHERE note NOT LIKE '%nothing%' AND created_at >= :since"
        )
        found = query_rows(server, query, since="2026-03-02 00:00:00", watermark=None)
        (header, *cells) = csv.reader(io.StringIO("\n".join(line.decode() for line in found)))
        assert header == ["created_at", "status", "note"]
        assert [note for _, _, note in cells] == notes
        done = run("replay", "--sql", server.url, "--query", query, "--since", "2026-03-02 00:00:00",
                   TXMON_SQL_PASSWORD=server.PASSWORD)  # fmt: skip
        assert totals(done.stdout) == {("2026-03-02T10:00:00Z", "failed"): len(notes)}, done.stderr
    finally:
        server.run("DROP TABLE odd_texts")


def query_rows(server: Postgres, text: str, since: str, watermark: str | None) -> list[bytes]:
    with SqlRows(SqlQuery(server.url, text, server.PASSWORD, watermark=watermark, since=since)) as found:
        assert found.container.format == "csv"
        return [line for lines in found for line in lines]


def test_a_field_within_json_is_read_by_its_path(server: Postgres) -> None:
    server.run("CREATE TABLE events (created_at timestamptz, body jsonb)")
    try:
        server.run(
            "INSERT INTO events VALUES ('2026-03-02T10:00:00Z', %s)", [('{"payment": {"status": "denied"}}',)] * 3
        )
        done = run("replay", "--sql", server.url, "--query", "SELECT * FROM events",
                   "--map", "status=body.payment.status",
                   TXMON_SQL_PASSWORD=server.PASSWORD)  # fmt: skip
        assert totals(done.stdout) == {("2026-03-02T10:00:00Z", "denied"): 3}, done.stderr
    finally:
        server.run("DROP TABLE events")


# MariaDB


@pytest.fixture(scope="module")
def maria() -> Iterator[MariaDb]:
    with mariadb() as running:
        running.run("CREATE TABLE shop.counts (minute TIMESTAMP, status VARCHAR(40), transactions BIGINT)")
        moments = [(time.replace("T", " ").removesuffix("Z"), status, count) for time, status, count in rows()]
        running.run("INSERT INTO shop.counts VALUES (%s, %s, %s)", moments)
        yield running


def test_mariadb_gives_the_verdicts_of_the_file(maria: MariaDb) -> None:
    query = "SELECT minute AS time, status, transactions AS count FROM counts"
    done = run("replay", "--sql", maria.url, "--query", query, TXMON_SQL_PASSWORD=maria.PASSWORD)
    assert done.returncode == 0, done.stderr
    assert done.stdout == run("replay", str(SAMPLE)).stdout


def test_rows_of_mariadb_are_given_once_and_it_may_go_away(maria: MariaDb) -> None:
    maria.run("CREATE TABLE shop.payments (created_at TIMESTAMP(6), status VARCHAR(40))")
    insert = "INSERT INTO shop.payments VALUES (%s, %s)"
    maria.run(insert, [("2026-03-02 10:00:00", "approved")] * 3 + [("2026-03-02 10:05:00", "denied")])
    said: list[str] = []
    query = SqlQuery(maria.url, QUERY, maria.PASSWORD, since="2026-03-02 00:00:00", overlap=600, every=0.0)
    with closing(SqlSource(query, said.append)) as reading:
        assert len(drained(reading)) == 4
        maria.run(insert, [("2026-03-02 10:01:00", "failed"), ("2026-03-02 10:00:00", "approved")])  # late
        assert [status for _, status in drained(reading)] == ["approved", "failed"]
        kept = json.loads(json.dumps(reading.position(0)))
        maria.stop()
        assert drained(reading) == []
        assert "tries again until it answers" in said[0]
        maria.start()
        until(lambda: drained(reading) == [] and said[-1].endswith("answers again"))
        with closing(SqlSource(query, said.append, kept)) as again:
            assert drained(again) == []
        assert maria.PASSWORD not in "".join(said)


def test_a_session_of_mariadb_reads_only(maria: MariaDb) -> None:
    base = Database(SqlQuery(maria.url, "", maria.PASSWORD))
    with closing(base):
        _, found = base.select("SELECT 1 AS one", {})
        list(found)
        with pytest.raises((BadData, IoFailure), match="READ ONLY"):
            base.select("DELETE FROM counts", {})

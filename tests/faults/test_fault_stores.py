"""Stores that go away, and secrets that stay secret: a live run on real PostgreSQL and Prometheus."""

import gzip
import json
import os
import signal
import subprocess
import sysconfig
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from servers import Postgres, postgres, prometheus
from tools import need

from txmon.ingest.rejects import RejectLog
from txmon.ingest.sql import SqlQuery, SqlSource
from txmon.model.keys import TOTAL
from txmon.model.outcome import Outcome
from txmon.model.verdict import Verdict
from txmon.runtime.factory import pipeline_of
from txmon.runtime.session import LiveSession
from txmon.settings.declarations import Settings

TXMON = str(Path(sysconfig.get_path("scripts")) / "txmon")
QUERY = "SELECT created_at, status FROM payments"
BEGIN = 1772445600  # 2026-03-02T10:00:00Z


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with postgres() as running:
        yield running


class Clock:
    """One moment for the wall clock and the other one."""

    def __init__(self) -> None:
        self.now = float(BEGIN)

    def __call__(self) -> float:
        return self.now


def iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat()


@pytest.mark.fault(
    "the database of `--sql` is away for ten minutes",
    "txmon says so once and tries again until it answers; the minutes are `unobserved`, and each row counts once",
)
def test_ten_minutes_without_the_server_are_no_silence_and_count_nothing_twice(server: Postgres) -> None:
    server.run("CREATE TABLE payments (created_at timestamptz, status text)")
    clock, said, outcomes, inserted = Clock(), list[str](), list[Outcome](), 0
    settings = Settings(warmup=600)
    session = LiveSession(
        settings, pipeline_of(settings, live=True, partial=True), RejectLog(), clock, clock, warn=said.append
    )
    query = SqlQuery(server.url, QUERY, server.PASSWORD, since="2026-03-02 09:00:00", overlap=120, every=5.0)
    with closing(SqlSource(query, said.append, None, clock, wall=clock)) as source:
        session.read_from(source, kind="jsonl")
        session.begin(deaf=False)
        for minute in range(90):
            away = 50 <= minute < 60
            if minute in (50, 60):
                (server.stop if minute == 50 else server.start)()
            if not away:
                rows = [(iso(clock.now + second), "approved") for second in range(0, 60, 3)]
                server.run("INSERT INTO payments VALUES (%s, %s)", rows)
                inserted += len(rows)
            for _ in range(6):
                clock.now += 10
                while True:
                    came, found = session.poll(())
                    outcomes += found
                    if not came:
                        break
                outcomes += session.tick()
    outcomes += session.finish()
    totals: dict[int, Verdict] = {}
    for outcome in outcomes:
        assert not outcome.alerted()
        totals |= {one.time: one for one in outcome.verdicts if one.status == TOTAL}
    assert sum(one.count for one in totals.values()) == inserted == 80 * 20
    gap = [totals[BEGIN + 60 * minute] for minute in range(50, 60)]
    assert {one.count for one in gap} == {0}
    assert {one.reasons for one in gap} == {("unobserved",)}
    assert any("not connected. Until then, txmon does not alert about silence" in line for line in said)
    assert any("answers again" in line for line in said)
    assert Postgres.PASSWORD not in "".join(said)


@pytest.mark.fault(
    "Prometheus has no point of a counter for some minutes",
    "the minutes are `unobserved`; a counter that stands still alerts as silence",
)
def test_minutes_without_any_point_of_prometheus_are_not_observed(tmp_path: Path) -> None:
    """A counter that is not scraped is not known, one that stands still is zero: the one is no alert, the other is."""
    lines, value = ["# TYPE transactions counter"], 0
    for minute in range(-2, 200):
        down, still = 60 <= minute < 75, 120 <= minute < 135
        for second in () if down else (1, 16, 31, 46):
            value += 120 if second > 20 and not still else 0  # between two scrapes of one minute
            lines += [f'transactions_total{{status="approved"}} {value} {BEGIN + 60 * minute + second}']
    with prometheus(tmp_path, "\n".join([*lines, "# EOF", ""])) as address:
        done = subprocess.run(
            [TXMON, "replay", "--prometheus", address, "--since", iso(BEGIN), "--until", iso(BEGIN + 180 * 60),
             "--query", "sum by (status) (increase(transactions_total[1m]))", "--only", "all"],
            capture_output=True, text=True, timeout=120, check=True,
        )  # fmt: skip
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    totals = {row["time"]: row for row in rows if row.get("status") == "*" and "recommendation" in row}

    def at(minute: int) -> dict[str, object]:
        found: dict[str, object] = totals[iso(BEGIN + 60 * minute).replace("+00:00", "Z")]
        return found

    assert [at(minute)["reasons"] for minute in range(62, 74)] == [["unobserved"]] * 12
    assert {at(minute)["recommendation"] for minute in range(60, 76)} <= {"ok", "pending"}
    assert "alert" in {at(minute)["recommendation"] for minute in range(121, 134)}


SECRET = Postgres.PASSWORD
TOKEN = "a-token-that-nobody-may-see"


def until(true: Callable[[], bool], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.mark.fault(
    "a database with a password goes away and comes back",
    "the password is in no process list, message, log, state or reject",
)
@pytest.mark.parametrize("way", ["environment", "file", "address"])
def test_no_secret_is_in_a_process_list_a_log_a_state_or_an_error(server: Postgres, tmp_path: Path, way: str) -> None:
    name = f"secret_{way}"
    server.run(f"CREATE TABLE {name} (created_at timestamptz, status text)")
    server.run(f"INSERT INTO {name} VALUES (%s, 'approved')", [(iso(BEGIN + 20 * n),) for n in range(300)])
    server.run("GRANT CREATE, USAGE ON SCHEMA public TO txmon")
    environment, words = {**os.environ, "TXMON_OUT_PASSWORD": SECRET}, [TXMON, "watch"]
    query = ["--query", f"SELECT created_at, status FROM {name}", "--since", "2026-03-02 00:00:00", "--poll", "1s"]
    if way == "environment":
        environment["TXMON_SQL_PASSWORD"] = SECRET
        words += ["--sql", server.url]
    elif way == "file":
        (tmp_path / "password").write_text(f"{SECRET}\n")
        words += ["--sql", server.url, "--password-file", str(tmp_path / "password")]
    else:
        environment["TXMON_SQL"] = server.url.replace("txmon@", f"txmon:{SECRET}@")
    folder = tmp_path / "written"
    folder.mkdir()
    words += [*query, "--state", str(folder / "state"), "--log", str(folder / "log"), "--lateness", "0s"]
    words += ["--out", f"sql:{server.url}/{name}_verdicts", "--rejects", str(folder / "rejects")]
    seen = b""
    with (folder / "err").open("wb") as err, subprocess.Popen(words, stderr=err, env=environment) as process:
        until(lambda: bool(server.run(f"SELECT to_regclass('{name}_verdicts')")[0][0]))
        until(lambda: int(server.run(f"SELECT count(*) FROM {name}_verdicts")[0][0]) > 0)
        process.send_signal(signal.SIGUSR1)
        process.send_signal(signal.SIGHUP)
        seen += Path(f"/proc/{process.pid}/cmdline").read_bytes()
        seen += subprocess.run([need("ps"), "axww", "-o", "args"], capture_output=True, check=True).stdout
        server.stop()
        until(lambda: "tries again until it answers" in (folder / "err").read_text())
        server.start()
        until(lambda: "answers again" in (folder / "err").read_text())
        process.terminate()
        assert process.wait(60) == 0
    for path in folder.rglob("*"):
        if path.is_file():
            raw = path.read_bytes()
            seen += gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
    assert b"watch" in seen
    assert b"answers again" in seen
    assert SECRET.encode() not in seen


@pytest.mark.fault(
    "a Prometheus that needs a token does not answer", "one line, exit code 74; the token is in no message"
)
@pytest.mark.parametrize("address", ["http://127.0.0.1:1", "https://127.0.0.1:1"])
def test_no_token_of_prometheus_is_in_an_error(address: str) -> None:
    for extra in ({"TXMON_PROMETHEUS_TOKEN": TOKEN}, {"TXMON_PROMETHEUS_BASIC": f"me:{TOKEN}"}):
        done = subprocess.run(
            [TXMON, "--debug", "replay", "--prometheus", address, "--query", "x"], capture_output=True, text=True,
            timeout=60, check=False, env={**os.environ, **extra},
        )  # fmt: skip
        assert done.returncode == 74
        assert TOKEN not in done.stderr + done.stdout


@pytest.mark.fault("a database refuses the password", "one line; the password is in no message, with `--debug` either")
def test_a_refused_password_is_in_no_error(server: Postgres) -> None:
    server.run("CREATE ROLE other LOGIN PASSWORD 'right'")
    for words in (
        ("replay", "--sql", server.url.replace("txmon@", "nobody@"), "--query", "SELECT 1 AS time, 'x' AS status"),
        ("replay", "examples", "--out", f"sql:{server.url.replace('txmon@', 'nobody@')}/verdicts"),
        ("query", "SELECT 1 AS x FROM db.t", "--sql", server.url.replace("txmon@", "nobody@")),
    ):
        done = subprocess.run(
            [TXMON, "--debug", *words], capture_output=True, text=True, timeout=60, check=False,
            env={**os.environ, "TXMON_SQL_PASSWORD": TOKEN, "TXMON_OUT_PASSWORD": TOKEN},
        )  # fmt: skip
        assert done.returncode != 0
        assert TOKEN not in done.stderr + done.stdout

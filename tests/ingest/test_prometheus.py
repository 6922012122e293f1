"""A Prometheus server as a source: the real one, with a history made by promtool."""

import csv
import json
import subprocess
import sysconfig
from collections.abc import Iterator
from datetime import datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from paths import ROOT
from servers import prometheus

from txmon.ingest.prometheus import PromQuery, PromRows, PromSource

TXMON = str(Path(sysconfig.get_path("scripts")) / "txmon")
SAMPLE = ROOT / "examples" / "transactions.csv"
QUERY = "sum by (status) (increase(transactions_total[1m]))"
RANGE = ("--since", "2026-03-02T00:00:00Z", "--until", "2026-03-02T04:00:00Z")


def counts() -> dict[tuple[int, str], int]:
    """By minute and status, of the first four hours."""
    found = {}
    with SAMPLE.open() as file:
        for row in csv.DictReader(file):
            moment = int(datetime.fromisoformat(row["time"]).timestamp())
            if row["time"] < "2026-03-02T04":
                found[moment, row["status"]] = int(row["count"])
    return found


def history() -> str:
    """The sample as counters, a sample every 15 s; two of them are reset in the middle."""
    found = counts()
    begin = min(moment for moment, _ in found)
    lines = ["# TYPE transactions counter"]
    for status in sorted({status for _, status in found}):
        total = 0
        for minute in range(-2, 241):
            at = begin + 60 * minute
            if status in ("approved", "denied") and minute == 120:
                total = 0  # the exporter was started anew
            count = found.get((at, status), 0)
            for quarter in range(4):
                # all of a minute's transactions come between two scrapes within it
                value = total + (count if quarter >= 2 else 0)
                lines.append(f'transactions_total{{status="{status}"}} {value} {at + 15 * quarter + 1}')
            total += count
    return "\n".join([*lines, "# EOF", ""])


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with prometheus(tmp_path_factory.mktemp("prometheus"), history()) as running:
        yield running


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([TXMON, *words], capture_output=True, text=True, timeout=120, check=False)


def seen(lines: str) -> dict[tuple[str, str], int]:
    rows: list[dict[str, Any]] = [json.loads(line) for line in lines.splitlines()]
    return {
        (row["time"], row["status"]): row["count"] for row in rows if "recommendation" in row and row["status"] != "*"
    }


def test_the_counts_are_those_of_the_file(address: str) -> None:
    done = run("replay", "--prometheus", address, "--query", QUERY, *RANGE)
    assert done.returncode == 0, done.stderr
    found = {key: count for key, count in seen(done.stdout).items() if count}
    wanted = {
        (datetime.fromtimestamp(moment).astimezone().isoformat(), status): count
        for (moment, status), count in counts().items()
    }
    close = 0
    for moment, status in found:
        local = datetime.fromisoformat(moment).astimezone().isoformat()
        expected = wanted.get((local, status), 0)
        # increase() extrapolates to the window's edges: a third of a count at most, with a scrape every 15 s
        assert found[moment, status] <= expected * 4 / 3 + 1
        close += found[moment, status] >= expected
    assert close >= 0.95 * len(found)
    assert "PromQL extrapolates. txmon rounds them" in done.stderr


def test_the_reading_is_said_as_for_a_file(address: str) -> None:
    done = run("inspect", "--prometheus", address, "--query", QUERY, *RANGE, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["statement"].endswith("points of --query; time=time (epoch s, UTC), status=status, count=count")
    assert found["bucket"] == 60
    assert found["records"] > 1000


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("--query", "sum(increase(transactions_total[1m]))"), 65, "no label for the status (labels: none)"),
        (("--query", "sum by (status) (increase("), 65, "answered 400: "),
        (("--query", QUERY, "--step", "5m"), 2, "--step 5m differs from the bucket. Use --bucket 5m as well."),
        (("--query", QUERY, "--since", "yesterday"), 2, "--since 'yesterday' is not a time"),
        (("--query", QUERY, "--poll", "5s"), 2, "No such option '--poll'"),
    ],
)  # fmt: skip
def test_mistakes_are_one_clear_line(address: str, words: tuple[str, ...], code: int, says: str) -> None:
    words = words if "--since" in words else (*words, *RANGE)
    done = run("replay", "--prometheus", address, *words)
    assert (done.returncode, done.stdout) == (code, "")
    assert says in done.stderr


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("http://127.0.0.1:1", "Connection refused"),
        ("localhost:9090", "is not an address. Use for example http://localhost:9090."),
        ("http://me:hunter2@localhost:9090", "must not contain a password"),
    ],
)
def test_addresses_that_do_not_answer(address: str, says: str) -> None:
    done = run("replay", "--prometheus", address, "--query", QUERY, *RANGE)
    assert done.returncode in (65, 74)
    assert says in done.stderr
    assert "hunter2" not in done.stderr


class Answers(BaseHTTPRequestHandler):
    """Answers with what the test has set: a real socket, and answers that a real server gives only now and then."""

    answer: bytes = b""
    code = 200
    asked: list[str] = []  # noqa: RUF012 - the test empties it

    def do_POST(self) -> None:
        type(self).asked.append(str(self.headers["Authorization"]))
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(type(self).code)
        self.send_header("Content-Length", str(len(type(self).answer)))
        self.end_headers()
        self.wfile.write(type(self).answer)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@pytest.fixture
def odd() -> Iterator[tuple[type[Answers], str]]:
    server = HTTPServer(("127.0.0.1", 0), Answers)
    Thread(target=server.serve_forever, daemon=True).start()
    Answers.code, Answers.asked = 200, []
    yield Answers, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def matrix(*values: tuple[float, str]) -> bytes:
    series = {"metric": {"status": "failed", "merchant": "m1"}, "values": [list(value) for value in values]}
    return json.dumps({"status": "success", "data": {"resultType": "matrix", "result": [series]}}).encode()


def test_what_is_no_count_is_left_out_and_said(odd: tuple[type[Answers], str]) -> None:
    answers, address = odd
    answers.answer = matrix((120, "+Inf"), (180, "NaN"), (240, "2.6"), (300, "7"))
    said: list[str] = []
    query = PromQuery(address, "x", 60, start=0.0, end=300.0, token="hunter2")
    rows = [json.loads(line) for lines in PromRows(query, said.append, 300.0) for line in lines]
    assert rows == [
        {"time": 180, "status": "failed", "count": 3, "merchant": "m1"},
        {"time": 240, "status": "failed", "count": 7, "merchant": "m1"},
    ]
    assert answers.asked == ["Bearer hunter2"]
    assert len(said) == 3
    assert "hunter2" not in "".join(said)


def test_a_refused_login_names_the_variables(odd: tuple[type[Answers], str]) -> None:
    answers, address = odd
    answers.code = 401
    done = run("replay", "--prometheus", address, "--query", "x", *RANGE)
    assert done.returncode == 65
    assert "refused the login (401). Set TXMON_PROMETHEUS_TOKEN" in done.stderr


def test_a_live_source_asks_for_each_step_once_and_outlasts_the_server(odd: tuple[type[Answers], str]) -> None:
    answers, address = odd
    said: list[str] = []
    now = 1000.0
    source = PromSource(PromQuery(address, "x", 60, start=600.0), said.append, None, lambda: now, lambda: now)
    answers.answer = matrix((660, "1"), (720, "2"))
    chunk = source.read()
    assert chunk is not None
    assert len(chunk.lines) == 2
    assert source.read() is None  # 960 is not over for 30 s
    answers.code = 503
    now = 1051.0
    assert source.read() is None
    assert "tries again until it answers" in said[0]
    kept = source.position(0)
    answers.code, answers.answer = 200, matrix((1020, "4"))
    now = 1060.0
    chunk = source.read()
    assert chunk is not None
    assert said[1].endswith("answers again")
    again = PromSource(PromQuery(address, "x", 60), said.append, kept, lambda: now, lambda: now)
    assert again.read() is not None
    assert again.read() is None

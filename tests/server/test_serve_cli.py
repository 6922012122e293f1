"""`txmon serve` as a process: its refusals, its end, its restart, its file beside the requests."""

import gzip
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from serving import SAMPLE, minute

HERE: dict[str, str] = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
COMMAND = [sys.executable, "-m", "txmon", "serve", "--port", "0"]


def refused(tmp_path: Path, *arguments: str, **env: str) -> tuple[int, str]:
    done = subprocess.run(
        [*COMMAND, *arguments], capture_output=True, cwd=tmp_path, env=HERE | {"HOME": str(tmp_path)} | env,
        timeout=30, check=False,
    )  # fmt: skip
    return done.returncode, done.stderr.decode()


@contextmanager
def running(tmp_path: Path, *arguments: str, **env: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    process = subprocess.Popen(
        [*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.PIPE, cwd=tmp_path,
        env=HERE | {"HOME": str(tmp_path)} | env,
    )  # fmt: skip
    assert process.stderr is not None
    line = process.stderr.readline().decode()
    while "rows of the journal" in line:
        line = process.stderr.readline().decode()
    found = re.search(r":(\d+)/\"?}?$", line.strip())
    assert found, line + process.stderr.read().decode()
    try:
        yield process, int(found[1])
    finally:
        process.kill()
        process.communicate()


def end(process: subprocess.Popen[bytes]) -> tuple[int, str]:
    """What the process prints after SIGTERM."""
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=30)
    assert b"Traceback" not in err
    return process.returncode, out.decode()


def call(port: int, method: str, path: str, body: object = None) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    raw = None if body is None else json.dumps(body)
    connection.request(method, path, raw, {"Content-Type": "application/json"} if raw else {})
    answer = connection.getresponse().read()
    connection.close()
    return json.loads(answer)


def wait_for(true: Callable[[], object]) -> None:
    for _ in range(300):
        if true():
            return
        time.sleep(0.05)
    pytest.fail("it never became true")


def test_other_addresses_need_a_token(tmp_path: Path) -> None:
    code, told = refused(tmp_path, "--host", "0.0.0.0")
    assert (code, told) == (
        2,
        "txmon: --host 0.0.0.0 accepts other machines, so clients need a token."
        " Set TXMON_TOKEN, or use --host 127.0.0.1.\n",
    )
    assert refused(tmp_path, "--host", "0.0.0.0", TXMON_TOKEN="short")[0] == 78


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["--tail", "."], 66, ".: is a directory. Name a file"),
        (["--host", "nowhere.invalid"], 2, "need a token"),
        (["--port", "x"], 2, "not a number"),
        (["--out", "none/out"], 74, "none/out: No such file"),
    ],
)
def test_what_cannot_be_is_one_clear_line(arguments: list[str], code: int, told: str, tmp_path: Path) -> None:
    found, text = refused(tmp_path, *arguments)
    assert found == code
    assert told in text
    assert text.count("\n") == 1


def test_a_damaged_state_is_refused_and_kept(tmp_path: Path) -> None:
    (tmp_path / "state").write_bytes(b"something else")
    code, told = refused(tmp_path, "--state", "state")
    assert code == 78
    assert "is not a txmon state" in told
    assert (tmp_path / "state").read_bytes() == b"something else"


def test_sigterm_writes_what_is_open(tmp_path: Path) -> None:
    with running(tmp_path) as (process, port):
        call(port, "POST", "/v1/transactions", {"time": minute(0), "status": "failed"})
        code, lines = end(process)
    assert code == 0
    assert [json.loads(line)["status"] for line in lines.splitlines()] == ["failed", "*"]


def test_restarts_between_posts_lose_nothing_and_change_nothing(tmp_path: Path) -> None:
    rows = SAMPLE.read_text().splitlines()[1:]
    parts = [rows[:1500], rows[1500:3301], rows[3301:]]
    for part in parts:
        with running(tmp_path, "--state", "state", "--out", "out.jsonl") as (process, port):
            body = [dict(zip(("time", "status", "count"), row.split(","), strict=True)) for row in part]
            assert call(port, "POST", "/v1/transactions", body)["accepted"] == len(part)
            assert end(process) == (0, "")
    lines = [line for line in (tmp_path / "out.jsonl").read_text().splitlines() if '"partial"' not in line]
    done = subprocess.run(
        [sys.executable, "-m", "txmon", "replay", str(SAMPLE)], capture_output=True, env=HERE, timeout=60, check=True
    )
    expected = done.stdout.decode().splitlines()
    assert lines == expected[: len(lines)]
    assert len(expected) - len(lines) < 8  # the last minute is open still


def test_a_file_is_read_beside_the_requests_and_after_a_restart_from_where_it_was(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text(f"time,status,count\n{minute(0)},failed,1\n{minute(0)},fai")
    arguments = ("--tail", "log.csv", "--state", "state")

    def count(port: int) -> int:
        return int(call(port, "GET", "/v1/overview")["open"].get("counts", {}).get("failed", 0))

    with running(tmp_path, *arguments) as (process, port):
        wait_for(lambda: count(port) == 1)
        with log.open("a") as file:
            file.write("led,2\n")
        wait_for(lambda: count(port) == 3)
        assert end(process)[0] == 0
    with log.open("a") as file:
        file.write(f"{minute(0)},failed,4\n")
    with running(tmp_path, *arguments) as (process, port):
        wait_for(lambda: count(port) == 7)
        log.rename(tmp_path / "log.1")
        log.write_text(f"time,status,count\n{minute(0)},failed,8\n")
        wait_for(lambda: count(port) == 15)
        assert end(process)[0] == 0


def test_a_file_that_is_not_there_yet_is_waited_for(tmp_path: Path) -> None:
    with running(tmp_path, "--tail", "log.csv") as (process, port):
        assert process.stderr is not None
        assert process.stderr.readline() == b"txmon: log.csv: no such file yet; waiting for it\n"
        assert call(port, "GET", "/healthz")["trouble"] == "log.csv: no such file yet; waiting for it"
        (tmp_path / "log.csv").write_text(f"time,status,count\n{minute(0)},failed,1\n")
        wait_for(lambda: call(port, "GET", "/v1/overview")["open"].get("counts") == {"failed": 1})
        wait_for(lambda: call(port, "GET", "/healthz")["trouble"] == "")
        assert end(process)[0] == 0


def test_a_file_renamed_while_nobody_looked_is_read_to_its_end(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text(f"time,status,count\n{minute(0)},failed,1\n")
    arguments = ("--tail", "log.csv", "--state", "state")

    def count(port: int) -> int:
        return int(call(port, "GET", "/v1/overview")["open"].get("counts", {}).get("failed", 0))

    with running(tmp_path, *arguments) as (process, port):
        wait_for(lambda: count(port) == 1)
        assert end(process)[0] == 0
    with log.open("a") as file:
        file.write(f"{minute(0)},failed,2\n")
    log.rename(tmp_path / "log.csv.1")
    log.write_text(f"time,status,count\n{minute(0)},failed,4\n")
    with running(tmp_path, *arguments) as (process, port):
        wait_for(lambda: count(port) == 7)
        assert end(process)[0] == 0


@pytest.mark.parametrize("place", [[1, 2], {"inode": 1}, {"inode": 1, "offset": 0, "begins": False, "parser": {}}])
def test_a_state_without_a_place_in_the_file_is_refused(place: object, tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(f"time,status,count\n{minute(0)},failed,1\n")
    arguments = ("--tail", "log.csv", "--state", "state")
    with running(tmp_path, *arguments) as (process, port):
        wait_for(lambda: call(port, "GET", "/v1/overview")["open"])
        assert end(process)[0] == 0
    row = json.loads(gzip.decompress((tmp_path / "state").read_bytes()))
    row["sources"]["serve"]["positions"]["log.csv"] = place
    (tmp_path / "state").write_bytes(gzip.compress(json.dumps(row).encode()))
    code, told = refused(tmp_path, *arguments)
    assert code == 78
    assert "log.csv" in told
    assert told.count("\n") == 1


def test_standard_input_is_read_beside_the_requests(tmp_path: Path) -> None:
    with running(tmp_path, "--tail", "-") as (process, port):
        assert process.stdin is not None
        process.stdin.write(f"time,status\n{minute(0)},failed\n".encode())
        process.stdin.flush()
        wait_for(lambda: call(port, "GET", "/v1/overview")["open"])
        assert end(process)[0] == 0


def test_the_access_log_has_a_line_per_request_and_no_secret(tmp_path: Path) -> None:
    arguments = ("--access-log", "access.jsonl", "--trusted-proxy", "127.0.0.1")
    with running(tmp_path, *arguments, TXMON_TOKEN="a-token-of-thirty-two-characters") as (process, port):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        for token, status in (("a-token-of-thirty-two-characters", 200), ("a-wrong-one-0123456789", 401)):
            headers = {"Authorization": f"Bearer {token}", "X-Forwarded-For": "198.51.100.7", "User-Agent": "probe"}
            connection.request("GET", "/v1/verdicts?status=failed", headers=headers)
            answer = connection.getresponse()
            assert (answer.status, bool(answer.read())) == (status, True)
        connection.close()
        with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
            sock.sendall(b"nonsense\r\n\r\n")
            assert b" 400 " in sock.recv(4096)
        path = tmp_path / "access.jsonl"
        wait_for(lambda: path.read_text().count("\n") == 3)
        assert end(process)[0] == 0
    assert "token" not in path.read_text()
    assert "0123456789" not in path.read_text()
    # each is written after its answer was sent, so two connections may cross
    rows = sorted(map(json.loads, path.read_text().splitlines()), key=lambda row: int(row["status"]))
    assert [row["status"] for row in rows] == [200, 400, 401]
    assert (rows[0]["peer"], rows[0]["path"], rows[0]["agent"]) == ("198.51.100.7", "/v1/verdicts", "probe")
    assert "method" not in rows[1]


def test_metrics_tell_of_statuses_latency_the_process_and_the_build(tmp_path: Path) -> None:
    with running(tmp_path) as (process, port):
        for i in range(20):
            call(port, "POST", "/v1/transactions", {"time": minute(i), "status": "failed", "count": 3})
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        connection.close()
        assert 'txmon_observed{status="failed"} 3.0' in text
        assert 'txmon_http_seconds_bucket{le="+Inf",path="/v1/transactions"} 20.0' in text
        assert "process_resident_memory_bytes" in text
        assert "txmon_build_info{" in text
        assert end(process)[0] == 0


def test_all_files_of_a_pattern_are_read_beside_the_requests(tmp_path: Path) -> None:
    (tmp_path / "app-1.log").write_text(f"time,status,count\n{minute(0)},approved,2\n")
    with running(tmp_path, "--tail", "app-*.log", "--state", "state") as (process, port):

        def taken() -> int:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            connection.request("GET", "/metrics")
            text = connection.getresponse().read().decode()
            connection.close()
            found = re.search(r"^txmon_records_total(?:\{[^}]*accepted[^}]*\})? (\d+)", text, re.MULTILINE)
            return int(found[1]) if found else 0

        wait_for(lambda: taken() == 1)
        (tmp_path / "app-2.log").write_text(f'when;outcome;note\n{minute(0)};approved;"a\nb"\n{minute(1)};denied;c\n')
        wait_for(lambda: taken() == 3)
        (tmp_path / "app-1.log").rename(tmp_path / "app-1.log.1")
        (tmp_path / "app-1.log").write_text(f"time,status,count\n{minute(1)},approved,2\n")
        wait_for(lambda: taken() == 4)
        assert call(port, "POST", "/v1/transactions", {"time": minute(1), "status": "failed"})["accepted"] == 1
        assert call(port, "GET", "/healthz")["trouble"] == ""
        assert end(process)[0] == 0
    with running(tmp_path, "--tail", "app-*.log", "--state", "state") as (process, port):
        (tmp_path / "app-3.log").write_text(f"time,status\n{minute(2)},approved\n")
        wait_for(lambda: taken() == 1)
        assert end(process)[0] == 0

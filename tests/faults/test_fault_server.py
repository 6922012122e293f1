"""The server when descriptors, disk and time run out under it."""

import http.client
import json
import re
import resource
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from fault_tools import TXMON, limiter, ordinary, table

ROWS = table(ordinary(40))


@contextmanager
def serving(
    folder: Path, *arguments: str, limits: Mapping[int, int] | None = None
) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A `txmon serve` on a free port."""
    with subprocess.Popen(
        [TXMON, "serve", "--port", "0", *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, cwd=folder, preexec_fn=limiter(limits or {}),  # noqa: PLW1509
    ) as process:  # fmt: skip
        assert process.stderr is not None
        said = process.stderr.readline().decode()
        while "rows of the journal" in said:
            said = process.stderr.readline().decode()
        found = re.search(r":(\d+)/$", said.strip())
        assert found, said
        try:
            yield process, int(found[1])
        finally:
            process.kill()


def ask(port: int, method: str, path: str, body: bytes | None = None) -> tuple[int, dict[str, object]]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request(method, path, body, {"Content-Type": "text/csv"} if body else {})
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, json.loads(content)


def end(process: subprocess.Popen[bytes]) -> tuple[int, str]:
    """How it ends when it is told to, and what it said."""
    process.send_signal(signal.SIGTERM)
    assert process.stderr is not None
    said = process.stderr.read().decode()
    assert "Traceback" not in said
    return process.wait(30), said


@pytest.mark.fault(
    "out of descriptors in `serve`",
    "accepts no connection until descriptors are free, answers those that it has, then all again",
)
def test_a_server_out_of_descriptors(tmp_path: Path) -> None:
    with serving(tmp_path, "--connections", "500", limits={resource.RLIMIT_NOFILE: 40}) as (process, port):
        assert ask(port, "POST", "/v1/transactions", ROWS)[0] == 200
        held = []
        for _ in range(60):  # the kernel accepts what the process cannot
            sock = socket.create_connection(("127.0.0.1", port), 5)
            sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n")  # not to its end: it stays open
            held.append(sock)
        time.sleep(0.3)
        assert process.poll() is None
        held[0].sendall(b"\r\n")
        assert held[0].recv(100).startswith(b"HTTP/1.1 200")
        for sock in held:
            sock.close()
        assert ask(port, "GET", "/healthz")[0] == 200
        assert end(process)[0] == 0


@pytest.mark.fault(
    "disk full at `serve --state`", "reports it once and on /healthz, and still answers; at the end exit code 74"
)
def test_a_server_whose_state_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    with serving(tmp_path, "--state", "gone/state") as (process, port):
        assert ask(port, "POST", "/v1/transactions", ROWS)[0] == 200
        shutil.rmtree(tmp_path / "gone")
        code, said = end(process)
    assert code == 74
    assert said.count("the state cannot be written") == 1


@pytest.mark.fault(
    "days of silence between the rows of one request to `serve`",
    "closes all their minutes before it answers; other clients get answers meanwhile, within half a second",
)
def test_a_request_that_closes_days_of_minutes(tmp_path: Path) -> None:
    first = [(f"2026-03-02T10:{m:02}:00Z", f"s{i}", 10) for m in range(30) for i in range(60)]
    days = [(f"2026-03-{day:02}T11:00:00Z", "s1", 10) for day in range(3, 11)]
    with serving(tmp_path, "--out", "lines") as (process, port):
        assert ask(port, "POST", "/v1/transactions", table(first))[0] == 200
        answers: list[tuple[int, dict[str, object]]] = []
        asked = time.monotonic()
        thread = threading.Thread(target=lambda: answers.append(ask(port, "POST", "/v1/transactions", table(days))))
        thread.start()
        waited = []
        while thread.is_alive():
            for path in ("/healthz", "/v1/incidents", "/v1/verdicts?limit=1"):
                began = time.monotonic()
                assert ask(port, "GET", path)[0] == 200
                waited.append(time.monotonic() - began)
        assert answers[0][0] == 200
        assert answers[0][1]["accepted"] == 8
        assert len(waited) > 6
        # a machine that is busy with other things takes its time for all of them alike
        assert max(waited) < max(0.5, 0.2 * (time.monotonic() - asked))
        assert end(process)[0] == 0
    assert (tmp_path / "lines").read_text().count('"status": "*"') > 8 * 1400


@pytest.mark.fault(
    "a client that never ends its request", "gets 408 after 15 s; all others are answered as usual meanwhile"
)
def test_a_client_that_never_ends(tmp_path: Path) -> None:
    with serving(tmp_path) as (process, port):
        began = time.monotonic()
        with socket.create_connection(("127.0.0.1", port), 30) as slow:
            slow.sendall(b"POST /v1/transactions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n")
            assert ask(port, "POST", "/v1/transactions", ROWS)[1]["accepted"] == 80
            answer = slow.recv(1000)
        assert answer.startswith(b"HTTP/1.1 408")
        assert 14 < time.monotonic() - began < 25
        assert end(process)[0] == 0

"""Signs of life: systemd's socket, and the address of a dead man's switch."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from txmon.runtime.heartbeat import STALE, Heartbeat, Systemd


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def channel(tmp_path: Path) -> Iterator[socket.socket]:
    """The end of a notify socket at which systemd listens."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as found:
        found.bind(str(tmp_path / "notify"))
        found.settimeout(10)
        yield found


def heard(channel: socket.socket) -> list[str]:
    channel.setblocking(False)
    found = []
    try:
        while True:
            found.append(channel.recv(4096).decode())
    except BlockingIOError:
        return found


def test_systemd_hears_of_the_start_of_life_of_troubles_and_of_the_end(channel: socket.socket, tmp_path: Path) -> None:
    clock = Clock()
    env = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}
    systemd = Systemd(env, clock)
    systemd.ready()
    for _ in range(40):
        systemd.alive("")
        clock.now += 1.0
    systemd.alive("the disk is full")
    systemd.alive("the disk is full")
    systemd.alive("")
    systemd.stopping()
    assert heard(channel) == [
        "READY=1", "WATCHDOG=1", "WATCHDOG=1", "WATCHDOG=1", "STATUS=the disk is full", "STATUS=running", "STOPPING=1",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "env",
    [{}, {"NOTIFY_SOCKET": "/nowhere/notify"}, {"NOTIFY_SOCKET": "@nobody listens"}, {"WATCHDOG_USEC": "x"}],
)
def test_without_systemd_nothing_happens(env: dict[str, str]) -> None:
    systemd = Systemd(env, Clock())
    systemd.ready()
    systemd.alive("x")
    systemd.stopping()


def test_the_watchdog_of_another_process_is_left_alone(channel: socket.socket, tmp_path: Path) -> None:
    env = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}
    Systemd(env, Clock()).alive("")
    assert heard(channel) == []


class Switch:
    """A dead man's switch that counts its calls and answers with one code after the other."""

    def __init__(self, *codes: int) -> None:
        calls = self.calls = threading.Semaphore(0)
        left = list(codes)

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(left.pop(0) if left else 200)
                self.end_headers()
                calls.release()

            def log_message(self, *_: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}/ping/secret"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def called(self, seconds: float = 10.0) -> bool:
        return self.calls.acquire(timeout=seconds)


@pytest.fixture
def switch() -> Iterator[Switch]:
    found = Switch()
    yield found
    found.close()


def test_the_address_is_called_only_while_txmon_is_healthy(switch: Switch) -> None:
    clock, told = Clock(), list[str]()
    heart = Heartbeat(switch.address, told.append, each=0.02, monotonic=clock)
    heart.start()
    assert all(switch.called() for _ in range(3))
    heart.beat(healthy=False)
    while switch.called(0.3):
        pass  # those that were under way
    heart.beat(healthy=True)
    assert switch.called()
    clock.now += STALE + 1  # the loop hangs
    while switch.called(0.3):
        pass
    heart.beat(healthy=True)
    assert switch.called()
    heart.stop()
    assert told == []


def test_an_address_that_cannot_be_called_is_said_once_and_without_its_secret() -> None:
    found = Switch(500, 503, 404, 200)
    told, said = list[str](), threading.Semaphore(0)

    def say(line: str) -> None:
        told.append(line)
        said.release()

    heart = Heartbeat(found.address, say, each=0.02)
    heart.start()
    assert said.acquire(timeout=10)
    assert said.acquire(timeout=10)
    heart.stop()
    found.close()
    assert told == ["heartbeat: the address cannot be called: 500", "heartbeat: the address can be called again"]
    silent = Heartbeat("http://127.0.0.1:1/secret", say, each=60)
    silent.start()
    assert said.acquire(timeout=10)
    silent.stop()
    assert "cannot be called" in told[-1]
    assert "secret" not in told[-1]


@pytest.mark.parametrize("command", [["watch"], ["serve", "--port", "0"]])
def test_a_running_txmon_tells_systemd_and_calls_the_address(
    command: list[str], channel: socket.socket, switch: Switch, tmp_path: Path
) -> None:
    env = {**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "400000"}
    with subprocess.Popen(
        [sys.executable, "-m", "txmon", *command, "--heartbeat", switch.address], env=env, cwd=tmp_path,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        try:
            assert channel.recv(100) == b"READY=1"
            assert channel.recv(100) == b"WATCHDOG=1"
            assert channel.recv(100) == b"WATCHDOG=1"
            assert switch.called()
            process.send_signal(signal.SIGTERM)
            process.wait(20)
            assert heard(channel)[-1] == "STOPPING=1"
        finally:
            process.kill()

"""`replay --jobs 2`: a second process makes the lines, and nothing else is different."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

TXMON = [sys.executable, "-m", "txmon"]


@pytest.fixture(scope="module")
def stream(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten days of minutes with incidents: several forks' worth of verdicts."""
    path = tmp_path_factory.mktemp("jobs") / "stream.csv"
    more = ["--incident", "failed:+9@2026-03-05T09:40/15m", "--incident", "silence@2026-03-08T16:10/12m"]
    subprocess.run([*TXMON, "simulate", "--days", "10", "--seed", "3", *more, "--out", str(path)], check=True)
    return path


def replay(stream: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([*TXMON, "replay", str(stream), *arguments], capture_output=True, check=False)


@pytest.mark.parametrize("more", [[], ["--only", "alerts"], ["--rule", "denied: count > 25", "--explain"]])
def test_the_lines_are_those_of_one_process(stream: Path, more: list[str]) -> None:
    one, two = replay(stream, "--jobs", "1", *more), replay(stream, "--jobs", "2", *more)
    assert one.stdout.count(b"\n") > (20 if more[:1] == ["--only"] else 50_000)  # more than two forks get
    assert (two.stdout, two.stderr, two.returncode) == (one.stdout, one.stderr, one.returncode)


def test_bad_input_ends_both_alike(stream: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.csv"
    lines = stream.read_bytes().splitlines(keepends=True)
    broken.write_bytes(b"".join([*lines[:60_000], b"nonsense\n", *lines[60_000:]]))
    one, two = replay(broken, "--jobs", "1", "--strict"), replay(broken, "--jobs", "2", "--strict")
    assert one.returncode == 65
    assert (two.stdout, two.stderr, two.returncode) == (one.stdout, one.stderr, one.returncode)


def test_a_full_disk_is_told(stream: Path) -> None:
    done = replay(stream, "--jobs", "2", "--out", "/dev/full")
    assert (done.returncode, done.stderr) == (74, b"txmon: output: No space left on device\n")


def test_a_reader_who_has_enough_ends_it_quietly(stream: Path) -> None:
    with subprocess.Popen(
        [*TXMON, "replay", str(stream), "--jobs", "2"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        assert running.stdout.readline().startswith(b'{"time": "')
        running.stdout.close()
        assert running.wait(60) == 0
        assert running.stderr.read() == b""


def children(process: int) -> list[int]:
    found = Path(f"/proc/{process}/task/{process}/children")
    return [int(child) for child in found.read_text().split()] if found.exists() else []


def test_a_killed_writer_is_told(stream: Path, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)  # which nobody empties: the writer waits in it
    with subprocess.Popen(
        [*TXMON, "replay", str(stream), "--jobs", "2", "--out", str(pipe)], stderr=subprocess.PIPE
    ) as running:
        reader = os.open(pipe, os.O_RDONLY)
        try:
            deadline = time.monotonic() + 60
            head = b""
            while not (writers := children(running.pid)):
                assert time.monotonic() < deadline
                head += os.read(reader, 1 << 16)  # what the process itself writes first
                assert head.startswith(b'{"time"')
            os.kill(writers[0], signal.SIGKILL)
            assert running.stderr is not None
            while os.read(reader, 1 << 16):
                pass
            said = running.stderr.read()
        finally:
            os.close(reader)
        assert running.wait(60) == 74
    assert re.search(rb"the process that writes lines ended with -9", said)

"""Streams that close, processes that are stopped, states that are foreign."""

import gzip
import json
import os
import signal
import subprocess
import time
import zlib
from pathlib import Path

import pytest
from fault_tools import SAMPLE, TXMON, ordinary, strict, table, txmon, watcher


def in_shell(script: str) -> tuple[int, str, str]:
    done = subprocess.run(
        ["bash", "-c", script, "bash", TXMON, str(SAMPLE)], capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.fault("reader of the output goes away (`| head -1`)", "ends quietly with exit code 0")
def test_whoever_read_us_has_enough() -> None:
    script = 'set -o pipefail; "$1" replay "$2" | head -1 | cut -c1-9; "$1" watch < "$2" | head -1 | cut -c1-9'
    assert in_shell(script) == (0, '{"time": \n{"time": \n', "")


@pytest.mark.fault("standard output is closed (`>&-`)", "stops with one line, exit code 74; with `--out` it runs")
def test_no_standard_output(tmp_path: Path) -> None:
    text = "txmon: standard output is closed. Use --out FILE.\n"
    assert in_shell('"$1" replay "$2" >&-') == (74, "", text)
    assert in_shell('head -3 "$2" | "$1" replay - >&-') == (74, "", text)  # less than a buffer holds
    assert in_shell(f'"$1" replay "$2" --out {tmp_path}/o >&-') == (0, "", "")
    assert (tmp_path / "o").read_bytes() == txmon("replay", SAMPLE).out


@pytest.mark.fault("standard input is closed (`<&-`)", "stops with one line, exit code 74")
@pytest.mark.parametrize("command", ["watch", "replay -"])
def test_no_standard_input(command: str) -> None:
    code, out, err = in_shell(f'"$1" {command} <&-')
    assert (code, out) == (74, "")
    assert err.startswith("txmon: <stdin>: Bad file descriptor")
    assert err.count("\n") == 1


@pytest.mark.fault(
    "standard error is closed or full", "judges as usual: a chart or a message that nobody sees stops nothing"
)
@pytest.mark.parametrize("end", ["2>&-", "2>/dev/full", "--chart always 2>/dev/full", "--chart always 2>&-"])
def test_no_standard_error(end: str) -> None:
    code, out, _ = in_shell(f'"$1" replay "$2" {end}')
    assert code == 0
    assert out.encode() == txmon("replay", SAMPLE).out


@pytest.mark.fault(
    "stopped and continued (SIGSTOP, SIGCONT; Ctrl-Z)",
    "gives its feed 5 s to catch up before the clock closes a minute: rows held up are neither late nor silence",
)
def test_stopped_and_continued() -> None:
    child = watcher("--lateness", "0s", "--bucket", "10s")
    assert child.stdin is not None
    rows = [(f"2026-03-02T10:00:{s:02}Z", "denied", 1) for s in range(9)]
    child.stdin.write(table(rows))
    child.stdin.flush()
    time.sleep(0.7)
    child.send_signal(signal.SIGSTOP)
    time.sleep(3.0)
    child.send_signal(signal.SIGCONT)
    time.sleep(0.8)
    out, err = child.communicate(b"2026-03-02T10:00:09Z,denied,1\n", timeout=20)
    assert err == b""
    assert [(line["time"], line["count"]) for line in strict(out) if line["status"] == "denied"] == [
        ("2026-03-02T10:00:00Z", 10)
    ]


def state_of(format_: int) -> bytes:
    row = {"txmon": format_, "written_by": "9.1", "settings": {}, "pipeline": {}, "sources": {}}
    return gzip.compress(json.dumps(row).encode(), mtime=0)


@pytest.mark.fault(
    "state of a newer version", "refuses it with exit code 78, names the version that wrote it, and does not change it"
)
def test_a_state_of_a_newer_version(tmp_path: Path) -> None:
    path = tmp_path / "state"
    path.write_bytes(state_of(2))
    for arguments in (["watch", "--state"], ["state", "show"], ["ack", "x", "--state"]):
        done = txmon(*arguments, path, stdin=table(ordinary(3)))
        assert (done.code, done.out) == (78, b"")
        assert done.err == f"txmon: {path}: has format 2, written by txmon 9.1; this one reads format 1\n"
    assert path.read_bytes() == state_of(2)


@pytest.mark.fault(
    "state damaged by one flipped or missing byte", "refuses it with exit code 78 and does not change it"
)
def test_a_damaged_state(tmp_path: Path) -> None:
    path = tmp_path / "state"
    txmon("watch", "--state", path, stdin=table(ordinary(40)))
    good = path.read_bytes()
    for bad in (good[:-1], good[:99] + bytes([good[99] ^ 4]) + good[100:], good[:-5] + b"\0" + good[-4:]):
        path.write_bytes(bad)
        done = txmon("watch", "--state", path, stdin=table(ordinary(3)))
        assert (done.code, done.out) == (78, b"")
        assert "txmon did not change it" in done.err
        assert path.read_bytes() == bad


@pytest.mark.fault(
    "a state that was edited: impossible numbers, buckets out of order",
    "refuses it with exit code 78 and names the place, instead of failing in a later minute at each start",
)
def test_an_edited_state(tmp_path: Path) -> None:
    path = tmp_path / "state"
    txmon("watch", "--state", path, stdin=table(ordinary(40)))
    good = json.loads(gzip.decompress(path.read_bytes()))
    for part, name, value, said in (
        ("buckets", "watermark", None, "over already"),
        ("detector", "lag", -1.0, "lag"), ("buckets", "last", "x", "last"),
        ("detector", "before", 10**10, "not closed"), ("trends", "times", {}, "different statuses"),
    ):  # fmt: skip
        bad = json.loads(json.dumps(good))
        bad["pipeline"][part][name] = value
        raw = gzip.compress(json.dumps(bad).encode())
        path.write_bytes(raw)
        done = txmon("watch", "--state", path, stdin=table(ordinary(3)))
        assert (done.code, done.out) == (78, b"")
        assert "is damaged" in done.err
        assert said in done.err
        assert path.read_bytes() == raw


@pytest.mark.fault("a folder, a pipe or a device where the state should be", "refuses it at once and waits for nothing")
def test_a_state_that_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", Path("/dev/zero")):
        done = txmon("watch", "--state", path, stdin=table(ordinary(3)))
        assert (done.code, done.err) == (78, f"txmon: {path}: is not a regular file\n")


@pytest.mark.fault(
    "packed input that ends too early or is damaged", "gives the lines before, then one line, exit code 74"
)
def test_a_damaged_gzip_on_a_pipe() -> None:
    packed = gzip.compress(SAMPLE.read_bytes())
    short, torn = txmon("watch", stdin=packed[:-9]), txmon("watch", stdin=packed[:9000] + b"\0" * 90 + packed[9090:])
    assert (short.code, short.err) == (74, "txmon: <stdin>: the compressed data ends too early\n")
    assert torn.code == 74
    assert "txmon: <stdin>: the compressed data is damaged" in torn.err
    assert len(short.volume()) > 1000
    assert zlib.decompress(packed, 31) == SAMPLE.read_bytes()

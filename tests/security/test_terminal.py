"""Text from outside never gives a terminal orders: no escape sequences, C1 controls or marks that turn text around."""

import json
import os
import pty
import re
import subprocess
from pathlib import Path

import pytest
from trap_tools import TXMON, txmon

EVIL = "\x1b]0;pwned\x07de\x9b31mnied\u202e\x1b[2J\r"
ORDERS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


def rows(**more: object) -> bytes:
    """Minutes of a status, and of a merchant, that try to take over the terminal; the last minute alerts."""
    lines = []
    for minute in range(60):
        for status, count in (("approved", 90), (EVIL, 80 if minute > 55 else 9)):
            row = {"time": f"2026-03-02T10:{minute:02}:00Z", "status": status, "count": count, "merchant": EVIL}
            lines.append(json.dumps(row | more))
    return "\n".join(lines).encode() + b"\n"


def assert_harmless(*streams: bytes) -> None:
    for stream in streams:
        assert ORDERS.findall(stream.decode().replace("\n", "")) == []


def test_the_stream_is_evil_enough() -> None:
    assert len(ORDERS.findall(EVIL)) >= 6
    assert b'"alert"' in txmon("replay", "-", stdin=rows()).stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["replay", "-", "--chart", "always", "--out", "/dev/null"],
        ["replay", "-", "--by", "merchant", "--chart", "always", "--out", "/dev/null"],
        ["replay", "-", "--inject", "denied:x5@10:50/5m", "--out", "/dev/null"],
        ["watch", "--chart", "always", "--by", "merchant", "--out", "/dev/null"],
        ["tune", "-", "--budget", "1/day"],
    ],
    ids=" ".join,
)
def test_charts_and_tables(arguments: list[str]) -> None:
    done = txmon(*arguments, stdin=rows())
    assert_harmless(done.stdout, done.stderr)


def test_tables_of_files(tmp_path: Path) -> None:
    data, state, verdicts = tmp_path / "t.jsonl", tmp_path / "state", tmp_path / "v.jsonl"
    data.write_bytes(rows())
    txmon("watch", "--state", state, "--by", "merchant", "--out", verdicts, stdin=rows())
    runs: tuple[list[str | Path], ...] = (
        ["state", "show", state],
        ["query", "SELECT status, merchant FROM transactions", data],
        ["query", "--schema", data],
        ["analyze", data],
        ["analyze", data, "--markdown"],
        ["ack", EVIL, "--state", state],
    )
    for arguments in runs:
        done = txmon(*arguments, stdin=b"")
        assert done.stdout + done.stderr != b""
        assert_harmless(done.stdout, done.stderr)


@pytest.mark.parametrize(
    ("arguments", "stdin"),
    [
        (["replay", "-"], f"{EVIL},status\n1,2\n".encode()),
        (["replay", "-", "--map", f"count={EVIL}"], b"time,status\n"),
        (["replay", "-", "--by", EVIL], b"time,status\n"),
        (["replay", "-"], f"time,status,count\n10:00,denied,{EVIL}\n{EVIL},denied,1\n".encode()),
        (["replay", EVIL], b""),
        (["replay", "-", "--rule", f"count > {EVIL}"], b""),
        (["replay", "-", "--rule", f"{EVIL}: count > 1"], b""),
        (["state", "show", EVIL], b""),
        (["query", "SELECT 1", EVIL], b""),
        (["evaluate", EVIL, EVIL], b""),
        ([EVIL], b""),
        (["watch", "--out", f"/nowhere/{EVIL}"], b""),
        (["watch", "--state", f"/nowhere/{EVIL}"], b"time,status\n10:00,denied\n"),
        (["replay", "-", "--rejects", f"/nowhere/{EVIL}"], b""),
        (["replay", "-", "--log", f"/proc/{EVIL}"], b""),
        (["config", "--tz", EVIL], b""),
    ],
)
def test_errors(arguments: list[str], stdin: bytes, tmp_path: Path) -> None:
    done = txmon(*arguments, stdin=stdin, folder=tmp_path)
    assert done.stderr != b""
    assert_harmless(done.stdout, done.stderr)


def test_lines_on_a_terminal_stay_the_same_json() -> None:
    reader, writer = pty.openpty()
    raw = rows()
    with subprocess.Popen(
        [TXMON, "replay", "-", "--chart", "never", "--only", "alerts"], stdin=subprocess.PIPE, stdout=writer
    ) as child:
        os.close(writer)
        assert child.stdin is not None
        child.stdin.write(raw)
        child.stdin.close()
        shown = b""
        try:
            while piece := os.read(reader, 1 << 16):
                shown += piece
        except OSError:  # how Linux says that the other end of a terminal is closed
            pass
    os.close(reader)
    plain = txmon("replay", "-", "--only", "alerts", stdin=raw).stdout
    assert [json.loads(line) for line in shown.splitlines()] == [json.loads(line) for line in plain.splitlines()]
    assert_harmless(shown.replace(b"\r\n", b"\n"))
    with pytest.raises(AssertionError):
        assert_harmless(plain)

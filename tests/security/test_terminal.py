"""Text from outside never gives a terminal orders: no escape sequences, C1 controls or marks that turn text around."""

import json
import os
import pty
import re
import subprocess
from contextlib import suppress
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
        ["replay", "-", "--group-by", "merchant", "--chart", "always", "--out", "/dev/null"],
        ["replay", "-", "--inject", "denied:x5@10:50/5m", "--out", "/dev/null"],
        ["watch", "--chart", "always", "--group-by", "merchant", "--out", "/dev/null"],
        ["tune", "-", "--budget", "1/day"],
        ["replay", "-", "--rule", "count > 3", "--chart", "always", "--out", "/dev/null"],
    ],
    ids=" ".join,
)
def test_charts_and_tables(arguments: list[str]) -> None:
    done = txmon(*arguments, stdin=rows())
    assert_harmless(done.stdout, done.stderr)


def test_tables_of_files(tmp_path: Path) -> None:
    data, state, verdicts = tmp_path / "t.jsonl", tmp_path / "state", tmp_path / "v.jsonl"
    data.write_bytes(rows())
    txmon("watch", "--state", state, "--group-by", "merchant", "--out", verdicts, stdin=rows())
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
        (["replay", "-", "--group-by", EVIL], b"time,status\n"),
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


# reasons for which records, rows and labels are left out, each with text of theirs
BAD = [{"count": EVIL}, {"time": EVIL}, {"time": EVIL[:3] + "9" * 80}, {"merchant": EVIL, "count": "9e99" + EVIL}]


def test_bad_records_are_told_without_orders(tmp_path: Path) -> None:
    data = tmp_path / "t.jsonl"
    data.write_bytes(rows() + b"".join(rows(**more).splitlines()[0] + b"\n" for more in BAD))
    table = tmp_path / "t.csv"
    table.write_text("time,status,count\n2026-03-02T10:00:00Z,denied,1\n" + f"2026-03-02T10:00:00Z,denied,{EVIL}\n")
    labels = tmp_path / "labels.json"
    labels.write_text(json.dumps([{"start": "2026-03-02T10:55:00Z", "end": "2026-03-02T10:59:00Z", "kind": EVIL}]))
    verdicts = tmp_path / "v.jsonl"
    txmon("replay", data, "--out", verdicts)
    runs: tuple[list[str | Path], ...] = (
        ["replay", data, "--out", "/dev/null"], ["replay", data, "--strict", "--out", "/dev/null"],
        ["analyze", data], ["tune", data, "--budget", "1/day"], ["query", "SELECT 1 AS a", data],
        ["query", "SELECT status FROM transactions", table], ["query", "--schema", table],
        ["evaluate", verdicts, labels], ["tune", data, "--labels", labels, "--budget", "1/day"],
        ["query", "SELECT status, sum(count) AS n FROM transactions GROUP BY 1", data, "--chart"],
        ["doctor", "--state", str(tmp_path / EVIL)], ["notify", "--dry-run"],
    )  # fmt: skip
    for arguments in runs:
        done = txmon(*arguments, stdin=b"", folder=tmp_path)
        assert done.stdout + done.stderr != b""
        assert_harmless(done.stdout, done.stderr)


def all_of(reader: int) -> bytes:
    """What is written to the terminal that `reader` is the near end of, until its far end is closed."""
    shown = b""
    with suppress(OSError):  # how Linux says that it is
        while piece := os.read(reader, 1 << 16):
            shown += piece
    return shown


def on_a_terminal(*arguments: str | Path) -> tuple[bytes, bytes]:
    """What a terminal gets on standard output, and what a pipe gets of the same."""
    reader, writer = pty.openpty()
    with subprocess.Popen([TXMON, *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=writer):
        os.close(writer)
        shown = all_of(reader)
    os.close(reader)
    return shown.replace(b"\r\n", b"\n"), txmon(*arguments, stdin=b"").stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["query", "SELECT status, merchant FROM transactions", "DATA", "--format", "csv"],
        ["query", "SELECT status, merchant FROM transactions", "DATA", "--format", "jsonl"],
        ["analyze", "DATA", "--json"],
        ["analyze", "DATA", "--sql"],
        ["analyze", "DATA", "--markdown"],
    ],
    ids=" ".join,
)
def test_what_a_pipe_gets_as_it_is_gives_a_terminal_no_orders(arguments: list[str], tmp_path: Path) -> None:
    data = tmp_path / f"{EVIL.replace('/', '')}.jsonl"
    data.write_bytes(rows())
    shown, piped = on_a_terminal(*(data if argument == "DATA" else argument for argument in arguments))
    assert len(shown) > 100
    assert_harmless(shown)
    if "--sql" not in arguments and "--markdown" not in arguments:
        with pytest.raises(AssertionError):
            assert_harmless(piped)  # as it came, for programs


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
        shown = all_of(reader)
    os.close(reader)
    plain = txmon("replay", "-", "--only", "alerts", stdin=raw).stdout
    assert [json.loads(line) for line in shown.splitlines()] == [json.loads(line) for line in plain.splitlines()]
    assert_harmless(shown.replace(b"\r\n", b"\n"))
    with pytest.raises(AssertionError):
        assert_harmless(plain)

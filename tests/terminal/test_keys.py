"""Every key of the live chart in a pseudo-terminal, in a replay and in a watch, and what is left when it ends."""

import os
import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest
from paths import ROOT

from txmon.terminal.view import KEYS, MORE_KEYS, SPEED_KEYS

TXMON = str(Path(sys.executable).with_name("txmon"))
SAMPLE = ROOT / "examples" / "transactions.csv"
LEAVES = "\x1b[?1049l"
STEERS = r"(?:\x1b\[[0-9;?]*[A-Za-z])*"


def spawned(command: str, rows: int = 40, columns: int = 120) -> "pexpect.spawn[str]":
    env = {**os.environ, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8", "NO_COLOR": "1"}
    for name in ("COLUMNS", "LINES"):
        env.pop(name, None)
    return pexpect.spawn("bash", ["-c", command], dimensions=(rows, columns), timeout=60, encoding="utf-8", env=env)


def shown(text: str) -> str:
    """The text that a person sees, without what steers the terminal."""
    return re.sub(STEERS, "", text)


def see(child: "pexpect.spawn[str]", *patterns: str) -> None:
    """Wait for what a person can read; within it there may be what steers the terminal."""
    for pattern in patterns:
        parts = re.findall(r"\[[^]]*\]\+?|\\.\+?|. \+|.", pattern)
        child.expect(f"{STEERS}".join(parts))


def ended(child: "pexpect.spawn[str]") -> str:
    """What stays on the screen at the end."""
    child.expect(pexpect.EOF)
    child.close()
    return shown(str(child.before).rpartition(LEAVES)[2])


@pytest.fixture
def replay() -> Iterator["pexpect.spawn[str]"]:
    child = spawned(f"{TXMON} replay {SAMPLE} --speed 14400")
    see(child, "q quit")
    yield child
    child.close(force=True)


def test_every_key_of_a_replay(replay: "pexpect.spawn[str]") -> None:
    see(replay, "1[01]:[0-9][0-9] UTC")  # the failures of 09:40 are over
    replay.send(" ")
    see(replay, "paused")
    see(replay, "go on")
    replay.send("?")
    for keys, meaning, _ in (*KEYS, *SPEED_KEYS, *MORE_KEYS):
        see(replay, re.escape(keys), meaning.split(";")[0][:40])
    replay.send("x")  # any key hides it
    see(replay, "is normal")
    replay.send("i")
    see(replay, "open, [12] over")
    see(replay, "failures +09:40 +09:59")
    replay.send("\x1b")
    see(replay, "is normal")
    replay.send("t")
    see(replay, "6 h")
    replay.send("t")
    see(replay, "24 h")
    replay.send("t")
    see(replay, "1 h")
    replay.send("\x1b[B\x1b[B")
    see(replay, "› failed")
    replay.send("\x1b[A")
    see(replay, "› denied")
    replay.send("\r")
    see(replay, "Enter back")
    replay.send("\x1b[6~")
    see(replay, "› refunded")
    replay.send("\x1b[5~")
    see(replay, "› denied")
    replay.send("\r")
    see(replay, "Enter look")
    replay.send("/rev")
    see(replay, "/rev")
    replay.send("\r")
    see(replay, "filter: rev")
    replay.send("\x1b\x1b")
    see(replay, "denied")
    replay.send("-")
    see(replay, "7200x")
    replay.send("++++")
    see(replay, "full speed")
    replay.send(" ")  # goes on, at full speed, to the end
    left = ended(replay)
    assert "6 incidents in 1,440 buckets" in left
    assert replay.exitstatus == 0


def test_q_ends_a_replay_with_what_was_seen(replay: "pexpect.spawn[str]") -> None:
    see(replay, "1[01]:[0-9][0-9] UTC")
    replay.send("q")
    left = ended(replay)
    assert "ended by q at 2026-03-02T1" in left
    assert re.search(r"failures +09:40 +09:59", left)
    assert replay.exitstatus == 0


def test_a_resize_draws_anew(replay: "pexpect.spawn[str]") -> None:
    see(replay, "1[01]:[0-9][0-9] UTC")
    replay.send(" ")
    see(replay, "paused")
    replay.setwinsize(24, 60)
    replay.expect_exact("\x1b[2J")
    see(replay, "q quit")
    replay.send("q")
    ended(replay)


def test_messages_are_shown_and_kept_until_the_chart_is_gone(tmp_path: Path) -> None:
    grown = tmp_path / "grown.csv"
    grown.write_text(SAMPLE.read_text())
    child = spawned(f"exec {TXMON} watch --follow {grown} --out {tmp_path}/v.jsonl")
    see(child, "2026-03-02 23:5")
    child.kill(signal.SIGUSR1)
    see(child, "txmon: ")
    child.send("q")
    left = ended(child)
    assert left.index("txmon: ") < left.index("6 incidents in")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_leaves_the_terminal_as_it_was(replay: "pexpect.spawn[str]", number: int) -> None:
    replay.kill(number)
    replay.expect_exact(LEAVES)
    replay.expect(pexpect.EOF)
    replay.close()
    assert replay.signalstatus == number or replay.exitstatus in (128 + number, 130)


def test_ctrl_z_gives_the_terminal_back_and_fg_takes_it_again() -> None:
    child = spawned(f"set -m; {TXMON} replay {SAMPLE} --speed 3600; stty -a; fg")
    see(child, "q quit")
    child.send("\x1a")
    child.expect_exact(LEAVES)
    see(child, r" icanon")
    child.expect_exact("\x1b[?1049h")
    see(child, "q quit")
    child.send("q")
    assert "ended by q" in ended(child)


def test_every_key_of_a_watch(tmp_path: Path) -> None:
    grown = tmp_path / "grown.csv"
    grown.write_text(SAMPLE.read_text())
    child = spawned(f"{TXMON} watch --follow {grown} --out {tmp_path}/v.jsonl")
    see(child, "q quit")
    see(child, "2026-03-02 23:5")
    child.send("?")
    see(child, "list the incidents")
    child.send("?")
    see(child, "is normal")
    child.send("i")
    see(child, "6 over")
    child.send("i")
    see(child, "is normal")
    child.send("+-")  # there is no speed to change
    child.send("t\x1b[B\r")
    see(child, "Enter back")
    child.send(" ")
    see(child, "paused")
    child.send(" ")
    see(child, "pause")
    child.send("/appr\x7f\r")
    see(child, "filter: app")
    child.send("q")
    assert "6 incidents in" in ended(child)
    assert child.exitstatus == 0


def test_without_a_reader_of_keys_there_is_no_footer(tmp_path: Path) -> None:
    command = f"setsid {TXMON} replay {SAMPLE} --chart always --out /dev/null 2>{tmp_path}/e </dev/null"
    child = spawned(command)
    child.expect(pexpect.EOF)
    assert "q quit" not in (tmp_path / "e").read_text()
    assert "6 incidents in" in (tmp_path / "e").read_text()

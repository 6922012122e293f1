"""Links, files and pipes that another user left where txmon reads and writes."""

import os
import re
import resource
import subprocess
import time
from pathlib import Path

import pytest
from trap_tools import OTHER, TABLE, TXMON, mode, txmon

from txmon.errors import IoFailure
from txmon.runtime.acknowledgements import Word, leave_word, take_words
from txmon.support.safe_open import OTHERS_FILE, OTHERS_LINK, OTHERS_PIPE

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make files of another user")
BAD = TABLE + b"x,denied,1\n"


@needs_root
@pytest.mark.parametrize("name", ["out", "rejects", "state"])
@pytest.mark.parametrize("there", [True, False])
def test_another_users_link_is_never_followed(name: str, there: bool, tmp_path: Path) -> None:
    victim, link = tmp_path / "victim", tmp_path / "link"
    if there:
        victim.write_bytes(b"precious")
    link.symlink_to(victim)
    os.chown(link, OTHER, OTHER, follow_symlinks=False)
    done = txmon("watch", f"--{name}", link, stdin=BAD)
    assert OTHERS_LINK in done.stderr.decode()
    assert done.returncode == 74
    assert (victim.read_bytes() if victim.exists() else None) == (b"precious" if there else None)


@needs_root
@pytest.mark.parametrize("name", ["out", "rejects", "state"])
def test_another_users_pipe_is_neither_waited_for_nor_written_to(name: str, tmp_path: Path) -> None:
    trap = tmp_path / "pipe"
    os.mkfifo(trap, 0o666)
    os.chown(trap, OTHER, OTHER)
    began = time.monotonic()
    for command in (["watch"], ["replay", "-"]):
        if name != "state" or command == ["watch"]:
            done = txmon(*command, f"--{name}", trap, stdin=BAD)
            assert OTHERS_PIPE in done.stderr.decode()
            assert done.returncode == 74
    assert time.monotonic() - began < 20


@needs_root
@pytest.mark.parametrize(
    "arguments",
    [
        ["query", "SELECT 1 AS a", "DATA", "--out", "LINK.csv"],
        ["query", "SELECT 1 AS a", "DATA", "--out", "LINK.jsonl"],
        ["query", "SELECT 1 AS a", "DATA", "--out", "LINK.parquet"],
        ["analyze", "DATA", "--html", "LINK.html"],
        ["analyze", "DATA", "--png", "LINK.png"],
        ["analyze", "DATA", "--svg", "LINK.svg"],
        ["simulate", "--days", "0.1", "--out", "LINK.csv"],
        ["simulate", "--days", "0.1", "--labels", "LINK.json"],
        ["replay", "DATA", "--out", "LINK.jsonl"],
    ],
    ids=" ".join,
)
def test_no_command_writes_through_another_users_link(arguments: list[str], tmp_path: Path) -> None:
    data, victim = tmp_path / "data.csv", tmp_path / "victim"
    data.write_bytes(TABLE)
    victim.write_bytes(b"precious")
    name = next(argument for argument in arguments if argument.startswith("LINK"))
    link = tmp_path / name
    link.symlink_to(victim)
    os.chown(link, OTHER, OTHER, follow_symlinks=False)
    given = [str(data) if argument == "DATA" else str(link) if argument == name else argument for argument in arguments]
    done = txmon(*given, stdin=b"")
    assert (done.returncode, victim.read_bytes()) == (74, b"precious"), done.stderr
    assert OTHERS_LINK in done.stderr.decode()


@pytest.mark.parametrize("name", ["out", "rejects", "state"])
def test_a_link_of_ones_own_is_followed_and_stays(name: str, tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    link.symlink_to(target)
    assert txmon("watch", f"--{name}", link, stdin=BAD).returncode == 0
    assert link.is_symlink()
    assert target.stat().st_size > 0


@needs_root
@pytest.mark.parametrize("command", ["replay", "watch"])
def test_another_users_file_gets_no_rejects_and_keeps_what_it_has(command: str, tmp_path: Path) -> None:
    trap = tmp_path / "rejects"
    trap.write_bytes(b"mine")
    os.chown(trap, OTHER, OTHER)
    done = txmon(command, *(["-"] if command == "replay" else []), "--rejects", trap, stdin=BAD)
    assert (done.returncode, done.stdout) == (74, b"")
    assert OTHERS_FILE in done.stderr.decode()
    assert trap.read_bytes() == b"mine"


@needs_root
def test_another_users_file_in_the_log_folder_is_left_out_and_counted(tmp_path: Path) -> None:
    trap, link = tmp_path / "verdicts-20260302T10.jsonl", tmp_path / "counts-20260302T10.jsonl"
    trap.write_bytes(b"")
    link.symlink_to(tmp_path / "victim")
    os.chown(trap, OTHER, OTHER)
    os.chown(link, OTHER, OTHER, follow_symlinks=False)
    done = txmon("replay", "-", "--log", tmp_path)
    assert done.returncode == 0
    assert done.stdout == txmon("replay", "-").stdout
    assert (
        b"could not be written (is a link" in done.stderr or b"could not be written (belongs to another" in done.stderr
    )
    assert trap.read_bytes() == b""
    assert not (tmp_path / "victim").exists()


def test_what_is_secret_is_for_the_owner_alone(tmp_path: Path) -> None:
    arguments: list[str | Path] = [
        "--rejects",
        tmp_path / "rejects",
        "--state",
        tmp_path / "state",
        "--log",
        tmp_path / "log",
    ]
    before = os.umask(0)
    try:
        assert txmon("watch", *arguments, "--out", tmp_path / "out", stdin=BAD).returncode == 0
        leave_word(str(tmp_path / "state"), Word("ack", "x"))
    finally:
        os.umask(before)
    secret = [tmp_path / name for name in ("rejects", "state", "state.ack")]
    assert {path.name: mode(path) for path in [*secret, *(tmp_path / "log").iterdir()]} == {
        "rejects": 0o600, "state": 0o600, "state.ack": 0o600,
        "counts-20260302T10.jsonl": 0o600, "verdicts-20260302T10.jsonl": 0o600,
    }  # fmt: skip
    assert mode(tmp_path / "log") == 0o700


@needs_root
def test_a_config_file_that_others_left_in_this_folder_is_not_obeyed(tmp_path: Path) -> None:
    config, ran = tmp_path / "txmon.toml", tmp_path / "ran"
    config.write_text(f'exec = "touch {ran}"\nbudget = "100/day"\n')
    os.chown(config, OTHER, OTHER)
    done = txmon("notify", "--test", folder=tmp_path)
    assert done.returncode == 78
    assert b"belongs to another user, so txmon does not use it" in done.stderr
    os.chown(config, os.geteuid(), os.getegid())
    config.chmod(0o666)
    assert b"can be written by anybody, so txmon does not use it" in txmon("notify", "--test", folder=tmp_path).stderr
    assert not ran.exists()
    config.chmod(0o644)
    assert txmon("notify", "--test", folder=tmp_path).returncode == 0
    assert ran.exists()


def test_acknowledgements_wait_for_no_pipe_and_follow_no_link(tmp_path: Path) -> None:
    state, box = str(tmp_path / "state"), tmp_path / "state.ack"
    os.mkfifo(box)
    began = time.monotonic()
    assert take_words(state) == []
    victim = tmp_path / "victim"
    victim.write_text('{"id": "a", "normal": true}\n')
    box.symlink_to(victim)
    assert take_words(state) == []
    assert time.monotonic() - began < 1
    assert victim.exists()


@needs_root
def test_acknowledgements_of_another_user_are_not_taken(tmp_path: Path) -> None:
    state, box = str(tmp_path / "state"), tmp_path / "state.ack"
    box.write_text('{"id": "a", "normal": true}\n')
    os.chown(box, OTHER, OTHER)
    with pytest.raises(IoFailure, match="belongs to another user"):
        leave_word(state, Word("ack", "b"))
    assert take_words(state) == []


@needs_root
def test_roots_acknowledgement_is_readable_to_the_run_that_owns_the_state(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.write_bytes(b"")
    os.chown(state, OTHER, OTHER)
    leave_word(str(state), Word("ack", "a"))
    assert (tmp_path / "state.ack").stat().st_uid == OTHER


def test_no_core_file_holds_what_txmon_knew() -> None:
    limit = resource.getrlimit(resource.RLIMIT_CORE)[1]
    with subprocess.Popen([TXMON, "watch"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(TABLE)
        child.stdin.flush()
        assert child.stdout.readline()
        limits = Path(f"/proc/{child.pid}/limits").read_text()
        child.stdin.close()
        child.stdout.read()
    found = re.search(r"Max core file size +(\d+)", limits)
    assert found is not None
    assert found[1] == "0"
    assert resource.getrlimit(resource.RLIMIT_CORE)[1] == limit

"""Signals, locks and outputs of live runs, in real processes."""

import fcntl
import json
import os
import pty
import shutil
import signal
import subprocess
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest
from fault_tools import SAMPLE, TXMON, txmon
from following import HEADER, Following, rows, until


@pytest.fixture
def follow(tmp_path: Path) -> Iterator[Following]:
    found = Following(tmp_path)
    found.append(HEADER + rows(0, 40))
    yield found
    if found.process is not None and found.process.poll() is None:
        found.process.kill()
        found.process.wait()


def test_out_survives_rotation_without_a_signal(follow: Following) -> None:
    follow.start()
    assert follow.reads(39)
    follow.out.rename(f"{follow.out}.1")
    follow.append(rows(40, 60))
    assert follow.reads(59)
    assert follow.end() == 60


def test_a_hangup_reloads_reopens_and_writes_the_state(follow: Following) -> None:
    settings = follow.folder / "txmon.toml"
    settings.write_text('sigma = 5\nbucket = "1m"\n')
    follow.start("--rejects", "bad.jsonl")
    assert follow.reads(39)
    assert not (follow.folder / "s").exists()
    settings.write_text('sigma = 7\nbucket = "2m"\n')
    for name in ("bad.jsonl", "v.jsonl"):
        (follow.folder / name).rename(follow.folder / f"{name}.1")
    assert follow.process is not None
    follow.process.send_signal(signal.SIGHUP)
    assert until((follow.folder / "s").exists)
    assert follow.out.exists()
    assert (follow.folder / "bad.jsonl").exists()
    assert "SIGHUP: settings read again: sigma 5 -> 7" in follow.said()
    assert "SIGHUP: a restart is needed for: bucket" in follow.said()
    follow.append("no row\n" + rows(40, 60))
    assert follow.end() == 60
    assert "no row" in (follow.folder / "bad.jsonl").read_text()
    assert follow.said().count("expects") == 0


def test_settings_that_are_not_valid_leave_the_run_as_it_was(follow: Following) -> None:
    follow.start()
    assert follow.reads(39)
    (follow.folder / "txmon.toml").write_text("sigma = 500\n")
    assert follow.process is not None
    follow.process.send_signal(signal.SIGHUP)
    assert until(lambda: "The settings did not change." in follow.said())
    follow.append(rows(40, 60))
    (follow.folder / "txmon.toml").unlink()
    assert follow.end() == 60


def test_learned_baselines_outlive_a_hangup(follow: Following) -> None:
    """An incident is found by what was learned before the settings were read again."""
    follow.append(rows(40, 120))
    follow.start("--half-life", "20m")
    assert follow.reads(119)
    (follow.folder / "txmon.toml").write_text("min_ratio = 1.6\n")
    assert follow.process is not None
    follow.process.send_signal(signal.SIGHUP)
    assert until(lambda: "min-ratio 1.5 -> 1.6" in follow.said())
    follow.append(rows(120, 125, "{time},failed,30"))
    follow.append(rows(125, 130))
    follow.end()
    found = [json.loads(line) for line in follow.out.read_text().splitlines()]
    assert any(row.get("recommendation") == "alert" and row["status"] == "failed" for row in found)


def test_one_process_owns_a_state(follow: Following) -> None:
    follow.start()
    assert follow.reads(39)
    second = txmon("watch", "--state", follow.folder / "s", stdin=b"time,status\n")
    assert second.code == 78
    assert follow.process is not None
    said = f"txmon: {follow.folder}/s: process {follow.process.pid} uses this state file."
    said += " Stop it, or name another --state file.\n"
    assert second.err == said
    served = txmon("serve", "--state", follow.folder / "s", "--port", "0")
    assert (served.code, served.err) == (78, said)
    assert follow.stop() == 0
    assert txmon("watch", "--state", follow.folder / "s", stdin=b"time,status\n").code == 0


def test_the_lock_of_a_killed_process_is_free(follow: Following) -> None:
    follow.start()
    assert follow.reads(39)
    assert follow.process is not None
    follow.process.kill()
    follow.process.wait()
    follow.out.unlink()
    assert follow.end() == 40


def test_serve_obeys_the_same_signals(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    log.write_text(HEADER + rows(0, 3))
    command = [TXMON, "serve", "--port", "0", "--tail", "app.log", "--state", "s", "--out", "v.jsonl"]
    with (tmp_path / "err").open("wb") as err:
        process = subprocess.Popen(command, cwd=tmp_path, stderr=err)
    try:
        assert until(lambda: "serving on" in (tmp_path / "err").read_text())
        process.send_signal(signal.SIGUSR1)
        assert until(lambda: "3 records taken, 0 rejected" in (tmp_path / "err").read_text())
        (tmp_path / "v.jsonl").rename(tmp_path / "v.jsonl.1")
        (tmp_path / "txmon.toml").write_text("sigma = 6\n")
        process.send_signal(signal.SIGHUP)
        assert until((tmp_path / "v.jsonl").exists)
        assert until((tmp_path / "s").exists)
        assert "sigma not set -> 6" in (tmp_path / "err").read_text()
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


# a number without a name and no HOME, as containers run; it may read where this Python is installed
NOBODY = ["setpriv", "--reuid=54321", "--regid=54321", "--clear-groups", "--inh-caps=+dac_override"]
NOBODY += ["--ambient-caps=+dac_override", "env", "-i", "PATH=/usr/bin:/bin"]


def as_nobody(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("becomes another user, which needs root and setpriv")
    command = [*NOBODY, TXMON, *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False, input="")


@pytest.mark.parametrize("command", ["replay one.csv", "config", "query one.csv", "simulate --days 0.01"])
def test_a_user_without_a_name_or_a_home(command: str, tmp_path: Path) -> None:
    (tmp_path / "one.csv").write_text("time,status\n2026-03-02T10:00:00Z,approved\n")
    done = as_nobody(tmp_path, *command.split())
    assert done.returncode == 0
    assert [line for line in done.stderr.splitlines() if not line.startswith("txmon: one.csv: CSV; ")] == []


@pytest.mark.parametrize("command", ["replay", "query --name per-minute --format csv", "analyze --json"])
def test_a_root_that_is_read_only(command: str) -> None:
    """In a container without a writable folder; not even a temporary one."""
    script = 'mount -o remount,ro,bind / && exec env -i PATH=/usr/bin:/bin "$@"'
    started = ["unshare", "--mount", "sh", "-c", script, "sh"]
    if os.geteuid() != 0 or subprocess.run([*started, "true"], capture_output=True, check=False).returncode:
        pytest.skip("mounts the root folder anew, which is not allowed here")
    words = command.split()
    done = subprocess.run([*started, TXMON, *words, str(SAMPLE)], capture_output=True, timeout=60, check=False)
    assert done.returncode == 0
    assert [line for line in done.stderr.splitlines() if b": CSV; " not in line] == []
    assert done.stdout == txmon(*words, SAMPLE).out


def test_notifications_without_a_home_say_what_they_need(tmp_path: Path) -> None:
    done = as_nobody(tmp_path, "watch", "--notify", "--exec", "true")
    assert done.returncode == 78
    assert done.stderr.startswith("txmon: there is no home folder to keep notifications in. Use --spool FOLDER")


@pytest.mark.parametrize(
    "arguments",
    [
        "replay a.csv --out a.csv",
        "replay a.csv --out link.csv",
        "replay a.csv --out hard.csv",
        "replay a.csv --rejects a.csv",
        "watch --follow a.csv --out a.csv",
        "watch --follow a.csv --out ./hard.csv",
        "watch --follow a.csv --state a.csv",
        "watch --follow none.jsonl --out none.jsonl",
        "watch --follow *.jsonl --out v.jsonl",
        "watch --follow a.csv --rejects link.csv",
        "serve --tail a.csv --out a.csv",
        "serve --tail a.csv --state hard.csv",
        "query a.csv --out a.csv",
        "replay --sql sqlite:///a.csv --query SELECT --out a.csv",
        "watch --sql duckdb:///a.csv --query SELECT --out hard.csv",
        "query --name per-minute a.csv --out hard.csv",
        "query . --out a.csv",
        "analyze a.csv --html a.csv",
        "analyze a.csv --png link.csv",
        "analyze a.csv --svg hard.csv",
        "replay a.csv --out x --rejects x",
        "simulate --out x --labels ./x",
        "replay a.csv --out txmon.toml",
        "replay logs/verdicts-20260302T10.jsonl --log logs",
    ],
)
def test_no_command_writes_to_what_it_reads(arguments: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(SAMPLE.read_bytes())
    (tmp_path / "link.csv").symlink_to("a.csv")
    os.link(tmp_path / "a.csv", tmp_path / "hard.csv")
    (tmp_path / "txmon.toml").write_text("sigma = 5\n")
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "verdicts-20260302T10.jsonl").write_text("{}\n")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    done = subprocess.run(
        [TXMON, *arguments.split()], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("\n") == 1
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_standard_input_and_output_are_known_by_their_file(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(SAMPLE.read_bytes())
    for arguments in (
        ["replay", "-", "--out", "a.csv"],
        ["watch", "--out", "a.csv"],
        ["serve", "--tail", "-", "--out", "a.csv"],
    ):
        with path.open("rb") as file:
            done = subprocess.run(
                [TXMON, *arguments], cwd=tmp_path, stdin=file, capture_output=True, timeout=60, check=False
            )
        assert done.returncode == 2, done.stderr
    with path.open("ab") as file:
        done = subprocess.run([TXMON, "replay", "a.csv"], cwd=tmp_path, stdout=file, timeout=60, check=False)
    assert done.returncode == 2
    assert path.read_bytes() == SAMPLE.read_bytes()


def test_a_failure_leaves_the_output_of_before(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(HEADER + rows(0, 4000) + "no row\n")
    for arguments in (
        ["replay", "a.csv", "--strict", "--out", "out"],
        ["query", "SELECT error('x') FROM transactions", "a.csv", "--out", "out"],
    ):
        (tmp_path / "out").write_text("before")
        done = subprocess.run([TXMON, *arguments], cwd=tmp_path, capture_output=True, timeout=60, check=False)
        assert done.returncode in (2, 65)
        assert (tmp_path / "out").read_text() == "before"
        assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "out"]


def test_an_output_keeps_its_mode_and_its_link(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("before")
    (tmp_path / "real").chmod(0o640)
    (tmp_path / "out").symlink_to("real")
    assert txmon("replay", SAMPLE, "--out", tmp_path / "out").code == 0
    assert (tmp_path / "out").is_symlink()
    assert (tmp_path / "real").stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "real").read_bytes() == txmon("replay", SAMPLE).out


@pytest.mark.parametrize("command", ["replay SAMPLE", "simulate", "query --name per-minute SAMPLE --format csv"])
def test_a_dash_is_standard_output(command: str) -> None:
    words = [str(SAMPLE) if word == "SAMPLE" else word for word in command.split()]
    assert txmon(*words, "--out", "-").out == txmon(*words).out != b""


def test_a_page_on_standard_output() -> None:
    assert txmon("analyze", SAMPLE, "--html", "-").out.startswith(b"<!doctype html>")
    assert txmon("analyze", SAMPLE, "--svg", "-").out.startswith(b"<?xml")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("replay SAMPLE --budget 1/week --sigma 4", "--budget and --sigma both set the threshold. Give one of them."),
        (
            "replay SAMPLE --group-by status",
            "--group-by: 'status' cannot be a dimension. Every status is judged by itself already.",
        ),
        ("watch --group-by Time", "--group-by: 'Time' cannot be a dimension. It contains the time."),
        ("replay SAMPLE --map status=state --group-by state", "--group-by: 'state' cannot be a dimension."),
        (
            "analyze checkouts.csv --group-by merchant",
            "--group-by is for transactions. A file of checkouts has no such columns.",
        ),
        ("replay SAMPLE --warmup 90", "--warmup: '90' has no unit. Use 90s, 90m or 90h."),
        ("replay SAMPLE --bucket 60", "--bucket: '60' has no unit. Use 60s, 60m or 60h."),
        ("watch --from noon", "--from 'noon' is not valid. Use start, end, or a time like 2026-03-02T10:00Z."),
        ("watch --from end", "--from end needs --follow FILE."),
    ],
)
def test_what_cannot_be_meant_is_an_error(arguments: str, line: str, tmp_path: Path) -> None:
    (tmp_path / "checkouts.csv").write_text("time,today,yesterday\n00h,1,2\n01h,3,4\n")
    words = [str(SAMPLE) if word == "SAMPLE" else word for word in arguments.split()]
    done = subprocess.run(
        [TXMON, *words], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 2
    assert done.stderr.startswith(f"txmon: {line}")


@pytest.mark.parametrize(
    "statement", ["DROP TABLE transactions", "DELETE FROM transactions", "UPDATE transactions SET count = 0"]
)
def test_a_query_changes_nothing(statement: str) -> None:
    done = txmon("query", statement, SAMPLE)
    assert (done.code, done.out) == (2, b"")
    assert (
        done.err
        == f"txmon: {statement.split()[0]} is refused: a query reads its files and changes nothing. Use SELECT.\n"
    )


@pytest.mark.parametrize("command", ["replay -", "watch", f"query - {SAMPLE}"])
def test_a_terminal_is_told_that_it_is_read(command: str, tmp_path: Path) -> None:
    leader, terminal = pty.openpty()
    try:
        with (tmp_path / "err").open("wb") as err:
            process = subprocess.Popen(
                [TXMON, *command.split()], stdin=terminal, stdout=subprocess.DEVNULL, stderr=err, cwd=tmp_path
            )
        assert until(lambda: "from the keyboard. Ctrl-D ends it." in (tmp_path / "err").read_text())
        process.kill()
        process.wait()
    finally:
        os.close(leader)
        os.close(terminal)


def test_an_error_in_sql_keeps_its_lines() -> None:
    done = txmon("query", "SELECT status,\n  nowhere\nFROM transactions", SAMPLE)
    assert done.code == 2
    lines = done.err.splitlines()
    assert lines[0].startswith("txmon: Binder Error:")
    assert "  LINE 2:   nowhere" in lines
    assert lines[-1].strip() == "^" * len("nowhere")


def waits(process: "subprocess.Popen[bytes]") -> int:
    """How often the process has waited for something so far."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.partition("\nvoluntary_ctxt_switches:")[2].split()[0])


def test_a_run_goes_on_quietly_when_its_terminal_is_closed(tmp_path: Path) -> None:
    (tmp_path / "app.log").write_text(HEADER + rows(0, 60))
    master, slave = pty.openpty()

    def own() -> None:
        os.setsid()
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)

    command = [TXMON, "watch", "--follow", "app.log", "--out", "v.jsonl"]
    environment = {**os.environ, "TERM": "xterm-256color"}
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        preexec_fn=own,  # noqa: PLW1509
        env=environment,
    )
    try:
        os.close(slave)
        seen = b""
        while b"\x1b[" not in seen or not (tmp_path / "v.jsonl").exists():
            seen += os.read(master, 4096)
        os.close(master)
        before = waits(process)
        assert until(lambda: waits(process) > before + 5)
        assert process.poll() is None
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0

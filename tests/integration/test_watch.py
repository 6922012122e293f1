"""`txmon watch` as a process: pipes cut anywhere, signals, kill -9, broken states, a terminal with keys."""

import gzip
import itertools
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pexpect
import pytest
from paths import ROOT

TXMON = str(Path(sys.executable).with_name("txmon"))
SAMPLE = ROOT / "examples" / "transactions.csv"


def verdicts(lines: bytes) -> list[bytes]:
    return [line for line in lines.splitlines() if b'"recommendation"' in line and b'"partial"' not in line]


@pytest.fixture(scope="module")
def replayed() -> bytes:
    return subprocess.run([TXMON, "replay", str(SAMPLE)], capture_output=True, timeout=60, check=True).stdout


@pytest.mark.parametrize("seed", range(3))
def test_a_pipe_cut_anywhere_gives_replays_lines(seed: int, replayed: bytes) -> None:
    raw = SAMPLE.read_bytes()
    rng = random.Random(seed)
    with subprocess.Popen([TXMON, "watch"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        # a reader of its own would be needed for more than a pipe holds: so the output goes to the end
        cuts = sorted({0, *(rng.randrange(len(raw)) for _ in range(40)), len(raw)})
        import threading

        out: list[bytes] = []
        reader = threading.Thread(target=lambda: out.append(child.stdout.read()))  # type: ignore[union-attr]
        reader.start()
        for a, b in itertools.pairwise(cuts):
            child.stdin.write(raw[a:b])
            child.stdin.flush()
        child.stdin.close()
        reader.join(60)
    assert child.returncode == 0
    plain = [line for line in out[0].splitlines() if b'"partial"' not in line]
    assert plain == replayed.splitlines()


def follow(path: Path, folder: Path) -> subprocess.Popen[bytes]:
    arguments = ["--follow", str(path), "--state", str(folder / "state"), "--out", str(folder / "out.jsonl")]
    return subprocess.Popen([TXMON, "watch", *arguments], stderr=subprocess.PIPE)


def wait_for(condition: object, seconds: float = 20) -> None:
    assert callable(condition)
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.02)


def test_a_file_that_is_not_there_yet_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "app.csv"
    child = follow(path, tmp_path)
    assert child.stderr is not None
    assert child.stderr.readline() == f"txmon: {path}: no such file yet; waiting for it\n".encode()
    path.write_text("time,status,count\n" + "".join(f"2026-03-02T14:{m:02}:00Z,failed,1\n" for m in range(20)))
    out = tmp_path / "out.jsonl"
    wait_for(lambda: out.exists() and b'"failed"' in out.read_bytes())
    child.send_signal(signal.SIGTERM)
    assert child.wait(30) == 0
    child.stderr.close()


def test_what_is_no_file_cannot_be_followed(tmp_path: Path) -> None:
    child = follow(tmp_path, tmp_path)
    _, told = child.communicate(timeout=30)
    assert child.returncode == 66
    assert told.startswith(f"txmon: {tmp_path}: is a directory. Name a file".encode())


def test_kill_9_at_random_moments_loses_and_changes_nothing(tmp_path: Path, replayed: bytes) -> None:
    raw = SAMPLE.read_bytes()
    path, out = tmp_path / "app.csv", tmp_path / "out.jsonl"
    path.write_bytes(b"")
    rng = random.Random(9)
    written = 0
    for _ in range(8):
        child = follow(path, tmp_path)
        if written < len(raw):
            step = rng.randrange(len(raw) // 5)
            with path.open("ab") as file:
                file.write(raw[written : written + step])
            written += step
        time.sleep(rng.uniform(0.1, 0.6))
        # some stop in good order, so that there is a state to go on from
        child.send_signal(rng.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM]))
        child.communicate(timeout=20)
    with path.open("ab") as file:
        file.write(raw[written:])
    last = follow(path, tmp_path)
    whole = verdicts(replayed)
    end = b'"time": "2026-03-02T23:58:00Z"'
    wait_for(lambda: out.exists() and end in out.read_bytes())
    last.send_signal(signal.SIGTERM)
    last.communicate(timeout=20)
    found = set(verdicts(out.read_bytes()))
    closed = {line for line in whole if b"T23:59:00Z" not in line}  # the last minute is still open
    assert found == closed


def test_sigterm_and_sigint_save_the_state(tmp_path: Path) -> None:
    for number, code in ((signal.SIGTERM, 0), (signal.SIGINT, 130)):
        child = follow(SAMPLE, tmp_path)
        wait_for(lambda: (tmp_path / "out.jsonl").exists() and b"T23:58" in (tmp_path / "out.jsonl").read_bytes())
        child.send_signal(number)
        _, err = child.communicate(timeout=20)
        assert child.returncode == code
        assert b"Traceback" not in err
        state = json.loads(gzip.decompress((tmp_path / "state").read_bytes()))
        assert state["sources"][str(SAMPLE)]["offset"] == SAMPLE.stat().st_size
        (tmp_path / "out.jsonl").unlink()
        (tmp_path / "state").unlink()


def test_a_damaged_state_is_refused_and_kept(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.write_bytes(b"no state")
    done = subprocess.run(
        [TXMON, "watch", "--state", str(state)], input=b"", capture_output=True, timeout=20, check=False
    )
    assert done.returncode == 78
    assert done.stderr.count(b"\n") == 1
    assert b"is not a txmon state" in done.stderr
    assert state.read_bytes() == b"no state"


def test_a_state_that_cannot_be_written_is_said_and_detection_goes_on(tmp_path: Path, replayed: bytes) -> None:
    state = tmp_path / "gone" / "state"
    with SAMPLE.open("rb") as file:
        done = subprocess.run(
            [TXMON, "watch", "--state", str(state)], stdin=file, capture_output=True, timeout=60, check=False
        )
    assert done.returncode == 0
    assert done.stderr.count(b"the state cannot be written: No such file or directory. txmon continues without it") == 1
    assert len(verdicts(done.stdout)) == len(
        [v for v in verdicts(replayed) if b"T23:59:00Z" not in v and b"T23:58:00Z" not in v]
    )


def heeds(child: "subprocess.Popen[bytes]", number: int) -> bool:
    """Whether the process catches this signal by now."""
    caught = re.search(r"SigCgt:\s*(\w+)", Path(f"/proc/{child.pid}/status").read_text())
    assert caught is not None
    return bool(int(caught[1], 16) >> (number - 1) & 1)


def test_state_show_and_ack(tmp_path: Path) -> None:
    raw = SAMPLE.read_bytes()
    path = tmp_path / "app.csv"
    path.write_bytes(raw[: raw.index(b"2026-03-02T14:40")])
    child = follow(path, tmp_path)
    state = str(tmp_path / "state")
    wait_for(lambda: (tmp_path / "out.jsonl").exists() and b"T14:38" in (tmp_path / "out.jsonl").read_bytes())
    child.send_signal(signal.SIGTERM)
    child.communicate(timeout=20)
    shown = subprocess.run([TXMON, "state", "show", state], capture_output=True, timeout=20, check=True).stdout.decode()
    assert "denied" in shown
    assert "open: 20260302T1430-denied issuer declines since 2026-03-02T14:30:00Z" in shown
    wrong = subprocess.run([TXMON, "ack", "20260302T1430-deneid", "--state", state], capture_output=True, check=False)
    assert wrong.returncode == 2
    assert b"did you mean '20260302T1430-denied'" in wrong.stderr
    subprocess.run(
        [TXMON, "ack", "20260302T1430-denied", "--normal", "--state", state], check=True, capture_output=True
    )
    again = follow(path, tmp_path)
    wait_for(lambda: heeds(again, signal.SIGTERM))
    again.send_signal(signal.SIGTERM)
    again.communicate(timeout=20)
    saved = json.loads(gzip.decompress(Path(state).read_bytes()))
    assert [one["acknowledged"] for one in saved["pipeline"]["incidents"]["open"]] == [True]
    assert saved["pipeline"]["detector"]["excluded"] == [[[], "denied"]]
    assert not (tmp_path / "state.ack").exists()


def test_early_alerts_come_before_the_minute_ends(tmp_path: Path) -> None:
    rows = [f"2026-03-02T10:{m:02}:05Z,{s},{n}" for m in range(40) for s, n in (("approved", 100), ("denied", 10))]
    with subprocess.Popen([TXMON, "watch"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write("\n".join(["time,status,count", *rows, "2026-03-02T10:40:01Z,approved,5", ""]).encode())
        child.stdin.flush()
        while b"10:39:00Z" not in (line := child.stdout.readline()) or b'"status": "*"' not in line:
            pass
        child.stdin.write(b"2026-03-02T10:40:09Z,denied,50\n")
        child.stdin.flush()
        early = json.loads(child.stdout.readline())
        assert (early["time"], early["status"], early["count"], early["partial"]) == (
            "2026-03-02T10:40:00Z",
            "denied",
            50,
            True,
        )
        assert early["recommendation"] == "alert"
        child.stdin.close()


def test_the_terminal_shows_the_chart_and_takes_keys(tmp_path: Path) -> None:
    environment = {**os.environ, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8"}
    command = f"{TXMON} simulate --speed 20000 | {TXMON} watch --out {tmp_path}/v"
    child = pexpect.spawn("bash", ["-c", command], dimensions=(30, 90), timeout=30, encoding="utf-8", env=environment)
    child.expect("is normal")
    child.send(" ")
    child.expect("paused")
    child.send(" ")
    child.send("\x1b[B")
    child.expect("is normal")
    child.send("q")
    child.expect("sigmas")
    child.expect(pexpect.EOF)
    child.close()
    assert (tmp_path / "v").read_text().count("\n") > 10

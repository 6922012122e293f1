"""Disk, descriptors and memory that run out, and folders that cannot be written to."""

import json
import os
import resource
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fault_tools import SAMPLE, TXMON, ordinary, strict, table, txmon, watcher

FULL = "/dev/full"  # every write to it fails as on a full disk


@pytest.mark.fault(
    "disk full at `replay --out`", "stops with one line and exit code 74, because half a file is no result"
)
def test_replay_stops_on_a_full_disk() -> None:
    done = txmon("replay", SAMPLE, "--out", FULL)
    assert (done.code, done.err) == (74, "txmon: output: No space left on device\n")


@pytest.mark.fault("disk full at standard output", "stops with one line and exit code 74")
def test_a_full_disk_behind_standard_output() -> None:
    full = os.open(FULL, os.O_WRONLY)
    try:
        done = txmon("replay", SAMPLE, stdout=full)
    finally:
        os.close(full)
    assert (done.code, done.err) == (74, "txmon: output: No space left on device\n")


@pytest.mark.fault(
    "disk full at `watch --out`, then space again",
    "reports it once and continues; up to 16 MB of lines wait and are written when there is space, none of them twice",
)
def test_watch_goes_on_and_writes_again_when_there_is_space(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    child = watcher("--out", out, limits={resource.RLIMIT_FSIZE: 3000})
    assert child.stdin is not None
    rows = ordinary(80)
    child.stdin.write(table(rows[:80]))
    child.stdin.flush()
    assert child.stderr is not None
    said = f"txmon: {out}: File too large. txmon continues, and up to 16 MB of lines wait for space\n"
    assert child.stderr.readline().decode() == said
    wait_until_idle(child.pid)
    most = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.prlimit(child.pid, resource.RLIMIT_FSIZE, (most, most))
    child.stdin.write(table(rows[80:])[len(b"time,status,count\n") :])
    _, err = child.communicate(timeout=20)
    assert child.returncode == 0
    whole = [line for line in out.read_bytes().split(b"\n") if line.endswith(b"}") and line.startswith(b"{")]
    times = {line["time"] for line in strict(b"\n".join(whole))}
    assert {"2026-03-02T10:00:00Z", "2026-03-02T10:30:00Z", "2026-03-02T11:19:00Z"} <= times
    assert len(whole) == len(set(whole))
    assert f"{out}: writing works again" in err.decode()


def wait_until_idle(pid: int) -> None:
    """Wait until a process has taken all that it was given: it sleeps and uses no more time."""
    before = -1
    for _ in range(200):
        used = sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]))
        if used == before:
            return
        before = used
        time.sleep(0.1)
    raise AssertionError("it is never idle")


@pytest.mark.fault(
    "disk full at `watch --rejects`", "reports it once, continues and counts the bad records that it could not save"
)
def test_rejects_that_cannot_be_kept_stop_nothing() -> None:
    rows = [*ordinary(40), ("x", "denied", 1), ("y", "denied", 1)]
    done = txmon("watch", "--rejects", FULL, stdin=table(rows))
    assert done.code == 0
    assert done.err.count("/dev/full: No space left on device. txmon continues, and") == 1
    assert "/dev/full: 2 lines could not be written" in done.err
    assert len(done.volume()) == 40


@pytest.mark.fault("disk full at `replay --rejects`", "stops with one line and exit code 74: nothing is lost silently")
def test_replay_does_not_lose_rejects() -> None:
    done = txmon("replay", "-", "--rejects", FULL, stdin=table([*ordinary(3), ("x", "denied", 1)]))
    assert done.code == 74
    assert done.err.endswith("txmon: /dev/full: No space left on device\n")


@pytest.mark.fault("disk full at `--log`", "continues; lines wait for space, and those that never get it are counted")
def test_a_log_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    done = txmon("replay", SAMPLE, "--log", tmp_path / "log", limits={resource.RLIMIT_FSIZE: 4096})
    assert done.code == 0
    assert done.out == txmon("replay", SAMPLE).out
    assert "lines could not be written (" in done.err


@pytest.mark.fault(
    "disk full at `--state` (a file system of 64 kB)",
    "reports it once and continues; the old state stays whole and no temporary file is left behind",
)
def test_a_state_on_a_full_file_system(tmp_path: Path) -> None:
    script = """
        mount -t tmpfs -o size=64k none "$1" || exit 99
        "$2" watch --state "$1/state" < "$3" > /dev/null || exit 98
        cp "$1/state" "$4"; dd if=/dev/zero of="$1/ballast" bs=4k status=none 2> /dev/null
        "$2" watch --state "$1/state" < "$5" | tail -1
        ls -A "$1"; cmp "$1/state" "$4" && echo same
    """
    disk, copy = tmp_path / "disk", tmp_path / "copy"
    disk.mkdir()
    long = tmp_path / "long.csv"  # many keys, so that the state is larger than what is left
    long.write_bytes(table((f"2026-03-03T10:{m:02}:00Z", f"s{n}", 1) for m in range(3) for n in range(4000)))
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"]
    done = subprocess.run(
        [*command, disk, TXMON, SAMPLE, copy, long], capture_output=True, text=True, timeout=60, check=False
    )
    if done.returncode in (1, 99) and ("unshare" in done.stderr or "mount" in done.stderr):
        pytest.skip("no file system of its own may be mounted here")
    last, *files = done.stdout.splitlines()
    assert json.loads(last)["time"].startswith("2026-03-03")
    assert files == ["ballast", "state", "state.lock", "same"]
    assert done.stderr.count("the state cannot be written: No space left on device. txmon continues without it") == 1


@pytest.fixture
def readonly(tmp_path: Path) -> Iterator[Path]:
    """A folder in which only root may write."""
    folder = tmp_path / "folder"
    folder.mkdir()
    folder.chmod(0o555)
    yield folder
    folder.chmod(0o755)


@pytest.mark.fault("read-only folder at `--out`, `--rejects` or `--log`", "refuses to start, with exit code 74")
@pytest.mark.parametrize("name", ["out", "rejects", "log"])
def test_a_readonly_folder_is_said_at_once(name: str, readonly: Path) -> None:
    done = txmon("replay", "-", f"--{name}", readonly / "x", stdin=table(ordinary(3)), bound=True)
    assert (done.code, done.out) == (74, b"")
    assert done.err == f"txmon: {readonly}/x: Permission denied\n"


@pytest.mark.fault("read-only folder at `--state`", "reports it once and continues without a state")
def test_a_readonly_folder_for_the_state(readonly: Path) -> None:
    done = txmon("watch", "--state", readonly / "state", stdin=table(ordinary(40)), bound=True)
    assert done.code == 0
    assert (
        done.err
        == f"txmon: {readonly}/state: the state cannot be written: Permission denied. txmon continues without it\n"
    )
    assert len(done.volume()) == 38  # the last two may still get rows


@pytest.mark.fault("out of descriptors at the start", "stops with one line that names the limit, exit code 74")
def test_too_few_descriptors_to_begin() -> None:
    done = txmon("watch", stdin=table(ordinary(3)), limits={resource.RLIMIT_NOFILE: 5})
    assert (done.code, done.out) == (74, b"")
    assert "Too many open files (ulimit -n shows the limit)\n" in done.err
    assert done.err.count("\n") == 1


@pytest.mark.fault("out of descriptors while it runs", "reports once that it cannot write the state, and continues")
def test_too_few_descriptors_later(tmp_path: Path) -> None:
    child = watcher("--state", tmp_path / "state")
    assert child.stdin is not None
    child.stdin.write(table(ordinary(40)))
    child.stdin.flush()
    wait_until_idle(child.pid)
    resource.prlimit(child.pid, resource.RLIMIT_NOFILE, (4, 4))
    out, err = child.communicate(timeout=20)
    assert child.returncode == 0
    assert err.decode().count("Too many open files. txmon continues without it") == 1
    assert len([line for line in strict(out) if line["status"] == "*"]) == 38


@pytest.mark.fault(
    "out of memory (`ulimit -v`)",
    "stops with one line that says what needs less, exit code 1; every line written is whole",
)
def test_memory_runs_out() -> None:
    rows = ((f"2026-03-02T10:{m:02}:00Z", "s", f"{m}-{n}", 1) for m in range(8) for n in range(20_000))
    done = txmon(
        "replay", "-", "--group-by", "m", "--only", "alerts", stdin=table(rows, "time,status,m,count"),
        limits={resource.RLIMIT_AS: 110 << 20},
    )  # fmt: skip
    assert (done.code, done.err) == (
        1,
        "txmon: out of memory. Use fewer series: --max-series, or fewer columns in --group-by.\n",
    )
    assert done.lines is not None

"""What must not break it: a line of 10 MB, a truncated file, ten times the rows."""

import gzip
import resource
import subprocess
import sys
from pathlib import Path

import pytest

TXMON = str(Path(sys.executable).with_name("txmon"))


def test_a_line_of_10_mb_is_one_reject_and_the_rest_is_read(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b"time,status,count\n10:00,denied,1\n" + b"9" * 10_000_000 + b"\n10:01,denied,2\n")
    done = subprocess.run(
        [TXMON, "replay", str(path), "--rejects", str(tmp_path / "r")], capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0
    assert b"10000000 bytes, at most 1048576 are read" in done.stderr
    assert b'"count": 2' in done.stdout
    assert len((tmp_path / "r").read_bytes()) > 10_000_000


@pytest.mark.parametrize("missing", [1, 9, 100])
def test_every_truncation_of_a_gzip_is_an_error(missing: int, tmp_path: Path) -> None:
    path = tmp_path / "t.gz"
    path.write_bytes(gzip.compress(b"time,status\n" + b"10:00,denied\n" * 9999)[:-missing])
    done = subprocess.run([TXMON, "replay", str(path)], capture_output=True, timeout=60, check=False)
    assert done.returncode == 74
    assert b"the gzip data ends too early" in done.stderr


def peak(days: int, tmp_path: Path) -> int:
    """Resident memory of a replay of so many days, kilobytes."""
    path = tmp_path / f"{days}.csv"
    subprocess.run([TXMON, "simulate", "--days", str(days), "--out", str(path)], check=True, timeout=120)
    child = subprocess.Popen([TXMON, "replay", str(path), "--out", "/dev/null"])
    import os

    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = status
    assert status == 0
    assert isinstance(usage, resource.struct_rusage)
    return usage.ru_maxrss


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    assert peak(20, tmp_path) < 1.05 * peak(2, tmp_path)

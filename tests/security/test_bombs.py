"""Small inputs that would become large: packed zeros, nested brackets, padded times, bombs for a state."""

import gzip
import json
import random
from pathlib import Path

import pytest
import zstandard
from trap_tools import TABLE, txmon

MEMORY = 200 << 20  # bytes of address space, of which a plain run takes about 60 MB


def zeros(kind: str, content: bytes) -> bytes:
    """A file that begins as a stream of transactions and unpacks to 256 or 512 MB."""
    if kind == "gzip":
        return gzip.compress(TABLE) + gzip.compress(content * (16 << 20)) * 16
    packer = zstandard.ZstdCompressor(level=1)
    return packer.compress(TABLE) + packer.compress(content * (256 << 20)) * 2


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
@pytest.mark.parametrize("command", ["replay", "watch"])
def test_a_packed_bomb_takes_bounded_memory(kind: str, command: str, tmp_path: Path) -> None:
    path = tmp_path / "bomb"
    path.write_bytes(zeros(kind, b"\0"))
    assert path.stat().st_size < 2 << 20
    arguments = ["replay", path] if command == "replay" else ["watch"]
    done = txmon(*arguments, stdin=b"" if command == "replay" else path.read_bytes(), memory=MEMORY)
    if command == "replay":  # a file is looked at before it is read
        assert (done.returncode, done.stdout) == (65, b"")
        assert b"is binary, not CSV or JSON lines" in done.stderr
        return
    assert done.returncode == 0
    assert b"1 bad record of this kind: too-long" in done.stderr
    assert done.stdout.count(b"\n") >= 100


@pytest.mark.parametrize("command", [["replay", "-"], ["watch"]])
def test_a_bomb_of_empty_lines_takes_bounded_memory(command: list[str]) -> None:
    raw = gzip.compress(TABLE) + gzip.compress(b"\n" * (8 << 20))
    done = txmon(*command, stdin=raw, memory=140 << 20)  # unpacked at once, it would take 400 MB
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_zstd_frame_that_asks_for_too_large_a_window_is_refused() -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=30, compression_level=1)
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    done = txmon("replay", "-", stdin=packer.compress(TABLE) + packer.flush(), memory=MEMORY)
    assert done.returncode == 74
    assert b"the zstd data is damaged" in done.stderr
    assert done.stderr.count(b"\n") == 1


@pytest.mark.parametrize("deep", ["[" * 400_000, '{"a":' * 150_000])
def test_nested_json_is_a_bad_record(deep: str) -> None:
    rows = ['{"time": "2026-03-02T10:00:00Z", "status": "denied"}', '{"time": ' + deep]
    done = txmon("replay", "-", stdin="\n".join(rows).encode(), memory=MEMORY)
    assert done.returncode == 0
    assert b"1 bad record of this kind: json" in done.stderr


def test_times_padded_to_a_megabyte_are_not_kept() -> None:
    rows = b"".join(b"2026-03-02T10:%02d:%02d%s,denied\n" % (n // 60, n % 60, b" " * 900_000) for n in range(240))
    done = txmon("replay", "-", stdin=gzip.compress(b"time,status\n" + rows, 1), memory=MEMORY)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize(
    "content", [b'{"txmon": 1, "x": "' + b" " * (300 << 20), b"[" * (32 << 20), b'{"txmon":' + b"[" * 90_000]
)
def test_a_state_that_is_a_bomb_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "state"
    path.write_bytes(gzip.compress(content, 1))
    done = txmon("state", "show", path, memory=700 << 20)
    assert done.returncode == 78
    assert b"txmon did not change it" in done.stderr
    assert done.stderr.count(b"\n") == 1


def test_an_ordinary_large_state_is_no_bomb(tmp_path: Path) -> None:
    rng = random.Random(1)
    rows = ((m, s, rng.randrange(9)) for m in range(2) for s in range(20_000))
    table = b"time,status,m,count\n" + b"".join(b"2026-03-02T10:%02d:00Z,s,%d,%d\n" % (m, s, n) for m, s, n in rows)
    path = tmp_path / "state"
    txmon("watch", "--state", path, "--group-by", "m", "--out", "/dev/null", stdin=table)
    unpacked = gzip.decompress(path.read_bytes())
    assert len(unpacked) < 100 * path.stat().st_size
    assert json.loads(unpacked)["txmon"] == 1
    assert txmon("state", "show", path, "--rows", "3").returncode == 0

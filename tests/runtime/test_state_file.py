"""The state file: atomic, private, versioned, and kept whatever is wrong with it."""

import gzip
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from txmon.errors import ConfigError, IoFailure
from txmon.ingest.records import Record
from txmon.runtime import state_file
from txmon.runtime.factory import pipeline_of, restore, save
from txmon.runtime.state_file import Saver, State, load, pack
from txmon.runtime.state_file import save as write
from txmon.settings.declarations import Settings


def test_what_is_saved_is_restored(tmp_path: Path) -> None:
    path = str(tmp_path / "state")
    pipeline = pipeline_of(Settings(), live=True)
    list(pipeline.feed([Record(60 * m, "denied", 3) for m in range(90)]))
    save(pipeline, Settings(), path, {"f": {"offset": 3}})
    other = pipeline_of(Settings(), live=True)
    assert restore(other, Settings(), path) == {"f": {"offset": 3}}
    assert other.snapshot() == pipeline.snapshot()
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert os.listdir(tmp_path) == ["state"]


@pytest.mark.parametrize("keys", [0, 1, 3])
def test_keys_that_are_packed_piece_by_piece_are_those_of_a_whole_snapshot(
    keys: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state_file, "KEYS", 2)
    settings = Settings(group_by=("shop",))
    pipeline = pipeline_of(settings, live=True)
    rows = [Record(60 * m, 'de"n\nied', 3, (("shop", f"s\u00e9{k}"),)) for m in range(40) for k in range(keys)]
    list(pipeline.feed(rows))
    whole = State({}, json.loads(json.dumps(pipeline.snapshot())), {"f": {"offset": 3}})
    write(str(tmp_path / "whole"), whole)
    write(str(tmp_path / "lazy"), State({}, pipeline.snapshot(lazy=True), {"f": {"offset": 3}}))
    assert load(str(tmp_path / "lazy")) == load(str(tmp_path / "whole")) == whole
    assert len(pipeline.snapshot()["detector"]["groups"]) == keys  # type: ignore[index]
    assert (tmp_path / "lazy").read_bytes() == pack(State({}, pipeline.snapshot(lazy=True), {"f": {"offset": 3}}))


def test_a_failure_while_keys_are_packed_leaves_the_state_that_was_there(tmp_path: Path) -> None:
    path = tmp_path / "state"
    path.write_bytes(good())

    def rows() -> Iterator[object]:
        yield [1.5]
        raise RuntimeError("dictionary changed size during iteration")

    with pytest.raises(RuntimeError):
        write(str(path), State({}, {"detector": {"groups": rows()}}))
    assert path.read_bytes() == good()
    assert os.listdir(tmp_path) == ["state"]


def test_no_file_is_no_state(tmp_path: Path) -> None:
    assert load(str(tmp_path / "none")) is None


def good() -> bytes:
    row = {"txmon": 1, "settings": {}, "pipeline": {}, "sources": {}}
    return gzip.compress(json.dumps(row).encode(), mtime=0)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "is not a txmon state, or it is damaged"),
        (b"time,status\n", "is not a txmon state"),
        (good()[:-9], "damaged"),
        (good()[:30] + b"\xff\xff" + good()[32:], "damaged"),
        (gzip.compress(b"[1]", mtime=0), "is not a txmon state"),
        (gzip.compress(b'{"txmon": 99, "written_by": "9.0"}', mtime=0), "has format 99, written by txmon 9.0"),
        (gzip.compress(b'{"txmon": 1}', mtime=0), "lacks 'settings'"),
    ],
)
def test_a_foreign_or_damaged_file_is_refused_and_kept(raw: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "state"
    path.write_bytes(raw)
    with pytest.raises(ConfigError, match=reason):
        load(str(path))
    assert path.read_bytes() == raw


def test_other_settings_are_refused(tmp_path: Path) -> None:
    path = str(tmp_path / "state")
    save(pipeline_of(Settings(), live=True), Settings(), path, {})
    for settings in (Settings(bucket=300), Settings(group_by=("merchant",))):
        with pytest.raises(ConfigError, match=r"was written with(out)? --"):
            restore(pipeline_of(settings, live=True), settings, path)
    write(path, State({"bucket": 60, "by": []}, {"buckets": 3}))
    with pytest.raises(ConfigError, match="is damaged"):
        restore(pipeline_of(Settings(), live=True), Settings(), path)


def test_a_failed_writing_leaves_the_old_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "state"
    path.write_bytes(good())

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(IoFailure, match="the state cannot be written: No space left on device"):
        write(str(path), State({}, {}))
    assert path.read_bytes() == good()
    assert os.listdir(tmp_path) == ["state"]


def test_writing_takes_a_tenth_of_the_time_at_most() -> None:
    saver = Saver(0.0)
    assert [saver.due(now) for now in (9.9, 10.0)] == [False, True]
    saver.wrote(10.0, 10.1)
    assert [saver.due(now) for now in (20.0, 20.2)] == [False, True]
    saver.wrote(20.0, 25.0)
    assert [saver.due(now) for now in (74.0, 75.0)] == [False, True]

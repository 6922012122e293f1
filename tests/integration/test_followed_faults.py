"""Followed files under faults that are rarer than a rotation: each row counts once, or one line says what is lost."""

import gzip
import os
import shutil
import signal
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from following import BEGIN, HEADER, Following, rows, until


@pytest.fixture
def follow(tmp_path: Path) -> Iterator[Following]:
    found = Following(tmp_path)
    yield found
    if found.process is not None and found.process.poll() is None:
        found.process.kill()
        found.process.wait()


def begun(follow: Following, running: bool) -> None:
    """40 rows that were read; running: the run goes on."""
    follow.append(HEADER + rows(0, 40))
    if running:
        follow.start()
        assert follow.reads(39), follow.said()
    else:
        follow.run_until(39)


BOTH = pytest.mark.parametrize("running", [True, False], ids=["running", "stopped"])


@BOTH
@pytest.mark.parametrize(
    "name", ["app.log.5", "app.log.bak", "app.log~", "old-app.log", "app.log.1.tmp", "elsewhere.txt"]
)
def test_a_file_renamed_to_any_name(follow: Following, name: str, running: bool) -> None:
    begun(follow, running)
    follow.append(rows(40, 60))
    follow.log.rename(follow.folder / name)
    follow.append(HEADER + rows(60, 80))
    assert follow.end() == 80, follow.said()
    assert "lost" not in follow.said()


@BOTH
def test_a_file_moved_to_a_folder_for_old_ones(follow: Following, running: bool) -> None:
    begun(follow, running)
    follow.append(rows(40, 60))
    (follow.folder / "old").mkdir()
    follow.log.rename(follow.folder / "old" / "app.log.1")
    follow.append(HEADER + rows(60, 80))
    assert follow.end() == 80, follow.said()


@BOTH
def test_the_whole_folder_is_replaced(follow: Following, running: bool, tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    follow.append(HEADER + rows(0, 40), "logs/app.log")
    follow.start(name="logs/app.log")
    assert follow.reads(39)
    if not running:
        follow.stop()
    follow.append(rows(40, 60), "logs/app.log")
    logs.rename(tmp_path / "logs.old")
    logs.mkdir()
    follow.append(HEADER + rows(60, 80) + rows(600, 620, "{time},denied,1"), "logs/app.log")
    if not running:
        follow.start(name="logs/app.log")
    assert follow.reads(610), follow.said()
    follow.stop()
    if follow.counted() != 80:
        assert follow.counted() == 60
        assert "lost" in follow.said()


@BOTH
@pytest.mark.parametrize("dated", [True, False])
def test_a_link_that_points_to_another_file(follow: Following, running: bool, dated: bool) -> None:
    first, second = ("a/x.csv", "b/x.csv") if dated else ("day-a.csv", "day-b.csv")
    for name in (first, second):
        (follow.folder / name).parent.mkdir(exist_ok=True)
    follow.append(HEADER + rows(0, 40), first)
    follow.log.symlink_to(first)
    follow.start()
    assert follow.reads(39)
    if not running:
        follow.stop()
    follow.append(rows(40, 60), first)
    follow.append(HEADER + rows(60, 80), second)
    (follow.folder / "next").symlink_to(second)
    (follow.folder / "next").rename(follow.log)
    assert follow.end() == 80, follow.said()


@BOTH
def test_a_rewrite_of_the_same_size(follow: Following, running: bool) -> None:
    begun(follow, running)
    size = follow.log.stat().st_size
    text = HEADER + rows(100, 140)
    assert len(text) == size
    follow.log.write_text(text)
    assert follow.end() == 80, follow.said()
    assert "lost" in follow.said()


@BOTH
def test_deleted_and_made_anew(follow: Following, running: bool) -> None:
    begun(follow, running)
    follow.append(rows(40, 60))
    follow.log.unlink()
    follow.append(HEADER + rows(60, 80))
    found = follow.end()
    assert found == 80 if running else (found == 60 and "lost" in follow.said()), follow.said()


@BOTH
def test_hard_links(follow: Following, running: bool) -> None:
    begun(follow, running)
    os.link(follow.log, f"{follow.log}.1")
    follow.append(rows(40, 60))
    follow.log.unlink()
    follow.append(HEADER + rows(60, 80))
    assert follow.end() == 80, follow.said()


def test_a_pattern_and_two_names_of_one_file(follow: Following) -> None:
    follow.append(HEADER + rows(0, 40), "app-1.log")
    os.link(follow.folder / "app-1.log", follow.folder / "app-2.log")
    (follow.folder / "app-3.log").symlink_to("app-1.log")
    follow.start("--lateness", "1h", name="app-*.log")
    assert until(follow.out.exists)
    follow.append(rows(600, 720), "app-2.log")
    assert follow.reads(640)
    follow.stop()
    # the file is read once under one of its names, and not three times; still open are the last minute, in which the
    # stream is, and the hour of lateness before it
    assert follow.counted() == 40 + 59, follow.said()


@BOTH
def test_a_line_cut_by_a_restart_and_by_a_rotation(follow: Following, running: bool) -> None:
    begun(follow, running)
    row = rows(40, 41)
    follow.append(row[:12])
    if not running:
        follow.start()
        assert until(follow.out.exists)
        follow.stop()
    follow.append(row[12:] + rows(41, 50))
    follow.log.rename(f"{follow.log}.1")
    follow.append(HEADER + rows(50, 60))
    assert follow.end() == 60, follow.said()
    assert "bad" not in follow.said()


def test_two_rotations_between_two_looks(follow: Following) -> None:
    begun(follow, True)
    assert follow.process is not None
    follow.process.send_signal(signal.SIGSTOP)
    for first in (40, 60, 80):
        follow.append((HEADER if first > 40 else "") + rows(first, first + 20))
        if first < 80:
            for number in (2, 1):
                if (follow.folder / f"app.log.{number}").exists():
                    (follow.folder / f"app.log.{number}").rename(follow.folder / f"app.log.{number + 1}")
            follow.log.rename(f"{follow.log}.1")
    follow.process.send_signal(signal.SIGCONT)
    assert follow.end() == 100, follow.said()


@BOTH
def test_carriage_returns_and_headers_again(follow: Following, running: bool) -> None:
    follow.append((HEADER + rows(0, 40)).replace("\n", "\r\n"))
    if running:
        follow.start()
        assert follow.reads(39)
    else:
        follow.run_until(39)
    follow.append((HEADER + rows(40, 60)).replace("\n", "\r\n"))
    assert follow.end() == 60, follow.said()


def test_a_header_that_comes_in_pieces(follow: Following) -> None:
    follow.append("")
    follow.start()
    for piece in ("time,sta", "tus,cou", "nt", "\n2026-03-02T10:00", ":00Z,approved,1\n"):
        follow.append(piece)

        time.sleep(0.3)
    follow.append(rows(1, 40))
    assert follow.end() == 40, follow.said()


def test_a_header_without_its_end_at_a_restart(follow: Following) -> None:
    follow.append("time,status,cou")
    follow.start()

    time.sleep(1.5)
    follow.stop()
    follow.append("nt\n" + rows(0, 40))
    assert follow.end() == 40, follow.said()


def test_a_hole_of_zeros_after_a_cut(follow: Following) -> None:
    follow.append(HEADER + rows(0, 40))
    with follow.log.open("r+b") as writer:
        writer.seek(0, 2)
        follow.start()
        assert follow.reads(39)
        shutil.copyfile(follow.log, f"{follow.log}.1")
        os.truncate(follow.log, 0)
        writer.write(rows(40, 60).encode())
        writer.flush()
        assert follow.end() == 60, follow.said()


def test_the_end_in_a_big_backlog_loses_nothing(follow: Following) -> None:

    text = "".join(f"{BEGIN + timedelta(seconds=s):%Y-%m-%dT%H:%M:%SZ},approved,1\n" * 20 for s in range(10000))
    follow.append(HEADER + text)
    total = 200000
    for _ in range(4):
        follow.start()
        assert until(follow.owns_state)  # from then on a signal ends it in order
        time.sleep(1.2)
        began = time.monotonic()
        assert follow.stop() == 0
        assert time.monotonic() - began < 10
    assert follow.end() == total, follow.said()


def test_no_permission_for_a_moment_then_rotated(follow: Following) -> None:
    begun(follow, True)
    follow.append(rows(40, 60))
    follow.log.rename(f"{follow.log}.1")
    follow.log.symlink_to("app.log")  # a loop
    assert until(lambda: "tries again" in follow.said())
    follow.log.unlink()
    follow.append(HEADER + rows(60, 80))
    assert follow.end() == 80, follow.said()


def test_a_pipe_takes_the_name(follow: Following) -> None:
    begun(follow, True)
    follow.log.rename(f"{follow.log}.1")
    os.mkfifo(follow.log)
    assert until(lambda: "tries again" in follow.said())
    follow.log.unlink()
    follow.append(HEADER + rows(40, 60))
    assert follow.end() == 60, follow.said()


@BOTH
def test_packed_at_once(follow: Following, running: bool) -> None:
    begun(follow, running)
    follow.append(rows(40, 60))
    (follow.folder / "app.log.1.gz").write_bytes(gzip.compress(follow.log.read_bytes()))
    follow.log.unlink()
    follow.append(HEADER + rows(60, 80))
    assert follow.end() == 80, follow.said()

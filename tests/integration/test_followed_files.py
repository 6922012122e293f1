"""Followed files under real rotation: each row counts once, and what cannot be read is said."""

import gzip
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from following import HEADER, Following, rows, until

LOGROTATE = shutil.which("logrotate") or "/usr/sbin/logrotate"


@pytest.fixture
def follow(tmp_path: Path) -> Iterator[Following]:
    found = Following(tmp_path)
    yield found
    if found.process is not None and found.process.poll() is None:
        found.process.kill()
        found.process.wait()


def read_then_unread(follow: Following) -> None:
    """40 rows that were read, and 20 more that nobody has read."""
    follow.append(HEADER + rows(0, 40))
    follow.run_until(39)
    follow.append(rows(40, 60))


def to_name(old: str, new: str) -> Callable[[Path], None]:
    def rename(folder: Path) -> None:
        (folder / old).rename(folder / new)

    return rename


def packed(name: str) -> Callable[[Path], None]:
    def pack(folder: Path) -> None:
        status = (folder / name).stat()
        with (folder / name).open("rb") as plain, gzip.open(folder / f"{name}.gz", "wb") as file:
            shutil.copyfileobj(plain, file)
        (folder / name).unlink()
        os.utime(folder / f"{name}.gz", ns=(status.st_atime_ns, status.st_mtime_ns))

    return pack


@pytest.mark.parametrize(
    "steps",
    [
        [[to_name("app.log", "app.log.1")], [to_name("app.log.1", "app.log.2"), to_name("app.log", "app.log.1")]],
        [
            [to_name("app.log", "app.log.1")],
            [to_name("app.log.1", "app.log.2"), packed("app.log.2"), to_name("app.log", "app.log.1")],
            [
                to_name("app.log.2.gz", "app.log.3.gz"),
                to_name("app.log.1", "app.log.2"),
                to_name("app.log", "app.log.1"),
            ],
        ],
        [[to_name("app.log", "app.log-20260302")], [to_name("app.log", "app.log-20260303")]],
        [
            [to_name("app.log", "app-2026-03-02.log")],
            [to_name("app.log", "app-2026-03-03.log"), packed("app-2026-03-02.log")],
        ],
        [[to_name("app.log", "app.log.2026-03-02T10")], [to_name("app.log", "app.log.2026-03-02T11")]],
    ],
    ids=["numbers", "three, packed", "dates", "dates before the extension, packed", "hours"],
)
def test_rotations_while_stopped(follow: Following, steps: list[list[Callable[[Path], None]]]) -> None:
    read_then_unread(follow)
    minute = 60
    for step in steps:
        for act in step:
            act(follow.folder)
        follow.append(HEADER + rows(minute, minute + 60))
        minute += 60
    assert follow.end() == minute
    assert "lost" not in follow.said()


@pytest.mark.parametrize("after", [5, 120])
@pytest.mark.parametrize("header", ["", HEADER])
def test_copytruncate_while_stopped(follow: Following, after: int, header: str) -> None:
    read_then_unread(follow)
    shutil.copyfile(follow.log, f"{follow.log}.1")
    os.truncate(follow.log, 0)
    follow.append(header + rows(60, 60 + after))
    assert follow.end() == 60 + after
    assert "lost" not in follow.said()


@pytest.mark.parametrize("after", [5, 120])
def test_copytruncate_while_running(follow: Following, after: int) -> None:
    follow.append(HEADER + rows(0, 40))
    follow.start()
    assert follow.reads(39)
    follow.append(rows(40, 60))
    shutil.copyfile(follow.log, f"{follow.log}.1")
    os.truncate(follow.log, 0)
    follow.append(rows(60, 60 + after))
    assert follow.end() == 60 + after


def test_a_cut_without_a_copy_is_said(follow: Following) -> None:
    read_then_unread(follow)
    os.truncate(follow.log, 0)
    follow.append(rows(60, 70))
    assert follow.end() == 50
    assert "app.log: cannot find the file that was read to byte 1298" in follow.said()


def test_a_writer_that_goes_on_in_the_renamed_file(follow: Following) -> None:
    follow.append(HEADER + rows(0, 40))
    follow.start("--lateness", "1h")
    assert until(lambda: b"read to byte 1298" in statistics(follow))
    with follow.log.open("a") as late:
        follow.log.rename(f"{follow.log}.1")
        follow.append(HEADER + rows(50, 60))
        assert until(lambda: b"read to byte 338" in statistics(follow))
        late.write(rows(40, 50))
        late.flush()
    follow.append(rows(700, 720))  # an hour of lateness before it
    assert follow.reads(640)
    assert follow.stop() == 0
    assert follow.counted() == 60


def statistics(follow: Following) -> bytes:
    assert follow.process is not None
    assert until(follow.out.exists)  # by then, signals are handled
    before = follow.err.stat().st_size
    follow.process.send_signal(signal.SIGUSR1)
    assert until(lambda: b" failures\n" in follow.err.read_bytes()[before:])
    return follow.err.read_bytes()[before:]


@pytest.mark.parametrize(
    ("header", "form"),
    [
        ("time,merchant,status,count", "{time},m1,approved,1"),
        ("time,status,amount,count", "{time},approved,5000,1"),
        ("count;time;status", "1;{time};approved"),
        ("Timestamp,Result", "{time},approved"),
    ],
)
@pytest.mark.parametrize("running", [True, False])
def test_a_header_that_changes_at_rotation(follow: Following, header: str, form: str, running: bool) -> None:
    follow.append("time,status,count,amount\n" + rows(0, 40, "{time},approved,1,5000"))
    if running:
        follow.start()
        assert follow.reads(39)
    else:
        follow.run_until(39)
    follow.log.rename(f"{follow.log}.1")
    follow.append(f"{header}\n" + rows(40, 60, form))
    assert follow.end(form=form) == 60
    assert "bad record" not in follow.said()


def test_a_mapping_that_the_old_header_does_not_fit_starts(follow: Following) -> None:
    follow.append(HEADER + rows(0, 40))
    follow.run_until(39)
    follow.append(rows(40, 45))
    follow.log.rename(f"{follow.log}.1")
    follow.append("time,outcome,count\n" + rows(45, 60))
    follow.arguments = ("--map", "status=outcome")
    assert follow.end() == 60


def test_a_replaced_file_is_not_read_twice(follow: Following) -> None:
    follow.append(HEADER + rows(0, 40))
    follow.start()
    assert follow.reads(39)
    (follow.folder / "new").write_text(follow.log.read_text() + rows(40, 60))
    (follow.folder / "new").rename(follow.log)
    assert follow.end() == 60


def test_an_inode_that_is_used_again_is_another_file(follow: Following) -> None:
    follow.append(HEADER + rows(0, 40))
    follow.run_until(39)
    text = HEADER + rows(100, 160)
    follow.log.write_text(text)  # the same inode, as after a deletion and a new file; longer than what was read
    assert follow.end() == 100
    assert ", neither renamed nor copied" in follow.said()


def test_a_file_that_cannot_be_read_for_a_moment(follow: Following) -> None:
    follow.append(HEADER + rows(0, 40))
    follow.start()
    assert follow.reads(39)
    follow.log.rename(f"{follow.log}.1")
    follow.log.mkdir()
    assert until(lambda: "app.log: cannot be read: is not a regular file; txmon tries again" in follow.said())
    follow.log.rmdir()
    follow.append(HEADER + rows(40, 60))
    assert follow.end() == 60
    assert "app.log: is read again" in follow.said()


def test_a_pattern_finds_new_files_and_reads_none_twice(follow: Following) -> None:
    follow.append(HEADER + rows(0, 40), "app-1.log")
    follow.append(HEADER + rows(0, 40), "app-2.log")
    follow.start("--lateness", "1h", name="app-*.log")
    assert until(follow.out.exists)
    (follow.folder / "app-1.log").rename(follow.folder / "app-1-old.log")
    follow.append(HEADER + rows(40, 60), "app-3.log")
    assert until(lambda: "app-3.log: is new. txmon follows it" in follow.said())
    follow.append(rows(600, 620), "app-3.log")
    assert follow.reads(540)
    assert follow.stop() == 0
    assert follow.counted() == 100
    follow.append(rows(682, 702), "app-2.log")  # a restart finds all three again
    follow.start("--lateness", "1h", name="app-*.log")
    assert follow.reads(631)
    assert follow.stop() == 0
    assert follow.counted() == 120


def test_a_pattern_that_matches_the_rotated_files_too(follow: Following) -> None:
    follow.append(HEADER + rows(0, 20), "app.log.1")
    follow.append(HEADER + rows(20, 40))
    follow.start(name="app.log*")
    assert follow.reads(39)
    (follow.folder / "app.log.1").rename(follow.folder / "app.log.2")
    follow.log.rename(f"{follow.log}.1")
    follow.append(HEADER + rows(40, 60))
    assert follow.end() == 60
    follow.log.rename(f"{follow.log}.3")  # and after a restart
    follow.append(HEADER + rows(621, 680) + rows(680, 700, "{time},denied,1"))
    follow.start(name="app.log*")
    assert follow.reads(691)
    follow.stop()
    assert follow.counted() == 60 + 59


def test_from_the_end_leaves_out_what_is_there(follow: Following) -> None:
    follow.append(HEADER + rows(0, 40))
    follow.start("--from", "end")
    assert until(lambda: b"read to byte 1298" in statistics(follow))
    follow.append(rows(40, 60))
    assert follow.end() == 20


def test_from_a_time_leaves_out_what_is_before(follow: Following) -> None:
    follow.append(HEADER + rows(0, 40))
    follow.start("--from", "2026-03-02T10:30Z")
    assert follow.end() == 10


@pytest.mark.skipif(not os.access(LOGROTATE, os.X_OK), reason="logrotate is not installed")
@pytest.mark.parametrize(
    "options",
    [
        "copytruncate\nrotate 4", "copytruncate\nrotate 4\ncompress", "create\nrotate 4\ncompress\ndelaycompress",
        "create\nrotate 4\ndateext", "copytruncate\nrotate 4\ndateext\ncompress",
    ],
)  # fmt: skip
@pytest.mark.parametrize("running", [True, False])
def test_logrotate_itself(follow: Following, options: str, running: bool) -> None:
    config = follow.folder / "rotate.conf"
    config.write_text(
        f"{follow.log} {{\nsu root root\n{options}\n}}\n" if os.geteuid() == 0 else f"{follow.log} {{\n{options}\n}}\n"
    )
    config.chmod(0o644)
    follow.folder.chmod(0o755)
    header = HEADER if "create\n" in options and "copytruncate" not in options else ""

    def rotate() -> None:
        command = [LOGROTATE, "--force", "--state", str(follow.folder / "rotated"), str(config)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 0, done.stderr

    follow.append(HEADER + rows(0, 40))
    if running:
        follow.start()
        assert follow.reads(39)
    else:
        follow.run_until(39)
    for first in (40, 80, 120):
        follow.append(rows(first, first + 20))
        rotate()
        for today in follow.folder.glob("app.log-????????*"):  # it rotates once a day
            if not today.name.startswith("app.log-2001"):
                today.rename(str(today).replace(today.name[8:16], f"2001{first:04}"))
        follow.append(header + rows(first + 20, first + 40))
        if running:
            assert follow.reads(first + 39), follow.said()
    assert follow.end() == 160, follow.said()
    assert "lost" not in follow.said()

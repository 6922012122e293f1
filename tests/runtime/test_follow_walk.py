"""A followed file under random rotation, copying, packing and restarts: each row is read once, and none is lost."""

import gzip
import json
import random
import shutil
from contextlib import closing
from datetime import UTC, date
from pathlib import Path
from typing import Any

import pytest

from txmon.ingest.follow import ROTATE_WAIT, FollowSource
from txmon.ingest.records import ParseOptions, Record, RecordParser, Reject
from txmon.ingest.timestamps import TimeParser
from txmon.runtime.feeds import Feed

HEADERS = {
    "time,status,count": "{time},approved,{number}",
    "time,merchant,status,count": "{time},m1,approved,{number}",
    "count;status;time": "{number};approved;{time}",
}


class Walk:
    """A writer, a rotator and a reader of one file; the counts of the rows number them."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.rng = random.Random(seed)
        self.path = folder / "app.log"
        self.moment = 0.0
        self.said: list[str] = []
        self.written = 0
        self.read: list[int] = []
        self.header = "time,status,count"
        self.handle = self.path.open("ab", buffering=0)
        self.late = self.path.open("ab", buffering=0)  # of the file that was renamed last
        self.late_header = self.header
        self._write_header()
        self.feed: Feed | None = None

    def _write_header(self) -> None:
        self.handle.write(f"{self.header}\n".encode())

    def append(self, rows: int, late: bool = False) -> None:
        handle = self.late if late else self.handle
        row = HEADERS[self.late_header if late else self.header]
        for _ in range(rows):
            self.written += 1
            minute, second = divmod(self.written, 60)
            time = f"2026-03-02T{10 + minute // 60:02}:{minute % 60:02}:{second:02}Z"
            handle.write(f"{row.format(time=time, number=self.written)}\n".encode())

    def start(self, state: str | None) -> None:
        found = None if state is None else json.loads(state)
        source = FollowSource(str(self.path), found, self.said.append, monotonic=lambda: self.moment)
        times = TimeParser(UTC, date(2026, 3, 2))
        self.feed = Feed(source, RecordParser(str(self.path), ParseOptions(), times))
        if found is not None:
            self.feed.resume(found, "state")

    def poll(self) -> None:
        assert self.feed is not None
        while (chunk := self.feed.read()) is not None:
            for item in self.feed.parser.parse(self.feed.rows(chunk.lines)):
                assert not isinstance(item, Reject), item
                assert isinstance(item, Record)
                self.read.append(item.count)
            self.feed.take(self.feed.place(chunk.end()))

    def stop(self) -> str | None:
        assert self.feed is not None
        assert isinstance(self.feed.source, FollowSource)
        taken = self.feed.taken
        self.feed.source.close()
        self.feed = None
        return None if taken is None else json.dumps(taken)

    def close(self) -> None:
        if self.feed is not None:
            self.stop()
        self.handle.close()
        self.late.close()

    def shift(self) -> None:
        """Make room for app.log.1, and pack what is older, as logrotate does with delaycompress."""
        for number in range(8, 0, -1):
            for ending in (".gz", ""):
                old = Path(f"{self.path}.{number}{ending}")
                if old.exists():
                    old.rename(f"{self.path}.{number + 1}{ending}")
        second = Path(f"{self.path}.2")
        if second.exists() and self.rng.random() < 0.5:
            with second.open("rb") as plain, gzip.open(f"{second}.gz", "wb") as packed:
                shutil.copyfileobj(plain, packed)
            shutil.copystat(second, f"{second}.gz")
            second.unlink()

    def rename(self) -> None:
        self.shift()
        self.late.close()
        self.late, self.late_header = self.handle, self.header
        self.path.rename(f"{self.path}.1")
        self.handle = self.path.open("ab", buffering=0)
        self.header = self.rng.choice(list(HEADERS))
        self._write_header()

    def copytruncate(self) -> None:
        self.shift()
        shutil.copyfile(self.path, f"{self.path}.1")
        self.handle.truncate(0)

    def step(self, running: bool) -> None:
        kind = self.rng.random()
        if kind < 0.5:
            self.append(self.rng.choice((1, 3, 20, 400)))
        elif kind < 0.65:
            self.append(3)
            self.rename()
            self.append(self.rng.choice((0, 3)), late=True)  # the writer has not been told yet
            self.append(self.rng.choice((0, 3, 400)))
        elif kind < 0.8:
            self.append(3)
            self.copytruncate()
            self.append(self.rng.choice((1, 3, 400)))
        elif running:
            self.poll()


@pytest.mark.parametrize("seed", range(20))
def test_each_row_is_read_once_whatever_rotation_does(seed: int, tmp_path: Path) -> None:
    with closing(Walk(tmp_path, seed)) as walk:
        walk.append(5)
        walk.start(None)
        walk.poll()
        state = walk.stop()
        for _ in range(12):
            walk.start(state)
            for _ in range(walk.rng.randrange(1, 12)):
                walk.step(running=True)
                walk.poll()
                walk.moment += walk.rng.choice((0.1, 0.1, ROTATE_WAIT + 1))
            state = walk.stop()
            for _ in range(walk.rng.randrange(3)):
                walk.step(running=False)
        walk.start(state)
        walk.poll()
        walk.moment += ROTATE_WAIT + 1
        walk.poll()
        assert sorted(walk.read) == list(range(1, walk.written + 1)), walk.said
        assert not walk.said


def test_the_state_of_a_walk_is_plain_json(tmp_path: Path) -> None:
    with closing(Walk(tmp_path, 1)) as walk:
        walk.append(5)
        walk.start(None)
        walk.poll()
        state = walk.stop()
    assert state is not None
    found: dict[str, Any] = json.loads(state)
    assert [place["offset"] for place in found["files"]] == [walk.path.stat().st_size]

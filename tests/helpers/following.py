"""A `txmon watch` that follows files in a folder, and what it has counted."""

import json
import signal
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from fault_tools import TXMON

BEGIN: Final = datetime(2026, 3, 2, 10, tzinfo=UTC)
HEADER: Final = "time,status,count\n"
BULK: Final = 10  # minutes
LATEST: Final = 600  # minutes: of the row that closes all others


def rows(first: int, last: int, form: str = "{time},approved,1") -> str:
    """A row for each minute from `first` to `last` - 1 after 10:00."""
    return "".join(f"{form.format(time=stamp(minute))}\n" for minute in range(first, last))


def stamp(minute: int) -> str:
    """The time so many minutes after 10:00."""
    return f"{BEGIN + timedelta(minutes=minute):%Y-%m-%dT%H:%M:%SZ}"


def until(found: Callable[[], bool], seconds: float = 20) -> bool:
    """Whether `found` comes true within so long."""
    end = time.monotonic() + seconds
    while not found():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


class Following:
    """Runs of `txmon watch --follow app.log` in one folder, with the same state and the same output."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.folder = folder
        self.arguments = arguments
        self.log = folder / "app.log"
        self.out = folder / "v.jsonl"
        self.err = folder / "err"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *more: str, name: str = "app.log") -> None:
        """Start a run."""
        follow = ["--follow", name] if name else []
        command = [
            TXMON,
            "watch",
            *follow,
            "--state",
            "s",
            "--out",
            "v.jsonl",
            "--lateness",
            "0s",
            *self.arguments,
            *more,
        ]
        with self.err.open("ab") as err:
            self.process = subprocess.Popen(command, cwd=self.folder, stderr=err, stdin=subprocess.DEVNULL)

    def stop(self) -> int:
        """End the run as a service manager does; its exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    def run_until(self, minute: int, *more: str) -> None:
        """Run until a row of this minute was read."""
        self.start(*more)
        assert self.reads(minute), self.said()
        assert self.stop() == 0, self.said()

    def reads(self, minute: int) -> bool:
        """Whether the run judges what is so far before `minute` that the bulk of the stream has passed it."""
        wanted = f'"time": "{stamp(minute - BULK)}"'
        return until(lambda: self.out.exists() and wanted in self.out.read_text())

    def owns_state(self) -> bool:
        """Whether the run has the lock beside the state, which it takes once it knows what to do with signals."""
        lock = self.folder / "s.lock"
        assert self.process is not None
        return lock.exists() and lock.read_text().strip() == str(self.process.pid)

    def said(self) -> str:
        """What was written to standard error."""
        return self.err.read_text()

    def counted(self) -> int:
        """Transactions counted over all minutes; a corrected verdict takes the place of the first one."""
        found: dict[tuple[str, str], int] = {}
        for path in sorted(self.folder.glob("v.jsonl*"), reverse=True):
            for line in path.read_text().splitlines():
                row = json.loads(line)
                if row.get("status") == "approved" and "recommendation" in row and not row.get("partial"):
                    found[row["time"], json.dumps(row.get("key"))] = row["count"]
        return sum(found.values())

    def append(self, text: str, name: str = "app.log") -> None:
        """Add to a file."""
        with (self.folder / name).open("a") as file:
            file.write(text)

    def end(self, header: str = "", form: str = "{time},approved,1") -> int:
        """Add a row that closes all before it, and return what was counted when it has."""
        self.append(header + rows(LATEST, LATEST + 2 * BULK, form.replace("approved", "denied")))
        running = self.process is not None and self.process.poll() is None
        if not running:
            self.start()
        assert self.reads(LATEST + BULK), self.said()
        assert self.stop() == 0, self.said()
        return self.counted()

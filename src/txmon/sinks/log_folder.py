"""Verdicts, incidents and counts kept in a folder, a file an hour of event time, for `txmon query` to read."""

import json
import os
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from txmon.errors import IoFailure
from txmon.model.clock import iso
from txmon.model.keys import TOTAL, Key
from txmon.model.outcome import Outcome, without_sums
from txmon.model.verdict import Verdict
from txmon.sinks.lines import event_line, verdict_line
from txmon.support.line_file import LineFile
from txmon.support.plurals import counted

HOUR: Final = 3600
NAME: Final = re.compile(r"(?:counts|incidents|verdicts)-(\d{8}T\d{2})\.jsonl", re.ASCII)
CORRECTED: Final = 2 * HOUR  # how long counts are remembered, to log what a late row adds


class LogFolder:
    """A sink that appends to `verdicts-20260302T14.jsonl`, `incidents-...` and `counts-...`, in UTC.

    Lines are written whole, with one call a file and outcome, so a reader meets at most a torn last line. A count line
    is a row of transactions (time, status, count, dimensions). What cannot be written waits, and detection goes on.
    """

    def __init__(self, folder: str, keep: int | None = None) -> None:
        """folder: made when it is not there. keep: seconds of event time after which files go; None: without limit.

        IoFailure when the folder cannot be written to.
        """
        self._folder = Path(folder)
        self._keep = keep
        self._files: dict[str, LineFile] = {}  # by kind
        self._unfinished: list[LineFile] = []  # of hours before, with lines that wait for space
        self._hour = ""
        self._counts: dict[tuple[int, Key, str], int] = {}
        self.lost = 0  # lines that could not be written
        self.failure = ""  # why
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as bad:
            raise IoFailure(f"{folder}: {bad.strerror}") from bad
        if not os.access(self._folder, os.W_OK | os.X_OK):
            raise IoFailure(f"{folder}: cannot be written to")

    def accept(self, outcome: Outcome) -> None:
        """Append the outcome's lines to the files of its hour."""
        hour = iso(outcome.time)[:13].replace("-", "")
        if hour != self._hour:
            self._turn(hour, outcome.time)
        self._append("counts", self._count_lines(outcome.verdicts))
        self._append("verdicts", list(map(verdict_line, [*outcome.verdicts, *outcome.parts])))
        self._append("incidents", list(map(event_line, outcome.events)))

    def close(self) -> None:
        """Close the files, after a last attempt to write what waits."""
        self._lose([*self._unfinished, *self._files.values()])
        self._files.clear()
        self._unfinished.clear()

    def retry(self) -> None:
        """Write what waits for space, as far as that is possible now."""
        for file in (*self._unfinished, *self._files.values()):
            file.retry()
        done = [file for file in self._unfinished if not file.trouble]
        if done:
            self._lose(done)
            self._unfinished = [file for file in self._unfinished if file not in done]

    @property
    def trouble(self) -> str:
        """Why lines wait to be written; empty while none do."""
        return next((file.trouble for file in (*self._files.values(), *self._unfinished) if file.trouble), "")

    def summary(self) -> list[str]:
        """A line when something could not be written; after `close`."""
        if not self.lost and not self.failure:
            return []
        return [f"{self._folder}: {counted(self.lost, 'line')} could not be written ({self.failure})"]

    def _turn(self, hour: str, time: int) -> None:
        """Begin the files of another hour, and let go of those that are past their time."""
        waiting = [file for file in self._files.values() if file.trouble]
        self._lose([file for file in self._files.values() if not file.trouble])
        self._files.clear()
        self._unfinished += waiting
        first = not self._hour
        self._hour = hour
        self._counts = {slot: count for slot, count in self._counts.items() if slot[0] > time - CORRECTED}
        if first:
            self._recall(time)
        if self._keep is None:
            return
        oldest = iso(max(0, time - self._keep))[:13].replace("-", "")
        try:
            for path in self._folder.iterdir():
                name = NAME.fullmatch(path.name)  # never a file that is not ours
                if name is not None and name[1] < oldest:
                    path.unlink()
        except OSError as bad:
            self.failure = bad.strerror or str(bad)

    def _recall(self, time: int) -> None:
        """Know what was logged before a restart, so that nothing is counted in the log twice."""
        for hour in range(time - CORRECTED, time + HOUR, HOUR):
            name = iso(hour)[:13].replace("-", "")
            try:
                raw = (self._folder / f"counts-{name}.jsonl").read_bytes()
            except OSError:
                continue
            for line in raw.split(b"\n"):
                try:
                    row = json.loads(line)
                    count, status, stamp = int(row.pop("count")), str(row.pop("status")), row.pop("time")
                    start = int(datetime.fromisoformat(stamp).timestamp())
                except (ValueError, KeyError, TypeError, AttributeError):
                    continue  # a torn last line
                slot = (start, tuple((str(name), str(value)) for name, value in row.items()), status)
                self._counts[slot] = self._counts.get(slot, 0) + count

    def _count_lines(self, verdicts: Sequence[Verdict]) -> list[str]:
        lines = []
        for verdict in without_sums(verdicts):
            if verdict.status == TOTAL or verdict.partial:
                continue
            slot = (verdict.time, verdict.key, verdict.status)
            more = verdict.count - self._counts.get(slot, 0)  # a corrected verdict holds the whole count again
            if more > 0:
                self._counts[slot] = verdict.count
                row: Mapping[str, object] = {"time": iso(verdict.time), "status": verdict.status, "count": more}
                lines.append(json.dumps({**dict(verdict.key), **row}, ensure_ascii=False))
        return lines

    def _append(self, kind: str, lines: Sequence[str]) -> None:
        if not lines:
            return
        file = self._files.get(kind)
        if file is None:
            path = self._folder / f"{kind}-{self._hour}.jsonl"
            file = self._files[kind] = LineFile(str(path), self._note, private=True, patient=True)
        file.write(("\n".join(lines) + "\n").encode())

    def _note(self, line: str) -> None:
        """Leave out what a file says of itself: the summary says it of the folder."""

    def _lose(self, files: Sequence[LineFile]) -> None:
        """Close files; what they still hold is lost."""
        for file in files:
            file.close()
            if file.lost:
                self.lost += file.lost
                self.failure = file.reason

"""Keeps verdicts, incidents and counts in a folder, one file per hour of event time, for `txmon query`."""

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
from txmon.support.lazy_pattern import LazyPattern
from txmon.support.line_file import LineFile
from txmon.support.plurals import counted

HOUR: Final = 3600
NAME: Final = LazyPattern(r"(?:counts|incidents|verdicts)-(\d{8}T\d{2})\.jsonl", re.ASCII)
CORRECTED: Final = 2 * HOUR  # how long counts are remembered, to log what late rows add


class LogFolder:
    """Appends to `verdicts-20260302T14.jsonl`, `incidents-...` and `counts-...`, in UTC.

    Whole lines are written with one call per file and outcome, so a reader sees at most an incomplete last line. A
    count line is a row of transactions (time, status, count, dimensions). Lines that cannot be written are kept and
    retried while detection continues.
    """

    def __init__(self, folder: str, keep: int | None = None) -> None:
        """Open the folder. folder: created if missing.

        keep: seconds of event time after which files are deleted; None: never.

        Raise IoFailure if the folder is not writable.
        """
        self._folder = Path(folder)
        self._keep = keep
        self._files: dict[str, LineFile] = {}  # by kind
        self._unfinished: list[LineFile] = []  # of earlier hours, with lines that wait for disk space
        self._hour = ""
        self._counts: dict[tuple[int, Key, str], int] = {}
        self.lost = 0  # lines that could not be written
        self.failure = ""  # the reason
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
        """Close the files after a last attempt to write the waiting lines."""
        self._lose([*self._unfinished, *self._files.values()])
        self._files.clear()
        self._unfinished.clear()

    def retry(self) -> None:
        """Write the waiting lines, as far as that is possible now."""
        for file in (*self._unfinished, *self._files.values()):
            file.retry()
        done = [file for file in self._unfinished if not file.trouble]
        if done:
            self._lose(done)
            self._unfinished = [file for file in self._unfinished if file not in done]

    @property
    def trouble(self) -> str:
        """Return why lines are waiting, or "" if none are."""
        return next((file.trouble for file in (*self._files.values(), *self._unfinished) if file.trouble), "")

    def summary(self) -> list[str]:
        """Return a line if something could not be written. Call it after `close`."""
        if not self.lost and not self.failure:
            return []
        return [f"{self._folder}: {counted(self.lost, 'line')} could not be written ({self.failure})"]

    def _turn(self, hour: str, time: int) -> None:
        """Start the files of another hour, and delete files that are older than the limit."""
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
                name = NAME.fullmatch(path.name)  # only files with names that txmon writes
                if name is not None and name[1] < oldest:
                    path.unlink()
        except OSError as bad:
            self.failure = bad.strerror or str(bad)

    def _recall(self, time: int) -> None:
        """Read what was logged before a restart, so that nothing is logged twice."""
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
                    continue  # an incomplete last line
                slot = (start, tuple((str(name), str(value)) for name, value in row.items()), status)
                self._counts[slot] = self._counts.get(slot, 0) + count

    def _count_lines(self, verdicts: Sequence[Verdict]) -> list[str]:
        lines = []
        for verdict in without_sums(verdicts):
            if verdict.status == TOTAL or verdict.partial:
                continue
            slot = (verdict.time, verdict.key, verdict.status)
            more = verdict.count - self._counts.get(slot, 0)  # a corrected verdict has the whole count again
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
        """Ignore messages about single files, because the summary covers the folder."""

    def _lose(self, files: Sequence[LineFile]) -> None:
        """Close files. Their unwritten lines are lost."""
        for file in files:
            file.close()
            if file.lost:
                self.lost += file.lost
                self.failure = file.reason

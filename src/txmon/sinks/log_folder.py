"""Verdicts, incidents and counts kept in a folder, a file an hour of event time, for `txmon query` to read."""

import json
import os
import re
from collections.abc import Mapping, Sequence
from errno import ENOSPC
from pathlib import Path
from typing import Final

from txmon.errors import IoFailure
from txmon.model.clock import iso
from txmon.model.keys import TOTAL, Key
from txmon.model.outcome import Outcome, without_sums
from txmon.model.verdict import Verdict
from txmon.sinks.lines import event_line, verdict_line
from txmon.support.safe_open import open_file

HOUR: Final = 3600
NAME: Final = re.compile(r"(?:counts|incidents|verdicts)-(\d{8}T\d{2})\.jsonl", re.ASCII)
CORRECTED: Final = 2 * HOUR  # how long counts are remembered, to log what a late row adds


class LogFolder:
    """A sink that appends to `verdicts-20260302T14.jsonl`, `incidents-...` and `counts-...`, in UTC.

    Lines are written whole, with one call a file and outcome, so a reader meets at most a torn last line. A count line
    is a row of transactions (time, status, count, dimensions). What cannot be written is counted and left out:
    detection goes on.
    """

    def __init__(self, folder: str, keep: int | None = None) -> None:
        """folder: made when it is not there. keep: seconds of event time after which files go; None: for ever.

        IoFailure when the folder cannot be written to.
        """
        self._folder = Path(folder)
        self._keep = keep
        self._files: dict[str, int] = {}  # kind -> descriptor
        self._torn: set[str] = set()  # kinds whose file ends within a line
        self._hour = ""
        self._counts: dict[tuple[int, Key, str], int] = {}
        self.failures = 0  # writes that failed
        self.failure = ""  # why the last one did
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
        self._append("verdicts", list(map(verdict_line, outcome.verdicts)))
        self._append("incidents", list(map(event_line, outcome.events)))

    def close(self) -> None:
        """Close the files."""
        for descriptor in self._files.values():
            os.close(descriptor)
        self._files.clear()

    def summary(self) -> list[str]:
        """A line when something could not be written."""
        return [f"{self._folder}: {self.failures} writes failed ({self.failure})"] if self.failures else []

    def _turn(self, hour: str, time: int) -> None:
        """Begin the files of another hour, and let go of those that are past their time."""
        self.close()
        self._torn.clear()
        self._hour = hour
        self._counts = {slot: count for slot, count in self._counts.items() if slot[0] > time - CORRECTED}
        if self._keep is None:
            return
        oldest = iso(max(0, time - self._keep))[:13].replace("-", "")
        try:
            for path in self._folder.iterdir():
                name = NAME.fullmatch(path.name)  # never a file that is not ours
                if name is not None and name[1] < oldest:
                    path.unlink()
        except OSError as bad:
            self._fail(bad)

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
        data = ("\n".join(lines) + "\n").encode()
        try:
            descriptor = self._files.get(kind)
            if descriptor is not None and os.fstat(descriptor).st_nlink == 0:  # somebody has deleted the file
                os.close(self._files.pop(kind))
                descriptor = None
            if descriptor is None:
                descriptor = self._files[kind] = self._open(kind)
            if kind in self._torn:
                data = b"\n" + data
            self._torn.add(kind)  # until all of it is written
            written = os.write(descriptor, data)
        except OSError as bad:
            self._fail(bad)
            return
        if written == len(data):
            self._torn.discard(kind)
        else:
            self._fail(OSError(ENOSPC, os.strerror(ENOSPC)))

    def _open(self, kind: str) -> int:
        path = self._folder / f"{kind}-{self._hour}.jsonl"
        descriptor = open_file(str(path), os.O_RDWR | os.O_APPEND | os.O_CREAT, private=True)
        size = os.fstat(descriptor).st_size
        if size and os.pread(descriptor, 1, size - 1) != b"\n":  # whoever wrote before was killed in mid-line
            self._torn.add(kind)
        return descriptor

    def _fail(self, bad: OSError) -> None:
        self.failures += 1
        self.failure = bad.strerror or str(bad)

"""Writes JSON lines in forks of the process, because formatting lines takes half of the time of a replay.

Verdicts are collected. A fork then receives all of them without copying, and formats their lines while this process
continues. Only one fork runs at a time, so the lines stay in order. If a fork fails (a full disk, a closed pipe), it
reports the error over a pipe. This process then fails as if it had written the lines itself.
"""

import io
import os
import signal
from contextlib import suppress
from typing import Final, NoReturn

from txmon.model.outcome import Outcome
from txmon.sinks.jsonl import JsonLines, Writable

MANY: Final = 20_000  # verdicts per fork, at least; a fork takes as long as formatting a few hundred lines
# buckets per fork, at least: this process copies each page of memory that it changes after a fork. With many keys,
# most of its pages change in each bucket
BUCKETS: Final = 8
MOST: Final = 500_000  # verdicts that wait for a fork, at most


class ForkedLines:
    """Accepts outcomes like `JsonLines`. `close` waits until all of their lines are written."""

    def __init__(self, stream: Writable, only_alerts: bool = False) -> None:
        """Create it. stream: shared with the forks; nothing else may write to it. only_alerts: as for `JsonLines`."""
        self._stream = stream
        self._only_alerts = only_alerts
        self._lines = JsonLines(stream, only_alerts)
        self._gathered: list[Outcome] = []
        self._many = 0
        self._warm = False  # lines were formatted here once, so that each fork starts with filled caches
        self._child = 0
        self._pipe = -1

    def accept(self, outcome: Outcome) -> None:
        """Add the outcome of one bucket."""
        self._gathered.append(outcome)
        self._many += len(outcome.verdicts)
        if self._many < MANY:
            return
        if not self._warm:
            self._write()
            self._warm = True
        elif len(self._gathered) >= BUCKETS or self._many >= MOST:
            self._fork()
        else:
            return
        self._gathered, self._many = [], 0

    def close(self) -> None:
        """Wait until everything is written. Raise the OSError that stopped a fork."""
        rest: list[Outcome] = []
        if self._warm and self._many >= MANY:  # nothing else is left to do: each process formats a half
            half = len(self._gathered) // 2
            self._gathered, rest = self._gathered[:half], self._gathered[half:]
            self._fork()
            self._gathered = []
        buffer = io.BytesIO()
        lines = JsonLines(buffer, self._only_alerts)
        for outcome in rest:
            lines.accept(outcome)
        self._wait()
        self._write()
        if rest:
            self._stream.write(buffer.getvalue())

    def _write(self) -> None:
        for outcome in self._gathered:
            self._lines.accept(outcome)

    def _fork(self) -> None:
        self._wait()
        self._stream.flush()  # otherwise the fork would also write the buffered bytes
        self._pipe, told = os.pipe()
        self._child = os.fork()
        if not self._child:
            os.close(self._pipe)
            self._be_child(told)
        os.close(told)

    def _be_child(self, told: int) -> NoReturn:
        """Write the collected lines and exit. No other code of the parent may run here."""
        code = 1
        try:
            # the parent handles the signal, and the collected verdicts are still written
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            self._write()
            self._stream.flush()
            code = 0
        except OSError as failure:
            with suppress(OSError):
                os.write(told, f"{failure.errno or 0} {failure.strerror or failure}".encode())
        finally:
            os._exit(code)

    def _wait(self) -> None:
        """Wait for the fork, if there is one, and raise its error."""
        if not self._child:
            return
        child, self._child = self._child, 0
        with open(self._pipe, "rb") as pipe:
            failure = pipe.read().decode()
        _, status = os.waitpid(child, 0)
        if failure:
            number, _, text = failure.partition(" ")
            raise OSError(int(number), text)
        if status:
            code = os.waitstatus_to_exitcode(status)
            raise OSError(0, f"the process that writes lines ended with {code}")

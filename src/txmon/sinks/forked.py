"""JSON lines made and written by forks of the process: half of a replay's work is making its lines.

Verdicts are gathered; a fork then has them all, at no cost, and makes their lines while this process judges on. There
is one fork at a time, so the lines stay in order. What stops a fork (a full disk, a reader who has enough) it tells
over a pipe, and this process fails as if it had written the lines itself.
"""

import os
import signal
from contextlib import suppress
from typing import Final, NoReturn

from txmon.model.outcome import Outcome
from txmon.sinks.jsonl import JsonLines, Writable

MANY: Final = 20_000  # verdicts a fork: a fork takes about as long as the lines of some hundred


class ForkedLines:
    """Takes outcomes like `JsonLines`; `close` waits until all of their lines are written."""

    def __init__(self, stream: Writable, only_alerts: bool = False) -> None:
        """stream: shared with the forks; nobody else may write to it. only_alerts: as for `JsonLines`."""
        self._stream = stream
        self._lines = JsonLines(stream, only_alerts)
        self._gathered: list[Outcome] = []
        self._many = 0
        self._warm = False  # lines were made here once: what that remembers, every fork has
        self._child = 0
        self._pipe = -1

    def accept(self, outcome: Outcome) -> None:
        """Take one bucket's outcome."""
        self._gathered.append(outcome)
        self._many += len(outcome.verdicts)
        if self._many >= MANY:
            if self._warm:
                self._fork()
            else:
                self._write()
                self._warm = True
            self._gathered, self._many = [], 0

    def close(self) -> None:
        """Wait until everything is written; OSError with what stopped it."""
        self._wait()
        self._write()

    def _write(self) -> None:
        for outcome in self._gathered:
            self._lines.accept(outcome)

    def _fork(self) -> None:
        self._wait()
        self._stream.flush()  # or the fork would write it too
        self._pipe, told = os.pipe()
        self._child = os.fork()
        if not self._child:
            os.close(self._pipe)
            self._be_child(told)
        os.close(told)

    def _be_child(self, told: int) -> NoReturn:
        """Write what was gathered, and never come back: nothing else of the parent's may run here."""
        code = 1
        try:
            # the parent's to handle: what was judged is still written
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
        """Wait for the fork, if there is one, and fail as it failed."""
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

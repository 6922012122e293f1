"""Signals of the server: end, save, report."""

import os
import select
import signal
from contextlib import suppress


class ServerSignals:
    """Notes what signals ask for; a loop looks and does it."""

    def __init__(self) -> None:
        """Take over SIGTERM, SIGINT, SIGHUP and SIGUSR1 of this process."""
        self.ending = False  # SIGTERM or SIGINT came
        self.hurry = False  # and once more
        self._reload = False
        self._report = False
        self._reader, self._writer = os.pipe()  # a lock could be held by the very thread that a signal interrupts
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
            signal.signal(number, self._note)

    def _note(self, number: int, frame: object) -> None:
        if number == signal.SIGHUP:
            self._reload = True
        elif number == signal.SIGUSR1:
            self._report = True
        else:
            self.hurry = self.ending
            self.ending = True
        with suppress(BlockingIOError):
            os.write(self._writer, b"x")

    def wait(self, seconds: float) -> None:
        """Return when a signal came, or after so many seconds."""
        select.select([self._reader], [], [], seconds)
        with suppress(BlockingIOError):
            os.read(self._reader, 1 << 10)

    def took_reload(self) -> bool:
        """Return whether SIGHUP came since the last call."""
        found, self._reload = self._reload, False
        return found

    def took_report(self) -> bool:
        """Return whether SIGUSR1 came since the last call."""
        found, self._report = self._report, False
        return found

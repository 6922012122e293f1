"""Signals for a loop that waits for descriptors."""

import os
import select
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

ENDING: Final = (signal.SIGTERM, signal.SIGINT)


class Stop:
    """Records what signals asked for, with a pipe that wakes a waiting thread."""

    def __init__(self, patient: bool = False) -> None:
        """patient: a second signal does not end the process at once."""
        self._patient = patient
        self.signal = 0  # that asked for the end
        self.hurry = False  # and once more
        self.reader, self._writer = os.pipe()
        os.set_blocking(self.reader, False)
        os.set_blocking(self._writer, False)
        self._hangup = False
        self._statistics = False

    def ask(self, number: int, frame: object) -> None:
        """End soon; the second time, at once: a reader that takes nothing must not keep txmon running without end."""
        if self.signal and not self._patient:
            os._exit(128 + number)
        self.hurry = self.signal != 0
        self.signal = number
        self._wake()

    def note(self, number: int, frame: object) -> None:
        """Remember what a signal asks for that does not end the run."""
        if number == signal.SIGHUP:
            self._hangup = True
        else:
            self._statistics = True
        self._wake()

    def wait(self, seconds: float) -> None:
        """Return when a signal comes, the one after that for the end too, or after so many seconds."""
        select.select([self.reader], [], [], seconds)
        self._drain()

    def hangup(self) -> bool:
        """Return whether SIGHUP came since the last call."""
        if not self.signal:  # the end has to wake every wait of a loop to come
            self._drain()
        found, self._hangup = self._hangup, False
        return found

    def statistics(self) -> bool:
        """Return whether SIGUSR1 came since the last call."""
        found, self._statistics = self._statistics, False
        return found

    def close(self) -> None:
        """Close the pipe."""
        os.close(self.reader)
        os.close(self._writer)

    def _wake(self) -> None:
        with suppress(BlockingIOError):  # a full pipe wakes too
            os.write(self._writer, b"x")

    def _drain(self) -> None:
        with suppress(BlockingIOError):
            while os.read(self.reader, 512):
                pass


@contextmanager
def stopping(patient: bool = False) -> Iterator[Stop]:
    """Let SIGTERM and SIGINT ask for the end, SIGHUP for new settings and files, and SIGUSR1 for statistics.

    patient: a second signal does not end the process at once, since what is under way has a limit of its own. SIGHUP
    stays ignored where it was: `nohup` asks for that. The handlers are put back afterwards.
    """
    stop = Stop(patient)
    wanted = dict.fromkeys(ENDING, stop.ask)
    wanted[signal.SIGUSR1] = stop.note
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        wanted[signal.SIGHUP] = stop.note
    before = {number: signal.signal(number, handler) for number, handler in wanted.items()}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        stop.close()

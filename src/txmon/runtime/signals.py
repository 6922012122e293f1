"""Signals for a loop that waits for descriptors."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager


class Stop:
    """Whether a signal asked for the end, with a pipe that wakes whoever waits."""

    def __init__(self) -> None:
        self.signal = 0
        self.reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)

    def ask(self, number: int, frame: object) -> None:
        """End soon; the second time, at once: a reader that takes nothing must not keep txmon for ever."""
        if self.signal:
            os._exit(128 + number)
        self.signal = number
        os.write(self._writer, b"x")

    def close(self) -> None:
        """Close the pipe."""
        os.close(self.reader)
        os.close(self._writer)


@contextmanager
def stopping() -> Iterator[Stop]:
    """Let SIGTERM and SIGINT ask for the end, and put their handlers back afterwards."""
    stop = Stop()
    before = {number: signal.signal(number, stop.ask) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        stop.close()

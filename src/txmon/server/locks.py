"""Whose turn it is: to change what all share, for as long as that takes, and to look at it, for a moment."""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Final

PATIENCE: Final = 10.0  # seconds that who brings records waits for those who came before


class Busy(Exception):
    """What came before takes its time: try again in a moment."""


class WriterLock:
    """The right to change what all share, one thread's at a time; that thread may take it again."""

    def __init__(self, patience: float = PATIENCE) -> None:
        """patience: seconds that one waits for it who says nothing else."""
        self.patience = patience
        self._lock = threading.RLock()

    @contextmanager
    def __call__(self, patience: float | None = None) -> Iterator[None]:
        """Have it, or raise Busy after `patience` seconds; inf: wait as long as it takes."""
        seconds = self.patience if patience is None else patience
        if not self._lock.acquire(timeout=min(seconds, threading.TIMEOUT_MAX)):
            raise Busy
        try:
            yield
        finally:
            self._lock.release()


class QueuedLock:
    """A lock that is handed to who has waited longest; not for one thread to take twice.

    A plain lock goes to whoever asks first after it was let go. A thread that lets it go only to give others a moment
    is always that one, since those who wait must wake up before they can ask.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._held = False
        self._waiting: deque[threading.Lock] = deque()

    def __enter__(self) -> None:
        with self._guard:
            if not self._held:
                self._held = True
                return
            mine = threading.Lock()
            mine.acquire()
            self._waiting.append(mine)
        mine.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._guard:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._held = False

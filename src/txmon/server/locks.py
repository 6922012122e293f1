"""Whose turn it is: to change what all share, for as long as that takes, and to look at it, for a moment."""

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Final

PATIENCE: Final = 10.0  # seconds that who brings records waits for those who came before
LENT: Final = 0.02  # seconds after which a long work goes on, though others still wait


class Busy(Exception):
    """What came before takes its time: try again in a moment."""


class WriterLock:
    """The right to change what all share, one thread's at a time; that thread may take it again.

    Who has long work to do may lend its turn at moments at which that does no harm, to those who ask for a short one.
    """

    def __init__(self, patience: float = PATIENCE) -> None:
        """patience: seconds that one waits for it who says nothing else."""
        self.patience = patience
        self._changed = threading.Condition(threading.Lock())
        self._owner = 0  # thread that has the turn
        self._depth = 0  # how often it has taken it
        self._lender = 0  # thread whose turn is lent
        self._short = 0  # threads that wait for a short turn

    @contextmanager
    def __call__(self, patience: float | None = None) -> Iterator[None]:
        """Have it, or raise Busy after `patience` seconds; inf: wait as long as it takes."""
        self._take(self.patience if patience is None else patience, short=False)
        try:
            yield
        finally:
            self._give()

    @contextmanager
    def short(self, patience: float | None = None) -> Iterator[bool]:
        """Have it, or have it lent: give whether it is lent, and somebody's work is under way. Or raise Busy."""
        self._take(self.patience if patience is None else patience, short=True)
        try:
            yield self._lender not in (0, threading.get_ident())
        finally:
            self._give()

    def lend(self) -> None:
        """Let those have it who wait for a short turn; by the thread that has it."""
        if not self._short:
            return
        me, until = threading.get_ident(), time.monotonic() + LENT
        with self._changed:
            depth, before = self._depth, self._lender
            if self._owner != me:
                return
            self._owner, self._depth, self._lender = 0, 0, before or me
            self._changed.notify_all()
            while self._owner or (self._short and time.monotonic() < until):
                self._changed.wait(LENT)
            self._owner, self._depth, self._lender = me, depth, before

    def _take(self, seconds: float, short: bool) -> None:
        me = threading.get_ident()
        with self._changed:
            if self._owner == me:
                self._depth += 1
                return
            until = time.monotonic() + min(seconds, threading.TIMEOUT_MAX)
            self._short += short
            try:
                while self._owner or (self._lender and not short):
                    left = until - time.monotonic()
                    if left <= 0.0 or not self._changed.wait(left):
                        if not self._owner and (short or not self._lender):
                            break
                        raise Busy
            finally:
                self._short -= short
            self._owner, self._depth = me, 1

    def _give(self) -> None:
        with self._changed:
            self._depth -= 1
            if not self._depth:
                self._owner = 0
                self._changed.notify_all()


class QueuedLock:
    """A lock that is handed to who has waited longest; not for one thread to take twice.

    A plain lock goes to whoever asks first after it was let go. A thread that lets it go only to give others a moment
    is always that one, since those who wait must wake up before they can ask.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._held = False
        self._waiting: deque[threading.Lock] = deque()

    def acquire(self) -> None:
        """Have it, after all who asked before."""
        with self._guard:
            if not self._held:
                self._held = True
                return
            mine = threading.Lock()
            mine.acquire()
            self._waiting.append(mine)
        mine.acquire()

    def release(self) -> None:
        """Hand it to who has waited longest."""
        with self._guard:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._held = False

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

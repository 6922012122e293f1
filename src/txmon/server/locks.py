"""Whose turn it is: to change what all share, for as long as that takes, and to look at it, for a moment."""

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from math import inf
from types import TracebackType
from typing import Final

PATIENCE: Final = 10.0  # seconds that who brings records waits for those who came before
LENT: Final = 0.02  # seconds after which a long work goes on, though others still wait


class Busy(Exception):
    """What came before takes its time: try again in a moment."""


class _Waiter:
    """A thread that waits for the turn."""

    def __init__(self, thread: int, short: bool) -> None:
        self.thread = thread
        self.short = short
        self.granted = False
        self._gate = threading.Lock()
        self._gate.acquire()

    def grant(self) -> None:
        """Let the thread go on; it has the turn."""
        self.granted = True
        self._gate.release()

    def wait(self, seconds: float) -> None:
        """Return once the turn was granted, or after so many seconds."""
        self._gate.acquire(timeout=min(seconds, threading.TIMEOUT_MAX))


class WriterLock:
    """The right to change what all share, one thread's at a time; that thread may take it again.

    It goes to who has waited longest. Who has long work to do may lend its turn at moments at which that does no harm,
    to those who ask for a short one.
    """

    def __init__(self, patience: float = PATIENCE) -> None:
        """patience: seconds that one waits for it who says nothing else."""
        self.patience = patience
        self._guard = threading.Lock()
        self._owner = 0  # thread that has the turn
        self._depth = 0  # how often it has taken it
        self._waiting: deque[_Waiter] = deque()
        self._short = 0  # of them, those that want a short turn
        self._back: _Waiter | None = None  # who has lent the turn, and wants it back
        self._until = 0.0  # until when others may have it

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
            yield self._back is not None
        finally:
            self._give()

    def lend(self) -> None:
        """Let those have it who wait for a short turn; by the thread that has it."""
        if not self._short:
            return
        with self._guard:
            if self._owner != threading.get_ident() or self._back is not None:
                return
            depth = self._depth
            back = self._back = _Waiter(self._owner, short=False)
            self._until = time.monotonic() + LENT
            self._next()
        back.wait(inf)
        self._depth = depth

    def _take(self, seconds: float, short: bool) -> None:
        me = threading.get_ident()
        with self._guard:
            if self._owner == me:
                self._depth += 1
                return
            if not self._owner:
                self._owner, self._depth = me, 1
                return
            waiter = _Waiter(me, short)
            self._waiting.append(waiter)
            self._short += short
        waiter.wait(seconds)
        with self._guard:
            if not waiter.granted:
                self._waiting.remove(waiter)
                self._short -= short
                raise Busy

    def _give(self) -> None:
        with self._guard:
            self._depth -= 1
            if not self._depth:
                self._next()

    def _next(self) -> None:
        """Hand the turn on; with the guard."""
        back = self._back
        if back is not None and (not self._short or time.monotonic() >= self._until):
            self._back = None
            self._grant(back)
            return
        for waiter in self._waiting:
            if waiter.short or back is None:
                self._waiting.remove(waiter)
                self._short -= waiter.short
                self._grant(waiter)
                return
        self._owner = 0

    def _grant(self, waiter: _Waiter) -> None:
        self._owner, self._depth = waiter.thread, 1
        waiter.grant()


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

"""Locks for shared data: a long one to change it, and a short one to read it."""

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from math import inf
from types import TracebackType
from typing import Final

PATIENCE: Final = 10.0  # seconds for which a sender of records waits for its turn
LENT: Final = 0.02  # seconds after which long work continues, even if others still wait


class Busy(Exception):
    """Signals that earlier work takes long and that the caller should try again soon."""


class _Waiter:
    """A thread that waits for its turn."""

    def __init__(self, thread: int, short: bool) -> None:
        self.thread = thread
        self.short = short
        self.granted = False
        self._gate = threading.Lock()
        self._gate.acquire()

    def grant(self) -> None:
        """Give the turn to the thread, which continues."""
        self.granted = True
        self._gate.release()

    def wait(self, seconds: float) -> None:
        """Wait until the turn was granted, for at most `seconds` seconds."""
        self._gate.acquire(timeout=min(seconds, threading.TIMEOUT_MAX))


class WriterLock:
    """The exclusive right to change shared data. The thread that has it may take it again.

    The thread that has waited longest is next. A thread with long work may lend its turn, at moments when that is
    safe, to threads that ask for a short one.
    """

    def __init__(self, patience: float = PATIENCE) -> None:
        """Create it. patience: seconds to wait, if the caller gives none."""
        self.patience = patience
        self._guard = threading.Lock()
        self._owner = 0  # the thread that has the turn
        self._depth = 0  # how often it has taken it
        self._waiting: deque[_Waiter] = deque()
        self._short = 0  # those of them that want a short turn
        self._back: _Waiter | None = None  # the thread that lent its turn and wants it back
        self._until = 0.0  # until when others may have it

    @contextmanager
    def __call__(self, patience: float | None = None) -> Iterator[None]:
        """Take the turn, or raise Busy after `patience` seconds; inf: wait without limit."""
        self._take(self.patience if patience is None else patience, short=False)
        try:
            yield
        finally:
            self._give()

    @contextmanager
    def short(self, patience: float | None = None) -> Iterator[bool]:
        """Take the turn or borrow it. Yield whether it is borrowed, so that other work is unfinished. Raise Busy."""
        self._take(self.patience if patience is None else patience, short=True)
        try:
            yield self._back is not None
        finally:
            self._give()

    def lend(self) -> None:
        """Lend the turn to threads that wait for a short one. Only the thread that has it may call this."""
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
        """Pass the turn to the next thread. Call it with the guard held."""
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
    """A lock that the longest waiting thread gets next. It is not reentrant.

    A plain lock goes to the first thread that asks after its release. If a thread releases it only to let others run,
    that is always the same thread, because waiting threads must first wake up.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._held = False
        self._waiting: deque[threading.Lock] = deque()

    def acquire(self) -> None:
        """Acquire the lock after all threads that asked before."""
        with self._guard:
            if not self._held:
                self._held = True
                return
            mine = threading.Lock()
            mine.acquire()
            self._waiting.append(mine)
        mine.acquire()

    def release(self) -> None:
        """Release it to the thread that has waited longest."""
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

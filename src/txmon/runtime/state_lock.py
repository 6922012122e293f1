"""One process owns a state file: two that write the same one would each undo what the other has kept."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from txmon.errors import ConfigError
from txmon.support.safe_open import open_file


class StateLock:
    """The lock on a state file: on a file beside it, since every writing replaces the state itself."""

    def __init__(self, state: str) -> None:
        """Take it. Raise ConfigError if another process has it.

        Where no such file can be made, neither can a state be written: there is nothing to own.
        """
        self._state = state
        self._path = f"{os.path.realpath(state)}.lock"
        self._descriptor = _open(self._path)
        if self._descriptor >= 0 and not _take(self._descriptor):
            owner = os.pread(self._descriptor, 20, 0).decode(errors="replace").strip()
            self.release()
            whose = f"process {owner}" if owner.isdigit() else "another process"
            raise ConfigError(f"{state}: {whose} uses this state file. Stop it, or name another --state file.")

    def trouble(self) -> str:
        """Return a message if somebody deleted the lock and another process took it since, else "".

        If nobody took it, take it again.
        """
        if self._descriptor < 0 or _is_same(self._path, self._descriptor):
            return ""
        found = _open(self._path)
        if found < 0:
            return ""
        if not _take(found):
            os.close(found)
            return (
                f"{self._state}: another process uses this state file too, because somebody deleted {self._path}."
                " Stop one of the two"
            )
        self.release()
        self._descriptor = found
        return ""

    def release(self) -> None:
        """Let other processes take it."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


@contextmanager
def owned(state: str | None) -> Iterator[StateLock | None]:
    """Own the state file `state` until the block ends, or the process, however it ends. Raise ConfigError."""
    lock = StateLock(state) if state is not None else None
    try:
        yield lock
    finally:
        if lock is not None:
            lock.release()


def _take(descriptor: int) -> bool:
    """Lock a file and write the process number into it. Return False if another process has it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True  # a file system without locks: the state is used without one
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return True


def _is_same(path: str, descriptor: int) -> bool:
    try:
        found, own = os.stat(path), os.fstat(descriptor)
    except OSError:
        return False
    return (found.st_dev, found.st_ino) == (own.st_dev, own.st_ino)


def _open(path: str) -> int:
    try:
        return open_file(path, os.O_RDWR | os.O_CREAT, private=True)
    except OSError:
        return -1

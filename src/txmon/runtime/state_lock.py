"""One process owns a state file: two that write the same one would each undo what the other has kept."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from txmon.errors import ConfigError
from txmon.support.safe_open import open_file


@contextmanager
def owned(state: str | None) -> Iterator[None]:
    """Own the state file `state` until the block ends, or the process, however it ends.

    The lock is on a file beside the state, since every writing replaces the state itself. Raises ConfigError where
    another process has it. Where no such file can be made, neither can a state be written: there is nothing to own.
    """
    descriptor = -1 if state is None else _open(f"{os.path.realpath(state)}.lock")
    if descriptor < 0:
        yield
        return
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(descriptor, 20, 0).decode(errors="replace").strip()
            whose = f"process {owner}" if owner.isdigit() else "another process"
            raise ConfigError(
                f"{state}: {whose} uses this state file. Stop it, or name another --state file."
            ) from None
        except OSError:
            pass  # a file system without locks: the state is used without one, as before
        else:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _open(path: str) -> int:
    try:
        return open_file(path, os.O_RDWR | os.O_CREAT, private=True)
    except OSError:
        return -1

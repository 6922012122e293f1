"""Writes the state in a forked process, which is a copy that no other thread changes meanwhile."""

import gc
import os
import signal
import warnings
from collections.abc import Callable
from errno import EIO

from txmon.errors import IoFailure
from txmon.runtime import state_file

NICE = 5  # so that requests have priority


class Saving:
    """A process that writes the state."""

    def __init__(self, process: int, path: str) -> None:
        self.failure: IoFailure | None = None  # set after the process has ended
        self._process = process
        self._path = path

    def ended(self, wait: bool) -> bool:
        """Return whether it has ended. wait: wait for its end."""
        found, status = os.waitpid(self._process, 0 if wait else os.WNOHANG)
        if not found:
            return False
        code = os.waitstatus_to_exitcode(status)
        if code:
            self.failure = IoFailure(
                f"{self._path}: the state cannot be written: {os.strerror(code if code > 0 else EIO)}"
            )
        return True


def save_in_child(path: str, copy: Callable[[], state_file.State]) -> Saving:
    """Start to write the current result of `copy` to `path`. The caller continues immediately."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # about other threads: the child does not use their data
        process = os.fork()
    if process:
        return Saving(process, path)
    code = EIO
    try:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
            signal.signal(number, signal.SIG_IGN)  # the child finishes writing even if the server is ended meanwhile
        os.closerange(3, os.sysconf("SC_OPEN_MAX"))  # otherwise clients would wait for the end of their connections
        os.nice(NICE)
        gc.disable()  # a collection would write to all pages, and so copy all memory
        state_file.save(path, copy())
        code = 0
    except IoFailure as bad:
        code = getattr(bad.__cause__, "errno", None) or EIO
    finally:
        os._exit(code)

"""Writing the state in a process of its own: a copy of this one, which nobody changes while it writes."""

import os
import signal
import warnings
from collections.abc import Callable
from errno import EIO

from txmon.errors import IoFailure
from txmon.runtime import state_file

NICE = 5  # so that requests come first


class Saving:
    """A process that writes the state."""

    def __init__(self, process: int, path: str) -> None:
        self.failure: IoFailure | None = None  # once it has ended
        self._process = process
        self._path = path

    def ended(self, wait: bool) -> bool:
        """Return whether it has ended. wait: until it has."""
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
    """Begin to write what `copy` gives, as it is at this moment, to `path`; the caller goes on at once."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # other threads: the child touches nothing of theirs
        process = os.fork()
    if process:
        return Saving(process, path)
    code = EIO
    try:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
            signal.signal(number, signal.SIG_IGN)  # what was begun is written, whoever ends the server meanwhile
        os.closerange(3, os.sysconf("SC_OPEN_MAX"))  # or clients would wait for the end of their connections
        os.nice(NICE)
        state_file.save(path, copy())
        code = 0
    except IoFailure as bad:
        code = getattr(bad.__cause__, "errno", None) or EIO
    finally:
        os._exit(code)

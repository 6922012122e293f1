"""Handles signals of a live run, in the same way for `watch` and `serve`."""

from collections.abc import Callable, Mapping

from txmon.cli.messages import tell
from txmon.cli.options import load_config
from txmon.cli.outputs import Outputs
from txmon.errors import TxmonError
from txmon.runtime.session import LiveSession
from txmon.runtime.state_lock import StateLock
from txmon.settings.declarations import Settings


def _tell(line: str) -> None:
    tell([line])


class LiveControls:
    """Handles SIGHUP and SIGUSR1 between two turns of a loop."""

    def __init__(
        self,
        session: LiveSession,
        outputs: Outputs,
        flags: Mapping[str, object],
        adopt: Callable[[Settings], list[str]] | None = None,
        keep: Callable[[], object] | None = None,
        say: Callable[[str], object] = _tell,
        statistics: Callable[[], list[str]] | None = None,
        lock: StateLock | None = None,
    ) -> None:
        """Create it. flags: of the command; they take precedence over files that are read again.

        lock: of the state file. adopt, keep, statistics: replace the session's own functions.
        """
        self._session = session
        self._outputs = outputs
        self._flags = flags
        self._adopt = adopt or session.adopt
        self._keep = keep or session.keep
        self._say = say
        self._statistics = statistics or session.statistics
        self._lock = lock
        # functions that read another file again; each returns a message or raises TxmonError
        self.renew: list[Callable[[], str]] = []

    def report(self) -> None:
        """Print statistics."""
        for line in self._statistics():
            self._say(line)

    def look(self) -> None:
        """Let the outputs write waiting lines, and note whether they work, and whether the state has one owner."""
        self._outputs.tick()
        self._session.troubles.put("output", self._outputs.trouble)
        shared = self._lock.trouble() if self._lock is not None else ""
        if not shared:
            self._session.troubles.clear("lock")
        elif self._session.troubles.add("lock", shared):
            self._session.say(shared)

    def reload(self) -> None:
        """Read the settings again, reopen the outputs, and write the state. Whatever fails stays unchanged."""
        try:
            for line in self._adopt(load_config(self._flags).settings):
                self._say(f"SIGHUP: {line}")
        except TxmonError as bad:
            self._say(f"SIGHUP: {bad}. The settings did not change.")
        for reopen in (self._outputs.reopen, self._session.log.reopen):
            try:
                reopen()
            except TxmonError as bad:
                self._say(f"SIGHUP: {bad}. txmon continues with the file that is open.")
        for renew in self.renew:
            try:
                self._say(f"SIGHUP: {renew()}")
            except TxmonError as bad:
                self._say(f"SIGHUP: {bad}. txmon continues with what it read before.")
        self._keep()
        if self._session.settings.state is not None and "state" not in self._session.troubles:
            self._say("SIGHUP: the state is written")

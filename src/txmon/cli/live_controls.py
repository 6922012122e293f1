"""What signals ask of a live run, in the same way for `watch` and `serve`."""

from collections.abc import Callable, Mapping

from txmon.cli.options import load_config
from txmon.cli.outputs import Outputs, tell
from txmon.errors import TxmonError
from txmon.runtime.session import LiveSession
from txmon.runtime.signals import Stop
from txmon.settings.declarations import Settings


class LiveControls:
    """Obeys SIGHUP and SIGUSR1 between two turns of a loop."""

    def __init__(
        self,
        session: LiveSession,
        outputs: Outputs,
        stop: Stop,
        flags: Mapping[str, object],
        adopt: Callable[[Settings], list[str]] | None = None,
        keep: Callable[[], object] | None = None,
    ) -> None:
        """flags: of the command, which outrank the files that are read again. adopt, keep: not the session's own."""
        self._session = session
        self._outputs = outputs
        self._stop = stop
        self._flags = flags
        self._adopt = adopt or session.adopt
        self._keep = keep or session.keep

    def obey(self) -> None:
        """Do what signals have asked for since the last call."""
        if self._stop.hangup():
            self._reload()
        if self._stop.statistics():
            tell(self._session.statistics())

    def _reload(self) -> None:
        """Read the settings again, open the outputs anew, and write the state; what fails stays as it was."""
        try:
            tell([f"SIGHUP: {line}" for line in self._adopt(load_config(self._flags).settings)])
        except TxmonError as bad:
            tell([f"SIGHUP: {bad}; the settings stay as they are"])
        for reopen in (self._outputs.reopen, self._session.log.reopen):
            try:
                reopen()
            except TxmonError as bad:
                tell([f"SIGHUP: {bad}; going on with the file that is open"])
        self._keep()

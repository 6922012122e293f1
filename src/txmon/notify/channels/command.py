"""A command of the user's own, which gets each notification on its standard input."""

import os
import shlex
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from datetime import tzinfo
from typing import Final

from txmon.notify.channels.base import Answer
from txmon.notify.channels.document import document
from txmon.notify.notification import Notification

TIMEOUT: Final = 30.0  # seconds a command may take
TRY_AGAIN: Final = 75  # sysexits.h: EX_TEMPFAIL
QUOTED: Final = 200  # characters of its standard error that are shown


class Command:
    """Runs a command for each notification, without a shell. What comes from the stream is in its input alone."""

    name = "exec"

    def __init__(self, command: str, env: Mapping[str, str], tz: tzinfo, timeout: float = TIMEOUT) -> None:
        """command: quoted as for a shell. env: its environment; TXMON_* are left out, as some are secrets."""
        self._words = shlex.split(command)
        self._env = {name: value for name, value in env.items() if not name.startswith("TXMON_")}
        self._tz = tz
        self._timeout = timeout
        self._running: subprocess.Popen[bytes] | None = None
        self._stopped = False

    def render(self, notification: Notification) -> str:
        """Return the document, on a line."""
        return document(notification, self._tz) + "\n"

    def send(self, identity: str, body: str) -> Answer:
        """Run the command: 0 is sent, 75 or taking too long is tried again, everything else is refused."""
        with tempfile.TemporaryFile() as said:  # a pipe would have to be read, and could be kept open by a grandchild
            try:
                process = subprocess.Popen(
                    self._words,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,  # standard output is the verdicts'
                    stderr=said,
                    env=self._env,
                    start_new_session=True,
                )
            except OSError as bad:
                return Answer("retry", f"{self._words[0]}: {bad.strerror}")
            self._running = process
            try:
                process.communicate(body.encode("utf-8"), self._timeout)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                return Answer("retry", f"{self._words[0]}: took longer than {self._timeout:g} s")
            finally:
                self._running = None
            if self._stopped:
                return Answer("retry", f"{self._words[0]}: stopped, because txmon ends")
            if process.returncode == 0:
                return Answer("sent", "exit code 0")
            said.seek(0)
            words = " ".join(said.read(4096).decode("utf-8", "replace").split())[:QUOTED]
            text = f"{self._words[0]}: {_ending(process.returncode)}" + (f": {words}" if words else "")
            return Answer("retry" if process.returncode == TRY_AGAIN else "refused", text)

    def stop(self) -> None:
        """End a command that still runs. Its notification stays in the spool, and is sent at the next start."""
        process = self._running
        self._stopped = True
        if process is not None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def _ending(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"killed by signal {-code}"

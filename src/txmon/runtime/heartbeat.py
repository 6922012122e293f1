"""Signs of life: systemd's notifications and watchdog, and an address that is called while txmon is healthy.

Nobody is alerted by a txmon that stopped. systemd restarts a service whose watchdog hears nothing, and a dead man's
switch alerts when the calls to its address stop.
"""

import os
import socket
import threading
import time
from collections.abc import Callable, Mapping
from typing import Final

EACH: Final = 60.0  # seconds between two calls
STALE: Final = 30.0  # seconds without a turn of the loop, after which txmon hangs and no call goes out
TIMEOUT: Final = 10.0  # seconds for one call
Say = Callable[[str], None]


class Systemd:
    """Tells systemd that the service is ready, alive, or stopping; does nothing where systemd did not start it."""

    def __init__(self, env: Mapping[str, str], monotonic: Callable[[], float] = time.monotonic) -> None:
        """env: has NOTIFY_SOCKET, and WATCHDOG_USEC where the unit has WatchdogSec. monotonic: seconds."""
        self._address = env.get("NOTIFY_SOCKET", "")
        self._monotonic = monotonic
        try:
            seconds = int(env.get("WATCHDOG_USEC", "0")) / 1e6
        except ValueError:
            seconds = 0.0
        mine = env.get("WATCHDOG_PID", "") in ("", str(os.getpid()))
        self._each = seconds / 2 if mine else 0.0
        self._due = 0.0
        self._status = ""

    def ready(self) -> None:
        """Tell that the service is up."""
        self._send("READY=1")

    def alive(self, trouble: str) -> None:
        """Tell that the loop turns, as often as the watchdog asks for, and what does not work, where that changed."""
        if trouble != self._status:
            self._status = trouble
            self._send(f"STATUS={trouble or 'running'}")
        now = self._monotonic()
        if self._each > 0.0 and now >= self._due:
            self._due = now + self._each
            self._send("WATCHDOG=1")

    def stopping(self) -> None:
        """Tell that the service ends, in its own time."""
        self._send("STOPPING=1")

    def _send(self, text: str) -> None:
        if not self._address:
            return
        # a name that begins with @ is in the kernel's own list, where its first byte is 0
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
                channel.settimeout(1.0)
                channel.sendto(text.encode(), address)
        except OSError:
            pass  # a service must not end because nobody listens


class Heartbeat:
    """Calls an address each minute while the run is healthy, from a thread of its own."""

    def __init__(
        self, address: str, say: Say, each: float = EACH, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """say: takes a line when the address cannot be called, and one when it works again. each: seconds."""
        self._address = address
        self._say = say
        self._each = each
        self._monotonic = monotonic
        self._beaten = monotonic()
        self._healthy = True
        self._failing = False
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Call for the first time now, and go on."""
        self._thread.start()

    def beat(self, healthy: bool) -> None:
        """Note that the loop turns, and whether everything works."""
        self._beaten, self._healthy = self._monotonic(), healthy

    def stop(self) -> None:
        """End; a call that is under way is not waited for."""
        self._end.set()

    def _run(self) -> None:
        while True:
            if self._healthy and self._monotonic() - self._beaten <= STALE:
                self._call()
            if self._end.wait(self._each):
                return

    def _call(self) -> None:
        import urllib.error
        import urllib.request

        request = urllib.request.Request(self._address, headers={"User-Agent": "txmon"})
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
                answer.read(1024)
        except (OSError, ValueError) as bad:  # HTTP errors are OSErrors too
            if not self._failing:
                self._failing = True
                # the address is left out: who knows it can keep the switch from alerting
                reason = bad.code if isinstance(bad, urllib.error.HTTPError) else getattr(bad, "reason", bad)
                self._say(f"heartbeat: the address cannot be called: {reason}")
            return
        if self._failing:
            self._failing = False
            self._say("heartbeat: the address can be called again")


class Vitals:
    """Both signs of life of one run."""

    def __init__(self, address: str | None, env: Mapping[str, str], say: Say) -> None:
        """address: of the heartbeat, None for none."""
        self._systemd = Systemd(env)
        self._heartbeat = Heartbeat(address, say) if address is not None else None

    def start(self) -> None:
        """Tell that the run is ready."""
        self._systemd.ready()
        if self._heartbeat is not None:
            self._heartbeat.start()

    def alive(self, trouble: str) -> None:
        """Tell that the loop turns; trouble: what does not work, empty where all does."""
        self._systemd.alive(trouble)
        if self._heartbeat is not None:
            self._heartbeat.beat(not trouble)

    def stop(self) -> None:
        """Tell that the run ends."""
        self._systemd.stopping()
        if self._heartbeat is not None:
            self._heartbeat.stop()

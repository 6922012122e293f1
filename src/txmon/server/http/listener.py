"""The listening socket: accepts connections, a thread each up to a cap, and drains them at the end."""

import ipaddress
import selectors
import socket
import threading
import time
from collections import deque
from typing import Final

from txmon.errors import IoFailure
from txmon.server.http.connection import COMMON, LINGER, Admit, Connection, Handler, Limits, admit_all
from txmon.server.http.message import HttpError, as_error, render

TICK: Final = 0.25  # seconds between two looks at who has left, and waited for one who is asked to leave
REFUSED: Final = 64  # connections over the cap that are still told so
STACK: Final = 512 << 10  # bytes of a thread's stack
BUSY = HttpError(503, "too many connections", close=True, headers=(("Retry-After", "1"),))


class Listener:
    """Serves HTTP on one address; `start` and `stop` are called once each, from one thread."""

    def __init__(
        self, host: str, port: int, handle: Handler, limits: Limits | None = None, admit: Admit = admit_all
    ) -> None:
        """Binds at once; IoFailure when the address cannot be had. port 0: any free one.

        admit: may refuse a request before its body is read.
        """
        self._limits = limits or Limits()
        self._handle = handle
        self._admit = admit
        self._socket = _bind(host, port, self._limits.backlog)
        self.port: int = self._socket.getsockname()[1]
        self.refused = 0  # connections over the cap
        self._lock = threading.Lock()
        self._live: dict[Connection, threading.Thread] = {}
        self._leaving: deque[tuple[float, socket.socket]] = deque()
        self._draining = False
        self._wake, self._waker = socket.socketpair()
        self._acceptor = threading.Thread(target=self._accept, name="accept", daemon=True)

    @property
    def connections(self) -> int:
        """Connections being served."""
        return len(self._live)

    def start(self) -> None:
        """Begin to accept."""
        self._acceptor.start()

    def stop(self, patience: float) -> bool:
        """Accept no more, answer what was asked, within `patience` seconds; whether everyone was answered."""
        self._draining = True
        self._waker.send(b".")
        self._acceptor.join()
        deadline = time.monotonic() + patience
        while True:
            with self._lock:
                live = dict(self._live)
            if not live or time.monotonic() >= deadline:
                break
            for connection in live:
                connection.hang_up()
            next(iter(live.values())).join(0.05)
        self._wake.close()
        self._waker.close()
        return not live

    def _accept(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._socket, selectors.EVENT_READ)
            selector.register(self._wake, selectors.EVENT_READ)
            while not self._draining:
                selector.select(TICK)
                self._take_all()
                self._let_go(time.monotonic())
        self._take_all()  # who is in the backlog has been promised an answer
        self._socket.close()
        self._let_go(float("inf"))

    def _take_all(self) -> None:
        while True:
            try:
                sock, _ = self._socket.accept()
            except BlockingIOError:
                return
            except OSError:
                time.sleep(0.05)  # out of file descriptors: some will come back
                return
            if len(self._live) >= self._limits.connections and not self._make_room():
                self._refuse(sock)
            else:
                self._serve(sock)

    def _make_room(self) -> bool:
        """Hang up on a client that keeps a connection without using it; whether there was one."""
        with self._lock:
            found = next(((client, thread) for client, thread in self._live.items() if client.idle), None)
        if found is None:
            return False
        client, thread = found
        client.hang_up()
        thread.join(TICK)
        return len(self._live) < self._limits.connections

    def _serve(self, sock: socket.socket) -> None:
        sock.setblocking(True)
        connection = Connection(sock, self._limits, self._handle, lambda: self._draining, self._admit)
        thread = threading.Thread(target=self._run, args=(connection,), name="client", daemon=True)
        with self._lock:
            self._live[connection] = thread
        try:
            thread.start()
        except RuntimeError:  # no more threads in this machine
            self._forget(connection)
            self._refuse(sock)

    def _run(self, connection: Connection) -> None:
        try:
            connection.serve()
        finally:
            self._forget(connection)

    def _forget(self, connection: Connection) -> None:
        with self._lock:
            self._live.pop(connection, None)

    def _refuse(self, sock: socket.socket) -> None:
        """Say that there are too many; the socket stays open for a moment, or the client would not read it."""
        self.refused += 1
        sock.setblocking(False)
        try:
            sock.send(render(as_error(BUSY), False, True, "", COMMON))
            sock.shutdown(socket.SHUT_WR)
        except OSError:
            sock.close()
            return
        self._leaving.append((time.monotonic() + LINGER, sock))
        if len(self._leaving) > REFUSED:
            self._leaving.popleft()[1].close()

    def _let_go(self, now: float) -> None:
        while self._leaving and self._leaving[0][0] <= now:
            self._leaving.popleft()[1].close()


def _bind(host: str, port: int, backlog: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        sock = socket.socket(family, socket.SOCK_STREAM)
    except OSError as bad:
        raise IoFailure(f"{host}: {bad.strerror}") from bad
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        sock.listen(backlog)
        sock.setblocking(False)
    except OSError as bad:
        sock.close()
        raise IoFailure(f"{host}:{port}: {bad.strerror}") from bad
    return sock


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"

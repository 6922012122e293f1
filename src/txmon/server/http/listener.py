"""The listening socket: it accepts connections, one thread each up to a limit, and finishes them at the end."""

import ipaddress
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from txmon.errors import IoFailure
from txmon.server.http.connection import (
    COMMON,
    LINGER,
    Admit,
    Connection,
    Encryption,
    Handler,
    Limits,
    Observe,
    admit_all,
    unobserved,
)
from txmon.server.http.message import HttpError, Request, Response, as_error, render

TICK: Final = 0.25  # seconds between two checks for ended connections, and of waiting for one that was asked to close
REFUSED: Final = 64  # connections over the limit that still receive an error
BUSY = HttpError(503, "too many connections", close=True, headers=(("Retry-After", "1"),), code="connections")
PROBES: Final = ("/healthz", "/readyz")
PROBE: Final = 1.0  # seconds within which a connection in a reserved place must send its head


BUSIEST: Final = 4
SLACK: Final = 1.25  # factor of the connection limit, including those that were asked to close


def _worth(client: Connection) -> tuple[int, float]:
    """Return the priority of a connection if there are too many. The lowest is closed first.

    A client that has been sending a head for more than a second comes first. Then follow clients without any request
    so far, clients between two requests, and clients that have just started a head. A client that is being answered
    stays.
    """
    now, since, began = time.monotonic(), client.head_since, client.since
    if since:
        return (0, since) if now - since > PROBE else (3, since)
    if client.idle:
        return (2, began) if client.served or now - began < PROBE else (1, began)
    return BUSIEST, began


def _no_bodies(request: Request, length: int) -> int:
    """Raise HttpError 503, because no bodies are allowed here."""
    raise BUSY


def is_probe(request: Request) -> bool:
    """Return whether a request is a health probe."""
    return request.path in PROBES


class Listener:
    """Serves HTTP on one address. `start` and `stop` are called once each, from one thread."""

    def __init__(
        self,
        host: str,
        port: int,
        handle: Handler,
        limits: Limits | None = None,
        admit: Admit = admit_all,
        observe: Observe = unobserved,
        urgent: Callable[[Request], bool] = is_probe,
        shared: Callable[[str], bool] = lambda _: False,
        encryption: Encryption | None = None,
    ) -> None:
        """Bind to the address. Raise IoFailure if it is not available. port 0: any free port.

        admit: may refuse a request before its body is read. observe: called for each answer. urgent: whether to answer
        a request even if all places are taken. shared: whether many clients share an address, as behind a proxy.
        encryption: for TLS.
        """
        self._observe = observe
        self._urgent = urgent
        self._shared = shared
        self._encryption = encryption
        self._limits = limits or Limits()
        self._handle = handle
        self._admit = admit
        self._socket = _bind(host, port, self._limits.backlog)
        self.port: int = self._socket.getsockname()[1]
        self.refused = 0  # connections over the limit
        self._lock = threading.Lock()
        self._live: dict[Connection, threading.Thread] = {}
        self._lane: dict[Connection, threading.Thread] = {}  # connections in reserved places
        self._leaving: deque[tuple[float, socket.socket]] = deque()
        self._draining = False
        self._wake, self._waker = socket.socketpair()
        self._acceptor = threading.Thread(target=self._accept, name="accept", daemon=True)

    @property
    def connections(self) -> int:
        """Return the number of connections being served."""
        return len(self._live)

    def start(self) -> None:
        """Start to accept connections."""
        self._acceptor.start()

    def stop(self, patience: float) -> bool:
        """Stop accepting, and finish requests within `patience` seconds. Return whether all were answered."""
        self._draining = True
        self._waker.send(b".")
        self._acceptor.join()
        deadline = time.monotonic() + patience
        while True:
            with self._lock:
                live = self._live | self._lane
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
        self._take_all()  # connections in the backlog are already established from the client's view
        self._socket.close()
        self._let_go(float("inf"))

    def _take_all(self) -> None:
        while True:
            try:
                sock, address = self._socket.accept()
            except BlockingIOError:
                return
            except OSError:
                time.sleep(0.05)  # out of file descriptors: some will be closed soon
                return
            peer = str(address[0])
            if self._is_full(peer):
                self._reserve(sock, peer)
            else:
                self._serve(sock, peer)

    def _is_full(self, peer: str) -> bool:
        """Return whether there is no place for a client from `peer`, after others were asked to close."""
        with self._lock:
            staying = [client for client in self._live if not client.leaving]
        theirs = [client for client in staying if client.peer == peer]
        if len(theirs) >= self._limits.each and not self._shared(peer):
            return not self._make_room(theirs)
        return len(staying) >= self._limits.connections and not self._make_room(staying)

    def _make_room(self, clients: list[Connection]) -> bool:
        """Close one of `clients` that uses a place without a request. Return whether there was one."""
        found = min(clients, key=_worth, default=None)
        if found is None or _worth(found)[0] == BUSIEST:
            return False
        found.leaving = True
        found.hang_up()
        if len(self._live) > SLACK * self._limits.connections:  # the others end soon, so this one need not be closed
            with self._lock:
                thread = self._live.get(found)
            if thread is not None:
                thread.join(TICK)
        return True

    def _serve(self, sock: socket.socket, peer: str) -> None:
        connection = Connection(
            sock, self._limits, self._handle, lambda: self._draining, self._admit, self._observe, peer,
            self._encryption,
        )  # fmt: skip
        self._begin(sock, connection, self._live)

    def _reserve(self, sock: socket.socket, peer: str) -> None:
        """Give a client one of the reserved places, where only probes are answered."""
        with self._lock:
            lane = list(self._lane)
        if len(lane) >= self._limits.reserved:
            slowest = min(lane, key=_worth)
            if _worth(slowest)[0] == BUSIEST:
                self._refuse(sock)
                return
            slowest.hang_up()  # it ends soon; until then there is one more than reserved
        limits = replace(self._limits, head=PROBE, idle=PROBE)
        self.refused += 1
        connection = Connection(
            sock, limits, self._probe, lambda: True, _no_bodies, self._observe, peer, self._encryption
        )
        self._begin(sock, connection, self._lane)

    def _probe(self, request: Request) -> Response:
        return self._handle(request) if self._urgent(request) else as_error(BUSY)

    def _begin(self, sock: socket.socket, connection: Connection, places: dict[Connection, threading.Thread]) -> None:
        sock.setblocking(True)
        thread = threading.Thread(target=self._run, args=(connection,), name="client", daemon=True)
        with self._lock:
            places[connection] = thread
        try:
            thread.start()
        except RuntimeError:  # the machine allows no more threads
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
            self._lane.pop(connection, None)

    def _refuse(self, sock: socket.socket) -> None:
        """Send an error about too many connections.

        The socket stays open for a moment so that the client can read it.
        """
        self.refused += 1
        sock.setblocking(False)
        if self._encryption is not None:  # a TLS handshake only to refuse the client would cost too much
            sock.close()
            return
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
    """Return whether only this machine can reach `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"

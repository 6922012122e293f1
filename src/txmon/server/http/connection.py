"""Serves one connection: it reads requests from the socket within limits and deadlines, and writes the answers."""

import socket
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from email.utils import formatdate
from functools import lru_cache
from typing import Final, Protocol

from txmon.server.http.message import CHUNKED, HEAD, Chunks, HttpError, Request, Response, as_error, parse_head, render

READ: Final = 64 << 10  # bytes per read
LINGER: Final = 1.0  # seconds for the client to read its last answer
END: Final = b"\r\n\r\n"
BARE: Final = b"\n\n"  # the end of a head whose lines lack the CR
HELLO: Final = b"\x16\x03"  # the first bytes of TLS
COMMON: Final = (
    b"X-Content-Type-Options: nosniff\r\n"
    b"X-Frame-Options: DENY\r\n"
    b"Referrer-Policy: no-referrer\r\n"
    b"Cross-Origin-Opener-Policy: same-origin\r\n"
    b"Cross-Origin-Resource-Policy: same-origin\r\n"
    b"Permissions-Policy: camera=(), geolocation=(), microphone=()\r\n"
    b"Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    b"img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n"
    b"Cache-Control: no-store\r\n"
)

Handler = Callable[[Request], Response]
# the arguments are a request without its body, and the body's length or CHUNKED; returns the allowed bytes or raises
# HttpError
Admit = Callable[[Request, int], int]
# the request (None if it could not be read), the client's address, the answer's status and bytes, and the
# seconds since the request's first byte
Observe = Callable[[Request | None, str, int, int, float], None]


def admit_all(request: Request, length: int) -> int:
    """Allow every body within the limits."""
    return 1 << 40


def unobserved(request: Request | None, peer: str, status: int, size: int, seconds: float) -> None:
    """Ignore an answer."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits for a client, in seconds and bytes."""

    body: int = 1 << 20
    head: float = 5.0  # from a request's first byte to the end of its headers
    request: float = 15.0  # from a request's first byte to its last
    idle: float = 60.0  # between requests
    send: float = 15.0  # for an answer
    connections: int = 512
    each: int = 256  # connections of one address
    reserved: int = 8  # further connections, only for health probes
    backlog: int = 1024


class Encryption(Protocol):
    """Puts a connection under TLS."""

    def greet(self, sock: socket.socket, seconds: float) -> socket.socket:
        """Return `sock` under TLS after a handshake within `seconds`. Raise OSError if it fails."""

    def part(self, sock: socket.socket) -> None:
        """Tell the client of a socket under TLS that no more data follows."""


class Hangup(Exception):
    """Signals that the client is gone or too slow, so that no answer is possible."""


class Connection:
    """Serves one client until either side closes the connection."""

    def __init__(
        self,
        sock: socket.socket,
        limits: Limits,
        handle: Handler,
        draining: Callable[[], bool],
        admit: Admit,
        observe: Observe = unobserved,
        peer: str = "",
        encryption: Encryption | None = None,
    ) -> None:
        """Create it. draining: returns whether the current answer is the last. admit: called before a body is read.

        observe: called for each answer. peer: the address of the client. encryption: of a listener with TLS.
        """
        self.idle = True  # between two requests, so the connection may be closed
        self.head_since = 0.0  # monotonic time at which the current head began; 0 if none
        self.since = time.monotonic()  # when the connection was accepted
        self.served = 0  # requests answered
        self.leaving = False  # whether it was asked to close, to make room
        self.peer = peer
        self._observe = observe
        self._began = 0.0
        self._sock = sock
        self._limits = limits
        self._handle = handle
        self._admit = admit
        self._draining = draining
        self._encryption = encryption
        self._rest = b""
        self._patience = 0.0  # seconds for which the kernel lets a read wait; 0: not set
        self._head: tuple[bytes, Request, int] | None = None  # the last one, with what was read from it

    def serve(self) -> None:
        """Answer requests until the connection ends; closes the socket."""
        try:
            self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._encryption is not None:
                self._sock = self._encryption.greet(self._sock, self._limits.head)
            while self._one():
                pass
            if self._encryption is not None:
                self._encryption.part(self._sock)
        except (Hangup, OSError):
            pass
        finally:
            self._sock.close()

    def hang_up(self) -> None:
        """Wake the thread if it waits for the next request or for the rest of a head, so that it ends."""
        if self.idle or self.head_since:
            try:
                # also under TLS, whose own shutdown belongs to the thread
                socket.socket.shutdown(self._sock, socket.SHUT_RD)
            except OSError:
                return  # the client closed it first

    def _one(self) -> bool:
        """Answer one request. Return whether another may follow."""
        try:
            request = self._read()
        except HttpError as wrong:
            self.head_since = 0.0
            refusal = as_error(wrong)
            self._send(refusal, False, True)
            self._note(self._refused, refusal)
            self._linger()
            return False
        response = self._handle(request)
        close = not request.keep_alive or self._draining()
        self._send(response, request.method == "HEAD", close)
        self._note(request, response)
        self.served += 1
        if response.stream is not None and request.method != "HEAD":
            response.stream(self._write)
        if response.stream is not None:
            return False
        if close:
            self._linger()  # what the client sent after its last request must not cost it the answer
            return False
        self.idle = True
        return True

    def _note(self, request: Request | None, response: Response) -> None:
        self._observe(request, self.peer, response.status, len(response.body), time.monotonic() - self._began)

    def _read(self) -> Request:
        self._refused: Request | None = None
        # old clients send line ends before a request, after a body (RFC 9112, 2.2)
        self._rest = self._rest.lstrip(b"\r\n")
        if not self._rest:
            self._began = time.monotonic()
            until = self._began + self._limits.idle
            while not self._rest:
                self._more(until)
                self._rest = self._rest.lstrip(b"\r\n")
        self.idle = False
        self._began = self.head_since = time.monotonic()
        deadline = self._began + min(self._limits.head, self._limits.request)
        searched = 0
        if self._rest.startswith(HELLO):
            raise HttpError(400, "this port speaks HTTP without TLS. Use http://, or --tls-cert", close=True)
        while (end := self._rest.find(END, max(0, searched - 3))) < 0:
            searched = len(self._rest)
            if BARE in self._rest:
                raise HttpError(400, "the lines of the headers must end with CR LF, not with LF alone", close=True)
            if searched > HEAD:
                raise HttpError(431, f"the headers are longer than {HEAD} bytes", close=True)
            self._more(deadline)
        if end > HEAD:
            raise HttpError(431, f"the headers are longer than {HEAD} bytes", close=True)
        self.head_since = 0.0
        request, length = self._parsed(self._rest[:end])
        self._refused = request
        if length > self._limits.body:
            raise HttpError(413, f"the body has {length} bytes, at most {self._limits.body} are read", close=True)
        self._rest = self._rest[end + len(END) :]
        if length == 0:
            return request
        most = min(self._limits.body, self._admit(request, length))
        self._expect(request, length)
        deadline = self._began + self._limits.request
        body = self._chunked(most, deadline) if length == CHUNKED else self._body(length, deadline)
        return Request(
            request.method, request.path, request.query, request.headers, body, request.keep_alive, request.peer,
            request.secure, request.origin_host,
        )  # fmt: skip

    def _parsed(self, head: bytes) -> tuple[Request, int]:
        """Return the request with this head, and the length of its body. Raise HttpError.

        Most clients send the same head again and again.
        """
        if self._head is not None and self._head[0] == head:
            return self._head[1], self._head[2]
        request, length = parse_head(head)
        request = replace(request, peer=self.peer, secure=self._encryption is not None)
        self._head = head, request, length
        return request, length

    def _expect(self, request: Request, length: int) -> None:
        wish = request.headers.get("expect")
        if wish is None:
            return
        if wish.lower() != "100-continue":
            raise HttpError(417, "100-continue is the only supported Expect", close=True)
        if len(self._rest) < length or (length == CHUNKED and not self._rest):
            self._write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _body(self, length: int, deadline: float) -> bytes:
        parts = [self._rest]
        missing = length - len(self._rest)
        while missing > 0:
            self._rest = b""
            self._more(deadline)
            parts.append(self._rest)
            missing -= len(self._rest)
        whole = b"".join(parts)
        self._rest = whole[length:]
        return whole[:length]

    def _chunked(self, most: int, deadline: float) -> bytes:
        chunks = Chunks(most)
        while (after := chunks.take(self._rest)) is None:
            self._rest = chunks.rest
            self._more(deadline)
        self._rest = after
        return chunks.body()

    def _more(self, deadline: float) -> None:
        """Read more data.

        Raise Hangup at the end of the connection, or HttpError 408 after `deadline` within a request.
        """
        left = deadline - time.monotonic()
        if left <= 0:
            raise self._too_late()
        try:
            block = self._receive(left)
        except (TimeoutError, BlockingIOError):
            raise self._too_late() from None
        if not block:
            if self.idle:
                raise Hangup
            # a client that closed only its own direction can still receive the answer
            raise HttpError(400, "the request ended too early", close=True)
        self._rest += block

    def _receive(self, left: float) -> bytes:
        """Return what the client sends within `left` seconds. Raise TimeoutError or BlockingIOError.

        Without TLS, the kernel keeps the time. A timeout of Python costs two system calls more for each read, and each
        call may have to wait for another thread.
        """
        if self._encryption is not None:
            self._sock.settimeout(left)
            return self._sock.recv(READ)
        patience = self._limits.idle if self.idle and left > self._limits.idle / 2 else left
        if patience != self._patience:
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _timeval(patience))
            self._patience = patience
        return self._sock.recv(READ)

    def _too_late(self) -> Exception:
        if self.idle:
            return Hangup()
        if self.head_since:
            limit = min(self._limits.head, self._limits.request)
            return HttpError(408, f"the headers took longer than {limit:g} s", close=True)
        return HttpError(408, f"the request took longer than {self._limits.request:g} s", close=True)

    def _send(self, response: Response, head_only: bool, close: bool) -> None:
        self._write(render(response, head_only, close, _date(int(time.time())), COMMON))

    def _write(self, block: bytes) -> None:
        """Send all of `block` within the time limit. Raise OSError if the client does not accept it."""
        if self._encryption is None:
            with suppress(BlockingIOError):
                block = block[self._sock.send(block, socket.MSG_DONTWAIT) :]
            if not block:
                return
        self._sock.settimeout(self._limits.send)
        self._sock.sendall(block)
        if self._encryption is None:
            self._sock.settimeout(None)

    def _linger(self) -> None:
        """Let the client read the answer, because closing with unread data would reset the connection."""
        if self._encryption is not None:
            self._encryption.part(self._sock)
        socket.socket.shutdown(self._sock, socket.SHUT_WR)
        deadline = time.monotonic() + LINGER
        while (left := deadline - time.monotonic()) > 0:
            self._sock.settimeout(left)
            if not socket.socket.recv(self._sock, READ):
                return


def _timeval(seconds: float) -> bytes:
    whole = max(1, int(seconds * 1e6))
    return struct.pack("@ll", *divmod(whole, 1_000_000))


@lru_cache(maxsize=4)
def _date(second: int) -> str:
    return formatdate(second, usegmt=True)

"""One connection: requests read from its socket within limits and deadlines, answers written to it."""

import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from email.utils import formatdate
from functools import lru_cache
from typing import Final

from txmon.server.http.message import HEAD, HttpError, Request, Response, as_error, parse_head, render

READ: Final = 64 << 10  # bytes at once
LINGER: Final = 1.0  # seconds that a client gets to read an answer it did not wait for
END: Final = b"\r\n\r\n"
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
Admit = Callable[[Request, int], None]  # of a request whose body, so many bytes, is still to come; raises HttpError


def admit_all(request: Request, length: int) -> None:
    """Let everybody send what the limits allow."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a client may ask of the server. Seconds and bytes."""

    body: int = 1 << 20
    request: float = 15.0  # from a request's first byte to its last, however slowly they come
    idle: float = 60.0  # between requests
    send: float = 15.0  # for an answer
    connections: int = 512
    backlog: int = 1024


class Hangup(Exception):
    """The client is gone, or was too slow: there is no one to answer."""


class Connection:
    """Serves one client until either side hangs up."""

    def __init__(
        self, sock: socket.socket, limits: Limits, handle: Handler, draining: Callable[[], bool], admit: Admit
    ) -> None:
        """draining: whether the answer to the request at hand is to be the last. admit: asked before a body is read."""
        self.idle = True  # between two requests, and so free to be hung up on
        self._sock = sock
        self._limits = limits
        self._handle = handle
        self._admit = admit
        self._draining = draining
        self._rest = b""
        self._peer = ""

    def serve(self) -> None:
        """Answer requests until the connection ends; closes the socket."""
        try:
            self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._peer = str(self._sock.getpeername()[0])
            while self._one():
                pass
        except (Hangup, OSError):
            pass
        finally:
            self._sock.close()

    def hang_up(self) -> None:
        """Wake the thread that waits for a next request, if it does."""
        if self.idle:
            try:
                self._sock.shutdown(socket.SHUT_RD)
            except OSError:
                return  # the client was faster

    def _one(self) -> bool:
        """Answer one request; whether another may follow."""
        try:
            request = self._read()
        except HttpError as wrong:
            self._send(as_error(wrong), False, True)
            self._linger()
            return False
        response = self._handle(request)
        close = not request.keep_alive or self._draining()
        self._send(response, request.method == "HEAD", close)
        if response.stream is not None and request.method != "HEAD":
            response.stream(self._write)
        if close or response.stream is not None:
            return False
        self.idle = True
        return True

    def _read(self) -> Request:
        deadline = time.monotonic() + self._limits.idle
        if not self._rest:
            self._more(deadline)
        self.idle = False
        deadline = time.monotonic() + self._limits.request
        searched = 0
        while (end := self._rest.find(END, max(0, searched - 3))) < 0:
            searched = len(self._rest)
            if searched > HEAD:
                raise HttpError(431, f"the headers are longer than {HEAD} bytes", close=True)
            self._more(deadline)
        if end > HEAD:
            raise HttpError(431, f"the headers are longer than {HEAD} bytes", close=True)
        request, length = parse_head(self._rest[:end])
        request = replace(request, peer=self._peer)
        if length > self._limits.body:
            raise HttpError(413, f"the body has {length} bytes, at most {self._limits.body} are read", close=True)
        self._rest = self._rest[end + len(END) :]
        if length == 0:
            return request
        self._admit(request, length)
        self._expect(request, length)
        return replace(request, body=self._body(length, deadline))

    def _expect(self, request: Request, length: int) -> None:
        wish = request.headers.get("expect")
        if wish is None:
            return
        if wish.lower() != "100-continue":
            raise HttpError(417, "only 100-continue can be expected", close=True)
        if len(self._rest) < length:
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

    def _more(self, deadline: float) -> None:
        """Read something; Hangup at the end of the connection, or HttpError 408 past `deadline` in mid-request."""
        left = deadline - time.monotonic()
        if left <= 0:
            raise self._too_late()
        self._sock.settimeout(left)
        try:
            block = self._sock.recv(READ)
        except TimeoutError:
            raise self._too_late() from None
        if not block:
            raise Hangup
        self._rest += block

    def _too_late(self) -> Exception:
        if self.idle:
            return Hangup()
        return HttpError(408, f"the request took longer than {self._limits.request:g} s", close=True)

    def _send(self, response: Response, head_only: bool, close: bool) -> None:
        self._write(render(response, head_only, close, _date(int(time.time())), COMMON))

    def _write(self, block: bytes) -> None:
        """Send all of `block` within the limit; OSError where the client does not take it."""
        self._sock.settimeout(self._limits.send)
        self._sock.sendall(block)

    def _linger(self) -> None:
        """Let the client read the answer: closing with unread data would reset the connection under it."""
        self._sock.shutdown(socket.SHUT_WR)
        deadline = time.monotonic() + LINGER
        while (left := deadline - time.monotonic()) > 0:
            self._sock.settimeout(left)
            if not self._sock.recv(READ):
                return


@lru_cache(maxsize=4)
def _date(second: int) -> str:
    return formatdate(second, usegmt=True)

"""The HTTP target: raw bytes to a real server on loopback, with its parser, router, guard, intake and engine behind."""

import gzip
import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Final

from serving import START, Server, serving, warm

TOKEN: Final = "fuzz-token-0123456789"
PATIENCE: Final = 60  # seconds: on a busy machine an answer may wait; what it costs is measured in processor time
EACH: Final = 200  # cases that one server gets, so that a finding has a short history
TYPES: Final = ("application/json", "application/x-ndjson", "text/csv", "text/plain")
PATHS: Final = ("/v1/transactions", "/receive", "/send_transactions", "/v1/login", "/v1/incidents/x/ack")
KNOWN: Final = frozenset(
    (100, 200, 204, 400, 401, 403, 404, 405, 408, 413, 414, 415, 417, 421, 422, 431, 501, 503, 505)
)
_HEAD: Final = re.compile(rb"HTTP/1\.1 (\d{3}) [A-Za-z -]+\r\n(?:[A-Za-z-]+: [\x20-\x7e]*\r\n)*\r\n")


class HttpTarget:
    """Sends each case on a connection of its own and reads what is answered to the end."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._servers = self._made()
        self._server = next(self._servers)
        self._cases = 0

    def _made(self) -> Iterator[Server]:
        number = 0
        while True:
            self._stack.close()
            number += 1
            server = self._stack.enter_context(serving(token=TOKEN if number % 2 else None, now=START + 3600))
            if not number % 2:
                warm(server, 40)
            yield server

    def __call__(self, data: bytes) -> None:
        """The first byte chooses: raw bytes, or a body or a path in a whole request; the second, how it is cut."""
        if len(data) < 2:
            return
        self._cases += 1
        if self._cases % EACH == 0:
            assert self._server.client.get("/healthz").status == 200
            self._server = next(self._servers)
        request = whole(data[0], data[2:])
        answers = self._answers(request, data[1])
        assert b"unexpected failure" not in answers, answers
        check(answers)

    def _answers(self, request: bytes, cut: int) -> bytes:
        at = len(request) * cut // 256 if cut & 1 else len(request)
        parts: list[bytes] = []
        with socket.create_connection(("127.0.0.1", self._server.port), PATIENCE) as sock:
            try:
                sock.sendall(request[:at])
                if at < len(request):
                    sock.sendall(request[at:])
                sock.shutdown(socket.SHUT_WR)
                while block := sock.recv(1 << 16):
                    parts.append(block)
                    if b"text/event-stream" in block:
                        break  # it has no end
            except (BrokenPipeError, ConnectionResetError):
                pass  # refused before it was all sent
        return b"".join(parts)

    def close(self) -> None:
        """Stop the server."""
        self._stack.close()


def whole(how: int, rest: bytes) -> bytes:
    """The bytes of one request, or of none."""
    kind = how % 8
    if kind < 2:
        return rest
    common = b"Host: localhost\r\nAuthorization: Bearer " + TOKEN.encode()
    if kind == 2:
        return b"GET /" + rest + b" HTTP/1.1\r\n" + common + b"\r\nConnection: close\r\n\r\n"
    if kind == 3:
        return b"POST /v1/transactions HTTP/1.1\r\n" + common + b"\r\n" + rest
    body = gzip.compress(rest, 1) if kind == 4 else rest
    packed = b"Content-Encoding: gzip\r\n" if kind in (4, 5) else b""
    path = PATHS[how >> 3 & 7] if how >> 3 & 7 < len(PATHS) else PATHS[0]
    head = f"POST {path} HTTP/1.1\r\nContent-Type: {TYPES[how >> 6]}\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + packed + common + b"\r\nConnection: close\r\n\r\n" + body


def check(answers: bytes) -> None:
    """Whole answers one after the other, each of a status that the API knows."""
    while answers:
        head = _HEAD.match(answers)
        assert head is not None, answers[:300]
        status = int(head[1])
        assert status in KNOWN, answers[:300]
        if b"text/event-stream" in head[0]:
            return
        length = re.search(rb"Content-Length: (\d+)", head[0])
        assert length is not None or status in (100, 204), answers[:300]
        rest = answers[head.end() :]
        if length is not None and (len(rest) >= int(length[1]) and not rest.startswith(b"HTTP/1.1 ")):
            rest = rest[int(length[1]) :]
        answers = rest  # an answer to HEAD has a length and no body

"""HTTP messages: it parses a request's bytes strictly into a `Request`, and renders a `Response`. It uses no sockets.

It refuses everything that two readers of one connection could understand differently: a length with chunks, repeated
or unusual lengths, folded lines, bare line feeds. Requests therefore cannot be smuggled past a proxy.
"""

import gzip
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from json.encoder import encode_basestring as _quoted
from typing import Final
from urllib.parse import unquote

_encode: Final = json.JSONEncoder(ensure_ascii=False).encode
LINE: Final = 8 << 10  # bytes of a request line
HEAD: Final = 16 << 10  # bytes of a request line and all headers
HEADERS: Final = 64
ONCE: Final = frozenset(
    (
        "host", "content-length", "content-type", "content-encoding", "authorization", "origin", "cookie", "expect",
        "transfer-encoding",
    )
)  # fmt: skip
CHUNKED: Final = -1  # the length of a chunked body
JSON: Final = "application/json"
WORTH: Final = 1400  # bytes of a body from which compression saves a packet
TEXTS: Final = ("application/", "text/", "image/svg")
PROBLEM: Final = "application/problem+json"
TEXT: Final = "text/plain; charset=utf-8"

_REQUEST = re.compile(rb"([A-Z]{1,20}) ([\x21-\x7e]+) HTTP/(\d)\.(\d)")
_HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*))?")
_LENGTH = re.compile(r"[0-9]{1,12}")
CHUNK_LINE: Final = 8  # digits of a chunk's size
_CHUNK = re.compile(rb"[0-9A-Fa-f]{1,8}")
_ABSOLUTE = re.compile(r"https?://([^/?#]+)([/?][^#]*)?", re.IGNORECASE)
_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


class HttpError(Exception):
    """Signals a request that gets an error as its answer: the status, the reason in words, and whether to close."""

    def __init__(
        self,
        status: int,
        reason: str,
        close: bool = False,
        headers: tuple[tuple[str, str], ...] = (),
        code: str = "",
        more: Mapping[str, object] | None = None,
    ) -> None:
        """Create it. code: the kind of error for programs; by default it follows from the status.

        more: further members.
        """
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.close = close  # if the rest of the connection can no longer be understood
        self.headers = headers
        self.code = code or CODES.get(status, "error")
        self.more = more or {}


# names of errors for programs, if the status is specific enough
CODES: Final[Mapping[int, str]] = {
    400: "bad-request", 401: "token-needed", 403: "forbidden", 404: "not-found", 405: "method", 408: "too-slow",
    409: "conflict", 413: "too-large", 414: "address-too-long", 415: "media-type", 417: "expectation", 421: "host",
    422: "not-valid", 429: "too-many-tries", 431: "headers-too-long", 500: "internal", 501: "transfer-coding",
    503: "busy", 505: "http-version", 507: "storage",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Request:
    """One request. Its body is still compressed as it arrived."""

    method: str
    path: str  # as received, with valid escapes; `segments` decodes them
    query: str  # as received, without the question mark
    headers: Mapping[str, str]  # names in lower case
    body: bytes = b""
    keep_alive: bool = True
    peer: str = ""  # the client's address, or the one that a trusted proxy states
    secure: bool = False  # whether it used TLS, according to a trusted proxy
    origin_host: str = ""  # the host name that the client used, if a trusted proxy states another one

    def segments(self) -> tuple[str, ...]:
        """Return the parts of the path, each percent-decoded, so that an escaped slash does not separate parts."""
        return tuple([unquote(part) for part in self.path[1:].split("/")])


@dataclass(frozen=True, slots=True)
class Response:
    """One answer. `stream` writes the rest of the connection after the head, and ends it."""

    status: int = 200
    body: bytes = b""
    type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()
    stream: Callable[[Callable[[bytes], None]], None] | None = field(default=None, compare=False)


def as_json(value: object, status: int = 200, headers: tuple[tuple[str, str], ...] = ()) -> Response:
    """Return `value` as a JSON answer."""
    return Response(status, _encode(value).encode(), JSON, headers)


@dataclass(frozen=True, slots=True)
class Encoded:
    """A JSON value that is already text."""

    text: str

    @classmethod
    def array(cls, texts: Iterable[str]) -> "Encoded":
        """Return the array of values that are JSON text."""
        return cls(f"[{', '.join(texts)}]")


def object_text(members: Mapping[str, object]) -> str:
    """Return `members` as the text of a JSON object. An `Encoded` member is inserted unchanged."""
    shown = [f"{_quoted(name)}: {_value(value)}" for name, value in members.items()]
    return f"{{{', '.join(shown)}}}"


def _value(value: object) -> str:
    """Return the JSON text of a member. Short values take a shortcut, because each answer has several."""
    if isinstance(value, Encoded):
        return value.text
    if isinstance(value, str):
        return _quoted(value)
    if value == [] or type(value) is int:
        return str(value)
    return _encode(value)


def as_error(error: HttpError) -> Response:
    """Return the answer for an error: problem details as in RFC 9457, with a `code` for programs."""
    row = {
        "type": "about:blank", "title": _phrase(error.status), "status": error.status, "code": error.code,
        "detail": error.reason, **error.more,
    }  # fmt: skip
    return Response(error.status, _encode(row).encode(), PROBLEM, error.headers)


def packed(request: Request, response: Response) -> Response:
    """Return `response`, compressed with gzip if the client accepts that and it saves something."""
    if response.stream is not None or len(response.body) < WORTH or not response.type.startswith(TEXTS):
        return response
    headers = (*response.headers, ("Vary", "Accept-Encoding"))
    if not _takes_gzip(request.headers.get("accept-encoding", "")):
        return replace(response, headers=headers)
    body = gzip.compress(response.body, compresslevel=1, mtime=0)
    return replace(response, body=body, headers=(*headers, ("Content-Encoding", "gzip")))


def _takes_gzip(accepted: str) -> bool:
    """Return whether an Accept-Encoding allows gzip, or anything, with a weight above 0."""
    found: dict[str, bool] = {}
    for part in accepted.lower().split(","):
        name, _, weight = part.partition(";")
        found[name.strip()] = re.fullmatch(r"\s*q\s*=\s*0(\.0*)?\s*", weight) is None
    return found.get("gzip", found.get("x-gzip", found.get("*", False)))


def parse_head(raw: bytes) -> tuple[Request, int]:
    """Return the request with the head `raw` (without the empty line), and the length of its body. Raise HttpError.

    The length is CHUNKED if the body marks its own end.
    """
    line, *lines = raw.split(b"\r\n")
    match = _REQUEST.fullmatch(line)
    if match is None:
        raise HttpError(414 if len(line) > LINE else 400, "the request line is not valid HTTP", close=True)
    if match[3] != b"1" or match[4] not in b"01":
        raise HttpError(505, "only HTTP 1.0 and 1.1 are supported", close=True)
    if len(match[2]) > LINE:
        raise HttpError(414, f"the address is longer than {LINE} bytes", close=True)
    headers = _headers(lines)
    modern = match[4] == b"1"
    target = match[2].decode("ascii")
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is not None:  # RFC 9112, 3.2.2: the host in the request line takes precedence over the header
        headers["host"], target = absolute[1], absolute[2] or "/"
    if modern and "host" not in headers:
        raise HttpError(400, "no Host header", close=True)
    method = match[1].decode("ascii")
    path, query = ("*", "") if (method, target) == ("OPTIONS", "*") else _target(target)
    wish = headers.get("connection", "").lower()
    keep = modern and "close" not in wish
    return Request(method, path, query, headers, b"", keep), _length(headers, modern)


def _headers(lines: list[bytes]) -> dict[str, str]:
    if len(lines) > HEADERS:
        raise HttpError(431, f"more than {HEADERS} headers", close=True)
    headers: dict[str, str] = {}
    for line in lines:
        match = _HEADER.fullmatch(line)
        if match is None:
            raise HttpError(400, "a header is malformed", close=True)
        name = match[1].decode("ascii").lower()
        value = (match[2] or b"").decode("latin-1").rstrip(" \t")
        if name in headers:
            if name in ONCE:
                raise HttpError(400, f"{name} is given twice", close=True)
            value = f"{headers[name]}, {value}"
        headers[name] = value
    return headers


def _target(target: str) -> tuple[str, str]:
    if not target.startswith("/"):
        raise HttpError(400, "the address must be a path, like /v1/transactions", close=True)
    path, _, query = target.partition("?")
    if _ESCAPE.search(path):
        raise HttpError(400, "the path has a bad escape")
    try:
        unquote(path, errors="strict")
    except UnicodeDecodeError:
        raise HttpError(400, "the path is not UTF-8") from None
    return path, query


def _length(headers: Mapping[str, str], modern: bool) -> int:
    text = headers.get("content-length")
    coding = headers.get("transfer-encoding")
    if coding is not None:
        # RFC 9112, 6.1: an additional length may be an attempt at smuggling, and HTTP/1.0 does not know chunks
        if text is not None:
            raise HttpError(400, "Content-Length and Transfer-Encoding exclude each other", close=True)
        if not modern:
            raise HttpError(400, "HTTP/1.0 has no Transfer-Encoding", close=True)
        if coding.lower() != "chunked":
            raise HttpError(501, "chunked is the only supported Transfer-Encoding", close=True)
        return CHUNKED
    if text is None:
        return 0
    if not _LENGTH.fullmatch(text):
        raise HttpError(400, "Content-Length is not a whole number", close=True)
    return int(text)


def render(response: Response, head_only: bool, close: bool, date: str, common: bytes) -> bytes:
    """Return the bytes of `response`. common: header lines of every answer."""
    lines = [f"HTTP/1.1 {response.status} {_phrase(response.status)}", f"Date: {date}"]
    if response.status != 204:
        lines.append(f"Content-Type: {response.type}")
    if response.stream is None and response.status != 204:
        lines.append(f"Content-Length: {len(response.body)}")
    lines += [f"{name}: {value}" for name, value in response.headers]
    if close or response.stream is not None:
        lines.append("Connection: close")
    head = "\r\n".join(lines).encode("latin-1") + b"\r\n" + common + b"\r\n"
    return head if head_only else head + response.body


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


class Chunks:
    """Assembles a chunked body (RFC 9112, 7.1). It is strict: hexadecimal sizes, no extensions, CRLF."""

    def __init__(self, most: int) -> None:
        """Create it. most: bytes of the whole body."""
        self._most = most
        self._parts: list[bytes] = []
        self._size = 0
        self._missing = 0  # missing bytes of the current chunk, including its line end
        self._trailer = -1  # bytes of the trailer section so far; below 0 before it
        self.rest = b""

    def take(self, block: bytes) -> bytes | None:
        """Read the body's part of `block`. Return what follows the body, or None if it has not ended.

        Incomplete data stays in `rest`, and must be prepended to the next block. Raise HttpError 400 or 413.
        """
        at = 0
        while self._trailer < 0:
            at = self._data(block, at)
            end = -1 if self._missing else block.find(b"\r\n", at, at + CHUNK_LINE + 2)
            if end < 0:
                self._wait(block, at, CHUNK_LINE)
                return None
            self._size_line(block[at:end])
            at = end + 2
        while (end := block.find(b"\r\n", at)) >= 0:
            line = block[at:end]
            self._trailer += end + 2 - at
            at = end + 2
            if not line:
                return block[at:]
            if self._trailer > HEAD or not _HEADER.fullmatch(line):
                raise HttpError(400, "the trailer of a chunked body is malformed", close=True)
        self._wait(block, at, HEAD - self._trailer)
        return None

    def _size_line(self, line: bytes) -> None:
        if not _CHUNK.fullmatch(line):
            raise HttpError(400, "a chunk's size is not a plain hexadecimal number", close=True)
        size = int(line, 16)
        if size == 0:
            self._trailer = 0
        elif self._size + size > self._most:
            raise HttpError(413, f"the body has more than {self._most} bytes", close=True)
        else:
            self._missing = size + 2

    def body(self) -> bytes:
        """Return the body. Call it after the body has ended."""
        return b"".join(self._parts)

    def _data(self, block: bytes, at: int) -> int:
        """Take the part of the current chunk that `block` has from `at` on. Return where it ends."""
        if self._missing > 2:
            part = block[at : at + self._missing - 2]
            self._parts.append(part)
            self._size += len(part)
            self._missing -= len(part)
            at += len(part)
        for sign in b"\r\n"[2 - self._missing :] if self._missing <= 2 else b"":
            if at == len(block):
                break
            if block[at] != sign:
                raise HttpError(400, "a chunk is longer than its size", close=True)
            self._missing -= 1
            at += 1
        return at

    def _wait(self, block: bytes, at: int, most: int) -> None:
        if len(block) - at > most + 1:
            raise HttpError(400, "a line of a chunked body is too long", close=True)
        self.rest = block[at:]

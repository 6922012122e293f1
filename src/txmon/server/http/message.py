"""HTTP messages: a request's bytes to a `Request`, strictly, and a `Response` to its bytes. No sockets here.

Strict on purpose: whatever two readers of one connection might understand differently (chunked bodies, repeated or odd
lengths, folded lines, bare line feeds) is refused, so that nothing can be smuggled past a proxy in front.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final
from urllib.parse import unquote

_encode: Final = json.JSONEncoder(ensure_ascii=False).encode
LINE: Final = 8 << 10  # bytes of a request line
HEAD: Final = 16 << 10  # bytes of a request line and all headers
HEADERS: Final = 64
ONCE: Final = frozenset(
    ("host", "content-length", "content-type", "content-encoding", "authorization", "origin", "cookie", "expect")
)
JSON: Final = "application/json"
TEXT: Final = "text/plain; charset=utf-8"

_REQUEST = re.compile(rb"([A-Z]{1,20}) ([\x21-\x7e]+) HTTP/(\d)\.(\d)")
_HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*))?")
_LENGTH = re.compile(r"[0-9]{1,12}")
_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


class HttpError(Exception):
    """A request that is answered with an error: its status, what was wrong in words, and whether to hang up."""

    def __init__(
        self, status: int, reason: str, close: bool = False, headers: tuple[tuple[str, str], ...] = ()
    ) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.close = close  # where the rest of the connection can no longer be understood
        self.headers = headers


@dataclass(frozen=True, slots=True)
class Request:
    """One request, its body still packed as it came."""

    method: str
    path: str  # as it came, its escapes checked; `segments` decodes them
    query: str  # as it came, without the question mark
    headers: Mapping[str, str]  # names in lower case
    body: bytes = b""
    keep_alive: bool = True
    peer: str = ""  # the address that it came from

    def segments(self) -> tuple[str, ...]:
        """The parts of the path, percent-decoded one by one: an escaped slash is no separator."""
        return tuple([unquote(part) for part in self.path[1:].split("/")])


@dataclass(frozen=True, slots=True)
class Response:
    """One answer; `stream` takes over the connection after the head, and ends it."""

    status: int = 200
    body: bytes = b""
    type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()
    stream: Callable[[Callable[[bytes], None]], None] | None = field(default=None, compare=False)


def as_json(value: object, status: int = 200, headers: tuple[tuple[str, str], ...] = ()) -> Response:
    """`value` as a JSON answer."""
    return Response(status, _encode(value).encode(), JSON, headers)


@dataclass(frozen=True, slots=True)
class Encoded:
    """A JSON value that is text already."""

    text: str

    @classmethod
    def array(cls, texts: Iterable[str]) -> "Encoded":
        """Return the array of values that are JSON text."""
        return cls(f"[{', '.join(texts)}]")


def object_text(members: Mapping[str, object]) -> str:
    """Return `members` as the text of a JSON object; a member that is `Encoded` goes in as it is."""
    shown = [
        f"{_encode(name)}: {value.text if isinstance(value, Encoded) else _encode(value)}"
        for name, value in members.items()
    ]
    return f"{{{', '.join(shown)}}}"


def as_error(error: HttpError) -> Response:
    """The answer to a bad request: {"error": reason}."""
    return as_json({"error": error.reason}, error.status, error.headers)


def parse_head(raw: bytes) -> tuple[Request, int]:
    """The request whose head is `raw` (without the empty line), and the length of its body; HttpError otherwise."""
    line, *lines = raw.split(b"\r\n")
    match = _REQUEST.fullmatch(line)
    if match is None:
        raise HttpError(414 if len(line) > LINE else 400, "no HTTP request line", close=True)
    if match[3] != b"1" or match[4] not in b"01":
        raise HttpError(505, "HTTP 1.1 is spoken here", close=True)
    if len(match[2]) > LINE:
        raise HttpError(414, f"the address is longer than {LINE} bytes", close=True)
    headers = _headers(lines)
    modern = match[4] == b"1"
    if modern and "host" not in headers:
        raise HttpError(400, "no Host header", close=True)
    path, query = _target(match[2].decode("ascii"))
    wish = headers.get("connection", "").lower()
    keep = modern and "close" not in wish
    return Request(match[1].decode("ascii"), path, query, headers, b"", keep), _length(headers)


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
        raise HttpError(400, "the address must be a path", close=True)
    path, _, query = target.partition("?")
    if _ESCAPE.search(path):
        raise HttpError(400, "the path has a bad escape")
    try:
        unquote(path, errors="strict")
    except UnicodeDecodeError:
        raise HttpError(400, "the path is not UTF-8") from None
    return path, query


def _length(headers: Mapping[str, str]) -> int:
    if "transfer-encoding" in headers:
        raise HttpError(501, "chunked bodies are not read; send a Content-Length", close=True)
    text = headers.get("content-length")
    if text is None:
        return 0
    if not _LENGTH.fullmatch(text):
        raise HttpError(400, "Content-Length is no whole number", close=True)
    return int(text)


def render(response: Response, head_only: bool, close: bool, date: str, common: bytes) -> bytes:
    """The bytes of `response`; `common`: header lines that every answer has."""
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

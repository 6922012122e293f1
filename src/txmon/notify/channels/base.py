"""Defines a channel, what its answers mean, and how secrets stay out of texts."""

import ssl
from collections.abc import Iterable, Iterator
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from socket import gaierror
from typing import Final, Literal, Protocol, runtime_checkable
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from txmon.notify.notification import Notification
from txmon.support.frozen import frozen

HIDDEN: Final = "[secret]"
SHORTEST_SECRET: Final = 8  # characters; a shorter part of an address is not told from ordinary words
PASSING: Final = frozenset((408, 425, 429))
ADDRESS_AT_FAULT: Final = frozenset((401, 403, 404, 405, 410))  # the next card would fare no better: keep them all
QUOTED: Final = 200  # characters of an answer's body that are shown


@frozen
class Answer:
    """Holds the result of one attempt to send."""

    outcome: Literal["sent", "retry", "refused"]  # refused: this notification will never be taken
    text: str  # for people; never a secret
    after: float | None = None  # seconds to wait before anything else is sent, where the receiver named them
    slow: bool = False  # the receiver took too long: it may have got it all the same


@runtime_checkable
class Stoppable(Protocol):
    """A channel whose attempt would otherwise outlive txmon."""

    def stop(self) -> None:
        """End an attempt that is under way."""


class Channel(Protocol):
    """Reaches people over one service."""

    @property
    def name(self) -> str:
        """Return a short word: teams, webhook."""

    def render(self, notification: Notification) -> str:
        """Return the body that the spool keeps and `send` gets; it has no secrets."""

    def send(self, identity: str, body: str) -> Answer:
        """Try once to send `body` of the notification `identity`; a failure is an answer, not an exception."""


def attempt(channel: Channel, identity: str, body: str) -> Answer:
    """Try once to send. An exception is a failure without its text, which may hold the address."""
    try:
        return channel.send(identity, body)
    except Exception as bad:
        return Answer("retry", f"unexpected {type(bad).__name__}")


class Headers(Protocol):
    """Holds the headers of an HTTP answer; names in any case."""

    def get(self, name: str, /) -> str | None:
        """Return a header's value; None when it is absent."""


class Secrets:
    """Knows the secret parts of addresses, and hides them in texts."""

    def __init__(self, addresses: Iterable[str]) -> None:
        """addresses: whole URLs or bare secrets."""
        found = {part for address in addresses for part in _parts(address)}
        encoded = {
            version for part in found for version in (part, quote(part, safe=""), unquote(part), repr(part)[1:-1])
        }
        self._parts = sorted((part for part in encoded if len(part) >= SHORTEST_SECRET), key=len, reverse=True)

    def hide(self, text: str) -> str:
        """Return `text` with every secret part replaced."""
        for part in self._parts:
            text = text.replace(part, HIDDEN)
        return text

    def __repr__(self) -> str:
        return "Secrets(...)"


def _parts(address: str) -> Iterator[str]:
    yield address
    try:
        split = urlsplit(address)
        pairs = parse_qsl(split.query)
    except ValueError:
        return
    if not split.scheme:
        return
    yield from (address.partition("://")[2], f"{split.path}?{split.query}", split.path, split.query, split.netloc)
    yield from (value for _, value in pairs)
    # a path's short words are routes (workflows, triggers); its long ones are what makes the address a secret
    yield from (segment for segment in split.path.split("/") if len(segment) >= 16)
    yield from (word for word in (split.username, split.password) if word)


def http_answer(code: int, headers: Headers, body: str, secrets: Secrets) -> Answer:
    """Return what an HTTP answer means."""
    if 200 <= code < 300:
        return Answer("sent", status_text(code))
    said = " ".join(secrets.hide(body).split())[:QUOTED]
    text = status_text(code) + (f": {said}" if said else "")
    if code in PASSING or code >= 500:
        return Answer("retry", text, retry_after(headers))
    return Answer("retry" if code in ADDRESS_AT_FAULT or code < 400 else "refused", text)


def status_text(code: int) -> str:
    """Return a status code with its name."""
    try:
        return f"{code} {HTTPStatus(code).phrase}"
    except ValueError:
        return str(code)


def retry_after(headers: Headers) -> float | None:
    """Seconds of Retry-After; a date counts from the answer's own Date, so that no clock is needed."""
    value = headers.get("Retry-After")
    if value is None:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        wanted = parsedate_to_datetime(value) - parsedate_to_datetime(headers.get("Date") or "")
    except (TypeError, ValueError):
        return None
    return max(wanted.total_seconds(), 0.0)


def failure_answer(failure: BaseException) -> Answer:
    """Return what a failed connection means, in our own words: a library's may hold the address."""
    for cause in _chain(failure):
        name = type(cause).__name__
        if isinstance(cause, ConnectionRefusedError):
            return Answer("retry", "the connection was refused")
        if isinstance(cause, gaierror):
            return Answer("retry", "the host's name is not known")
        if isinstance(cause, ssl.SSLError):
            return Answer("retry", f"TLS failed ({name})")
        if isinstance(cause, TimeoutError) or "Timeout" in name:
            return Answer("retry", "no answer in time", slow=True)
        if isinstance(cause, ConnectionError):
            return Answer("retry", "the connection broke")
    return Answer("retry", f"the connection failed ({type(failure).__name__})")


def _chain(failure: BaseException) -> Iterator[BaseException]:
    """Yield the failure and everything that it says caused it."""
    seen: list[BaseException] = []
    waiting: list[object] = [failure]
    while waiting and len(seen) < 20:
        one = waiting.pop(0)
        if isinstance(one, BaseException) and one not in seen:
            seen.append(one)
            waiting += [one.__cause__, one.__context__, getattr(one, "reason", None), *one.args]
            yield one

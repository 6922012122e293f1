"""Who may ask: the Host allow-list, the token, the page's cookie, and no other site's forms."""

import hashlib
import hmac
import ipaddress
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Final

from txmon.server.http.message import HttpError, Request

COOKIE: Final = "txmon_session"
SESSION: Final = 12 * 3600  # seconds
SHORTEST: Final = 16  # characters of a token
LOGIN: Final = (("WWW-Authenticate", 'Bearer realm="txmon"'),)
SAFE: Final = ("GET", "HEAD")
TRIES: Final = 10  # wrong tokens from one address,
WINDOW: Final = 60.0  # in so many seconds from the first of them; then none is looked at until these are over
ADDRESSES: Final = 1024  # remembered; beyond, the one that began longest ago is forgotten
NETWORK: Final = 64  # bits of an IPv6 address that one customer has: the rest is theirs to choose


class Guard:
    """Lets a request pass, or raises HttpError 401, 403, 421 or 429."""

    def __init__(self, token: str | None, names: Iterable[str], clock: Callable[[], float]) -> None:
        """token: None where everyone on this machine may ask. names: hosts allowed besides addresses and localhost."""
        self._token = token.encode() if token is not None else None
        self._names = {"localhost", *(name.lower().rstrip(".") for name in names)}
        self._clock = clock
        self._throttle = Throttle(clock)

    def check_origin(self, request: Request) -> None:
        """Refuse names that are not ours (DNS rebinding), and writes that another site's page asks for."""
        host = request.headers.get("host", "localhost").lower()
        if not self._is_ours(host):
            raise HttpError(421, "this host name is not served here; see --allow-host")
        if request.method in SAFE or "authorization" in request.headers:
            return
        if request.headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
            raise HttpError(403, "asked for by another site")
        origin = request.headers.get("origin")
        if origin is not None and origin.lower().partition("://")[2] != host:
            raise HttpError(403, "asked for by another site")

    def _is_ours(self, host: str) -> bool:
        name, port = host, ""
        if ":" in host and not host.endswith("]"):
            name, _, port = host.rpartition(":")
            if port and not (port.isascii() and port.isdigit()):
                return False
        if name.rstrip(".") in self._names:
            return True
        try:  # an address cannot be rebound
            ipaddress.ip_address(name.strip("[]"))
        except ValueError:
            return False
        return True

    def check_token(self, request: Request) -> None:
        """Refuse who has neither the token nor a session's cookie."""
        if self._token is None:
            return
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self.is_token(given.strip(), request.peer):
            return
        if scheme or not self._has_session(request):
            raise HttpError(401, "a token is needed", headers=LOGIN)

    def is_token(self, given: str, peer: str) -> bool:
        """Whether `given`, sent from the address `peer`, is the token; takes as long either way.

        HttpError 429 after too many that were not. A session's cookie goes on being good then.
        """
        if self._token is None:
            return True
        self._throttle.check(peer)
        right = hmac.compare_digest(given.encode("utf-8", "replace"), self._token)
        if not right:
            self._throttle.failed(peer)
        return right

    def cookie(self) -> tuple[tuple[str, str], ...]:
        """The header that begins a session; none where there is no token to begin it with."""
        if self._token is None:
            return ()
        until = str(int(self._clock()) + SESSION)
        value = f"{until}.{self._sign(until)}"
        return (("Set-Cookie", f"{COOKIE}={value}; Max-Age={SESSION}; Path=/; HttpOnly; SameSite=Strict"),)

    def no_cookie(self) -> tuple[str, str]:
        """The header that ends a session."""
        return ("Set-Cookie", f"{COOKIE}=; Max-Age=0; Path=/; HttpOnly; SameSite=Strict")

    def _has_session(self, request: Request) -> bool:
        for part in request.headers.get("cookie", "").split(";"):
            name, _, value = part.strip().partition("=")
            until, _, signature = value.partition(".")
            if name == COOKIE and hmac.compare_digest(signature.encode("latin-1"), self._sign(until).encode()):
                return int(until) > self._clock()
        return False

    def _sign(self, until: str) -> str:
        assert self._token is not None
        return hmac.new(self._token, b"session " + until.encode("latin-1"), hashlib.sha256).hexdigest()


class Throttle:
    """Refuses whoever has sent too many wrong tokens; may be asked from many threads."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """clock: seconds; a step back lets everybody try again."""
        self._clock = clock
        self._lock = threading.Lock()
        self._failed: OrderedDict[str, tuple[int, float]] = OrderedDict()  # address -> how often, since when

    def check(self, address: str) -> None:
        """HttpError 429 where too many wrong tokens came from `address`; the right one is then not taken either."""
        now = self._clock()
        with self._lock:
            tries, since = self._of(_customer(address), now)
        if tries >= TRIES:
            wait = str(int(since + WINDOW - now) + 1)
            raise HttpError(429, f"too many wrong tokens; try again in {wait} s", headers=(("Retry-After", wait),))

    def failed(self, address: str) -> None:
        """Count a wrong token from `address`."""
        now, customer = self._clock(), _customer(address)
        with self._lock:
            tries, since = self._of(customer, now)
            self._failed[customer] = (tries + 1, since)
            if len(self._failed) > ADDRESSES:
                self._failed.popitem(last=False)

    def __len__(self) -> int:
        """Addresses remembered."""
        return len(self._failed)

    def _of(self, customer: str, now: float) -> tuple[int, float]:
        tries, since = self._failed.get(customer, (0, now))
        if not 0.0 <= now - since < WINDOW:
            self._failed.pop(customer, None)
            return 0, now
        return tries, since


def _customer(address: str) -> str:
    """What one customer cannot change about their address: all of IPv4's, the first half of IPv6's."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, NETWORK), strict=False))
    return str(parsed)

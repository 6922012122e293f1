"""Checks access: the Host allow-list, the token, the page's cookie, and forms of other sites."""

import hashlib
import hmac
import ipaddress
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final

from txmon.errors import ConfigError
from txmon.server.http.message import HttpError, Request

COOKIE: Final = "txmon_session"
SESSION: Final = 7 * 86400  # seconds until an unused session ends
RENEWED: Final = 86400  # age in seconds at which a session in use is renewed
SHORTEST: Final = 16  # characters of a token
LOGIN: Final = (("WWW-Authenticate", 'Bearer realm="txmon"'),)
ADMIN: Final = "admin"  # this scope includes all others
INGEST: Final = "ingest"
READ: Final = "read"
SCOPES: Final = (INGEST, READ, ADMIN)
SAFE: Final = ("GET", "HEAD")
TRIES: Final = 10  # wrong tokens allowed from one address
WINDOW: Final = 60.0  # seconds from the first of them; further wrong tokens are refused until then
ADDRESSES: Final = 1024  # addresses remembered; beyond that, the oldest is forgotten
NETWORK: Final = 64  # bits of an IPv6 address that identify a customer, who can choose the others


@dataclass(frozen=True, slots=True)
class Token:
    """A secret token and its scopes."""

    secret: bytes
    scopes: frozenset[str]

    @property
    def name(self) -> str:
        """Return the name of the token in a cookie. It does not reveal the token."""
        return hashlib.sha256(b"txmon token name " + self.secret).hexdigest()[:12]

    def sign(self, until: str) -> str:
        """Return the signature of a session that ends at `until`."""
        # signed with the token itself, so sessions survive a restart, but not a change of the token
        return hmac.new(b"txmon session " + self.secret, until.encode(), hashlib.sha256).hexdigest()


def read_tokens(path: str) -> list[Token]:
    """Return the tokens of a file with a line `SCOPE[,SCOPE] TOKEN` for each.

    Raise ConfigError if a line is not valid.
    """
    try:
        with open(path, encoding="utf-8") as file:
            lines = file.read().splitlines()
    except (OSError, UnicodeDecodeError) as bad:
        raise ConfigError(f"{path}: cannot be read: {getattr(bad, 'strerror', None) or 'not UTF-8'}") from bad
    found = []
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        words = line.split()
        scopes = frozenset(words[0].split(","))
        if len(words) != 2 or not scopes <= set(SCOPES):
            raise ConfigError(f"{path}:{number}: not valid. Write SCOPE[,SCOPE] TOKEN; scopes are {', '.join(SCOPES)}")
        if len(words[1]) < SHORTEST:
            raise ConfigError(f"{path}:{number}: the token has {len(words[1])} characters, at least {SHORTEST} needed")
        found.append(Token(words[1].encode(), scopes))
    if not found:
        raise ConfigError(f"{path}: has no token. Write SCOPE[,SCOPE] TOKEN on a line")
    return found


class Guard:
    """Lets a request pass, or raises HttpError 401, 403, 421 or 429."""

    def __init__(
        self,
        token: str | None,
        names: Iterable[str],
        clock: Callable[[], float],
        tokens: Iterable[Token] = (),
        proxies: Iterable[str] = (),
        base: str = "",
    ) -> None:
        """Create it. token: has all scopes; None, without `tokens`: every client on this machine has access.

        names: allowed hosts besides addresses and localhost. proxies: trusted addresses and networks that may state
        the origin of a request. base: the path under which they serve the page.
        """
        self._own = [] if token is None else [Token(token.encode(), frozenset((ADMIN,)))]
        self._tokens = [*tokens, *self._own]
        self._names = {"localhost", *(name.lower().rstrip(".") for name in names)}
        self._clock = clock
        self._throttle = Throttle(clock)
        self._proxies = [ipaddress.ip_network(name, strict=False) for name in proxies]
        self._path = base or "/"

    def renew(self, tokens: Iterable[Token]) -> None:
        """Replace the tokens, except that of the environment. Sessions of other tokens end."""
        self._tokens = [*tokens, *self._own]

    def is_proxy(self, address: str) -> bool:
        """Return whether `address` belongs to a trusted proxy."""
        if not self._proxies:
            return False
        try:
            parsed = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return False
        mapped = getattr(parsed, "ipv4_mapped", None)
        return any((mapped or parsed) in network for network in self._proxies)

    def seen_through(self, request: Request) -> Request:
        """Return `request` with the client, the scheme and the host that a trusted proxy states."""
        if not self.is_proxy(request.peer):
            return request
        headers = request.headers
        peer = request.peer
        # from the nearest proxy on: anything before the first untrusted address can be forged
        for hop in reversed(headers.get("x-forwarded-for", "").split(",")):
            address = _address(hop)
            if address is None:
                break
            peer = address
            if not self.is_proxy(address):
                break
        scheme = headers.get("x-forwarded-proto", "").rpartition(",")[2].strip().lower()
        secure = scheme == "https" if scheme else request.secure
        host = headers.get("x-forwarded-host", "").rpartition(",")[2].strip().lower()
        return replace(request, peer=peer, secure=secure, origin_host=host)

    def check_origin(self, request: Request) -> None:
        """Refuse unknown host names (DNS rebinding), and writes from pages of other sites."""
        host = request.headers.get("host", "localhost").lower()
        if not self._is_ours(host) or (request.origin_host and not self._is_ours(request.origin_host)):
            raise HttpError(421, "this host name is not allowed. Add it with --allow-host")
        # a page cannot set a bearer token for another site, but browsers send Basic credentials by themselves
        if request.method in SAFE or _bearer(request) is not None:
            return
        site = request.headers.get("sec-fetch-site")
        if site == "same-origin":
            return  # browsers do not let pages set this header, and a proxy may have rewritten Host
        if site not in (None, "none"):
            raise HttpError(403, "the request comes from a page of another site", code="other-site")
        origin = request.headers.get("origin")
        if origin is None:
            return
        place = origin.lower().partition("://")[2]
        # "null" means a page without an origin, which is never txmon's page
        if not place or (place not in (host, request.origin_host) and not self._is_named(place)):
            raise HttpError(403, "the request comes from a page of another site", code="other-site")

    def _is_named(self, host: str) -> bool:
        """Return whether `host` is a name of --allow-host, for a page behind a proxy."""
        name = host.rpartition(":")[0] if ":" in host else host
        return name.rstrip(".") in self._names - {"localhost"} and not _is_address(name)

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

    def check_token(self, request: Request, scope: str) -> None:
        """Refuse a request that has neither a token nor a session cookie for `scope`.

        A valid token is always accepted. Wrong tokens are counted, and after too many they are refused without a
        check.
        """
        if not self._tokens:
            return
        given = _bearer(request)
        found = [self._token(given)] if given is not None else []
        session = self._session(request)  # also accepted if the Authorization header belongs to the proxy
        found.append(None if session is None else session[0])
        allowed = [token for token in found if token is not None]
        if any(scope in token.scopes or ADMIN in token.scopes for token in allowed):
            return
        if allowed:
            raise HttpError(403, f"this token does not have the scope {scope!r}", code="scope")
        if given is not None:
            self._throttle.check(request.peer)
            self._throttle.failed(request.peer)
        raise HttpError(401, "a token is required" if given is None else "the token is wrong", headers=LOGIN)

    def log_in(self, given: str, request: Request) -> tuple[tuple[str, str], ...]:
        """Return the header that starts a session for the token `given`, or no header if no token is needed.

        Raise HttpError 401 for a wrong token, 429 after too many of them.
        """
        if not self._tokens:
            return ()
        token = self._token(given)
        if token is None:
            self._throttle.check(request.peer)
            self._throttle.failed(request.peer)
            raise HttpError(401, "the token is wrong")
        return (self._cookie(token, request),)

    def _cookie(self, token: Token, request: Request) -> tuple[str, str]:
        until = str(int(self._clock()) + SESSION)
        value = f"{until}.{token.name}.{token.sign(until)}"
        return ("Set-Cookie", f"{COOKIE}={value}; Max-Age={SESSION}; {self._attributes(request)}")

    def session(self, request: Request) -> tuple[bool, tuple[tuple[str, str], ...]]:
        """Return whether the request has a session cookie, and the header that renews the session."""
        found = self._session(request)
        if found is None:
            return False, ()
        token, until = found
        if until - self._clock() > SESSION - RENEWED:
            return True, ()
        return True, (self._cookie(token, request),)

    def no_cookie(self, request: Request) -> tuple[str, str]:
        """Return the header that ends a session."""
        return ("Set-Cookie", f"{COOKIE}=; Max-Age=0; {self._attributes(request)}")

    def _attributes(self, request: Request) -> str:
        # the page's own address shows it too, if the proxy does not
        secure = request.secure or request.headers.get("origin", "").lower().startswith("https://")
        return f"Path={self._path}; HttpOnly; SameSite=Strict{'; Secure' if secure else ''}"

    def _token(self, given: str) -> Token | None:
        """Return the token that equals `given`, or None. It takes the same time for every value."""
        raw, found = given.encode("utf-8", "replace"), None
        for token in self._tokens:
            if hmac.compare_digest(raw, token.secret):
                found = token
        return found

    def _session(self, request: Request) -> tuple[Token, int] | None:
        """Return the token of the request's session, and the end of the session in epoch seconds."""
        for part in request.headers.get("cookie", "").split(";"):
            name, _, value = part.strip().partition("=")
            until, _, rest = value.partition(".")
            which, _, signature = rest.partition(".")
            if name != COOKIE or not (until.isascii() and until.isdigit() and int(until[:15]) > self._clock()):
                continue
            for token in self._tokens:
                if token.name == which and hmac.compare_digest(signature.encode("latin-1"), token.sign(until).encode()):
                    return token, int(until[:15])
        return None


def _bearer(request: Request) -> str | None:
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    return given.strip() if scheme.lower() == "bearer" else None


def _address(text: str) -> str | None:
    """Return the address in one part of X-Forwarded-For, or None if it is not one."""
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]  # IPv4 with a port
    return text if _is_address(text) else None


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return False
    return True


class Throttle:
    """Refuses clients after too many wrong tokens. Many threads may use it."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Create it. clock: seconds; after a step back all clients may try again."""
        self._clock = clock
        self._lock = threading.Lock()
        # address -> number of wrong tokens, time of the first one
        self._failed: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def check(self, address: str) -> None:
        """Raise HttpError 429 if too many wrong tokens came from `address`."""
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
        """Return the number of addresses remembered."""
        return len(self._failed)

    def _of(self, customer: str, now: float) -> tuple[int, float]:
        tries, since = self._failed.get(customer, (0, now))
        if not 0.0 <= now - since < WINDOW:
            self._failed.pop(customer, None)
            return 0, now
        return tries, since


def _customer(address: str) -> str:
    """Return the part of an address that a customer cannot change: all of IPv4, the first half of IPv6."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, NETWORK), strict=False))
    return str(parsed)

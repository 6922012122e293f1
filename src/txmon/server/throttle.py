"""Wrong tokens counted by the address that they come from, so that nobody can try many; bounded in memory."""

import ipaddress
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from .message import HttpError

TRIES: Final = 10  # wrong tokens from one address,
WINDOW: Final = 60.0  # in so many seconds from the first of them; then none is looked at until these are over
ADDRESSES: Final = 1024  # remembered; beyond, the one that began longest ago is forgotten
NETWORK: Final = 64  # bits of an IPv6 address that one customer has: the rest is theirs to choose


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

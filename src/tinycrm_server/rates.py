"""How much a key, an address or a login may ask for in a while."""

from __future__ import annotations

import ipaddress
import math
import time
from collections.abc import Mapping

from limits import RateLimitItem, parse
from limits.storage import storage_from_string
from limits.strategies import SlidingWindowCounterRateLimiter
from starlette.requests import HTTPConnection

from tinycrm_server.bodies import Refused


class Rates:
    """Counts by name; what is over a limit is refused and not counted.

    `limits` gives each name its rate, such as `{"key": "600/minute"}`; a name without one is not
    limited. Counts lie in the memory of this process and go when their time is over, or in what
    `storage` names (`redis://…`), which several processes share.
    """

    def __init__(self, limits: Mapping[str, str], storage: str = "memory://") -> None:
        self._items: dict[str, RateLimitItem] = {
            name: parse(text) for name, text in limits.items() if text
        }
        self._limiter = SlidingWindowCounterRateLimiter(storage_from_string(storage))

    def take(self, name: str, *who: str, cost: int = 1) -> None:
        """Count; Refused 429 with the seconds to wait if that is too much."""
        item = self._items.get(name)
        if item is not None and not self._limiter.hit(item, name, *who, cost=cost):
            raise self._refusal(item, name, *who)

    def check(self, name: str, *who: str) -> None:
        """The same without counting."""
        item = self._items.get(name)
        if item is not None and not self._limiter.test(item, name, *who):
            raise self._refusal(item, name, *who)

    def _refusal(self, item: RateLimitItem, *who: str) -> Refused:
        ends = self._limiter.get_window_stats(item, *who).reset_time
        wait = max(1, math.ceil(ends - time.time()))
        return Refused(429, "too_many", f"too many calls: at most {item}", wait=wait)


def address(connection: HTTPConnection) -> str:
    """The network address of a caller; neighbours of one IPv6 network count as one."""
    host = connection.client.host if connection.client else ""
    try:
        found = ipaddress.ip_address(host)
    except ValueError:
        return host
    if found.version == 6:
        return str(ipaddress.ip_network((found, 64), strict=False).network_address)
    return host

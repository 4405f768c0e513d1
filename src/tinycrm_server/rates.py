"""How much a key, an address or a login may ask for in a while."""

from __future__ import annotations

import ipaddress
import logging
import math
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from limits import RateLimitItem, parse
from limits.errors import ConfigurationError, StorageError
from limits.storage import MemoryStorage, storage_from_string
from limits.strategies import SlidingWindowCounterRateLimiter
from starlette.requests import HTTPConnection

from tinycrm_server.bodies import Refused

log = logging.getLogger("tinycrm.server")

STORAGE_SECONDS = 1
"""How long a storage elsewhere may take to answer."""

PAUSE_SECONDS = 10
"""How long one that failed is left alone."""

T = TypeVar("T")


def open_storage(where: str) -> Any:
    """A storage of `limits`: `memory://`, `file:///path`, `redis://host:port` or nothing.

    Raises ValueError for one that is not known or not installed, or a file that cannot be used.
    """
    options: dict[str, Any] = {"wrap_exceptions": True}
    if where.startswith("file:"):
        # Registers the scheme; a system without file locks does without it.
        from tinycrm_server import counts  # noqa: F401
    elif where.startswith("redis"):
        options |= dict.fromkeys(("socket_timeout", "socket_connect_timeout"), STORAGE_SECONDS)
    try:
        return storage_from_string(where or "memory://", **options)
    except (ConfigurationError, ImportError, OSError):
        known = "memory://, file:///path or redis://host:port, which needs redis"
        raise ValueError(f"expected a storage that can be used: {known}") from None


class Rates:
    """Counts by name; what is over a limit is refused and not counted.

    `limits` gives each name its rate, such as `{"key": "600/minute"}`; a name without one is not
    limited. Counts lie in the memory of this process, or in what `storage` names for several of
    them (`file:///path`, `redis://…`), and go when their time is over. While that cannot be
    reached, this process counts for itself.
    """

    def __init__(self, limits: Mapping[str, str], storage: str = "") -> None:
        self._items: dict[str, RateLimitItem] = {
            name: parse(text) for name, text in limits.items() if text
        }
        self._limiter = SlidingWindowCounterRateLimiter(open_storage(storage))
        self._instead = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._paused_until = 0.0

    def take(self, name: str, *who: str, cost: int = 1) -> None:
        """Count; Refused 429 with the seconds to wait if that is too much."""
        item = self._items.get(name)
        if item is not None and not self._ask(lambda it: it.hit(item, name, *who, cost=cost)):
            raise self._refusal(item, name, *who)

    def forget(self, name: str, *who: str) -> None:
        """Begin to count anew."""
        item = self._items.get(name)
        if item is not None:
            self._ask(lambda it: it.clear(item, name, *who))

    def _ask(self, question: Callable[[SlidingWindowCounterRateLimiter], T]) -> T:
        if time.monotonic() >= self._paused_until:
            try:
                return question(self._limiter)
            except StorageError as error:
                self._paused_until = time.monotonic() + PAUSE_SECONDS
                log.warning(
                    "calls are counted by this process alone: %s", type(error.storage_error)
                )
        return question(self._instead)

    def _refusal(self, item: RateLimitItem, *who: str) -> Refused:
        ends = self._ask(lambda it: it.get_window_stats(item, *who)).reset_time
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

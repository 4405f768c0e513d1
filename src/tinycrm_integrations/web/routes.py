"""Which function answers which path."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tinycrm_integrations.web.http import Response
    from tinycrm_integrations.web.visit import View

Answer = Callable[..., "View | Response"]
"""Takes the visit, and the named parts of the path as keywords."""


@dataclass(frozen=True)
class Route:
    """`method` is GET, which HEAD follows, or POST; `{name}` in `path` stands for one segment."""

    method: str
    path: str
    answer: Answer

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """Matches a decoded path."""
        parts = re.split(r"\{(\w+)\}", self.path)
        texts = [f"(?P<{p}>[^/]+)" if i % 2 else re.escape(p) for i, p in enumerate(parts)]
        return re.compile("".join(texts))


class Routes:
    """The table of one admin."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._routes = tuple(routes)

    def __iter__(self) -> Iterator[Route]:
        return iter(self._routes)

    def find(self, method: str, path: str) -> tuple[Route | None, Mapping[str, str], set[str]]:
        """The route, the named parts of the path, and the methods that this path does take."""
        wanted = "GET" if method == "HEAD" else method
        allowed: set[str] = set()
        for route in self._routes:
            found = route.pattern.fullmatch(path)
            if found and route.method == wanted:
                return route, found.groupdict(), allowed
            if found:
                allowed |= {route.method, "HEAD"} if route.method == "GET" else {route.method}
        return None, {}, allowed

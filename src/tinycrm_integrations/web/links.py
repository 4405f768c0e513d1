"""Links inside the pages: paths below the place where they are mounted, never whole addresses."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from importlib.resources import files
from typing import Any
from urllib.parse import quote, urlencode

from tinycrm_core import filters
from tinycrm_core.errors import InvalidFilter
from tinycrm_core.filters import Condition, Filter, On, Param, Word
from tinycrm_core.model import Json

Pairs = Iterable[tuple[str, str]]
STATIC = files("tinycrm_integrations.web") / "static"
ASSETS = {
    "tinycrm.css": "text/css; charset=utf-8",
    "tinycrm.js": "text/javascript; charset=utf-8",
    "htmx.js": "text/javascript; charset=utf-8",
    "icons.svg": "image/svg+xml",
    "mark.svg": "image/svg+xml",
}
"""The static files and their content types; nothing else is served."""


@cache
def asset(name: str) -> bytes:
    """The content of one of ASSETS."""
    return (STATIC / name).read_bytes()


@cache
def _version() -> str:
    digest = blake2b(digest_size=6)
    for name in ASSETS:
        digest.update(asset(name))
    return digest.hexdigest()


@dataclass(frozen=True)
class Links:
    """Builds links for pages mounted under `prefix`, a path without a slash at its end."""

    prefix: str = ""

    @property
    def version(self) -> str:
        """Changes whenever a static file does, so that browsers may keep each for ever."""
        return _version()

    def to(self, path: str) -> str:
        """A path below the mount, percent-encoded."""
        return quote(self.prefix) + path

    def below(self, link: str) -> str:
        """A link of ours, shortened for the first page, where it means the same."""
        return link.removeprefix(self.to("/")) or link

    def static(self, name: str) -> str:
        """A static file."""
        return self.to(f"/assets/{self.version}/{name}")

    def icon(self, name: str) -> str:
        """A symbol of the sprite."""
        return f"{self.static('icons.svg')}#{name}"

    def asking(self, path: str, pairs: Pairs = ()) -> str:
        """A page with these query pairs."""
        query = urlencode(list(pairs), safe="@,:.-*", quote_via=quote)
        return self.to(path) + (f"?{query}" if query else "")

    def customers(self, pairs: Pairs = ()) -> str:
        """The customers page with these query pairs."""
        return self.asking("/", pairs)

    def filtered(self, filter: Filter) -> str | None:
        """The customers page for a filter, or None where a filter cannot say it."""
        try:
            return self.customers(filters.to_pairs(filter))
        except InvalidFilter:
            return None

    def project(self, slug: str) -> str | None:
        """Everybody on a product."""
        return self.filtered(On(slug))

    def status(self, slug: str, status: str) -> str:
        """Everybody who stands like this with a product."""
        return self.customers([(f"status@{slug}", status)])

    def param(self, path: tuple[str, ...], value: Json, project: str | None = None) -> str | None:
        """Everybody with this value of a param; None for lists, objects and very long text."""
        if isinstance(value, dict | list):
            return None
        wanted: Any = value if isinstance(value, str) else Word(shown(value))
        return self.filtered(On(project, (Condition(Param(path), "eq", wanted),)))

    def customer(self, ident: object) -> str:
        """The page of one person."""
        return self.to(f"/customers/{quote(str(ident), safe='')}")


def shown(value: Json) -> str:
    """A params value as text for people."""
    match value:
        case str():
            return value
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case float() if value.is_integer() and abs(value) < 2**53:
            return str(int(value))
        case int() | float():
            return repr(value)
    return json.dumps(value, ensure_ascii=False)

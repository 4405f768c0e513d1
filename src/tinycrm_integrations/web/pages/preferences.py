"""How one browser wants the pages: kept in cookies, which only these pages are sent."""

from __future__ import annotations

import re

from tinycrm_core.errors import InvalidInput
from tinycrm_integrations.web.http import Response, redirect
from tinycrm_integrations.web.routes import Route
from tinycrm_integrations.web.visit import View, Visit

CHOICES = {"theme": ("light", "dark", "system"), "keys": ("on", "off")}
YEAR = 365 * 24 * 60 * 60
_PATH = re.compile(r"/(?![/\\])[^\\\x00-\x1f\x7f]*|/")
"""A path of this site: one that begins with two slashes would lead to another one."""


def shortcuts(visit: Visit) -> View:
    """The keys of the keyboard, and the switch for the single ones."""
    return View("shortcuts.html", {"title": "Keys"})


def keep(visit: Visit) -> Response:
    """Set what was chosen, and go back to where that was."""
    chosen = [(name, visit.request.value(name)) for name in CHOICES if visit.request.value(name)]
    if not chosen or any(value not in CHOICES[name] for name, value in chosen):
        raise InvalidInput("theme: expected light, dark or system; keys: on or off", field="theme")
    back = visit.request.value("back")
    prefix = visit.links.to("/")
    page = back if back.startswith(prefix) and _PATH.fullmatch(back) else prefix
    answer = redirect(page)
    cookies = tuple(("Set-Cookie", _cookie(name, value, prefix)) for name, value in chosen)
    return Response(answer.status, answer.body, (*answer.headers, *cookies))


def _cookie(name: str, value: str, path: str) -> str:
    age = 0 if value == "system" else YEAR
    return f"{name}={value}; Path={path}; Max-Age={age}; SameSite=Lax"


ROUTES = (Route("GET", "/shortcuts", shortcuts), Route("POST", "/preferences", keep))

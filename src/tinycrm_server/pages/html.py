"""Pages of the server itself, in the look of the admin: login, setup, account."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from jinja2 import Environment
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from tinycrm_integrations.web import http
from tinycrm_integrations.web.links import Links
from tinycrm_integrations.web.render import environment
from tinycrm_server.bodies import Refused, read_body

MAX_FORM = 16 * 1024
"""Bytes of a form, beyond which nobody's name and password go."""


@cache
def _templates() -> Environment:
    return environment([Path(__file__).parents[1] / "templates"])


def links_of(request: Request) -> Links:
    """Links of the place where a proxy shows the server."""
    return Links(str(request.scope.get("root_path", "")).rstrip("/"))


def page(request: Request, template: str, status: int = 200, **context: Any) -> Response:
    """A page as HTML."""
    theme = request.cookies.get("theme")
    common = {
        "links": links_of(request),
        "now": datetime.now(UTC),
        "theme": theme if theme in ("light", "dark") else None,
    }
    html = _templates().get_template(template).render({**common, **context})
    return Response(html.encode("utf-8", "replace"), status, media_type="text/html; charset=utf-8")


def go(request: Request, path: str) -> Response:
    """To another page; `path` lies below the server's own."""
    return RedirectResponse(links_of(request).to(path), 303)


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a form of this site. Refused 403 for another site's, 413 for too much."""
    origin = f"{request.url.scheme}://{request.url.netloc}"
    asked = http.Request("POST", request.url.path, origin=origin, headers=dict(request.headers))
    if not http.same_origin(asked):
        raise Refused(403, "other_site", "this form was not sent from this site; load it again")
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise Refused(415, "media_type", "body: expected the fields of a form")
    body = await read_body(request, MAX_FORM)
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=20)
    except ValueError:
        raise Refused(422, "invalid", "body: not the fields of a form") from None
    return dict(pairs)


def safe_next(path: str) -> str:
    """Where to go after a login: a path of this server, or the first page for anything else."""
    if path.startswith("/") and path.isascii() and path.isprintable() and "\\" not in path:
        return path if not path.startswith("//") and " " not in path else "/"
    return "/"

"""The admin as one function from a request to a response; frameworks only translate."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

from tinycrm_core import errors
from tinycrm_core.client import TinyCRM
from tinycrm_core.keys import redact
from tinycrm_integrations.web.frame import frame
from tinycrm_integrations.web.http import Pairs, Request, Response, redirect, same_origin
from tinycrm_integrations.web.links import ASSETS, Links, asset
from tinycrm_integrations.web.pages import (
    adding,
    beside,
    customer,
    customer_change,
    customer_delete,
    customers,
    exporting,
    importing,
    merge,
    overlap,
    preferences,
    projects,
    projects_keys,
    projects_one,
    segments,
    standing,
)
from tinycrm_integrations.web.pages.importing_files import MAX_UPLOAD, Uploads
from tinycrm_integrations.web.render import HEADERS, environment
from tinycrm_integrations.web.routes import Route, Routes
from tinycrm_integrations.web.visit import View, Visit

log = logging.getLogger("tinycrm.admin")

MENU = (
    ("customers", "Customers", "/"),
    ("overlap", "Overlap", "/overlap"),
    ("projects", "Projects", "/projects"),
    ("import", "Import", "/import"),
)
"""Name, label and path of the pages that the bar along the top leads to, where they exist."""

OWN = (customers, segments, adding, beside, exporting, standing, preferences)
PRODUCTS = (projects, projects_one, projects_keys)
PAGES = (*OWN, customer, customer_change, customer_delete, merge, overlap, *PRODUCTS, importing)

MAX_ACTOR = 60


class Admin:
    """The pages over one account.

    `templates_dirs` are searched before our own templates. `headers` replaces the protective
    headers of every page, for hosts that send their own. `menu` adds pages of the host to the bar:
    name, label and path below the mount. `uploads_dir` is where files wait between the steps of an
    import, which all worker processes have to share, and `max_upload` is the largest, in bytes.
    """

    def __init__(
        self,
        crm: TinyCRM,
        *,
        templates_dirs: Sequence[str | Path] = (),
        headers: Mapping[str, str] = HEADERS,
        menu: Sequence[tuple[str, str, str]] = (),
        uploads_dir: str | Path | None = None,
        max_upload: int = MAX_UPLOAD,
    ) -> None:
        self._crm = crm
        self._uploads = Uploads(uploads_dir, max_upload)
        self._templates = environment(templates_dirs)
        self._headers = tuple(headers.items())
        self.routes = Routes(chain(*(each.ROUTES for each in PAGES), (STATIC,)))
        ours = [each for each in MENU if self.routes.find("GET", each[2])[0]]
        self._menu = (*ours, *menu)

    def handle(self, request: Request) -> Response:
        """Answer a request of somebody who is allowed in; nothing it holds makes this raise.

        With TINYCRM_DEBUG=1 what goes wrong here is raised instead of logged.
        """
        links = Links(request.prefix)
        if not request.path:
            return redirect(links.to("/"), status=308)
        visit = Visit(self._as(request.actor), request, links, datetime.now(UTC), self._uploads)
        try:
            answer = self._answer(visit)
        except errors.TinyCRMError as error:
            answer = self.message(visit, *_refusal(error, request))
        except Exception:
            if os.environ.get("TINYCRM_DEBUG") == "1":
                raise
            log.exception("%s %s failed", request.method, redact(request.path))
            answer = self.message(visit, 500, *CRASHED)
        body = b"" if request.method == "HEAD" else answer.body
        return Response(answer.status, body, _with_file_headers(answer))

    def page(self, visit: Visit, view: View) -> Response:
        """A view as a page with everything around it."""
        menu = [(name, label, visit.links.to(path)) for name, label, path in self._menu]
        around = {**frame(visit, view), "menu": menu, "actor": visit.request.actor}
        return self._html(visit, view.template, {**around, **view.context}, view.status)

    def message(self, visit: Visit, status: int, title: str, *lines: str) -> Response:
        """A page of sentences, which needs nothing from the database."""
        return self._html(visit, "message.html", {"title": title, "lines": lines}, status)

    def _html(
        self, visit: Visit, template: str, context: Mapping[str, object], status: int
    ) -> Response:
        theme = visit.request.cookie("theme")
        common = {
            "links": visit.links,
            "now": visit.now,
            "theme": theme if theme in ("light", "dark") else None,
            "csrf": visit.request.csrf,
            "keys": "off" if visit.request.cookie("keys") == "off" else "on",
        }
        html = self._templates.get_template(template).render({**common, **context})
        kind = ("Content-Type", "text/html; charset=utf-8")
        return Response(status, html.encode("utf-8", "replace"), (kind, *self._headers))

    def _as(self, actor: str) -> TinyCRM:
        """The client whose changes history lays to the actor."""
        via = f"admin {actor}"[:MAX_ACTOR] if actor else "admin"
        own = self._crm
        return TinyCRM.over(own.store, account=own.account_slug, limits=own.limits, via=via)

    def _answer(self, visit: Visit) -> Response:
        request = visit.request
        route, named, allowed = self.routes.find(request.method, request.path)
        if route is None and allowed:
            answer = self.message(visit, 405, "This page does not take that")
            allow = ("Allow", ", ".join(sorted(allowed)))
            return Response(405, answer.body, (*answer.headers, allow))
        if route is None:
            return self.message(visit, 404, *NO_PAGE)
        if route.method != "GET" and not same_origin(request):
            return self.message(visit, 403, *NOT_OURS)
        found = route.answer(visit, **named)
        return self.page(visit, found) if isinstance(found, View) else found


def static(visit: Visit, version: str, name: str) -> Response:
    """A file that browsers may keep for ever, as its address changes with its content."""
    if name not in ASSETS or version != visit.links.version:
        raise errors.NotFound("this file does not exist")
    headers = (
        ("Content-Type", ASSETS[name]),
        ("Cache-Control", "public, max-age=31536000, immutable"),
        ("X-Content-Type-Options", "nosniff"),
    )
    return Response(200, asset(name), headers)


STATIC = Route("GET", "/assets/{version}/{name}", static)
FILE_HEADERS = {
    **HEADERS,
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
}
CRASHED = (
    "Something went wrong here",
    "It was logged. If you sent a form, look whether it was done before you send it again.",
)
NO_PAGE = ("There is no such page", "The address is wrong, or what was here has gone.")
NOT_OURS = (
    "That did not come from this page",
    "Your browser did not say that this form is ours, so nothing was done. Go back, load the page "
    "again and send it once more. If it stays like this, something between your browser and this "
    "server drops the headers Origin and Sec-Fetch-Site.",
)


def _with_file_headers(answer: Response) -> Pairs:
    """The headers of an answer; a file to keep runs nothing, should a browser show it."""
    if answer.header("Content-Disposition") is None:
        return answer.headers
    missing = [each for each in FILE_HEADERS.items() if answer.header(each[0]) is None]
    return (*answer.headers, *missing)


def _refusal(error: errors.TinyCRMError, request: Request) -> tuple[int, str, str]:
    """Status, title and sentence for an error that a page did not show beside its field."""
    if isinstance(error, errors.StoreError):
        log.error("%s %s: %s", request.method, redact(request.path), redact(str(error)))
        return 503, "The database cannot be used", "Try again in a moment."
    if isinstance(error, errors.NotFound):
        return 404, "There is nobody here", _sentence(error.message)
    status = 409 if isinstance(error, errors.Conflict) else 422
    return status, "That was not done", _sentence(error.message)


def _sentence(text: str) -> str:
    text = redact(text)
    return text[:1].upper() + text[1:] + ("" if text[-1:] in ".?!" else ".")

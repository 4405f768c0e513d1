"""The door of the demo: a link on the console, which opens the pages once."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from tinycrm_server.pages.door import Menu, Visitor
from tinycrm_server.pages.entrance import COOKIE, SESSION_SECONDS, Entrance
from tinycrm_server.pages.html import go, links_of, page

HOW = (
    "Whoever runs this server finds a link on its console. It opens the pages once, in the browser "
    "that uses it first.",
    "This visit had a new link printed there, unless one is still waiting to be used.",
)
USED = "This link was used before, is too old, or is wrong"


class LinkDoor:
    """Lets in whoever has the link; they look at one account, and history calls them `admin`."""

    menu: Menu = ()
    keep_rejected: Callable[..., None] | None = None

    def __init__(self, entrance: Entrance, account: str = "default") -> None:
        self._entrance, self._account = entrance, account

    def routes(self) -> APIRouter:
        """The page that the link leads to."""
        router = APIRouter(include_in_schema=False)

        @router.get("/enter")
        def enter(request: Request, code: str = "") -> Response:
            token = self._entrance.enter(code)
            if token is None:
                return self._closed(request, USED)
            response = go(request, "/")
            response.set_cookie(
                COOKIE,
                token,
                max_age=SESSION_SECONDS,
                path=links_of(request).to("/"),
                secure=request.url.scheme == "https",
                httponly=True,
                samesite="lax",
            )
            return response

        return router

    def visitor(self, request: Request) -> Visitor | None:
        """Whoever holds the cookie of an open session."""
        if self._entrance.admits(request.cookies.get(COOKIE)):
            return Visitor(self._account, "")
        return None

    def outside(self, request: Request) -> Response:
        """How to get in, and a new link on the console."""
        return self._closed(request, "This page needs a link")

    def _closed(self, request: Request, title: str) -> Response:
        self._entrance.knock()
        return page(request, "closed.html", 401, title=title, lines=HOW)

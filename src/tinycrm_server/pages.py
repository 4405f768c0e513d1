"""The pages for people, behind the entrance."""

from __future__ import annotations

from datetime import UTC, datetime

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from tinycrm_core.client import TinyCRM
from tinycrm_integrations.web.customers import customers_view
from tinycrm_integrations.web.links import ASSETS, Links, asset
from tinycrm_integrations.web.person import person_view
from tinycrm_integrations.web.render import View, render
from tinycrm_server.auth import refuse_keys_in_url
from tinycrm_server.entrance import COOKIE, SESSION_SECONDS, Entrance

HOW = (
    "Whoever runs this server finds a link on its console. It opens the pages once, in the browser "
    "that uses it first.",
    "This visit had a new link printed there, unless one is still waiting to be used.",
)


def pages_router(crm: TinyCRM, entrance: Entrance) -> APIRouter:
    """The routes of the pages. Handlers are plain functions, so they run in threads."""
    router = APIRouter(include_in_schema=False)

    def page(request: Request, view: View) -> Response:
        theme = request.cookies.get("theme")
        html = render(
            view,
            _links(request),
            now=datetime.now(UTC),
            theme=theme if theme in ("light", "dark") else None,
        )
        return HTMLResponse(html.encode("utf-8", "replace"), view.status)

    def outside(request: Request, title: str = "This page needs a link") -> Response:
        entrance.knock()
        return page(request, View(401, "message.html", {"title": title, "lines": HOW}))

    def inside(request: Request) -> bool:
        return entrance.admits(request.cookies.get(COOKIE))

    @router.get("/")
    def customers(request: Request) -> Response:
        refuse_keys_in_url(request)
        if not inside(request):
            return outside(request)
        pairs = request.query_params.multi_items()
        return page(request, customers_view(crm, pairs, _links(request)))

    @router.get("/customers/{ident}")
    def customer(request: Request, ident: str) -> Response:
        refuse_keys_in_url(request)
        if not inside(request):
            return outside(request)
        view = person_view(crm, ident, _links(request))
        missing = {
            "title": "There is nobody here",
            "lines": ("The person was merged into another one, deleted, or never existed.",),
        }
        return page(request, view or View(404, "message.html", missing))

    @router.get("/enter")
    def enter(request: Request, code: str = "") -> Response:
        token = entrance.enter(code)
        if token is None:
            return outside(request, "This link was used before, is too old, or is wrong")
        links = _links(request)
        response = RedirectResponse(links.customers(), 303)
        response.set_cookie(
            COOKIE,
            token,
            max_age=SESSION_SECONDS,
            path=links.to("/"),
            secure=request.url.scheme == "https",
            httponly=True,
            samesite="lax",
        )
        return response

    @router.get("/static/{version}/{name}")
    def static(request: Request, version: str, name: str) -> Response:
        if name not in ASSETS or version != _links(request).version:
            return Response("not found", 404, media_type="text/plain")
        keep = {"Cache-Control": "public, max-age=31536000, immutable"}
        return Response(asset(name), 200, keep, media_type=ASSETS[name])

    return router


def _links(request: Request) -> Links:
    return Links(request.scope.get("root_path", "").rstrip("/"))

"""The pages for people, behind the entrance."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Match

from tinycrm_core.client import TinyCRM
from tinycrm_integrations.fastapi.mount import admin_router
from tinycrm_integrations.starlette.mount import native
from tinycrm_integrations.web import http
from tinycrm_integrations.web.admin import Admin
from tinycrm_integrations.web.links import Links
from tinycrm_integrations.web.visit import Visit
from tinycrm_server.auth import refuse_keys_in_url
from tinycrm_server.entrance import COOKIE, SESSION_SECONDS, Entrance

HOW = (
    "Whoever runs this server finds a link on its console. It opens the pages once, in the browser "
    "that uses it first.",
    "This visit had a new link printed there, unless one is still waiting to be used.",
)


def pages_router(crm: TinyCRM, entrance: Entrance, api: APIRouter) -> APIRouter:
    """The admin for whoever came through the entrance. It takes every path that is left over."""
    router = APIRouter(include_in_schema=False)
    admin = Admin(crm)

    def outside(request: Request, title: str = "This page needs a link") -> Response:
        entrance.knock()
        links = Links(request.scope.get("root_path", "").rstrip("/"))
        asked = http.Request("GET", request.url.path, headers=dict(request.headers))
        visit = Visit(crm, asked, links, datetime.now(UTC))
        return native(admin.message(visit, 401, title, *HOW))

    def allowed(request: Request) -> Any:
        """The dependency of the admin: the owner, the way in, or what the API has to say."""
        refuse_keys_in_url(request)
        if request.url.path.startswith("/v1/"):
            known = any(each.matches(request.scope)[0] == Match.PARTIAL for each in api.routes)
            raise HTTPException(405 if known else 404)
        if entrance.admits(request.cookies.get(COOKIE)) or _is_static(request):
            return True
        return outside(request)

    @router.get("/enter")
    def enter(request: Request, code: str = "") -> Response:
        token = entrance.enter(code)
        if token is None:
            return outside(request, "This link was used before, is too old, or is wrong")
        path = request.scope.get("root_path", "").rstrip("/") + "/"
        response = RedirectResponse(path, 303)
        response.set_cookie(
            COOKIE,
            token,
            max_age=SESSION_SECONDS,
            path=path,
            secure=request.url.scheme == "https",
            httponly=True,
            samesite="lax",
        )
        return response

    router.include_router(admin_router(crm, authorize=allowed))
    return router


def _is_static(request: Request) -> bool:
    return str(request.path_params.get("below", "")).startswith("/assets/")

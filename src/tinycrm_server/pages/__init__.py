"""The pages for people: the admin of the visitor's account, behind a door."""

from __future__ import annotations

from functools import lru_cache

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from tinycrm_core.client import TinyCRM
from tinycrm_integrations.starlette.mount import BELOW, METHODS, answer
from tinycrm_integrations.web.admin import Admin
from tinycrm_server.auth import refuse_keys_in_url
from tinycrm_server.bodies import bounded
from tinycrm_server.pages.door import Door

FORM_BYTES = 1024 * 1024
"""Bytes of a form around a file, or without one."""

MAX_ADMINS = 256
"""Accounts whose pages are kept ready."""


def pages_router(
    crm: TinyCRM, door: Door, *, max_upload: int, uploads_dir: str | None = None
) -> APIRouter:
    """The door, and behind it the admin. It takes every path that is left over."""
    router = APIRouter(include_in_schema=False)
    router.include_router(door.routes())

    @lru_cache(MAX_ADMINS)
    def admin(account: str) -> Admin:
        return Admin(
            crm.account(account), menu=door.menu, uploads_dir=uploads_dir, max_upload=max_upload
        )

    async def endpoint(request: Request) -> Response:
        refuse_keys_in_url(request)
        if str(request.path_params["below"]).startswith("/assets/"):
            return await answer(admin(crm.account_slug), request, "")
        visitor = await run_in_threadpool(door.visitor, request)
        if visitor is None:
            return await run_in_threadpool(door.outside, request)
        pages = admin(visitor.account)
        route, _, _ = pages.routes.find(request.method, request.path_params["below"])
        if route is not None:
            request.scope["route"] = route  # log and metrics tell the pages apart by it
        # What a form adds to its file is let through, so that the page can say what is too large.
        inside = Request(request.scope, bounded(request.receive, max_upload + FORM_BYTES))
        return await answer(pages, inside, visitor.actor)

    router.add_api_route(BELOW, endpoint, methods=METHODS, response_model=None)
    return router

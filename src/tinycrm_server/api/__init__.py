"""The HTTP API under /v1."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match

from tinycrm_server.api.customers import add_customers
from tinycrm_server.api.events import add_events
from tinycrm_server.api.merges import add_merges
from tinycrm_server.api.projects import add_projects
from tinycrm_server.auth import Keys, refuse_keys_in_url
from tinycrm_server.intake import Intake


def api_router(keys: Keys, intake: Intake) -> APIRouter:
    """The routes of the API, for whoever has one of `keys`."""
    router = APIRouter(prefix="/v1", default_response_class=Response)
    add_events(router, keys, intake)
    for add in (add_customers, add_merges, add_projects):
        add(router, keys)
    known = list(router.routes)

    async def missing(request: Request) -> Response:
        refuse_keys_in_url(request)
        allowed: set[str] = set()
        for each in known:
            if each.matches(request.scope)[0] == Match.PARTIAL:
                allowed |= getattr(each, "methods", set())
        if allowed:
            raise HTTPException(405, headers={"Allow": ", ".join(sorted(allowed))})
        raise HTTPException(404)

    methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
    router.add_api_route("/{rest:path}", missing, methods=methods, include_in_schema=False)
    return router

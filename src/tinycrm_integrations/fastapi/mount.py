"""The admin as a router of a FastAPI application."""

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import PlainTextResponse

from tinycrm_core.client import TinyCRM
from tinycrm_integrations.starlette.mount import BELOW, METHODS, answer
from tinycrm_integrations.web.admin import Admin
from tinycrm_integrations.web.gate import actor_name, checked


def admin_router(crm: TinyCRM, *, authorize: Callable[..., Any], **options: Any) -> APIRouter:
    """A router for `app.include_router(admin_router(crm, authorize=…), prefix="/crm")`.

    `authorize` is a dependency like any other. What it returns tells who it is: a name or a user
    object lets them in, False or None answers 403, a response is sent instead, and HTTPException
    may be raised. `options` are those of `Admin`. Raises InvalidInput without `authorize`.
    """
    admin = Admin(crm, **options)
    router = APIRouter(include_in_schema=False)

    async def endpoint(
        request: Request, found: Annotated[Any, Depends(checked(authorize))]
    ) -> Response:
        if isinstance(found, Response):
            return found
        actor = actor_name(found)
        if actor is None:
            return PlainTextResponse("This page is not for you.", 403)
        return await answer(admin, request, actor)

    # With add_api_route, because add_route would skip the dependencies of the host.
    router.add_api_route(BELOW, endpoint, methods=METHODS, response_model=None)
    return router

"""The server as an ASGI application."""

from __future__ import annotations

from importlib.metadata import version as installed_version
from typing import Any

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tinycrm_core.client import TinyCRM
from tinycrm_core.errors import TinyCRMError
from tinycrm_integrations.web.render import HEADERS
from tinycrm_server import replies
from tinycrm_server.api import api_router
from tinycrm_server.auth import Keys
from tinycrm_server.bodies import Refused
from tinycrm_server.description import SECURITY
from tinycrm_server.entrance import Entrance
from tinycrm_server.pages import pages_router


class Headers:
    """Adds the protective headers to every answer that has not set them itself."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request through."""

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", ()))
                present = {name.lower() for name, _ in headers}
                message["headers"] = headers + [
                    (name.lower().encode(), value.encode())
                    for name, value in HEADERS.items()
                    if name.lower().encode() not in present
                ]
            await send(message)

        await self.app(scope, receive, sending)


def _describe_keys(app: FastAPI) -> None:
    """Have `/openapi.json` say how a key is sent, which the routes only refer to."""
    describe = app.openapi

    def openapi() -> dict[str, Any]:
        schema = describe()
        schema.setdefault("components", {})["securitySchemes"] = SECURITY
        return schema

    app.openapi = openapi  # type: ignore[method-assign]


def create_app(crm: TinyCRM, *, entrance: Entrance | None = None) -> ASGIApp:
    """The API and the pages over one store.

    The API serves every account, by the caller's key; the pages show `crm`'s own account to
    whoever came through `entrance`. Without one, nobody gets to the pages.
    """
    handlers: dict[Any, Any] = {
        Refused: replies.on_refused,
        TinyCRMError: replies.on_error,
        HTTPException: replies.on_http,
        ClientDisconnect: replies.on_gone,
        Exception: replies.on_crash,
    }
    app = FastAPI(
        title="TinyCRM",
        version=installed_version("tinycrm"),
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        exception_handlers=handlers,
    )
    _describe_keys(app)
    api = api_router(Keys(crm))
    app.include_router(api)
    app.include_router(pages_router(crm, entrance or Entrance(), api))
    return Headers(app)

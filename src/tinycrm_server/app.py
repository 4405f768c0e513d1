"""The server as an ASGI application."""

from __future__ import annotations

from importlib.metadata import version as installed_version
from typing import Any

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp

from tinycrm_core.client import TinyCRM
from tinycrm_core.errors import TinyCRMError
from tinycrm_server import replies
from tinycrm_server.api import api_router
from tinycrm_server.api.segment import SegmentCalls, segment_router
from tinycrm_server.auth import Keys
from tinycrm_server.bodies import Refused
from tinycrm_server.description import SECURITY
from tinycrm_server.health import Metrics, health_router, metrics_router
from tinycrm_server.intake import Intake
from tinycrm_server.pages import pages_router
from tinycrm_server.pages.door import Door
from tinycrm_server.rates import Rates
from tinycrm_server.settings import Settings, read_settings
from tinycrm_server.watch import Rooted, Watch

HANDLERS: dict[Any, Any] = {
    Refused: replies.on_refused,
    TinyCRMError: replies.on_error,
    HTTPException: replies.on_http,
    ClientDisconnect: replies.on_gone,
    Exception: replies.on_crash,
}


def create_app(
    crm: TinyCRM, *, door: Door | None = None, settings: Settings | None = None
) -> ASGIApp:
    """The API and the pages over one store.

    The API serves every account, by the caller's key; the pages show people the account for which
    `door` lets them in. Without a door there are no pages.
    """
    settings = settings or read_settings()
    rates = Rates(
        {"key": settings.rate_per_key, "address": settings.rate_per_address},
        settings.rate_storage,
    )
    app = FastAPI(
        title="TinyCRM",
        version=installed_version("tinycrm"),
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        exception_handlers=HANDLERS,
    )
    app.state.max_body = settings.max_body
    _describe_keys(app)
    app.include_router(health_router(crm))
    metrics = None
    if settings.metrics_token is not None:
        metrics = Metrics()
        app.include_router(metrics_router(metrics, settings.metrics_token.get_secret_value()))
    keys = Keys(crm, rates)
    intake = Intake(keys)
    app.include_router(segment_router(keys, intake))
    app.include_router(api_router(keys, intake))
    if door is not None:
        app.state.keep_rejected = door.keep_rejected
        uploads_dir = settings.uploads_dir or None
        pages = pages_router(crm, door, max_upload=settings.max_upload, uploads_dir=uploads_dir)
        app.include_router(pages)
    watched = Watch(SegmentCalls(app), rates, metrics)
    return Rooted(watched, settings.root_path) if settings.root_path else watched


def _describe_keys(app: FastAPI) -> None:
    """Have `/openapi.json` say how a key is sent, which the routes only refer to."""
    describe = app.openapi

    def openapi() -> dict[str, Any]:
        schema = describe()
        schema.setdefault("components", {})["securitySchemes"] = SECURITY
        return schema

    app.openapi = openapi  # type: ignore[method-assign]

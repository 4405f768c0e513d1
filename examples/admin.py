"""The pages over the shared database, in an application of their own."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI

from examples.serving import customers_url, main, serve_asgi
from tinycrm_core import TinyCRM
from tinycrm_integrations.fastapi import admin_router


def whoever_is_at_this_machine() -> str:
    """Your application asks who is logged in; this one only listens on the loopback address."""
    return "example"


def create_app(folder: Path) -> FastAPI:
    app = FastAPI(openapi_url=None)
    crm = TinyCRM(customers_url(folder))
    app.include_router(admin_router(crm, authorize=whoever_is_at_this_machine))
    return app


if __name__ == "__main__":
    main("admin", create_app, serve_asgi)

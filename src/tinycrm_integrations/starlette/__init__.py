"""TinyCRM in a Starlette application."""

from typing import TYPE_CHECKING, Any

from tinycrm_integrations.reporting import Reporter
from tinycrm_integrations.starlette.environment import reporter_from_environment
from tinycrm_integrations.starlette.middleware import TinyCRMMiddleware, get_crm, lifespan

if TYPE_CHECKING:
    from tinycrm_integrations.starlette.mount import admin_routes

__all__ = [
    "Reporter",
    "TinyCRMMiddleware",
    "admin_routes",
    "get_crm",
    "lifespan",
    "reporter_from_environment",
]


def __getattr__(name: str) -> Any:
    # The admin is loaded by those who mount it, not by every application.
    if name == "admin_routes":
        from tinycrm_integrations.starlette.mount import admin_routes

        return admin_routes
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

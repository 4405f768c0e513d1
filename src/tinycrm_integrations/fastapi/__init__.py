"""TinyCRM in a FastAPI application."""

from typing import TYPE_CHECKING, Any

from tinycrm_integrations.fastapi.dependencies import seen
from tinycrm_integrations.fastapi.users import ReportedUsers
from tinycrm_integrations.reporting import Reporter
from tinycrm_integrations.starlette.environment import reporter_from_environment
from tinycrm_integrations.starlette.middleware import TinyCRMMiddleware, get_crm, lifespan

if TYPE_CHECKING:
    from tinycrm_integrations.fastapi.mount import admin_router

__all__ = [
    "ReportedUsers",
    "Reporter",
    "TinyCRMMiddleware",
    "admin_router",
    "get_crm",
    "lifespan",
    "reporter_from_environment",
    "seen",
]


def __getattr__(name: str) -> Any:
    # The admin is loaded by those who mount it, not by every application.
    if name == "admin_router":
        from tinycrm_integrations.fastapi.mount import admin_router

        return admin_router
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

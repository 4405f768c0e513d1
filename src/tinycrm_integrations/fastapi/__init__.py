"""TinyCRM in a FastAPI application."""

from tinycrm_integrations.fastapi.dependencies import seen
from tinycrm_integrations.fastapi.mount import admin_router
from tinycrm_integrations.fastapi.users import ReportedUsers
from tinycrm_integrations.reporting import Reporter
from tinycrm_integrations.starlette.environment import reporter_from_environment
from tinycrm_integrations.starlette.middleware import TinyCRMMiddleware, get_crm, lifespan

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

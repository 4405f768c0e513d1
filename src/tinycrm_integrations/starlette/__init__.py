"""TinyCRM in a Starlette application."""

from tinycrm_integrations.reporting import Reporter
from tinycrm_integrations.starlette.environment import reporter_from_environment
from tinycrm_integrations.starlette.middleware import TinyCRMMiddleware, get_crm, lifespan
from tinycrm_integrations.starlette.mount import admin_routes

__all__ = [
    "Reporter",
    "TinyCRMMiddleware",
    "admin_routes",
    "get_crm",
    "lifespan",
    "reporter_from_environment",
]

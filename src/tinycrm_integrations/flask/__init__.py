"""TinyCRM in a Flask application."""

from typing import TYPE_CHECKING, Any

from tinycrm_integrations.flask.extension import TinyCRM

if TYPE_CHECKING:
    from tinycrm_integrations.flask.mount import admin_blueprint

__all__ = ["TinyCRM", "admin_blueprint"]


def __getattr__(name: str) -> Any:
    # The admin is loaded by those who mount it, not by every command of `flask`.
    if name == "admin_blueprint":
        from tinycrm_integrations.flask.mount import admin_blueprint

        return admin_blueprint
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""TinyCRM in a Flask application."""

from tinycrm_integrations.flask.extension import TinyCRM
from tinycrm_integrations.flask.mount import admin_blueprint

__all__ = ["TinyCRM", "admin_blueprint"]

"""TinyCRM on SQLite and PostgreSQL, through SQLAlchemy Core."""

from tinycrm_core.sql.store import SQLStore

__all__ = ["SQLStore"]

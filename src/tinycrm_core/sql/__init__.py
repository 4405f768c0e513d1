"""TinyCRM on SQLite and PostgreSQL, through SQLAlchemy Core."""

from sqlalchemy import Connection, Engine

from tinycrm_core.sql.store import SQLStore

__all__ = ["Connection", "Engine", "SQLStore"]

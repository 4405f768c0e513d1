"""What a client stands on: the store, the server or the file that its arguments name."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tinycrm_core.errors import InvalidInput, StoreError
from tinycrm_core.memory import MemoryStore
from tinycrm_core.remote import Server
from tinycrm_core.store import Store
from tinycrm_core.transport import Transport

if TYPE_CHECKING:
    from tinycrm_core.spool import Spool
    from tinycrm_core.sql import Engine


def open_http(server: Server) -> Transport:
    """The transport to a server; only who needs one loads what HTTP and TLS take."""
    from tinycrm_core.http import HTTPTransport

    return HTTPTransport(server)


def open_spool(spool: str | os.PathLike[str] | Spool | None) -> Spool | None:
    """The file for waiting events that a path names."""
    if not isinstance(spool, str | os.PathLike):
        return spool
    from tinycrm_core.spool import Spool  # sqlite3, which not every Python has

    return Spool(spool)


def open_store(
    where: str | Engine, *, schema: str | None = None, auto_migrate: bool = False
) -> Store:
    """The store a URL or an engine leads to. Raises StoreError or InvalidInput."""
    if isinstance(where, str):
        if where in ("memory://", "memory:"):
            return MemoryStore()
        if "://" not in where:
            raise InvalidInput(
                "where: expected memory://, sqlite:///file.db, postgresql+psycopg://… "
                "or an SQLAlchemy engine",
                field="where",
            )
    try:
        from tinycrm_core.sql import SQLStore
    except ImportError as error:
        raise StoreError(
            f"{error.name} is not installed; SQL databases need: pip install 'tinycrm[sql]'"
        ) from None
    return SQLStore(where, schema=schema, auto_migrate=auto_migrate)

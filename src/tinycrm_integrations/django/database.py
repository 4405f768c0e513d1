"""The database of a Django project as TinyCRM opens it: the same one, by connections of its own."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from django.db import connections
from django.utils.connection import ConnectionDoesNotExist

from tinycrm_core.errors import InvalidInput, StoreError

if TYPE_CHECKING:
    from sqlalchemy import Engine

_CONNECTING = ("user", "password", "host", "port", "dbname")


def where(alias: str) -> str | Engine:
    """What `TinyCRM` opens for a database of DATABASES; during tests, the test database.

    Raises InvalidInput for an alias nobody knows and StoreError for other systems than SQLite and
    PostgreSQL.
    """
    try:
        connection = connections[alias]
    except ConnectionDoesNotExist:
        raise InvalidInput(
            f"DATABASE: {alias!a} is neither a key of DATABASES nor a database URL",
            field="DATABASE",
        ) from None
    if connection.vendor == "sqlite":
        return _sqlite_url(str(connection.settings_dict["NAME"]))
    if connection.vendor == "postgresql":
        return _postgres_engine(connection.get_connection_params())
    raise StoreError(
        f"DATABASE: TinyCRM runs on SQLite and PostgreSQL, not on {connection.display_name}; "
        "give it a database URL of its own"
    )


def name_of(alias: str) -> str:
    """The name of the database now; the test runner gives it another one."""
    return str(connections[alias].settings_dict["NAME"]) if alias in connections.settings else ""


def _sqlite_url(name: str) -> str:
    from sqlalchemy.engine import URL

    if not name.startswith("file:"):
        return URL.create("sqlite", database=name).render_as_string()
    # Django's test database in memory, which connections share.
    path, _, query = name.partition("?")
    pairs = dict(each.partition("=")[::2] for each in query.split("&") if each)
    return URL.create("sqlite", database=path, query={**pairs, "uri": "true"}).render_as_string()


def _postgres_engine(given: dict[str, Any]) -> Engine:
    from sqlalchemy import create_engine, event
    from sqlalchemy.engine import URL
    from sqlalchemy.exc import DisconnectionError

    from tinycrm_core.sql.engine import WAITING

    user, password, host, port, name = (given.get(key) for key in _CONNECTING)
    options = WAITING | {
        key: str(value)
        for key, value in given.items()
        if isinstance(value, str | int) and key not in (*_CONNECTING, "prepare_threshold")
    }
    if host and host.startswith("/"):  # the folder of a socket has no place in front of a URL
        options["host"], host = host, None
    url = URL.create(
        "postgresql+psycopg",
        username=user,
        password=password,
        host=host or None,
        port=int(port) if port else None,
        database=name,
        query=options,
    )
    prepare = {"prepare_threshold": given.get("prepare_threshold")}
    engine = create_engine(url, connect_args=prepare)

    # A connection belongs to the process that made it: after a fork the child makes its own.
    def connected(connection: object, record: Any) -> None:
        record.info["process"] = os.getpid()

    def checked_out(connection: object, record: Any, proxy: Any) -> None:
        if record.info["process"] != os.getpid():
            record.dbapi_connection = proxy.dbapi_connection = None
            raise DisconnectionError("this connection is the parent's")

    event.listen(engine, "connect", connected)
    event.listen(engine, "checkout", checked_out)
    return engine

"""What a driver reports, as the errors TinyCRM promises; never with the password of a URL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import exc

from tinycrm_core.errors import Retry, SchemaError, StoreError, TookTooLong

_LOST_RACE = {"40001", "40P01"}
_CANCELED = "57014"
_MIXED_UP = (
    "a pooler mixes prepared statements up; add prepare_threshold=none to the URL of the database"
)
_SENTENCES = {
    "08P01": _MIXED_UP,
    "26000": _MIXED_UP,
    "42P05": _MIXED_UP,
    "55P03": "the database is locked by somebody else for too long",
    "53100": "the database is full: no space is left on its disk",
    "53300": "the database has no connection left",
    "25006": "the database is read-only",
    "42501": "the database does not allow this to its user",
    "28P01": "the database refuses the user or the password",
    "28000": "the database refuses the user or the password",
    "3D000": "the database does not exist",
}
_SQLITE_BUSY, _SQLITE_FULL, _SQLITE_READONLY, _SQLITE_IOERR = 5, 13, 8, 10
_SQLITE_CORRUPT, _SQLITE_CANTOPEN, _SQLITE_NOTADB, _SQLITE_LOCKED = 11, 14, 26, 6
_SQLITE_BUSY_SNAPSHOT = 517
_SQLITE_INTERRUPT = 9
_SQLITE = {
    _SQLITE_BUSY: "the database is locked by somebody else for too long",
    _SQLITE_LOCKED: "the database is locked by somebody else for too long",
    _SQLITE_FULL: "the database is full: no space is left on its disk",
    _SQLITE_READONLY: "the database is read-only",
    _SQLITE_IOERR: "the database file cannot be read or written",
    _SQLITE_CORRUPT: "the database file is damaged",
    _SQLITE_CANTOPEN: "the database file cannot be opened",
    _SQLITE_NOTADB: "the file is not a SQLite database",
}


@contextmanager
def translated(where: str) -> Iterator[None]:
    """Raise what SQLAlchemy raises inside as StoreError, or Retry where trying again may help."""
    try:
        yield
    except exc.SQLAlchemyError as error:
        raise as_store_error(error, where) from error


def as_store_error(error: exc.SQLAlchemyError, where: str) -> StoreError:
    """The error of TinyCRM for one of SQLAlchemy; `where` names the database."""
    if isinstance(error, exc.TimeoutError):
        return StoreError(f"{where}: no connection became free in time")
    if not isinstance(error, exc.DBAPIError) or error.orig is None:
        return StoreError(f"{where}: {str(error).splitlines()[0]}")
    origin = error.orig
    state = getattr(origin, "sqlstate", None)
    code = getattr(origin, "sqlite_errorcode", None)
    if state in _LOST_RACE or code == _SQLITE_BUSY_SNAPSHOT:
        return Retry(f"{where}: another transaction was quicker")
    if isinstance(error, exc.IntegrityError):
        return Retry(f"{where}: another transaction changed what this one relied on")
    if state == _CANCELED or code == _SQLITE_INTERRUPT:
        return TookTooLong(f"{where}: the database gave up: the statement took longer than it may")
    sentence = _SENTENCES.get(state or "") or _SQLITE.get((code or 0) & 0xFF)
    if sentence is None and missing_table(error):
        return SchemaError(f"{where}: tables of TinyCRM are missing; run `tinycrm migrate`")
    if sentence is None and error.connection_invalidated:
        return Retry(f"{where}: the connection broke")
    if sentence is None:
        sentence = str(origin).strip().partition("\n")[0] or type(origin).__name__
    return StoreError(f"{where}: {sentence}")


def missing_table(error: exc.SQLAlchemyError) -> bool:
    """Whether the statement named a table that is not there."""
    origin = getattr(error, "orig", None)
    if getattr(origin, "sqlstate", None) in {"42P01", "3F000"}:
        return True
    return str(origin).startswith("no such table")

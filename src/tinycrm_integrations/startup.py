"""A look at where people go before the first of them does: what is wrong there, and what to do."""

from __future__ import annotations

import logging
import threading

from tinycrm_core.client import TinyCRM
from tinycrm_core.errors import SchemaError, StoreError, TinyCRMError, Undelivered
from tinycrm_core.keys import redact
from tinycrm_core.remote import RemoteStore
from tinycrm_integrations.guard import Guard

SECONDS = 3.0
"""How long a server may take to answer."""

_UNAUTHORIZED, _FORBIDDEN, _SERVER_ERROR = 401, 403, 500
_BUSY = {408, 429}
_KEPT = " Until then events wait in memory, and are dropped when there are too many."
_log = logging.getLogger("tinycrm")


class Misconfigured(TinyCRMError):
    """Nothing can be stored where this application reports to; `hint` says what to do.

    `is_old` tells of tables that another version of TinyCRM has made.
    """

    code = "misconfigured"

    def __init__(self, message: str, hint: str, *, is_old: bool = False) -> None:
        super().__init__(message)
        self.hint = hint
        self.is_old = is_old

    def __str__(self) -> str:
        return f"{self.message} {self.hint}"


def look(crm: TinyCRM, *, migrate: str = "tinycrm migrate") -> Misconfigured | None:
    """What is wrong with the server or the database of a client; None if it takes events.

    It changes nothing, makes no tables, and waits for a server for SECONDS at most. `migrate` is
    the command that brings tables up to date here.
    """
    if isinstance(crm.store, RemoteStore):
        try:
            # Nothing to report, which takes an address that answers and a key that is known.
            crm.transport.deliver(crm.bound.slug, (), timeout=SECONDS)
        except Undelivered as error:
            return None if error.status in _BUSY else _of_server(error)
        return None
    find = getattr(crm.store, "fault", None)  # memory has none
    fault: StoreError | None = None if find is None else find()
    return None if fault is None else _of_database(fault, migrate)


def refuse(crm: TinyCRM, *, migrate: str = "tinycrm migrate") -> None:
    """Raise Misconfigured if anything is wrong."""
    found = look(crm, migrate=migrate)
    if found is not None:
        raise found


def look_aside(crm: TinyCRM, guard: Guard, *, migrate: str = "tinycrm migrate") -> None:
    """Look in a thread, and log as one warning what is wrong. Nobody waits, nothing is raised."""

    @guard("start-up check")
    def say() -> None:
        found = look(crm, migrate=migrate)
        if found is not None:
            _log.warning("%s", found)

    with guard("start-up check"):
        threading.Thread(target=say, name="tinycrm check", daemon=True).start()


def _of_server(error: Undelivered) -> Misconfigured:
    said = redact(error.message)
    if error.status is None:
        return Misconfigured(
            f"The TinyCRM server cannot be reached: {said}.",
            "Check the address, and that the server runs." + _KEPT,
        )
    if error.status == _UNAUTHORIZED:
        return Misconfigured(
            f"The TinyCRM server does not know this API key: {said}.",
            "Make a key for this product with `tinycrm key create` on the server, or in its admin, "
            "and set that one. Until then events are dropped.",
        )
    if error.status == _FORBIDDEN:
        return Misconfigured(
            f"The API key may not report this product: {said}.",
            "Set the key that belongs to the product, or correct its name. Until then events are "
            "dropped.",
        )
    if error.status >= _SERVER_ERROR:
        old = f"({SchemaError.code}: " in said
        return Misconfigured(
            f"The TinyCRM server cannot store anything: {said}.",
            f"Run `tinycrm {'migrate' if old else 'doctor'}` there, and look at its log." + _KEPT,
            is_old=old,
        )
    return Misconfigured(
        f"What answers at the address is no TinyCRM server, or not directly: {said}.",
        "Correct the address; it ends where the path /v1/events begins.",
    )


def _of_database(error: StoreError, migrate: str) -> Misconfigured:
    said = f"The database of TinyCRM cannot be used: {redact(error.message)}."
    if isinstance(error, SchemaError):
        hint = f"`{migrate}` brings older tables up to date; newer ones need a newer TinyCRM."
        return Misconfigured(said, hint, is_old=True)
    return Misconfigured(
        said, "Check its address, that it runs, and that its user may write." + _KEPT
    )

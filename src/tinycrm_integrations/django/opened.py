"""The client and the reporter that the settings describe, opened when first used."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from typing import Any

from django.core import mail
from django.db import connections, transaction

from tinycrm_core.client import TinyCRM
from tinycrm_core.errors import InvalidInput
from tinycrm_core.memory import MemoryStore
from tinycrm_integrations.django import conf, database
from tinycrm_integrations.django.verified import mapping_of
from tinycrm_integrations.guard import Guard
from tinycrm_integrations.reporting import Reporter
from tinycrm_integrations.users import Recent

MISSING_PROJECT = "TINYCRM['PROJECT']: missing; set it to the name of this product, such as shop"
UNNAMED = "tests"
"""The product of clients in tests of projects that name none."""
WAIT = 0.5
"""Seconds that a request may wait for what it has queued to be written to a shared file."""
PAUSE = 30.0
"""Seconds for which nobody waits after that was too short."""


class Opened:
    """A client, what reports through it, and what both were opened for."""

    def __init__(self, key: object, crm: TinyCRM, settings: conf.Settings, *, report: bool) -> None:
        self.key = key
        self.crm = crm
        self.reporter = _reporter(crm, settings) if report else None
        self._pinged = Recent(settings.ping_interval) if settings.ping_interval else None
        self._alias = settings.alias if report and _shares_file(crm, settings) else None
        self._waits_from = 0.0

    @property
    def shares_file(self) -> bool:
        """Whether the project's transactions on the same SQLite file can fail because of us."""
        return self._alias is not None

    def ping_is_due(self, user: Any) -> bool:
        """Whether this user was not seen for PING_INTERVAL; from now on they were."""
        key = getattr(user, "pk", None)
        if self._pinged is None or key is None:
            return False
        return self._pinged.is_new((type(user), key))

    def settle(self) -> None:
        """Let what is queued be written now, if it goes into a SQLite file of the project.

        SQLite ends a transaction of the project with "database is locked" if somebody else writes
        between its first question and its first change. So we write in the wake of the project's
        own commit and not at some moment of the next request. If that takes long, nobody waits
        for it, nor for the next ones.
        """
        if self._alias is None or transaction.get_connection(self._alias).in_atomic_block:
            return
        if time.monotonic() >= self._waits_from and not self.crm.flush(WAIT):
            self._waits_from = time.monotonic() + PAUSE


guard = Guard()
"""Counts what the hooks swallowed."""

_lock = threading.Lock()
_opened: Opened | None = None
_recording: Opened | None = None


def _renew_lock() -> None:
    global _lock
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_renew_lock)


def in_tests() -> bool:
    """Whether Django's test environment is set up, by its own runner or by pytest-django."""
    return hasattr(mail, "outbox")


def is_recording() -> bool:
    """Whether the hooks report: always, but under test only when asked."""
    return _recording is not None or not in_tests() or conf.read().in_tests


def client() -> TinyCRM:
    """The client, queued. Under test, unless asked otherwise, it keeps everything in memory.

    Raises TinyCRMError for settings that cannot be used.
    """
    return current().crm


def reporter() -> Reporter:
    """What the hooks report through. Raises TinyCRMError, also when no project is named."""
    found = current()
    if found.reporter is None:
        raise InvalidInput(MISSING_PROJECT, field="PROJECT")
    return found.reporter


def close() -> None:
    """Give back what is open; the next use opens it again."""
    global _opened
    with _lock:
        found, _opened = _opened, None
    if found is not None:
        found.crm.close()


@contextlib.contextmanager
def recording() -> Iterator[TinyCRM]:
    """For tests: inside, the hooks report to the client it gives, which keeps people in memory."""
    global _recording
    before = _recording
    recorded = _recording = _open(None, conf.read(), in_memory=True)
    try:
        yield recorded.crm
    finally:
        _recording = before
        recorded.crm.close()


def current() -> Opened:
    """What is open, opened now if need be. Raises TinyCRMError."""
    global _opened
    if _recording is not None:
        return _recording
    settings = conf.read()
    found = _opened
    under_test = in_tests()
    if found is not None and found.key is settings and not under_test:
        return found  # what each request comes by
    # The test runner gives the database another name.
    name = database.name_of(settings.alias) if under_test and settings.alias else None
    key = (settings, name) if under_test else settings
    if found is not None and found.key == key:
        return found
    with _lock:
        found = _opened
        if found is not None and found.key == key:
            return found
        _opened = _open(key, settings, in_memory=under_test and not settings.in_tests)
    if found is not None:
        found.crm.close()
    return _opened


def _open(key: object, settings: conf.Settings, *, in_memory: bool) -> Opened:
    if in_memory:
        project = settings.project or UNNAMED
        crm = TinyCRM("memory://", project=project, account=settings.account, via="django")
        return Opened(key, crm, settings, report=True)
    crm = open_client(settings)
    return Opened(key, crm, settings, report=settings.project is not None or settings.is_remote)


def _shares_file(crm: TinyCRM, settings: conf.Settings) -> bool:
    """Whether the project's transactions can fail because of what we write."""
    if settings.alias is None or isinstance(crm.store, MemoryStore):
        return False
    connection = connections[settings.alias]
    mode = connection.settings_dict["OPTIONS"].get("transaction_mode") or ""
    # A transaction that takes its turn at the start waits for us, as we do for it.
    return connection.vendor == "sqlite" and mode.upper() not in ("IMMEDIATE", "EXCLUSIVE")


def where(settings: conf.Settings) -> Any:
    """The database of the settings, as `TinyCRM` takes it. Raises TinyCRMError."""
    return settings.database if settings.alias is None else database.where(settings.alias)


def open_client(settings: conf.Settings, *, background: bool = True) -> TinyCRM:
    """A new client of what the settings describe. Raises TinyCRMError; connects to nothing."""
    if settings.api_key is not None:
        return TinyCRM(api_key=settings.api_key, url=settings.url, spool=settings.spool)
    return TinyCRM(
        where(settings),
        project=settings.project,
        account=settings.account,
        auto_migrate=settings.auto_migrate,
        background=background,
        via="django",
        spool=settings.spool,
    )


def _reporter(crm: TinyCRM, settings: conf.Settings) -> Reporter:
    return Reporter(
        crm,
        mapping=mapping_of(settings),
        signup_status=settings.signup_status,
        ping_interval=0,  # the middleware counts by user, without looking at the address
        on_delete=settings.on_delete,
        guard=guard,
    )

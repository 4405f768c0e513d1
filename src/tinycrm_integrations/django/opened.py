"""The client and the reporter that the settings describe, opened when first used."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

from django.core import mail

from tinycrm_core.client import TinyCRM
from tinycrm_core.errors import InvalidInput, TinyCRMError
from tinycrm_integrations.django import conf, database
from tinycrm_integrations.django.verified import mapping_of
from tinycrm_integrations.guard import Guard
from tinycrm_integrations.reporting import Reporter
from tinycrm_integrations.users import Recent

MISSING_PROJECT = "TINYCRM['PROJECT']: missing; set it to the name of this product, such as shop"
UNNAMED = "tests"
"""The product of clients in tests of projects that name none."""


@dataclass(frozen=True, slots=True)
class Opened:
    """What is open, and what it was opened for."""

    key: object
    crm: TinyCRM
    reporter: Reporter | None
    pinged: Recent | None

    def ping_is_due(self, user: Any) -> bool:
        """Whether this user was not seen for PING_INTERVAL; from now on they were."""
        if self.pinged is None or user.pk is None:
            return False
        return self.pinged.is_new((type(user), user.pk))


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
    under_test = in_tests()
    in_memory = under_test and not settings.in_tests
    # The test runner gives the database another name.
    name = database.name_of(settings.alias) if under_test and settings.alias else None
    key = settings, in_memory, name
    found = _opened
    if found is not None and found.key == key:
        return found
    with _lock:
        found = _opened
        if found is not None and found.key == key:
            return found
        _opened = _open(key, settings, in_memory=in_memory)
    if found is not None:
        found.crm.close()
    return _opened


def _open(key: object, settings: conf.Settings, *, in_memory: bool) -> Opened:
    pinged = Recent(settings.ping_interval) if settings.ping_interval else None
    if in_memory:
        project = settings.project or UNNAMED
        crm = TinyCRM("memory://", project=project, account=settings.account, via="django")
    else:
        crm = open_client(settings)
    has_project = in_memory or settings.project is not None or settings.is_remote
    return Opened(key, crm, _reporter(crm, settings) if has_project else None, pinged)


def where(settings: conf.Settings) -> Any:
    """The database of the settings, as `TinyCRM` takes it. Raises TinyCRMError."""
    return settings.database if settings.alias is None else database.where(settings.alias)


def open_client(settings: conf.Settings, *, background: bool = True) -> TinyCRM:
    """A new client of what the settings describe. Raises TinyCRMError; connects to nothing."""
    if settings.api_key is not None:
        return TinyCRM(api_key=settings.api_key, url=settings.url)
    return TinyCRM(
        where(settings),
        project=settings.project,
        account=settings.account,
        auto_migrate=settings.auto_migrate,
        background=background,
        via="django",
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


class _Lazy:
    """Stands for the client before there is one."""

    def __getattr__(self, name: str) -> Any:
        return getattr(client(), name)

    def __repr__(self) -> str:
        try:
            return repr(client())
        except TinyCRMError:
            return "<TinyCRM of this Django project>"


crm = cast("TinyCRM", _Lazy())

"""What `manage.py check` says about the settings, before a user does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Error, Warning
from django.db import DEFAULT_DB_ALIAS

from tinycrm_core.client import TinyCRM
from tinycrm_core.errors import TinyCRMError
from tinycrm_core.keys import redact
from tinycrm_integrations import startup
from tinycrm_integrations.django import conf, database, opened

MIDDLEWARE = "tinycrm_integrations.django.middleware.PingMiddleware"


def check_settings(**_: Any) -> list[CheckMessage]:
    """Faults that can be seen without a connection, and a server that does not take the key."""
    return list(_settings_faults())


def check_database(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """Faults of the database; run by `manage.py check --database default`."""
    return list(_database_faults(databases or ()))


def _settings_faults() -> Iterator[CheckMessage]:
    known = [name.upper() for name in conf.Settings.__dataclass_fields__]
    wrong = False
    for fault in conf.faults():
        wrong = True
        if fault.field in known or fault.field == conf.NAME:
            yield _message(2, fault.message, f"Correct settings.{conf.NAME}.", conf.NAME)
        else:
            yield _message(3, fault.message, "Remove the key or correct its spelling.", conf.NAME)
    if wrong:
        return
    settings = conf.read()
    if settings.project is None and not settings.is_remote:
        yield _message(
            1,
            "TinyCRM does not know which product this is, so nothing is reported.",
            f'Name it in the settings: {conf.NAME} = {{"PROJECT": "shop"}}.',
        )
    if settings.alias is not None:
        try:
            database.where(settings.alias)
        except TinyCRMError as error:
            yield _message(4, f"TinyCRM cannot use this database. {error}", _OWN_DATABASE)
    elif settings.is_remote:
        yield from _server_faults(settings)
    if settings.ping_interval and MIDDLEWARE not in django_settings.MIDDLEWARE:
        yield _message(
            6,
            "Visits are not reported, because the middleware is missing.",
            f'Add "{MIDDLEWARE}" to MIDDLEWARE, or set PING_INTERVAL to 0.',
        )


def _server_faults(settings: conf.Settings) -> Iterator[CheckMessage]:
    if opened.in_tests():
        return
    try:
        with opened.open_client(settings, background=False) as crm:
            found = startup.look(crm)
    except TinyCRMError as error:
        found = startup.Misconfigured(redact(error.message), "Check the address and the key.")
    if found is not None:
        yield _message(5, found.message, found.hint)


def _database_faults(databases: Sequence[str]) -> Iterator[CheckMessage]:
    if any(True for _ in conf.faults()):
        return
    settings = conf.read()
    if settings.is_remote or (settings.alias or DEFAULT_DB_ALIAS) not in databases:
        return
    if settings.alias is None and opened.in_tests():
        return
    try:
        place = opened.where(settings)
        with TinyCRM(place, auto_migrate=settings.auto_migrate) as crm:
            found = startup.look(crm, migrate="manage.py migrate")
        if not isinstance(place, str):
            place.dispose()  # or the test runner could not drop its database
    except TinyCRMError as error:
        found = startup.Misconfigured(error.message, _OWN_DATABASE)
    if found is not None:
        # `migrate` asks too, and an error would keep it from doing what the hint says.
        yield _message(7, found.message, found.hint, never_error=found.is_old)


_OWN_DATABASE = (
    'Set DATABASE to a key of DATABASES, or to a database of its own such as "sqlite:///crm.db".'
)


def _message(
    number: int, text: str, hint: str, obj: object = None, *, never_error: bool = False
) -> CheckMessage:
    """A warning, as nothing of ours stops a project from starting; with STRICT an error."""
    if conf.is_strict() and not never_error:
        return Error(text, hint=hint, obj=obj, id=f"tinycrm.E{number:03}")
    return Warning(text, hint=hint, obj=obj, id=f"tinycrm.W{number:03}")

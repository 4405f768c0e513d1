"""The setting `TINYCRM`: what may be in it, and what is wrong with it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, cast, get_args

from django.conf import settings
from django.core.signals import setting_changed
from django.utils.module_loading import import_string

from tinycrm_core.account import clean_account
from tinycrm_core.errors import InvalidInput, TinyCRMError
from tinycrm_core.events import clean_status
from tinycrm_core.keys import check_key
from tinycrm_core.transport import clean_slug
from tinycrm_integrations.reporting import OnDelete
from tinycrm_integrations.users import PING_INTERVAL, SIGNUP_STATUS, UserMapping

NAME = "TINYCRM"
_SERVERS = ("http://", "https://", "tcrm_")


@dataclass(frozen=True, slots=True)
class Settings:
    """`settings.TINYCRM` with its defaults; the keys there are these names in capitals."""

    project: str | None = None
    database: str = "default"
    url: str | None = None
    api_key: str | None = None
    account: str = "default"
    auto_migrate: bool = False
    spool: str | os.PathLike[str] | None = None
    user: UserMapping | None = None
    skip_staff: bool = False
    skip_unverified: bool = False
    signup_status: str | None = SIGNUP_STATUS
    ping_interval: float = PING_INTERVAL
    on_delete: OnDelete = "churn"
    in_tests: bool = False
    strict: bool = False

    @property
    def is_remote(self) -> bool:
        """Whether events go to a server."""
        return self.api_key is not None or self.database.startswith(_SERVERS)

    @property
    def asks_database(self) -> bool:
        """Whether telling who somebody is may take a query."""
        return self.user is not None or self.skip_unverified

    @property
    def alias(self) -> str | None:
        """The key in DATABASES under which the people are kept, if they are kept there."""
        return None if self.is_remote or "://" in self.database else self.database


@cache
def read() -> Settings:
    """The settings as they are. Raises InvalidInput, which names the key, for the first fault."""
    given = _given()
    faults = [*_unknown(given), *_wrong(given)]
    if faults:
        raise faults[0]
    values = {key.lower(): value for key, value in given.items()}
    if isinstance(values.get("user"), str):
        values["user"] = import_string(values["user"])
    return Settings(**values)


def faults() -> Iterator[InvalidInput]:
    """What is wrong, key by key."""
    try:
        given = _given()
    except InvalidInput as error:
        yield error
        return
    yield from _unknown(given)
    yield from _wrong(given)


def is_strict() -> bool:
    """Whether what is wrong shall stop the project from starting."""
    given = getattr(settings, NAME, None)
    return isinstance(given, Mapping) and given.get("STRICT") is True


def _given() -> Mapping[str, Any]:
    given = getattr(settings, NAME, {})
    if isinstance(given, Mapping) and all(isinstance(key, str) for key in given):
        return given
    raise InvalidInput(f"{NAME}: expected a dictionary", field=NAME)


def _unknown(given: Mapping[str, Any]) -> Iterator[InvalidInput]:
    known = [name.upper() for name in Settings.__dataclass_fields__]
    for key in given:
        if key not in known:
            yield InvalidInput(
                f"{NAME}: {key!a} is no setting; there are {', '.join(known)}", field=key
            )


def _wrong(given: Mapping[str, Any]) -> Iterator[InvalidInput]:
    for key, check in _CHECKS.items():
        if key not in given:
            continue
        try:
            check(given[key])
        except (TinyCRMError, ImportError, ValueError) as error:
            # Of a key or a database URL nothing may be repeated.
            said = "it is not a valid one" if key in _SECRET else str(error)
            yield InvalidInput(f"{NAME}[{key!r}]: {said}", field=key)
    if given.get("API_KEY") is not None and "DATABASE" in given:
        yield InvalidInput(
            f"{NAME}: API_KEY and DATABASE are both there, but people go to one place",
            field="API_KEY",
        )


def _optional(check: Callable[[Any], object]) -> Callable[[Any], object]:
    return lambda value: None if value is None else check(value)


def _text(value: object) -> None:
    if not isinstance(value, str) or not value:
        raise InvalidInput("expected text")


def _path(value: object) -> None:
    if not isinstance(value, str | os.PathLike) or not str(value):
        raise InvalidInput("expected the path of a file")


def _bool(value: object) -> None:
    if not isinstance(value, bool):
        raise InvalidInput("expected True or False")


def _seconds(value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
        raise InvalidInput("expected seconds; 0 means never")


def _on_delete(value: object) -> None:
    if value not in get_args(OnDelete):
        raise InvalidInput(f"expected one of {', '.join(get_args(OnDelete))}")


def _mapping(value: object) -> None:
    found = import_string(value) if isinstance(value, str) else value
    if not callable(found):
        raise InvalidInput("expected a function, or its dotted path")


_SECRET = {"API_KEY", "URL", "DATABASE"}
_CHECKS: dict[str, Callable[[Any], object]] = {
    "PROJECT": _optional(clean_slug),
    "DATABASE": _text,
    "URL": _optional(_text),
    "API_KEY": _optional(lambda value: check_key(cast("str", value))),
    "ACCOUNT": clean_account,
    "AUTO_MIGRATE": _bool,
    "SPOOL": _optional(_path),
    "USER": _optional(_mapping),
    "SKIP_STAFF": _bool,
    "SKIP_UNVERIFIED": _bool,
    "SIGNUP_STATUS": _optional(clean_status),
    "PING_INTERVAL": _seconds,
    "ON_DELETE": _on_delete,
    "IN_TESTS": _bool,
    "STRICT": _bool,
}


def _changed(*, setting: str, **_: object) -> None:
    if setting == NAME:
        read.cache_clear()


setting_changed.connect(_changed, dispatch_uid="tinycrm.conf", weak=False)

"""The settings of an application that is no Django project, all named TINYCRM_…."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from tinycrm_core import client
from tinycrm_core.errors import InvalidInput
from tinycrm_integrations.reporting import Reporter
from tinycrm_integrations.users import PING_INTERVAL, SIGNUP_STATUS, default_mapping

DEFAULTS: dict[str, Any] = {
    "TINYCRM_DATABASE": None,
    "TINYCRM_API_KEY": None,
    "TINYCRM_URL": None,
    "TINYCRM_PROJECT": None,
    "TINYCRM_ACCOUNT": "default",
    "TINYCRM_AUTO_MIGRATE": False,
    "TINYCRM_SPOOL": None,
    "TINYCRM_USER": None,
    "TINYCRM_SKIP_STAFF": False,
    "TINYCRM_SKIP_UNVERIFIED": False,
    "TINYCRM_SIGNUP_STATUS": SIGNUP_STATUS,
    "TINYCRM_PING_INTERVAL": PING_INTERVAL,
    "TINYCRM_ON_DELETE": "churn",
    "TINYCRM_IN_TESTS": False,
    "TINYCRM_STRICT": False,
}
"""Every setting there is; docs/flask.md says what each means."""

_WORDS = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


def read(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of an application. Raises InvalidInput for a key nobody knows."""
    for key in config:
        if key.startswith("TINYCRM_") and key not in DEFAULTS:
            known = ", ".join(DEFAULTS)
            raise InvalidInput(f"{key}: no such setting; there are {known}", field=key)
    return {key: config.get(key, default) for key, default in DEFAULTS.items()}


def read_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    """The same from environment variables, where yes, no and numbers are words.

    Raises InvalidInput for a value that cannot be understood. Variables of other parts of
    TinyCRM are left alone.
    """
    return {
        key: _value(key, environment[key], default) if environment.get(key) else default
        for key, default in DEFAULTS.items()
    }


def _value(key: str, word: str, default: Any) -> Any:
    try:
        if isinstance(default, bool):
            return _WORDS[word.lower()]
        return float(word) if isinstance(default, float) else word
    except (KeyError, ValueError):
        expected = "true or false" if isinstance(default, bool) else "a number"
        raise InvalidInput(f"{key}: expected {expected}", field=key) from None


def open_client(settings: Mapping[str, Any], *, via: str) -> client.TinyCRM:
    """The client the settings describe. Raises TinyCRMError; connects to nothing."""
    key, where = settings["TINYCRM_API_KEY"], settings["TINYCRM_DATABASE"]
    if key is not None and where is not None:
        raise InvalidInput(
            "TINYCRM_API_KEY: leave it out, or TINYCRM_DATABASE: people go to one place",
            field="TINYCRM_API_KEY",
        )
    if key is not None:
        return client.TinyCRM(
            api_key=key, url=settings["TINYCRM_URL"], spool=settings["TINYCRM_SPOOL"]
        )
    if where is None:
        raise InvalidInput(
            "TINYCRM_DATABASE: missing; set it to a database URL such as sqlite:///crm.db, "
            "or TINYCRM_API_KEY and TINYCRM_URL to report to a server",
            field="TINYCRM_DATABASE",
        )
    if settings["TINYCRM_PROJECT"] is None and not str(where).startswith(("http", "tcrm_")):
        raise InvalidInput(
            "TINYCRM_PROJECT: missing; set it to the name of this product, such as newsletter",
            field="TINYCRM_PROJECT",
        )
    return client.TinyCRM(
        where,
        project=settings["TINYCRM_PROJECT"],
        account=settings["TINYCRM_ACCOUNT"],
        auto_migrate=settings["TINYCRM_AUTO_MIGRATE"],
        via=via,
        spool=settings["TINYCRM_SPOOL"],
    )


def reporter(crm: client.TinyCRM, settings: Mapping[str, Any]) -> Reporter:
    """What the hooks report through. Raises InvalidInput or InvalidStatus."""
    mapping = settings["TINYCRM_USER"]
    if isinstance(mapping, str):
        mapping = _imported(mapping)
    return Reporter(
        crm,
        mapping=mapping
        or default_mapping(
            skip_staff=settings["TINYCRM_SKIP_STAFF"],
            skip_unverified=settings["TINYCRM_SKIP_UNVERIFIED"],
        ),
        signup_status=settings["TINYCRM_SIGNUP_STATUS"],
        ping_interval=settings["TINYCRM_PING_INTERVAL"],
        on_delete=settings["TINYCRM_ON_DELETE"],
        strict=bool(settings["TINYCRM_STRICT"]),
    )


def _imported(name: str) -> Any:
    module, _, attribute = name.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise InvalidInput(
            f"TINYCRM_USER: cannot import {name!a}, expected module:function",
            field="TINYCRM_USER",
        ) from error

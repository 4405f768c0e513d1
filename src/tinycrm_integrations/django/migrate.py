"""`manage.py migrate` makes the tables of TinyCRM too."""

from __future__ import annotations

import sys
from typing import Any

from django.db import DEFAULT_DB_ALIAS

from tinycrm_core.errors import TinyCRMError
from tinycrm_integrations.django import conf, opened


def migrate(using: str, verbosity: int = 1, stdout: Any = None, **_: object) -> None:
    """After Django's own migrations of the database in which the people are.

    A database of TinyCRM's own follows those of the default one; under test it is left alone, and
    so is a server. What goes wrong is said and stops nothing, unless STRICT is set.
    """
    try:
        settings = conf.read()
        if settings.is_remote or using != (settings.alias or DEFAULT_DB_ALIAS):
            return
        if settings.alias is None and opened.in_tests():
            return
        with opened.open_client(settings, background=False) as crm:
            crm.migrate()
        if verbosity >= 1:
            print("  The tables of TinyCRM are up to date.", file=stdout or sys.stdout)
    except TinyCRMError as error:
        if conf.is_strict():
            raise
        print(f"  TinyCRM has no tables: {error}", file=sys.stderr)  # noqa: T201

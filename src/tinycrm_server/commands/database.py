"""The database itself: its tables, and what is wrong with it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import click

from tinycrm_core.client import TinyCRM
from tinycrm_core.errors import TinyCRMError
from tinycrm_core.keys import check_key, hash_key, redact
from tinycrm_server.commands.console import (
    masked,
    missing_file,
    on_database,
    open_crm,
    print_json,
    with_crm,
)


@click.command()
@with_crm(create=True)
def migrate(crm: TinyCRM) -> None:
    """Make the tables, or bring them to this version."""
    crm.migrate()
    click.echo("The tables are up to date.")


@click.command()
@click.option(
    "--key",
    envvar="TINYCRM_KEY",
    show_envvar=True,
    help="Also check this API key. As an argument it is visible to others on this machine.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@on_database
def doctor(database: str, key: str | None, as_json: bool) -> None:
    """Say what is wrong with the database, its address, its tables or a key.

    Ends with 1 if anything is.
    """
    faults = [redact(each) for each in _faults(database, key)]
    if as_json:
        print_json({"ok": not faults, "faults": faults})
    else:
        for each in faults:
            click.echo(each)
        if not faults:
            click.echo(f"Nothing is wrong with {masked(database)}.")
    if faults:
        raise SystemExit(1)


def _faults(database: str, key: str | None) -> Iterator[str]:
    if key is not None:
        try:
            check_key(key)
        except TinyCRMError as error:
            yield f"The key is no key: {error}."
            key = None
    try:
        missing = missing_file(database)
        if missing is not None:
            yield f"There is no database {missing}; `tinycrm migrate` makes one."
            return
        name = masked(database)
        file = name.removeprefix("sqlite:///")
        if file != name and not os.access(file, os.W_OK):
            yield f"{name} cannot be written by this user."
        crm = open_crm(database)
    except TinyCRMError as error:
        yield f"The database cannot be opened: {error}."
        return
    try:
        yield from crm.check()
        if key is not None:
            yield from _key_faults(crm, key)
    except TinyCRMError as error:
        yield f"{str(error)[:1].upper()}{str(error)[1:]}."
    finally:
        crm.close()


def _key_faults(crm: TinyCRM, key: str) -> Iterator[str]:
    if crm.store.find_key(hash_key(key)) is None:
        yield "The key is well formed, but this database does not know it or it was revoked."

"""The database itself: its tables, and what is wrong with it."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import click

from tinycrm_core.client import TinyCRM
from tinycrm_core.errors import TinyCRMError
from tinycrm_core.keys import check_key, hash_key, redact
from tinycrm_core.memory import MemoryStore
from tinycrm_server.commands.console import (
    checked_url,
    masked,
    missing_file,
    must_exist,
    on_database,
    open_crm,
    print_json,
    with_crm,
)
from tinycrm_server.commands.failing import Failed
from tinycrm_server.owners.tables import Place


@click.command()
@with_crm(create=True)
def migrate(crm: TinyCRM) -> None:
    """Make the tables, or bring them to this version."""
    crm.migrate()
    if not isinstance(crm.store, MemoryStore):
        Place(crm.store).migrate()
    click.echo("The tables are up to date.")


@click.command()
@click.argument("target", type=click.Path(path_type=Path, dir_okay=False))
@on_database
def backup(database: str, target: Path) -> None:
    """Copy an SQLite database into a new file, while it is in use."""
    must_exist(database)
    url = checked_url(database)
    if url.get_backend_name() != "sqlite" or not url.database:
        raise Failed("only SQLite files are copied; PostgreSQL has pg_dump")
    if target.exists():
        raise Failed(f"{target} exists; give a new name")
    pages = copy_sqlite(Path(url.database), target)
    click.echo(f"{target} holds what {url.database} held a moment ago ({pages:,} pages).")


def copy_sqlite(source: Path, target: Path) -> int:
    """Copy a database that others may be writing to; the copy appears as a whole or not at all."""
    part = target.with_name(f".{target.name}.{os.getpid()}")
    pages = 0

    def progress(status: int, remaining: int, total: int) -> None:
        nonlocal pages
        pages = total

    try:
        part.touch(mode=0o600)
        with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(part)) as new:
            old.backup(new, pages=-1, progress=progress)
            new.execute("PRAGMA journal_mode=DELETE")
            if (found := new.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
                raise Failed(f"{source} is damaged: {found}")
        os.link(part, target)
    except sqlite3.Error as error:
        raise Failed(f"{source} could not be copied: {error}") from None
    finally:
        part.unlink(missing_ok=True)
    return pages


@click.command()
@click.option(
    "--key",
    envvar="TINYCRM_API_KEY",
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

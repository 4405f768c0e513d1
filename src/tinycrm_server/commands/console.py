"""What the commands share: the database they open, and how they print."""

from __future__ import annotations

import functools
import json
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import click
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from tinycrm_core.client import TinyCRM
from tinycrm_core.errors import InvalidInput
from tinycrm_core.model import Json
from tinycrm_server.commands.failing import Failed

DEFAULT = "sqlite:///tinycrm.db"


def on_database(command: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a command the option --database."""
    return click.option(
        "--database",
        envvar="TINYCRM_DATABASE",
        default=DEFAULT,
        show_default=True,
        show_envvar=True,
        metavar="URL",
        help="Where the customers are: an SQLAlchemy URL.",
    )(command)


def with_crm(*, create: bool = False) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Gives a command --database and, as its first argument, the opened TinyCRM.

    A command that does not `create` refuses an SQLite file that is not there, which is more often
    a mistyped name than a wish for an empty database.
    """

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @on_database
        @functools.wraps(command)
        def run(*args: Any, database: str, **options: Any) -> Any:
            if not create:
                must_exist(database)
            crm = open_crm(database)
            try:
                return command(crm, *args, **options)
            finally:
                crm.close()

        return run

    return decorate


def open_crm(database: str) -> TinyCRM:
    """A TinyCRM on a database URL; InvalidInput for what is none, without repeating it."""
    if not database.startswith("memory://"):
        checked_url(database)
    return TinyCRM(database)


def checked_url(database: str) -> Any:
    """The parsed URL. Never part of a message, as it may hold a password."""
    try:
        return make_url(database)
    except (ArgumentError, ValueError):
        raise InvalidInput(
            "database: not a database URL, such as sqlite:///crm.db", field="database"
        ) from None


def masked(database: str) -> str:
    """A database URL for people, its password replaced by stars."""
    if database.startswith("memory://"):
        return database
    return str(checked_url(database).render_as_string(hide_password=True))


def missing_file(database: str) -> str | None:
    """The name of the SQLite file that a URL means and that does not exist, or None."""
    if database.startswith("memory://"):
        return None
    url = checked_url(database)
    name = url.database
    if url.get_backend_name() != "sqlite" or not name or name == ":memory:":
        return None
    return None if name.startswith("file:") or Path(name).exists() else str(name)


def must_exist(database: str) -> None:
    """Failed when a URL means an SQLite file that does not exist."""
    name = missing_file(database)
    if name is not None:
        raise Failed(f"there is no database {name}; `tinycrm migrate` makes one")


def print_json(value: Json) -> None:
    """One JSON document on stdout."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))


def plain(text: object) -> Text:
    """Text that cannot steer a terminal and is not read as markup."""
    return Text("".join(each if each.isprintable() else "�" for each in str(text)))


def console(*, err: bool = False) -> Console:
    """Where tables go; without a terminal, wide enough for nothing to be cut."""
    stream = sys.stderr if err else sys.stdout
    width = None if stream.isatty() or "COLUMNS" in os.environ else 240
    return Console(file=stream, highlight=False, markup=False, emoji=False, width=width)


def print_table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table for people; columns that start with `#` hold numbers."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for head in heads:
        table.add_column(
            head.removeprefix("#"), justify="right" if head[0] == "#" else "left", overflow="fold"
        )
    for row in rows:
        table.add_row(*(each if isinstance(each, Text) else plain(each) for each in row))
    console().print(table)

"""The commands of `tinycrm` inside the command line of a host, on the host's database."""

from __future__ import annotations

import copy
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from tinycrm_core.errors import NotSupported

if TYPE_CHECKING:
    import click

GROUP = "tinycrm.commands"
"""The entry points under which a package offers a click group of commands."""


def find_commands(url: str | None) -> dict[str, click.Command]:
    """The commands there are, by name; their option --database is fixed to `url`.

    Empty where the command line is not installed: pip install 'tinycrm[server]'.
    """
    found: dict[str, click.Command] = {}
    for entry in entry_points(group=GROUP):
        try:
            group = entry.load()
        except ModuleNotFoundError as error:
            if (error.name or "").startswith("tinycrm"):
                raise
            continue
        found |= {name: _on_database(each, url) for name, each in group.commands.items()}
    return found


def database_url(where: object) -> str | None:
    """The URL under which another process finds the same data, password included.

    `where` is a URL or an SQLAlchemy engine. None for memory, and for a server that takes calls.
    """
    if isinstance(where, str):
        return None if where.startswith(("memory:", "http:", "https:", "tcrm_")) else where
    url = getattr(where, "url", None)
    return None if url is None else str(url.render_as_string(hide_password=False))


def _on_database(command: Any, url: str | None) -> Any:
    """The same command, whose option --database nobody has to give, and no variable overrides."""
    command = copy.copy(command)
    if hasattr(command, "commands"):
        command.commands = {
            name: _on_database(each, url) for name, each in command.commands.items()
        }
    command.params = [
        _fixed(each, url) if each.name == "database" else each for each in command.params
    ]
    return command


def _fixed(option: Any, url: str | None) -> Any:
    option = copy.copy(option)
    option.envvar, option.show_envvar, option.hidden = None, False, True
    option.default = url if url is not None else _no_database
    option.show_default = False
    return option


def _no_database() -> str:
    raise NotSupported(
        "this application keeps its customers elsewhere: run `tinycrm` where they are"
    )

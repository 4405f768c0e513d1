"""The command `tinycrm` and its commands."""

from __future__ import annotations

from importlib.metadata import version

import click

from tinycrm_server.commands import database, owners, people, projects, serving, transfer
from tinycrm_server.commands.failing import Commands


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("tinycrm"), prog_name="tinycrm")
def main() -> None:
    """One row per person, one badge per product."""


for _command in (
    serving.demo,
    serving.serve,
    database.migrate,
    database.doctor,
    database.backup,
    owners.owner,
    projects.project,
    projects.key,
    people.customers,
    people.show,
    people.merge,
    people.undo_merge,
    transfer.import_,
    transfer.export,
):
    main.add_command(_command)

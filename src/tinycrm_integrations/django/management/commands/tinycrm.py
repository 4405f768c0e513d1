"""`manage.py tinycrm …`: every command of `tinycrm` on the project's database, and `backfill`."""

from __future__ import annotations

from argparse import REMAINDER
from collections.abc import Iterator
from typing import Any

import click
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from tinycrm_core.errors import InvalidInput, InvalidKey, TinyCRMError
from tinycrm_integrations.backfill import BATCH, backfill
from tinycrm_integrations.commands import database_url, find_commands
from tinycrm_integrations.django import conf, opened
from tinycrm_integrations.django.verified import mapping_of

_OF_DJANGO = ("--settings", "--pythonpath")


class Command(BaseCommand):
    """Hands everything after its name to click."""

    help = "One row per person, one badge per product: `manage.py tinycrm --help`."
    requires_system_checks: list[str] = []  # noqa: RUF012 - as Django declares it

    def run_from_argv(self, argv: list[str]) -> None:
        """From the command line, where `--help` and every option belong to click."""
        group().main(_without_django(argv[2:]), prog_name=f"{argv[0]} {argv[1]}")

    def add_arguments(self, parser: CommandParser) -> None:
        """For `call_command("tinycrm", "customers", "status:paid")`."""
        parser.add_argument("arguments", nargs=REMAINDER)

    def handle(self, *_: Any, arguments: list[str], **__: Any) -> None:
        """From `call_command`."""
        try:
            group().main(arguments, prog_name="manage.py tinycrm", standalone_mode=False)
        except click.ClickException as error:
            raise CommandError(error.format_message()) from None


def group() -> click.Group:
    """All commands, on the database that the settings name."""
    try:
        settings = conf.read()
        url = None if settings.is_remote else database_url(opened.where(settings))
    except TinyCRMError as error:
        raise CommandError(str(error)) from None
    commands = {"backfill": backfill_command, **find_commands(url)}
    return Commands("tinycrm", commands=commands, help="One row per person, one badge per product.")


class Commands(click.Group):
    """What TinyCRM refuses is one line; 2 for bad input and 1 for the rest, as everywhere."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except TinyCRMError as error:
            wrong = isinstance(error, InvalidInput | InvalidKey)
            raise (Misused if wrong else click.ClickException)(str(error)) from None


class Misused(click.ClickException):
    """Ends a command because of bad input."""

    exit_code = 2


@click.command("backfill")
@click.option("--after", metavar="ID", help="Go on behind this user, as an earlier run said.")
@click.option("--batch", type=click.IntRange(1, 5000), default=BATCH, show_default=True)
@click.option("--dry-run", is_flag=True, help="Say what would happen; write nothing.")
def backfill_command(after: str | None, batch: int, dry_run: bool) -> None:
    """Report the users there are already.

    Nobody's status or activity changes, so it may be stopped and run again at any time.
    """
    settings = conf.read()
    with opened.open_client(settings, background=False) as crm:
        _backfill(crm.bound, settings, after, batch, dry_run=dry_run)


def _backfill(
    project: Any, settings: conf.Settings, after: str | None, batch: int, *, dry_run: bool
) -> None:
    users = _users(after, batch)
    mapping = mapping_of(settings)
    total = get_user_model()._default_manager.count()
    done = None
    for done in backfill(project, users, mapping, dry_run=dry_run, batch=batch):
        click.echo(
            f"{done.users:,} of {total:,} users; go on with --after {done.last.pk}", err=True
        )
    if done is None:
        click.echo("There are no users.")
        return
    word = "would be reported" if dry_run else "reported"
    click.echo(f"{done.reported:,} {word}, {done.skipped:,} skipped, {done.refused:,} refused.")
    for reason in done.reasons:
        click.echo(f"  refused: {reason}", err=True)


def _users(after: str | None, batch: int) -> Iterator[Any]:
    """All users by key, in short queries, so that no transaction stays open in between."""
    model = get_user_model()
    try:
        last = None if after is None else model._meta.pk.to_python(after)
    except ValidationError:
        raise click.BadParameter(f"{after!a} is no id of a user", param_hint="--after") from None
    while True:
        users = model._default_manager.order_by("pk")
        some = list((users if last is None else users.filter(pk__gt=last))[:batch])
        yield from some
        if len(some) < batch:
            return
        last = some[-1].pk


def _without_django(arguments: list[str]) -> list[str]:
    """What is left when manage.py has taken its own options."""
    left, rest = [], iter(arguments)
    for each in rest:
        name, sign, _ = each.partition("=")
        if name not in _OF_DJANGO:
            left.append(each)
        elif not sign:
            next(rest, None)
    return left

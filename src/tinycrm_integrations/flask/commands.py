"""`flask tinycrm …`: the users there are already, and every command of `tinycrm`."""

from __future__ import annotations

from typing import Any

import click
import flask
from flask.cli import ScriptInfo, with_appcontext

from tinycrm_core.errors import TinyCRMError
from tinycrm_integrations import startup
from tinycrm_integrations.backfill import Progress, backfill
from tinycrm_integrations.commands import database_url, find_commands
from tinycrm_integrations.flask.extension import MIGRATE, NAME, State


class Commands(click.Group):
    """Its own commands, and those of `tinycrm` on the database of the application."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names."""
        return sorted({*super().list_commands(ctx), *find_commands(None)})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """One command; the application is loaded for those that need its database."""
        own = super().get_command(ctx, cmd_name)
        if own is not None:
            return own
        names = find_commands(None)
        if not names:
            raise click.ClickException("these commands need: pip install 'tinycrm[server]'")
        if cmd_name not in names:
            return None
        app = ctx.ensure_object(ScriptInfo).load_app()
        return find_commands(database_url(app.config.get("TINYCRM_DATABASE")))[cmd_name]

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; what TinyCRM refuses is one line and no traceback."""
        try:
            return super().invoke(ctx)
        except TinyCRMError as error:
            raise click.ClickException(str(error)) from None


@click.group(NAME, cls=Commands)
def tinycrm() -> None:
    """One row per person, one badge per product."""


@tinycrm.command("backfill")
@click.option("--dry-run", is_flag=True, help="Say what would happen; write nothing.")
@with_appcontext
def backfill_command(dry_run: bool) -> None:
    """Report the users there are already.

    Nobody's status or activity changes, so it may be stopped and run again at any time.
    """
    state = _state()
    if state.user_query is None:
        raise click.ClickException(
            "which users? Decorate the function that gives all of them with @crm.all_users"
        )
    reporter, done = state.reporter, Progress()
    for done in backfill(reporter.crm.bound, state.user_query(), reporter.mapping, dry_run=dry_run):
        click.echo(f"{done.users:,} users …", err=True)
    word = "would be reported" if dry_run else "reported"
    click.echo(f"{done.reported:,} {word}, {done.skipped:,} skipped, {done.refused:,} refused.")
    for reason in done.reasons:
        click.echo(f"  refused: {reason}", err=True)


@tinycrm.command("check")
@with_appcontext
def check_command() -> None:
    """Say what is wrong where people are kept, and what to do.

    Ends with 1 if anything is.
    """
    startup.refuse(_state().crm, migrate=MIGRATE)
    click.echo("Nothing is wrong: events are taken.")


def _state() -> State:
    state = flask.current_app.extensions.get(NAME)
    if isinstance(state, State):
        return state
    raise click.ClickException("this application has no TinyCRM: call init_app(app) first")

"""Who may log in to the server."""

from __future__ import annotations

import click

from tinycrm_core.client import TinyCRM
from tinycrm_server.commands.console import print_json, print_table, with_crm
from tinycrm_server.commands.failing import Commands
from tinycrm_server.owners.owners import Owners
from tinycrm_server.owners.tables import Place

ACCOUNT = click.option("--account", default="default", show_default=True, help="The account.")
PASSWORD = click.password_option(
    "--password", envvar="TINYCRM_OWNER_PASSWORD", show_envvar=True,
    help="Asked for if left out. As an argument it is visible to others on this machine.",
)  # fmt: skip


@click.group(cls=Commands)
def owner() -> None:
    """People who log in to the server."""


@owner.command("add")
@click.argument("email")
@ACCOUNT
@PASSWORD
@with_crm(create=True)
def add(crm: TinyCRM, email: str, account: str, password: str) -> None:
    """Let somebody into an account. Who has a password already keeps it."""
    Owners(Place(crm.store)).add(email, password, account)
    click.echo(f"{email} may log in to {account}.")


@owner.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON document instead of a table.")
@with_crm()
def list_owners(crm: TinyCRM, as_json: bool) -> None:
    """List who may log in, and to what."""
    found = Owners(Place(crm.store)).list()
    if as_json:
        print_json([{"email": each.email, "accounts": list(each.accounts)} for each in found])
    else:
        print_table(("Owner", "Accounts"), [(e.email, ", ".join(e.accounts)) for e in found])


@owner.command("password")
@click.argument("email")
@PASSWORD
@with_crm()
def password(crm: TinyCRM, email: str, password: str) -> None:
    """Set somebody's password, which ends all their sessions."""
    Owners(Place(crm.store)).set_password(email, password)
    click.echo(f"{email} has a new password.")


@owner.command("remove")
@click.argument("email")
@click.option("--account", help="Only this account; all of them if left out.")
@with_crm()
def remove(crm: TinyCRM, email: str, account: str | None) -> None:
    """Keep somebody out from now on."""
    Owners(Place(crm.store)).remove(email, account)
    click.echo(f"{email} may no longer log in{f' to {account}' if account else ''}.")

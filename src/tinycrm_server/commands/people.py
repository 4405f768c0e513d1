"""Asking about people, and bringing two rows of one person together."""

from __future__ import annotations

from datetime import UTC, datetime

import click
from rich.text import Text

from tinycrm_core.client import TinyCRM
from tinycrm_core.model import ABSENT, Change, Customer, Membership
from tinycrm_core.query import MAX_LIMIT
from tinycrm_integrations.web.links import shown
from tinycrm_integrations.web.render import ago, day, moment
from tinycrm_server.commands.console import plain, print_json, print_table, with_crm
from tinycrm_server.commands.failing import Failed
from tinycrm_server.replies import customer_json

_SHAPES = {"free": "○", "trial": "◐", "paid": "●", "churned": "⊘"}
_STYLES = {"free": "", "trial": "", "paid": "bold", "churned": "dim"}


@click.command()
@click.argument("query", default="")
@click.option("--sort", default="-seen", show_default=True, help="A field, with - descending.")
@click.option("--limit", type=click.IntRange(1, MAX_LIMIT), default=20, show_default=True)
@click.option("--after", help="The cursor of the page before, as --json gives it.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document instead of a table.")
@with_crm()
def customers(
    crm: TinyCRM, query: str, sort: str, limit: int, after: str | None, as_json: bool
) -> None:
    """People who match a filter, such as 'status@a:free status@b:paid'."""
    page = crm.customers.find(query, sort=sort, limit=limit, after=after)
    if as_json:
        print_json({"customers": [customer_json(each) for each in page], "next": page.next})
        return
    now = datetime.now(UTC)
    if page.customers:
        print_table(("Name", "Email", "Products", "Last active"), (_row(e, now) for e in page))
    count = crm.customers.count(query)
    people = f"{count:,} {'person' if count == 1 else 'people'}"
    click.echo(f"{len(page):,} of {people}." if page.next or after else f"{people}.")


def _row(customer: Customer, now: datetime) -> tuple[object, ...]:
    badges = Text("  ").join(_badge(each) for each in customer.memberships)
    seen = customer.last_seen_at
    return customer.name or "", customer.email, badges, ago(seen, now) if seen else ""


def _badge(membership: Membership) -> Text:
    status = str(membership.status)
    return Text(f"{_SHAPES[status]} {membership.project} {status}", style=_STYLES[status])


@click.command()
@click.argument("email")
@click.option("--json", "as_json", is_flag=True, help="Everything known, as one JSON document.")
@with_crm()
def show(crm: TinyCRM, email: str, as_json: bool) -> None:
    """Everything about one person."""
    customer = crm.customers.get(email)
    if customer is None:
        raise Failed(f"there is nobody with the address {ascii(email)[1:-1]}")
    if as_json:
        print_json(crm.customers.export_person(email))
        return
    name = f"{customer.name} <{customer.email}>" if customer.name else customer.email
    click.echo(plain(name).plain)
    for alias in customer.aliases:
        click.echo(f"  also {plain(alias).plain}")
    since, seen = day(customer.created_at), customer.last_seen_at
    click.echo(f"  known since {since}" + (f", last active {moment(seen)}" if seen else ""))
    heads = ("Product", "Status", "Since", "Last active", "Params")
    print_table(heads, map(_facts, customer.memberships))
    history = crm.customers.history(email, limit=20)
    print_table(("When", "Product", "What changed", "Through"), map(_line, history))
    if history.next:
        click.echo("The newest 20 changes; `--json` has all of them.")


def _facts(each: Membership) -> tuple[object, ...]:
    params = "\n".join(f"{key}: {shown(value)}" for key, value in each.params.items())
    seen = each.last_active_at
    lines = Text("\n").join(plain(line) for line in params.split("\n"))
    return each.project, each.status, day(each.joined_at), day(seen) if seen else "", lines


def _line(change: Change) -> tuple[object, ...]:
    parts = []
    for field, (old, new) in change.changes.items():
        if field.startswith("@"):
            continue
        before = "" if old is ABSENT else f"{shown(old)} → "
        after = "removed" if new is ABSENT else shown(new)
        parts.append(f"{field.removeprefix('params.')} {before}{after}")
    parts += [f"{field} {shown(value)} (too late)" for field, value in change.late.items()]
    what = "; ".join(parts) or change.kind
    says = change.kind == "identify" or change.project
    kind = what if says else f"{change.kind} {change.email}"
    return moment(change.at), change.project or "", kind, change.via


@click.command()
@click.argument("keep")
@click.argument("absorb")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print the id of the merge as JSON.")
@with_crm()
def merge(crm: TinyCRM, keep: str, absorb: str, yes: bool, as_json: bool) -> None:
    """Make two people one: ABSORB's products and address move to KEEP."""
    crm.customers.preview_merge(keep, absorb)
    if not yes and not as_json:
        click.confirm(f"Move everything of {absorb} to {keep}?", abort=True, err=True)
    ident = crm.customers.merge(keep, absorb)
    if as_json:
        print_json({"merge": str(ident)})
    else:
        click.echo(f"Done. `tinycrm undo-merge {ident}` takes it back.")


@click.command("undo-merge")
@click.argument("ident", metavar="ID")
@with_crm()
def undo_merge(crm: TinyCRM, ident: str) -> None:
    """Take a merge back; ID is what `merge` printed."""
    crm.customers.undo_merge(ident)
    click.echo("Done: two people again.")

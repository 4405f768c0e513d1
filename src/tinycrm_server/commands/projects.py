"""Products and their API keys."""

from __future__ import annotations

import click

from tinycrm_core.client import TinyCRM
from tinycrm_core.errors import InvalidInput, NotFound
from tinycrm_core.times import from_micros
from tinycrm_integrations.web.render import day
from tinycrm_server.commands.console import print_json, print_table, with_crm
from tinycrm_server.commands.failing import Commands
from tinycrm_server.replies import key_json, project_json


@click.group(cls=Commands)
def project() -> None:
    """Products."""


@project.command("add")
@click.argument("slug")
@click.option("--name", help="How people read it; the slug if left out.")
@click.option("--hue", help="One of the twelve colours; the next unused one if left out.")
@with_crm(create=True)
def add(crm: TinyCRM, slug: str, name: str | None, hue: str | None) -> None:
    """Add a product."""
    made = crm.projects.add(slug, name=name, hue=hue)
    click.echo(f"Added {made.slug}. `tinycrm key create --project {made.slug}` makes its key.")


@project.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON document instead of a table.")
@with_crm()
def list_projects(crm: TinyCRM, as_json: bool) -> None:
    """List the products and how many people each has."""
    projects = crm.projects.list()
    people = dict(crm.customers.tally("", by="project"))
    if as_json:
        print_json(
            [{**project_json(each), "customers": people.get(each.slug, 0)} for each in projects]
        )
    else:
        rows = [(e.slug, e.name, e.hue, f"{people.get(e.slug, 0):,}") for e in projects]
        print_table(("Product", "Name", "Colour", "#People"), rows)


@click.group(cls=Commands)
def key() -> None:
    """API keys."""


@key.command("create")
@click.option("--project", help="A key that writes to this product.")
@click.option("--scope", type=click.Choice(["read", "admin"]), help="A key of the whole account.")
@click.option("--label", default="", help="What tells it from the others.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@with_crm(create=True)
def create(crm: TinyCRM, project: str | None, scope: str | None, label: str, as_json: bool) -> None:
    """Make a key and print it, the only time it is seen."""
    if (project is None) == (scope is None):
        raise InvalidInput("give either --project or --scope", field="project")
    if project is not None:
        made = crm.keys.create(project=project, label=label)
    else:
        made = crm.keys.create(scope="admin" if scope == "admin" else "read", label=label)
    if as_json:
        print_json({"key": made.secret, "hint": made.hint, "project": project, "scope": scope})
    else:
        click.echo(made.secret)
        click.echo("This is the only time it is shown.", err=True)


@key.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON document instead of a table.")
@with_crm()
def list_keys(crm: TinyCRM, as_json: bool) -> None:
    """List the keys, without the secret part."""
    keys = crm.keys.list()
    if as_json:
        print_json([key_json(each, slug) for each, slug in keys])
        return
    rows = [
        (
            each.id,
            each.hint,
            each.label,
            slug or each.scope,
            day(from_micros(each.created_at)),
            day(from_micros(each.last_used_at)) if each.last_used_at else "never",
            "revoked" if each.revoked_at else "live",
        )
        for each, slug in keys
    ]
    print_table(("Id", "Key", "Label", "For", "Made", "Last used", "State"), rows)


@key.command("revoke")
@click.argument("ident", metavar="ID")
@with_crm()
def revoke(crm: TinyCRM, ident: str) -> None:
    """End a key; ID is what `key list` shows, in full or as its beginning."""
    found = [each for each, _ in crm.keys.list() if str(each.id).startswith(ident.lower())]
    if not ident or len(found) != 1:
        raise NotFound("there is no such key" if not found else "more than one key begins so")
    crm.keys.revoke(found[0].id)
    click.echo(f"Revoked {found[0].hint}.")

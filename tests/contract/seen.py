"""What an account shows, for comparing before with after and one backend with another."""

from __future__ import annotations

from typing import Any

from tinycrm_core import Customer, TinyCRM


def everything(crm: TinyCRM) -> dict[str, Any]:
    """All that the public calls show of an account."""
    people = list(crm.customers.stream())
    return {
        "people": {each.email: crm.customers.export_person(each.email) for each in people},
        "projects": crm.projects.list(),
        "params": crm.projects.params(),
        "segments": crm.segments.list(),
        "keys": crm.keys.list(),
        "imports": crm.imports.list(),
    }


def visible(customer: Customer) -> dict[str, Any]:
    """A customer without what differs by chance: the id."""
    return {
        "email": customer.email,
        "aliases": customer.aliases,
        "name": customer.name,
        "created": customer.created_at,
        "seen": customer.last_seen_at,
        "memberships": {
            each.project: (
                str(each.status),
                repr_json(each.params),
                each.joined_at,
                each.last_active_at,
            )
            for each in customer.memberships
        },
    }


def repr_json(value: Any) -> str:
    """Text that keeps 1, 1.0 and true apart and does not know the order of keys."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key!r}: {repr_json(value[key])}" for key in sorted(value)) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(repr_json, value)) + "]"
    return repr(value)

"""The people of the contracts, and what is asked about them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tinycrm_core.client import TinyCRM
from tinycrm_core.model import Customer, Json, Membership

START = datetime(2026, 1, 1, tzinfo=UTC)
ALICE, BOB = "alice@example.com", "bob@example.com"


def day(number: float) -> datetime:
    """A time that many days after `START`."""
    return START + timedelta(days=number)


def person(crm: TinyCRM, email: str = ALICE) -> Customer:
    """The customer an address leads to, who must be there."""
    found = crm.customers.get(email)
    assert found is not None, f"{email} is not stored"
    return found


def on(crm: TinyCRM, project: str = "shop", email: str = ALICE) -> Membership:
    """The membership of a customer on a product, which must be there."""
    found = person(crm, email).on(project)
    assert found is not None, f"{email} is not on {project}"
    return found


def exactly(left: Json, right: Json) -> bool:
    """Equal as JSON: 1, 1.0 and true are different, the order of keys does not matter."""
    if isinstance(left, dict) and isinstance(right, dict):
        same_keys = left.keys() == right.keys()
        return same_keys and all(exactly(value, right[key]) for key, value in left.items())
    if isinstance(left, list) and isinstance(right, list):
        same_length = len(left) == len(right)
        return same_length and all(map(exactly, left, right))
    return type(left) is type(right) and bool(left == right)

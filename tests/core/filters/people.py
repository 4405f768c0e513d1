"""Customers made by hand for the tests of this folder."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from tinycrm_core.filters import matches, parse
from tinycrm_core.model import Customer, Membership, Status
from tinycrm_core.times import to_micros

NOW = datetime(2026, 3, 31, 10, 30, tzinfo=UTC)


def ago(**units: float) -> datetime:
    return NOW - timedelta(**units)


def on(project: str, status: str = "free", **others: Any) -> Membership:
    """A membership; what is not given is unremarkable."""
    return Membership(
        project,
        Status(status),
        others.get("params", {}),
        others.get("joined", ago(days=100)),
        others.get("active"),
    )


def person(*memberships: Membership, email: str = "sam@example.com", **others: Any) -> Customer:
    return Customer(
        uuid.UUID(int=1),
        email,
        others.get("name"),
        others.get("created", ago(days=100)),
        others.get("seen"),
        others.get("aliases", ()),
        memberships,
    )


def having(**params: Any) -> Customer:
    """Somebody with these params on one product."""
    return person(on("a", params=params))


def holds(text: str, customer: Customer) -> bool:
    """Whether a filter text, asked at `NOW`, finds the customer."""
    return matches(parse(text), customer, now=to_micros(NOW))

"""What TinyCRM hands out: plain values, copied from the store, safe to keep and to change."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal, TypeAlias
from uuid import UUID

Json: TypeAlias = Any
"""A JSON value: None, bool, int, float, str, list or dict with str keys."""


class Status(StrEnum):
    """Where a person stands with one product. Compares equal to its plain string."""

    FREE = "free"
    TRIAL = "trial"
    PAID = "paid"
    CHURNED = "churned"


@dataclass(frozen=True, slots=True)
class Project:
    """One product. `slug` names it everywhere, `hue` is one of `HUES`."""

    slug: str
    name: str
    hue: str
    created_at: datetime


HUES = (
    "leaf",
    "violet",
    "amber",
    "sky",
    "slate",
    "clay",
    "orchid",
    "teal",
    "olive",
    "cobalt",
    "rose",
    "cocoa",
)
"""The colours a project can have, in the order in which new projects take them."""


@dataclass(frozen=True, slots=True)
class Membership:
    """One person on one product; times are aware UTC datetimes.

    `last_active_at` is None for somebody who was recorded but never seen active there.
    """

    project: str
    status: Status
    params: dict[str, Json]
    joined_at: datetime
    last_active_at: datetime | None


@dataclass(frozen=True, slots=True)
class Customer:
    """One person: the canonical email, every alias that leads here, one membership per product.

    Memberships come in the order of the account's projects.
    """

    id: UUID
    email: str
    name: str | None
    created_at: datetime
    last_seen_at: datetime | None
    aliases: tuple[str, ...] = ()
    memberships: tuple[Membership, ...] = ()

    def on(self, project: str) -> Membership | None:
        """The membership on the product with this slug, or None."""
        return next((m for m in self.memberships if m.project == project), None)


@dataclass(frozen=True, slots=True)
class Result:
    """What one `identify()` did.

    `action` is `created` (a new person), `updated` or `unchanged`; `joined` tells that the person
    is new on this product; `changed` names what differs now: `name`, `status`, `params.<key>`.
    A call that waits in a queue is `queued`; only then is `customer_id` None.
    """

    action: Literal["created", "updated", "unchanged", "queued"]
    customer_id: UUID | None
    joined: bool = False
    changed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """One entry of a customer's history.

    `kind` is `identify`, `merge`, `undo_merge` or `rename`; `via` tells through what it came.
    `changes` maps a field (`name`, `status`, `params.<key>`) to `(old, new)`; a value that was
    absent is `ABSENT`. `late` holds the fields of an event that arrived after a newer one:
    recorded, but without effect.
    """

    at: datetime
    event_at: datetime
    kind: str
    via: str
    project: str | None
    email: str
    changes: dict[str, tuple[Json, Json]]
    late: dict[str, Json] = field(default_factory=dict)
    batch: UUID | None = None

    def to_json(self) -> dict[str, Json]:
        """A JSON object; an absent old or new value is left out."""
        changes = {
            name: {
                key: value
                for key, value in zip(("old", "new"), pair, strict=True)
                if value is not ABSENT
            }
            for name, pair in self.changes.items()
        }
        return {
            "at": self.at.isoformat(),
            "event_at": self.event_at.isoformat(),
            "kind": self.kind,
            "via": self.via,
            "project": self.project,
            "email": self.email,
            "changes": changes,
            "late": self.late,
            "batch": None if self.batch is None else str(self.batch),
        }


class History(list[Change]):
    """A page of changes, newest first; `next` is the cursor of the older ones, or None."""

    next: str | None = None


class _Absent:
    """Stands for «there was no value», which JSON's null cannot."""

    _instance: _Absent | None = None

    def __new__(cls) -> _Absent:
        if cls._instance is None:
            cls._instance = super().__new__(cls)
        return cls._instance

    def __repr__(self) -> str:
        return "ABSENT"

    def __bool__(self) -> bool:
        return False

    def __reduce__(self) -> str:
        return "ABSENT"


ABSENT = _Absent()


@dataclass(frozen=True, slots=True)
class Page:
    """One page of customers: iterate over it; `next` is the cursor of the page after, or None."""

    customers: tuple[Customer, ...]
    next: str | None = None

    def __iter__(self) -> Iterator[Customer]:
        return iter(self.customers)

    def __len__(self) -> int:
        return len(self.customers)

    def __getitem__(self, index: int) -> Customer:
        return self.customers[index]

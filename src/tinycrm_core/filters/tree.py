"""The filter tree: what text and URL are read into, and what every backend answers from.

A filter is `And`, `Or`, `Not`, a `Condition` on the person, or `On`: conditions that hold on
one and the same membership, of a named product or of any. `And(())` is everybody.
Relative dates stay words in the tree, so that a saved filter means «the last 30 days» for ever.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Op: TypeAlias = Literal[
    "eq",
    "not",
    "in",
    "lt",
    "lte",
    "gt",
    "gte",
    "between",
    "contains",
    "starts",
    "exists",
    "missing",
]

CUSTOMER_FIELDS = ("email", "name", "words", "created", "seen", "projects")
"""`words` is a bare word: it must occur in the email, an alias or the name."""

MEMBERSHIP_FIELDS = ("project", "status", "joined", "active")
"""Besides these, a `Param`."""


@dataclass(frozen=True, slots=True)
class Word:
    """A literal as written without quotes: its type follows from what it is compared with.

    `29` equals the number and the string, `true` only the boolean, `null` only null, and
    `-30d` is a point in time where times are compared.
    """

    text: str


Scalar: TypeAlias = Word | str | bool | int | float | None
"""`str` is a quoted literal and only ever equals text; a number only ever equals numbers."""

Value: TypeAlias = Scalar | tuple[Scalar, ...]
"""`in` takes one or more, `between` exactly two (inclusive), `exists` and `missing` None."""


@dataclass(frozen=True, slots=True)
class Param:
    """A key inside params; more than one part leads into nested objects."""

    path: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Condition:
    """One comparison. `field` is a name of `CUSTOMER_FIELDS` or `MEMBERSHIP_FIELDS`, or a Param."""

    field: str | Param
    op: Op
    value: Value = None


@dataclass(frozen=True, slots=True)
class On:
    """Has a membership, on `project` (a slug) or on any product (None), with all `conditions`."""

    project: str | None
    conditions: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True)
class And:
    """All items hold; without items, everybody."""

    items: tuple[Filter, ...] = ()


@dataclass(frozen=True, slots=True)
class Or:
    """At least one item holds."""

    items: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The item does not hold; around an `On`, no such membership exists."""

    item: Filter


Filter: TypeAlias = And | Or | Not | On | Condition

EVERYBODY = And()

MAX_CONDITIONS = 50

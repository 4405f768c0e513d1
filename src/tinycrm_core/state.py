"""What a store keeps of one person: values with the event times that make merging order-free.

States are treated as immutable: rules build new ones and share what did not change, so a store
finds what to write by comparing a state with the one it loaded. Times are microseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, dataclass_transform
from uuid import UUID

from tinycrm_core.model import Json

T = TypeVar("T")

DEFAULT_AT = 0
"""The event time of a value nobody wrote: older than any explicit one."""


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def immutable(cls: type[T]) -> type[T]:
    """A dataclass that a type checker takes for a frozen one.

    Frozen by Python as well it would take four times as long to make, and every event makes seven.
    """
    return dataclass(slots=True, unsafe_hash=True)(cls)


@immutable
class Marks:
    """Event times of single param keys, where the membership's `params_at` does not tell.

    `at`: when a key's value was written. `gone`: when a key was unset. `once`: the `set_once`
    writes that are newer than anything explicit, oldest first, as `(time, value)`: the first of
    them shows wherever the key has no explicit value.
    """

    at: Mapping[str, int] = field(default_factory=dict)
    gone: Mapping[str, int] = field(default_factory=dict)
    once: Mapping[str, tuple[tuple[int, Json], ...]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.at or self.gone or self.once)

    def to_json(self) -> dict[str, Any] | None:
        """JSON for a column; None when there is nothing to say."""
        parts = {
            "at": dict(self.at),
            "gone": dict(self.gone),
            "once": {key: [list(each) for each in writes] for key, writes in self.once.items()},
        }
        return {name: part for name, part in parts.items() if part} or None

    @classmethod
    def from_json(cls, value: Mapping[str, Any] | None) -> Marks:
        """The inverse of `to_json`."""
        if not value:
            return NO_MARKS
        once = value.get("once", {})
        return cls(
            value.get("at", {}),
            value.get("gone", {}),
            {key: tuple((at, each) for at, each in writes) for key, writes in once.items()},
        )


NO_MARKS = Marks()


@immutable
class MembershipState:
    """One person on one product. Keys of `params` without a mark were written at `params_at`."""

    joined_at: int
    last_active_at: int | None = None
    status: str = "free"
    status_at: int = DEFAULT_AT
    params: Mapping[str, Json] = field(default_factory=dict)
    params_at: int = DEFAULT_AT
    marks: Marks = NO_MARKS

    def to_json(self) -> list[Any]:
        """A compact JSON form, used inside `CustomerState.strands`."""
        return [
            self.joined_at,
            self.last_active_at,
            self.status,
            self.status_at,
            dict(self.params),
            self.params_at,
            self.marks.to_json(),
        ]

    @classmethod
    def from_json(cls, value: list[Any]) -> MembershipState:
        """The inverse of `to_json`."""
        joined_at, last_active_at, status, status_at, params, params_at, marks = value
        return cls(
            joined_at,
            last_active_at,
            status,
            status_at,
            params,
            params_at,
            Marks.from_json(marks),
        )


@immutable
class CustomerState:
    """One person. `emails` holds the primary address first, then every alias.

    `strands` is empty until people are merged. Then it holds one state per original person, each
    fed by the calls that arrive under its own addresses; the customer is their join, and undoing
    a merge takes strands out again.
    """

    id: UUID
    emails: tuple[str, ...]
    created_at: int
    name: str | None = None
    name_at: int = DEFAULT_AT
    memberships: Mapping[int, MembershipState] = field(default_factory=dict)
    strands: tuple[CustomerState, ...] = ()

    @property
    def email(self) -> str:
        """The canonical email that identifies this person."""
        return self.emails[0]

    @property
    def last_seen_at(self) -> int | None:
        """The newest activity on any product."""
        newest = None
        for membership in self.memberships.values():
            at = membership.last_active_at
            if at is not None and (newest is None or at > newest):
                newest = at
        return newest

    def to_json(self) -> list[Any]:
        """A compact JSON form of a strand."""
        memberships = {str(key): m.to_json() for key, m in self.memberships.items()}
        return [str(self.id), self.emails, self.created_at, self.name, self.name_at, memberships]

    @classmethod
    def from_json(cls, value: list[Any]) -> CustomerState:
        """The inverse of `to_json`."""
        ident, emails, created_at, name, name_at, memberships = value
        states = {int(key): MembershipState.from_json(m) for key, m in memberships.items()}
        return cls(UUID(ident), tuple(emails), created_at, name, name_at, states)


@immutable
class Entry:
    """One history row as stored.

    `id` follows from the event, so that a repeated event cannot be recorded twice. `strand` is
    the original person whose address was used. `changes` maps a field to `{"old", "new",
    "old_at"}`, where a missing `old` or `new` means absent; `late` maps a field to the value that
    came too late.
    """

    id: UUID
    customer_id: UUID
    strand: UUID
    email: str
    at: int
    event_at: int
    kind: str
    via: str
    project_id: int | None = None
    changes: Mapping[str, Mapping[str, Json]] = field(default_factory=dict)
    late: Mapping[str, Json] = field(default_factory=dict)
    batch: UUID | None = None


@immutable
class Write:
    """One person to save: `before` None is a new person, `after` None deletes everything."""

    before: CustomerState | None
    after: CustomerState | None
    entries: tuple[Entry, ...] = ()


@immutable
class ProjectState:
    """One product as stored. `id` is never given to another product of the account.

    `place` orders the products; of two with the same place the older one comes first.
    """

    id: int
    slug: str
    name: str
    hue: str
    created_at: int
    place: int = 0


@immutable
class MergeState:
    """One merge: `strands` are the original people that moved from `absorb_id` to `keep_id`.

    Where several people were absorbed at once there is one for each, and all have the id of the
    first as their `group_id`.
    """

    id: UUID
    keep_id: UUID
    absorb_id: UUID
    keep_email: str
    absorb_emails: tuple[str, ...]
    strands: tuple[UUID, ...]
    at: int
    via: str
    undone_at: int | None = None
    group_id: UUID | None = None

    @property
    def act(self) -> UUID:
        """The id that undoes it, together with those that were absorbed at the same time."""
        return self.group_id or self.id


@immutable
class SegmentState:
    """A filter saved under a name, as text."""

    name: str
    filter: str
    created_at: int


@immutable
class KeyState:
    """One API key as stored: only the hash; `project_id` None is an account key with `scope`."""

    id: UUID
    hash: bytes
    hint: str
    kind: str
    scope: str
    project_id: int | None
    label: str
    created_at: int
    last_used_at: int | None = None
    revoked_at: int | None = None


@immutable
class BatchState:
    """One import: where it came from and what it did (`totals`)."""

    id: UUID
    project_id: int
    source: str
    created_at: int
    totals: Mapping[str, int] = field(default_factory=dict)
    finished_at: int | None = None
    undone_at: int | None = None


@immutable
class ParamKeyState:
    """A params key seen on a product: how many memberships have it, by type, with samples.

    `path` is encoded by `param_path`; `kinds` counts `text number boolean null date object array`
    (a date is counted as text too); `samples` holds up to 10 of the values seen, newest last.
    """

    project_id: int
    path: str
    count: int
    kinds: Mapping[str, int]
    samples: tuple[Json, ...]

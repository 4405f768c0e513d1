"""What a backend has to do: lock, load and save people, and answer queries. No rules here.

A transaction belongs to one account from its first statement on; there is no call that could
reach another tenant. Everything between `begin()` and its end happens or does not happen as a
whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol, TypeAlias
from uuid import UUID

from tinycrm_core.filters import Filter, On, Param
from tinycrm_core.model import Json
from tinycrm_core.query import WHOLE_HISTORY, After, HistoryQuery, Query
from tinycrm_core.state import (
    BatchState,
    CustomerState,
    Entry,
    KeyState,
    MergeState,
    ParamKeyState,
    ProjectState,
    SegmentState,
    Write,
)

Tally: TypeAlias = list[tuple[Json, int]]
"""Values with the number of people, most frequent first; not a dict, where true would be 1."""

Combinations: TypeAlias = list[tuple[frozenset[str], int]]
"""Sets of products (slugs) with the number of people who are on exactly these."""


@dataclass(frozen=True, slots=True)
class Totals:
    """Count, sum, average, smallest and largest of a numeric param; all None but count if empty."""

    count: int
    sum: int | float | None
    avg: float | None
    min: int | float | None
    max: int | float | None


class Transaction(Protocol):
    """One account, one unit of work. Errors leave nothing behind."""

    # People ---------------------------------------------------------------------------------
    def load(self, emails: Iterable[str], *, lock: bool = True) -> dict[str, CustomerState]:
        """People by canonical email, aliases included, keyed by the email asked for.

        With `lock` no other transaction can change them until this one ends. Two emails of one
        person give the same object.
        """
        ...

    def load_ids(self, ids: Iterable[UUID], *, lock: bool = True) -> dict[UUID, CustomerState]:
        """The same by customer id."""
        ...

    def claim(self, people: Mapping[str, UUID]) -> set[str]:
        """Take addresses nobody has; `people` maps each to the id of the customer to be saved.

        Returns those that are now ours. The others belong to somebody who was quicker and can be
        loaded. A claimed address must be saved in the same transaction.
        """
        ...

    def save(self, writes: Sequence[Write]) -> None:
        """Write what differs between `before` and `after`, and append the entries.

        Entries whose id exists already are left as they are. Derived data (search keys, param
        values, the registry of params keys) follows. An address can move from one write's person
        to another's. Merges stay, also those of a person who is removed.
        """
        ...

    def forget(self, digests: Iterable[bytes]) -> None:
        """Remember hashes of addresses that must not be stored again."""
        ...

    def forgotten(self, digests: Iterable[bytes]) -> set[bytes]:
        """Those of the given hashes that are remembered."""
        ...

    def secret(self) -> bytes:
        """A random secret of this account, made at its creation; keys the hashes of `forget`."""
        ...

    # Questions ------------------------------------------------------------------------------
    def find(self, query: Query) -> tuple[list[CustomerState], After | None]:
        """One page and, if there is more, where it ended."""
        ...

    def count(self, filter: Filter, now: int, cap: int | None = None) -> int:
        """How many people match; with `cap`, counting stops there and `cap` is the answer."""
        ...

    def tally(self, filter: Filter, by: str | Param, project: str | None, now: int) -> Tally:
        """How many matching people per `status`, per `project` (slug) or per value of a Param.

        A person counts once for each different value among their memberships (of `project`, or
        all). Params: scalar values; 29 and 29.0 are one value, true is not 1.
        """
        ...

    def aggregate(self, filter: Filter, param: Param, project: str | None, now: int) -> Totals:
        """Totals of a numeric param over the memberships of matching people."""
        ...

    def combinations(self, on: On, now: int) -> Combinations:
        """How many people have memberships that meet `on` on exactly which products.

        In any order; people without such a membership are left out.
        """
        ...

    # What surrounds people --------------------------------------------------------------------
    def history(self, customer_id: UUID, query: HistoryQuery = WHOLE_HISTORY) -> list[Entry]:
        """What is recorded of a person, newest first: by `at`, then id."""
        ...

    def move_history(self, source: UUID, target: UUID, strands: Iterable[UUID]) -> None:
        """Entries of these strands follow their strand from one customer to another."""
        ...

    def batch_entries(self, batch: UUID, after: UUID | None, limit: int) -> list[Entry]:
        """Entries of an import, ordered by (customer id, entry id), for people after `after`."""
        ...

    def merge(self, merge_id: UUID) -> MergeState | None: ...
    def merges(self, customer_id: UUID) -> list[MergeState]: ...
    def save_merge(self, merge: MergeState) -> None: ...

    def delete_merges(self, customer_ids: Iterable[UUID]) -> None:
        """Remove the merges in which one of these people stayed or went."""
        ...

    def projects(self) -> list[ProjectState]:
        """All products by their place."""
        ...

    def add_project(self, project: ProjectState) -> ProjectState:
        """Store a product behind all others; `id` 0 asks for a fresh id.

        If the slug exists, the stored one wins.
        """
        ...

    def save_project(self, project: ProjectState) -> None:
        """Another slug, name or colour for a product that is stored; its place stays."""
        ...

    def place_project(self, project_id: int, place: int) -> None:
        """Put a stored product where `place` others stand before it, or behind all others."""
        ...

    def delete_project(self, project_id: int) -> None:
        """Remove a product with its memberships, keys and registry; people stay."""
        ...

    def param_keys(self, project_id: int | None = None) -> list[ParamKeyState]: ...

    def segments(self) -> list[SegmentState]: ...
    def save_segment(self, segment: SegmentState) -> None: ...
    def delete_segment(self, name: str) -> bool: ...

    def keys(self) -> list[KeyState]: ...
    def save_key(self, key: KeyState) -> None: ...

    def touch_key(self, key_id: UUID, at: int) -> None:
        """Keep when a live key was last used, and nothing else of it."""
        ...

    def batches(self) -> list[BatchState]: ...
    def batch(self, batch_id: UUID) -> BatchState | None: ...
    def save_batch(self, batch: BatchState) -> None: ...


class Store(Protocol):
    """A place with transactions. Safe to share between threads and to inherit over a fork."""

    def begin(self, account: str, *, write: bool = True) -> AbstractContextManager[Transaction]:
        """A transaction of one account, which is created by the first one that writes.

        `write=False` promises to only read and takes no locks. Raises StoreError when the
        database cannot be used. A deadlock or serialization failure surfaces as `Retry`.
        """
        ...

    def find_key(self, digest: bytes) -> tuple[str, KeyState] | None:
        """The account and the state of a live API key; the only look-up across accounts."""
        ...

    def accounts(self) -> list[str]:
        """The slugs of all accounts, for the owner of the database."""
        ...

    def migrate(self) -> None:
        """Bring the tables to this version."""
        ...

    def check(self) -> list[str]:
        """What is wrong with the database, as sentences; empty when nothing is."""
        ...

    def close(self) -> None:
        """Give back what was opened; an engine of the host stays open."""
        ...


def moved(projects: Sequence[ProjectState], project_id: int, place: int) -> list[ProjectState]:
    """The products in their new order, once one of them has `place` others before it."""
    others = [each for each in projects if each.id != project_id]
    found = [each for each in projects if each.id == project_id]
    return [*others[:place], *found, *others[place:]]

"""What questions share: the transaction they read in, and how they look for candidates."""

from __future__ import annotations

from typing import Any, Protocol
from uuid import UUID

from sqlalchemy import Connection

from tinycrm_core.filters import Filter
from tinycrm_core.sql.candidates import Candidates, Rows, cheapest, counted
from tinycrm_core.sql.scope import Scope
from tinycrm_core.state import CustomerState, ProjectState

MANY = 100_000
"""Where counting ends when the smallest of several common conditions is wanted."""


class Reading(Protocol):
    """What questions need of a transaction."""

    tables: Any
    account_id: int
    has_trigrams: bool

    @property
    def connection(self) -> Connection: ...
    @property
    def dialect(self) -> str: ...
    def projects(self) -> list[ProjectState]: ...
    def load_ids(self, ids: Any, *, lock: bool = True) -> dict[UUID, CustomerState]: ...


def scope_of(tx: Reading, now: int) -> Scope:
    """What filters of this transaction are compiled for."""
    projects = {project.slug: project.id for project in tx.projects()}
    return Scope(tx.tables, tx.dialect, tx.account_id, projects, now)


def candidates_of(tx: Reading, filter: Filter, scope: Scope, cap: int) -> Candidates | None:
    """The smallest candidates for a filter, counted up to `cap`; None where no index helps."""

    def count(rows: Rows, limit: int) -> int:
        return int(tx.connection.scalar(counted(rows, limit)) or 0)

    return cheapest(filter, scope, count, cap, trigrams=tx.has_trigrams)

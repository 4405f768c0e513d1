"""One account, one database transaction."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from sqlalchemy import Connection, select

from tinycrm_core.filters import Filter, On, Param
from tinycrm_core.merge import drop_project
from tinycrm_core.query import After, Query
from tinycrm_core.sql import questions
from tinycrm_core.sql.changes import Changes
from tinycrm_core.sql.combinations import combinations
from tinycrm_core.sql.people import People, states
from tinycrm_core.sql.projects import Projects
from tinycrm_core.sql.registry import Known, Registry
from tinycrm_core.sql.tables import Tables
from tinycrm_core.state import CustomerState, ProjectState, Write
from tinycrm_core.store import Combinations, Tally, Totals


class SQLTransaction(Projects):
    """Implements `Transaction`. `connection` is inside a transaction that somebody else ends."""

    def __init__(
        self,
        connection: Connection,
        tables: Tables,
        people: People,
        *,
        has_trigrams: bool,
        known: Known,
    ) -> None:
        self._connection = connection
        self.tables = tables
        self.dialect = tables.dialect
        self.has_trigrams = has_trigrams
        self._people = people
        self._known = known
        self._claimed: dict[str, UUID] = {}

    @property
    def connection(self) -> Connection:
        self._people.send()
        return self._connection

    def enter(self, account: str, *, write: bool, opening: Sequence[str] = ()) -> None:
        """Find the account, or make it if this transaction writes."""
        rows = self._people.account(account, os.urandom(32) if write else None, opening)
        # Account 0 has nothing: what a reader finds in an account that nobody wrote to.
        self.account_id, self._secret = (rows[0][0], bytes(rows[0][1])) if rows else (0, b"")
        self._projects = [
            ProjectState(*project) for _, _, *project in rows if project[0] is not None
        ]
        self.registry = Registry(self.account_id, self._known)

    def finish(self) -> None:
        """Write what was put off to the end."""
        self._flush_registry()
        self._people.send()

    def commit(self) -> None:
        """The end, together with what was put off, where the driver can do that."""
        self._flush_registry()
        self._people.commit()

    def secret(self) -> bytes:
        return self._secret or os.urandom(32)

    # People ---------------------------------------------------------------------------------
    def load(self, emails: Iterable[str], *, lock: bool = True) -> dict[str, CustomerState]:
        wanted = list(dict.fromkeys(emails))
        if not wanted:
            return {}
        rows = self._people.by_email(self.account_id, wanted, lock=lock)
        owners = {email: state for state in states(rows) for email in state.emails}
        return {email: owners[email] for email in wanted if email in owners}

    def load_ids(self, ids: Iterable[UUID], *, lock: bool = True) -> dict[UUID, CustomerState]:
        wanted = list(dict.fromkeys(ids))
        if not wanted:
            return {}
        rows = self._people.by_id(self.account_id, wanted, lock=lock)
        found = {state.id: state for state in states(rows)}
        return {each: found[each] for each in wanted if each in found}

    def claim(self, people: Mapping[str, UUID]) -> set[str]:
        claimed = self._people.claim(self.account_id, sorted(people.items()))
        self._claimed |= {email: people[email] for email in claimed}
        return claimed

    def forgotten(self, digests: Iterable[bytes]) -> set[bytes]:
        wanted = sorted(digests)
        return self._people.forgotten(self.account_id, wanted) if wanted else set()

    def save(self, writes: Sequence[Write]) -> None:
        changes = Changes(self._people.encoding, self.registry)
        claimed = self._claimed if self.dialect == "postgresql" else {}
        changes.add(writes, claimed)
        self._claimed = {}
        self._people.save(self.account_id, changes)

    def delete_project(self, project_id: int) -> None:
        # Merged people remember the product in their strands as well.
        customers = self.tables.customers
        merged = select(customers.c.customer_id).where(
            customers.c.account_id == self.account_id, customers.c.strands.is_not(None)
        )
        people = self.load_ids(self.connection.execute(merged).scalars()).values()
        self.save([Write(state, drop_project(state, project_id)) for state in people])
        super().delete_project(project_id)

    # Questions ------------------------------------------------------------------------------
    def find(self, query: Query) -> tuple[list[CustomerState], After | None]:
        return questions.find(self, query)

    def count(self, filter: Filter, now: int, cap: int | None = None) -> int:
        return questions.count(self, filter, now, cap)

    def tally(self, filter: Filter, by: str | Param, project: str | None, now: int) -> Tally:
        return questions.tally(self, filter, by, project, now)

    def aggregate(self, filter: Filter, param: Param, project: str | None, now: int) -> Totals:
        return questions.aggregate(self, filter, param, project, now)

    def combinations(self, on: On, now: int) -> Combinations:
        return combinations(self, on, now)

"""Loading and saving people; the statements themselves are each dialect's own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol
from uuid import UUID

from tinycrm_core.sql.changes import Changes, Encoding
from tinycrm_core.sql.columns import loads
from tinycrm_core.state import NO_MARKS, CustomerState, Marks, MembershipState

PERSON = "c.customer_id, c.created_at, c.name, c.name_at, c.strands"
MEMBERSHIP = (
    "m.project_id, m.joined_at, m.last_active_at, m.status, m.status_at, m.params, m.params_at, "
    "m.marks"
)


ACCOUNT = """
SELECT a.account_id, a.secret, p.project_id, p.slug, p.name, p.hue, p.created_at
FROM {p}accounts a LEFT JOIN {p}projects p ON p.account_id = a.account_id
WHERE a.slug = %s ORDER BY p.project_id
"""
NEW_ACCOUNT = """
INSERT INTO {p}accounts (slug, secret, project_seq, created_at) VALUES (%s, %s, 0, %s)
ON CONFLICT DO NOTHING
"""


class People(Protocol):
    """What differs between SQLite and PostgreSQL about people, inside one transaction.

    Every call names the account.
    """

    encoding: Encoding

    def account(self, slug: str, secret: bytes | None) -> Sequence[Sequence[Any]]:
        """The account with one row for each product; with `secret` it is made if missing.

        Columns: account_id, secret, project_id, slug, name, hue, created_at.
        """
        ...

    def by_email(
        self, account_id: int, emails: Sequence[str], *, lock: bool
    ) -> Iterable[Sequence[Any]]:
        """Rows of `states`, for the people who have one of these addresses."""
        ...

    def by_id(self, account_id: int, ids: Sequence[UUID], *, lock: bool) -> Iterable[Sequence[Any]]:
        """The same for these ids."""
        ...

    def claim(self, account_id: int, people: Sequence[tuple[str, UUID]]) -> set[str]:
        """Take addresses, sorted, for these customers; returns those that were free."""
        ...

    def save(self, account_id: int, changes: Changes) -> None:
        """Write all rows, in an order that foreign keys allow."""
        ...


def states(rows: Iterable[Sequence[Any]]) -> dict[UUID, CustomerState]:
    """People from rows of their own columns, their addresses in order, and one membership each."""
    found: dict[UUID, CustomerState] = {}
    memberships: dict[Any, dict[int, MembershipState]] = {}
    for ident, created_at, name, name_at, strands, emails, project_id, *rest in rows:
        theirs = memberships.get(ident)
        if theirs is None:
            theirs = memberships[ident] = {}
            state = CustomerState(
                UUID(bytes=ident) if type(ident) is bytes else ident,
                _addresses(emails),
                created_at,
                name,
                name_at,
                theirs,
                tuple(map(CustomerState.from_json, _json(strands))) if strands else (),
            )
            found[state.id] = state
        if project_id is not None:
            joined_at, last_active_at, status, status_at, params, params_at, marks = rest
            theirs[project_id] = MembershipState(
                joined_at,
                last_active_at,
                status,
                status_at,
                _json(params),
                params_at,
                Marks.from_json(_json(marks)) if marks else NO_MARKS,
            )
    return found


def _addresses(value: Any) -> tuple[str, ...]:
    """Addresses in the order of their position, from an array or lines of `position:address`."""
    if type(value) is not str:
        return tuple(value)
    if "\n" not in value:
        return (value.partition(":")[2],)
    pairs = (line.partition(":") for line in value.split("\n"))
    return tuple(email for _, _, email in sorted(pairs, key=lambda pair: int(pair[0])))


def _json(value: Any) -> Any:
    return loads(value) if type(value) is str else value

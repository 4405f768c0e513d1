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
SELECT a.account_id, a.secret, p.project_id, p.slug, p.name, p.hue, p.created_at, p.place
FROM {p}accounts a LEFT JOIN {p}projects p ON p.account_id = a.account_id
WHERE a.slug = %s ORDER BY p.place, p.project_id
"""
NEW_ACCOUNT = """
INSERT INTO {p}accounts (slug, secret, project_seq, created_at) VALUES (%s, %s, 0, %s)
ON CONFLICT DO NOTHING
"""
FORGOTTEN = "SELECT digest FROM {p}forgotten WHERE account_id = %s AND digest "
PARAM_KEYS = """
SELECT path, count, kinds, samples FROM {p}param_keys
WHERE account_id = %s AND project_id = %s AND path """
SAVE_PARAM_KEYS = """
ON CONFLICT (account_id, project_id, path)
DO UPDATE SET count = excluded.count, kinds = excluded.kinds, samples = excluded.samples
"""


class People(Protocol):
    """What differs between SQLite and PostgreSQL about people, inside one transaction.

    Every call names the account.
    """

    encoding: Encoding

    def account(
        self, slug: str, secret: bytes | None, opening: Sequence[str] = ()
    ) -> Sequence[Sequence[Any]]:
        """The account with one row for each product; with `secret` it is made if missing.

        Columns: account_id, secret, project_id, slug, name, hue, created_at, place, in the order of
        places. The statements of `opening` run first.
        """
        ...

    def send(self) -> None:
        """Run what was put off. Called before anybody else uses the connection."""
        ...

    def commit(self) -> None:
        """Run what was put off and commit in the same round trip, where that can be."""
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
        """Write all rows, now or later in this transaction."""
        ...

    def forgotten(self, account_id: int, digests: Sequence[bytes]) -> set[bytes]:
        """Those of the given hashes that are stored."""
        ...

    def param_keys(
        self, account_id: int, project_id: int, paths: Sequence[str]
    ) -> Iterable[Sequence[Any]]:
        """Locks and loads these rows, which may be made to be locked.

        Columns: path, count, kinds, samples.
        """
        ...

    def save_param_keys(
        self, account_id: int, project_id: int, rows: Sequence[tuple[Any, ...]]
    ) -> None:
        """Write these rows; kinds and samples are JSON text. Those with a count of 0 go."""
        ...


def states(rows: Iterable[Sequence[Any]]) -> list[CustomerState]:
    """People from rows of their own columns, their addresses in order, and one membership each."""
    found: list[CustomerState] = []
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
                tuple(map(CustomerState.from_json, parsed(strands))) if strands else (),
            )
            found.append(state)
        if project_id is not None:
            joined_at, last_active_at, status, status_at, params, params_at, marks = rest
            theirs[project_id] = MembershipState(
                joined_at,
                last_active_at,
                status,
                status_at,
                parsed(params),
                params_at,
                Marks.from_json(parsed(marks)) if marks else NO_MARKS,
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


def parsed(value: Any) -> Any:
    """JSON as the driver gives it: text on SQLite, on PostgreSQL what it means already."""
    return loads(value) if type(value) is str else value

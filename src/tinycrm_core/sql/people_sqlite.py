"""People on SQLite: single rows, because a statement costs microseconds and no round trip."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import islice
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from tinycrm_core.sql.changes import SQLITE, Changes
from tinycrm_core.sql.direct import Direct
from tinycrm_core.sql.people import (
    ACCOUNT,
    FORGOTTEN,
    MEMBERSHIP,
    NEW_ACCOUNT,
    PARAM_KEYS,
    PERSON,
    SAVE_PARAM_KEYS,
)
from tinycrm_core.times import now

_CHUNK = 500


def _own(statement: str) -> str:
    return statement.replace("{p}", "tinycrm_").replace("%s", "?")


_ACCOUNT, _NEW_ACCOUNT = _own(ACCOUNT), _own(NEW_ACCOUNT)
_FORGOTTEN = f"{_own(FORGOTTEN)} IN (?)".replace("= ?", "= ?1")
_PARAM_KEYS = _own(f"{PARAM_KEYS} = %s")
_SAVE_PARAM_KEYS = f"""
INSERT INTO tinycrm_param_keys (account_id, project_id, path, count, kinds, samples)
VALUES (?, ?, ?, ?, ?, ?) {SAVE_PARAM_KEYS}
"""  # noqa: S608
_GONE_PARAM_KEY = """
DELETE FROM tinycrm_param_keys WHERE account_id = ? AND project_id = ? AND path = ?
"""

_PEOPLE = f"""
SELECT {PERSON}, (
    SELECT group_concat(a.position || ':' || a.email, char(10)) FROM tinycrm_customer_emails a
    INDEXED BY tinycrm_customer_emails_customer
    WHERE a.account_id = c.account_id AND a.customer_id = c.customer_id
), {MEMBERSHIP}
FROM tinycrm_customers c
LEFT JOIN tinycrm_memberships m
    ON m.account_id = c.account_id AND m.customer_id = c.customer_id
"""  # noqa: S608
_BY_EMAIL = f"""
{_PEOPLE} WHERE c.account_id = ?1 AND c.customer_id IN (
    SELECT customer_id FROM tinycrm_customer_emails WHERE account_id = ?1 AND email IN (?)
)
"""  # noqa: S608
_BY_ID = f"{_PEOPLE} WHERE c.account_id = ?1 AND c.customer_id IN (?)"
_TAKEN = "SELECT email FROM tinycrm_customer_emails WHERE account_id = ?1 AND email IN (?)"

# One statement for many people: for each statement that selects, FTS5 writes out what it has.
_SEARCHED = """
SELECT {} row_id, search FROM tinycrm_customers WHERE account_id = ?1 AND customer_id IN (?)
ORDER BY row_id
"""
_UNSEARCH = f"""
INSERT INTO tinycrm_search (tinycrm_search, rowid, search) {_SEARCHED.format("'delete',")}
"""
_SEARCH = f"INSERT INTO tinycrm_search (rowid, search) {_SEARCHED.format('')}"
_NEW_CUSTOMER = """
INSERT INTO tinycrm_customers (account_id, email, name, name_at, email_key, name_key, search,
    created_at, last_seen_at, project_count, standing, strands, customer_id)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_CUSTOMER = """
UPDATE tinycrm_customers SET email = ?2, name = ?3, name_at = ?4, email_key = ?5, name_key = ?6,
    search = ?7, created_at = ?8, last_seen_at = ?9, project_count = ?10, standing = ?11,
    strands = ?12
WHERE account_id = ?1 AND customer_id = ?13
"""
_SEEN = """
UPDATE tinycrm_customers SET last_seen_at = ?2, name_at = ?3
WHERE account_id = ?1 AND customer_id = ?4
"""
_EMAIL = """
INSERT INTO tinycrm_customer_emails (account_id, email, customer_id, position) VALUES (?, ?, ?, ?)
ON CONFLICT (account_id, email)
DO UPDATE SET customer_id = excluded.customer_id, position = excluded.position
"""
_LOST_EMAIL = """
DELETE FROM tinycrm_customer_emails WHERE account_id = ? AND email = ? AND customer_id = ?
"""
_NEW_MEMBERSHIP = """
INSERT INTO tinycrm_memberships (account_id, status, status_at, params, params_at, marks,
    joined_at, last_active_at, customer_id, project_id)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_MEMBERSHIP = """
UPDATE tinycrm_memberships SET status = ?2, status_at = ?3, params = ?4, params_at = ?5,
    marks = ?6, joined_at = ?7, last_active_at = ?8
WHERE account_id = ?1 AND customer_id = ?9 AND project_id = ?10
"""
_ACTIVE = """
UPDATE tinycrm_memberships SET last_active_at = ?2
WHERE account_id = ?1 AND customer_id = ?3 AND project_id = ?4
"""
_GONE_MEMBERSHIP = """
DELETE FROM tinycrm_memberships WHERE account_id = ? AND customer_id = ? AND project_id = ?
"""
_GONE_VALUE = """
DELETE FROM tinycrm_param_values WHERE account_id = ? AND path = ? AND kind = ? AND num = ?
    AND txt = ? AND customer_id = ? AND project_id = ?
"""
_NEW_VALUE = """
INSERT INTO tinycrm_param_values (account_id, path, kind, num, txt, customer_id, project_id)
VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING
"""
_ENTRY = """
INSERT INTO tinycrm_history (account_id, customer_id, entry_id, strand, email, at, event_at, kind,
    via, project_id, changes, late, batch_id)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING
"""
_GONE = (
    "DELETE FROM tinycrm_history WHERE account_id = ? AND customer_id = ?",
    "DELETE FROM tinycrm_customers WHERE account_id = ? AND customer_id = ?",
)


class SQLitePeople:
    """Implements `People`; the transaction has been a writing one from its start."""

    encoding = SQLITE

    def __init__(self, connection: Connection, *, has_trigrams: bool) -> None:
        self._direct = Direct(connection)
        self._has_trigrams = has_trigrams

    def account(
        self, slug: str, secret: bytes | None, opening: Sequence[str] = ()
    ) -> Sequence[Sequence[Any]]:
        for each in opening:
            self._direct.run(each)
        rows = self._direct.fetch(_ACCOUNT, (slug,))
        if not rows and secret is not None:
            self._direct.run(_NEW_ACCOUNT, (slug, secret, now()))
            rows = self._direct.fetch(_ACCOUNT, (slug,))
        return rows

    def send(self) -> None:
        """Nothing is ever put off: there are no round trips to save."""

    def commit(self) -> None:
        """Left to SQLAlchemy."""

    def by_email(
        self, account_id: int, emails: Sequence[str], *, lock: bool
    ) -> Iterable[Sequence[Any]]:
        return self._in_chunks(_BY_EMAIL, account_id, emails)

    def by_id(self, account_id: int, ids: Sequence[UUID], *, lock: bool) -> Iterable[Sequence[Any]]:
        return self._in_chunks(_BY_ID, account_id, [each.bytes for each in ids])

    def claim(self, account_id: int, people: Sequence[tuple[str, UUID]]) -> set[str]:
        # Nobody else writes now, so what is free stays free until it is saved.
        emails = [email for email, _ in people]
        taken = {row[0] for row in self._in_chunks(_TAKEN, account_id, emails)}
        return {email for email in emails if email not in taken}

    def _in_chunks(
        self, statement: str, account_id: int, values: Iterable[Any]
    ) -> Iterator[Sequence[Any]]:
        for text, each in _chunks(statement, account_id, values):
            yield from self._direct.fetch(text, each)

    def save(self, account_id: int, changes: Changes) -> None:
        account, direct = (account_id,), self._direct

        def run(statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
            if len(rows) == 1:
                direct.run(statement, account + rows[0])
            elif rows:
                direct.run_many(statement, (account + row for row in rows))

        def search(statement: str, idents: Sequence[Any]) -> None:
            if self._has_trigrams:
                for text, values in _chunks(statement, account_id, idents):
                    direct.run(text, values)

        search(_UNSEARCH, changes.unsearched)
        run(_NEW_CUSTOMER, changes.new_customers)
        run(_CUSTOMER, changes.customers)
        run(_SEEN, changes.seen)
        run(_EMAIL, changes.emails)
        run(_LOST_EMAIL, changes.lost_emails)
        search(_SEARCH, changes.searched)
        run(_GONE_MEMBERSHIP, changes.gone_memberships)
        run(_NEW_MEMBERSHIP, changes.new_memberships)
        run(_MEMBERSHIP, changes.memberships)
        run(_ACTIVE, changes.active)
        run(_GONE_VALUE, changes.gone_values)
        run(_NEW_VALUE, changes.new_values)
        for statement in _GONE:
            run(statement, changes.gone)
        run(_ENTRY, changes.entries)

    def forgotten(self, account_id: int, digests: Sequence[bytes]) -> set[bytes]:
        return {row[0] for row in self._in_chunks(_FORGOTTEN, account_id, digests)}

    def param_keys(
        self, account_id: int, project_id: int, paths: Sequence[str]
    ) -> Iterator[Sequence[Any]]:
        for path in paths:
            yield from self._direct.fetch(_PARAM_KEYS, (account_id, project_id, path))

    def save_param_keys(
        self, account_id: int, project_id: int, rows: Sequence[tuple[Any, ...]]
    ) -> None:
        key = (account_id, project_id)
        if gone := [(*key, row[0]) for row in rows if row[1] <= 0]:
            self._direct.run_many(_GONE_PARAM_KEY, gone)
        if kept := [key + row for row in rows if row[1] > 0]:
            self._direct.run_many(_SAVE_PARAM_KEYS, kept)


def _chunks(
    statement: str, account_id: int, values: Iterable[Any]
) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """The statement for some of the values after the other, with what it is run with."""
    remaining = iter(values)
    while chunk := tuple(islice(remaining, _CHUNK)):
        yield _with_marks(statement, len(chunk)), (account_id, *chunk)


@cache
def _with_marks(statement: str, count: int) -> str:
    marks = ", ".join(f"?{number}" for number in range(2, count + 2))
    return statement.replace("(?)", f"({marks})")

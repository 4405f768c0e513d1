"""People on PostgreSQL: arrays, so that any number of rows is one round trip and one statement."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from functools import cache
from operator import attrgetter
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from tinycrm_core.model import Json
from tinycrm_core.sql.changes import Changes, Encoding
from tinycrm_core.sql.columns import dumps, exact
from tinycrm_core.sql.people import (
    ACCOUNT,
    FORGOTTEN,
    MEMBERSHIP,
    NEW_ACCOUNT,
    PARAM_KEYS,
    PERSON,
    SAVE_PARAM_KEYS,
)
from tinycrm_core.sql.pipeline import Later, Pipeline
from tinycrm_core.times import now

_PEOPLE = f"""
SELECT {PERSON}, ARRAY(
    SELECT a.email FROM {{p}}customer_emails a
    WHERE a.account_id = c.account_id AND a.customer_id = c.customer_id ORDER BY a.position
), {MEMBERSHIP}
FROM {{p}}customers c
LEFT JOIN {{p}}memberships m
    ON m.account_id = c.account_id AND m.customer_id = c.customer_id
WHERE c.account_id = %s AND c.customer_id """  # noqa: S608
_BY_ID = f"{_PEOPLE} = ANY(%s::uuid[]) ORDER BY c.email, m.project_id"
_BY_EMAIL = f"""{_PEOPLE} IN (
    SELECT e.customer_id FROM {{p}}customer_emails e
    WHERE e.account_id = %s AND e.email = ANY(%s::text[])
) ORDER BY c.email, m.project_id
"""  # noqa: S608
_LOCK_EMAILS = """
SELECT c.customer_id FROM {p}customer_emails e
JOIN {p}customers c ON c.account_id = e.account_id AND c.customer_id = e.customer_id
WHERE e.account_id = %s AND e.email = ANY(%s::text[])
ORDER BY c.email FOR UPDATE OF c
"""
_LOCK_IDS = """
SELECT c.customer_id FROM {p}customers c WHERE c.account_id = %s AND c.customer_id = ANY(%s::uuid[])
ORDER BY c.email FOR UPDATE OF c
"""
_CLAIM = """
INSERT INTO {p}customer_emails (account_id, email, customer_id, position)
SELECT %s, v.email, v.customer_id, 0 FROM unnest(%s::text[], %s::uuid[]) AS v (email, customer_id)
ON CONFLICT DO NOTHING RETURNING email
"""
_NEW_CUSTOMER = """
INSERT INTO {p}customers (account_id, email, name, name_at, email_key, name_key, search,
    created_at, last_seen_at, project_count, standing, strands, customer_id)
SELECT %s, v.* FROM unnest(%s::text[], %s::text[], %s::bigint[], %s::text[], %s::text[],
    %s::text[], %s::bigint[], %s::bigint[], %s::int[], %s::text[], %s::json[], %s::uuid[]) AS v
"""
_CUSTOMER = """
UPDATE {p}customers c SET email = v.email, name = v.name, name_at = v.name_at,
    email_key = v.email_key, name_key = v.name_key, search = v.search, created_at = v.created_at,
    last_seen_at = v.last_seen_at, project_count = v.project_count, standing = v.standing,
    strands = v.strands
FROM (SELECT %s::bigint AS account_id) AS a, unnest(%s::text[], %s::text[], %s::bigint[],
    %s::text[], %s::text[], %s::text[], %s::bigint[], %s::bigint[], %s::int[], %s::text[],
    %s::json[], %s::uuid[]) AS v (email, name, name_at, email_key, name_key, search, created_at,
    last_seen_at, project_count, standing, strands, customer_id)
WHERE c.account_id = a.account_id AND c.customer_id = v.customer_id
"""
_SEEN = """
UPDATE {p}customers c SET last_seen_at = v.last_seen_at, name_at = v.name_at
FROM (SELECT %s::bigint AS account_id) AS a,
    unnest(%s::bigint[], %s::bigint[], %s::uuid[]) AS v (last_seen_at, name_at, customer_id)
WHERE c.account_id = a.account_id AND c.customer_id = v.customer_id
"""
_EMAIL = """
INSERT INTO {p}customer_emails (account_id, email, customer_id, position)
SELECT %s, v.* FROM unnest(%s::text[], %s::uuid[], %s::int[]) AS v
ON CONFLICT (account_id, email)
DO UPDATE SET customer_id = excluded.customer_id, position = excluded.position
"""
_LOST_EMAIL = """
DELETE FROM {p}customer_emails e
USING (SELECT %s::bigint AS account_id) AS a,
    unnest(%s::text[], %s::uuid[]) AS v (email, customer_id)
WHERE e.account_id = a.account_id AND e.email = v.email AND e.customer_id = v.customer_id
"""
_NEW_MEMBERSHIP = """
INSERT INTO {p}memberships (account_id, status, status_at, params, params_at, marks, joined_at,
    last_active_at, customer_id, project_id)
SELECT %s, v.* FROM unnest(%s::text[], %s::bigint[], %s::jsonb[], %s::bigint[], %s::json[],
    %s::bigint[], %s::bigint[], %s::uuid[], %s::int[]) AS v
"""
_MEMBERSHIP = """
UPDATE {p}memberships m SET status = v.status, status_at = v.status_at, params = v.params,
    params_at = v.params_at, marks = v.marks, joined_at = v.joined_at,
    last_active_at = v.last_active_at
FROM (SELECT %s::bigint AS account_id) AS a, unnest(%s::text[], %s::bigint[], %s::jsonb[],
    %s::bigint[], %s::json[], %s::bigint[], %s::bigint[], %s::uuid[], %s::int[])
    AS v (status, status_at, params, params_at, marks, joined_at, last_active_at, customer_id,
    project_id)
WHERE m.account_id = a.account_id AND m.customer_id = v.customer_id
    AND m.project_id = v.project_id
"""
_ACTIVE = """
UPDATE {p}memberships m SET last_active_at = v.last_active_at
FROM (SELECT %s::bigint AS account_id) AS a,
    unnest(%s::bigint[], %s::uuid[], %s::int[]) AS v (last_active_at, customer_id, project_id)
WHERE m.account_id = a.account_id AND m.customer_id = v.customer_id
    AND m.project_id = v.project_id
"""
_GONE_MEMBERSHIP = """
DELETE FROM {p}memberships m
USING (SELECT %s::bigint AS account_id) AS a,
    unnest(%s::uuid[], %s::int[]) AS v (customer_id, project_id)
WHERE m.account_id = a.account_id AND m.customer_id = v.customer_id
    AND m.project_id = v.project_id
"""
_GONE_VALUE = """
DELETE FROM {p}param_values p
USING (SELECT %s::bigint AS account_id) AS a, unnest(%s::text[], %s::text[], %s::numeric[],
    %s::text[], %s::uuid[], %s::int[]) AS v (path, kind, num, txt, customer_id, project_id)
WHERE p.account_id = a.account_id AND p.path = v.path AND p.kind = v.kind AND p.num = v.num
    AND p.txt = v.txt AND p.customer_id = v.customer_id AND p.project_id = v.project_id
"""
_NEW_VALUE = """
INSERT INTO {p}param_values (account_id, path, kind, num, txt, customer_id, project_id)
SELECT %s, v.* FROM unnest(%s::text[], %s::text[], %s::numeric[], %s::text[], %s::uuid[],
    %s::int[]) AS v
ON CONFLICT DO NOTHING
"""
_ENTRY = """
INSERT INTO {p}history (account_id, customer_id, entry_id, strand, email, at, event_at, kind, via,
    project_id, changes, late, batch_id)
SELECT %s, v.* FROM unnest(%s::uuid[], %s::uuid[], %s::uuid[], %s::text[], %s::bigint[],
    %s::bigint[], %s::text[], %s::text[], %s::int[], %s::json[], %s::json[], %s::uuid[]) AS v
ON CONFLICT DO NOTHING
"""
_GONE = (
    "DELETE FROM {p}history WHERE account_id = %s AND customer_id = ANY(%s::uuid[])",
    "DELETE FROM {p}customers WHERE account_id = %s AND customer_id = ANY(%s::uuid[])",
)
_FORGOTTEN = f"{FORGOTTEN} = ANY(%s::bytea[])"
_MAKE_PARAM_KEYS = """
INSERT INTO {p}param_keys (account_id, project_id, path, count, kinds, samples)
SELECT %s, %s, v.path, 0, '{}', '[]' FROM unnest(%s::text[]) AS v (path) ON CONFLICT DO NOTHING
"""
_PARAM_KEYS = f"{PARAM_KEYS} = ANY(%s::text[]) ORDER BY path FOR UPDATE"
_SAVE_PARAM_KEYS = f"""
INSERT INTO {{p}}param_keys (account_id, project_id, path, count, kinds, samples)
SELECT %s, %s, v.* FROM unnest(%s::text[], %s::bigint[], %s::json[], %s::json[]) AS v
{SAVE_PARAM_KEYS}
"""  # noqa: S608
_GONE_PARAM_KEYS = """
DELETE FROM {p}param_keys
WHERE account_id = %s AND project_id = %s AND path = ANY(%s::text[]) AND count <= 0
"""

_TEXT_OR_EXPONENT = re.compile(r'"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?e\+\d+')


def params_text(params: Json) -> str:
    """JSON whose numbers `jsonb` gives back as they were: `1e+16` would return as an integer."""
    text = dumps(params)
    if "e+" in text:
        text = _TEXT_OR_EXPONENT.sub(_without_exponent, text)
    return text


def _without_exponent(found: re.Match[str]) -> str:
    token = found[0]
    return token if token.startswith('"') else f"{Decimal(token):f}.0"


def array(values: list[Any]) -> str:
    """An array as PostgreSQL writes it: far quicker than the driver's way of one element each."""
    return "{" + ",".join(map(_element, values)) + "}"


def _element(value: Any) -> str:
    if value is None:
        return "NULL"
    if type(value) is str:
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return str(value)


def _scalar(value: Any) -> Any:
    """As text without a type, which the statement names: one prepared statement for all."""
    return value if value is None or type(value) is str else str(value)


class PostgresPeople:
    """Implements `People`; `prefix` stands before every table name."""

    encoding = Encoding(attrgetter("hex"), params_text, exact)

    def __init__(self, connection: Connection, prefix: str) -> None:
        self._pipeline = Pipeline(connection)
        self._prefix = prefix

    def account(
        self, slug: str, secret: bytes | None, opening: Sequence[str] = ()
    ) -> Sequence[Sequence[Any]]:
        for each in opening:
            self._later(each)
        rows = self._fetch(ACCOUNT, slug)
        if not rows and secret is not None:
            self._later(NEW_ACCOUNT, slug, secret, now())
            rows = self._fetch(ACCOUNT, slug)
        return rows

    def _later(self, statement: str, *values: Any, asks: bool = False) -> Later:
        """A statement for the next round trip."""
        return self._pipeline.later(*self._filled(statement, values), asks=asks)

    def _filled(self, statement: str, values: tuple[Any, ...]) -> tuple[str, tuple[Any, ...]]:
        """Statement and values for the driver; lists, all of one length, become arrays."""
        text = _prefixed(statement, self._prefix)
        if any(type(each) is list and len(each) == 1 for each in values):
            single = tuple(_scalar(each[0]) if type(each) is list else each for each in values)
            return _for_one(text), single
        return text, tuple(array(each) if type(each) is list else each for each in values)

    def _fetch(self, statement: str, *values: Any) -> Sequence[Sequence[Any]]:
        asked = self._later(statement, *values, asks=True)
        self._pipeline.send()
        return asked.rows

    def send(self) -> None:
        self._pipeline.send()

    def commit(self) -> None:
        self._pipeline.commit()

    def by_email(
        self, account_id: int, emails: Sequence[str], *, lock: bool
    ) -> Iterable[Sequence[Any]]:
        wanted = list(emails)
        if not lock:
            return self._fetch(_BY_EMAIL, account_id, account_id, wanted)
        # First the locks: what a statement reads while it waits for them is old by then.
        locked = self._later(_LOCK_EMAILS, account_id, wanted, asks=True)
        rows = self._fetch(_BY_EMAIL, account_id, account_id, wanted)
        mine = {row[0] for row in locked.rows}
        return [row for row in rows if row[0] in mine]

    def by_id(self, account_id: int, ids: Sequence[UUID], *, lock: bool) -> Iterable[Sequence[Any]]:
        wanted = list(ids)
        if lock:
            self._later(_LOCK_IDS, account_id, wanted)
        return self._fetch(_BY_ID, account_id, wanted)

    def claim(self, account_id: int, people: Sequence[tuple[str, UUID]]) -> set[str]:
        emails, ids = [email for email, _ in people], [ident for _, ident in people]
        return {row[0] for row in self._fetch(_CLAIM, account_id, emails, ids)}

    def save(self, account_id: int, changes: Changes) -> None:
        parts: list[str] = []
        values: list[Any] = []
        for statement, rows in _parts(changes):
            if rows:
                columns = list(map(list, zip(*rows, strict=True)))
                text, each = self._filled(statement, (account_id, *columns))
                parts.append(text)
                values += each
        if parts:
            self._pipeline.later(_as_one(tuple(parts)), tuple(values))

    def forgotten(self, account_id: int, digests: Sequence[bytes]) -> set[bytes]:
        wanted = [f"\\x{each.hex()}" for each in digests]
        return {bytes(row[0]) for row in self._fetch(_FORGOTTEN, account_id, wanted)}

    def param_keys(
        self, account_id: int, project_id: int, paths: Sequence[str]
    ) -> Iterable[Sequence[Any]]:
        wanted = list(paths)
        self._later(_MAKE_PARAM_KEYS, account_id, project_id, wanted)
        return self._fetch(_PARAM_KEYS, account_id, project_id, wanted)

    def save_param_keys(
        self, account_id: int, project_id: int, rows: Sequence[tuple[Any, ...]]
    ) -> None:
        self._later(_SAVE_PARAM_KEYS, account_id, project_id, *map(list, zip(*rows, strict=True)))
        if gone := [path for path, count, *_ in rows if count <= 0]:
            self._later(_GONE_PARAM_KEYS, account_id, project_id, gone)


def _parts(changes: Changes) -> Iterator[tuple[str, Sequence[tuple[Any, ...]]]]:
    """Statements with their rows; none touches a row that another one does."""
    yield _NEW_CUSTOMER, changes.new_customers
    yield _CUSTOMER, changes.customers
    yield _SEEN, changes.seen
    yield _EMAIL, changes.emails
    yield _LOST_EMAIL, changes.lost_emails
    yield _GONE_MEMBERSHIP, changes.gone_memberships
    yield _NEW_MEMBERSHIP, changes.new_memberships
    yield _MEMBERSHIP, changes.memberships
    yield _ACTIVE, changes.active
    yield _GONE_VALUE, changes.gone_values
    yield _NEW_VALUE, changes.new_values
    for statement in _GONE:
        yield statement, changes.gone
    yield _ENTRY, changes.entries


@cache
def _as_one(parts: tuple[str, ...]) -> str:
    """One statement for several; foreign keys are checked at its end."""
    *first, last = parts
    if not first:
        return last
    return "WITH " + ", ".join(f"w{n} AS ({each})" for n, each in enumerate(first)) + last


@cache
def _prefixed(statement: str, prefix: str) -> str:
    return statement.replace("{p}", prefix)


_UNNEST = re.compile(r"unnest\(([^)]*)\)")
_ANY = re.compile(r"ANY\(%s::(\w+)\[\]\)")


@cache
def _for_one(statement: str) -> str:
    """The statement for single values instead of arrays.

    PostgreSQL plans it once; one with arrays it plans anew for their lengths at each execution,
    which takes longer than to run it.
    """
    statement = _UNNEST.sub(lambda found: f"(VALUES ({found[1].replace('[]', '')}))", statement)
    return _ANY.sub(r"%s::\1", statement)

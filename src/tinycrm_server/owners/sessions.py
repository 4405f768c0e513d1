"""Sessions: kept by the server as hashes, so that they end when it says so."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import ColumnElement, delete, insert, or_, select, update

from tinycrm_core.errors import NotFound
from tinycrm_core.times import now
from tinycrm_server.owners.owners import Owner
from tinycrm_server.owners.tables import Place

HOUR = 3_600_000_000
SEEN_EVERY = 60_000_000
"""Microseconds between two records of a session's last use."""


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody who is logged in, and the account they look at."""

    email: str
    account: str


class Sessions:
    """Sessions end `idle` hours after their last use and `longest` hours after the login."""

    def __init__(
        self,
        place: Place,
        idle: float = 12,
        longest: float = 24 * 7,
        clock: Callable[[], int] = now,
    ) -> None:
        self._place = place
        self._idle, self._longest = int(idle * HOUR), int(longest * HOUR)
        self._clock = clock

    def open(self, owner: Owner, account: str | None = None) -> str:
        """A new session; the token is seen only here. Raises NotFound for a foreign account."""
        slug = account or owner.accounts[0]
        if slug not in owner.accounts:
            raise NotFound("there is no such account", field="account")
        token, moment = secrets.token_urlsafe(32), self._clock()
        sessions, accounts = self._place.tables.sessions, self._place.customers.accounts
        with self._place.writing() as connection:
            connection.execute(delete(sessions).where(self._ended(moment)))
            account_id = connection.execute(
                select(accounts.c.account_id).where(accounts.c.slug == slug)
            ).scalar_one()
            connection.execute(
                insert(sessions).values(
                    account_id=account_id,
                    hash=_hash(token),
                    owner_id=owner.id,
                    created_at=moment,
                    seen_at=moment,
                )
            )
        return token

    def get(self, token: str | None) -> Session | None:
        """Whose session this is; None for one that ended, was ended or never was."""
        if not token:
            return None
        tables, accounts = self._place.tables, self._place.customers.accounts
        sessions, owners, memberships = tables.sessions, tables.owners, tables.account_owners
        digest, moment = _hash(token), self._clock()
        query = (
            select(owners.c.email, accounts.c.slug, sessions.c.seen_at)
            .join(owners, owners.c.owner_id == sessions.c.owner_id)
            .join(
                memberships,
                (memberships.c.account_id == sessions.c.account_id)
                & (memberships.c.owner_id == sessions.c.owner_id),
            )
            .join(accounts, accounts.c.account_id == sessions.c.account_id)
            .where(sessions.c.hash == digest, ~self._ended(moment))
        )
        with self._place.reading() as connection:
            found = connection.execute(query).first()
        if found is None:
            return None
        if moment - found.seen_at >= SEEN_EVERY:
            with self._place.writing() as connection:
                connection.execute(
                    update(sessions).where(sessions.c.hash == digest).values(seen_at=moment)
                )
        return Session(found.email, found.slug)

    def close(self, token: str | None) -> None:
        """End one session."""
        sessions = self._place.tables.sessions
        with self._place.writing() as connection:
            connection.execute(delete(sessions).where(sessions.c.hash == _hash(token or "")))

    def close_all(self, owner: Owner) -> None:
        """End every session of an owner."""
        sessions = self._place.tables.sessions
        with self._place.writing() as connection:
            connection.execute(delete(sessions).where(sessions.c.owner_id == owner.id))

    def _ended(self, moment: int) -> ColumnElement[bool]:
        sessions = self._place.tables.sessions
        return or_(
            sessions.c.seen_at <= moment - self._idle,
            sessions.c.created_at <= moment - self._longest,
        )


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()

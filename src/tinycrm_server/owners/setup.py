"""The first minutes of a server: the token that makes the first owner, and calls turned away."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, func, insert, select

from tinycrm_core.keys import redact
from tinycrm_core.times import from_micros, now
from tinycrm_server.owners.tables import Place

TOKEN_SECONDS = 24 * 60 * 60
NOBODY = 0
"""Where calls are kept whose key no account knows."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """The last call that was turned away: when, what, and why."""

    at: datetime
    call: str
    status: int
    code: str
    message: str


class Setup:
    """What setting up a server needs beyond owners."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._kept_at = 0

    def new_token(self) -> str:
        """A token that makes the first owner, once, within a day."""
        token, moment = secrets.token_urlsafe(18), now()
        table = self._place.tables.setup_tokens
        with self._place.writing() as connection:
            connection.execute(delete(table).where(table.c.ends_at <= moment))
            ends_at = moment + TOKEN_SECONDS * 1_000_000
            connection.execute(insert(table).values(hash=_hash(token), ends_at=ends_at))
        return token

    def is_open(self, token: str) -> bool:
        """Whether a token is good."""
        table = self._place.tables.setup_tokens
        good = select(table.c.hash).where(table.c.hash == _hash(token), table.c.ends_at > now())
        with self._place.reading() as connection:
            return connection.execute(good).first() is not None

    def spend(self, token: str) -> bool:
        """Use a token up, and every other one with it; False if it is no good."""
        table = self._place.tables.setup_tokens
        with self._place.writing() as connection:
            good = table.c.hash == _hash(token), table.c.ends_at > now()
            if not connection.execute(delete(table).where(*good)).rowcount:
                return False
            connection.execute(delete(table))
        return True

    def keep_rejected(
        self, account: str | None, call: str, status: int, code: str, why: str
    ) -> None:
        """Remember the last call that was turned away, at most one a second and process."""
        moment = now()
        if moment - self._kept_at < 1_000_000:
            return
        self._kept_at = moment
        table, accounts = self._place.tables.rejected_calls, self._place.customers.accounts
        with self._place.writing() as connection:
            found = connection.execute(
                select(accounts.c.account_id).where(accounts.c.slug == (account or ""))
            ).scalar()
            account_id = found or NOBODY
            connection.execute(delete(table).where(table.c.account_id == account_id))
            row = {"at": moment, "call": call, "status": status, "code": code}
            connection.execute(
                insert(table).values(account_id=account_id, message=redact(why), **row)
            )

    def last_rejected(self, account: str) -> Rejected | None:
        """The last call of this account that was turned away.

        Calls with a key that nobody knows are shown where there is only one account.
        """
        table, accounts = self._place.tables.rejected_calls, self._place.customers.accounts
        with self._place.reading() as connection:
            count = connection.execute(select(func.count()).select_from(accounts)).scalar_one()
            mine = select(accounts.c.account_id).where(accounts.c.slug == account)
            ids = [connection.execute(mine).scalar() or NOBODY]
            if count == 1:
                ids.append(NOBODY)
            query = select(table).where(table.c.account_id.in_(ids)).order_by(table.c.at.desc())
            row = connection.execute(query.limit(1)).first()
        if row is None:
            return None
        return Rejected(from_micros(row.at), row.call, row.status, row.code, row.message)


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.strip().encode("utf-8", "surrogatepass")).digest()

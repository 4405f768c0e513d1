"""Who may log in, and to which accounts."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, delete, func, insert, select, update

from tinycrm_core.account import clean_account
from tinycrm_core.email import canonical
from tinycrm_core.errors import Conflict, InvalidEmail, NotFound
from tinycrm_core.ids import uuid7
from tinycrm_core.times import now
from tinycrm_server.owners.passwords import check_password, hash_password, is_outdated
from tinycrm_server.owners.tables import Place


@dataclass(frozen=True, slots=True)
class Owner:
    """Somebody who logs in: an address, and the accounts they may see, in order of their making."""

    id: UUID
    email: str
    accounts: tuple[str, ...]


class Owners:
    """The owners of a server."""

    def __init__(self, place: Place) -> None:
        self._place = place

    def any(self) -> bool:
        """Whether there is an owner."""
        owners = self._place.tables.owners
        with self._place.reading() as connection:
            return connection.execute(select(owners.c.owner_id).limit(1)).first() is not None

    def add(self, email: str, password: str, account: str = "default") -> None:
        """Make an owner, or let one there is into another account, whose password stays.

        Raises InvalidInput, or Conflict if the owner is in the account already.
        """
        address, slug = canonical(email), clean_account(account)
        known = self._find(address)
        hashed = None if known else hash_password(password)
        self._place.make_account(slug)
        owners, memberships = self._place.tables.owners, self._place.tables.account_owners
        with self._place.writing() as connection:
            owner_id = _owner_id(connection, self._place, address)
            if owner_id is None:
                owner_id = uuid7()
                connection.execute(
                    insert(owners).values(
                        owner_id=owner_id,
                        email=address,
                        password=hashed or hash_password(password),
                        created_at=now(),
                    )
                )
            account_id = _account_id(connection, self._place, slug)
            row = {"account_id": account_id, "owner_id": owner_id}
            there = select(memberships).filter_by(**row)
            if connection.execute(there).first() is not None:
                raise Conflict(f"email: {address} owns {slug} already", field="email")
            connection.execute(insert(memberships).values(**row, created_at=now()))

    def list(self) -> list[Owner]:
        """All owners, by address."""
        tables, accounts = self._place.tables, self._place.customers.accounts
        owners, memberships = tables.owners, tables.account_owners
        query = (
            select(owners.c.owner_id, owners.c.email, accounts.c.slug)
            .join(memberships, memberships.c.owner_id == owners.c.owner_id)
            .join(accounts, accounts.c.account_id == memberships.c.account_id)
            .order_by(owners.c.email, accounts.c.account_id)
        )
        found: dict[str, Owner] = {}
        with self._place.reading() as connection:
            for ident, email, slug in connection.execute(query):
                before = found[email].accounts if email in found else ()
                found[email] = Owner(ident, email, (*before, slug))
        return [*found.values()]

    def get(self, email: str) -> Owner | None:
        """One owner by canonical address."""
        return next((each for each in self.list() if each.email == email), None)

    def log_in(self, email: str, password: str) -> Owner | None:
        """The owner with this address and password; takes as long when there is none."""
        try:
            address = canonical(email)
        except InvalidEmail:
            address = ""
        stored = self._find(address)
        if not check_password(stored, password):
            return None
        if stored is not None and is_outdated(stored):
            self._store(address, hash_password(password))
        return self.get(address)

    def set_password(self, email: str, password: str) -> None:
        """Change a password, which ends every session of the owner. Raises NotFound."""
        address = canonical(email)
        hashed = hash_password(password)
        if self._find(address) is None:
            raise NotFound(f"email: nobody logs in as {address}", field="email")
        self._store(address, hashed, ends_sessions=True)

    def remove(self, email: str, account: str | None = None) -> None:
        """Take an owner out of one account or of all, with their sessions. Raises NotFound."""
        address = canonical(email)
        tables = self._place.tables
        with self._place.writing() as connection:
            owner_id = _owner_id(connection, self._place, address)
            if owner_id is None:
                raise NotFound(f"email: nobody logs in as {address}", field="email")
            for table in (tables.account_owners, tables.sessions):
                gone = delete(table).where(table.c.owner_id == owner_id)
                if account is not None:
                    ident = _account_id(connection, self._place, account)
                    gone = gone.where(table.c.account_id == ident)
                connection.execute(gone)
            left = select(func.count()).where(tables.account_owners.c.owner_id == owner_id)
            if not connection.execute(left).scalar():
                connection.execute(
                    delete(tables.owners).where(tables.owners.c.owner_id == owner_id)
                )

    def _find(self, email: str) -> str | None:
        owners = self._place.tables.owners
        with self._place.reading() as connection:
            found = connection.execute(select(owners.c.password).where(owners.c.email == email))
            return found.scalar()

    def _store(self, email: str, hashed: str, *, ends_sessions: bool = False) -> None:
        owners, sessions = self._place.tables.owners, self._place.tables.sessions
        with self._place.writing() as connection:
            connection.execute(
                update(owners).where(owners.c.email == email).values(password=hashed)
            )
            if ends_sessions:
                owner_id = _owner_id(connection, self._place, email)
                connection.execute(delete(sessions).where(sessions.c.owner_id == owner_id))


def _owner_id(connection: Connection, place: Place, email: str) -> UUID | None:
    owners = place.tables.owners
    found: UUID | None = connection.execute(
        select(owners.c.owner_id).where(owners.c.email == email)
    ).scalar()
    return found


def _account_id(connection: Connection, place: Place, slug: str) -> int:
    accounts = place.customers.accounts
    found: int | None = connection.execute(
        select(accounts.c.account_id).where(accounts.c.slug == slug)
    ).scalar()
    if found is None:
        raise NotFound(f"account: there is no account {slug}", field="account")
    return found

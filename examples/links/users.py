"""Users in an SQLite file, as any adapter of fastapi-users keeps them."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi_users.db import BaseUserDatabase

COLUMNS = ("id", "email", "hashed_password", "is_active", "is_superuser", "is_verified")


@dataclass
class User:
    id: uuid.UUID
    email: str
    hashed_password: str
    is_active: bool = True
    is_superuser: bool = False
    is_verified: bool = False


class Users(BaseUserDatabase[User, uuid.UUID]):
    """A table `users`; the file is used in threads, never on the event loop."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.run(f"CREATE TABLE IF NOT EXISTS users ({', '.join(COLUMNS)}, UNIQUE (email))")

    def run(self, statement: str, *values: Any) -> list[Any]:
        """One statement in a transaction of its own."""
        with contextlib.closing(sqlite3.connect(self.file)) as connection, connection:
            return connection.execute(statement, values).fetchall()

    async def _find(self, column: str, value: str) -> User | None:
        statement = f"SELECT * FROM users WHERE {column} = ?"
        rows = await asyncio.to_thread(self.run, statement, value)
        return next((User(uuid.UUID(row[0]), *row[1:3], *map(bool, row[3:])) for row in rows), None)

    async def get(self, id: uuid.UUID) -> User | None:
        return await self._find("id", str(id))

    async def get_by_email(self, email: str) -> User | None:
        return await self._find("lower(email)", email.lower())

    async def create(self, create_dict: dict[str, Any]) -> User:
        user = User(uuid.uuid4(), **create_dict)
        values = [str(user.id), *(getattr(user, name) for name in COLUMNS[1:])]
        await asyncio.to_thread(self.run, "INSERT INTO users VALUES (?, ?, ?, ?, ?, ?)", *values)
        return user

    async def update(self, user: User, update_dict: dict[str, Any]) -> User:
        for name, value in update_dict.items():
            statement = f"UPDATE users SET {name} = ? WHERE id = ?"
            await asyncio.to_thread(self.run, statement, value, str(user.id))
            setattr(user, name, value)
        return user

    async def delete(self, user: User) -> None:
        await asyncio.to_thread(self.run, "DELETE FROM users WHERE id = ?", str(user.id))

"""A real product on fastapi-users, set up as its documentation does, over an SQLite file."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from fastapi import Depends, FastAPI
from fastapi_users import BaseUserManager, FastAPIUsers, UUIDIDMixin, schemas
from fastapi_users.authentication import (
    AuthenticationBackend,
    BearerTransport,
    JWTStrategy,
)
from fastapi_users.password import PasswordHelper
from pwdlib import PasswordHash
from pwdlib.hashers.bcrypt import BcryptHasher

from examples.links.users import User, Users
from tinycrm_integrations.fastapi import ReportedUsers, Reporter, TinyCRMMiddleware, lifespan, seen

SECRET = "s" * 40
PASSWORD = "correct horse battery"


class UserManager(UUIDIDMixin, BaseUserManager[User, uuid.UUID]):
    """As in the quick start: methods that forget their super()."""

    reset_password_token_secret = SECRET
    verification_token_secret = SECRET
    heard: list[str]
    tokens: list[str]

    async def on_after_register(self, user: User, request: Any = None) -> None:
        self.heard.append(f"registered {user.email}")

    async def on_after_request_verify(self, user: User, token: str, request: Any = None) -> None:
        self.tokens.append(token)


class UserRead(schemas.BaseUser[uuid.UUID]):
    pass


class UserCreate(schemas.BaseUserCreate):
    pass


class UserUpdate(schemas.BaseUserUpdate):
    pass


def users_product(folder: Path, reporter: Reporter | None) -> FastAPI:
    """With a reporter, it reports; without one, it is the same product alone."""
    users = Users(folder / "product.db")
    heard: list[str] = []
    tokens: list[str] = []
    manager: type[UserManager] = UserManager
    if reporter is not None:

        class Reported(ReportedUsers, UserManager):
            tinycrm = reporter

        manager = Reported

    # The default cost of a password hash, times hundreds of tests, is not what is tested here.
    hashing = PasswordHelper(PasswordHash((BcryptHasher(rounds=4),)))

    async def get_user_manager() -> AsyncIterator[UserManager]:
        made = manager(users, hashing)
        made.heard, made.tokens = heard, tokens
        yield made

    def strategy() -> JWTStrategy[User, uuid.UUID]:
        return JWTStrategy(secret=SECRET, lifetime_seconds=3600)

    backend = AuthenticationBackend(
        name="jwt", transport=BearerTransport(tokenUrl="auth/jwt/login"), get_strategy=strategy
    )
    routers = FastAPIUsers[User, uuid.UUID](get_user_manager, [backend])
    current = routers.current_user(active=True)

    app = FastAPI(lifespan=lifespan(reporter) if reporter else None)
    if reporter is not None:
        app.add_middleware(TinyCRMMiddleware, reporter=reporter)
    app.include_router(routers.get_auth_router(backend), prefix="/auth/jwt")
    app.include_router(routers.get_register_router(UserRead, UserCreate), prefix="/auth")
    app.include_router(routers.get_verify_router(UserRead), prefix="/auth")
    app.include_router(routers.get_users_router(UserRead, UserUpdate), prefix="/users")

    @app.get("/")
    async def public() -> str:
        return "welcome"

    @app.get("/me")
    async def me(user: User = Depends(seen(current) if reporter else current)) -> str:  # noqa: B008
        return user.email

    app.state.heard, app.state.tokens, app.state.users = heard, tokens, users
    return app

"""The links. TinyCRM is the reporter, the middleware, `Reported`, `seen` and one call."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from fastapi import Depends, FastAPI
from fastapi.responses import HTMLResponse
from fastapi_users import BaseUserManager, FastAPIUsers, UUIDIDMixin, schemas
from fastapi_users.authentication import AuthenticationBackend, CookieTransport, JWTStrategy

from examples.links.users import User, Users
from examples.serving import customers_url
from tinycrm_core import TinyCRM
from tinycrm_integrations.fastapi import (
    ReportedUsers,
    Reporter,
    TinyCRMMiddleware,
    get_crm,
    lifespan,
    seen,
)

PAGE = (Path(__file__).parent / "page.html").read_text("utf-8")
SECRET = secrets.token_hex()


class UserManager(UUIDIDMixin, BaseUserManager[User, uuid.UUID]):
    reset_password_token_secret = SECRET
    verification_token_secret = SECRET


class UserRead(schemas.BaseUser[uuid.UUID]):
    pass


class UserCreate(schemas.BaseUserCreate):
    pass


class UserUpdate(schemas.BaseUserUpdate):
    pass


def create_app(folder: Path) -> FastAPI:
    users = Users(folder / "links.db")
    reporter = Reporter(TinyCRM(customers_url(folder), project="links", via="fastapi"))

    class Reported(ReportedUsers, UserManager):
        tinycrm = reporter

    async def get_user_manager() -> AsyncIterator[UserManager]:
        yield Reported(users)

    def strategy() -> JWTStrategy[User, uuid.UUID]:
        return JWTStrategy(secret=SECRET, lifetime_seconds=3600)

    # Not secure, because this machine is asked over http.
    cookies = CookieTransport(cookie_name="links_session", cookie_secure=False)
    backend = AuthenticationBackend(name="cookie", transport=cookies, get_strategy=strategy)
    auth = FastAPIUsers[User, uuid.UUID](get_user_manager, [backend])
    current_user = seen(auth.current_user(active=True))

    app = FastAPI(lifespan=lifespan(reporter))
    app.add_middleware(TinyCRMMiddleware, reporter=reporter)
    app.include_router(auth.get_auth_router(backend), prefix="/auth")
    app.include_router(auth.get_register_router(UserRead, UserCreate), prefix="/auth")
    app.include_router(auth.get_users_router(UserRead, UserUpdate), prefix="/users")

    @app.get("/", response_class=HTMLResponse)
    async def page() -> str:
        return PAGE

    @app.put("/handle/{handle}")
    async def claim(
        handle: str,
        user: Any = Depends(current_user),  # noqa: B008
        crm: TinyCRM = Depends(get_crm),  # noqa: B008
    ) -> dict[str, str]:
        crm.identify(user.email, params={"handle": handle})
        return {"handle": handle}

    return app

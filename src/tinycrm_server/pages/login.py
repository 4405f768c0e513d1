"""The door of a server with owners: a login, sessions, and the way out."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from urllib.parse import quote

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from tinycrm_core.errors import InvalidInput
from tinycrm_server.auth import refuse_keys_in_url
from tinycrm_server.bodies import Refused
from tinycrm_server.owners.owners import Owner, Owners
from tinycrm_server.owners.sessions import Sessions
from tinycrm_server.pages.door import Menu, Visitor
from tinycrm_server.pages.html import go, links_of, page, read_form, safe_next
from tinycrm_server.rates import Rates, address

WRONG = "This address and this password do not belong together."


class LoginDoor:
    """Lets owners in; each looks at one of their accounts at a time.

    `rates` counts attempts for one address from one network address as `login`, before anything is
    computed and until one succeeds: whoever guesses is slowed down, also by many attempts at once,
    and the owner still gets in from elsewhere.
    """

    menu: Menu = (("account", "Account", "/account"),)
    keep_rejected: Callable[..., None] | None = None

    def __init__(self, owners: Owners, sessions: Sessions, rates: Rates) -> None:
        self.owners, self.sessions, self._rates = owners, sessions, rates

    def visitor(self, request: Request) -> Visitor | None:
        """Whose session the cookie is."""
        found = self.sessions.get(request.cookies.get(cookie_name(request)))
        return None if found is None else Visitor(found.account, found.email)

    def outside(self, request: Request) -> Response:
        """To the login and back, or to the setup while there is no owner."""
        if not self.owners.any():
            return go(request, "/setup")
        if request.method not in ("GET", "HEAD"):
            lines = ("Your session has ended, so nothing was done. Log in and send it again.",)
            return page(request, "closed.html", 401, title="You are not logged in", lines=lines)
        below = request.url.path.removeprefix(links_of(request).prefix) or "/"
        query = f"?{request.url.query}" if request.url.query else ""
        return go(request, f"/login?next={quote(below + query, safe='')}")

    def enter(self, request: Request, owner: Owner, path: str, account: str = "") -> Response:
        """A new session for an owner, and the page to go to; the session before ends."""
        name = cookie_name(request)
        self.sessions.close(request.cookies.get(name))
        response = go(request, path)
        response.set_cookie(
            name,
            self.sessions.open(owner, account or None),
            path="/" if name.startswith("__Host-") else links_of(request).to("/"),
            secure=request.url.scheme == "https",
            httponly=True,
            samesite="lax",
        )
        return response

    def routes(self) -> APIRouter:
        """Login, logout, and the owner's own account."""
        router = APIRouter(include_in_schema=False)

        @router.get("/login")
        def show(request: Request, next: str = "/") -> Response:
            refuse_keys_in_url(request)
            if not self.owners.any():
                return go(request, "/setup")
            if self.visitor(request):
                return go(request, safe_next(next))
            return _form(request, next=next)

        @router.post("/login")
        async def log_in(request: Request) -> Response:
            form = await read_form(request)
            return await run_in_threadpool(self._log_in, request, form)

        @router.post("/logout")
        async def log_out(request: Request) -> Response:
            await read_form(request)
            name = cookie_name(request)
            await run_in_threadpool(self.sessions.close, request.cookies.get(name))
            response = go(request, "/login")
            path = "/" if name.startswith("__Host-") else links_of(request).to("/")
            secure = request.url.scheme == "https"
            response.delete_cookie(name, path=path, secure=secure, httponly=True, samesite="lax")
            return response

        @router.get("/account")
        def account(request: Request) -> Response:
            visitor = self.visitor(request)
            return self._account(request, visitor) if visitor else self.outside(request)

        @router.post("/account")
        async def change(request: Request) -> Response:
            form = await read_form(request)
            return await run_in_threadpool(self._change, request, form)

        return router

    def _log_in(self, request: Request, form: dict[str, str]) -> Response:
        email, password = form.get("email", ""), form.get("password", "")
        who = _guesser(request, email)
        try:
            self._rates.take("login", *who)
        except Refused as error:
            wrong = f"Too many attempts. Try again in {error.wait} seconds."
            answer = _form(request, 429, wrong, email, form.get("next", ""))
            answer.headers["Retry-After"] = str(error.wait)
            return answer
        owner = self.owners.log_in(email, password)
        if owner is None or not owner.accounts:
            return _form(request, 401, WRONG, email, form.get("next", ""))
        self._rates.forget("login", *who)
        return self.enter(request, owner, safe_next(form.get("next", "/")))

    def _account(self, request: Request, visitor: Visitor, wrong: str = "") -> Response:
        owner = self.owners.get(visitor.actor)
        status = 422 if wrong else 200
        accounts = owner.accounts if owner else ()
        return page(
            request, "account.html", status, title="Your account", visitor=visitor,
            accounts=accounts, wrong=wrong,
        )  # fmt: skip

    def _change(self, request: Request, form: dict[str, str]) -> Response:
        """Another account to look at, another password, or the end of every session."""
        visitor = self.visitor(request)
        owner = self.owners.get(visitor.actor) if visitor else None
        if visitor is None or owner is None:
            return self.outside(request)
        if form.get("account") in owner.accounts:
            return self.enter(request, owner, "/", form["account"])
        if "everywhere" in form:
            self.sessions.close_all(owner)
            return go(request, "/login")
        who = _guesser(request, owner.email)
        try:
            self._rates.take("login", *who)
            if self.owners.log_in(owner.email, form.get("password", "")) is None:
                return self._account(request, visitor, "This is not your password.")
            self._rates.forget("login", *who)
            self.owners.set_password(owner.email, form.get("new", ""))
        except Refused as error:
            return self._account(
                request, visitor, f"{error.message[:1].upper()}{error.message[1:]}."
            )
        except InvalidInput as error:
            return self._account(request, visitor, f"New {error.message}.")
        return self.enter(request, owner, "/account", visitor.account)


def _guesser(request: Request, email: str) -> tuple[str, str]:
    """What failed attempts are counted by, at the login and inside: whom, and from where."""
    whom = hashlib.sha256(email.strip().lower().encode("utf-8", "replace")).hexdigest()
    return whom, address(request)


def cookie_name(request: Request) -> str:
    """Bound to this very host where the connection is encrypted."""
    return "__Host-tinycrm" if request.url.scheme == "https" else "tinycrm_session"


def _form(
    request: Request, status: int = 200, wrong: str = "", email: str = "", next: str = "/"
) -> Response:
    known = {"title": "Log in", "wrong": wrong, "email": email, "next": safe_next(next)}
    return page(request, "login.html", status, **known)

"""The first steps of a server: its owner, a product with its key, and the first call."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import Any

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from tinycrm_core.client import TinyCRM
from tinycrm_core.email import canonical
from tinycrm_core.errors import InvalidInput, TinyCRMError
from tinycrm_core.model import Project
from tinycrm_server.owners.passwords import hash_password
from tinycrm_server.owners.setup import Setup
from tinycrm_server.pages.door import Menu, Visitor
from tinycrm_server.pages.html import go, page, read_form
from tinycrm_server.pages.login import LoginDoor

SNIPPETS = (
    ("django", "Django", "django.txt"),
    ("flask", "Flask", "flask.txt"),
    ("fastapi", "FastAPI", "fastapi.txt"),
    ("python", "Python", "python.txt"),
    ("javascript", "JavaScript", "javascript.mjs"),
    ("curl", "curl", "curl.sh"),
)
"""Name, label and file of what a product can copy; `EXAMPLE` stands for the server's address."""

EXAMPLE = "https://crm.example.com"
ACCOUNT = "default"


class SetupDoor(LoginDoor):
    """The login of a server that may not have an owner yet."""

    menu: Menu = (("setup", "Setup", "/setup"), *LoginDoor.menu)

    def __init__(self, crm: TinyCRM, setup: Setup, *login: Any) -> None:
        super().__init__(*login)
        self._crm, self._setup = crm, setup
        self.keep_rejected = setup.keep_rejected

    def routes(self) -> APIRouter:
        """The steps of the setup, and the login."""
        router = super().routes()

        @router.get("/setup")
        def show(request: Request) -> Response:
            if not self.owners.any():
                return _owner_form(request)
            visitor = self.visitor(request)
            if visitor is None:
                return self.outside(request)
            return self._step(request, visitor)

        @router.post("/setup")
        async def owner(request: Request) -> Response:
            form = await read_form(request)
            return await run_in_threadpool(self._make_owner, request, form)

        @router.post("/setup/product")
        async def product(request: Request) -> Response:
            form = await read_form(request)
            return await run_in_threadpool(self._make_product, request, form)

        @router.get("/setup/waiting")
        def waiting(request: Request, project: str = "") -> Response:
            """The waiting panel alone, for a page that looks again and again."""
            visitor = self.visitor(request)
            if visitor is None:
                return self.outside(request)
            return page(request, "waiting.html", **self._waiting(visitor, project))

        return router

    def _make_owner(self, request: Request, form: dict[str, str]) -> Response:
        if self.owners.any():
            return go(request, "/login")
        email, password = form.get("email", ""), form.get("password", "")
        try:
            canonical(email)
            hash_password(password)
        except InvalidInput as error:
            wrong = f"{error.message[:1].upper()}{error.message[1:]}."
            return _owner_form(request, form, error.field or "", wrong)
        if not self._setup.spend(form.get("token", "")):
            wrong = "This is not the token on the console, or it is older than a day."
            return _owner_form(request, form, "token", wrong)
        self.owners.add(email, password, ACCOUNT)
        owner = self.owners.log_in(email, password)
        if owner is None:
            return go(request, "/login")
        return self.enter(request, owner, "/setup")

    def _make_product(self, request: Request, form: dict[str, str]) -> Response:
        visitor = self.visitor(request)
        if visitor is None:
            return self.outside(request)
        crm = self._crm.account(visitor.account)
        name = form.get("name", "").strip()
        slug = form.get("slug", "").strip() or re.sub("[^a-z0-9]+", "-", name.lower()).strip("-")
        try:
            made = crm.projects.add(slug, name=name or None)
            key = crm.keys.create(made.slug, label="setup").secret
        except TinyCRMError as error:
            return _product_form(request, 422, name, form.get("slug", ""), error.message)
        return self._first_call(request, visitor, made, key)

    def _step(self, request: Request, visitor: Visitor) -> Response:
        """What is left to do: a product, or its first call."""
        projects = self._crm.account(visitor.account).projects.list()
        asked = request.query_params.get("project")
        found = next((each for each in projects if asked in (None, each.slug)), None)
        if found is None:
            return _product_form(request)
        return self._first_call(request, visitor, found)

    def _first_call(
        self, request: Request, visitor: Visitor, project: Project, key: str = ""
    ) -> Response:
        """Without the key, which is shown once, the page may look again by itself."""
        address = str(request.base_url).rstrip("/")
        snippets = [
            (name, label, snippet(file).replace(EXAMPLE, address)) for name, label, file in SNIPPETS
        ]
        shown = self._waiting(visitor, project.slug)
        title = "Waiting for the first call" if shown["person"] is None else "The first call is in"
        shown |= {"title": title, "key": key, "snippets": snippets, "visitor": visitor}
        return page(request, "setup_call.html", **shown)

    def _waiting(self, visitor: Visitor, slug: str) -> dict[str, Any]:
        crm = self._crm.account(visitor.account)
        project = next((each for each in crm.projects.list() if each.slug == slug), None)
        found = crm.customers.find([("project", slug)], limit=1) if project else None
        return {
            "project": project,
            "person": next(iter(found), None) if found is not None else None,
            "rejected": self._setup.last_rejected(visitor.account),
        }


@cache
def snippet(file: str) -> str:
    """The text of a snippet."""
    return (files("tinycrm_server") / "snippets" / file).read_text("utf-8")


def _product_form(
    request: Request, status: int = 200, name: str = "", slug: str = "", wrong: str = ""
) -> Response:
    title = "Your first product"
    given = {"name": name, "slug": slug, "wrong": wrong}
    return page(request, "setup_product.html", status, title=title, **given)


def _owner_form(
    request: Request, form: dict[str, str] | None = None, field: str = "", wrong: str = ""
) -> Response:
    given = form or {}
    return page(
        request, "setup_owner.html", 422 if wrong else 200, title="Set up TinyCRM",
        email=given.get("email", ""), token=given.get("token", ""), field=field, wrong=wrong,
    )  # fmt: skip

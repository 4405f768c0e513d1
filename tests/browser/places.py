"""Where a browser finds the admin: in the bundled server, and in hosts behind their own login."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.hosts.applications import AT_ROOT, NO_POLICY, OUTER, OWN_POLICY, STAFF
from tests.hosts.logins import LOGIN, OWNER, PASSWORD
from tinycrm_core.client import TinyCRM

MOUNTS = {
    "flask": ("flask", "", ""),
    "django": ("django-wsgi", OUTER, STAFF),
    "fastapi": ("fastapi", "", NO_POLICY),
    "starlette": ("starlette", OUTER, OWN_POLICY),
}
"""The kind of a host, where the whole of it is, and where in it the admin is."""

SERVER = "server"
in_hosts = pytest.mark.parametrize("demo", MOUNTS, indirect=True)
"""Has a test run in every host, beside which the bundled server has a test of its own."""

everywhere = pytest.mark.parametrize("demo", [SERVER, *MOUNTS], indirect=True)
"""Has a test run in the bundled server and in every host."""


@dataclass
class Place:
    """The admin in one of them. `url` has no slash at its end; `enter` logs a new browser in."""

    name: str
    crm: TinyCRM
    url: str
    enter: Callable[[Page], None]
    headers: dict[str, str] = field(default_factory=dict)
    inside: Any = None
    """The cookies of a browser that is logged in."""

    def logged_in(self, browser: Browser) -> Any:
        """The same, from a browser that logs in if none has before."""
        if self.inside is None:
            context = browser.new_context(extra_http_headers=self.headers)
            self.enter(context.new_page())
            self.inside = context.storage_state()
            context.close()
        return self.inside


def host_place(name: str, port: int, crm: TinyCRM) -> Place:
    """One of MOUNTS."""
    _, outer, mount = MOUNTS[name]
    url = f"http://127.0.0.1:{port}{outer}"

    def enter(page: Page) -> None:
        page.goto(f"{url}{LOGIN}?next={outer}{mount}/")
        page.get_by_label("Name").fill(OWNER)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Log in").click()
        expect(page.locator("h1")).to_have_text("Everyone")

    headers = {} if mount else {AT_ROOT: "1"}
    return Place(name, crm, url + mount, enter, headers)

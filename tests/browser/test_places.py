"""Every page in every host: as one gets in there, at its place, under its policy."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Visit
from tests.browser.places import Place, in_hosts
from tests.browser.test_axe import findings
from tests.browser.watching import Watched
from tests.hosts.applications import POLICY
from tests.hosts.logins import OWNER, PASSWORD
from tinycrm_integrations.web.render import CONTENT_SECURITY_POLICY

POLICIES = {
    "flask": CONTENT_SECURITY_POLICY,
    "django": CONTENT_SECURITY_POLICY,
    "starlette": POLICY,
    "fastapi": None,
}


def pages(demo: Place) -> dict[str, str]:
    """A path for each kind of page; the setup is in the bundled server alone."""
    one, two = (each.id for each in demo.crm.customers.find("projects>=2", limit=2))
    return {
        "customers": "/?status@linkbio=paid",
        "customer": f"/customers/{one}",
        "overlap": "/overlap",
        "projects": "/projects",
        "import": "/import",
        "merge": f"/merge?id={one}&id={two}",
    }


@in_hosts
@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_page_is_without_a_fault(visit: Visit, demo: Place, width: int, theme: str) -> None:
    """D4: the fixture fails on policy violations, console errors and failed requests."""
    page = visit(width=width, theme=theme)
    for name, path in pages(demo).items():
        answer = page.goto(demo.url + path)
        assert answer
        assert answer.status == 200, name
        assert answer.headers.get("content-security-policy") == POLICIES[demo.name], name
        if name == "customers":  # the one page that goes on loading by itself
            page.wait_for_load_state("networkidle")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        background = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (background == "rgb(255, 255, 255)") == (theme == "light"), name
        assert findings(page) == [], name


@pytest.fixture
def stranger(browser: Browser, demo: Place) -> Iterator[Page]:
    """A browser that is not logged in."""
    watched = Watched(browser)
    yield watched.open(extra_http_headers=demo.headers)
    # A browser asks for an icon of its own accord where a page names none.
    expected = re.compile(r"status of 403|/favicon\.ico")
    assert [each for each in watched.close() if not expected.search(each)] == []


@in_hosts
def test_d5_the_login_of_the_host_opens_the_pages(demo: Place, stranger: Page) -> None:
    """D5: nobody is in before; Django's own rule leads to the login and back."""
    answer = stranger.goto(f"{demo.url}/overlap")
    assert answer
    if demo.name == "django":
        stranger.get_by_label("Name").fill(OWNER)
        stranger.get_by_label("Password").fill(PASSWORD)
        stranger.get_by_role("button", name="Log in").click()
        expect(stranger).to_have_url(f"{demo.url}/overlap")
    else:
        assert answer.status == 403
        demo.enter(stranger)
    expect(stranger.get_by_role("link", name="Overlap")).to_be_visible()
    expect(stranger.locator("body")).to_contain_text(re.compile(OWNER))

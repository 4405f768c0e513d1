"""From an empty server to the first person: the setup page, its snippets and what it waits for."""

from __future__ import annotations

import html
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.programs import program
from tests.server.live import Live, serving
from tests.server.test_owners import ME, PASSWORD, Browser
from tinycrm_core.client import TinyCRM
from tinycrm_core.keys import new_key
from tinycrm_server.owners.owners import Owners
from tinycrm_server.owners.tables import Place
from tinycrm_server.pages.setup import EXAMPLE, SNIPPETS, snippet
from tinycrm_server.running import application
from tinycrm_server.settings import Settings


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Live]:
    """A server with an owner and nothing else."""
    with TinyCRM(f"sqlite:///{tmp_path}/crm.db") as crm:
        Owners(Place(crm.store)).add(ME, PASSWORD)
        with serving(crm, app=application(crm, Settings())) as server:
            yield server


@pytest.fixture
def browser(live: Live) -> Browser:
    """The owner's."""
    owner = Browser(live)
    owner.log_in()
    return owner


def key_on(text: str) -> str:
    found = re.search(r"<code>(tcrm_proj_\w+)</code>", text)
    assert found, text
    return found[1]


def test_a_product_gets_its_key_shown_once(live: Live, browser: Browser) -> None:
    assert "Which product" in browser.get("/setup").text
    broken = browser.post("/setup/product", name="", slug="Not A Slug")
    assert (broken.status, "a slug has" in broken.text) == (422, True)
    assert 'value="Not A Slug"' in broken.text
    made = browser.post("/setup/product", name="My  Newsletter!")
    assert made.status == 200
    live.keys["new"] = key_on(made.text)
    (project,) = live.crm.projects.list()
    assert (project.slug, project.name) == ("my-newsletter", "My  Newsletter!")
    assert live.post("/v1/ping", {"email": "a@example.com"}, key="new").json["known"] is False
    later = browser.get("/setup").text
    assert "tcrm_proj_" not in later
    assert "refresh" in later
    assert "refresh" not in made.text, "a page with a key stays until it is left"


def test_the_page_waits_tells_why_a_call_failed_and_then_who_came(
    live: Live, browser: Browser
) -> None:
    key = key_on(browser.post("/setup/product", name="shop").text)
    assert "Waiting for the first call" in browser.get("/setup/waiting?project=shop").text
    cut = live.post("/v1/identify", {"email": "a@example.com"}, key=key[:-1])
    assert cut.error["message"] == "this API key is not known here", "a stranger learns nothing"
    text = browser.get("/setup/waiting?project=shop").text
    assert "The last call was turned away" in text
    assert "401 unauthorized" in text
    assert "API key must have 43 characters, not 42." in html.unescape(text)
    assert key[:-1] not in text
    assert (
        live.post("/v1/identify", {"email": "a@example.com", "name": "Ann"}, key=key).status == 200
    )
    text = browser.get("/setup/waiting?project=shop").text
    assert "Ann" in text
    assert "hx-trigger" not in text, "the page stops looking"


def test_what_was_wrong_with_an_event_of_a_batch_is_shown_too(live: Live, browser: Browser) -> None:
    key = key_on(browser.post("/setup/product", name="shop").text)
    events = [{"type": "identify", "email": "nonsense"}]
    assert live.post("/v1/events", {"events": events}, key=key).status == 200
    assert "invalid_email" in browser.get("/setup/waiting?project=shop").text


def test_one_account_does_not_see_what_another_got_wrong(live: Live, browser: Browser) -> None:
    """A1: neither its calls nor those with a key that nobody knows."""
    browser.post("/setup/product", name="shop")
    acme = live.crm.account("acme")
    acme.projects.add("shop")
    key = acme.keys.create("shop").secret
    live.post("/v1/identify", {"email": "wrong"}, key=key)
    assert "turned away" not in browser.get("/setup/waiting?project=shop").text
    live.post("/v1/identify", {"email": "wrong"}, key=new_key("proj").secret)
    assert "turned away" not in browser.get("/setup/waiting?project=shop").text


def test_without_a_session_nothing_is_shown(live: Live, browser: Browser) -> None:
    browser.post("/setup/product", name="shop")
    for path in ("/setup", "/setup/waiting?project=shop"):
        assert live.ask("GET", path).status == 303
    answer = Browser(live).post("/setup/product", name="mine")
    assert answer.status == 401
    assert len(live.crm.projects.list()) == 1


def test_pages_hold_nothing_inline(live: Live, browser: Browser) -> None:
    """D4: no inline style, no inline script, no other host but the snippets' own."""
    made = browser.post("/setup/product", name="shop").text
    for text in (made, browser.get("/setup").text, browser.get("/account").text,
                 live.ask("GET", "/login").text):  # fmt: skip
        assert not re.search(r"\sstyle=|\son\w+=|<style|javascript:", text)
        assert not re.search(r"<script(?![^>]*\ssrc=)", text)
        assert not re.search(r'(?:href|src|action)="(?:\w+:|//)', text)


RUNS = {
    "python": [sys.executable, "snippet"],
    "curl": ["sh", "-e", "snippet"],
    "javascript": ["node", "snippet.mjs"],
    "flask": [sys.executable, "-c", "import host; host.run()"],
    "fastapi": [sys.executable, "-c", "import host; host.run()"],
    "django": [sys.executable, "-c", "import host; host.run()"],
}
HOSTS = {
    "flask": """
        import snippet
        def run():
            with snippet.app.app_context():
                snippet.signed_up(User())
            snippet.app.extensions["tinycrm"].crm.flush(10)
    """,
    "fastapi": """
        import asyncio, snippet
        async def call():
            async with snippet.app.router.lifespan_context(snippet.app):
                await snippet.signed_up(User())
        def run():
            asyncio.run(call())
            snippet.crm.flush(10)
    """,
    "django": """
        import os
        os.environ["DJANGO_SETTINGS_MODULE"] = "snippet"
        def run():
            import django, snippet
            django.setup()
            snippet.paid(User())
            from tinycrm_integrations.django import crm
            crm.flush(10)
    """,
}
USER = 'class User:\n    email, name = "alice@example.com", "Alice Chen"\n'


@pytest.mark.parametrize("name", [name for name, _, _ in SNIPPETS])
def test_each_snippet_runs_as_it_is_shown(
    name: str, live: Live, browser: Browser, tmp_path: Path
) -> None:
    """With the address and the key of this very server, in the host it is for."""
    made = browser.post("/setup/product", name="shop").text
    shown = re.search(rf'<pre class="{name}"[^>]*>(.*?)</pre>', made, re.DOTALL)
    assert shown
    text = html.unescape(shown[1])
    file = next(file for each, _, file in SNIPPETS if each == name)
    assert text.strip() == snippet(file).replace(EXAMPLE, live.url).strip()
    command, *arguments = RUNS[name]
    names = {"javascript": "snippet.mjs", "python": "snippet", "curl": "snippet"}
    (tmp_path / names.get(name, "snippet.py")).write_text(text, "utf-8")
    if name in HOSTS:
        body = "\n".join(line[8:] for line in HOSTS[name].splitlines())
        (tmp_path / "host.py").write_text(USER + body, "utf-8")
    done = subprocess.run(
        [program(command), *arguments],
        cwd=tmp_path,
        env=os.environ | {"TINYCRM_API_KEY": key_on(made)},
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )
    assert done.returncode == 0, done.stderr
    (person,) = live.crm.customers.find()
    assert person.email == "alice@example.com"
    assert str(person.memberships[0].status) == ("paid" if name == "django" else "free")

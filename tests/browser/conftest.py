"""The admin with the sample portfolio, in the bundled server and in hosts, open in a browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.places import MOUNTS, SERVER, Place, host_place
from tests.browser.watching import Watched
from tests.hosts.processes import Hosts
from tests.server.live import Live, serving
from tinycrm_core.client import TinyCRM

Visit = Callable[..., Page]


@pytest.fixture(scope="session")
def server(sample: Path) -> Iterator[Live]:
    """The bundled server over the sample."""
    with TinyCRM(f"sqlite:///{sample}") as crm, serving(crm) as server:
        yield server


@pytest.fixture(scope="session")
def places(server: Live) -> dict[str, Place]:
    """Where browsers have been: one login for all that is done in a place."""

    def enter(page: Page) -> None:
        page.goto(f"{server.url}/enter?code={server.entrance.new_code()}")

    return {SERVER: Place(SERVER, server.crm, server.url, enter)}


@pytest.fixture
def demo(request: pytest.FixtureRequest, places: dict[str, Place], running: Hosts) -> Place:
    """The bundled server, or the place that a test asks for."""
    name = getattr(request, "param", SERVER)
    if name not in places:
        kind, _, _ = MOUNTS[name]
        places[name] = host_place(name, running[kind], places[SERVER].crm)
    return places[name]


@pytest.fixture
def visit(browser: Browser, demo: Place) -> Iterator[Visit]:
    """Opens a path of the place in a new browser; afterwards nothing may have gone wrong in it."""
    watched = Watched(browser)

    def visit(
        path: str = "/", *, width: int = 1280, theme: str = "light", script: bool = True
    ) -> Page:
        page = watched.open(
            width=width,
            theme=theme,
            script=script,
            extra_http_headers=demo.headers,
            storage_state=demo.logged_in(browser),
        )
        page.goto(demo.url + path)
        return page

    yield visit
    assert watched.close() == []

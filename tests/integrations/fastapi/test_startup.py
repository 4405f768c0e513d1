"""An ASGI application says at its start what is wrong where people go, and starts all the same."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from tests.delivery.faults import refusing, silent
from tests.patience import eventually
from tests.server.live import serving
from tinycrm_core.client import TinyCRM
from tinycrm_core.keys import new_key
from tinycrm_integrations.fastapi import Reporter, lifespan, reporter_from_environment
from tinycrm_integrations.startup import Misconfigured

KEY = new_key("proj").secret


def product(reporter: Reporter) -> FastAPI:
    app = FastAPI(lifespan=lifespan(reporter))
    app.add_api_route("/", lambda: "hello")
    return app


def test_a_key_that_nobody_has_is_one_warning(warned: Callable[[], list[str]]) -> None:
    with (
        TinyCRM("memory://") as crm,
        serving(crm) as server,
        TinyCRM(api_key=KEY, url=server.url) as remote,
        TestClient(product(Reporter(remote))) as visitor,
    ):
        assert visitor.get("/").json() == "hello"
        eventually(warned)
    (said,) = warned()
    assert "does not know this API key" in said
    assert KEY not in said


def test_a_server_that_never_answers_does_not_hold_the_start_up() -> None:
    """The look would wait for seconds; whoever visits meanwhile is answered."""
    with (
        silent() as port,
        TinyCRM(f"http://{KEY}@127.0.0.1:{port}") as crm,
        TestClient(product(Reporter(crm))) as visitor,
    ):
        assert visitor.get("/").json() == "hello"


def test_asked_to_be_strict_it_does_not_start() -> None:
    with refusing() as port:
        environment = {"TINYCRM_API_KEY": KEY, "TINYCRM_URL": f"http://127.0.0.1:{port}"}
        reporter = reporter_from_environment({**environment, "TINYCRM_STRICT": "yes"})
        with pytest.raises(Misconfigured, match="cannot be reached"), TestClient(product(reporter)):
            pass
        relaxed = reporter_from_environment(environment)
        with TestClient(product(relaxed)) as visitor:
            assert visitor.get("/").json() == "hello"
    with TestClient(product(Reporter(TinyCRM("memory://", project="shop"), strict=True))):
        pass

"""The same application with one setting changed: people go to a server, over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from tests.integrations.flask.forms import change_email, sign_up
from tests.integrations.flask.live import browsing
from tests.integrations.flask.products import login_product, security_product
from tests.patience import PATIENCE
from tests.server.live import Live
from tests.server.live import serving as serving_tinycrm
from tinycrm_core.client import TinyCRM as Client
from tinycrm_integrations.flask import TinyCRM

ADA = "ada@example.com"


@pytest.fixture
def server() -> Iterator[Live]:
    with Client("memory://") as crm, serving_tinycrm(crm) as server:
        crm.projects.add("notes")
        server.keys["notes"] = crm.keys.create("notes").secret
        yield server


def reported(app: Flask, server: Live) -> Flask:
    app.config.update(TINYCRM_API_KEY=server.keys["notes"], TINYCRM_URL=server.url)
    TinyCRM(app)
    return app


def test_a_sign_up_reaches_the_server(tmp_path: Path, server: Live) -> None:
    app = reported(login_product(tmp_path), server)
    with browsing(app) as client:
        assert client.post("/sign-up", data={"email": ADA, "name": "Ada"}).status_code == 201
    assert app.extensions["tinycrm"].crm.flush(PATIENCE)
    (person,) = server.crm.customers.find()
    assert (person.email, person.name, person.memberships[0].project) == (ADA, "Ada", "notes")


def test_another_address_reaches_the_server(tmp_path: Path, server: Live) -> None:
    app = reported(security_product(tmp_path), server)
    with browsing(app) as client:
        sign_up(client, ADA)
        change_email(client, app.security._mail_util.sent, "ada@b.example")
    assert app.extensions["tinycrm"].crm.flush(PATIENCE)
    (person,) = server.crm.customers.find()
    assert (person.email, person.aliases) == ("ada@b.example", (ADA,))
    assert app.extensions["tinycrm"].reporter.guard.failures == {}


def test_a_server_that_is_down_is_nobodys_business(tmp_path: Path, server: Live) -> None:
    app = login_product(tmp_path)
    app.config.update(TINYCRM_API_KEY=server.keys["notes"], TINYCRM_URL="http://127.0.0.1:9")
    TinyCRM(app)
    with browsing(app) as client:
        assert client.post("/sign-up", data={"email": ADA}).status_code == 201
        assert client.get("/me").text == ADA
    crm = app.extensions["tinycrm"].crm
    assert not crm.flush(0.2)
    assert crm.stats().waiting == 1
    crm.queue.close(0)

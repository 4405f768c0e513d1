"""What init_app refuses, and that it says what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import create_engine

from tests.integrations.customers import Customers
from tests.patience import eventually
from tinycrm_core import Identify, InvalidInput, InvalidKey, NotSupported, TinyCRMError
from tinycrm_core import TinyCRM as Client
from tinycrm_integrations.flask import TinyCRM

HERE = {"TINYCRM_DATABASE": "memory://", "TINYCRM_PROJECT": "notes"}


def initialised(**settings: Any) -> Flask:
    app = Flask("product")
    app.config.update(settings)
    TinyCRM(app)
    return app


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "TINYCRM_DATABASE: missing; set it to a database URL"),
        ({"TINYCRM_DATABASE": "memory://"}, "TINYCRM_PROJECT: missing; set it to the name"),
        ({**HERE, "TINYCRM_PROJECT": "My Notes"}, "project: a slug has"),
        ({**HERE, "TINYCRM_DATABASE": "crm.db"}, "where: expected"),
        ({**HERE, "TINYCRM_PROJCT": "x"}, "TINYCRM_PROJCT: no such setting; there are"),
        ({**HERE, "TINYCRM_SIGNUP_STATUS": "gold"}, "status: 'gold' is not one of free"),
        ({**HERE, "TINYCRM_ON_DELETE": "shred"}, "on_delete: expected churn, delete, forget, keep"),
        ({**HERE, "TINYCRM_PING_INTERVAL": "often"}, "ping_interval: expected seconds"),
        ({**HERE, "TINYCRM_USER": "no.such:function"}, "TINYCRM_USER: cannot import 'no.such:"),
        ({**HERE, "TINYCRM_USER": 5}, "mapping: expected a function"),
        ({**HERE, "TINYCRM_API_KEY": "x"}, "TINYCRM_API_KEY: leave it out"),
    ],
)
def test_a_wrong_setting_is_refused_by_name(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInput, match="(?s)^" + words.replace("(", r"\(")):
        initialised(**settings)


def test_a_wrong_key_is_refused_without_being_repeated() -> None:
    with pytest.raises((InvalidKey, InvalidInput)) as caught:
        initialised(TINYCRM_API_KEY="tcrm_proj_wrong", TINYCRM_URL="https://crm.example.com")
    assert "tcrm_proj_wrong" not in str(caught.value)


def test_a_server_takes_the_place_of_a_database() -> None:
    with Client("memory://") as crm:
        crm.projects.add("notes")
        key = crm.keys.create("notes").secret
    app = initialised(TINYCRM_API_KEY=key, TINYCRM_URL="http://127.0.0.1:9")
    assert key not in repr(app.extensions["tinycrm"].crm)


def test_init_app_touches_no_database(tmp_path: Path) -> None:
    file = tmp_path / "crm.db"
    initialised(**{**HERE, "TINYCRM_DATABASE": f"sqlite:///{file}"})
    assert not file.exists()


def test_the_database_may_be_an_engine_of_the_host(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'crm.db'}")
    app = initialised(**{**HERE, "TINYCRM_DATABASE": engine})
    with app.app_context():
        app.extensions["tinycrm"].crm.identify("ada@example.com")
    assert Customers(f"sqlite:///{tmp_path / 'crm.db'}").of(app).keys() == {"ada@example.com"}
    engine.dispose()


def test_the_mapping_may_be_a_name() -> None:
    app = initialised(**HERE, TINYCRM_USER=f"{__name__}:mapping")
    person = app.extensions["tinycrm"].reporter.person("ada", "test")
    assert person == Identify("ada@example.com")


def mapping(user: str) -> Identify:
    return Identify(f"{user}@example.com")


def test_another_extension_on_the_same_application_is_refused() -> None:
    app = initialised(**HERE)
    with pytest.raises(InvalidInput, match="another TinyCRM"):
        TinyCRM(app)


def test_outside_of_a_reported_application_the_error_says_so() -> None:
    crm = TinyCRM()
    with Flask("product").app_context(), pytest.raises(NotSupported, match=r"call init_app\(app\)"):
        crm.identify("ada@example.com")


def test_direct_calls_refuse_wrong_input_and_nothing_else(
    reported: dict[str, Any], customers: Customers
) -> None:
    app = Flask("product")
    app.config.update(reported)
    crm = TinyCRM(app)
    with app.app_context():
        crm.identify("ada@example.com", status="paid", params={"plan": "pro"})
        crm.ping("ada@example.com")
        with pytest.raises(TinyCRMError, match="status"):
            crm.identify("ada@example.com", status="gold")
        crm.user_deleted("bo@example.com")
        assert crm.client is app.extensions["tinycrm"].crm
    found = customers.of(app)
    assert found["ada@example.com"].on("notes").params == {"plan": "pro"}
    assert str(found["bo@example.com"].on("notes").status) == "churned"


def test_a_deletion_is_treated_as_configured(
    reported: dict[str, Any], customers: Customers
) -> None:
    app = Flask("product")
    app.config.update(reported, TINYCRM_ON_DELETE="delete")
    crm = TinyCRM(app)
    with app.app_context():
        crm.identify("ada@example.com")
        assert customers.of(app)
        crm.user_deleted("ada@example.com")
    eventually(lambda: not customers.of(app))

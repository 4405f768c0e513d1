"""F3: told after the commit, and only of what the commit left there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask_security import user_registered
from sqlalchemy import create_engine, text

from tests.integrations.customers import Customers
from tests.integrations.flask.products import login_product
from tinycrm_integrations.flask import TinyCRM


@pytest.fixture
def app(tmp_path: Path, reported: dict[str, Any]) -> Iterator[Flask]:
    app = login_product(tmp_path, **reported)
    TinyCRM(app)
    with app.app_context():
        yield app


@pytest.fixture
def session(app: Flask) -> Any:
    return app.database.session


def register(app: Flask, email: str) -> Any:
    """What Flask-Security does: a user in the session, then the signal, then nothing yet."""
    user = app.users(email=email)
    app.database.session.add(user)
    extra = {"confirm_token": "t", "form_data": {"password": "secret"}, "of_the_future": 1}
    user_registered.send(app, user=user, **extra)
    return user


def test_f3_nothing_is_told_before_the_commit(
    app: Flask, session: Any, customers: Customers
) -> None:
    register(app, "ada@example.com")
    session.flush()
    assert customers.of(app) == {}
    session.commit()
    assert list(customers.of(app)) == ["ada@example.com"]


def test_f3_a_rollback_means_never(app: Flask, session: Any, customers: Customers) -> None:
    register(app, "ada@example.com")
    session.flush()
    session.rollback()
    register(app, "bo@example.com")
    session.commit()
    session.commit()
    assert list(customers.of(app)) == ["bo@example.com"]


def test_f3_a_savepoint_that_is_rolled_back_means_never(
    app: Flask, session: Any, customers: Customers
) -> None:
    with session.begin_nested():
        register(app, "kept@example.com")
    assert customers.of(app) == {}, "the release of a savepoint is no commit"
    savepoint = session.begin_nested()
    register(app, "undone@example.com")
    session.flush()
    savepoint.rollback()
    session.commit()
    assert list(customers.of(app)) == ["kept@example.com"]


def test_f3_a_released_savepoint_can_still_be_rolled_back(
    app: Flask, session: Any, customers: Customers
) -> None:
    with session.begin_nested():
        register(app, "ada@example.com")
    session.rollback()
    register(app, "bo@example.com")
    session.commit()
    assert list(customers.of(app)) == ["bo@example.com"]


def test_f3_what_is_told_is_what_was_true_then(
    app: Flask, session: Any, customers: Customers
) -> None:
    user = register(app, "ada@example.com")
    user.name = "set before the commit"
    session.commit()
    assert customers.of(app)["ada@example.com"].name is None, "copied when the signal was sent"


def test_f3_another_session_has_its_own_commits(
    app: Flask, session: Any, customers: Customers
) -> None:
    register(app, "ada@example.com")
    other = app.database._make_scoped_session({})
    other.execute(text("SELECT 1"))
    other.commit()
    other.remove()
    assert customers.of(app) == {}
    session.commit()
    assert list(customers.of(app)) == ["ada@example.com"]


def test_f3_users_that_are_no_models_are_told_at_the_end_of_a_good_request(
    reported: dict[str, Any], customers: Customers
) -> None:
    app = Flask("product")
    app.config.update(reported)
    TinyCRM(app)

    @app.post("/<int:status>")
    def register(status: int) -> Any:
        user = type("Person", (), {"email": f"p{status}@example.com", "is_authenticated": True})()
        user_registered.send(app, user=user, confirm_token=None, form_data={})
        return "x", status

    client = app.test_client()
    for status in (201, 302, 400, 409, 500):
        assert client.post(f"/{status}").status_code == status
    assert sorted(customers.of(app)) == ["p201@example.com", "p302@example.com"]


def test_f3_the_hosts_own_sqlite_file_can_be_the_database_too(
    tmp_path: Path,
) -> None:
    """The event is applied after the commit, by another connection: nobody waits for a lock."""
    url = f"sqlite:///{tmp_path / 'product.db'}"
    app = login_product(tmp_path, TINYCRM_DATABASE=url, TINYCRM_PROJECT="notes")
    TinyCRM(app)
    with app.app_context():
        register(app, "ada@example.com")
        app.database.session.commit()
    assert list(Customers(url).of(app)) == ["ada@example.com"]
    engine = create_engine(url)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM user")).scalar() == 1
    engine.dispose()

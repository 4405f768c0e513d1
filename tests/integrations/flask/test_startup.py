"""A Flask application says at its start what is wrong where people go, and starts all the same."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask

from tests.delivery.faults import refusing
from tests.patience import eventually
from tests.server.live import serving
from tinycrm_core.client import TinyCRM as Client
from tinycrm_core.keys import new_key
from tinycrm_integrations.flask import TinyCRM
from tinycrm_integrations.startup import Misconfigured

KEY = new_key("proj").secret
NOWHERE = "postgresql+psycopg://nobody:hidden@127.0.0.1:9/nothing"


def product(**settings: object) -> Flask:
    app = Flask("product")
    app.config.update(settings)
    app.add_url_rule("/", view_func=lambda: "hello")
    TinyCRM(app)
    return app


def test_a_key_that_nobody_has_is_one_warning(warned: Callable[[], list[str]]) -> None:
    with Client("memory://") as crm, serving(crm) as server:
        app = product(TINYCRM_API_KEY=KEY, TINYCRM_URL=server.url)
        assert warned() == []  # nothing is asked before somebody comes
        for _ in range(5):
            assert app.test_client().get("/").text == "hello"
        eventually(warned)
    (said,) = warned()
    assert "does not know this API key" in said
    assert "`tinycrm key create`" in said
    assert KEY not in said


def test_a_database_that_is_not_there_is_one_warning(warned: Callable[[], list[str]]) -> None:
    app = product(TINYCRM_DATABASE=NOWHERE, TINYCRM_PROJECT="notes")
    assert app.test_client().get("/").text == "hello"
    eventually(warned)
    (said,) = warned()
    assert "The database of TinyCRM cannot be used" in said
    assert "hidden" not in said


def test_under_test_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    monkeypatch.setattr("tinycrm_integrations.startup.look_aside", lambda *a, **k: asked.append(a))
    for is_on in (False, True):
        app = product(
            TESTING=True,
            TINYCRM_DATABASE="memory://",
            TINYCRM_PROJECT="notes",
            TINYCRM_IN_TESTS=is_on,
        )
        app.test_client().get("/")
        assert len(asked) == is_on


def test_asked_to_be_strict_it_does_not_start(tmp_path: Path) -> None:
    with refusing() as port, pytest.raises(Misconfigured, match="cannot be reached"):
        product(TINYCRM_API_KEY=KEY, TINYCRM_URL=f"http://127.0.0.1:{port}", TINYCRM_STRICT=True)
    with pytest.raises(Misconfigured, match="cannot write there"):
        product(
            TINYCRM_DATABASE=f"sqlite:///{tmp_path}/no/crm.db",
            TINYCRM_PROJECT="notes",
            TINYCRM_STRICT=True,
        )
    here = f"sqlite:///{tmp_path / 'crm.db'}"
    product(TINYCRM_DATABASE=here, TINYCRM_PROJECT="notes", TINYCRM_STRICT=True)


PRODUCT = """
from flask import Flask
from tinycrm_integrations.flask import TinyCRM

app = Flask(__name__)
app.config.from_prefixed_env("PRODUCT")
TinyCRM(app)
"""


def flask(folder: Path, *arguments: str, **settings: str) -> tuple[int, str]:
    """Exit code and output of a command of the application."""
    (folder / "product.py").write_text(PRODUCT)
    done = subprocess.run(
        [sys.executable, "-m", "flask", "--app", "product", *arguments],
        cwd=folder,
        env={**os.environ, **{f"PRODUCT_{name}": value for name, value in settings.items()}},
        capture_output=True,
        text=True,
        timeout=100,
    )
    return done.returncode, done.stdout + done.stderr


def test_a_command_says_what_is_wrong_and_another_mends_it(tmp_path: Path) -> None:
    """Also in an application that would not start."""
    settings = {
        "TINYCRM_DATABASE": f"sqlite:///{tmp_path / 'crm.db'}",
        "TINYCRM_PROJECT": "notes",
        "TINYCRM_STRICT": "true",
    }
    assert flask(tmp_path, "tinycrm", "check", **settings) == (
        0,
        "Nothing is wrong: events are taken.\n",
    )
    (tmp_path / "crm.db").write_text("no database" * 20)
    code, said = flask(tmp_path, "tinycrm", "check", **settings)
    assert code == 1
    assert "not a SQLite database" in said
    assert "Traceback" not in said
    code, said = flask(tmp_path, "run", "--port", "0", **settings)
    assert code != 0
    assert "not a SQLite database" in said
    (tmp_path / "crm.db").unlink()
    code, said = flask(tmp_path, "tinycrm", "migrate", **settings)
    assert code == 0, said

"""`flask tinycrm …` in a process of its own, as people type it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tinycrm_core.client import TinyCRM

PRODUCT = """
import sys
sys.path.insert(0, {root!r})

from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

from flask import Flask
from tinycrm_integrations.flask import TinyCRM

app = Flask(__name__)
app.config.update(TINYCRM_DATABASE={url!r}, TINYCRM_PROJECT="notes")
crm = TinyCRM(app)


@crm.all_users
def users():
    for number in range(1203):
        email = f"p{{number}}@example.com" if number % 100 else None
        yield SimpleNamespace(
            email=email, name=f"Person {{number}}", created_at=datetime(2024, 5, 1)
        )
    yield SimpleNamespace(email="not an address", name="Nobody")
"""


class Product:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = f"sqlite:///{folder / 'crm.db'}"
        code = PRODUCT.format(root=str(folder), url=self.url)
        (folder / "product.py").write_text(code)

    def run(
        self, *arguments: str, app: str = "product", **environment: str
    ) -> tuple[int, str, str]:
        """Exit code, output and error output."""
        done = subprocess.run(
            [sys.executable, "-m", "flask", "--app", app, *arguments],
            cwd=self.folder,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr


@pytest.fixture
def product(tmp_path: Path) -> Product:
    return Product(tmp_path)


def test_backfill_reports_the_users_there_are(product: Product) -> None:
    code, out, err = product.run("tinycrm", "backfill", "--dry-run")
    assert (code, out) == (0, "1,190 would be reported, 13 skipped, 1 refused.\n"), err
    with TinyCRM(product.url) as crm:
        assert crm.customers.count() == 0
        crm.project("notes").identify("p1@example.com", status="paid", name="Newer")
        crm.project("notes").identify("p2@example.com", status="churned")
        seen = crm.customers.get("p1@example.com").last_seen_at
        for turn in range(2):
            code, out, err = product.run("tinycrm", "backfill")
            assert (code, out) == (0, "1,190 reported, 13 skipped, 1 refused.\n"), turn
            assert err.splitlines()[-2:][0] == "1,204 users …"
            assert "refused: email " in err.splitlines()[-1]
            assert crm.customers.count() == 1190
            assert crm.customers.count("status:paid") == 1
            assert crm.customers.count("status:churned") == 1
        first = crm.customers.get("p1@example.com")
        assert (first.name, first.last_seen_at) == ("Newer", seen)
        third = crm.customers.get("p3@example.com")
        assert third.on("notes").joined_at == datetime(2024, 5, 1, tzinfo=UTC)
        assert third.last_seen_at is None
        assert [each.via for each in crm.customers.history("p3@example.com")] == ["backfill"]


def test_every_command_works_on_the_database_of_the_application(product: Product) -> None:
    elsewhere = {"TINYCRM_DATABASE": f"sqlite:///{product.folder / 'elsewhere.db'}"}
    code, out, err = product.run("tinycrm", "project", "add", "notes", **elsewhere)
    assert code == 0, err
    assert out.startswith("Added notes.")
    with TinyCRM(product.url, project="notes") as crm:
        crm.identify("ada@example.com", status="paid")
    code, out, err = product.run("tinycrm", "customers", "status:paid", "--json", **elsewhere)
    assert code == 0, err
    assert [each["email"] for each in json.loads(out)["customers"]] == ["ada@example.com"]
    assert not (product.folder / "elsewhere.db").exists()
    code, out, _ = product.run("tinycrm", "customers", "--help")
    assert code == 0
    assert "--database" not in out
    code, _, err = product.run("tinycrm", "customers", "nonsense:5")
    assert code != 0
    assert "Traceback" not in err


def test_all_commands_are_listed(product: Product) -> None:
    code, out, _ = product.run("tinycrm", "--help")
    listed = {line.split()[0] for line in out.partition("Commands:\n")[2].splitlines()}
    assert code == 0
    assert {"backfill", "customers", "migrate", "doctor", "import", "project"} <= listed


def test_an_application_without_a_database_says_so(product: Product) -> None:
    (product.folder / "remote.py").write_text(
        "from flask import Flask\napp = Flask(__name__)\n"
        "app.config['TINYCRM_DATABASE'] = 'memory://'\n"
    )
    code, _, err = product.run("tinycrm", "customers", app="remote")
    assert code == 1
    assert "keeps its customers elsewhere" in err
    assert "Traceback" not in err
    code, _, err = product.run("tinycrm", "backfill", app="remote")
    assert code == 1
    assert "call init_app(app) first" in err


def test_f13_flasks_own_commands_need_nothing_of_ours(product: Product) -> None:
    """The command line of every application on this Python loads the entry point."""
    probe = (
        "import sys; before = set(sys.modules); import tinycrm_integrations.flask.commands;"
        "import threading; assert threading.active_count() == 1;"
        "new = {name.partition('.')[0] for name in set(sys.modules) - before};"
        "print(sorted(new & {'sqlalchemy', 'rich', 'tinycrm_server', 'flask_login',"
        " 'flask_security', 'uvicorn', 'alembic', 'psycopg'}));"
        "print('tinycrm_integrations.web' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["[]", "False"]

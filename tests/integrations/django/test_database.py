"""The people beside the project's own tables: on PostgreSQL, on an own database, over forks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url

from tests.integrations.django.live import Shop
from tests.integrations.django.test_hooks import BEGIN, END
from tests.patience import eventually
from tinycrm_core.client import TinyCRM


def settings_of(url: str) -> dict[str, Any]:
    """A PostgreSQL database as Django writes it down."""
    found = make_url(url)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": found.database,
        "USER": found.username or "",
        "PASSWORD": found.password or "",
        "HOST": found.query.get("host") or found.host or "",
        "PORT": str(found.port or ""),
        "ATOMIC_REQUESTS": True,
        "OPTIONS": {"application_name": "shop"},
    }


def test_people_share_the_postgresql_of_the_project(
    tmp_path: Path, fresh_postgres_url: str
) -> None:
    """Migrated, visited and asked through DATABASES."""
    databases = {"default": settings_of(fresh_postgres_url)}
    shop = Shop(tmp_path, {"databases": databases, "crm": fresh_postgres_url})
    assert "The tables of TinyCRM are up to date." in shop.manage("migrate").stdout
    with shop.serve("wsgi") as site:
        visitor = site.visitor()
        visitor.sign_up("ada@example.com")
        assert site.person("ada@example.com").on("shop").status == "free"
        assert visitor.http.post("/broken-signup/").status_code == 500
        site.settled()
        assert site.crm.customers.get("broken@example.com") is None
        assert "TinyCRM:" not in site.log
    assert "ada@example.com" in shop.manage("tinycrm", "show", "ada@example.com").stdout
    assert "marker" in shop.manage("tinycrm", "customers").stdout
    users = shop.run(f"{BEGIN}\nprint(User.objects.count()){END}")
    assert users.strip() == "2"


def test_a_second_database_of_the_project(tmp_path: Path) -> None:
    """Users in the default one, people in another; a rollback of either counts for its own."""
    lite = "django.db.backends.sqlite3"
    databases = {
        "default": {"ENGINE": lite, "NAME": str(tmp_path / "shop.sqlite3")},
        "people": {"ENGINE": lite, "NAME": str(tmp_path / "people.sqlite3")},
    }
    given = {"databases": databases, "tinycrm": {"DATABASE": "people"}}
    shop = Shop(tmp_path, given)
    assert "TinyCRM" not in shop.manage("migrate").stdout
    assert "The tables of TinyCRM" in shop.manage("migrate", "--database", "people").stdout
    shop.run(
        f"{BEGIN}\n"
        "try:\n"
        "    with transaction.atomic():\n"
        "        User.objects.create_user('a', 'a@example.com')\n"
        "        raise ValueError\n"
        "except ValueError:\n"
        "    User.objects.create_user('b', 'b@example.com')\n"
        f"{END}"
    )
    with TinyCRM(f"sqlite:///{tmp_path / 'people.sqlite3'}") as crm:
        assert [each.email for each in crm.customers.find()] == ["b@example.com"]


def test_a_project_of_a_server_needs_no_database_for_people(tmp_path: Path) -> None:
    """Its commands say where the people are."""
    key = "https://tcrm_proj_oops@crm.example.com"
    shop = Shop(tmp_path, {"tinycrm": {"DATABASE": key}})
    assert "oops" not in shop.manage("tinycrm", "customers", fail=True).stderr


FORKS = """
import os
user = User.objects.create_user("before", "before@example.com")
assert crm.flush(20)
connection.close()  # that of Django, who leaves this to the project
children = []
for number in range(4):
    child = os.fork()
    if child == 0:
        try:
            User.objects.create_user(f"child{number}", f"child{number}@example.com")
            os._exit(0 if crm.flush(60) else 1)
        finally:
            os._exit(2)
    children.append(child)
assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0] * 4
User.objects.create_user("after", "after@example.com")
"""


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_workers_forked_after_the_first_use(
    make_shop: Callable[..., Shop], tmp_path: Path, request: pytest.FixtureRequest, kind: str
) -> None:
    """As with gunicorn --preload: nobody uses a connection of somebody else."""
    if kind == "sqlite":
        shop = make_shop()
        url = shop.database
    else:
        url = request.getfixturevalue("fresh_postgres_url")
        shop = Shop(tmp_path, {"databases": {"default": settings_of(url)}})
        shop.manage("migrate", "-v", "0")
    shop.run(f"{BEGIN}\n{FORKS}\n{END}")
    with TinyCRM(url) as crm:
        assert eventually(lambda: crm.customers.count() == 6)


def test_a_call_inside_a_transaction_of_sqlite_does_not_end_it(
    make_shop: Callable[..., Shop],
) -> None:
    """A write of ours between its first question and its first change would."""
    shop = make_shop()
    shop.run(
        f"{BEGIN}\n"
        "import time\n"
        "User.objects.create_user('first', 'first@example.com')\n"
        "with transaction.atomic():\n"
        "    assert User.objects.count() == 1\n"
        "    crm.identify('told@example.com')\n"
        "    time.sleep(1)\n"
        "    User.objects.create_user('second', 'second@example.com')\n"
        f"{END}"
    )
    with TinyCRM(shop.database) as crm:
        assert crm.customers.count() == 3


@pytest.mark.parametrize(("mode", "waits"), [(None, True), ("IMMEDIATE", False)])
def test_only_a_project_that_would_fail_has_its_requests_wait(
    tmp_path: Path, mode: str | None, waits: bool
) -> None:
    database = {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(tmp_path / "shop.sqlite3"),
        "OPTIONS": {"transaction_mode": mode},
    }
    shop = Shop(tmp_path, {"databases": {"default": database}})
    found = shop.run(
        "from tinycrm_integrations.django import opened\nprint(opened.current().shares_file)"
    )
    assert found.strip() == str(waits)

"""`manage.py migrate`, `check` and `tinycrm …`, run as people run them."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.integrations.django.live import MODULE, Shop, copied
from tests.patience import eventually
from tests.server.live import serving
from tinycrm_core.client import TinyCRM

SETTINGS = ("--settings", f"{MODULE}.settings")
PEOPLE = """
from datetime import datetime, timezone
from django.contrib.auth import get_user_model
from django.db import transaction
users = get_user_model()
with transaction.atomic():
    users.objects.bulk_create(
        users(username=f"u{n}", email=f"u{n}@example.com", first_name="U", last_name=str(n),
              date_joined=datetime(2020, 1, 1, tzinfo=timezone.utc),
              last_login=datetime(2021, 1, 1, tzinfo=timezone.utc))
        for n in range(1, 26)
    )
    users.objects.bulk_create(
        [users(username="none"), users(username="bad", email="root@localhost")]
    )
"""


def crm_of(shop: Shop) -> TinyCRM:
    return TinyCRM(shop.database, project="shop")


def test_migrate_makes_the_tables_and_says_so(tmp_path: Path) -> None:
    shop = Shop(tmp_path, {})
    assert "The tables of TinyCRM are up to date." in shop.manage("migrate").stdout
    with sqlite3.connect(tmp_path / "shop.sqlite3") as connection:
        names = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
    connection.close()
    assert {"auth_user", "tinycrm_customers", "tinycrm_schema_version"} <= names
    assert not shop.manage("migrate", "--check", "-v", "0").stdout


def test_migrate_makes_the_tables_of_an_own_database(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'people.db'}"
    shop = Shop(tmp_path, {"tinycrm": {"DATABASE": url}})
    shop.manage("migrate")
    with sqlite3.connect(tmp_path / "people.db") as connection:
        found = connection.execute("SELECT count(*) FROM tinycrm_customers").fetchone()
    connection.close()
    assert found == (0,)


def test_a_database_that_cannot_be_used_stops_no_migration_unless_asked(tmp_path: Path) -> None:
    given = {"DATABASE": "postgresql+psycopg://nobody:hidden@127.0.0.1:1/nothing"}
    done = Shop(tmp_path / "a", {"tinycrm": given})
    done.folder.mkdir()
    found = done.manage("migrate")
    assert "tinycrm.W007" in found.stderr
    assert "TinyCRM has no tables" in found.stderr
    assert "hidden" not in found.stdout + found.stderr
    strict = Shop(tmp_path / "b", {"tinycrm": {**given, "STRICT": True}})
    strict.folder.mkdir()
    assert "tinycrm.E007" in strict.manage("migrate", fail=True).stderr


def test_older_tables_do_not_stop_the_command_that_mends_them(
    make_shop: Callable[..., Shop],
) -> None:
    shop = make_shop(tinycrm={"STRICT": True})
    with contextlib.closing(sqlite3.connect(shop.folder / "shop.sqlite3")) as db, db:
        db.execute("UPDATE tinycrm_schema_version SET version_num = '0000'")
    said = shop.manage("check", "--database", "default").stderr
    assert "tinycrm.W007" in said
    assert "`manage.py migrate` brings older tables up to date" in said


def test_backfill_reports_who_was_there_before(make_shop: Callable[..., Shop]) -> None:
    shop = make_shop()
    shop.run(PEOPLE)
    with crm_of(shop) as crm:
        crm.identify("u1@example.com", status="paid", name="Known Better")
        crm.identify("u2@example.com", status="churned")
    dry = shop.manage("tinycrm", "backfill", "--dry-run")
    assert "25 would be reported, 1 skipped, 1 refused." in dry.stdout
    with crm_of(shop) as crm:
        assert crm.customers.count() == 2
    first = shop.manage("tinycrm", "backfill", "--batch", "10")
    assert "25 reported, 1 skipped, 1 refused." in first.stdout
    assert "10 of 27 users; go on with --after 10" in first.stderr
    assert "localhost" not in first.stdout + first.stderr
    again = shop.manage("tinycrm", "backfill")
    assert again.stdout == first.stdout
    with crm_of(shop) as crm:
        assert crm.customers.count() == 25
        assert crm.customers.count("status:free") == 23
        paid = crm.customers.get("u1@example.com")
        churned = crm.customers.get("u2@example.com")
        person = crm.customers.get("u3@example.com")
        assert paid is not None
        assert churned is not None
        assert person is not None
        assert (paid.on("shop").status, paid.name) == ("paid", "Known Better")
        assert churned.on("shop").status == "churned"
        assert person.name == "U 3"
        membership = person.on("shop")
        assert membership.joined_at.year == 2020
        assert membership.last_active_at is not None
        assert membership.last_active_at.year == 2021
        assert [entry.via for entry in crm.customers.history("u3@example.com")] == ["backfill"]


def test_backfill_goes_on_where_it_was_stopped(make_shop: Callable[..., Shop]) -> None:
    shop = make_shop()
    shop.run(PEOPLE)
    shop.manage("tinycrm", "backfill", "--after", "20")
    with crm_of(shop) as crm:
        assert crm.customers.count() == 5
    shop.manage("tinycrm", "backfill", "--after", "nobody", fail=True)


def test_backfill_follows_the_mapping_of_the_project(make_shop: Callable[..., Shop]) -> None:
    """And takes no status from it."""
    shop = make_shop(tinycrm={"USER": "tests.integrations.django.shop.mappings.with_notes"})
    shop.run(
        "from django.contrib.auth.models import User\n"
        "User.objects.bulk_create([User(username='ada', email='ada@example.com'),"
        " User(username='h', email='hidden@example.com')])"
    )
    assert "1 reported, 1 skipped" in shop.manage("tinycrm", "backfill").stdout
    with crm_of(shop) as crm:
        person = crm.customers.get("ada@example.com")
        assert person is not None
        assert person.on("shop").status == "free"
        assert person.on("shop").params == {"notes": 0}


def test_every_command_of_tinycrm_works_on_the_database_of_the_project(
    make_shop: Callable[..., Shop],
) -> None:
    shop = make_shop()
    with crm_of(shop) as crm:
        crm.identify("ada@example.com", name="Ada", status="paid")
    found = json.loads(shop.manage("tinycrm", "customers", "status:paid", "--json").stdout)
    assert [each["email"] for each in found["customers"]] == ["ada@example.com"]
    assert "Ada" in shop.manage("tinycrm", "show", "ada@example.com", *SETTINGS).stdout
    assert "Nothing is wrong" in shop.manage("tinycrm", "doctor").stdout


def test_commands_help_refuse_and_can_be_called(make_shop: Callable[..., Shop]) -> None:
    shop = make_shop()
    with crm_of(shop) as crm:
        crm.identify("ada@example.com", name="Ada", status="paid")
    helped = shop.manage("tinycrm", "--help").stdout
    assert all(name in helped for name in ("backfill", "customers", "import", "merge"))
    wrong = shop.manage("tinycrm", "customers", "status:gold", fail=True)
    assert "Traceback" not in wrong.stderr
    called = shop.run(
        "from django.core.management import call_command\n"
        "call_command('tinycrm', 'show', 'ada@example.com')"
    )
    assert "Ada" in called


CHECKS: list[tuple[str, dict[str, Any], str, str]] = [
    ("no project", {"PROJECT": None}, "W001", "which product"),
    ("a project that is no slug", {"PROJECT": "My Shop"}, "W002", "PROJECT"),
    ("a wrong value", {"PING_INTERVAL": "often"}, "W002", "PING_INTERVAL"),
    ("a wrong status", {"SIGNUP_STATUS": "gold"}, "W002", "SIGNUP_STATUS"),
    ("a mapping that is not there", {"USER": "tests.nothing.here"}, "W002", "USER"),
    ("what happens to the deleted", {"ON_DELETE": "shred"}, "W002", "ON_DELETE"),
    ("a key with a typing mistake", {"API_KEY": "tcrm_proj_oops"}, "W002", "API_KEY"),
    ("an unknown key", {"PROJEKT": "shop"}, "W003", "PROJEKT"),
    ("an unknown database", {"DATABASE": "other"}, "W004", "other"),
    ("two places", {"API_KEY": "tcrm_proj_oops", "DATABASE": "default"}, "W002", "API_KEY"),
]


@pytest.mark.parametrize(
    ("given", "number", "word"), [each[1:] for each in CHECKS], ids=[each[0] for each in CHECKS]
)
def test_check_says_what_is_wrong_and_what_to_do(
    tmp_path: Path, given: dict[str, Any], number: str, word: str
) -> None:
    found = Shop(tmp_path, {"tinycrm": given}).manage("check").stderr
    assert f"tinycrm.{number}" in found
    assert word in found
    assert "HINT" in found
    assert "oops" not in found
    strict = Shop(tmp_path, {"tinycrm": {**given, "STRICT": True}})
    assert f"tinycrm.E{number[1:]}" in strict.manage("check", fail=True).stderr


def test_check_finds_nothing_wrong_with_the_example_of_the_guide(tmp_path: Path) -> None:
    assert "no issues" in Shop(tmp_path, {}).manage("check").stdout


def test_check_misses_the_middleware(tmp_path: Path) -> None:
    assert "tinycrm.W006" in Shop(tmp_path, {"without_ping": True}).manage("check").stderr
    never = Shop(tmp_path, {"without_ping": True, "tinycrm": {"PING_INTERVAL": 0}})
    assert "no issues" in never.manage("check").stdout


def test_check_asks_the_server_whether_it_takes_the_key(tmp_path: Path) -> None:
    def stderr(**given: Any) -> str:
        return Shop(tmp_path, {"tinycrm": {"PROJECT": None, **given}}).manage("check").stderr

    with TinyCRM("memory://") as crm, serving(crm) as server:
        crm.projects.add("shop")
        key = crm.keys.create("shop", label="shop")
        assert "tinycrm." not in stderr(API_KEY=key.secret, URL=server.url)
        assert "tinycrm." not in stderr(DATABASE=server.url.replace("//", f"//{key.secret}@"))
        crm.keys.revoke(crm.keys.list()[0][0].id)
        said = [""]

        def is_refused() -> bool:
            said.append(stderr(API_KEY=key.secret, URL=server.url))
            return "tinycrm.W005" in said[-1]

        eventually(is_refused)  # a server may remember a key for one second
        revoked = said[-1]
        assert "401" in revoked
        assert "does not know this API key" in revoked
    away = stderr(API_KEY=key.secret, URL=server.url)
    assert "tinycrm.W005" in away
    assert "cannot be reached" in away
    assert key.secret not in revoked + away


def test_a_product_that_reports_to_a_server(template: Shop, tmp_path: Path) -> None:
    with TinyCRM("memory://", project="shop") as crm, serving(crm) as server:
        crm.projects.add("shop")
        key = crm.keys.create("shop", label="shop")
        given = {"PROJECT": None, "API_KEY": key.secret, "URL": server.url}
        with copied(template, tmp_path / "shop", tinycrm=given).serve("wsgi") as site:
            visitor = site.visitor()
            visitor.sign_up("ada@example.com")
            visitor.get("/buy/")
            eventually(lambda: crm.customers.count("status@shop:paid") == 1)
            assert "TinyCRM:" not in site.log
        shop = Shop(tmp_path / "shop", {"tinycrm": given})
        shop.run(
            "from django.contrib.auth.models import User\n"
            "User.objects.bulk_create([User(username='bo', email='bo@example.com')])"
        )
        assert "2 reported" in shop.manage("tinycrm", "backfill").stdout
        assert crm.customers.count() == 2
        elsewhere = shop.manage("tinycrm", "customers", fail=True).stderr
        assert "elsewhere" in elsewhere

"""What is reported of which users, inside a project without a visitor (F3, F9, F11)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.integrations.django.live import Shop
from tinycrm_core.client import TinyCRM
from tinycrm_core.model import Customer

BEGIN = """
import threading
from django.contrib.auth import authenticate, get_user_model, login
from django.contrib.auth.signals import user_logged_in
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from tinycrm_integrations.django import crm, hooks
User = get_user_model()
def wait():
    for each in threading.enumerate():
        if each.name == "tinycrm aside":
            each.join(60)
"""
END = """
wait()
assert crm.flush(20)
from tinycrm_integrations.django.opened import guard
assert not guard.failures, guard.failures
"""


def people(shop: Shop, code: str) -> dict[str, Customer]:
    """Who is known once the code has run, by address."""
    shop.run(f"{BEGIN}\n{code}\n{END}")
    with TinyCRM(shop.database) as crm:
        return {each.email: each for each in crm.customers.find(limit=500)}


@pytest.mark.parametrize(
    ("code", "known"),
    [
        ("User.objects.create_user('a', 'a@example.com')", {"a@example.com"}),
        ("User.objects.create_user('a', 'A@EXAMPLE.COM ')", {"a@example.com"}),
        ("User.objects.create_superuser('a', 'a@example.com')", {"a@example.com"}),
        ("User.objects.create_user('a')", set()),
        ("User.objects.create_user('a', '')", set()),
        ("User.objects.bulk_create([User(username='a', email='a@example.com')])", set()),
        ("User(username='a', email='a@example.com').save_base(raw=True)", set()),
        (
            "from tests.integrations.django.shop.models import Teacher\n"
            "Teacher.objects.create(username='a', email='a@example.com', subject='b')",
            {"a@example.com"},
        ),
        (
            "from tests.integrations.django.shop.models import Person\n"
            "Person.objects.create(username='a', email='a@example.com')",
            {"a@example.com"},
        ),
        (
            "from django.contrib.auth.models import AnonymousUser\n"
            "hooks._logged_in(user=AnonymousUser())",
            set(),
        ),
        ("hooks._logged_in(user=None)", set()),
        (
            "user = User.objects.bulk_create([User(username='a', email='a@example.com')])[0]\n"
            "user_logged_in.send(User, request=None, user=user)",
            {"a@example.com"},
        ),
    ],
)
def test_f11_who_is_reported(make_shop: Callable[..., Shop], code: str, known: set[str]) -> None:
    assert set(people(make_shop(), code)) == known


def test_f11_fixtures_are_not_reported(make_shop: Callable[..., Shop]) -> None:
    shop = make_shop()
    fixture = shop.folder / "users.json"
    fixture.write_text(
        '[{"model": "auth.user", "pk": 1, '
        '"fields": {"username": "a", "password": "!", "email": "a@example.com"}}]'
    )
    shop.manage("loaddata", str(fixture))
    assert people(shop, "assert User.objects.count() == 1") == {}


def test_f11_a_user_model_of_the_project(make_shop: Callable[..., Shop]) -> None:
    """Other fields for the login and for the address; its table was made by another project."""
    shop = make_shop(user_model="shop.Member")
    found = people(
        shop,
        "member = User.objects.create_user('ada', 'ada@example.com')\n"
        "member.contact = 'lovelace@example.com'\n"
        "member.save()",
    )
    (person,) = found.values()
    assert (person.email, person.aliases) == ("lovelace@example.com", ("ada@example.com",))


def test_staff_can_be_left_out(make_shop: Callable[..., Shop]) -> None:
    code = (
        "User.objects.create_superuser('a', 'a@example.com')\n"
        "User.objects.create_user('b', 'b@example.com')"
    )
    assert set(people(make_shop(tinycrm={"SKIP_STAFF": True}), code)) == {"b@example.com"}


def test_f10_who_has_not_confirmed_can_be_left_out(make_shop: Callable[..., Shop]) -> None:
    """Then the confirmation is the sign-up, and undoes nothing that is newer."""
    code = (
        "from allauth.account.models import EmailAddress\n"
        "from allauth.account.signals import email_confirmed\n"
        "for name in 'abc':\n"
        "    user = User.objects.create_user(name, f'{name}@example.com')\n"
        "    user_logged_in.send(User, request=None, user=user)\n"
        "    address = EmailAddress.objects.create(user=user, email=user.email, primary=True)\n"
        "    if name == 'b':\n"
        "        crm.identify('b@example.com', status='paid')\n"
        "    if name != 'c':\n"
        "        address.verified = True\n"
        "        address.save()\n"
        "        email_confirmed.send(EmailAddress, request=None, email_address=address)\n"
    )
    shop = make_shop(tinycrm={"SKIP_UNVERIFIED": True, "SIGNUP_STATUS": "trial"})
    found = people(shop, code)
    statuses = {email: person.on("shop").status for email, person in found.items()}
    assert statuses == {"a@example.com": "trial", "b@example.com": "paid"}


def test_the_mapping_of_the_project_is_asked_after_the_commit(
    make_shop: Callable[..., Shop],
) -> None:
    """What belongs to a user is there by then; and a login never has a status (F2)."""
    shop = make_shop(tinycrm={"USER": "tests.integrations.django.shop.mappings.with_notes"})
    code = (
        "from tests.integrations.django.shop.models import Note\n"
        "with transaction.atomic():\n"
        "    user = User.objects.create_user('ada', 'ada@example.com')\n"
        "    Note.objects.create(user=user, text='one')\n"
        "    User.objects.create_user('h', 'hidden@example.com')\n"
        "crm.flush()\n"
        "crm.identify('ada@example.com', status='paid')\n"
        "user_logged_in.send(User, request=None, user=user)\n"
    )
    (person,) = people(shop, code).values()
    assert person.on("shop").params == {"notes": 1}
    assert person.on("shop").status == "paid"


def test_f3_what_is_rolled_back_never_happened(make_shop: Callable[..., Shop]) -> None:
    code = (
        "def undone(act):\n"
        "    try:\n"
        "        with transaction.atomic():\n"
        "            act()\n"
        "            raise ValueError\n"
        "    except ValueError:\n"
        "        pass\n"
        "def change(user):\n"
        "    user.email = 'other@example.com'\n"
        "    user.save()\n"
        "undone(lambda: User.objects.create_user('a', 'a@example.com'))\n"
        "undone(lambda: crm.identify('direct@example.com'))\n"
        "with transaction.atomic():\n"
        "    undone(lambda: User.objects.create_user('b', 'b@example.com'))\n"
        "    user = User.objects.create_user('c', 'c@example.com')\n"
        "    crm.identify('told@example.com', params={'by': 'hand'})\n"
        "undone(lambda: change(User.objects.get(pk=user.pk)))\n"
        "undone(lambda: User.objects.get(pk=user.pk).delete())\n"
    )
    found = people(make_shop(), code)
    assert set(found) == {"c@example.com", "told@example.com"}
    assert found["c@example.com"].on("shop").status == "free"


def test_an_address_changed_back_and_forth_stays_one_person(
    make_shop: Callable[..., Shop],
) -> None:
    code = (
        "user = User.objects.create_user('a', 'one@example.com')\n"
        "for email in ('two', 'one', 'three'):\n"
        "    user = User.objects.get(pk=user.pk)\n"
        "    user.email = f'{email}@example.com'\n"
        "    user.save()\n"
        "    wait()\n"
        "user = User.objects.only('username').get(pk=user.pk)\n"
        "user.username = 'b'\n"
        "user.save()\n"
    )
    (person,) = people(make_shop(), code).values()
    assert person.email == "three@example.com"
    assert set(person.aliases) == {"one@example.com", "two@example.com"}


@pytest.mark.parametrize(
    ("on_delete", "left"),
    [
        ("churn", {"ada@example.com": "churned"}),
        ("keep", {"ada@example.com": "free"}),
        ("delete", {}),
    ],
)
def test_what_becomes_of_the_person_behind_a_deleted_user(
    make_shop: Callable[..., Shop], on_delete: str, left: dict[str, str]
) -> None:
    code = "User.objects.create_user('ada', 'ada@example.com')\nUser.objects.all().delete()\n"
    found = people(make_shop(tinycrm={"ON_DELETE": on_delete}), code)
    assert {email: str(person.on("shop").status) for email, person in found.items()} == left


def test_f4_the_hooks_ask_the_database_of_the_project_nothing(
    make_shop: Callable[..., Shop],
) -> None:
    """And deleting what is no user takes no more statements than without us."""
    code = (
        "from django.contrib.contenttypes.models import ContentType\n"
        "from tests.integrations.django.shop.models import Note\n"
        "def asked(act):\n"
        "    with CaptureQueriesContext(connection) as queries:\n"
        "        act()\n"
        "    return [each['sql'].split()[0] for each in queries]\n"
        "user = User.objects.create_user('ada', 'ada@example.com')\n"
        "def look(act, *expected):\n"
        "    found = asked(act)\n"
        "    assert found == list(expected), found\n"
        "look(user.save, 'UPDATE')\n"
        "user.email = 'other@example.com'\n"
        "look(user.save, 'UPDATE')\n"
        "look(lambda: User.objects.only('username').get(), 'SELECT')\n"
        # Django's own note of the last login.
        "look(lambda: user_logged_in.send(User, request=None, user=user), 'UPDATE')\n"
        "Note.objects.create(user=user, text='one')\n"
        "look(Note.objects.all().delete, 'BEGIN', 'DELETE', 'COMMIT')\n"
    )
    people(make_shop(), code)


def test_f9_connecting_twice_reports_once(make_shop: Callable[..., Shop]) -> None:
    code = (
        "from django.db.models.signals import post_save\n"
        "from tinycrm_integrations.django import hooks\n"
        "def count():\n"
        "    return len(post_save._live_receivers(User)[0]), len(user_logged_in.receivers)\n"
        "before = count()\n"
        "hooks.connect()\n"
        "assert count() == before\n"
    )
    people(make_shop(), code)


def test_the_admin_of_django_leads_to_the_customers(make_shop: Callable[..., Shop]) -> None:
    code = (
        "from django.test import Client\n"
        "boss = User.objects.create_superuser('boss', 'boss@example.com', 'secret')\n"
        "client = Client()\n"
        "assert client.get('/crm/').status_code == 302\n"
        "client.force_login(boss)\n"
        "page = client.get('/admin/').content.decode()\n"
        "assert '<a href=\"/crm/\">Customers' in page, page\n"
        "crm.flush()\n"
        "customers = client.get('/crm/').content.decode()\n"
        "assert 'boss@example.com' in customers\n"
    )
    people(make_shop(), code)

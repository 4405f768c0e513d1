"""From users of every framework to events (F2, F10, F11), and how often one is worth sending."""

from __future__ import annotations

import sys
import threading
from types import SimpleNamespace as User
from typing import Any

import pytest

from tinycrm_core.errors import InvalidEmail
from tinycrm_core.events import Identify
from tinycrm_integrations.users import (
    Recent,
    default_mapping,
    identify_user,
    login_event,
    signup_event,
)

ADA = {"email": "Ada@Example.com"}


def method(value: object) -> Any:
    return lambda: value


@pytest.mark.parametrize(
    ("attributes", "name"),
    [
        ({"get_full_name": method("Ada Lovelace"), "name": "no"}, "Ada Lovelace"),  # Django
        ({"get_full_name": method(" "), "first_name": "Ada", "last_name": ""}, "Ada"),
        ({"first_name": "Ada", "last_name": "Lovelace"}, "Ada Lovelace"),
        ({"name": "Ada Lovelace"}, "Ada Lovelace"),
        ({"full_name": "Ada Lovelace", "name": "Ada"}, "Ada Lovelace"),
        ({"display_name": " Ada "}, "Ada"),
        ({"name": 7, "first_name": None}, None),
        ({"name": "x" * 501}, None),
        ({"name": "Ada\x00"}, None),
        ({}, None),
    ],
)
def test_the_name_is_where_the_framework_keeps_it(
    attributes: dict[str, Any], name: str | None
) -> None:
    assert identify_user(User(**ADA, **attributes)) == Identify("ada@example.com", name=name)


@pytest.mark.parametrize(
    "user",
    [
        None,
        User(is_authenticated=False),  # Django and Flask-Login
        User(is_authenticated=method(False), **ADA),  # as it was before it became a property
        User(email=None),
        User(email=""),
        User(email="  "),
        User(username="ada"),
        User(email=["ada@example.com"]),
    ],
)
def test_f11_nobody_and_users_without_an_address_are_skipped(user: Any) -> None:
    assert identify_user(user) is None


def test_f11_the_field_of_the_address_can_have_another_name() -> None:
    user = User(EMAIL_FIELD="contact", contact="ada@example.com", email="other@example.com")
    assert identify_user(user) == Identify("ada@example.com")


def test_an_address_that_is_none_is_an_error_and_not_skipped() -> None:
    with pytest.raises(InvalidEmail):
        identify_user(User(email="root@localhost"))


@pytest.mark.parametrize("attribute", ["is_staff", "is_superuser"])
def test_staff_is_reported_unless_configured(attribute: str) -> None:
    user = User(**ADA, **{attribute: True})
    assert identify_user(user) is not None
    assert default_mapping(skip_staff=True)(user) is None
    assert default_mapping(skip_staff=True)(User(**ADA, **{attribute: False})) is not None


@pytest.mark.parametrize("attribute", ["is_verified", "email_verified", "confirmed_at"])
def test_f10_who_has_not_confirmed_is_skipped_if_configured(attribute: str) -> None:
    mapping = default_mapping(skip_unverified=True)
    assert mapping(User(**ADA, **{attribute: "yes"})) is not None
    assert mapping(User(**ADA, **{attribute: None})) is None
    assert mapping(User(**ADA)) is None
    assert identify_user(User(**ADA, **{attribute: None})) is not None


def test_f2_a_login_has_no_status_whatever_the_mapping_says() -> None:
    event = login_event(Identify("a@example.com", name="A", status="free", params={"x": 1}))
    assert event.status is None
    assert (event.name, event.params) == ("A", {"x": 1})
    assert event.id


def test_a_sign_up_has_the_status_of_the_mapping_or_of_the_settings() -> None:
    person = Identify("a@example.com")
    assert signup_event(person).status == "free"
    assert signup_event(person, "trial").status == "trial"
    assert signup_event(person, None).status is None
    assert signup_event(Identify("a@example.com", status="paid"), "trial").status == "paid"
    assert signup_event(person).id != signup_event(person).id


def test_something_is_new_once_in_its_time() -> None:
    now = [0.0]
    recent = Recent(10, clock=lambda: now[0])
    assert recent.is_new("a")
    assert not recent.is_new("a")
    assert recent.is_new("b")
    now[0] = 9.9
    assert not recent.is_new("a")
    now[0] = 10.0
    assert recent.is_new("a")
    assert not recent.is_new("a")
    recent.clear()
    assert recent.is_new("a")


def test_it_remembers_a_bounded_number_and_the_newest() -> None:
    recent = Recent(1000, size=3)
    for each in "abcde":
        assert recent.is_new(each)
    assert len(recent) == 3
    assert not recent.is_new("e")
    assert not recent.is_new("c")
    assert recent.is_new("a")


def test_threads_share_it_and_it_stays_bounded() -> None:
    recent, failures = Recent(0, size=50), []
    switching = sys.getswitchinterval()

    def work(seed: int) -> None:
        try:
            for number in range(3000):
                recent.is_new((seed * number) % 400)
        except Exception as error:
            failures.append(error)

    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=work, args=(seed,)) for seed in range(1, 7)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(switching)
    assert not failures
    recent.is_new("last")
    assert len(recent) <= 50

"""A change of address as an event: in a list with others, late, again, and without a merge."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from tests.contract.seen import everything
from tinycrm_core import ChangeEmail, Forgotten, Identify, Ping, TinyCRM, customers_merged
from tinycrm_core.testing import ALICE, BOB, day, person

A, B, C = (f"{letter}@example.com" for letter in "abc")


@pytest.fixture
def shop(crm: TinyCRM) -> Any:
    return crm.project("shop")


def test_the_old_address_leads_to_the_same_person(crm: TinyCRM, shop: Any) -> None:
    one = shop.identify(A, status="paid").customer_id
    assert shop.change_email(A, B) is True
    assert shop.identify(A, params={"late": True}).customer_id == one
    found = person(crm, B)
    assert (found.id, found.email, found.aliases) == (one, B, (A,))


def test_nobody_is_nobody(crm: TinyCRM, shop: Any) -> None:
    assert shop.change_email(A, B) is False
    assert crm.customers.count() == 0
    assert not crm.projects.list()


def test_a_list_is_applied_in_its_order(crm: TinyCRM, shop: Any) -> None:
    answers = shop.send(
        [
            ChangeEmail(A, B),
            Identify(A, status="paid"),
            ChangeEmail(A, B),
            Identify(B, name="Ada"),
            ChangeEmail(B, C),
            Ping(A),
            Ping("nobody@example.com"),
        ]
    )
    assert [answers[0], answers[2], *answers[4:]] == [False, True, True, True, False]
    assert answers[1].customer_id == answers[3].customer_id
    found = person(crm, C)
    assert (found.name, found.aliases) == ("Ada", (B, A))
    assert crm.customers.count() == 1


def test_an_event_that_comes_again_changes_nothing(crm: TinyCRM, shop: Any) -> None:
    events = [ChangeEmail(old, new, at=day(3)) for old, new in pairwise((A, B, C))]
    shop.identify(A, at=day(1))
    shop.send(events)
    before = everything(crm)
    for again in (events, [events[0]], [events[1]], events):
        assert all(shop.send(again))
        assert everything(crm) == before


def test_an_address_may_be_changed_back(crm: TinyCRM, shop: Any) -> None:
    shop.identify(A)
    assert shop.change_email(A, B)
    assert shop.change_email(B, A)
    assert (person(crm, A).email, person(crm, A).aliases) == (A, (B,))


def test_somebody_elses_address_is_a_merge_that_can_be_undone(crm: TinyCRM, shop: Any) -> None:
    told: list[dict[str, Any]] = []

    def merged(sender: object, **what: Any) -> None:
        told.append(what)

    shop.identify(ALICE)
    crm.project("news").identify(BOB)
    with customers_merged.connected_to(merged):
        assert shop.change_email(ALICE, BOB)
    assert [(each["keep"], each["absorb"]) for each in told] == [(BOB, ALICE)]
    assert crm.customers.count() == 1
    crm.customers.undo_merge(told[0]["merge_id"])
    assert {each.email for each in crm.customers.find()} == {ALICE, BOB}


def test_without_merge_it_is_left_to_whom_it_belongs(crm: TinyCRM, shop: Any) -> None:
    shop.identify(ALICE, at=day(1))
    crm.project("news").identify(BOB, at=day(1))
    before = everything(crm)
    assert shop.change_email(ALICE, BOB, merge=False, at=day(2)) is False
    assert shop.change_email(ALICE, BOB, merge=False) is False
    assert everything(crm) == before


def test_a_login_that_overtakes_the_change_is_the_same_person(crm: TinyCRM, shop: Any) -> None:
    shop.identify(ALICE, at=day(1))
    shop.identify(BOB, at=day(3))
    assert shop.change_email(ALICE, BOB, merge=False, at=day(2)) is True
    assert crm.customers.count() == 1


def test_somebody_forgotten_is_not_named(crm: TinyCRM, shop: Any) -> None:
    shop.identify(A)
    crm.customers.delete(B, forget=True)
    with pytest.raises(Forgotten):
        shop.change_email(A, B)
    first, second = shop.send([ChangeEmail(A, B), Identify(A, name="Ada")])
    assert isinstance(first, Forgotten)
    assert second.changed == ("name",)
    assert person(crm, A).aliases == ()

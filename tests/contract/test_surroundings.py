"""Signals, coroutines, accounts side by side, and copies."""

from __future__ import annotations

import logging
from typing import Any
from uuid import uuid4

import blinker
import pytest

from tests.contract.seen import everything
from tests.loops import finish
from tinycrm_core import (
    Forgotten,
    Identify,
    InvalidFilter,
    InvalidInput,
    NotFound,
    NotSupported,
    TinyCRM,
    customer_created,
    customers_merged,
    status_changed,
)
from tinycrm_core.state import BatchState
from tinycrm_core.testing import ALICE, BOB, day, on, person


def new_batch(crm: TinyCRM) -> Any:
    batch = BatchState(uuid4(), 1, "people.csv", 1)
    with crm.store.begin(crm.account_slug) as tx:
        tx.save_batch(batch)
    return batch.id


# Signals -----------------------------------------------------------------------------------------
@pytest.fixture
def heard(crm: TinyCRM) -> Any:
    """What the signals said, in order, and what the database held at that moment."""
    found: list[tuple[str, dict[str, Any], int]] = []

    def listen(name: str, signal: blinker.Signal) -> Any:
        def receive(sender: object, **what: Any) -> None:
            found.append((name, what, crm.customers.count()))

        signal.connect(receive, weak=False, sender=crm)
        return signal, receive

    names = {"created": customer_created, "status": status_changed, "merged": customers_merged}
    listening = [listen(name, signal) for name, signal in names.items()]
    yield found
    for signal, receive in listening:
        signal.disconnect(receive, sender=crm)


def test_signals_follow_the_commit(crm: TinyCRM, heard: Any) -> None:
    shop = crm.project("shop")
    first = shop.identify(ALICE, status="trial").customer_id
    shop.identify(ALICE, status="paid")
    shop.identify(ALICE, status="paid", name="A")
    shop.identify(ALICE, status="free", at=day(-99))
    second = shop.identify(BOB).customer_id
    shop.preview([Identify("x@example.com", status="paid")])
    merge_id = crm.customers.merge(ALICE, BOB)
    about_alice = {"customer_id": first, "email": ALICE, "project": "shop"}
    about_bob = {"customer_id": second, "email": BOB, "project": "shop"}
    merged = {"merge_id": merge_id, "keep_id": first, "absorb_id": second}
    assert heard == [
        ("created", about_alice, 1),
        ("status", {**about_alice, "old": None, "new": "trial"}, 1),
        ("status", {**about_alice, "old": "trial", "new": "paid"}, 1),
        ("created", about_bob, 2),
        ("status", {**about_bob, "old": None, "new": "free"}, 2),
        ("merged", {**merged, "keep": ALICE, "absorb": BOB}, 1),
    ]


def test_nothing_is_said_of_what_is_refused(crm: TinyCRM, heard: Any) -> None:
    crm.customers.delete(ALICE, forget=True)
    with pytest.raises(Forgotten):
        crm.project("shop").identify(ALICE)
    with pytest.raises(NotFound):
        crm.customers.merge(ALICE, BOB)
    assert heard == []


def test_a_receiver_that_raises_harms_nobody(
    crm: TinyCRM, heard: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(sender: object, **what: Any) -> None:
        raise RuntimeError("broken receiver")

    with (
        caplog.at_level(logging.ERROR, "tinycrm"),
        customer_created.connected_to(broken, sender=crm),
        status_changed.connected_to(broken, sender=crm),
    ):
        assert crm.project("shop").identify(ALICE).action == "created"
    assert [each[0] for each in heard] == ["created", "status"]
    assert len(caplog.records) == 2


# Coroutines and binding --------------------------------------------------------------------------
def test_the_awaitable_twins(crm: TinyCRM) -> None:
    async def calls() -> tuple[Any, ...]:
        shop = crm.project("shop")
        first = await shop.aidentify(ALICE, status="paid", at=day(1))
        return first.action, await shop.aping(ALICE, at=day(2)), await shop.aping(BOB)

    assert finish(calls()) == ("created", True, False)
    assert (on(crm).status, on(crm).last_active_at) == ("paid", day(2))


def test_a_bound_client_speaks_for_its_product(crm: TinyCRM) -> None:
    bound = TinyCRM.over(crm.store, account=crm.account_slug, project="shop")
    assert bound.identify(ALICE, status="paid").action == "created"
    assert bound.ping(ALICE)

    async def calls() -> tuple[Any, ...]:
        return (await bound.aidentify(ALICE)).action, await bound.aping(ALICE)

    assert finish(calls()) == ("unchanged", True)
    assert on(crm).status == "paid"
    for call in (crm.identify, crm.ping):
        with pytest.raises(NotSupported):
            call(ALICE)


# Accounts ----------------------------------------------------------------------------------------
def test_two_accounts_never_see_each_other(crm: TinyCRM) -> None:
    mine, other = crm, crm.account(f"{crm.account_slug}-2")
    for email in (ALICE, BOB):
        mine.project("shop").identify(email, status="paid", params={"a": 1}, at=day(1))
    merge_id = mine.customers.merge(ALICE, BOB)
    mine.segments.add("Mine", "status:paid")
    mine.keys.create("shop")
    key_id = mine.keys.list()[0][0].id
    batch = new_batch(mine)
    before = everything(mine)

    assert everything(other) == {
        "people": {}, "projects": (), "params": (), "segments": (), "keys": (), "imports": (),
    }  # fmt: skip
    customers = other.customers
    assert customers.get(ALICE) is customers.get_by_id(person(mine).id) is None
    assert len(customers.find()) == customers.count() == 0
    assert (customers.tally(), customers.aggregate("p.a").count) == ([], 0)
    assert other.project("shop").ping(ALICE) is False
    assert customers.delete(ALICE) is False
    refused = [
        lambda: customers.history(ALICE),
        lambda: customers.export_person(ALICE),
        lambda: customers.merges(ALICE),
        lambda: customers.merge(ALICE, BOB),
        lambda: customers.preview_merge(ALICE, BOB),
        lambda: customers.undo_merge(merge_id),
        lambda: customers.change_email(ALICE, "new@example.com"),
        lambda: other.projects.rename("shop", name="x"),
        lambda: other.projects.delete("shop"),
        lambda: other.segments.get("Mine"),
        lambda: other.segments.delete("Mine"),
        lambda: other.keys.create("shop"),
        lambda: other.keys.revoke(key_id),
        lambda: other.imports.undo(batch),
    ]
    for call in refused:
        with pytest.raises(NotFound):
            call()
    assert everything(mine) == before

    other.project("shop").identify(ALICE, status="trial", at=day(2))
    other.project("shop").identify("third@example.com")
    other.segments.add("Mine", "")
    customers.change_email("third@example.com", BOB)
    other.projects.rename("shop", slug="store")
    customers.delete(ALICE, forget=True)
    assert everything(mine) == before
    assert mine.customers.find("project:shop")[0].email == ALICE
    with pytest.raises(InvalidFilter):
        customers.find("project:shop")
    assert {mine.account_slug, other.account_slug} <= set(mine.store.accounts())


@pytest.mark.parametrize("slug", ["", "x" * 65, "é", "a\n", None, 1])
def test_names_of_accounts(crm: TinyCRM, slug: Any) -> None:
    with pytest.raises(InvalidInput):
        crm.account(slug)


# Copies ------------------------------------------------------------------------------------------
def spoil(value: Any) -> None:
    """Change everything in a structure that can be changed."""
    if isinstance(value, dict):
        for each in list(value.values()):
            spoil(each)
        value["spoiled"] = True
    elif isinstance(value, list):
        for each in value:
            spoil(each)
        value.append("spoiled")
    elif isinstance(value, tuple):
        for each in value:
            spoil(each)
    elif hasattr(value, "__slots__"):
        for name in value.__slots__:
            spoil(getattr(value, name, None))


def test_nothing_handed_out_is_alive(crm: TinyCRM) -> None:
    """S13"""
    given: dict[str, Any] = {"a": {"b": [1, {"c": 2}]}}
    for email in (ALICE, BOB):
        crm.project("shop").identify(email, params=given, at=day(1))
    crm.project("shop").identify(
        BOB, params={"a": {"b": []}}, set_once={"once": [given]}, at=day(2)
    )
    spoil(given)
    before = everything(crm)
    customers = crm.customers
    calls = [
        lambda: customers.get(ALICE),
        lambda: customers.get_by_id(person(crm).id),
        lambda: customers.find(),
        lambda: list(customers.stream()),
        lambda: customers.history(BOB),
        lambda: customers.export_person(BOB),
        lambda: customers.preview_merge(ALICE, BOB),
        lambda: customers.tally(by="p.a"),
        lambda: crm.projects.params(),
        lambda: crm.projects.list(),
        lambda: crm.keys.list(),
    ]
    for call in calls:
        spoil(call())
        assert everything(crm) == before
    customers.merge(ALICE, BOB)
    before = everything(crm)
    for call in (lambda: customers.get(ALICE), lambda: customers.merges(BOB)):
        spoil(call())
        assert everything(crm) == before


def test_an_account_is_made_by_writing_to_it(crm: TinyCRM) -> None:
    everything(crm)
    assert crm.account_slug not in crm.store.accounts()
    crm.project("shop").identify(ALICE)
    assert crm.account_slug in crm.store.accounts()
    assert crm.customers.count() == 1

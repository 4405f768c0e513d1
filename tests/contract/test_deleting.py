"""Deleting, forgetting, and that nothing of a deleted person remains anywhere."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from tests.contract.seen import everything
from tinycrm_core import Forgotten, Identify, InvalidEmail, NotFound, Ping, TinyCRM
from tinycrm_core.testing import ALICE, BOB, day, on, person

TRACE = f"very.secret.{uuid4().hex[:12]}"
SECRET, SECRET_2 = f"{TRACE}@example.com", f"{TRACE}+2@example.com"


def traces(crm: TinyCRM) -> list[str]:
    """Where the address still shows, through the calls or in what the backend keeps."""
    shown = [f"shown in {key}" for key, part in everything(crm).items() if TRACE in repr(part)]
    connections = getattr(crm.store, "_connections", None)
    kept = in_memory(crm) if connections is None else in_tables(connections.engine)
    return shown + kept


def in_memory(crm: TinyCRM) -> list[str]:
    store: Any = crm.store
    account = store._accounts[crm.account_slug]
    return [name for name in account.__slots__ if TRACE in repr(getattr(account, name))]


def in_tables(engine: Any) -> list[str]:
    """Tables with the text in any column of any row."""
    import sqlalchemy

    found = []
    with engine.connect() as connection:
        names = sqlalchemy.inspect(connection).get_table_names()
        assert len(names) > 8
        for name in names:
            rows = connection.execute(sqlalchemy.text(f'SELECT * FROM "{name}"'))
            if any(TRACE in repr(tuple(row)) for row in rows):
                found.append(name)
    return found


def test_the_search_for_traces_finds_them(crm: TinyCRM) -> None:
    crm.project("shop").identify(SECRET, params={"a": 1})
    assert len(traces(crm)) > 2
    crm.customers.delete(SECRET)


def test_a_deleted_person_is_gone_with_everything(crm: TinyCRM) -> None:
    shop = crm.project("shop")
    shop.identify(SECRET, name=TRACE, status="paid", params={"x": TRACE, TRACE: 1})
    crm.project("news").identify(SECRET, status="trial")
    crm.customers.change_email(SECRET, SECRET_2)
    ident = person(crm, SECRET).id
    assert crm.customers.delete(SECRET) is True
    assert crm.customers.get(SECRET) is crm.customers.get(SECRET_2) is None
    assert crm.customers.get_by_id(ident) is None
    assert crm.customers.delete(SECRET) is False
    assert crm.customers.count() == 0
    assert crm.customers.count(TRACE) == 0
    assert crm.projects.params() == ()
    assert traces(crm) == []
    assert shop.ping(SECRET) is False
    assert shop.identify(SECRET).action == "created"
    assert len(crm.customers.history(SECRET)) == 1
    crm.customers.delete(SECRET)


def merged_and_undone(crm: TinyCRM) -> None:
    crm.customers.undo_merge(crm.customers.merge(ALICE, SECRET))


def merged_the_other_way_and_undone(crm: TinyCRM) -> None:
    crm.customers.undo_merge(crm.customers.merge(SECRET, ALICE))


def nested_inside_out(crm: TinyCRM) -> None:
    inner = crm.customers.merge(ALICE, SECRET)
    outer = crm.customers.merge(BOB, ALICE)
    crm.customers.undo_merge(inner)
    crm.customers.undo_merge(outer)


def nested_outside_in(crm: TinyCRM) -> None:
    inner = crm.customers.merge(ALICE, SECRET)
    outer = crm.customers.merge(BOB, ALICE)
    crm.customers.undo_merge(outer)
    crm.customers.undo_merge(inner)


def while_others_stay_merged(crm: TinyCRM) -> None:
    inner = crm.customers.merge(ALICE, SECRET)
    crm.customers.merge(BOB, ALICE)
    crm.customers.undo_merge(inner)


def renamed_while_merged(crm: TinyCRM) -> None:
    merge_id = crm.customers.merge(ALICE, SECRET)
    crm.customers.change_email(ALICE, SECRET)
    crm.customers.change_email(SECRET, SECRET_2)
    crm.customers.change_email(SECRET, ALICE)
    crm.customers.undo_merge(merge_id)


def absorbed_under_their_address(crm: TinyCRM) -> None:
    inner = crm.customers.merge(ALICE, SECRET)
    crm.customers.change_email(ALICE, SECRET)  # now the first address of both
    outer = crm.customers.merge(SECRET, BOB)
    crm.customers.undo_merge(inner)
    assert person(crm, SECRET).aliases == ()
    crm.customers.undo_merge(outer)


@pytest.mark.parametrize(
    "story",
    [
        merged_and_undone,
        merged_the_other_way_and_undone,
        nested_inside_out,
        nested_outside_in,
        while_others_stay_merged,
        renamed_while_merged,
        absorbed_under_their_address,
    ],
)
def test_deleting_one_of_two_leaves_no_trace_with_the_other(
    crm: TinyCRM, story: Callable[[TinyCRM], None]
) -> None:
    shop = crm.project("shop")
    for email in (ALICE, BOB, SECRET):
        shop.identify(email, at=day(1))
    story(crm)
    shop.identify(SECRET, params={"x": TRACE}, at=day(2))
    shop.identify(ALICE, params={"kept": 1}, at=day(3))
    assert crm.customers.delete(SECRET) is True
    assert traces(crm) == []
    assert on(crm).params == {"kept": 1}
    assert person(crm, BOB).memberships


def test_deleting_a_merged_person_deletes_all_of_them(crm: TinyCRM) -> None:
    shop = crm.project("shop")
    shop.identify(ALICE)
    shop.identify(SECRET)
    shop.identify(BOB)
    merge_id = crm.customers.merge(ALICE, SECRET)
    crm.customers.merge(BOB, ALICE)
    assert crm.customers.delete(SECRET) is True
    assert crm.customers.get(ALICE) is crm.customers.get(BOB) is None
    assert traces(crm) == []
    with pytest.raises(NotFound):
        crm.customers.undo_merge(merge_id)


# forget ----------------------------------------------------------------------------------------
def test_a_forgotten_address_is_refused_everywhere(crm: TinyCRM) -> None:
    shop = crm.project("shop")
    shop.identify(SECRET, name=TRACE)
    shop.identify(BOB)
    crm.customers.change_email(SECRET, SECRET_2)
    assert crm.customers.delete(SECRET, forget=True) is True
    before = everything(crm)
    for address in (SECRET, SECRET_2, SECRET.upper()):
        with pytest.raises(Forgotten):
            shop.identify(address)
        with pytest.raises(Forgotten):
            crm.project("news").identify(address, at=day(-100))
        assert shop.ping(address) is False
        with pytest.raises(Forgotten):
            crm.customers.change_email(BOB, address)
    assert everything(crm) == before
    assert traces(crm) == []
    answers = shop.send(
        [Identify(SECRET), Identify(ALICE), Ping(SECRET), Identify(SECRET_2, at=day(1))],
        via="import",
        batch=uuid4(),
    )
    kinds = [type(each).__name__ for each in answers]
    assert kinds == ["Forgotten", "Result", "bool", "Forgotten"]
    assert [each.email for each in crm.customers.find(sort="email")] == [ALICE, BOB]
    assert traces(crm) == []


def test_somebody_unknown_can_be_forgotten(crm: TinyCRM) -> None:
    assert crm.customers.delete(SECRET, forget=True) is False
    with pytest.raises(Forgotten):
        crm.project("shop").identify(SECRET)
    assert crm.projects.list() == ()
    assert traces(crm) == []


def test_other_accounts_have_not_forgotten(crm: TinyCRM) -> None:
    crm.customers.delete(ALICE, forget=True)
    assert crm.account(f"{crm.account_slug}-2").project("shop").identify(ALICE).action == "created"


def test_without_forget_a_person_can_come_back(crm: TinyCRM) -> None:
    crm.project("shop").identify(ALICE, status="paid", params={"a": 1}, at=day(9))
    crm.customers.delete(ALICE)
    crm.project("shop").identify(ALICE, at=day(1))
    assert (on(crm).status, on(crm).params) == ("free", {})


@pytest.mark.parametrize("call", ["get", "delete", "history", "export_person"])
def test_an_address_is_checked_by_every_call(crm: TinyCRM, call: str) -> None:
    with pytest.raises(InvalidEmail):
        getattr(crm.customers, call)("nobody")


# export_person -----------------------------------------------------------------------------------
def test_everything_known_about_one_person(crm: TinyCRM) -> None:
    shop = crm.project("shop")
    shop.identify(ALICE, name="Alice", status="paid", params={"a": {"b": [1, None]}}, at=day(1))
    crm.project("news").identify(ALICE, at=day(2), active=False)
    shop.identify(BOB, at=day(3))
    merge_id = crm.customers.merge(ALICE, BOB)
    exported = json.loads(json.dumps(crm.customers.export_person(BOB), allow_nan=False))
    assert exported["email"] == ALICE
    assert exported["aliases"] == [BOB]
    assert exported["id"] == str(person(crm).id)
    assert (exported["name"], exported["created_at"]) == ("Alice", day(1).isoformat())
    assert exported["last_seen_at"] == day(3).isoformat()
    assert exported["memberships"] == [
        {
            "project": "shop",
            "status": "paid",
            "params": {"a": {"b": [1, None]}},
            "joined_at": day(1).isoformat(),
            "last_active_at": day(3).isoformat(),
        },
        {
            "project": "news",
            "status": "free",
            "params": {},
            "joined_at": day(2).isoformat(),
            "last_active_at": None,
        },
    ]
    assert [each["kind"] for each in exported["history"]] == ["merge"] + ["identify"] * 3
    (merge,) = exported["merges"]
    assert (merge["id"], merge["keep"], merge["absorbed"]) == (str(merge_id), ALICE, [BOB])

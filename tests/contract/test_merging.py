"""Merging, taking it back, and changing addresses."""

from __future__ import annotations

from itertools import permutations
from typing import Any
from uuid import uuid4

import pytest

from tests.contract.seen import everything, visible
from tinycrm_core import Conflict, Forgotten, InvalidEmail, InvalidInput, NotFound, TinyCRM
from tinycrm_core.people import MergeConflict
from tinycrm_core.testing import ALICE, BOB, day, on, person

CAROL = "carol@example.com"
NEW = "new@example.com"


@pytest.fixture
def people(crm: TinyCRM) -> TinyCRM:
    """Alice on shop and news, Bob on shop and blog, Carol on blog."""
    shop, news, blog = (crm.project(slug) for slug in ("shop", "news", "blog"))
    shop.identify(ALICE, name="Alice", status="trial", at=day(1), params={"a": 1, "both": "old"})
    news.identify(ALICE, status="paid", at=day(4))
    shop.identify(BOB, name="Bob", status="paid", at=day(2), params={"b": {"x": 1}, "both": "new"})
    blog.identify(BOB, status="churned", at=day(3), active=False)
    blog.identify(CAROL, name="Carol", at=day(5), params={"c": 1})
    return crm


def all_visible(crm: TinyCRM) -> dict[str, Any]:
    return {each.email: (each.id, visible(each)) for each in crm.customers.stream()}


def test_a_preview_shows_what_moves_and_every_conflict(people: TinyCRM) -> None:
    before = everything(people)
    preview = people.customers.preview_merge(ALICE, BOB)
    assert (preview.keep.email, preview.absorb.email) == (ALICE, BOB)
    assert preview.moves == ("shop", "blog")
    assert set(preview.conflicts) == {
        MergeConflict(None, "name", "Alice", "Bob", "Bob"),
        MergeConflict("shop", "status", "trial", "paid", "paid"),
        MergeConflict("shop", "params.both", "old", "new", "new"),
    }
    assert everything(people) == before
    people.customers.merge(ALICE, BOB)
    assert person(people) == preview.result


def test_each_field_keeps_its_newest_event_time(people: TinyCRM) -> None:
    people.customers.merge(ALICE, BOB)
    merged = person(people, BOB)
    assert (merged.email, merged.aliases, merged.name) == (ALICE, (BOB,), "Bob")
    assert (merged.created_at, merged.last_seen_at) == (day(1), day(4))
    assert [m.project for m in merged.memberships] == ["shop", "news", "blog"]
    shop = on(people)
    assert (shop.status, shop.params) == ("paid", {"a": 1, "b": {"x": 1}, "both": "new"})
    assert (shop.joined_at, shop.last_active_at) == (day(1), day(2))
    assert people.customers.count() == 2
    assert people.customers.count("p.a:1 p.b.x:1") == 1


def test_merging_either_way_round_gives_the_same_fields(people: TinyCRM) -> None:
    one = people.customers.preview_merge(ALICE, BOB).result
    other = people.customers.preview_merge(BOB, ALICE).result
    assert visible(one)["memberships"] == visible(other)["memberships"]
    assert (one.name, one.created_at) == (other.name, other.created_at)


def test_later_calls_land_on_the_survivor(people: TinyCRM) -> None:
    alice = person(people).id
    people.customers.merge(ALICE, BOB)
    result = people.project("shop").identify(BOB, status="churned", params={"late": 1})
    assert (result.action, result.customer_id) == ("updated", alice)
    assert people.project("news").ping(BOB, at=day(9))
    assert on(people, "news").last_active_at == day(9)
    assert on(people).status == "churned"


def test_undo_brings_the_absorbed_person_back_as_it_was(people: TinyCRM) -> None:
    before = all_visible(people)
    histories = {email: people.customers.history(email) for email in (ALICE, BOB)}
    merge_id = people.customers.merge(ALICE, BOB)
    undone = people.customers.undo_merge(str(merge_id))
    assert (undone.id, undone.keep_email, undone.absorb_emails) == (merge_id, ALICE, (BOB,))
    assert undone.undone_at is not None
    assert all_visible(people) == before
    for email, entries in histories.items():
        assert [c for c in people.customers.history(email) if c.kind == "identify"] == entries


def test_what_came_after_the_merge_goes_by_its_address(people: TinyCRM) -> None:
    """identify and ping under the absorbed address leave with it, everything else stays."""
    merge_id = people.customers.merge(ALICE, BOB)
    shop, blog, docs = (people.project(slug) for slug in ("shop", "blog", "docs"))
    shop.identify(ALICE, params={"to alice": 1}, at=day(10))
    shop.identify(BOB, params={"to bob": 1}, name="Bobby", at=day(11))
    docs.identify(BOB, at=day(12))
    blog.ping(BOB, at=day(13))
    people.project("news").ping(ALICE, at=day(14))
    people.customers.undo_merge(merge_id)
    alice, bob = person(people), person(people, BOB)
    assert [m.project for m in alice.memberships] == ["shop", "news"]
    assert [m.project for m in bob.memberships] == ["shop", "blog", "docs"]
    assert (alice.name, bob.name) == ("Alice", "Bobby")
    assert on(people).params == {"a": 1, "both": "old", "to alice": 1}
    assert on(people, email=BOB).params == {"b": {"x": 1}, "both": "new", "to bob": 1}
    assert (on(people).last_active_at, on(people, "news").last_active_at) == (day(10), day(14))
    assert on(people, "blog", BOB).last_active_at == day(13)
    assert {c.email for c in people.customers.history(ALICE)} == {ALICE}
    assert {c.email for c in people.customers.history(BOB)} == {BOB}


def test_a_ping_where_only_the_survivor_is_known_outlives_everything(people: TinyCRM) -> None:
    merge_id = people.customers.merge(ALICE, BOB)
    assert people.project("news").ping(BOB, at=day(20))
    people.customers.merge(ALICE, CAROL)
    assert on(people, "news").last_active_at == day(20)
    people.customers.undo_merge(merge_id)
    assert on(people, "news").last_active_at == day(20)


def test_a_call_without_a_time_after_a_merge_wins_over_both(people: TinyCRM) -> None:
    people.project("shop").identify(BOB, name="Future", status="paid", at="9999-01-01")
    people.customers.merge(ALICE, BOB)
    people.project("shop").identify(ALICE, name="Now", status="free", params={"both": "now"})
    assert (person(people).name, on(people).status) == ("Now", "free")
    people.customers.merge(CAROL, ALICE)  # joined anew from its parts
    assert (person(people).name, on(people).status) == ("Now", "free")
    assert on(people).params["both"] == "now"


@pytest.mark.parametrize("order", list(permutations(range(2))))
def test_nested_merges_are_undone_in_either_order(people: TinyCRM, order: tuple[int, ...]) -> None:
    before = all_visible(people)
    merges = [people.customers.merge(ALICE, BOB), people.customers.merge(CAROL, ALICE)]
    assert person(people, BOB).email == CAROL
    assert people.customers.count() == 1
    for index in order:
        people.customers.undo_merge(merges[index])
        assert people.customers.count() == 2 + (index == order[1])
    assert all_visible(people) == before


@pytest.mark.parametrize("order", list(permutations(range(2))))
def test_two_merges_into_one_are_undone_in_either_order(
    people: TinyCRM, order: tuple[int, ...]
) -> None:
    before = all_visible(people)
    merges = [people.customers.merge(ALICE, BOB), people.customers.merge(ALICE, CAROL)]
    for index in order:
        people.customers.undo_merge(merges[index])
    assert all_visible(people) == before


def test_undo_takes_nobody_who_came_back_by_a_later_merge(people: TinyCRM) -> None:
    inner = people.customers.merge(ALICE, BOB)
    outer = people.customers.merge(CAROL, ALICE)
    people.customers.undo_merge(inner)
    again = people.customers.merge(CAROL, BOB)
    people.customers.undo_merge(outer)
    assert (person(people).aliases, person(people, BOB).email) == ((), CAROL)
    people.customers.undo_merge(again)
    assert [person(people, each).email for each in (ALICE, BOB, CAROL)] == [ALICE, BOB, CAROL]


def test_merged_again_after_undoing(people: TinyCRM) -> None:
    once = people.customers.merge(ALICE, BOB)
    people.customers.undo_merge(once)
    twice = people.customers.merge(BOB, ALICE)
    assert person(people).email == BOB
    with pytest.raises(Conflict):
        people.customers.undo_merge(once)
    people.customers.undo_merge(twice)
    assert people.customers.count() == 3


def test_what_cannot_be_merged(people: TinyCRM) -> None:
    before = everything(people)
    customers = people.customers
    for call in (customers.merge, customers.preview_merge):
        for keep, absorb in ((ALICE, NEW), (NEW, ALICE)):
            with pytest.raises(NotFound):
                call(keep, absorb)
        with pytest.raises(Conflict):
            call(ALICE, " ALICE@example.com")
        with pytest.raises(InvalidEmail):
            call(ALICE, "nobody")
    with pytest.raises(NotFound):
        customers.undo_merge(uuid4())
    with pytest.raises(InvalidInput):
        customers.undo_merge("nothing")
    assert everything(people) == before
    customers.merge(ALICE, BOB)
    with pytest.raises(Conflict):
        customers.merge(BOB, ALICE)


def test_merges_of_a_person_are_listed(people: TinyCRM) -> None:
    merge_id = people.customers.merge(ALICE, BOB)
    (record,) = people.customers.merges(BOB)
    assert (record.id, record.keep_email, record.absorb_emails) == (merge_id, ALICE, (BOB,))
    assert record.undone_at is None
    people.customers.undo_merge(merge_id)
    assert people.customers.merges(BOB)[0].undone_at is not None
    assert people.customers.merges(CAROL) == []


# Addresses -------------------------------------------------------------------------------------
def test_the_old_address_stays_and_can_be_swapped_back(people: TinyCRM) -> None:
    before = visible(person(people))
    for old, new in ((ALICE, NEW), (NEW, ALICE)):
        assert people.customers.change_email(old, new) is None
        assert (person(people, old).email, person(people, old).aliases) == (new, (old,))
    assert {**visible(person(people)), "aliases": ()} == before
    assert people.customers.change_email(ALICE, ALICE) is None
    assert people.customers.change_email(NEW, ALICE) is None
    assert person(people).email == ALICE
    renames = [c.changes for c in people.customers.history(ALICE) if c.kind == "rename"]
    assert renames == [{"email": (NEW, ALICE)}, {"email": (ALICE, NEW)}]
    assert [each.email for each in people.customers.find("email^alice")] == [ALICE]


def test_an_address_of_somebody_else_is_a_merge_into_them(people: TinyCRM) -> None:
    bob = person(people, BOB).id
    merge_id = people.customers.change_email(ALICE, BOB)
    assert merge_id is not None
    assert (person(people).id, person(people).email) == (bob, BOB)
    people.customers.undo_merge(merge_id)
    assert (person(people).email, person(people, BOB).email) == (ALICE, BOB)


def test_an_alias_of_somebody_else_is_a_merge_too(people: TinyCRM) -> None:
    people.customers.change_email(BOB, NEW)
    people.customers.change_email(ALICE, BOB)
    assert person(people).email == NEW
    assert set(person(people).aliases) == {ALICE, BOB}


def test_a_new_address_of_a_merged_person_leaves_with_its_part(people: TinyCRM) -> None:
    merge_id = people.customers.merge(ALICE, BOB)
    people.customers.change_email(BOB, NEW)
    assert person(people).email == NEW
    people.customers.undo_merge(merge_id)
    assert (person(people).email, person(people).aliases) == (ALICE, ())
    assert (person(people, BOB).email, person(people, BOB).aliases) == (NEW, (BOB,))


def test_what_cannot_become_an_address(people: TinyCRM) -> None:
    people.project("shop").identify(NEW)
    people.customers.delete(NEW, forget=True)
    before = everything(people)
    with pytest.raises(Forgotten):
        people.customers.change_email(ALICE, NEW)
    with pytest.raises(NotFound):
        people.customers.change_email("nobody@example.com", NEW)
    with pytest.raises(InvalidEmail):
        people.customers.change_email(ALICE, "nobody")
    assert everything(people) == before


def test_each_part_gets_back_the_address_it_was_known_by(people: TinyCRM) -> None:
    people.customers.merge(ALICE, BOB)
    people.customers.change_email(ALICE, BOB)  # both are known as Bob now
    before = all_visible(people)
    merge_id = people.customers.merge(CAROL, BOB)
    people.customers.change_email(CAROL, ALICE)
    people.customers.undo_merge(merge_id)
    assert person(people, CAROL).email == CAROL
    assert person(people, BOB).email in (ALICE, BOB)
    people.customers.change_email(ALICE, BOB)
    assert all_visible(people) == before
    merge_id = people.customers.merge(CAROL, ALICE)
    people.customers.undo_merge(merge_id)
    assert all_visible(people) == before


def test_params_that_a_merge_made_too_large_can_change_but_not_grow(crm: TinyCRM) -> None:
    """V7"""
    shop = crm.project("shop")
    for email in (ALICE, BOB):
        shop.identify(email, params={f"{email[0]}{number}": 1 for number in range(200)})
        shop.identify(email, params={f"{email[0]}-long": "x" * 40_000})
    crm.customers.merge(ALICE, BOB)
    assert len(on(crm).params) == 402
    shop.identify(ALICE, params={"a1": 2})
    shop.identify(BOB, unset=["b1"])
    for params in ({"new1": 1, "new2": 1}, {"a2": "longer"}):
        with pytest.raises(InvalidInput, match=r"256 keys|65536 bytes"):
            shop.identify(ALICE, params=params)
    assert (on(crm).params["a1"], len(on(crm).params)) == (2, 401)

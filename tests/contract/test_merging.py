"""Merging, taking it back, and changing addresses."""

from __future__ import annotations

import io
from itertools import permutations
from typing import Any
from uuid import uuid4

import pytest

from tests.contract.seen import everything, visible
from tinycrm_core import (
    ABSENT,
    Conflict,
    Forgotten,
    InvalidEmail,
    InvalidInput,
    NotFound,
    TinyCRM,
    customers_merged,
)
from tinycrm_core.previews import MOST_ABSORBED, Choices, MergeConflict
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
    assert (preview.keep.email, [each.email for each in preview.absorbed]) == (ALICE, [BOB])
    assert preview.moves == ("shop", "blog")
    assert set(preview.conflicts) == {
        MergeConflict(None, "name", ("Alice", "Bob"), "Bob"),
        MergeConflict("shop", "status", ("trial", "paid"), "paid"),
        MergeConflict("shop", "params.both", ("old", "new"), "new"),
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


# Several at once, and values that were chosen ----------------------------------------------------
CHOICES: Choices = {
    (None, "name"): ALICE,
    ("shop", "status"): ALICE,
    ("shop", "params.both"): ALICE,
    ("blog", "status"): BOB,
}


def test_several_become_one_and_are_undone_in_one_step(people: TinyCRM) -> None:
    before = all_visible(people)
    told: list[dict[str, Any]] = []

    def tell(sender: object, **what: Any) -> None:
        told.append(what)

    with customers_merged.connected_to(tell, sender=people):
        preview = people.customers.preview_merge(ALICE, [BOB, CAROL])
        merge_id = people.customers.merge(ALICE, [BOB, CAROL])
    assert preview.result == person(people)
    assert preview.moves == ("shop", "blog")
    assert MergeConflict(None, "name", ("Alice", "Bob", "Carol"), "Carol") in preview.conflicts
    assert (person(people).aliases, people.customers.count()) == ((BOB, CAROL), 1)
    assert [(each["merge_id"], each["absorb"]) for each in told] == [
        (merge_id, BOB),
        (merge_id, CAROL),
    ]
    merges = people.customers.merges(ALICE)
    assert [(each.act, each.absorb_emails) for each in merges] == [
        (merge_id, (BOB,)),
        (merge_id, (CAROL,)),
    ]
    changes = people.customers.history(ALICE)
    assert [each.changes for each in changes if each.kind == "merge"] == [
        {"merge": (ABSENT, str(merge_id))}
    ]
    people.customers.undo_merge(merge_id)
    assert all_visible(people) == before
    undone = {"merge": (str(merge_id), ABSENT)}
    for email in before:
        parted = [each for each in people.customers.history(email) if each.kind == "undo_merge"]
        assert [each.changes for each in parted] == [undone]
    with pytest.raises(Conflict):
        people.customers.undo_merge(merge_id)


def test_any_record_of_a_merge_of_several_undoes_all_of_it(people: TinyCRM) -> None:
    before = all_visible(people)
    people.customers.merge(ALICE, (BOB, CAROL))
    people.customers.undo_merge(people.customers.merges(ALICE)[1].id)
    assert all_visible(people) == before


def test_what_was_chosen_stays_and_goes_with_the_undo(people: TinyCRM) -> None:
    before = all_visible(people)
    exports = {email: people.customers.export_person(email) for email in before}
    preview = people.customers.preview_merge(CAROL, [ALICE, BOB], CHOICES)
    merge_id = people.customers.merge(CAROL, [ALICE, BOB], CHOICES)
    merged = person(people, CAROL)
    assert merged == preview.result
    assert (merged.name, on(people).status, on(people, "blog").status) == (
        "Alice", "trial", "churned",
    )  # fmt: skip
    assert on(people).params == {"a": 1, "b": {"x": 1}, "both": "old"}
    assert merged.last_seen_at == day(5), "choosing is nobody's activity"
    assert (merged.created_at, on(people).joined_at) == (day(1), day(1))
    told = [c for c in people.customers.history(CAROL) if c.kind == "merge"]
    assert {each.project: each.changes for each in told} == {
        None: {"merge": (ABSENT, str(merge_id)), "name": ("Carol", "Alice")},
        "shop": {"status": ("paid", "trial"), "params.both": ("new", "old")},
    }, "that Bob churned on the blog stays without being chosen"
    assert people.customers.count("project:shop status:trial name:Alice") == 1
    people.customers.undo_merge(merge_id)
    assert all_visible(people) == before
    for email in (ALICE, BOB):
        now = people.customers.export_person(email)
        parted, *rest = now["history"]
        assert (parted["kind"], rest) == ("undo_merge", exports[email]["history"])
    # Not only the values: a call that is newer than them, but older than the choice, counts.
    people.project("shop").identify(ALICE, status="churned", name="Al", at=day(3))
    assert (on(people).status, person(people).name) == ("churned", "Al")


def test_calls_after_a_choice_are_newer_than_it_and_leave_with_their_address(
    people: TinyCRM,
) -> None:
    merge_id = people.customers.merge(ALICE, BOB, CHOICES | {("blog", "status"): BOB})
    people.project("shop").identify(BOB, status="paid", params={"both": "newest"})
    people.project("shop").identify(ALICE, status="churned", at=day(6))
    assert (on(people).status, on(people).params["both"]) == ("paid", "newest")
    people.customers.undo_merge(merge_id)
    assert (on(people).status, on(people).params["both"]) == ("churned", "old")
    assert (on(people, email=BOB).status, on(people, email=BOB).params["both"]) == (
        "paid", "newest",
    )  # fmt: skip


@pytest.mark.parametrize("order", list(permutations(range(2))))
def test_choices_of_nested_merges_are_undone_in_either_order(
    people: TinyCRM, order: tuple[int, ...]
) -> None:
    before = all_visible(people)
    chosen = {("shop", "status"): ALICE}
    merges = [
        people.customers.merge(ALICE, BOB, chosen),
        people.customers.merge(CAROL, ALICE, {(None, "name"): BOB, ("blog", "status"): BOB}),
    ]
    assert (on(people).status, person(people).name) == ("trial", "Bob")
    people.customers.undo_merge(merges[order[0]])
    assert people.customers.count() == 2
    people.customers.undo_merge(merges[order[1]])
    assert all_visible(people) == before


def test_choices_say_nothing_of_a_product_that_is_gone(people: TinyCRM) -> None:
    people.customers.merge(ALICE, BOB, {("shop", "status"): ALICE, ("shop", "params.both"): ALICE})
    people.projects.delete("shop")
    assert [m.project for m in person(people).memberships] == ["news", "blog"]
    assert people.project("news").ping(BOB)


def test_an_undone_import_leaves_no_membership_to_a_choice(people: TinyCRM) -> None:
    rows = b"email,status\nalice@example.com,free\ncarol@example.com,paid\n"
    report = people.import_csv(io.BytesIO(rows), project="docs")
    merge_id = people.customers.merge(ALICE, CAROL, {("docs", "status"): ALICE})
    assert on(people, "docs").status == "free"
    assert report.batch is not None
    people.imports.undo(report.batch)
    assert person(people).on("docs") is None
    assert not people.project("docs").ping(CAROL)
    people.customers.undo_merge(merge_id)
    assert [m.project for m in person(people, CAROL).memberships] == ["blog"]


def test_a_choice_of_what_stays_anyway_is_no_change(people: TinyCRM) -> None:
    people.customers.merge(ALICE, BOB, {("shop", "status"): BOB})
    told = [c for c in people.customers.history(ALICE) if c.kind == "merge"]
    assert [list(each.changes) for each in told] == [["merge"]]


def test_a_merge_is_held_to_the_preview_that_was_seen(people: TinyCRM) -> None:
    seen = people.customers.preview_merge(ALICE, BOB, CHOICES)
    people.project("news").ping(ALICE, at=day(8))
    people.project("shop").identify(BOB, params={"later": 1}, at=day(8))
    before = everything(people)
    with pytest.raises(Conflict, match="seen"):
        people.customers.merge(ALICE, BOB, CHOICES, seen=seen)
    assert everything(people) == before
    seen = people.customers.preview_merge(ALICE, BOB)
    people.project("news").ping(ALICE, at=day(9))  # being active changes nothing that stays
    people.customers.merge(ALICE, BOB, seen=seen)


def test_wrong_choices_and_people_merge_nothing(people: TinyCRM) -> None:
    before = everything(people)
    for choices in (
        {("shop", "status"): CAROL},
        {("shop", "status"): NEW},
        {("blog", "params.no"): BOB},
        {("nowhere", "status"): BOB},
        {(None, "status"): BOB},
        {"status": BOB},
        {5: BOB},
    ):
        for call in (people.customers.merge, people.customers.preview_merge):
            with pytest.raises(InvalidInput, match="choices"):
                call(ALICE, BOB, choices)  # type: ignore[arg-type]
    with pytest.raises(InvalidEmail):
        people.customers.merge(ALICE, BOB, {("shop", "status"): "nobody"})
    for absorb in ([], [BOB] * (MOST_ABSORBED + 1), {BOB: 1}, None, 5):
        with pytest.raises(InvalidInput, match="absorb"):
            people.customers.merge(ALICE, absorb)  # type: ignore[arg-type]
    for absorb in ([BOB, BOB], [BOB, ALICE]):
        with pytest.raises(Conflict):
            people.customers.merge(ALICE, absorb)
    with pytest.raises(NotFound):
        people.customers.merge(ALICE, [BOB, NEW])
    assert everything(people) == before


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

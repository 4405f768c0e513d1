"""Products, segments, keys, imports, and numbers about people."""

from __future__ import annotations

import io
from typing import Any
from uuid import uuid4

import pytest

from tests.contract.seen import everything
from tinycrm_core import (
    Conflict,
    Identify,
    InvalidFilter,
    InvalidInput,
    NotFound,
    TinyCRM,
)
from tinycrm_core.directory import Imports
from tinycrm_core.filters import parse
from tinycrm_core.keys import hash_key
from tinycrm_core.model import HUES
from tinycrm_core.state import BatchState
from tinycrm_core.testing import ALICE, BOB, day, on, person


# Products --------------------------------------------------------------------------------------
def test_products_are_added_renamed_and_deleted(crm: TinyCRM) -> None:
    shop = crm.projects.add("shop", name="The Shop", hue="rose")
    assert (shop.slug, shop.name, shop.hue) == ("shop", "The Shop", "rose")
    crm.project("news").identify(ALICE, status="paid", params={"a": 1})
    crm.project("shop").identify(ALICE)
    assert [each.slug for each in crm.projects.list()] == ["shop", "news"]
    renamed = crm.projects.rename("news", slug="letter", name="Letter")
    assert (renamed.slug, renamed.name) == ("letter", "Letter")
    assert [(m.project, m.status) for m in person(crm).memberships] == [
        ("shop", "free"),
        ("letter", "paid"),
    ]
    assert crm.customers.count("project:letter status:paid p.a:1") == 1
    with pytest.raises(InvalidFilter):
        crm.customers.count("project:news")
    crm.project("news").identify(ALICE)  # a new product by the old name
    assert [each.slug for each in crm.projects.list()] == ["shop", "letter", "news"]


def test_what_is_wrong_with_products(crm: TinyCRM) -> None:
    crm.projects.add("shop")
    crm.projects.add("news")
    before = everything(crm)
    with pytest.raises(Conflict):
        crm.projects.add("shop")
    with pytest.raises(Conflict):
        crm.projects.rename("shop", slug="news")
    for call in (crm.projects.delete, crm.projects.rename, crm.projects.params):
        with pytest.raises(NotFound, match="shop, news"):
            call("blog")
    for name in ("", " ", "x" * 101, "a\x00", "\ud800", "a\nb", 1):
        with pytest.raises(InvalidInput):
            crm.projects.add("blog", name=name)
        with pytest.raises(InvalidInput):
            crm.projects.rename("shop", name=name)
    with pytest.raises(InvalidInput, match="hue"):
        crm.projects.add("blog", hue="beige")
    assert crm.projects.rename("shop", slug="shop").slug == "shop"
    assert everything(crm) == before


def slugs(crm: TinyCRM) -> list[str]:
    return [each.slug for each in crm.projects.list()]


def test_products_stand_where_they_are_moved_and_memberships_with_them(crm: TinyCRM) -> None:
    for slug in ("shop", "news", "blog"):
        crm.project(slug).identify(ALICE)
    assert [m.project for m in person(crm).memberships] == ["shop", "news", "blog"]
    assert [each.slug for each in crm.projects.move("blog", 0)] == ["blog", "shop", "news"]
    assert slugs(crm) == ["blog", "shop", "news"]
    crm.projects.move("blog", 1)
    assert slugs(crm) == ["shop", "blog", "news"]
    crm.projects.move("shop", 99)  # beyond the end is the end
    assert slugs(crm) == ["blog", "news", "shop"]
    for found in (person(crm), *crm.customers.find("project:news")):
        assert [m.project for m in found.memberships] == ["blog", "news", "shop"]
    crm.projects.rename("news", name="News")
    assert slugs(crm) == ["blog", "news", "shop"], "another name is no other place"
    crm.project("docs").identify(ALICE)
    crm.projects.delete("news")
    assert slugs(crm) == ["blog", "shop", "docs"], "a new one comes last"
    crm.projects.move("docs", 1)
    crm.customers.merge(ALICE, crm.project("shop").identify(BOB) and BOB)
    assert [m.project for m in person(crm).memberships] == ["blog", "docs", "shop"]


def test_what_is_no_place(crm: TinyCRM) -> None:
    crm.projects.add("shop")
    with pytest.raises(NotFound):
        crm.projects.move("news", 0)
    for place in (-1, "0", True, None, 1.0):
        with pytest.raises(InvalidInput, match="place"):
            crm.projects.move("shop", place)


def test_products_take_the_next_colour(crm: TinyCRM) -> None:
    crm.projects.add("p0", hue=HUES[1])
    hues = [crm.projects.add(f"p{number}").hue for number in range(1, 14)]
    assert set(hues[:11]) == set(HUES) - {HUES[1]}
    assert set(hues) <= set(HUES)


def test_a_colour_that_is_used_often_leaves_room_for_the_others(crm: TinyCRM) -> None:
    for number in range(len(HUES)):
        crm.projects.add(f"p{number}", hue=HUES[0])
    assert [crm.projects.add(f"q{number}").hue for number in range(12)] == [*HUES[1:], HUES[1]]


def test_a_deleted_product_takes_its_memberships_and_keys_only(crm: TinyCRM) -> None:
    for email in (ALICE, BOB):
        crm.project("shop").identify(email, params={"a": 1}, at=day(1))
    crm.project("news").identify(BOB, params={"b": 1}, at=day(2))
    crm.customers.merge(ALICE, BOB)
    crm.keys.create("shop")
    crm.keys.create("news")
    crm.projects.delete("shop")
    assert [m.project for m in person(crm).memberships] == ["news"]
    assert person(crm).last_seen_at == day(2)
    assert [slug for _, slug in crm.keys.list()] == ["news"]
    assert [(slug, key.path) for slug, key in crm.projects.params()] == [("news", "b")]
    crm.projects.add("shop")
    assert crm.customers.count("project:shop") == 0
    crm.project("shop").identify(BOB)
    assert on(crm).params == {}


def test_the_keys_of_params_are_counted(crm: TinyCRM) -> None:
    shop = crm.project("shop")
    shop.identify(ALICE, params={"plan": "pro", "deep": {"x": 1}})
    shop.identify(BOB, params={"plan": None})
    known = {key.path: (key.count, dict(key.kinds)) for _, key in crm.projects.params("shop")}
    assert known["plan"] == (2, {"text": 1, "null": 1})
    assert known["deep"] == (1, {"object": 1})
    assert known["deep.x"] == (1, {"number": 1})
    shop.identify(ALICE, unset=["deep"])
    crm.customers.delete(BOB)
    assert [(key.path, key.count) for _, key in crm.projects.params()] == [("plan", 1)]


# Segments ----------------------------------------------------------------------------------------
def test_segments_keep_a_filter_under_a_name(crm: TinyCRM) -> None:
    crm.project("shop").identify(ALICE, status="paid")
    text = crm.segments.add("Paying people", "status:paid   project:shop").filter
    assert parse(text) == parse("status:paid project:shop")
    crm.segments.add("By pairs", [("status", "free")])
    crm.segments.add("By tree", parse("p.mrr>=9"))
    assert [each.name for each in crm.segments.list()] == ["By pairs", "By tree", "Paying people"]
    assert crm.customers.count(crm.segments.get("Paying people").filter) == 1
    assert (
        crm.segments.rename("By tree", "Worth most").filter == crm.segments.get("Worth most").filter
    )
    crm.segments.delete("By pairs")
    before = crm.segments.list()
    with pytest.raises(Conflict):
        crm.segments.add("Worth most", "")
    with pytest.raises(Conflict):
        crm.segments.rename("Worth most", "Paying people")
    for call in (crm.segments.get, crm.segments.delete):
        with pytest.raises(NotFound):
            call("By tree")
    with pytest.raises(NotFound):
        crm.segments.rename("By tree", "x")
    with pytest.raises(InvalidFilter):
        crm.segments.add("Broken", "status:nope")
    for name in ("", " ", "x" * 101, "a\nb", "\ud800", 1):
        with pytest.raises(InvalidInput):
            crm.segments.add(name, "")
    assert crm.segments.list() == before


# Keys --------------------------------------------------------------------------------------------
def test_a_product_has_two_live_keys_for_rotation(crm: TinyCRM) -> None:
    crm.projects.add("shop")
    crm.projects.add("news")
    first, second = crm.keys.create("shop", label="old"), crm.keys.create("shop")
    with pytest.raises(Conflict, match="2 live keys"):
        crm.keys.create("shop")
    crm.keys.create("news")
    by_hash = {key.hash: (key, slug) for key, slug in crm.keys.list()}
    stored, slug = by_hash[first.hash]
    assert (slug, stored.label, stored.scope, stored.revoked_at) == ("shop", "old", "write", None)
    assert first.secret not in repr(crm.keys.list())
    crm.keys.revoke(stored.id)
    crm.keys.revoke(str(stored.id))
    third = crm.keys.create("shop")
    found = crm.store.find_key(hash_key(third.secret))
    assert found is not None
    assert (found[0], found[1].hash) == (crm.account_slug, third.hash)
    assert crm.store.find_key(first.hash) is None
    assert crm.store.find_key(second.hash) is not None


def test_keys_of_an_account(crm: TinyCRM) -> None:
    for scope in ("read", "admin", "read"):
        crm.keys.create(scope=scope)
    assert [(key.scope, key.project_id, slug) for key, slug in crm.keys.list()] == [
        ("read", None, None),
        ("admin", None, None),
        ("read", None, None),
    ]
    before = crm.keys.list()
    with pytest.raises(NotFound):
        crm.keys.create("nothing")
    with pytest.raises(InvalidInput):
        crm.keys.create(scope="write")
    for label in ("a\x00", "\ud800", "x" * 101, 1):
        with pytest.raises(InvalidInput):
            crm.keys.create(label=label)
    with pytest.raises(NotFound):
        crm.keys.revoke(uuid4())
    with pytest.raises(InvalidInput):
        crm.keys.revoke("nothing")
    assert crm.keys.list() == before


# Imports -----------------------------------------------------------------------------------------
def new_batch(crm: TinyCRM) -> Any:
    batch = BatchState(uuid4(), 1, "people.csv", 1)
    with crm.store.begin(crm.account_slug) as tx:
        tx.save_batch(batch)
    return batch.id


def test_an_import_is_undone_where_nobody_wrote_since(crm: TinyCRM) -> None:
    shop = crm.project("shop")
    shop.identify(ALICE, name="Alice", status="trial", params={"a": 1, "b": 1}, at=day(5))
    before = on(crm)
    batch = new_batch(crm)
    shop.send(
        [
            Identify(ALICE, name="X", status="paid", params={"a": 2}, at=day(6), active=False),
            Identify(ALICE, params={"a": 3}, joined=day(1), at=day(7), active=False),
            Identify(BOB, params={"a": 2}, active=False),
        ],
        via="import",
        batch=batch,
    )
    shop.identify(ALICE, params={"b": 2}, at=day(8), active=False)
    report = crm.imports.undo(batch)
    assert (report.restored, report.removed) == (1, 1)
    assert crm.customers.get(BOB) is None
    assert person(crm).name == "Alice"
    assert on(crm) == type(before)("shop", "trial", {"a": 1, "b": 2}, day(5), day(5))
    with pytest.raises(Conflict):
        crm.imports.undo(str(batch))
    with pytest.raises(NotFound):
        crm.imports.undo(uuid4())
    assert [each.undone_at is not None for each in crm.imports.list()] == [True]


# Numbers ---------------------------------------------------------------------------------------
def test_totals_of_a_product_that_is_not_there_are_refused(crm: TinyCRM) -> None:
    crm.project("shop").identify(ALICE, params={"mrr": 9, "plan": "pro"})
    for ask in (crm.customers.tally, lambda **only: crm.customers.aggregate("p.mrr", **only)):
        with pytest.raises(InvalidFilter) as caught:
            ask(project="nope")
        assert (caught.value.field, caught.value.choices) == ("project", ("shop",))
    assert crm.customers.tally(by="p.plan", project="shop") == [("pro", 1)]
    assert crm.customers.aggregate("p.mrr", project="shop").sum == 9


def test_a_tally_spells_numbers_alike_on_every_backend(crm: TinyCRM) -> None:
    values = (1, 1.0, True, "1", 2.0, 2.5, 1e16, 1e300, 2**63 - 1, None, False, "true", [], {})
    for number, value in enumerate(values):
        crm.project("shop").identify(f"p{number}@example.com", params={"v": value})
    tally = crm.customers.tally(by="p.v")
    assert [(repr(value), number) for value, number in tally] == [
        ("1", 2),
        ("'1'", 1),
        ("10000000000000000", 1),
        ("1e+300", 1),
        ("2", 1),
        ("2.5", 1),
        ("9223372036854775807", 1),
        ("False", 1),
        ("None", 1),
        ("True", 1),
        ("'true'", 1),
    ]


def test_who_is_on_which_products_at_once(every_crm: list[TinyCRM]) -> None:
    for crm in every_crm:
        for number, slugs in enumerate((["shop"], ["shop", "news"], ["news", "shop"], ["blog"])):
            for slug in slugs:
                status = "paid" if slug == "shop" or number == 2 else "free"
                crm.project(slug).identify(
                    f"p{number}@example.com", status=status, params={"n": number}, at=day(number)
                )
        crm.customers.merge("p0@example.com", "p3@example.com")
        shop, news, blog = {"shop"}, {"shop", "news"}, {"blog", "shop"}
        assert crm.customers.combinations() == [(news, 2), (blog, 1)]
        assert crm.customers.combinations("status:paid") == [(shop, 2), (news, 1)]
        assert crm.customers.combinations("project:news p.n>=2") == [({"news"}, 1)]
        assert crm.customers.combinations("active>2026-01-02T12:00Z") == [({"blog"}, 1), (news, 1)]
        assert crm.customers.combinations("status:churned") == []
        for text in ("status@shop:paid status@news:paid", "projects>=2", "-project:shop"):
            with pytest.raises(InvalidFilter, match="one membership"):
                crm.customers.combinations(text)


def test_more_products_than_a_number_has_bits(every_crm: list[TinyCRM]) -> None:
    for crm in every_crm:
        for number in range(130):
            crm.projects.add(f"p{number}")
        for number in (0, 61, 62, 63, 129):
            crm.project(f"p{number}").identify(ALICE)
        assert crm.customers.combinations() == [({"p0", "p61", "p62", "p63", "p129"}, 1)]
        assert TinyCRM.over(crm.store, account=str(uuid4())).customers.combinations() == []


def test_undoing_an_import_tells_how_far_it_is(
    crm: TinyCRM, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Imports, "SLICE", 3)
    rows = "email\n" + "".join(f"p{number}@example.com\n" for number in range(7))
    report = crm.import_csv(io.StringIO(rows), project="shop")
    seen: list[int] = []
    assert report.batch is not None
    undone = crm.imports.undo(report.batch, progress=seen.append)
    assert undone.removed == seen[-1] == 7
    assert seen == sorted(seen)
    assert len(seen) > 2

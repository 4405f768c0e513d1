"""What history records, and what it does not."""

from __future__ import annotations

import io
from typing import Any
from uuid import uuid4

import pytest

from tinycrm_core import ABSENT, Change, Identify, InvalidFilter, NotFound, TinyCRM
from tinycrm_core.testing import ALICE, BOB, day


def history(crm: TinyCRM, email: str = ALICE) -> list[Change]:
    """Oldest first."""
    return crm.customers.history(email)[::-1]


def test_every_change_has_its_old_and_new_value(crm: TinyCRM) -> None:
    shop = crm.project("shop")
    shop.identify(ALICE, name="A", status="trial", params={"a": 1}, set_once={"b": [1]})
    shop.identify(ALICE, name="B", status="paid", params={"a": {"x": 1}}, unset=["b"])
    first, second = history(crm)
    assert first.changes == {
        "name": (ABSENT, "A"),
        "status": (ABSENT, "trial"),
        "params.a": (ABSENT, 1),
        "params.b": (ABSENT, [1]),
    }
    assert second.changes == {
        "name": ("A", "B"),
        "status": ("trial", "paid"),
        "params.a": (1, {"x": 1}),
        "params.b": ([1], ABSENT),
    }
    assert first.at <= second.at
    assert {(each.kind, each.via, each.project, each.email) for each in (first, second)} == {
        ("identify", "call", "shop", ALICE)
    }
    assert second.to_json()["changes"]["params.b"] == {"old": [1]}


def test_a_first_call_records_the_status_it_starts_with(crm: TinyCRM) -> None:
    crm.project("shop").identify(ALICE)
    crm.project("news").identify(ALICE)
    changes = [(each.project, each.changes) for each in history(crm)]
    assert changes == [
        ("shop", {"status": (ABSENT, "free")}),
        ("news", {"status": (ABSENT, "free")}),
    ]


@pytest.mark.parametrize(
    "again",
    [
        {},
        {"name": "A"},
        {"name": " "},
        {"status": "paid"},
        {"params": {"a": [1]}},
        {"params": {}},
        {"set_once": {"a": 9, "b": 9}},
        {"unset": ["c"]},
        {"at": day(0)},
        {"at": day(50)},
        {"at": day(50), "name": "A", "status": "paid", "params": {"a": [1]}},
        {"at": day(0), "name": "A", "status": "paid", "params": {"a": [1]}},
        {"active": False},
    ],
)
def test_calls_that_change_nothing_record_nothing(crm: TinyCRM, again: dict[str, Any]) -> None:
    shop = crm.project("shop")
    shop.identify(ALICE, name="A", status="paid", params={"a": [1], "b": None}, at=day(9))
    for _ in range(2):
        assert shop.identify(ALICE, **again).action == "unchanged"
    shop.ping(ALICE)
    shop.ping(ALICE, at=day(99))
    assert len(history(crm)) == 1


def test_a_late_event_is_recorded_once_with_what_it_could_not_change(crm: TinyCRM) -> None:
    shop = crm.project("shop")
    shop.identify(ALICE, name="New", status="paid", params={"a": 1, "b": 1}, at=day(9))
    old = Identify(ALICE, name="Old", status="trial", params={"a": 2}, unset=["b"], at=day(2))
    for _ in range(3):
        (answer,) = shop.send([old])
        assert answer.action == "unchanged"
    shop.send([old, old])
    _, late = history(crm)
    assert late.changes == {}
    assert late.late == {"name": "Old", "status": "trial", "params.a": 2, "params.b": None}
    assert late.event_at == day(2)


def test_a_repeated_event_is_recorded_once_even_after_newer_ones(crm: TinyCRM) -> None:
    shop = crm.project("shop")
    first, second = (
        Identify(ALICE, status="trial", at=day(1)),
        Identify(ALICE, status="paid", at=day(2)),
    )
    shop.send([first, second, first, second, first])
    shop.send([first, second])
    assert [each.changes for each in history(crm)] == [
        {"status": (ABSENT, "trial")},
        {"status": ("trial", "paid")},
    ]


def test_partly_late_is_both(crm: TinyCRM) -> None:
    shop = crm.project("shop")
    shop.identify(ALICE, status="paid", at=day(9))
    shop.identify(ALICE, name="A", status="trial", params={"a": 1}, at=day(2))
    change = history(crm)[1]
    assert change.changes == {"name": (ABSENT, "A"), "params.a": (ABSENT, 1)}
    assert change.late == {"status": "trial"}


def test_history_tells_through_what_and_from_which_import(crm: TinyCRM) -> None:
    batch = uuid4()
    hooked = TinyCRM.over(crm.store, account=crm.account_slug, via="hook")
    hooked.project("shop").identify(ALICE)
    crm.project("shop").send([Identify(ALICE, name="A")], via="import", batch=batch)
    assert [(each.via, each.batch) for each in history(crm)] == [("hook", None), ("import", batch)]


def test_merges_renames_and_undoing_are_recorded(crm: TinyCRM) -> None:
    shop = crm.project("shop")
    shop.identify(ALICE, params={"a": 1}, at=day(1))
    shop.identify(BOB, params={"b": 1}, at=day(2))
    merge_id = str(crm.customers.merge(ALICE, BOB))
    crm.customers.change_email(ALICE, "a2@example.com")
    changes = [(each.kind, each.email, each.changes) for each in history(crm)]
    assert changes == [
        ("identify", ALICE, {"status": (ABSENT, "free"), "params.a": (ABSENT, 1)}),
        ("identify", BOB, {"status": (ABSENT, "free"), "params.b": (ABSENT, 1)}),
        ("merge", ALICE, {"merge": (ABSENT, merge_id)}),
        ("rename", "a2@example.com", {"email": (ALICE, "a2@example.com")}),
    ]
    crm.customers.undo_merge(merge_id)
    assert [each.kind for each in history(crm)] == ["identify", "merge", "rename", "undo_merge"]
    assert [each.kind for each in history(crm, BOB)] == ["identify", "undo_merge"]
    assert history(crm, BOB)[1].changes == {"merge": (merge_id, ABSENT)}


def test_history_of_nobody_is_an_error(crm: TinyCRM) -> None:
    for call in (crm.customers.history, crm.customers.export_person, crm.customers.merges):
        with pytest.raises(NotFound):
            call(ALICE)


def test_newest_first_and_unharmed_by_a_deleted_product(crm: TinyCRM) -> None:
    for number in range(12):
        crm.project("shop").identify(ALICE, params={"n": number})
    shown = crm.customers.history(ALICE)
    assert [each.changes["params.n"][1] for each in shown] == list(range(11, -1, -1))
    crm.project("news").identify(ALICE)
    crm.projects.delete("shop")
    assert {each.project for each in crm.customers.history(ALICE)} == {None, "news"}


def test_events_of_one_transaction_keep_their_order(crm: TinyCRM) -> None:
    crm.project("shop").send([Identify(ALICE, params={"n": number}) for number in range(20)])
    assert [each.changes["params.n"][1] for each in history(crm)] == list(range(20))


# Page by page ----------------------------------------------------------------------------------
def pages(crm: TinyCRM, limit: int, **asked: str) -> list[list[Change]]:
    """All pages, while something is recorded after each of them."""
    found, after = [], None
    while True:
        page = crm.customers.history(ALICE, limit=limit, after=after, **asked)  # type: ignore[arg-type]
        found.append(list(page))
        crm.project("shop").identify(ALICE, params={"later": len(found)})
        after = page.next
        if after is None:
            return found


def test_pages_follow_each_other_whatever_is_recorded_meanwhile(crm: TinyCRM) -> None:
    shop, news = crm.project("shop"), crm.project("news")
    events = [Identify(ALICE, params={"n": number}) for number in range(5)]
    shop.send(events)  # at the same moment, all but microseconds
    for number in range(4):
        news.identify(ALICE, params={"m": number}, at=day(number))
    crm.customers.change_email(ALICE, BOB)
    crm.customers.change_email(BOB, ALICE)
    whole = list(crm.customers.history(ALICE))
    assert len(whole) == 11
    assert crm.customers.history(ALICE).next is None
    for limit in (1, 3, 11, 500):
        found = pages(crm, limit)
        assert [each for page in found for each in page][-11:] == whole
        assert all(len(page) == limit for page in found[:-1])
        assert found[-1]
    assert [c.changes["params.m"][1] for c in crm.customers.history(ALICE, project="news")] == [
        3, 2, 1, 0,
    ]  # fmt: skip
    renames = crm.customers.history(ALICE, kind="rename", limit=1)
    assert [each.changes for each in renames] == [{"email": (BOB, ALICE)}]
    assert [len(each) for each in pages(crm, 1, kind="rename")] == [1, 1]


def test_a_page_is_full_although_some_entries_are_not_shown(crm: TinyCRM) -> None:
    """An import records when people were active, for its undo; nobody is shown that."""
    shop = crm.project("shop")
    shop.identify(ALICE, at=day(1))
    for number in range(2, 9):
        rows = f"email,last_active\n{ALICE},2026-01-0{number + 1}\n"
        crm.import_csv(io.StringIO(rows), project="shop")
    shop.identify(ALICE, params={"a": 1})
    assert [len(page) for page in pages(crm, 1)] == [1, 1]


def test_what_no_page_of_a_history_is(crm: TinyCRM) -> None:
    crm.project("shop").identify(ALICE)
    place = crm.customers.find(sort="name").next or "x"
    for wrong in ({"limit": 0}, {"limit": 501}, {"limit": True}, {"after": place}, {"after": ""}):
        with pytest.raises(InvalidFilter):
            crm.customers.history(ALICE, **wrong)  # type: ignore[arg-type]
    with pytest.raises(InvalidFilter, match="no product"):
        crm.customers.history(ALICE, project="news")

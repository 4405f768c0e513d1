"""The memory backend where it differs from the others: nothing but Python looks at people."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from tinycrm_core import memory_query
from tinycrm_core.client import TinyCRM
from tinycrm_core.events import Identify

PEOPLE = 2600
SORTS = ("created", "-seen", "name", "-p.mrr", "joined@shop")


def filled(people: int = PEOPLE) -> TinyCRM:
    """Every third one pays; times, names and numbers repeat and are missing here and there."""
    rng = Random(5)
    crm = TinyCRM("memory://")
    events = [
        Identify(
            f"person{number}@example.com",
            name=f"Ada {rng.randint(1, 400)}" if rng.random() < 0.9 else None,
            status="free" if number % 3 else "paid",
            params={"mrr": rng.choice((9, 29.5, "much", None))} if rng.random() < 0.8 else None,
            at=rng.randint(1, 900) * 1_000_000,
            active=rng.random() < 0.7,
        )
        for number in range(people)
    ]
    crm.project("shop").send(events)
    return crm


def looks(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Whom filters look at from now on."""
    seen: list[Any] = []
    compile_matcher = memory_query.compile_matcher

    def counted(*args: Any, **options: Any) -> Callable[[Any], bool]:
        holds = compile_matcher(*args, **options)

        def look(customer: Any) -> bool:
            seen.append(customer)
            return holds(customer)

        return look

    monkeypatch.setattr(memory_query, "compile_matcher", counted)
    return seen


def test_reading_everybody_looks_at_each_person_twice_at_most(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    crm, seen = filled(), looks(monkeypatch)
    found = sum(1 for _ in crm.customers.stream("projects>=1 -status:churned"))
    assert found == PEOPLE  # six pages
    assert len(seen) <= 2 * PEOPLE + 10


def test_who_filters_again_has_nobody_looked_at_behind_the_last_hit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where nothing changed in between: a change alone is not worth putting all in order."""
    crm, seen = filled(), looks(monkeypatch)
    first = [each.email for each in crm.customers.find("status:paid")]
    assert len(seen) == PEOPLE
    seen.clear()
    assert [each.email for each in crm.customers.find("status:paid")] == first
    assert len(seen) < PEOPLE // 4
    crm.project("shop").identify("person1@example.com", status="paid")
    seen.clear()
    crm.customers.find("status:paid")
    assert len(seen) == PEOPLE


@pytest.mark.parametrize("sort", SORTS)
def test_a_page_asked_for_again_is_the_same(sort: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """However far the kept order is walked for it; later pages go on where it ends."""
    crm = filled(300)
    for tree in ("", "status:paid", "p.mrr:much", "name:-", "p.mrr:9 or name:-", "status:churned"):
        first = crm.customers.find(tree, sort=sort, limit=9)
        for most in (0, 3, 20, 2000):
            monkeypatch.setattr(memory_query, "_GLANCE", most)
            again = crm.customers.find(tree, sort=sort, limit=9)
            assert [each.email for each in again] == [each.email for each in first], (tree, most)
            assert again.next == first.next


@pytest.mark.parametrize("sort", SORTS)
def test_pages_go_on_where_people_change_in_between(sort: str) -> None:
    """What a page leaves to the next is what a fresh look at the same people finds."""
    crm, rng = filled(300), Random(sort)
    for tree in ("", "status:paid"):
        after = None
        for _ in range(6):
            page = crm.customers.find(tree, sort=sort, limit=17, after=after)
            again = TinyCRM.over(crm.store)
            crm.store._accounts["default"].questions._order = None  # type: ignore[attr-defined]
            anew = again.customers.find(tree, sort=sort, limit=17, after=after)
            assert [each.email for each in page] == [each.email for each in anew]
            assert page.next == anew.next
            after = page.next
            if after is None:
                break
            shop = crm.project("shop")
            for number in rng.sample(range(300), 12):
                email = f"person{number}@example.com"
                shop.identify(email, name=f"Zoe {rng.randint(1, 400)}", params={"mrr": number})
            crm.customers.delete(f"person{rng.randint(0, 299)}@example.com")
            shop.identify(f"new{rng.random()}@example.com", name="Bob", params={"mrr": 20})

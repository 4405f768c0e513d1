"""What every store has to do."""

from __future__ import annotations

import pytest

from tinycrm_core.client import TinyCRM
from tinycrm_core.errors import Conflict, Forgotten, InvalidInput, NotFound
from tinycrm_core.events import Event, Identify, Ping
from tinycrm_core.model import ABSENT, Json, Membership, Result
from tinycrm_core.testing.people import ALICE, BOB, day, exactly, on, person


class StoreContract:
    """Tests that hold on every backend."""

    # Writing and reading -----------------------------------------------------------------------
    def test_a_new_person_is_a_customer_with_one_membership(self, crm: TinyCRM) -> None:
        result = crm.project("shop").identify(ALICE, name="Alice", at=day(1))
        assert (result.action, result.joined) == ("created", True)
        alice = person(crm)
        assert (alice.id, alice.email, alice.name) == (result.customer_id, ALICE, "Alice")
        assert alice.created_at == alice.last_seen_at == day(1)
        assert alice.memberships == (Membership("shop", on(crm).status, {}, day(1), day(1)),)
        assert on(crm).status == "free"

    def test_the_same_person_on_two_products_is_one_customer(self, crm: TinyCRM) -> None:
        first = crm.project("shop").identify(ALICE, status="paid")
        second = crm.project("news").identify("Alice@EXAMPLE.com", status="trial")
        assert (second.action, second.customer_id) == ("updated", first.customer_id)
        assert second.joined
        assert [(m.project, m.status) for m in person(crm).memberships] == [
            ("shop", "paid"),
            ("news", "trial"),
        ]
        assert crm.customers.count() == 1

    def test_params_come_back_as_they_went_in(self, crm: TinyCRM) -> None:
        params: dict[str, Json] = {
            "text": "ключ ☃ \\ ' \" % _",
            "": "an empty key",
            "a.b": {"c.d": [1, 1.0, True, None, {}, [], ""]},
            "numbers": [0, -1, 2**63 - 1, -(2**63), 0.1, 29.0, 1e16, 1e300, 5e-324],
        }
        crm.project("shop").identify(ALICE, params=params)
        assert exactly(on(crm).params, params)

    def test_params_merge_key_by_key(self, crm: TinyCRM) -> None:
        shop = crm.project("shop")
        shop.identify(ALICE, params={"a": 1, "b": {"x": 1, "y": 1}, "c": 1, "d": 1})
        result = shop.identify(ALICE, params={"b": {"x": 2}, "c": None}, unset=["d"])
        assert result.changed == ("params.b", "params.c", "params.d")
        assert on(crm).params == {"a": 1, "b": {"x": 2}, "c": None}

    def test_what_is_omitted_is_left_alone(self, crm: TinyCRM) -> None:
        shop = crm.project("shop")
        shop.identify(ALICE, name="Alice", status="paid", params={"a": 1}, at=day(1))
        before = person(crm)
        assert shop.identify(ALICE, at=day(1)).action == "unchanged"
        assert shop.identify(ALICE, name=" ", at=day(1)).action == "unchanged"
        assert person(crm) == before

    def test_the_newest_event_time_wins(self, crm: TinyCRM) -> None:
        shop = crm.project("shop")
        shop.identify(ALICE, name="New", status="paid", params={"a": "new"}, at=day(2))
        late = shop.identify(ALICE, name="Old", status="free", params={"a": "old"}, at=day(1))
        assert (late.action, late.changed) == ("unchanged", ())
        assert person(crm).name == "New"
        assert (on(crm).status, on(crm).params) == ("paid", {"a": "new"})
        assert on(crm).joined_at == person(crm).created_at == day(1)
        assert on(crm).last_active_at == day(2)

    def test_a_call_without_a_time_wins_over_every_clock(self, crm: TinyCRM) -> None:
        shop = crm.project("shop")
        shop.identify(ALICE, name="A", status="paid", params={"a": 1}, at="9999-12-31")
        shop.identify(ALICE, name="B", status="churned", params={"a": 2})
        assert (person(crm).name, on(crm).status, on(crm).params) == ("B", "churned", {"a": 2})

    def test_set_once_and_unset(self, crm: TinyCRM) -> None:
        shop = crm.project("shop")
        shop.identify(ALICE, set_once={"source": "ad"}, at=day(2))
        shop.identify(ALICE, set_once={"source": "mail"}, at=day(3))
        assert on(crm).params == {"source": "ad"}
        shop.identify(ALICE, unset=["source"], at=day(5))
        shop.identify(ALICE, params={"source": "late"}, at=day(4))
        assert on(crm).params == {}
        shop.identify(ALICE, set_once={"source": "again"}, at=day(6))
        assert on(crm).params == {"source": "again"}

    def test_ping_moves_activity_forward_and_nothing_else(self, crm: TinyCRM) -> None:
        shop = crm.project("shop")
        assert shop.ping(ALICE) is False
        assert crm.projects.list() == ()
        shop.identify(ALICE, status="paid", params={"a": 1}, at=day(1), active=False)
        assert on(crm).last_active_at is None
        assert shop.ping(ALICE, at=day(3)) is True
        assert shop.ping(ALICE, at=day(2)) is True
        assert on(crm) == Membership("shop", on(crm).status, {"a": 1}, day(1), day(3))
        assert crm.project("news").ping(ALICE) is False
        assert len(crm.customers.history(ALICE)) == 1

    def test_a_list_of_events_is_one_transaction_with_one_answer_each(self, crm: TinyCRM) -> None:
        crm.customers.delete(BOB, forget=True)
        events: list[Event] = [Identify(ALICE), Ping(ALICE), Identify(BOB), Ping(BOB)]
        shop = crm.project("shop")
        for answers in (shop.preview(events), shop.send(events)):
            assert isinstance(answers[0], Result)
            assert answers[0].action == "created"
            assert isinstance(answers[2], Forgotten)
            assert (answers[1], answers[3]) == (True, False)
        assert [each.email for each in crm.customers.find()] == [ALICE]

    def test_a_refusal_writes_nothing(self, crm: TinyCRM) -> None:
        shop = crm.project("shop")
        shop.identify(ALICE, params={"kept": 1}, at=day(1))
        before, history = person(crm), crm.customers.history(ALICE)
        many: dict[str, Json] = {f"k{number}": 1 for number in range(256)}
        with pytest.raises(InvalidInput, match="more than 256 keys"):
            shop.identify(ALICE, name="X", status="paid", params=many)
        assert (person(crm), crm.customers.history(ALICE)) == (before, history)

    # History -----------------------------------------------------------------------------------
    def test_history_holds_what_changed_and_what_came_too_late(self, crm: TinyCRM) -> None:
        shop = crm.project("shop")
        shop.identify(ALICE, status="trial", params={"plan": "a"}, at=day(1))
        shop.identify(ALICE, status="paid", params={"plan": None}, unset=["gone"], at=day(3))
        for _ in range(2):
            shop.identify(ALICE, status="churned", at=day(2))
        shop.identify(ALICE, status="paid", at=day(4))
        shop.ping(ALICE)
        late, changed, first = crm.customers.history(ALICE)
        assert first.changes == {"status": (ABSENT, "trial"), "params.plan": (ABSENT, "a")}
        assert changed.changes == {"status": ("trial", "paid"), "params.plan": ("a", None)}
        assert (late.changes, late.late) == ({}, {"status": "churned"})
        assert (late.event_at, late.kind, late.via, late.project) == (
            day(2),
            "identify",
            "call",
            "shop",
        )

    # Questions ---------------------------------------------------------------------------------
    def test_questions(self, crm: TinyCRM) -> None:
        for number in range(7):
            project = crm.project("shop" if number % 2 else "news")
            status = "paid" if number < 3 else "free"
            email = f"p{number}@example.com"
            project.identify(email, status=status, params={"mrr": number}, at=day(number))
        assert crm.customers.count("status:paid") == 3
        assert crm.customers.count("project:shop status:paid") == 1
        assert dict(crm.customers.tally(by="project")) == {"news": 4, "shop": 3}
        totals = crm.customers.aggregate("p.mrr", "p.mrr>=3")
        assert (totals.count, totals.sum, totals.min, totals.max) == (4, 18, 3, 6)
        pages, after = [], None
        while True:
            page = crm.customers.find("-status:churned", sort="-p.mrr", limit=3, after=after)
            pages.append([each.email[1] for each in page])
            after = page.next
            if after is None:
                break
        assert pages == [["6", "5", "4"], ["3", "2", "1"], ["0"]]

    def test_combinations_of_products(self, crm: TinyCRM) -> None:
        for email, status in ((ALICE, "paid"), (BOB, "free")):
            crm.project("shop").identify(email, status=status)
        crm.project("news").identify(ALICE)
        assert dict(crm.customers.combinations()) == {
            frozenset({"shop"}): 1,
            frozenset({"shop", "news"}): 1,
        }
        assert crm.customers.combinations("status:paid") == [(frozenset({"shop"}), 1)]

    # People ------------------------------------------------------------------------------------
    def test_merge_and_undo(self, crm: TinyCRM) -> None:
        shop = crm.project("shop")
        shop.identify(ALICE, name="Alice", status="free", params={"a": 1}, at=day(1))
        shop.identify(BOB, name="Bob", status="paid", params={"b": 1}, at=day(2))
        alice, bob = person(crm), person(crm, BOB)
        merge_id = crm.customers.merge(ALICE, BOB)
        merged = person(crm, BOB)
        assert (merged.id, merged.email, merged.aliases) == (alice.id, ALICE, (BOB,))
        assert (merged.name, on(crm).status, on(crm).params) == ("Bob", "paid", {"a": 1, "b": 1})
        shop.identify(BOB, params={"later": 1}, at=day(3))
        crm.customers.undo_merge(merge_id)
        assert person(crm) == alice
        assert person(crm, BOB).id == bob.id
        assert on(crm, email=BOB).params == {"b": 1, "later": 1}
        with pytest.raises(Conflict):
            crm.customers.undo_merge(merge_id)

    def test_change_email_keeps_the_old_address_as_alias(self, crm: TinyCRM) -> None:
        shop = crm.project("shop")
        first = shop.identify(ALICE)
        assert crm.customers.change_email(ALICE, "new@example.com") is None
        assert (person(crm).email, person(crm).aliases) == ("new@example.com", (ALICE,))
        assert shop.identify(ALICE).customer_id == first.customer_id
        with pytest.raises(NotFound):
            crm.customers.change_email(BOB, "x@example.com")

    def test_delete_and_forget(self, crm: TinyCRM) -> None:
        shop = crm.project("shop")
        shop.identify(ALICE)
        shop.identify(BOB)
        assert crm.customers.delete(ALICE) is True
        assert crm.customers.delete(ALICE) is False
        assert crm.customers.get(ALICE) is None
        assert crm.customers.delete(BOB, forget=True) is True
        assert shop.identify(ALICE).action == "created"
        with pytest.raises(Forgotten):
            shop.identify(BOB)
        assert [each.email for each in crm.customers.find()] == [ALICE]

    # What surrounds people ---------------------------------------------------------------------
    def test_deleting_a_product_keeps_the_people(self, crm: TinyCRM) -> None:
        crm.project("shop").identify(ALICE)
        crm.project("news").identify(ALICE)
        crm.projects.delete("shop")
        assert [m.project for m in person(crm).memberships] == ["news"]
        crm.projects.delete("news")
        assert person(crm).memberships == ()
        crm.project("shop").identify(ALICE, params={"fresh": True})
        assert on(crm).params == {"fresh": True}

    def test_segments(self, crm: TinyCRM) -> None:
        crm.segments.add("Paying", "status:paid")
        assert crm.segments.rename("Paying", "Paid").filter == "status:paid"
        assert [each.name for each in crm.segments.list()] == ["Paid"]
        crm.segments.delete("Paid")
        with pytest.raises(NotFound):
            crm.segments.get("Paid")

    def test_accounts_do_not_see_each_other(self, crm: TinyCRM) -> None:
        other = crm.account(f"{crm.account_slug[:40]}-other")
        crm.project("shop").identify(ALICE, status="paid")
        assert other.customers.get(ALICE) is None
        assert other.customers.count() == 0
        assert other.projects.list() == ()
        assert other.project("shop").identify(ALICE).action == "created"
        assert on(crm).status == "paid"
        assert other.customers.delete(ALICE, forget=True)
        assert crm.project("shop").identify(ALICE).action == "unchanged"

    def test_what_is_handed_out_is_a_copy(self, crm: TinyCRM) -> None:
        given: dict[str, Json] = {"deep": {"list": [1]}}
        event = Identify(ALICE, params=given)
        crm.project("shop").send([event])
        given["deep"]["list"].append("given")
        on(crm).params["deep"]["list"].append("read")
        change = crm.customers.history(ALICE)[0].changes["params.deep"][1]
        change["list"].append("history")
        assert on(crm).params == {"deep": {"list": [1]}}
        assert crm.customers.history(ALICE)[0].changes["params.deep"][1] == {"list": [1]}

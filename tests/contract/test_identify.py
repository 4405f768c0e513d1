"""identify() and ping(), case by case."""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from tests.contract.seen import everything, visible
from tinycrm_core import (
    Identify,
    InvalidEmail,
    InvalidInput,
    InvalidTime,
    NotFound,
    Ping,
    Result,
    TinyCRM,
)
from tinycrm_core.events import STATUSES
from tinycrm_core.testing import ALICE, BOB, day, on, person
from tinycrm_core.times import LATEST, from_micros


# Email -----------------------------------------------------------------------------------------
@pytest.mark.parametrize("spelled", ["  alice@example.com\t", "ALICE@Example.COM"])
def test_an_email_is_canonical_before_it_is_looked_up(crm: TinyCRM, spelled: str) -> None:
    first = crm.project("shop").identify(ALICE)
    assert crm.project("shop").identify(spelled).customer_id == first.customer_id
    assert crm.project("shop").ping(spelled)
    assert person(crm, spelled).email == ALICE


@pytest.mark.parametrize("email", ["", "nobody", "a b@example.com", "a@b@c", None, 1, b"a@b.co"])
def test_an_invalid_email_writes_nothing(crm: TinyCRM, email: object) -> None:
    before = everything(crm)
    for call in (crm.project("shop").identify, crm.project("shop").ping):
        with pytest.raises(InvalidEmail):
            call(email)
    assert everything(crm) == before


def test_an_alias_leads_to_its_customer(crm: TinyCRM) -> None:
    crm.project("shop").identify(ALICE, at=day(1))
    crm.customers.change_email(ALICE, "new@example.com")
    result = crm.project("news").identify(ALICE, name="Alice", at=day(2))
    assert result.action == "updated"
    assert crm.customers.count() == 1
    assert [m.project for m in person(crm, "new@example.com").memberships] == ["shop", "news"]


# Name ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("empty", [None, "", "   ", "\n\t"])
def test_an_empty_name_erases_nothing(crm: TinyCRM, empty: str | None) -> None:
    crm.project("shop").identify(ALICE, name="Alice")
    assert crm.project("news").identify(ALICE, name=empty).changed == ("status",)
    assert person(crm).name == "Alice"


def test_a_name_is_global_trimmed_and_the_newest_one_wins(crm: TinyCRM) -> None:
    crm.project("shop").identify(ALICE, name="  Alice Chen ", at=day(2))
    assert person(crm).name == "Alice Chen"
    crm.project("news").identify(ALICE, name="Old", at=day(1))
    assert person(crm).name == "Alice Chen"
    crm.project("news").identify(ALICE, name="Alice Li", at=day(3))
    assert person(crm).name == "Alice Li"


# Status ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("status", STATUSES)
def test_an_omitted_status_is_never_touched(crm: TinyCRM, status: str) -> None:
    """S5: a login can never downgrade a paid customer."""
    shop = crm.project("shop")
    shop.identify(ALICE, status=status, at=day(1))
    shop.identify(ALICE, name="Alice", params={"a": 1})
    shop.identify(ALICE, at=day(5))
    shop.ping(ALICE)
    assert on(crm).status == status


@pytest.mark.parametrize("status", STATUSES)
def test_the_first_default_is_older_than_any_explicit_status(crm: TinyCRM, status: str) -> None:
    shop = crm.project("shop")
    shop.identify(ALICE, at=day(9))
    assert on(crm).status == "free"
    shop.identify(ALICE, status=status, at=0)
    assert on(crm).status == status


def test_trialing_is_trial(crm: TinyCRM) -> None:
    crm.project("shop").identify(ALICE, status="trialing")
    assert on(crm).status == "trial"


# Params ----------------------------------------------------------------------------------------
def test_none_is_a_value_and_stays(crm: TinyCRM) -> None:
    shop = crm.project("shop")
    shop.identify(ALICE, params={"a": 1})
    shop.identify(ALICE, params={"a": None})
    assert on(crm).params == {"a": None}
    shop.identify(ALICE, set_once={"a": 2})
    assert on(crm).params == {"a": None}


def test_nested_values_are_replaced_whole(crm: TinyCRM) -> None:
    shop = crm.project("shop")
    shop.identify(ALICE, params={"billing": {"plan": "pro", "seats": 3}, "list": [1, 2]})
    shop.identify(ALICE, params={"billing": {"plan": "free"}, "list": [3]})
    assert on(crm).params == {"billing": {"plan": "free"}, "list": [3]}


def test_a_change_of_type_is_a_change(crm: TinyCRM) -> None:
    shop = crm.project("shop")
    for value in (1, 1.0, True, "1", [1], {"1": 1}, [True], [1.0], None):
        assert "params.a" in shop.identify(ALICE, params={"a": value}).changed
        assert shop.identify(ALICE, params={"a": value}).action == "unchanged"
        assert repr(on(crm).params["a"]) == repr(value)


def test_params_of_products_are_independent(crm: TinyCRM) -> None:
    crm.project("shop").identify(ALICE, params={"a": 1}, status="paid")
    crm.project("news").identify(ALICE, params={"a": 2})
    crm.project("news").identify(ALICE, unset=["a"])
    assert (on(crm).params, on(crm, "news").params) == ({"a": 1}, {})
    assert (on(crm).status, on(crm, "news").status) == ("paid", "free")


# unset and set_once ----------------------------------------------------------------------------
def test_a_late_older_write_does_not_bring_a_removed_key_back(crm: TinyCRM) -> None:
    shop = crm.project("shop")
    shop.identify(ALICE, params={"a": 1}, at=day(1))
    shop.identify(ALICE, unset=["a"], at=day(3))
    shop.identify(ALICE, params={"a": 2}, at=day(2))
    shop.identify(ALICE, set_once={"a": 3}, at=day(2.5))
    assert on(crm).params == {}
    shop.identify(ALICE, params={"a": 4}, at=day(4))
    assert on(crm).params == {"a": 4}


def test_a_removal_known_before_the_key_holds_too(crm: TinyCRM) -> None:
    shop = crm.project("shop")
    shop.identify(ALICE, unset=["a"], at=day(3))
    shop.identify(ALICE, params={"a": 2}, at=day(2))
    assert on(crm).params == {}


SOURCE = (
    {"set_once": {"source": "ad"}, "at": day(1)},
    {"set_once": {"source": "mail"}, "at": day(2)},
    {"unset": ["source"], "at": day(3)},
    {"set_once": {"source": "friend"}, "at": day(4)},
    {"set_once": {"source": "blog"}, "at": day(5)},
)


@pytest.mark.parametrize(
    ("events", "shows"),
    [
        ((0, 1), {"source": "ad"}),
        ((0, 1, 2), {}),
        ((2, 3, 4), {"source": "friend"}),
        ((0, 1, 2, 3, 4), {"source": "friend"}),
        ((0, 4), {"source": "ad"}),
    ],
)
def test_the_oldest_offer_after_the_last_removal_shows(
    crm: TinyCRM, events: tuple[int, ...], shows: dict[str, str]
) -> None:
    shop = crm.project("shop")
    for number, order in enumerate(itertools.permutations(events)):
        email = f"p{number}@example.com"
        shop.send([Identify(email, **SOURCE[index]) for index in order])
        assert on(crm, email=email).params == shows, order


def test_set_once_gives_way_to_an_explicit_value_and_returns_after_it(crm: TinyCRM) -> None:
    shop = crm.project("shop")
    shop.identify(ALICE, set_once={"a": "once"}, at=day(5))
    shop.identify(ALICE, params={"a": "explicit"}, at=day(1))
    assert on(crm).params == {"a": "explicit"}
    shop.identify(ALICE, unset=["a"], at=day(2))
    assert on(crm).params == {"a": "once"}


def test_set_once_now_and_after_unset_now(crm: TinyCRM) -> None:
    shop = crm.project("shop")
    assert shop.identify(ALICE, set_once={"a": 1}).changed == ("status", "params.a")
    assert shop.identify(ALICE, set_once={"a": 2}).action == "unchanged"
    assert shop.identify(ALICE, unset=["a", "never"]).changed == ("params.a",)
    assert on(crm).params == {}  # the second offer, made where the key was, is not waiting
    assert shop.identify(ALICE, set_once={"a": 3}).changed == ("params.a",)
    assert on(crm).params == {"a": 3}


@pytest.mark.parametrize(
    "twice",
    [
        {"params": {"a": 1}, "unset": ["a"]},
        {"params": {"a": 1}, "set_once": {"a": 1}},
        {"set_once": {"a": 1}, "unset": ["a"]},
    ],
)
def test_a_key_is_named_once_in_a_call(crm: TinyCRM, twice: dict[str, object]) -> None:
    with pytest.raises(InvalidInput, match="named twice"):
        crm.project("shop").identify(ALICE, **twice)
    assert crm.customers.get(ALICE) is None


# Times -----------------------------------------------------------------------------------------
@pytest.mark.parametrize("first", [0, 1])
def test_equal_times_are_decided_by_the_values_not_by_arrival(crm: TinyCRM, first: int) -> None:
    """S5: the larger name, the later status, a value before a removal, the larger text."""
    pair = [
        {"name": "A", "status": "paid", "params": {"n": 1, "t": "a", "x": None}, "unset": ["gone"]},
        {"name": "B", "status": "churned", "params": {"n": 2, "t": "b", "x": {}, "gone": 0}},
    ]
    for fields in (pair[first], pair[1 - first]):
        crm.project("shop").identify(ALICE, at=day(1), **fields)
    assert person(crm).name == "B"
    assert on(crm).status == "churned"
    assert on(crm).params == {"n": 2, "t": "b", "x": {}, "gone": 0}


@pytest.mark.parametrize("clock", ["2000-01-01", day(0), "9999-12-31T23:59:59.999999Z"])
def test_a_call_without_a_time_wins_whatever_the_stored_clock_says(
    crm: TinyCRM, clock: str | datetime
) -> None:
    shop = crm.project("shop")
    first = {"name": "A", "status": "churned", "params": {"a": "z", "b": 1}}
    shop.identify(ALICE, at=clock, **first)
    for number in range(3):
        shop.identify(ALICE, name=f"N{number}", status=STATUSES[number], params={"a": number})
        shop.identify(ALICE, unset=["b"])
        assert (person(crm).name, on(crm).status) == (f"N{number}", STATUSES[number])
        assert on(crm).params == {"a": number}
        shop.identify(ALICE, at=clock, **first)  # repeated: changes nothing
        assert on(crm).params == {"a": number}


@pytest.mark.parametrize(
    ("spelled", "moment"),
    [
        (datetime(2026, 1, 2, 3, tzinfo=timezone(timedelta(hours=2))), day(1) + timedelta(hours=1)),
        (datetime(2026, 1, 2), day(1)),  # noqa: DTZ001 - naive on purpose
        (date(2026, 1, 2), day(1)),
        ("2026-01-02T00:00:00+00:00", day(1)),
        ("2026-01-02T03:00:00Z", day(1) + timedelta(hours=3)),
        ("2026-01-02", day(1)),
        (1_000_000, datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)),
        (LATEST, from_micros(LATEST)),
    ],
)
def test_times_have_many_spellings(crm: TinyCRM, spelled: object, moment: datetime) -> None:
    crm.project("shop").identify(ALICE, at=spelled)
    (change,) = crm.customers.history(ALICE)
    assert on(crm).joined_at == on(crm).last_active_at == change.event_at == moment


@pytest.mark.parametrize(
    "at",
    ["soon", "1969-12-31", "", True, 1.5, -1, LATEST + 1, [], datetime(1960, 1, 1, tzinfo=UTC)],
)
def test_what_is_no_time_is_refused(crm: TinyCRM, at: object) -> None:
    with pytest.raises(InvalidTime):
        crm.project("shop").identify(ALICE, at=at)
    with pytest.raises(InvalidTime):
        crm.project("shop").ping(ALICE, at=at)
    assert everything(crm)["people"] == {}


def test_joining_and_creation_move_back_activity_moves_forward(crm: TinyCRM) -> None:
    shop, news = crm.project("shop"), crm.project("news")
    shop.identify(ALICE, at=day(5))
    news.identify(ALICE, at=day(3))
    shop.identify(ALICE, at=day(4))
    assert (on(crm).joined_at, on(crm).last_active_at) == (day(4), day(5))
    assert (person(crm).created_at, person(crm).last_seen_at) == (day(3), day(5))


def test_imports_and_webhooks_are_nobodys_activity(crm: TinyCRM) -> None:
    shop = crm.project("shop")
    shop.identify(ALICE, at=day(1), active=False)
    assert (on(crm).last_active_at, person(crm).last_seen_at) == (None, None)
    shop.identify(ALICE, at=day(2))
    shop.identify(ALICE, at=day(3), status="paid", active=False)
    assert on(crm).last_active_at == day(2)
    shop.send([Identify(BOB, joined=day(1), seen=day(7), active=False, at=day(9))])
    assert (on(crm, email=BOB).joined_at, on(crm, email=BOB).last_active_at) == (day(1), day(7))


# Results ---------------------------------------------------------------------------------------
def test_the_result_says_what_happened(crm: TinyCRM) -> None:
    shop = crm.project("shop")
    first = shop.identify(ALICE, name="A", params={"a": 1}, set_once={"b": 1})
    assert (first.action, first.joined) == ("created", True)
    assert set(first.changed) == {"name", "status", "params.a", "params.b"}
    second = shop.identify(ALICE, name="A", status="paid", params={"a": 1, "c": 1}, unset=["b"])
    assert (second.action, second.joined) == ("updated", False)
    assert set(second.changed) == {"status", "params.c", "params.b"}
    assert shop.identify(ALICE, name="A", status="paid").action == "unchanged"
    assert crm.project("news").identify(ALICE).joined


# ping ------------------------------------------------------------------------------------------
def test_ping_only_moves_activity_forward(crm: TinyCRM) -> None:
    """S7"""
    shop = crm.project("shop")
    shop.identify(ALICE, name="A", status="paid", params={"a": 1}, at=day(1))
    before, history = visible(person(crm)), crm.customers.history(ALICE)
    for at, seen in ((day(3), day(3)), (day(2), day(3)), (day(3), day(3)), (day(4), day(4))):
        assert shop.ping(ALICE, at=at) is True
        now = visible(person(crm))
        assert now["seen"] == now["memberships"]["shop"][3] == seen
        before["seen"] = seen
        before["memberships"]["shop"] = (*before["memberships"]["shop"][:3], seen)
        assert now == before
    assert crm.customers.history(ALICE) == history


def test_ping_creates_nobody_and_nothing(crm: TinyCRM) -> None:
    """S7"""
    crm.project("shop").identify(ALICE)
    before = everything(crm)
    assert crm.project("shop").ping(BOB) is False
    assert crm.project("news").ping(ALICE) is False
    assert crm.project("news").send([Ping(ALICE), Ping(BOB)]) == [False, False]
    assert everything(crm) == before


def test_a_list_applies_its_events_in_order(crm: TinyCRM) -> None:
    answers = crm.project("shop").send(
        [
            Ping(ALICE),
            Identify(ALICE, params={"a": 1}),
            Ping(ALICE, at="2100-01-01"),
            Identify(ALICE, params={"a": 2}),
            Identify(BOB, status="paid"),
            Identify(ALICE, unset=["a"]),
        ]
    )
    assert answers[0] is False
    assert answers[2] is True
    actions = [answers[index].action for index in (1, 3, 4, 5)]
    assert actions == ["created", "updated", "created", "updated"]
    assert on(crm).params == {}
    assert on(crm).last_active_at == datetime(2100, 1, 1, tzinfo=UTC)
    assert crm.project("shop").send([]) == []


def test_a_preview_answers_like_send_and_writes_nothing(crm: TinyCRM) -> None:
    shop = crm.project("shop")
    shop.identify(ALICE, params={"a": 1})
    before = everything(crm)
    events = [Identify(ALICE, params={"a": 2}), Identify(BOB, name="Bob"), Ping(BOB)]
    previewed = shop.preview(events)
    assert crm.project("brand-new").preview(events)[1].action == "created"
    assert everything(crm) == before
    sent = shop.send(events)
    assert [each.changed for each in previewed[:2]] == [each.changed for each in sent[:2]]
    assert previewed[2] is sent[2] is True


def test_a_list_that_creates_nobody(crm: TinyCRM) -> None:
    """Whoever is not here, and the product, is answered with NotFound; the others are written."""
    shop = crm.project("shop")
    with pytest.raises(NotFound):
        shop.send([Identify(ALICE)], create=False)
    assert crm.projects.list() == ()
    shop.identify(ALICE)
    found, missing, pinged = shop.send(
        [Identify(ALICE, status="paid"), Identify(BOB, status="paid"), Ping(BOB)], create=False
    )
    assert isinstance(found, Result)
    assert (found.action, found.changed) == ("updated", ("status",))
    assert isinstance(missing, NotFound)
    assert pinged is False
    assert (crm.customers.count(), on(crm).status) == (1, "paid")
    crm.project("news").identify(BOB)
    (joined,) = shop.send([Identify(BOB, status="trial")], create=False)
    assert isinstance(joined, Result)
    assert joined.joined

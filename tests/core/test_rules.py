"""The rules one by one, on states made by hand; times are small numbers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from tinycrm_core import merge, rules
from tinycrm_core.events import Identify
from tinycrm_core.limits import Limits
from tinycrm_core.model import ABSENT
from tinycrm_core.registers import MAX_ONCE, Registers, known_at, same, writes_of, written_at
from tinycrm_core.state import NO_MARKS, CustomerState, Entry, Marks, MembershipState
from tinycrm_core.undo import undo_entries

SHOP, NEWS = 1, 2
ANN, BEN = "ann@example.com", "ben@example.com"
NOW = 100


def told(
    state: CustomerState | None, email: str = ANN, project: int = SHOP, **fields: Any
) -> CustomerState:
    """The person after an identify."""
    ident = UUID(int=sum(email.encode()))
    context = rules.Context(project, NOW, ident, "call")
    return rules.identify(state, Identify(email, **fields), context)[0]


def register(*writes: tuple[str, Any, int]) -> Registers:
    """The key `k` after these writes: `set`, `unset` or `once`, a value, a time."""
    registers = Registers(MembershipState(0))
    for kind, value, at in writes:
        if kind == "once":
            registers.write_once("k", value, at)
        else:
            registers.write("k", ABSENT if kind == "unset" else value, at)
    return registers


# Registers -------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("writes", "shows"),
    [
        ([("set", 1, 5), ("set", 2, 4)], 1),
        ([("set", 1, 5), ("set", 2, 5)], 2),
        ([("set", 2, 5), ("set", 1, 5)], 2),
        ([("set", 1, 5), ("unset", None, 5)], 1),
        ([("unset", None, 5), ("set", 1, 5)], 1),
        ([("unset", None, 5), ("set", 1, 4)], ABSENT),
        ([("once", 1, 5), ("once", 2, 4)], 2),
        ([("once", 2, 5), ("once", 1, 5)], 1),
        ([("once", 1, 5), ("set", 2, 1)], 2),
        ([("once", 1, 5), ("set", 2, 1), ("unset", None, 2)], 1),
        ([("once", 1, 5), ("unset", None, 5)], ABSENT),
        ([("unset", None, 5), ("once", 1, 5)], ABSENT),
        ([("unset", None, 5), ("once", 1, 6)], 1),
        ([("once", 1, 1), ("once", 2, 9), ("unset", None, 5)], 2),
    ],
)
def test_which_write_of_a_key_shows(writes: list[tuple[str, Any, int]], shows: Any) -> None:
    assert register(*writes).params.get("k", ABSENT) == shows


def test_a_write_tells_whether_it_took_effect() -> None:
    registers = register(("set", 1, 5))
    assert [registers.write("k", value, at) for value, at in ((2, 4), (1, 5), (0, 5), (3, 6))] == [
        False,
        False,
        False,
        True,
    ]


def test_what_is_known_of_a_key() -> None:
    def known(registers: Registers) -> tuple[int | None, int]:
        membership = MembershipState(0, None, "free", 0, *registers.pack())
        assert written_at(membership, "k") == registers.written_at("k")
        return written_at(membership, "k"), known_at(membership, "k")

    assert known(register()) == (None, 0)
    assert known(register(("set", 1, 3))) == (3, 3)
    assert known(register(("once", 1, 7))) == (None, 7)
    assert known(register(("set", 1, 3), ("once", 1, 7))) == (3, 7)
    assert known(register(("unset", None, 3), ("once", 1, 7))) == (3, 7)


def test_the_oldest_offers_are_kept() -> None:
    offers = [("once", number, number) for number in range(MAX_ONCE + 5, 0, -1)]
    kept = register(*offers).once["k"]
    assert [at for at, _ in kept] == list(range(1, MAX_ONCE + 1))


def test_marks_say_only_what_the_common_time_does_not() -> None:
    registers = Registers(MembershipState(0))
    for key, at in (("a", 5), ("b", 5), ("c", 3)):
        registers.write(key, 1, at)
    registers.write_once("d", 1, 9)
    registers.write("e", ABSENT, 4)
    params, params_at, marks = registers.pack()
    assert params == {"a": 1, "b": 1, "c": 1, "d": 1}
    assert (params_at, marks) == (5, Marks({"c": 3}, {"e": 4}, {"d": ((9, 1),)}))
    membership = MembershipState(0, params=params, params_at=params_at, marks=marks)
    assert Registers(membership).pack() == (params, params_at, marks)
    assert sorted(map(repr, writes_of(membership)[0])) == [
        "('a', 1, 5)",
        "('b', 1, 5)",
        "('c', 1, 3)",
        "('e', ABSENT, 4)",
    ]
    assert writes_of(membership)[1] == [("d", 1, 9)]


@pytest.mark.parametrize(
    ("left", "right", "equal"),
    [
        (1, 1, True), (1, 1.0, False), (1, True, False), (None, ABSENT, False), ("1", 1, False),
        ([1], [1.0], False), ([True], [1], False), ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        ({"a": 1}, {"a": True}, False), ([], {}, False), (0.0, -0.0, True),
    ],
)  # fmt: skip
def test_equal_as_json(left: Any, right: Any, equal: bool) -> None:
    assert same(left, right) is same(right, left) is equal


# identify --------------------------------------------------------------------------------------
def test_a_call_without_a_time_is_just_after_what_is_known() -> None:
    ahead = told(None, name="A", status="paid", params={"k": 1}, at=1_000)
    writes = rules.settle(ahead, SHOP, Identify(ANN, name="B", params={"k": 2, "new": 1}), NOW)
    assert writes.name == ("B", 1_001)
    assert list(writes.params) == [("k", 2, 1_001), ("new", 1, NOW)]
    assert (writes.joined_at, writes.active_at) == (NOW, NOW)


def test_an_offer_made_now_where_the_key_is_is_no_offer() -> None:
    state = told(None, params={"k": 1}, at=5)
    assert rules.settle(state, SHOP, Identify(ANN, set_once={"k": 2, "j": 1}), NOW).once == [
        ("j", 1, NOW)
    ]


def test_states_share_what_did_not_change() -> None:
    state = told(told(None, params={"k": 1}, at=5), project=NEWS, params={"k": 1}, at=6)
    after = told(state, project=NEWS, status="paid", at=7)
    assert after.memberships[SHOP] is state.memberships[SHOP]
    assert after.memberships[NEWS].params is state.memberships[NEWS].params


def test_params_as_a_whole_stay_within_the_limits() -> None:
    state = told(None, params={"a": 1, "b": 1}, at=1)
    context = rules.Context(SHOP, NOW, UUID(int=9), "call", limits=Limits(keys=2))
    with pytest.raises(ValueError, match="more than 2 keys"):
        rules.identify(state, Identify(ANN, params={"c": 1}), context)
    rules.identify(state, Identify(ANN, params={"a": 2}), context)
    rules.identify(state, Identify(ANN, params={"c": 1}, unset=["a"]), context)


# ping ------------------------------------------------------------------------------------------
def test_ping_moves_one_time_forward() -> None:
    state = told(None, at=5, active=False)
    assert rules.ping(state, ANN, NEWS, 9) is None
    pinged = rules.ping(state, ANN, SHOP, 9)
    assert pinged is not None
    shop = state.memberships[SHOP]
    assert pinged == replace(state, memberships={SHOP: replace(shop, last_active_at=9)})
    assert rules.ping(pinged, ANN, SHOP, 9) is pinged
    assert rules.ping(pinged, ANN, SHOP, 8) is pinged


def test_a_ping_reaches_the_strand_of_its_address_or_the_first_on_the_product() -> None:
    ann, ben = told(told(None, at=1), project=NEWS, at=1), told(None, BEN, NEWS, at=1)
    merged = merge.merge(ann, ben)
    for project, strand in ((NEWS, 1), (SHOP, 0)):
        pinged = rules.ping(merged, BEN, project, 9)
        assert pinged is not None
        assert pinged.strands[strand].memberships[project].last_active_at == 9
        assert pinged.memberships[project].last_active_at == 9


# Merging ---------------------------------------------------------------------------------------
def test_the_addresses_of_the_absorbed_come_last() -> None:
    ann = merge.rename(told(None, at=1), ANN, "ann2@example.com")
    merged = merge.merge(ann, told(None, BEN, at=1))
    assert merged.emails == ("ann2@example.com", ANN, BEN)
    assert [strand.emails for strand in merged.strands] == [("ann2@example.com", ANN), (BEN,)]


def test_nobody_parts_from_who_is_not_there() -> None:
    ann, ben = told(None, at=1), told(None, BEN, at=1)
    merged = merge.merge(ann, ben)
    assert merge.split(merged, [UUID(int=0)], UUID(int=0)) is None
    assert merge.split(merged, [ann.id, ben.id], ben.id) is None
    assert merge.split(ann, [ann.id], ann.id) is None


def test_conflicts_are_only_different_values_of_the_same_field() -> None:
    ann = told(None, name="A", status="paid", params={"same": 1, "k": 1, "mine": 1}, at=2)
    ben = told(None, BEN, name="A", status="trial", params={"same": 1, "k": 1.0}, at=1)
    found = merge.conflicts((ann, ben), merge.merge(ann, ben))
    assert [(each.field, each.values, each.result) for each in found] == [
        ((SHOP, "status"), ("paid", "trial"), "paid"),
        ((SHOP, "params.k"), (1, 1.0), 1),
    ]
    cy = told(None, BEN, NEWS, status="free")
    assert merge.conflicts((ann, cy), merge.merge(ann, cy)) == []


def test_a_dropped_product_is_gone_from_every_strand() -> None:
    merged = merge.merge(told(None, at=1), told(told(None, BEN, at=1), BEN, NEWS, at=2))
    dropped = merge.drop_project(merged, SHOP)
    assert list(dropped.memberships) == [NEWS]
    assert [list(strand.memberships) for strand in dropped.strands] == [[], [NEWS]]


# Undoing an import -------------------------------------------------------------------------------
BATCH = UUID(int=77)


def imported(
    state: CustomerState | None, email: str = ANN, at: int | None = None, **fields: Any
) -> tuple[CustomerState, Entry]:
    """The person after a row of an import, and what is kept to undo it."""
    ident = UUID(int=sum(email.encode()))
    context = rules.Context(SHOP, NOW, ident, "import", BATCH)
    event = Identify(email, at=at, active=False, **fields)
    after, _, entry = rules.identify(state, event, context)
    assert entry is not None
    return after, entry


def test_undoing_gives_back_what_was_there() -> None:
    before = told(None, name="A", status="trial", params={"k": 1, "gone": 2}, at=5)
    after, entry = imported(
        before, at=9, name="B", status="paid", params={"k": 2, "new": 1}, unset=["gone"], joined=3
    )
    undone = undo_entries(after, [entry])
    assert undone is not None
    assert undone == replace(before, memberships=undone.memberships)
    shop, was = undone.memberships[SHOP], before.memberships[SHOP]
    assert (shop.status, shop.status_at) == (was.status, was.status_at)
    assert (shop.params, shop.joined_at) == (was.params, was.joined_at)


def test_undoing_removes_who_came_with_the_import_and_nobody_else() -> None:
    after, entry = imported(None, name="A", params={"k": 1})
    assert undo_entries(after, [entry]) is None
    seen = rules.ping(after, ANN, SHOP, NOW + 5)
    assert seen is not None
    kept = undo_entries(seen, [entry])
    assert kept is not None
    assert kept.memberships[SHOP].params == {}
    assert kept.name is None


def test_what_was_written_since_stays() -> None:
    after, entry = imported(told(None, params={"k": 1}, at=5), at=9, params={"k": 2, "j": 2})
    later = told(after, params={"k": 3}, at=10)
    undone = undo_entries(later, [entry])
    assert undone is not None
    assert undone.memberships[SHOP].params == {"k": 3}


def test_nothing_to_undo_is_the_same_state() -> None:
    after, entry = imported(told(None, at=5), at=9, params={"k": 2})
    later = told(after, params={"k": 3}, at=10)
    assert undo_entries(later, [entry]) is later


def test_several_rows_are_undone_from_the_last_to_the_first() -> None:
    before = told(None, params={"k": 0}, at=5)
    one, first = imported(before, at=9, params={"k": 1})
    two, second = imported(one, at=10, params={"k": 2})
    undone = undo_entries(two, [first, replace(second, at=second.at + 1)])
    assert undone is not None
    assert undone.memberships[SHOP].params == {"k": 0}


def test_a_merged_person_is_undone_by_strand() -> None:
    ann = told(None, params={"k": "ann"}, at=5)
    ben, entry = imported(None, BEN, at=9, params={"k": "ben"})
    undone = undo_entries(merge.merge(ann, ben), [entry])
    assert undone is not None
    assert undone.memberships[SHOP].params == {"k": "ann"}
    assert undone.emails == (ANN, BEN)
    assert [list(strand.memberships) for strand in undone.strands] == [[SHOP], []]


# States ----------------------------------------------------------------------------------------
def test_marks_as_json() -> None:
    assert not NO_MARKS
    assert NO_MARKS.to_json() is None
    assert Marks.from_json(None) is NO_MARKS
    marks = Marks({"a": 1}, {"b": 2}, {"c": ((3, None), (4, [1]))})
    assert Marks.from_json(marks.to_json()) == marks
    assert marks.to_json() == {
        "at": {"a": 1},
        "gone": {"b": 2},
        "once": {"c": [[3, None], [4, [1]]]},
    }


def test_seen_is_the_newest_activity_anywhere() -> None:
    state = told(told(None, at=5), project=NEWS, at=9, active=False)
    assert state.last_seen_at == 5
    assert replace(state, memberships={}).last_seen_at is None

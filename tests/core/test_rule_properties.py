"""S5: the rules themselves, with random events: order, repetition and merging cannot matter."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import reduce
from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from tinycrm_core import merge as joining
from tinycrm_core import rules
from tinycrm_core.events import STATUSES, Identify
from tinycrm_core.state import CustomerState, MembershipState

PEOPLE = ("a@example.com", "b@example.com", "c@example.com")
LATE = 1_000
"""The clock of calls without a time; events have times before and after it."""


@st.composite
def events(draw: st.DrawFn, email: str = PEOPLE[0], *, now: bool = False) -> tuple[int, Identify]:
    """A product and an event for it; with `now`, perhaps one without a time."""
    fields: dict[str, Any] = {"params": {}, "set_once": {}, "unset": []}
    for key in ("x", "y"):
        where = draw(st.sampled_from(("", "params", "set_once", "unset")))
        value = draw(st.sampled_from((1, 1.0, True, None, "1", {"z": 1}, [])))
        if where == "unset":
            fields["unset"].append(key)
        elif where:
            fields[where][key] = value
    times = st.integers(1, 5) | st.just(LATE + 50)
    event = Identify(
        email,
        name=draw(st.sampled_from((None, "Ann", "Ben"))),
        status=draw(st.sampled_from((None, *STATUSES))),
        at=draw(st.none() | times if now else times),
        active=draw(st.booleans()),
        **fields,
    )
    return draw(st.integers(1, 2)), event


def feed(
    state: CustomerState | None, number: int, project_event: tuple[int, Identify]
) -> CustomerState:
    project_id, event = project_event
    new_id = UUID(int=PEOPLE.index(event.email))
    context = rules.Context(project_id, LATE + number, new_id, "call")
    return rules.identify(state, event, context)[0]


def fed(sequence: Sequence[tuple[int, Identify]]) -> CustomerState | None:
    state = None
    for number, each in enumerate(sequence):
        state = feed(state, number, each)
    return state


def content(state: CustomerState | None) -> str:
    """All that a state holds, in one spelling; 1, 1.0 and true differ."""
    assert state is not None
    body = [state.to_json(), [json.loads(content(each)) for each in state.strands]]
    return json.dumps(body, sort_keys=True)


def fields(state: CustomerState) -> str:
    """A state without who it is."""
    bare = replace(state, id=UUID(int=0), emails=(), strands=())
    return json.dumps(bare.to_json(), sort_keys=True)


@st.composite
def shuffles(draw: st.DrawFn) -> tuple[list[Any], list[Any]]:
    """Events, and the same in another order with repetitions."""
    given_events = draw(st.lists(events(), min_size=1, max_size=7))
    repeated = draw(st.lists(st.sampled_from(given_events), max_size=5))
    return given_events, draw(st.permutations(given_events + repeated))


@given(shuffles())
def test_any_order_and_any_repetition_ends_in_the_same_state(
    both: tuple[list[Any], list[Any]],
) -> None:
    one, other = both
    assert content(fed(one)) == content(fed(other))


@given(shuffles())
def test_a_repeated_event_changes_nothing_and_its_entry_is_the_same(
    both: tuple[list[Any], list[Any]],
) -> None:
    state = fed(both[1])
    for project_id, event in both[0]:
        context = rules.Context(project_id, LATE, UUID(int=0), "call")
        first = rules.identify(state, event, context)
        again = rules.identify(first[0], event, context)
        assert content(state) == content(first[0]) == content(again[0])
        assert not first[1].changes
        if first[2] and again[2]:
            assert first[2].id == again[2].id


MIXED = st.lists(st.sampled_from(PEOPLE).flatmap(events), min_size=1, max_size=10)


@given(MIXED, st.permutations(range(3)))
def test_merging_separately_fed_people_equals_feeding_one(
    sequence: list[tuple[int, Identify]], order: list[int]
) -> None:
    parts = [fed([each for each in sequence if each[1].email == email]) for email in PEOPLE]
    present = [parts[index] for index in order if parts[index] is not None]
    merged = reduce(joining.merge, present)
    whole = fed([(project, replace(event, email=PEOPLE[0])) for project, event in sequence])
    assert fields(merged) == fields(whole)
    assert joining.strands_in(merged) == tuple(present)


@given(st.data())
def test_a_merged_customer_is_always_the_join_of_its_strands(data: st.DataObject) -> None:
    """After any identify, ping and merge, also of calls that are made now."""
    alone: dict[str, CustomerState] = {}
    for number in range(data.draw(st.integers(1, 12))):
        choices: list[Callable[[], None]] = []
        email = data.draw(st.sampled_from(PEOPLE))

        def identify(number: int = number, email: str = email) -> None:
            event = data.draw(events(email, now=True))
            put(feed(holder(email), number, event), email)

        def ping(number: int = number, email: str = email) -> None:
            state = holder(email)
            assert state is not None
            pinged = rules.ping(state, email, data.draw(st.integers(1, 2)), LATE + number)
            put(pinged or state, email)

        def merge(email: str = email) -> None:
            other = data.draw(st.sampled_from(sorted(alone)))
            one, two = holder(email), alone[other]
            if one is not None and one.id != two.id:
                del alone[other]
                put(joining.merge(one, two), email)

        def holder(email: str) -> CustomerState | None:
            return next((state for state in alone.values() if email in state.emails), None)

        def put(state: CustomerState, email: str) -> None:
            old = holder(email)
            if old is not None:
                del alone[old.email]
            alone[state.email] = state

        choices = [identify] if holder(email) is None else [identify, ping, merge]
        data.draw(st.sampled_from(choices))()
        for state in alone.values():
            if state.strands:
                joined = joining.join(state.id, state.emails, state.strands)
                assert content(joined) == content(state)


@given(MIXED, MIXED)
def test_splitting_takes_back_merging(
    before: list[tuple[int, Identify]], after: list[tuple[int, Identify]]
) -> None:
    """Each part ends as if the merge had never been."""
    parts = {email: fed([e for e in before if e[1].email == email]) for email in PEOPLE}
    present = [part for part in parts.values() if part is not None]
    merged = reduce(joining.merge, present)
    later = [each for each in after if parts[each[1].email] is not None]
    for number, each in enumerate(later):
        merged = feed(merged, number, each)
    for part in present[1:]:
        split = joining.split(merged, [part.id], part.id)
        assert split is not None
        merged, left = split
        expected = fed([e for e in (*before, *later) if e[1].email == part.email])
        assert content(left) == content(expected)


@given(events())
def test_states_survive_their_json(event: tuple[int, Identify]) -> None:
    state = fed([event, (1, Identify(PEOPLE[0], unset=["x"], set_once={"y": 1}, at=3))])
    assert state is not None
    again = CustomerState.from_json(json.loads(json.dumps(state.to_json())))
    assert content(again) == content(state)
    for membership in state.memberships.values():
        assert MembershipState.from_json(membership.to_json()) == membership

"""S5: the same events end in the same state, whatever their order and however often they come."""

from __future__ import annotations

import random
from collections import defaultdict
from itertools import permutations
from typing import Any

from tests.contract.seen import visible
from tinycrm_core import Identify, Result, TinyCRM
from tinycrm_core.testing import day

EVENTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("shop", {"at": day(1), "name": "A", "status": "trial", "params": {"plan": "a", "n": 1},
              "set_once": {"source": "ad"}}),
    ("shop", {"at": day(3), "status": "paid", "params": {"plan": "b"}, "unset": ["n"]}),
    ("shop", {"at": day(3), "status": "churned", "params": {"plan": "c"}, "name": "B",
              "set_once": {"source": "mail"}}),
    ("news", {"at": day(2), "name": "C", "params": {"d": {"x": 1}}, "set_once": {"source": "x"}}),
    ("shop", {"at": day(2), "params": {"n": 2}, "unset": ["source"], "active": False}),
    ("news", {"at": day(4), "status": "trial", "set_once": {"source": "y"}, "unset": ["d"]}),
)  # fmt: skip
ENDS = {
    "aliases": (),
    "name": "B",
    "created": day(1),
    "seen": day(4),
    "memberships": {
        "shop": ("churned", "{'plan': 'c', 'source': 'mail'}", day(1), day(3)),
        "news": ("trial", "{'source': 'x'}", day(2), day(4)),
    },
}


def sequences() -> list[list[int]]:
    """All orders of the events, with each event sent one to three times."""
    orders = [list(order) for order in permutations(range(len(EVENTS)))]
    chance = random.Random(720)
    for order in orders:
        for event in range(len(EVENTS)):
            for _ in range(chance.randrange(3)):
                order.insert(chance.randint(0, len(order)), event)
    return orders


def test_any_order_and_repetition_ends_in_the_same_state(crm: TinyCRM) -> None:
    """Everybody gets the events in another order; the first events of all come first."""
    people = {f"p{number}@example.com": order for number, order in enumerate(sequences())}
    for turn in range(max(map(len, people.values()))):
        events: dict[str, list[Identify]] = defaultdict(list)
        for email, order in people.items():
            if turn < len(order):
                project, fields = EVENTS[order[turn]]
                events[project].append(Identify(email, **fields))
        for project, some in sorted(events.items()):
            assert all(isinstance(each, Result) for each in crm.project(project).send(some))
    found = list(crm.customers.stream())
    assert len(found) == len(people)
    different = [
        (people[each.email], shown)
        for each in found
        if (shown := {k: v for k, v in visible(each).items() if k != "email"}) != ENDS
    ]
    assert different == []


def test_one_call_at_a_time_too(crm: TinyCRM) -> None:
    for number, order in enumerate(sequences()[::24]):
        for event in order:
            project, fields = EVENTS[event]
            crm.project(project).identify(f"p{number}@example.com", **fields)
    for each in crm.customers.stream():
        assert {k: v for k, v in visible(each).items() if k != "email"} == ENDS

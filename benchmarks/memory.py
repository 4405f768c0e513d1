"""The memory backend with 100,000 people: how long a filter takes, and how much room a badge."""

from __future__ import annotations

import gc
import random
import sys
import tracemalloc
from typing import Any

from benchmarks.timing import interleaved, table
from tinycrm_core.client import TinyCRM
from tinycrm_core.events import Identify

PEOPLE = 100_000
PRODUCTS = ("shop", "news", "blog", "wiki")
FILTERS = (
    "status:trial",
    "project:shop status:paid",
    "project:shop project:news",
    "projects>=2",
    "project:shop -project:news",
    "status@shop:free status@news:paid",
    "status:free joined<-14d",
    "seen<-30d",
    "p.source:producthunt",
    "p.mrr>=99",
    "status:trial p.trial_ends:today..+7d",
    "alex chen",
)


def params(rng: random.Random, status: str) -> dict[str, Any]:
    found: dict[str, Any] = {"source": rng.choice(("producthunt", "hn", "search", "friend"))}
    if status == "paid":
        found["mrr"] = rng.choice((9, 29, 99))
    if status == "trial":
        found["trial_ends"] = f"2026-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}"
    return found


def fill(crm: TinyCRM) -> int:
    """Everybody on one to four products; returns the number of memberships."""
    rng = random.Random(1)
    memberships = 0
    for product in PRODUCTS:
        events = []
        for number in range(PEOPLE):
            if product != PRODUCTS[number % len(PRODUCTS)] and rng.random() > 0.26:
                continue
            status = rng.choices(("free", "trial", "paid", "churned"), (60, 10, 20, 10))[0]
            email, name = f"person{number}@example.com", f"Alex{number} Chen"
            events.append(Identify(email, name=name, status=status, params=params(rng, status)))
        memberships += len(events)
        for start in range(0, len(events), 1000):
            crm.project(product).send(events[start : start + 1000])
    return memberships


def size(value: Any, seen: set[int]) -> int:
    """Bytes of a value and all it holds, each object once."""
    if id(value) in seen:
        return 0
    seen.add(id(value))
    inner = [*value, *value.values()] if isinstance(value, dict) else []
    return sys.getsizeof(value) + sum(size(each, seen) for each in inner)


def data(crm: TinyCRM) -> int:
    """Bytes of what was handed over: addresses, names, and params with their keys and values."""
    seen: set[int] = set()
    # All at once: of what is gone, the next one may have the address and count as seen.
    everybody = list(crm.customers.stream())
    return sum(
        size(customer.email, seen)
        + size(customer.name, seen)
        + sum(size(membership.params, seen) for membership in customer.memberships)
        for customer in everybody
    )


def main() -> None:
    with TinyCRM("memory://") as crm:
        tracemalloc.start()
        memberships = fill(crm)
        gc.collect()
        used = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        held = data(crm)
        times = interleaved(
            {name: lambda name=name: crm.customers.find(name) for name in FILTERS},
            calls=1,
            rounds=5,
        )
        counts = interleaved(
            {name: lambda name=name: crm.customers.count(name) for name in FILTERS},
            calls=1,
            rounds=5,
        )
        rows = [
            (
                name,
                f"{crm.customers.count(name):,}",
                f"{times[name] * 1e3:.1f} ms",
                f"{counts[name] * 1e3:.1f} ms",
                "≤ 50 ms",
            )
            for name in FILTERS
        ]
        table(
            f"Memory, {PEOPLE:,} people, {memberships:,} memberships",
            ("filter", "people", "first page", "count", "bar"),
            rows,
        )
        over = (used - held) / memberships
        print(
            f"\n{used / memberships:,.0f} bytes per membership, history and all; the data itself "
            f"is {held / memberships:,.0f}; over the data {over:,.0f} (bar: ≤ 1,024)"
        )

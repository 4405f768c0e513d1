"""How many people each product has, by status."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial

from tinycrm_core.model import Status
from tinycrm_integrations.web.timelimit import TimeLimit
from tinycrm_integrations.web.visit import Visit

Statuses = dict[str, int]
"""Statuses with their people; those that nobody has are left out."""


def people_by_status(
    visit: Visit, slugs: Sequence[str], limit: TimeLimit
) -> dict[str, Statuses | None]:
    """The statuses of each product; None where there was no time to count.

    Asks once for each product, or once for each status where there are fewer of those.
    """
    if len(slugs) <= len(Status):
        return {slug: _of_one(visit, slug, limit) for slug in slugs}
    people: dict[str, Counter[str]] = {slug: Counter() for slug in slugs}
    for status in map(str, Status):
        found = limit.ask(partial(visit.crm.customers.combinations, f"status:{status}"))
        if found is None:
            return dict.fromkeys(slugs)
        for products, number in found:
            for slug in products & people.keys():
                people[slug][status] += number
    return {slug: dict(counts) for slug, counts in people.items()}


def _of_one(visit: Visit, slug: str, limit: TimeLimit) -> Statuses | None:
    found = limit.ask(partial(visit.crm.customers.tally, by="status", project=slug))
    return None if found is None else {str(status): number for status, number in found}

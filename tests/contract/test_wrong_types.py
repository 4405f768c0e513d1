"""Arguments of a wrong type are refused like any other wrong input, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tinycrm_core import InvalidFilter, TinyCRM


@pytest.mark.parametrize(
    ("ask", "field"),
    [
        (lambda people: people.find(5), "filter"),
        (lambda people: people.count(None), "filter"),
        (lambda people: people.find(sort=5), "sort"),
        (lambda people: people.find(limit="5"), "limit"),
        (lambda people: people.find(after=5), "after"),
        (lambda people: people.tally(by=1), "by"),
        (lambda people: people.aggregate(1), "param"),
    ],
    ids=["find", "count", "sort", "limit", "after", "by", "param"],
)
def test_wrong_types_are_refused(crm: TinyCRM, ask: Callable[[Any], Any], field: str) -> None:
    with pytest.raises(InvalidFilter) as refused:
        ask(crm.customers)
    assert refused.value.field == field

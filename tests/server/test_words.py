"""Small words of the pages: how long ago, counts, values, columns."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tinycrm_core.client import TinyCRM
from tinycrm_core.filters import EVERYBODY, parse
from tinycrm_integrations.web.links import Links, shown
from tinycrm_integrations.web.pages.columns import param_columns
from tinycrm_integrations.web.render import ago, said

NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("passed", "short", "sentence"),
    [
        (timedelta(seconds=59), "now", "just now"),
        (timedelta(seconds=-30), "now", "just now"),
        (timedelta(minutes=1), "1 min", "1 min ago"),
        (timedelta(minutes=59, seconds=59), "59 min", "59 min ago"),
        (timedelta(hours=1), "1 h", "1 h ago"),
        (timedelta(hours=47), "47 h", "47 h ago"),
        (timedelta(hours=48), "2 days", "2 days ago"),
        (timedelta(days=30, hours=23), "30 days", "30 days ago"),
        (timedelta(days=31), "20 Oct 2026", "on 20 Oct 2026"),
        (timedelta(days=-3), "23 Nov 2026", "on 23 Nov 2026"),
    ],
)
def test_how_long_ago(passed: timedelta, short: str, sentence: str) -> None:
    assert ago(NOW - passed, NOW) == short
    assert said(NOW - passed, NOW) == sentence


@pytest.mark.parametrize(
    ("value", "text"),
    [(1322.0, "1322"), (0.5, "0.5"), (True, "true"), (None, "null"), ("x", "x"), ([1], "[1]")],
)
def test_values_as_text(value: object, text: str) -> None:
    assert shown(value) == text


@pytest.mark.parametrize(
    "value", [29, 29.5, 1e30, -3, True, False, None, "29", "true", "null", "a,b", 'q"x', "..", ""]
)
@pytest.mark.parametrize("key", ["plain", "a.b", 'q"', "__x", "é"])
def test_a_value_links_to_the_people_who_have_it(key: str, value: object) -> None:
    from urllib.parse import parse_qsl

    with TinyCRM() as crm:
        crm.project("shop").identify("has@example.com", params={key: value})
        crm.project("shop").identify("other@example.com", params={key: "something else"})
        link = Links().param((key,), value)
        assert link
        pairs = parse_qsl(link.partition("?")[2], keep_blank_values=True)
        assert [each.email for each in crm.customers.find(pairs)] == ["has@example.com"]


def test_columns_are_what_people_share() -> None:
    with TinyCRM() as crm:
        for n in range(20):
            params = {"id": n, "stripe_id": f"c{n}", "username": f"u{n}", "plan": "pro", "mrr": n}
            crm.project("shop").identify(f"p{n}@example.com", params=params)
        crm.project("news").identify("p1@example.com", params={"plan": "free", "rare": {"x": 1}})
        seen = [key for _, key in crm.projects.params()]
    names = [each.name for each in param_columns(seen, EVERYBODY, "-seen")]
    assert names == ["mrr", "plan"]
    asked = param_columns(seen, parse("p.username:u3"), "-p.rare.x")
    assert {"username", "rare.x"} <= {each.name for each in asked}

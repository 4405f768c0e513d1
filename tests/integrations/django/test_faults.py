"""F1: whatever fails on our side, the product answers as if we were not there."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.integrations.django.live import Shop, Site

NOWHERE = "postgresql+psycopg://nobody:hidden@127.0.0.1:1/nothing"


def live_through(site: Site) -> list[tuple[int, str]]:
    """Sign up, log out, log in, look around, change the address, and leave."""
    visitor = site.visitor()
    visitor.sign_up("ada@example.com")
    visitor.log_out()
    visitor.log_in("ada")
    answers = [visitor.get(path) for path in ("/", "/me/", "/ame/", "/buy/")]
    answers.append(visitor.http.post("/plain-email/", data={"email": "ada.l@example.com"}))
    answers.append(visitor.get("/delete/"))
    answers.append(visitor.get("/me/"))
    return [(answer.status_code, answer.text) for answer in answers]


HOOKS = {"django.user_created", "django.user_logged_in", "django.ping", "django.user_deleted"}
WHOLE = [
    (200, "hello"),
    (200, "ada@example.com"),
    (200, "ada@example.com"),
    (200, "thank you"),
    (200, "ok"),
    (200, "gone"),
    (200, "nobody"),
]


@pytest.mark.parametrize("kind", ["wsgi", "asgi"])
@pytest.mark.parametrize(
    ("broken", "hooks"),
    [
        pytest.param({"broken": "store"}, set(), id="a store that raises on every call"),
        pytest.param(
            {"broken": "queue"},
            {*HOOKS, "django.crm"},
            id="a queue that raises on every call",
        ),
        pytest.param(
            {"tinycrm": {"USER": "tests.integrations.django.shop.mappings.broken"}},
            HOOKS,
            id="a mapping that raises",
        ),
        pytest.param({"tinycrm": {"DATABASE": NOWHERE}}, set(), id="a database that is not there"),
    ],
)
def test_f1_no_answer_differs(
    make_shop: Callable[..., Shop], kind: str, broken: dict[str, Any], hooks: set[str]
) -> None:
    given = {**broken, "tinycrm": {"PING_INTERVAL": 1e-6, **broken.get("tinycrm", {})}}
    with make_shop(window=0, **given).serve(kind) as site:
        assert live_through(site) == WHOLE
    lines = [line for line in site.log.splitlines() if line.startswith("TinyCRM:")]
    said = [line.split()[1] for line in lines]
    assert hooks <= set(said)
    assert len(said) == len(set(said)), "more than one line for a hook"
    assert not re.search("ada|tcrm_proj|hidden", "".join(lines))


def test_settings_that_cannot_be_used_stop_nothing(make_shop: Callable[..., Shop]) -> None:
    shop = make_shop(tinycrm={"PROJEKT": "shop"})
    with shop.serve("wsgi") as site:
        visitor = site.visitor()
        visitor.sign_up("ada@example.com")
        assert visitor.get("/me/").text == "ada@example.com"
        assert site.crm.customers.get("ada@example.com") is None
        assert "InvalidInput (invalid, PROJEKT)" in site.log

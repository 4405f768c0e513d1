"""A8: nothing that can be sent makes the server stumble."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.server.live import Live, serving
from tinycrm_core.client import TinyCRM

TEXT = st.text(st.characters(), max_size=12)
WORDS = st.sampled_from(
    ["a@example.com", "é@exämple.com", "2026-11-20T10:00:00Z", "paid", "-30d", "", "null", "\x00"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT | WORDS, inner, max_size=3),
    max_leaves=6,
)
FIELDS = st.sampled_from(
    ["type", "email", "name", "status", "params", "set_once", "unset", "at", "active", "id",
     "joined", "sent_at", "events", "x"]
)  # fmt: skip
EVENTS = st.dictionaries(FIELDS, VALUES | WORDS, max_size=5).map(
    lambda fields: {"email": "a@example.com", **fields}
)
BODIES = st.one_of(
    EVENTS.map(json.dumps),
    st.lists(EVENTS | VALUES, max_size=4).map(lambda each: json.dumps({"events": each})),
    VALUES.map(json.dumps),
    TEXT,
)
NAMES = st.sampled_from(
    ["q", "sort", "limit", "after", "back", "project", "status", "p.x", "p.x__in", "seen__lt",
     "-status@shop", 'p."a', "joined@shop__between", "projects__gte", "email__starts", "created"]
)  # fmt: skip
ASKED = st.sampled_from(
    ["paid", "-30d", "shop", "p.x:1", "(", '"', "a or b", "..", ",", "eyJhIjoxfQ", "9" * 30, "\x00"]
)
PAIRS = st.lists(st.tuples(NAMES | TEXT, ASKED | WORDS | TEXT), max_size=4)
QUIET = settings(
    max_examples=100,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture(params=["memory://", "sqlite:///{}/crm.db"])
def live(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Live]:
    """A server with somebody on it, over memory and over SQLite."""
    with TinyCRM(request.param.format(tmp_path)) as crm, serving(crm) as server:
        crm.project("shop").identify("a@example.com", name="A", params={"x": "y"})
        server.keys["news"] = crm.keys.create("shop").secret
        server.keys["read"] = crm.keys.create(scope="read").secret
        yield server


def encoded(text: str) -> str:
    return quote(text.encode("utf-8", "surrogatepass"), safe="")


@QUIET
@given(path=st.sampled_from(["identify", "ping", "change_email", "events"]), body=BODIES)
def test_a8_no_body_makes_a_5xx(live: Live, path: str, body: str) -> None:
    answer = live.post(f"/v1/{path}", body.encode("utf-8", "surrogatepass"))
    assert answer.status in (200, 422), answer.text
    _ascii_json(answer.body)


@QUIET
@given(pairs=PAIRS)
def test_a8_no_question_makes_a_5xx(live: Live, pairs: list[tuple[str, str]]) -> None:
    query = "&".join(f"{encoded(key)}={encoded(value)}" for key, value in pairs)
    answer = live.ask("GET", f"/v1/customers?{query}", key="read")
    assert answer.status in (200, 401, 422), (query, answer.text)
    _ascii_json(answer.body)
    session = {"Cookie": f"tinycrm_session={live.entrance.enter(live.entrance.new_code())}"}
    page = live.ask("GET", f"/?{query}", headers=session)
    assert page.status in (200, 401, 422), (query, page.text)


def _ascii_json(body: bytes) -> Any:
    return json.loads(body.decode("ascii"))

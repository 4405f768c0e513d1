"""The intake for Segment's libraries, driven by the real one for Python."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from segment.analytics.client import Client

from tests.server.live import Live
from tinycrm_core.model import Customer, Membership


def person(live: Live, email: str = "ada@example.com") -> tuple[Customer, Membership]:
    found = live.crm.customers.get(email)
    assert found is not None
    membership = found.on("newsletter")
    assert membership is not None
    return found, membership


@pytest.fixture
def errors() -> list[Any]:
    return []


@pytest.fixture
def segment(live: Live, errors: list[Any]) -> Any:
    """The library as its documentation has it, with our server as host and a key of ours."""
    client = Client(
        live.keys["news"], host=live.url, on_error=lambda error, items: errors.append(error)
    )
    yield client
    client.shutdown()
    assert errors == []


def test_the_real_library_reports_people(live: Live, segment: Any) -> None:
    segment.identify(
        "user-7",
        {"email": "Ada@example.com", "firstName": "Ada", "lastName": "Byron", "status": "trialing",
         "plan": "pro", "logins": 3, "address": {"city": "London"}},
    )  # fmt: skip
    segment.identify("bob@example.com", {"name": "Bob", "status": "gold"})
    segment.flush()
    ada, news = person(live)
    assert (ada.name, news.status) == ("Ada Byron", "trial")
    assert news.params == {
        "plan": "pro", "logins": 3, "address": {"city": "London"}, "user_id": "user-7",
    }  # fmt: skip
    bob, news = person(live, "bob@example.com")
    assert (bob.name, news.status, news.params) == ("Bob", "free", {"status": "gold"})


def test_events_and_pages_are_activity(live: Live, segment: Any) -> None:
    """By address or by the id that came with an identify; strangers are not created."""
    long_ago = datetime.now(UTC) - timedelta(days=90)
    for user, traits in (("user-7", {"email": "ada@example.com"}), ("bob@example.com", {})):
        segment.identify(user, traits, timestamp=long_ago)
    segment.flush()
    assert person(live)[1].last_active_at == person(live)[1].joined_at
    segment.track("user-7", "Order Completed", {"total": 5})
    segment.page("bob@example.com", "Docs", "Start")
    segment.screen("user-8", "Docs", "Start")
    segment.group("user-7", "group-1", {"name": "Initech"})
    segment.alias("ada@example.com", "bob@example.com")
    segment.flush()
    assert live.crm.customers.count() == 2
    for email in ("ada@example.com", "bob@example.com"):
        found, news = person(live, email)
        assert datetime.now(UTC) - news.last_active_at < timedelta(minutes=1)
        assert found.aliases == ()
    assert person(live)[1].params == {"user_id": "user-7"}


def test_late_calls_change_nothing_newer(live: Live, segment: Any) -> None:
    segment.identify("ada@example.com", {"plan": "pro"})
    hour_ago = datetime.now(UTC) - timedelta(hours=1)
    segment.identify("ada@example.com", {"plan": "old", "source": "hn"}, timestamp=hour_ago)
    segment.flush()
    assert person(live)[1].params == {"plan": "pro", "source": "hn"}


def test_a_login_of_a_paying_customer_leaves_the_status(live: Live, segment: Any) -> None:
    """F2: what says nothing about the status changes nothing about it."""
    live.crm.project("newsletter").identify("ada@example.com", status="paid")
    segment.identify("ada@example.com", {"plan": "pro"})
    segment.track("ada@example.com", "Logged In")
    segment.flush()
    assert person(live)[1].status == "paid"


def basic(key: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{key}:".encode()).decode()}


def test_single_calls(live: Live) -> None:
    body = {"userId": "ada@example.com", "traits": {"name": "Ada"}, "context": {"active": False}}
    answer = live.ask("POST", "/v1/identify", body, headers=basic(live.keys["news"]))
    assert (answer.status, answer.json) == (200, {"success": True})
    ada, news = person(live)
    assert (ada.name, news.last_active_at) == ("Ada", None)
    answer = live.ask("POST", "/v1/track", {"userId": "ada@example.com", "event": "x"},
                      headers=basic(live.keys["news"]))  # fmt: skip
    assert answer.status == 200
    assert person(live)[1].last_active_at is not None


def test_a_clock_that_is_wrong_is_corrected(live: Live) -> None:
    """Q16: what counts is how long before the sending it happened, not what the clock showed."""
    sent = datetime.now(UTC) - timedelta(days=300)
    body = {
        "userId": "ada@example.com",
        "timestamp": (sent - timedelta(hours=2)).isoformat(),
        "sentAt": sent.isoformat(),
    }
    for shape in (("identify", body), ("batch", {"batch": [{**body, "type": "identify"}]})):
        path, sending = shape
        answer = live.ask(
            "POST", f"/v1/{path}", {**sending, "sentAt": sent.isoformat()},
            headers=basic(live.keys["news"]),
        )  # fmt: skip
        assert answer.status == 200
        ago = datetime.now(UTC) - person(live)[1].joined_at
        assert timedelta(hours=1) < ago < timedelta(hours=3)
        live.crm.customers.delete("ada@example.com")


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("identify", {"userId": "user-7"}, "email"),
        ("identify", {"userId": "a@example.com", "traits": []}, "traits"),
        ("identify", {"userId": "a@example.com", "traits": {"email": 5}}, "email"),
        ("identify", {"userId": "a@example.com", "timestamp": "soon"}, "at"),
        ("identify", [], None),
        ("batch", {}, "batch"),
        ("batch", {"batch": [{}] * 501}, "batch"),
    ],
)
def test_bad_calls_are_422(live: Live, path: str, body: Any, field: str | None) -> None:
    answer = live.ask("POST", f"/v1/{path}", body, headers=basic(live.keys["news"]))
    assert (answer.status, answer.error["field"]) == (422, field), answer.text
    assert live.crm.customers.count() == 0


def test_a_batch_takes_what_is_good(live: Live) -> None:
    calls = [
        {"type": "identify", "userId": "a@example.com"},
        {"type": "identify", "userId": "nobody"},
        {"type": "vanish", "userId": "a@example.com"},
        "nonsense",
        {"type": "identify", "userId": "b@example.com", "traits": {"x": "\x00"}},
    ]
    answer = live.ask("POST", "/v1/batch", {"batch": calls}, headers=basic(live.keys["news"]))
    assert answer.status == 200
    assert [each["index"] for each in answer.json["rejected"]] == [1, 2, 3, 4]
    assert live.crm.customers.count() == 1


def test_the_write_key_is_a_project_key(live: Live) -> None:
    call = {"userId": "a@example.com"}
    for key in ("tcrm_proj_nonsense", "", live.keys["read"]):
        answer = live.ask("POST", "/v1/identify", call, headers=basic(key))
        assert answer.status in (401, 403)
    for header in ("Basic !!!", "Basic", "basic é"):
        answer = live.ask("POST", "/v1/track", call, headers={"Authorization": header})
        assert answer.status in (401, 404)
    assert live.crm.customers.count() == 0


def test_our_own_calls_are_not_taken_for_theirs(live: Live) -> None:
    answer = live.post("/v1/identify", {"userId": "a@example.com"})
    assert (answer.status, answer.error["field"]) == (422, "userId")

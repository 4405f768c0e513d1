"""The HTTP API as products see it: what it does, and everything it turns away."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.server.live import Live
from tinycrm_core.keys import new_key
from tinycrm_core.times import to_micros

ALICE = {"email": "alice@example.com", "name": "Alice"}


def test_two_keys_and_one_email_make_one_person_with_two_badges(live: Live) -> None:
    first = live.post("/v1/identify", ALICE, key="news")
    second = live.post("/v1/identify", {"email": "Alice@Example.com", "status": "paid"}, key="shop")
    assert (first.status, first.json["action"]) == (200, "created")
    assert second.json["customer_id"] == first.json["customer_id"]
    assert second.json["joined"] is True
    found = live.ask("GET", "/v1/customers?status@shop=paid&status@newsletter=free", key="read")
    (person,) = found.json["customers"]
    assert person["id"] == first.json["customer_id"]
    badges = {each["project"]: each["status"] for each in person["memberships"]}
    assert badges == {"newsletter": "free", "shop": "paid"}
    assert found.json["next"] is None


def test_history_names_the_key_it_came_through(live: Live) -> None:
    live.post("/v1/identify", ALICE)
    assert live.crm.customers.history("alice@example.com")[0].via == "key news"


def test_ping_tells_whether_the_person_is_known(live: Live) -> None:
    live.post("/v1/identify", ALICE)
    assert live.post("/v1/ping", {"email": "alice@example.com"}).json["known"] is True
    assert live.post("/v1/ping", {"email": "alice@example.com"}, key="shop").json["known"] is False


def test_a_batch_answers_for_each_event(live: Live) -> None:
    events = [
        {"type": "identify", **ALICE},
        {"type": "identify", "email": "nonsense"},
        {"type": "ping", "email": "alice@example.com"},
        {"type": "identify", "email": "bo@example.com", "status": "payd"},
        {"type": "what", "email": "bo@example.com"},
        {"type": [], "email": "bo@example.com"},
        "nothing",
    ]
    answer = live.post("/v1/events", {"events": events})
    assert answer.status == 200
    results = answer.json["results"]
    assert [each.get("error", {}).get("code") for each in results] == [
        None, "invalid_email", None, "invalid_status", "invalid", "invalid", "invalid",
    ]  # fmt: skip
    assert results[0]["action"] == "created"
    assert results[2]["known"] is True
    assert live.crm.customers.count() == 1


def test_a_batch_has_a_size(live: Live) -> None:
    events = [{"type": "ping", "email": "a@example.com"}]
    assert live.post("/v1/events", {"events": events * 500}).status == 200
    answer = live.post("/v1/events", {"events": events * 501})
    assert (answer.status, answer.error["field"]) == (422, "events")
    assert "500" in answer.error["message"]


@pytest.mark.parametrize("key", ["unknown", "revoked", "altered", "nonsense", "missing", "basic"])
def test_a3_every_wrong_key_gets_the_same_answer(live: Live, key: str) -> None:
    """A3: unknown, altered and revoked keys cannot be told apart."""
    headers = {}
    if key == "unknown":
        headers["Authorization"] = f"Bearer {new_key('proj').secret}"
    elif key == "revoked":
        made = live.crm.keys.create("shop")
        ident = next(k.id for k, _ in live.crm.keys.list() if k.hash == made.hash)
        live.crm.keys.revoke(ident)
        headers["Authorization"] = f"Bearer {made.secret}"
    elif key == "altered":
        secret = live.keys["news"]
        headers["Authorization"] = f"Bearer {secret[:-1]}{'a' if secret[-1] != 'a' else 'b'}"
    elif key == "nonsense":
        headers["Authorization"] = "Bearer x"
    elif key == "basic":
        headers["Authorization"] = f"Basic {live.keys['news']}"
    answer = live.post("/v1/identify", ALICE, key=None, headers=headers)
    assert answer.status == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    if key not in ("missing", "basic"):
        assert answer.error["message"] == "this API key is not known here"
    assert live.crm.customers.count() == 0


def test_a4_a_revoked_key_is_dead_within_a_second(live: Live) -> None:
    """A4: the moment for which a found key is remembered is no longer than that."""
    assert live.post("/v1/identify", ALICE).status == 200
    (ident,) = [key.id for key, slug in live.crm.keys.list() if slug == "newsletter"]
    live.crm.keys.revoke(ident)
    time.sleep(1.05)  # the promise is about the clock: remembered keys expire after a second
    assert live.post("/v1/identify", ALICE).status == 401


def test_each_key_does_one_thing(live: Live) -> None:
    """A1: a project key cannot read, an account key cannot write."""
    assert live.ask("GET", "/v1/customers", key="news").status == 403
    for path in ("/v1/identify", "/v1/ping"):
        assert live.post(path, ALICE, key="read").status == 403
    assert live.post("/v1/events", {"events": []}, key="read").status == 403
    assert live.crm.customers.count() == 0


def test_an_account_key_reads_its_own_account_only(live: Live) -> None:
    """A1: the same address in another account stays out of sight."""
    live.crm.account("acme").project("shop").identify("zed@example.com")
    live.crm.account("acme").project("shop").identify("alice@example.com", name="Not ours")
    live.post("/v1/identify", ALICE)
    found = live.ask("GET", "/v1/customers", key="read").json["customers"]
    assert [each["name"] for each in found] == ["Alice"]


@pytest.mark.parametrize("path", ["/v1/customers", "/v1/identify", "/"])
@pytest.mark.parametrize("name", ["api_key", "token", "q", "sort"])
def test_a5_a_key_in_the_address_is_refused(live: Live, path: str, name: str) -> None:
    """A5: even a good one, and even where a good one is in the header too."""
    method = "POST" if path == "/v1/identify" else "GET"
    body = ALICE if method == "POST" else None
    secret = live.keys["read"]
    answer = live.ask(method, f"{path}?{name}={secret}", body, key="read")
    assert answer.status == 401
    assert secret not in answer.text
    assert answer.error["code"] == "key_in_url"


@pytest.mark.parametrize("query", ["api_key=x", "API_KEY=", "q=a&token=x", "authorization=x"])
def test_a5_a_place_for_a_key_in_the_address_is_refused(live: Live, query: str) -> None:
    """A5: whatever is in it, as the next one may be good."""
    answer = live.ask("GET", f"/v1/customers?{query}", key="read")
    assert (answer.status, answer.error["code"]) == (401, "key_in_url")


@pytest.mark.parametrize("extra", ["id_", "account_id", "created_at", "last_seen_at", "nam"])
def test_a6_unknown_fields_are_refused(live: Live, extra: str) -> None:
    """A6: nothing can be set that is not a field of the event."""
    answer = live.post("/v1/identify", {**ALICE, extra: "x"})
    assert (answer.status, answer.error["field"]) == (422, extra)
    assert live.crm.customers.count() == 0


@pytest.mark.parametrize(
    "query",
    [
        "limit=-1", "limit=0", "limit=501", "limit=1e9", "limit=NaN", "limit=", "limit=٣",
        "limit=5&limit=6", "sort=what", "after=what", "after=" + "A" * 3000, "nope=1",
        "project=nope", "q=%28", "status=payd", "p.x%00=1", "q=" + "a+" * 60,
    ],
)  # fmt: skip
def test_r1_questions_are_checked(live: Live, query: str) -> None:
    """R1, R2: bad pages, orders and filters are 422 with the field."""
    answer = live.ask("GET", f"/v1/customers?{query.replace('٣', '%D9%A3')}", key="read")
    assert answer.status == 422, answer.text
    assert answer.error["field"]


def test_pages_follow_each_other_without_gaps(live: Live) -> None:
    people = [{"type": "identify", "email": f"p{n:03}@example.com"} for n in range(57)]
    assert live.post("/v1/events", {"events": people}).status == 200
    found: list[str] = []
    after = ""
    while True:
        page = live.ask("GET", f"/v1/customers?limit=10&sort=email{after}", key="read").json
        found += [each["email"] for each in page["customers"]]
        if page["next"] is None:
            break
        after = f"&after={page['next']}"
    assert found == [each["email"] for each in people]


def _active(live: Live) -> datetime:
    person = live.crm.customers.get("alice@example.com")
    assert person is not None
    assert person.last_seen_at is not None
    return person.last_seen_at


def _near(left: datetime, right: datetime) -> bool:
    return abs(left - right) < timedelta(minutes=5)


@pytest.mark.parametrize("ahead", [timedelta(hours=3), timedelta(hours=-3)])
def test_q_a_sender_with_a_wrong_clock_is_corrected(live: Live, ahead: timedelta) -> None:
    """The event lies as long before its arrival as it lay before it was sent."""
    now = datetime.now(UTC)
    wrong = now + ahead
    stamps = {"at": (wrong - timedelta(minutes=30)).isoformat(), "sent_at": wrong.isoformat()}
    assert live.post("/v1/identify", {**ALICE, **stamps}).status == 200
    assert _near(_active(live), now - timedelta(minutes=30))


def test_clocks_that_agree_are_left_alone(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was on its way for a moment says nothing of a clock: sent again it is the same event."""
    received = datetime.now(UTC)
    at = received - timedelta(minutes=30)
    monkeypatch.setattr("tinycrm_server.api.events.now", lambda: to_micros(received, field="at"))
    for delay in (0.1, 1.9):
        sent_at = (received - timedelta(seconds=delay)).isoformat()
        body = {**ALICE, "at": at.isoformat(), "sent_at": sent_at}
        assert live.post("/v1/identify", body).status == 200
        assert _active(live) == at


def test_the_future_ends_at_the_arrival(live: Live) -> None:
    now = datetime.now(UTC)
    event = {**ALICE, "type": "identify", "at": (now + timedelta(days=400)).isoformat()}
    assert live.post("/v1/events", {"events": [event]}).status == 200
    assert _near(_active(live), now)


@pytest.mark.parametrize("name", ["at", "joined", "seen"])
def test_no_time_of_an_event_lies_in_the_future(live: Live, name: str) -> None:
    assert live.post("/v1/identify", {**ALICE, name: "2999-01-01"}).status == 200
    person = live.crm.customers.get("alice@example.com")
    assert person
    (membership,) = person.memberships
    latest = datetime.now(UTC)
    assert membership.joined_at <= latest
    assert membership.last_active_at is None or membership.last_active_at <= latest


def test_a_batch_is_corrected_by_its_own_send_time(live: Live) -> None:
    now = datetime.now(UTC)
    event = {**ALICE, "type": "identify", "at": "2020-01-01T00:00:00Z"}
    body = {"sent_at": "2020-01-01T01:00:00Z", "events": [event]}
    assert live.post("/v1/events", body).status == 200
    assert _near(_active(live), now - timedelta(hours=1))


def test_last_use_is_kept_but_not_at_each_call(live: Live) -> None:
    def used() -> Any:
        return next(k.last_used_at for k, slug in live.crm.keys.list() if slug == "newsletter")

    assert used() is None
    live.post("/v1/identify", ALICE)
    first = used()
    assert first is not None
    live.post("/v1/identify", ALICE)
    assert used() == first


def test_every_answer_carries_the_headers(live: Live) -> None:
    """D4: also errors, redirects and unknown paths."""
    for method, path in (
        ("GET", "/v1/customers"),
        ("GET", "/nothing"),
        ("DELETE", "/v1/identify"),
        ("GET", "/"),
        ("GET", "/assets/x/y"),
        ("GET", "/openapi.json"),
    ):
        headers = live.ask(method, path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        assert headers["cache-control"] == "no-store"
        assert "default-src 'self'" in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "server" not in headers


def test_what_is_not_there_has_the_same_shape(live: Live) -> None:
    assert live.ask("GET", "/v1/nothing").error["code"] == "not_found"
    refused = live.ask("DELETE", "/v1/identify")
    assert (refused.status, refused.headers["allow"]) == (405, "POST")
    assert live.ask("GET", "/docs").status == 401  # outside, nobody learns what there is


def test_openapi_describes_the_bodies(live: Live) -> None:
    """What it lists is what the server takes: the same fields, and no others."""
    schema = live.ask("GET", "/openapi.json").json
    operations = [each for path in schema["paths"].values() for each in path.values()]
    assert len(operations) == 21
    assert {name for each in operations for rule in each["security"] for name in rule} == set(
        schema["components"]["securitySchemes"]
    )
    body = schema["paths"]["/v1/identify"]["post"]["requestBody"]
    fields = body["content"]["application/json"]["schema"]["properties"]
    refusal = live.post("/v1/identify", {**ALICE, "nonsense": 1}).error["message"]
    taken = set(refusal.partition("takes ")[2].split(", "))
    assert set(fields) == taken | {"type", "sent_at", "project"}
    assert "422" not in schema["paths"]["/v1/identify"]["post"]["responses"]

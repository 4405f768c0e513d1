"""Identify and Ping as values: what they accept, and their one JSON form."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from tinycrm_core import InvalidInput, InvalidStatus, Limits
from tinycrm_core.events import ChangeEmail, Identify, Ping, clean_status, from_json, to_json

ANN = "ann@example.com"
FULL = Identify(
    " ANN@example.com ",
    name=" Ann ",
    status="trialing",
    params={"a": [1, {"b": None}]},
    set_once={"c": 1.5},
    unset=["d", "e", "d"],
    at="2026-01-02T03:04:05.678901Z",
    active=False,
    id="call-1",
    joined="2026-01-01",
    seen=datetime(2026, 1, 3, tzinfo=UTC),
)


def test_an_event_is_canonical_once_it_exists() -> None:
    assert (FULL.email, FULL.name, FULL.status, FULL.unset) == (ANN, "Ann", "trial", ("d", "e"))
    assert FULL.at == 1_767_323_045_678_901
    with pytest.raises(dataclasses.FrozenInstanceError):
        FULL.email = "x@example.com"  # type: ignore[misc]


@pytest.mark.parametrize(
    "event", [FULL, Identify(ANN), Ping(ANN), Ping(ANN, at="2026-01-01", id="x")]
)
def test_an_event_survives_its_json(event: Identify | Ping) -> None:
    body = json.loads(json.dumps(to_json(event), allow_nan=False))
    assert from_json(body) == event
    assert body["type"] == event.type


def test_json_holds_only_what_was_given() -> None:
    assert to_json(Identify(ANN)) == {"type": "identify", "email": ANN}
    assert to_json(Ping(ANN, at=0)) == {
        "type": "ping",
        "email": ANN,
        "at": "1970-01-01T00:00:00+00:00",
    }
    assert from_json({"email": ANN}, type="ping") == Ping(ANN)
    changed = ChangeEmail("Ann@Example.com", "b@example.com", merge=False, id="1")
    assert to_json(changed) == {
        "type": "change_email",
        "email": ANN,
        "new": "b@example.com",
        "merge": False,
        "id": "1",
    }
    assert from_json(to_json(changed)) == changed
    assert "merge" not in to_json(ChangeEmail(ANN, ANN))


@pytest.mark.parametrize(
    ("body", "match"),
    [
        ([], "object"),
        (None, "object"),
        ({"email": ANN}, "identify, ping, change_email"),
        ({"type": "delete", "email": ANN}, "identify, ping, change_email"),
        ({"type": "identify"}, "email: missing"),
        ({"type": "identify", "email": ANN, "stauts": "paid"}, "stauts: unknown field"),
        ({"type": "ping", "email": ANN, "status": "paid"}, "status: unknown field"),
        ({"type": "ping", "email": ANN, 1: 2}, "unknown field"),
        ({"type": "identify", "email": ANN, "at": 5}, "at: expected ISO 8601"),
        ({"type": "change_email", "email": ANN}, "new: missing"),
        ({"type": "change_email", "email": ANN, "new": "b@"}, "new: email"),
        ({"type": "change_email", "email": ANN, "new": ANN, "merge": 1}, "merge: expected true"),
        ({"type": "change_email", "email": ANN, "new": ANN, "name": "x"}, "name: unknown field"),
        ({"type": "identify", "email": ANN, "joined": {}}, "joined: expected ISO 8601"),
        ({"type": "identify", "email": ANN, "id": ""}, "1 to 128"),
        ({"type": "ping", "email": ANN, "id": "x" * 129}, "1 to 128"),
        ({"type": "identify", "email": ANN, "params": {"a": float("inf")}}, "finite"),
    ],
)
def test_json_that_is_no_event(body: Any, match: str) -> None:
    with pytest.raises(InvalidInput, match=match):
        from_json(body)


def test_limits_hold_for_json_too() -> None:
    with pytest.raises(InvalidInput, match="more than 1 keys"):
        from_json(
            {"email": ANN, "params": {"a": 1, "b": 1}}, type="identify", limits=Limits(keys=1)
        )


@pytest.mark.parametrize(
    ("written", "status"),
    [("Paid", "paid"), (" free\t", "free"), ("TRIALING", "trial"), ("churned", "churned")],
)
def test_imports_forgive_case_and_spaces_of_a_status(written: str, status: str) -> None:
    assert clean_status(written, forgiving=True) == status


@pytest.mark.parametrize("written", ["", "vip", None, 1, "pa id", "ｐａｉｄ"])
def test_but_not_more_than_that(written: Any) -> None:
    with pytest.raises(InvalidStatus, match="free, trial, paid, churned"):
        clean_status(written, forgiving=True)

"""Four ways to a store and one contract: at once, over HTTP, and each behind a queue."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.delivery.faults import proxied, scripted
from tests.server.live import Live
from tinycrm_core import times
from tinycrm_core.background import Background
from tinycrm_core.client import TinyCRM
from tinycrm_core.spool import Spool
from tinycrm_core.testing import TransportContract


@pytest.fixture
def crm(live: Live) -> TinyCRM:
    """What reads."""
    return live.crm


class TestTransports(TransportContract):
    """Store and HTTP, each direct, queued, and queued with a file."""

    @pytest.fixture(
        params=["store", "store queued", "store spooled", "http", "http queued", "http spooled"]
    )
    def reporting(
        self, request: Any, crm: TinyCRM, address: Callable[[str], str], tmp_path: Any
    ) -> Iterator[TinyCRM]:
        way, _, how = request.param.partition(" ")
        spool = Spool(tmp_path / "spool.db") if how == "spooled" else None
        if way == "http":
            client = TinyCRM(address("shop"), project="shop", background=bool(how), spool=spool)
        else:
            client = TinyCRM.over(crm.store, project="shop")
            if how:
                client.queue = Background(client.transport, spool=spool)
        yield client
        if client.queue is not None:
            client.queue.close()
        client.transport.close()
        if spool is not None:
            spool.close()


def test_the_key_belongs_to_one_product(address: Callable[[str], str], crm: TinyCRM) -> None:
    told: list[Any] = []
    client = TinyCRM(address("shop"), on_error=lambda error, events: told.append(str(error)))
    client.identify("ada@example.com")
    client.project("shop").identify("bo@example.com")
    assert client.flush()
    client.project("news").identify("cy@example.com")
    assert client.flush() is False
    assert "wrong_project" in told[0]
    assert sorted(each.email for each in crm.customers.find()) == [
        "ada@example.com",
        "bo@example.com",
    ]
    client.close()


def test_from_embedded_to_server_is_one_changed_string(
    address: Callable[[str], str], crm: TinyCRM
) -> None:
    for where in ("memory://", address("shop")):
        with TinyCRM(where) as client:
            shop = client.project("shop")
            shop.identify("ada@example.com", status="paid")
            shop.ping("ada@example.com")
            assert client.flush()
    found = crm.customers.get("ada@example.com")
    assert found is not None
    assert found.memberships[0].status == "paid"


def test_q11_a_lost_answer_and_a_newer_event(address: Callable[[str], str], live: Live) -> None:
    """The server stores the event and the answer is cut off; what comes after is not undone."""
    with proxied(live.port) as proxy:
        client = TinyCRM(address("shop").replace(str(live.port), str(proxy.port)), project="shop")
        proxy.cut = 1
        client.identify("ada@example.com", status="trial")
        client.flush(0.2)
        other = TinyCRM(address("shop"), project="shop", background=False)
        other.identify("ada@example.com", status="paid")
        assert client.flush(30)
        assert client.stats().retries >= 1
        found = live.crm.customers.get("ada@example.com")
        assert found is not None
        assert found.memberships[0].status == "paid"
        client.close()
        other.close()


@pytest.mark.parametrize("skew", [-86_400, -1, 0, 1, 86_400])
def test_q16_a_wrong_clock_is_corrected_and_keeps_the_order(
    address: Callable[[str], str], crm: TinyCRM, skew: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = TinyCRM(address("shop"), project="shop")
    real = times.now
    # Only the client's modules see the wrong clock; the server keeps its own.
    wrong = type("Wrong", (), {"now": staticmethod(lambda: real() + skew * 1_000_000),
                               "from_micros": staticmethod(times.from_micros)})  # fmt: skip
    for module in ("delivery", "http", "background"):
        monkeypatch.setattr(f"tinycrm_core.{module}.times", wrong)
    for number in range(20):
        client.identify("ada@example.com", params={"n": number}, status="trial")
    client.identify("ada@example.com", status="paid")
    assert client.flush()
    found = crm.customers.get("ada@example.com")
    assert found is not None
    (membership,) = found.memberships
    assert (membership.status, membership.params) == ("paid", {"n": 19})
    assert membership.last_active_at is not None
    assert abs(membership.last_active_at - datetime.now(UTC)) < timedelta(seconds=30)
    client.close()


def test_q16_an_event_has_the_time_of_its_call_and_not_of_its_delivery() -> None:
    with scripted() as server, TinyCRM(server.url, project="shop") as client:
        client.queue = Background(client.transport, interval=60.0)
        client.ping("ada@example.com")
        time.sleep(0.5)
        assert client.flush(20)
    (seen,) = server.seen
    at, sent = (datetime.fromisoformat(each) for each in (
        seen.body["events"][0]["at"], seen.body["sent_at"]
    ))  # fmt: skip
    assert sent - at >= timedelta(seconds=0.4)

"""R4, R5: how much may be asked for, and that nothing grows with who asks."""

from __future__ import annotations

import base64
import random
import threading

import pytest

from tests.server.live import Live, serving
from tinycrm_core.client import TinyCRM
from tinycrm_core.keys import new_key
from tinycrm_server.auth import MAX_REMEMBERED, Keys
from tinycrm_server.bodies import Refused
from tinycrm_server.rates import Rates
from tinycrm_server.settings import Settings

ALICE = {"email": "alice@example.com"}


def keyed(live: Live) -> Live:
    for slug in ("newsletter", "shop"):
        live.crm.projects.add(slug)
        live.keys[slug] = live.crm.keys.create(slug).secret
    return live


def test_r4_a_noisy_key_is_slowed_down_and_the_others_are_not() -> None:
    """R4: 429 with Retry-After, for that key alone."""
    settings = Settings(rate_per_key="5/hour", rate_per_address="")
    with TinyCRM() as crm, serving(crm, settings=settings) as live:
        keyed(live)
        for _ in range(5):
            assert live.post("/v1/ping", ALICE, key="shop").status == 200
        for _ in range(3):
            refused = live.post("/v1/ping", ALICE, key="shop")
            assert (refused.status, refused.error["code"]) == (429, "too_many")
            assert 1 <= int(refused.headers["retry-after"]) <= 7200
        assert live.post("/v1/ping", ALICE, key="newsletter").status == 200


def test_r4_a_batch_counts_as_what_it_holds() -> None:
    """R4: and is refused as a whole, so that it can be sent again."""
    settings = Settings(rate_per_key="10/hour", rate_per_address="")
    with TinyCRM() as crm, serving(crm, settings=settings) as live:
        keyed(live)
        events = [{"type": "identify", "email": f"p{n}@example.com"} for n in range(8)]
        assert live.post("/v1/events", {"events": events}, key="shop").status == 200
        more = [{"type": "identify", "email": f"q{n}@example.com"} for n in range(8)]
        assert live.post("/v1/events", {"events": more}, key="shop").status == 429
        assert crm.customers.count() == 8


def test_r4_a_batch_of_segment_counts_too() -> None:
    """R4: the other way in has the same limit."""
    settings = Settings(rate_per_key="10/day", rate_per_address="")
    with TinyCRM() as crm, serving(crm, settings=settings) as live:
        keyed(live)
        basic = base64.b64encode(f"{live.keys['shop']}:".encode()).decode()
        calls = [{"type": "identify", "userId": f"p{n}@example.com"} for n in range(8)]

        def send() -> int:
            headers = {"Authorization": f"Basic {basic}"}
            return live.post("/v1/batch", {"batch": calls}, key=None, headers=headers).status

        assert [send(), send()] == [200, 429]
        assert crm.customers.count() == 8


def test_r4_an_address_is_limited_before_anything_is_read() -> None:
    """R4: also without a key; a header does not make it another one; health is always told."""
    settings = Settings(rate_per_key="", rate_per_address="4/hour")
    with TinyCRM() as crm, serving(crm, settings=settings) as live:
        statuses = [
            live.ask("GET", "/v1/customers", headers={"X-Forwarded-For": f"203.0.113.{n}"}).status
            for n in range(6)
        ]
        assert statuses == [401] * 4 + [429] * 2
        refused = live.ask("GET", "/")
        assert refused.status == 429
        assert "default-src 'self'" in refused.headers["content-security-policy"]
        assert live.ask("GET", "/healthz").status == 200
        assert live.ask("GET", "/readyz").status == 200


def test_r4_a_trusted_proxy_tells_who_asks() -> None:
    """R4: behind it each visitor has a rate of their own, neighbours in IPv6 share one."""
    settings = Settings(rate_per_key="", rate_per_address="2/hour")
    with TinyCRM() as crm, serving(crm, settings=settings, proxies="127.0.0.1") as live:

        def ask(client: str) -> int:
            return live.ask("GET", "/v1/customers", headers={"X-Forwarded-For": client}).status

        assert [ask(f"203.0.113.{n}") for n in range(6)] == [401] * 6
        assert [ask(f"2001:db8::{n}") for n in range(1, 5)] == [401, 401, 429, 429]


def test_r5_what_is_remembered_of_keys_is_bounded() -> None:
    """R5: neither known nor made-up keys fill the memory."""
    with TinyCRM() as crm:
        keys = Keys(crm)
        for _ in range(3 * MAX_REMEMBERED):
            assert keys._look_up(new_key("proj").hash) is None
        assert len(keys._found) == 0
        for n in range(MAX_REMEMBERED // 2 + 10):
            crm.projects.add(f"p{n}")
            for _ in range(2):
                caller = keys._look_up(crm.keys.create(f"p{n}").hash)
                assert caller
                keys._record(caller)
        assert 0 < len(keys._found) <= MAX_REMEMBERED
        assert 0 < len(keys._used) <= MAX_REMEMBERED


def test_r5_counts_expire() -> None:
    """R5: what was counted for addresses that stay away is forgotten."""
    rates = Rates({"address": "5/second"})
    storage = rates._limiter.storage
    for n in range(2000):
        rates.take("address", f"203.0.113.{n}")
    assert len(storage.storage) >= 1000  # type: ignore[attr-defined]
    ends = threading.Event()
    for _ in range(600):
        if len(storage.storage) < 10:  # type: ignore[attr-defined]
            break
        ends.wait(0.1)
        rates.take("address", "198.51.100.1") if random.random() < 0.2 else None
    assert len(storage.storage) < 10  # type: ignore[attr-defined]


def test_a_rate_is_refused_and_not_counted() -> None:
    rates = Rates({"key": "3/hour"})
    with pytest.raises(Refused):
        rates.take("key", "a", cost=4)
    rates.take("key", "a", cost=3)
    rates.take("other", "a")


def test_r3_a_file_of_an_owner_has_a_limit_too() -> None:
    """R3: TINYCRM_MAX_UPLOAD and a mebibyte for the form around it, while it is read."""
    with TinyCRM() as crm, serving(crm, settings=Settings(max_upload=2048)) as live:
        kind = {"Content-Type": "multipart/form-data; boundary=x", "Sec-Fetch-Site": "same-origin"}
        headers = {**live.session(), **kind}
        head = (
            b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\nemail\r\n'
        )
        for size, refused in ((100, False), (3_000_000, True)):
            body = head + b"a" * size + b"\r\n--x--\r\n"
            answer = live.ask("POST", "/import", body, headers=headers)
            assert (answer.status == 413) is refused, (answer.status, answer.text[:200])

"""D7, A3: what a login and a key tell and cost whoever guesses.

TINYCRM_TEST_FULL=1 times 1,000 logins of each kind; otherwise there are enough to see a hash that
is left out, while `test_owners.py` counts them.
"""

from __future__ import annotations

import http.client
import math
import os
import random
import statistics
import time
from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.server.live import Live, serving
from tinycrm_core.client import TinyCRM
from tinycrm_core.keys import new_key
from tinycrm_server.owners.owners import Owners
from tinycrm_server.owners.tables import Place
from tinycrm_server.running import application
from tinycrm_server.settings import Settings

FULL = "TINYCRM_TEST_FULL" in os.environ
LOGINS, LEAST = (1000, 0.01) if FULL else (20, 1e-6)
ME, PASSWORD = "me@example.com", "correct horse battery"
FORM = {"Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": "same-origin"}


def likeness(one: list[float], other: list[float]) -> float:
    """How probable such a distance is if both come from one distribution: Kolmogorov-Smirnov."""
    one, other = sorted(one), sorted(other)
    distance = max(
        abs(bisect_right(one, at) / len(one) - bisect_right(other, at) / len(other))
        for at in (*one, *other)
    )
    size = math.sqrt(len(one) * len(other) / (len(one) + len(other)))
    scaled = (size + 0.12 + 0.11 / size) * distance
    if scaled < 0.2:
        return 1.0
    terms = ((-1) ** (n - 1) * math.exp(-2 * (n * scaled) ** 2) for n in range(1, 101))
    return min(1.0, 2 * math.fsum(terms))


def test_the_likeness_of_samples() -> None:
    """As the tables have it: two samples of 100 that are 0.192 apart are so at 5 %."""
    one = [n / 100 for n in range(100)]
    assert likeness(one, one) == 1
    assert 0.02 < likeness(one, [each + 0.195 for each in one]) < 0.05
    assert likeness(one, [each + 0.5 for each in one]) < 1e-9


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Live]:
    """A server with an owner, which limits no logins, behind a proxy on this machine."""
    with TinyCRM(f"sqlite:///{tmp_path}/crm.db") as crm:
        Owners(Place(crm.store)).add(ME, PASSWORD)
        app = application(crm, Settings(rate_logins="", rate_per_address=""))
        with serving(crm, app=app) as server:
            yield server


@pytest.mark.timeout(1200 if FULL else 120)
def test_d7_unknown_and_wrong_take_as_long(live: Live) -> None:
    """D7: known and unknown in random order, so that both meet the same load of the machine."""
    connection = http.client.HTTPConnection("127.0.0.1", live.port, timeout=60)

    def took(email: str) -> float:
        body = urlencode({"email": email, "password": "something else"})
        started = time.perf_counter()
        connection.request("POST", "/login", body, FORM)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 401
        return time.perf_counter() - started

    for email in (ME, "you@example.com"):
        took(email)
    times: dict[str, list[float]] = {ME: [], "you@example.com": []}
    for email in random.sample([*times] * LOGINS, 2 * LOGINS):
        times[email].append(took(email))
    connection.close()
    found = likeness(*times.values())
    assert found > LEAST, (found, [sorted(each)[len(each) // 2] for each in times.values()])


def test_d7_a_rotated_header_is_no_other_address(tmp_path: Path) -> None:
    """D7: behind a trusted proxy only what the proxy says counts; the owner gets in from home."""
    with TinyCRM(f"sqlite:///{tmp_path}/crm.db") as crm:
        Owners(Place(crm.store)).add(ME, PASSWORD)
        app = application(crm, Settings(rate_logins="5/day"))
        with serving(crm, app=app, proxies="127.0.0.1") as live:

            def log_in(password: str, forwarded: str) -> int:
                body = urlencode({"email": ME, "password": password}).encode()
                headers = {**FORM, "X-Forwarded-For": forwarded}
                return live.ask("POST", "/login", body, headers=headers).status

            guesses = [log_in("wrong", f"198.51.100.{n}, 203.0.113.9") for n in range(20)]
            assert guesses[:5] == [401] * 5
            assert set(guesses[6:]) == {429}  # a day that ends meanwhile lets a sixth in
            assert log_in(PASSWORD, "203.0.113.9") == 429
            assert log_in(PASSWORD, "192.0.2.1") == 303


def test_d7_who_gets_in_begins_anew(tmp_path: Path) -> None:
    """D7: an owner who mistypes now and then is never stopped."""
    with TinyCRM(f"sqlite:///{tmp_path}/crm.db") as crm:
        Owners(Place(crm.store)).add(ME, PASSWORD)
        with serving(crm, app=application(crm, Settings(rate_logins="3/day"))) as live:
            for password in ("wrong", "wrong", PASSWORD) * 3:
                body = urlencode({"email": ME, "password": password}).encode()
                status = live.ask("POST", "/login", body, headers=FORM).status
                assert status == (303 if password == PASSWORD else 401)


def test_a3_unknown_and_revoked_keys_take_as_long() -> None:
    """A3: in random order; what is slower on average must not tell one answer from the other."""
    with TinyCRM() as crm, serving(crm, settings=Settings(rate_per_address="")) as live:
        crm.projects.add("shop")
        revoked = crm.keys.create("shop").secret
        crm.keys.revoke(next(key.id for key, _ in crm.keys.list()))
        connection = http.client.HTTPConnection("127.0.0.1", live.port, timeout=60)

        def took(secret: str) -> float:
            headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}
            started = time.perf_counter()
            connection.request("POST", "/v1/ping", b'{"email": "a@example.com"}', headers)
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 401
            return time.perf_counter() - started

        times: dict[str, list[float]] = {"unknown": [], "revoked": []}
        # Another unknown one each time, as a guesser would try.
        guesses = [("unknown", new_key("proj").secret) for _ in range(200)]
        guesses += [("revoked", revoked)] * 200
        for kind, secret in random.sample(guesses, len(guesses)):
            times[kind].append(took(secret))
        connection.close()
    low, high = sorted(statistics.quantiles(each, n=4) for each in times.values())
    assert high[0] < low[2], "the middle halves of both do not overlap"

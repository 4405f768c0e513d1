"""The middleware leaves no trace in what a product sends and receives (F4-F8)."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx2
import pytest

from tests.integrations.django.live import Shop, Site, copied
from tests.loops import finish
from tests.patience import eventually

PATHS = ("/", "/me/", "/stream/", "/astream/", "/ame/", "/file/", "/nowhere/", "/delete/")
# They name the moment of the answer, and which of two servers gave it.
OF_THE_MOMENT = {"date", "server"}


@pytest.fixture(scope="module", params=["wsgi", "asgi"])
def both(
    request: pytest.FixtureRequest, template: Shop, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Site, Site]]:
    """The same product with the middleware and without, in which a ping is always due."""
    folder = tmp_path_factory.mktemp(request.param)
    with ExitStack() as stack:
        sites = []
        for without in (False, True):
            given = {"without_ping": without, "tinycrm": {"PING_INTERVAL": 1e-6}}
            shop = copied(template, folder / str(without), **given)
            sites.append(stack.enter_context(shop.serve(request.param)))
        yield sites[0], sites[1]


def plain(answer: httpx2.Response) -> tuple[int, list[tuple[str, str]], bytes]:
    headers = [(k, v) for k, v in answer.headers.multi_items() if k.lower() not in OF_THE_MOMENT]
    return answer.status_code, headers, answer.content


@pytest.mark.parametrize("headers", [{}, {"Range": "bytes=5-20"}, {"If-None-Match": "*"}])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_f4_f7_answers_to_strangers_are_the_same_to_the_byte(
    both: tuple[Site, Site], method: str, headers: dict[str, str]
) -> None:
    for path in PATHS:
        one, other = (
            plain(httpx2.request(method, site.url + path, headers=headers)) for site in both
        )
        assert one == other, path


def test_f4_f7_answers_to_users_are_the_same_to_the_byte(both: tuple[Site, Site]) -> None:
    visitors = [site.visitor() for site in both]
    for number, visitor in enumerate(visitors):
        visitor.sign_up(f"same-{both[0].port}-{number}@example.com")
    for path in PATHS[:-1]:
        answers = []
        for number, visitor in enumerate(visitors):
            status, headers, body = plain(visitor.get(path))
            answers.append((status, headers, body.replace(b"-%d@" % number, b"-@")))
        assert answers[0] == answers[1], path


def test_f6_50_mb_arrive_whole(both: tuple[Site, Site]) -> None:
    site = both[0]
    visitor = site.visitor()
    visitor.sign_up(f"upload-{site.port}@example.com")
    content = bytes(range(256)) * (50 * 4096)
    wanted = hashlib.sha256(content).hexdigest()
    assert visitor.http.post("/raw/", content=content).text == wanted
    assert visitor.http.post("/upload/", files={"file": ("big", content)}).text == wanted


def test_f7_the_first_event_does_not_wait_and_a_stream_ends_with_its_reader(
    both: tuple[Site, Site],
) -> None:
    """The whole stream would take 50 seconds."""
    site = both[0]
    visitor = site.visitor()
    visitor.sign_up(f"stream-{site.port}@example.com")
    ended = visitor.get("/closed/").json()["ended"]
    with visitor.http.stream("GET", "/events/") as answer:
        first = next(answer.iter_raw())
        assert first.startswith(b"data: 0")
    eventually(lambda: visitor.get("/closed/").json()["ended"] == ended + 1)


SESSIONS = """
import json
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth import get_user_model
from django.contrib.sessions.backends.db import SessionStore
from django.db import transaction
keys = {}
with transaction.atomic():
    for number in range(200):
        user = get_user_model().objects.create_user(f"u{number}", f"u{number}@example.com")
        session = SessionStore()
        session[SESSION_KEY] = str(user.pk)
        session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
        session[HASH_SESSION_KEY] = user.get_session_auth_hash()
        session.save()
        keys[user.email] = session.session_key
print(json.dumps(keys))
"""


@pytest.mark.parametrize("kind", ["wsgi", "asgi"])
def test_f8_two_hundred_at_once_are_never_taken_for_each_other(
    make_shop: Callable[..., Shop], kind: str
) -> None:
    shop = make_shop(tinycrm={"IN_TESTS": False})
    keys = json.loads(shop.run(SESSIONS))
    with shop.serve(kind) as site:
        for email in keys:
            site.crm.identify(email, active=False)
        seen_before = {email: site.person(email).last_seen_at for email in keys}

        async def ask(client: httpx2.AsyncClient, number: int, email: str) -> None:
            cookies = {"Cookie": f"sessionid={keys[email]}"}
            wait = (number * 7919 % 100) / 200
            answer = await client.get(f"/slow-me/?wait={wait}", headers=cookies)
            assert answer.text == email

        async def ask_all() -> None:
            limits = httpx2.Limits(max_connections=40)
            async with httpx2.AsyncClient(base_url=site.url, timeout=60, limits=limits) as client:
                await asyncio.gather(*(ask(client, *each) for each in enumerate(keys)))

        finish(ask_all())
        eventually(lambda: site.crm.customers.count("seen>=-1h") == len(keys))
        assert all(site.person(email).last_seen_at != seen for email, seen in seen_before.items())


INSIDE = """
import json, threading
from django.contrib.auth import get_user_model
from django.core.handlers.base import BaseHandler
from django.db import connection
from django.http import HttpResponse
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from asgiref.sync import async_to_sync, iscoroutinefunction
from tinycrm_integrations.django.middleware import PingMiddleware

user = get_user_model().objects.create_user("ada", "ada@example.com")
known = Client()
known.force_login(user)
found = {}
for name, client in (("stranger", Client()), ("user", known)):
    for path in ("/", "/me/"):
        with CaptureQueriesContext(connection) as queries:
            answer = client.get(path)
        assert answer.status_code == 200
        found[name + path] = [len(queries), answer.get("Vary")]

response, threads = HttpResponse(), []

def view(request):
    threads.append(threading.get_ident())
    return response

async def aview(request):
    return response

request = RequestFactory().get("/")
sync, asynchronous = PingMiddleware(view), PingMiddleware(aview)
found["same object"] = sync(request) is response
found["same object, async"] = async_to_sync(asynchronous)(request) is response
found["same thread"] = threads == [threading.get_ident()]
found["sync stays sync"] = not iscoroutinefunction(sync)
found["async stays async"] = iscoroutinefunction(asynchronous)
print(json.dumps(found))
"""


def test_f4_f5_no_question_no_header_and_no_thread_is_added(
    make_shop: Callable[..., Shop],
) -> None:
    found: dict[str, Any] = {}
    for without in (True, False):
        found[str(without)] = json.loads(
            make_shop(without_ping=without, atomic_requests=False).run(INSIDE)
        )
    with_ping, without_ping = found["False"], found["True"]
    assert with_ping == without_ping
    assert with_ping["stranger/"] == [0, None]
    assert with_ping["stranger/me/"] == [0, "Cookie"]  # which the page itself has caused
    assert with_ping["user/"] == [0, None]
    assert all(value for key, value in with_ping.items() if "/" not in key)

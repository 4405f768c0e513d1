"""The parts an application is put together from: environment, lifespan, dependencies."""

from __future__ import annotations

import asyncio
import contextlib
import random
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Annotated, Any

import httpx2
import pytest
from fastapi import Depends, FastAPI, Request
from starlette.testclient import TestClient

from tests.integrations.customers import BrokenStore, Customers
from tests.integrations.fastapi.live import serving
from tests.integrations.fastapi.products import PASSWORD, users_product
from tests.loops import finish
from tinycrm_core import InvalidInput, NotSupported
from tinycrm_core.client import TinyCRM
from tinycrm_integrations.fastapi import (
    Reporter,
    TinyCRMMiddleware,
    get_crm,
    lifespan,
    reporter_from_environment,
    seen,
)

ADA = "ada@example.com"


class Person:
    is_authenticated = True

    def __init__(self, email: str) -> None:
        self.email = email


def story(app: FastAPI) -> list[Any]:
    """Somebody signs up, logs in, looks, changes the address; an administrator removes them."""
    answers = []
    with serving(app) as url, httpx2.Client(base_url=url, trust_env=False, timeout=20) as client:
        for email in (ADA, "root@example.com"):
            body = {"email": email, "password": PASSWORD}
            answers.append(client.post("/auth/register", json=body))
        app.state.users.run("UPDATE users SET is_superuser = 1 WHERE email LIKE 'root%'")
        tokens = {}
        for email in (ADA, "root@example.com"):
            form = {"username": email, "password": PASSWORD}
            token = client.post("/auth/jwt/login", data=form).json()["access_token"]
            tokens[email] = {"Authorization": f"Bearer {token}"}
        answers.append(client.get("/me", headers=tokens[ADA]))
        answers.append(client.get("/me"))
        changed = client.patch("/users/me", json={"email": "a@b.example"}, headers=tokens[ADA])
        answers.append(changed)
        ident = changed.json()["id"]
        answers.append(client.delete(f"/users/{ident}", headers=tokens["root@example.com"]))
    told = []
    for each in answers:
        body = each.json() if each.content else None
        if isinstance(body, dict):
            body.pop("id", None)
        told.append((each.status_code, sorted(each.headers.items()), body))
    return told


def test_f1_a_store_that_raises_changes_no_answer(tmp_path: Path) -> None:
    told = []
    for side in ("alone", "broken"):
        (tmp_path / side).mkdir()
        reporter = None
        if side == "broken":
            crm = TinyCRM.over(BrokenStore(), project="notes")  # type: ignore[arg-type]
            reporter = Reporter(crm, on_delete="delete")
            queue = reporter.crm.queue
            assert queue is not None
        told.append(story(users_product(tmp_path / side, reporter)))
    queue.close(0)
    assert told[0] == told[1]
    assert [status for status, *_ in told[0]] == [201, 201, 200, 401, 200, 204]


def test_f8_requests_at_once_are_each_themselves(reporter: Reporter) -> None:
    app = FastAPI()
    app.add_middleware(TinyCRMMiddleware, reporter=reporter)
    said: dict[int, set[str]] = {}

    async def current_user(request: Request, number: int) -> Person:
        await asyncio.sleep(random.random() / 100)
        return Person(f"p{number}@example.com")

    @app.get("/me")
    async def me(number: int, user: Person = Depends(seen(current_user))) -> str:  # noqa: B008
        await asyncio.sleep(random.random() / 100)
        return user.email

    visited: list[str] = []
    reporter.visited = lambda user, hook="ping": visited.append(user.email)  # type: ignore[method-assign]

    async def come() -> None:
        transport = httpx2.ASGITransport(app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
            answers = await asyncio.gather(*(client.get(f"/me?number={n}") for n in range(200)))
            said.update({n: {answer.json()} for n, answer in enumerate(answers)})

    finish(come())
    assert said == {n: {f"p{n}@example.com"} for n in range(200)}
    assert sorted(visited) == sorted(f"p{n}@example.com" for n in range(200)), "each seen once"


def test_q19_a_database_that_blocks_does_not_block_the_loop(
    customers: Customers, tmp_path: Path
) -> None:
    """S12 too: everything the hooks do is done while the database is held by somebody else."""
    held, done = threading.Event(), threading.Event()
    customers.crm.project("notes").identify("x@example.com")

    def hold() -> None:
        with customers.crm.store.begin("default"):
            held.set()
            done.wait(100)

    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(20)
    with TinyCRM(customers.url, project="notes") as crm:
        reporter = Reporter(crm, on_delete="delete")

        async def work() -> None:
            for number in range(1000):
                person = reporter.person(Person(f"p{number}@example.com"), "test")
                reporter.signed_up(person)
                reporter.visited(Person(f"q{number}@example.com"))
                if number % 200 == 0:
                    reporter.email_changed(f"p{number}@example.com", person, may_merge=True)
                    reporter.deleted(f"r{number}@example.com")
                await asyncio.sleep(0)

        finish(work())
        assert holder.is_alive(), "all that was done while nobody could write"
        done.set()
        holder.join()
        assert reporter.crm.flush(20)
        assert crm.customers.count() == 1001


def test_the_environment_describes_a_reporter(customers: Customers) -> None:
    reporter = reporter_from_environment(
        {
            "TINYCRM_DATABASE": customers.url,
            "TINYCRM_PROJECT": "notes",
            "TINYCRM_SKIP_STAFF": "yes",
            "TINYCRM_PING_INTERVAL": "0",
            "TINYCRM_DEBUG": "0",
        }
    )
    staff = Person("root@example.com")
    staff.is_staff = True  # type: ignore[attr-defined]
    assert reporter.person(staff, "test") is None
    reporter.visited(Person(ADA))
    reporter.signed_up(reporter.person(Person(ADA), "test"))
    assert list(customers.of(reporter)) == [ADA]
    assert reporter.crm.stats().queued == 1
    reporter.crm.close()


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({}, "TINYCRM_DATABASE: missing"),
        ({"TINYCRM_DATABASE": "memory://"}, "TINYCRM_PROJECT: missing"),
        ({"TINYCRM_SKIP_STAFF": "perhaps"}, "TINYCRM_SKIP_STAFF: expected true or false"),
        ({"TINYCRM_PING_INTERVAL": "often"}, "TINYCRM_PING_INTERVAL: expected a number"),
    ],
)
def test_a_wrong_environment_is_refused_by_name(environment: dict[str, str], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        reporter_from_environment(environment)


def test_a_client_without_a_product_is_refused() -> None:
    with TinyCRM("memory://") as crm, pytest.raises(NotSupported, match="not bound to a product"):
        Reporter(crm)


def test_the_lifespan_wraps_the_one_there_is(reporter: Reporter, customers: Customers) -> None:
    heard: list[str] = []

    @contextlib.asynccontextmanager
    async def own(app: FastAPI) -> AsyncIterator[dict[str, str]]:
        heard.append("start")
        yield {"of": "the host"}
        heard.append("stop")

    app = FastAPI(lifespan=lifespan(reporter, own))

    @app.get("/")
    async def state(request: Request) -> str:
        reporter.signed_up(reporter.person(Person(ADA), "test"))
        return str(request.state.of)

    with TestClient(app) as client:
        assert client.get("/").json() == "the host"
    assert heard == ["start", "stop"]
    assert reporter.crm.stats().delivered == 1, "sent before the application stopped"


def test_without_the_middleware_the_error_says_so() -> None:
    app = FastAPI()

    @app.get("/")
    async def ask(crm: Annotated[TinyCRM, Depends(get_crm)]) -> str:
        return "never"

    with pytest.raises(NotSupported, match=r"app\.add_middleware"):
        TestClient(app).get("/")


def test_two_products_in_one_process_have_a_client_each(tmp_path: Path) -> None:
    apps = {}
    for project in ("notes", "shop"):
        crm = TinyCRM("memory://", project=project)
        app = apps[project] = FastAPI()
        app.add_middleware(TinyCRMMiddleware, reporter=Reporter(crm))

        @app.get("/")
        async def which(crm: Annotated[TinyCRM, Depends(get_crm)]) -> str:
            return crm.bound.slug

    outer = FastAPI()
    for project, app in apps.items():
        outer.mount(f"/{project}", app)
        assert TestClient(app).get("/").json() == project
        assert TestClient(outer).get(f"/{project}/").json() == project


def test_a_user_nobody_has_an_address_for_is_no_ping(
    reporter: Reporter, lines: Callable[[], list[str]]
) -> None:
    """F11: anonymous users, users of another kind, names, numbers."""
    for user in (None, "ada", 5, {"email": ADA}, Person(""), type("Anonymous", (), {})()):
        reporter.visited(user)
    anonymous = Person(ADA)
    anonymous.is_authenticated = False
    reporter.visited(anonymous)
    assert reporter.crm.stats().queued == 0
    assert lines() == []


def test_f13_importing_needs_nothing_but_the_framework() -> None:
    probe = (
        "import sys, threading; import {module}; assert threading.active_count() == 1;"
        "print(sorted({{name.partition('.')[0] for name in sys.modules}} & {{'sqlalchemy',"
        " 'fastapi_users', 'flask', 'django', 'psycopg', 'tinycrm_server', 'rich', {extra}}}))"
    )
    for module, extra in (
        ("tinycrm_integrations.fastapi", "'uvicorn'"),
        ("tinycrm_integrations.starlette", "'fastapi'"),
    ):
        code = probe.format(module=module, extra=extra)
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert done.stdout == "[]\n", done.stderr

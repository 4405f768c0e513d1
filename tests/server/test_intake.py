"""Calls that arrive together are written together, and each gets its own answer."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.loops import finish
from tinycrm_core.bound import BoundProject
from tinycrm_core.client import TinyCRM
from tinycrm_core.errors import Forgotten, StoreError
from tinycrm_core.events import Event, Identify, Ping
from tinycrm_core.model import Result
from tinycrm_server import intake
from tinycrm_server.auth import Caller, Keys
from tinycrm_server.intake import Intake


class Desk:
    """An intake, the holders of two keys, and what went into each transaction."""

    def __init__(self, crm: TinyCRM, sent: list[list[str]]) -> None:
        self.crm, self.sent = crm, sent
        self.writers = {}
        for slug in ("news", "shop"):
            crm.projects.add(slug)
            crm.keys.create(slug)
            key = next(each for each, of in crm.keys.list() if of == slug)
            self.writers[slug] = Caller("default", key, slug)

    def apply(self, *calls: list[Event], slug: str = "news", gone: int | None = None) -> list[Any]:
        """Answers of calls that arrive in one moment, or what they raise; one may not wait."""

        async def work() -> list[Any]:
            found = Intake(Keys(self.crm))
            tasks = [
                asyncio.create_task(found.apply(self.writers[slug], events)) for events in calls
            ]
            if gone is not None:
                await asyncio.sleep(0)
                tasks[gone].cancel()
            return await asyncio.gather(*tasks, return_exceptions=True)

        return finish(work())


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    sent: list[list[str]] = []
    send = BoundProject.send

    def sending(project: BoundProject, events: Any, **options: Any) -> Any:
        sent.append([each.email.partition("@")[0] for each in events])
        if any(each.email.startswith("bomb") for each in events):
            raise RuntimeError("nobody thought of this one")
        if any(each.email.startswith("down") for each in events):
            raise StoreError("the disk is full")
        return send(project, events, **options)

    with TinyCRM("memory://") as crm:
        desk = Desk(crm, sent)
        monkeypatch.setattr(BoundProject, "send", sending)
        yield desk


def one(name: str) -> list[Event]:
    return [Identify(f"{name}@example.com")]


def many(name: str, count: int) -> list[Event]:
    return [Identify(f"{name}{number}@example.com") for number in range(count)]


def test_calls_of_one_moment_share_a_transaction(desk: Desk) -> None:
    desk.crm.customers.delete("bo@example.com", forget=True)
    ada, bo, unknown, again = desk.apply(
        one("ada"), one("bo"), [Ping("nobody@example.com")], one("ada")
    )
    assert desk.sent == [["ada", "bo", "nobody", "ada"]]
    assert [each.action for each in (*ada, *again)] == ["created", "unchanged"]
    assert isinstance(bo[0], Forgotten)
    assert unknown == [False]
    assert desk.crm.customers.count() == 1


def test_a_transaction_has_at_most_a_batch(desk: Desk) -> None:
    answers = desk.apply(many("a", 300), many("b", 200), many("c", 1), many("d", 500), [])
    assert [len(each) for each in desk.sent] == [500, 1, 500]
    assert [len(each) for each in answers] == [300, 200, 1, 500, 0]
    assert all(isinstance(each, Result) for answer in answers for each in answer)


def test_what_one_call_breaks_is_not_what_the_others_get(desk: Desk) -> None:
    ada, bomb, bo = desk.apply(one("ada"), one("bomb"), one("bo"))
    assert desk.sent == [["ada", "bomb", "bo"], ["ada"], ["bomb"], ["bo"]]
    assert (ada[0].action, bo[0].action) == ("created", "created")
    assert isinstance(bomb, RuntimeError)


def test_a_database_that_fails_is_not_asked_again(desk: Desk) -> None:
    found = desk.apply(one("ada"), one("down"), one("bo"))
    assert desk.sent == [["ada", "down", "bo"]]
    assert [type(each) for each in found] == [StoreError] * 3
    assert desk.crm.customers.count() == 0


@pytest.mark.parametrize("gone", [0, 1])
def test_who_goes_away_holds_nobody_up(desk: Desk, gone: int) -> None:
    found = desk.apply(one("ada"), one("bo"), one("cy"), gone=gone)
    assert isinstance(found.pop(gone), asyncio.CancelledError)
    assert [each[0].action for each in found] == ["created"] * 2
    assert desk.crm.customers.count() == 3


def test_without_a_thread_nobody_waits_for_ever(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def no_thread(*_: Any) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(intake, "run_in_threadpool", no_thread)
    assert [type(each) for each in desk.apply(one("ada"), one("bo"))] == [RuntimeError] * 2
    monkeypatch.undo()
    assert desk.apply(one("ada"))[0][0].action == "created"


def test_a_server_that_ends_at_once_leaves_nobody_waiting(desk: Desk) -> None:
    async def work() -> list[Any]:
        found = Intake(Keys(desk.crm))
        tasks = [
            asyncio.create_task(found.apply(desk.writers["news"], many(name, 300)))
            for name in ("a", "b")
        ]
        while not desk.sent:
            await asyncio.sleep(0)
        for each in found._workers:
            each.cancel()
        return await asyncio.gather(*tasks, return_exceptions=True)

    assert [type(each) for each in finish(work())] == [asyncio.CancelledError] * 2


def test_a_product_that_is_renamed_does_not_come_back(desk: Desk) -> None:
    """However long the line of its key has been busy."""

    async def work() -> None:
        found, before = Intake(Keys(desk.crm)), desk.writers["news"]
        first = asyncio.create_task(found.apply(before, one("ada")))
        while not desk.sent:
            await asyncio.sleep(0)
        desk.crm.projects.rename("news", slug="letter")
        await asyncio.gather(first, found.apply(replace(before, project="letter"), one("bo")))

    finish(work())
    assert [each.slug for each in desk.crm.projects.list()] == ["letter", "shop"]
    assert desk.crm.customers.count("project:letter") == 2


def test_each_key_has_a_line_of_its_own(desk: Desk) -> None:
    async def work() -> None:
        found = Intake(Keys(desk.crm))
        writers = desk.writers.values()
        await asyncio.gather(*(found.apply(each, one("ada")) for each in writers))

    finish(work())
    assert desk.sent == [["ada"], ["ada"]]
    (ada,) = desk.crm.customers.find("")
    assert [each.project for each in ada.memberships] == ["news", "shop"]

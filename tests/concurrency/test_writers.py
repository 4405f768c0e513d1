"""Many writers at once: one person stays one person, and nothing anybody wrote is lost."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, event

from tests.concurrency.databases import broken, rows, sqlite_url
from tests.concurrency.together import FULL, PATIENCE, Meeting, in_processes, in_threads
from tinycrm_core.client import TinyCRM
from tinycrm_core.events import Identify
from tinycrm_core.limits import Limits

pytestmark = pytest.mark.timeout(PATIENCE + 10)
ROUNDS = 200 if FULL else 20
WIDE = Limits(keys=1000)


def meet_new_people(number: int, meeting: Meeting, crm: TinyCRM | str, rounds: int) -> list[str]:
    """Everybody identifies the same new person at once, half of them on each of two products."""
    crm = TinyCRM(crm) if isinstance(crm, str) else crm
    product = crm.project("even" if number % 2 == 0 else "odd")
    actions = []
    for each in range(rounds):
        meeting.wait(60)
        spelled = f"Ada{each}@Example.com" if number % 3 else f"ada{each}@example.com"
        actions.append(product.identify(spelled, params={f"k{number}": each}).action)
    return actions


def check_new_people(crm: TinyCRM, actions: list[list[str]], writers: int) -> None:
    for each in range(ROUNDS):
        assert [of[each] for of in actions].count("created") == 1
        person = crm.customers.get(f"ada{each}@example.com")
        assert person is not None
        assert sorted(m.project for m in person.memberships) == ["even", "odd"]
        keys = {key for m in person.memberships for key in m.params}
        assert keys == {f"k{number}" for number in range(writers)}
    assert crm.customers.count() == ROUNDS
    assert len(crm.projects.list()) == 2


def test_s1_16_threads_meet_the_same_new_person(where: str) -> None:
    with TinyCRM(where) as crm:
        check_new_people(crm, in_threads(16, meet_new_people, crm, ROUNDS), 16)
        assert rows(where, "tinycrm_memberships") == 2 * ROUNDS
    assert not broken(where)


def test_s1_8_processes_meet_the_same_new_person(where: str) -> None:
    # The first of them find no tables, no account and no project either.
    actions = in_processes(8, meet_new_people, where, ROUNDS)
    with TinyCRM(where) as crm:
        check_new_people(crm, actions, 8)
        assert crm.store.accounts() == ["default"]
    assert rows(where, "tinycrm_memberships") == 2 * ROUNDS
    assert not broken(where)


def test_s1_s13_16_threads_meet_the_same_new_person_in_memory() -> None:
    with TinyCRM("memory://") as crm:
        check_new_people(crm, in_threads(16, meet_new_people, crm, ROUNDS), 16)


def write_own_keys(number: int, meeting: Meeting, crm: TinyCRM | str, times: int) -> None:
    crm = TinyCRM(crm, limits=WIDE) if isinstance(crm, str) else crm
    product = crm.project("shop")
    meeting.wait(60)
    for each in range(times):
        product.identify("ada@example.com", params={f"k{number}.{each}": each, "own": number})


def test_threads_of_one_process_wait_in_a_line(tmp_path: Path) -> None:
    """Not by looking again and again, as SQLite does: here each looks once and would fail."""
    engine = create_engine(f"sqlite:///{tmp_path}/crm.db", connect_args={"timeout": 0})
    with TinyCRM(engine) as crm:
        crm.projects.add("shop")
        in_threads(8, write_own_keys, crm, 25)
        assert crm.customers.count() == 1
    engine.dispose()


KEYS_EACH = 100 if FULL else 25


def check_own_keys(crm: TinyCRM) -> None:
    person = crm.customers.get("ada@example.com")
    assert person is not None
    params = person.memberships[0].params
    expected = {f"k{number}.{each}": each for number in range(8) for each in range(KEYS_EACH)}
    assert {key: value for key, value in params.items() if key != "own"} == expected


def test_s2_keys_of_8_processes_all_survive(where: str) -> None:
    in_processes(8, write_own_keys, where, KEYS_EACH)
    with TinyCRM(where) as crm:
        check_own_keys(crm)
    assert not broken(where)


def test_s2_s13_keys_of_8_threads_all_survive_in_memory() -> None:
    with TinyCRM("memory://", limits=WIDE) as crm:
        in_threads(8, write_own_keys, crm, KEYS_EACH)
        check_own_keys(crm)


def read_and_write(number: int, meeting: Meeting, where: str, seconds: float) -> list[str]:
    """Reading, writing and reading before writing; the keys that were acknowledged."""
    crm = TinyCRM(where)
    product = crm.project("shop")
    acknowledged = []
    meeting.wait(60)
    until, each = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        each += 1
        crm.customers.find("status:trial", sort="-active@shop" if each % 2 else "-seen")
        email = f"p{(each * 7 + number) % 40}@example.com"
        if crm.customers.get(email) is None or each % 3:
            product.identify(email, status="trial", params={f"n{number}": each})
            acknowledged.append(email)
        else:
            product.ping(email)
        if each % 20 == 0:
            names = [f"p{one}@example.com" for one in range(40)]
            product.send([Identify(one, params={"all": each}) for one in names])
        crm.customers.count("p.all>0")
    return acknowledged


def test_s3_nobody_sees_a_locked_database(where: str) -> None:
    with TinyCRM(where) as crm:
        crm.projects.add("shop")
        answers = in_processes(4, read_and_write, where, 60 if FULL else 3)
        assert all(answers)
        for number, acknowledged in enumerate(answers):
            for email in set(acknowledged):
                person = crm.customers.get(email)
                assert person is not None
                assert f"n{number}" in person.memberships[0].params
    assert not broken(where)


def test_s3_c2_every_pooled_connection_is_set_up(tmp_path: Path) -> None:
    with TinyCRM(sqlite_url(tmp_path)) as crm:
        seen: dict[int, dict[str, Any]] = {}
        engine = crm.store._connections.engine

        def look(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
            driver = connection.connection.driver_connection
            seen[id(driver)] = {
                name: driver.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("journal_mode", "foreign_keys", "busy_timeout", "synchronous")
            }

        crm.project("shop").identify("ada@example.com")
        event.listen(engine, "before_cursor_execute", look)

        def read(number: int, meeting: Meeting) -> None:
            with crm.store.begin("default", write=False) as tx:
                meeting.wait(60)  # all hold a connection now, more than the pool keeps
                tx.projects()

        in_threads(12, read)
        assert len(seen) == 12
        for pragmas in seen.values():
            assert pragmas == {
                "journal_mode": "wal",
                "foreign_keys": 1,
                "busy_timeout": 15000,
                "synchronous": 2,  # FULL
            }


def import_people(
    number: int, meeting: Meeting, where: str, people: int, times: int, size: int
) -> int:
    """Send the same people in batches, one importer from the front and the other from the back."""
    crm = TinyCRM(where)
    product = crm.project("shop" if number % 2 else "news")
    emails = [f"p{each}@example.com" for each in range(people)]
    if number % 2:
        emails.reverse()
    refused = 0
    for each in range(times):
        meeting.wait(60)
        for start in range(0, people, size):
            events = [
                Identify(email, params={f"n{number}": each, "source": email}, active=False)
                for email in emails[start : start + size]
            ]
            answers = product.send(events, via="import")
            refused += sum(isinstance(answer, Exception) for answer in answers)
    return refused


@pytest.mark.parametrize("size", [50, 1000])
def test_s4_importers_in_opposite_order_see_no_error(where: str, size: int) -> None:
    people, times = (5000, 20) if FULL else (400, 3)
    assert in_processes(2, import_people, where, people, times, size) == [0, 0]
    assert rows(where, "tinycrm_customers") == people
    assert rows(where, "tinycrm_memberships") == 2 * people
    assert not broken(where)

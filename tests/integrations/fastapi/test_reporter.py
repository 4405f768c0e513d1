"""What is no event and so has to be done beside the queue: other addresses and deletions."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from typing import Any

import pytest

from tests.integrations.fastapi.conftest import Customers
from tests.integrations.flask.conftest import eventually
from tinycrm_core import Identify, Limits, StoreError
from tinycrm_core.client import TinyCRM
from tinycrm_integrations import reporting
from tinycrm_integrations.reporting import Reporter

OLD, NEW = "ada@example.com", "ada@lovelace.example"


def change(reporter: Reporter, *, may_merge: bool = False) -> None:
    reporter.email_changed(OLD, Identify(NEW), may_merge=may_merge)


def test_an_address_changed_right_after_the_sign_up_is_changed(
    reporter: Reporter, customers: Customers
) -> None:
    reporter.signed_up(Identify(OLD))
    change(reporter)
    eventually(lambda: customers.crm.customers.count(f"email:{NEW}"))
    (person,) = customers.of(reporter).values()
    assert person.aliases == (OLD,)


def test_a_login_that_overtakes_the_change_of_address_is_the_same_person(
    reporter: Reporter, customers: Customers, monkeypatch: pytest.MonkeyPatch
) -> None:
    reporter.signed_up(Identify(OLD))
    assert customers.of(reporter)
    flush = reporter.crm.flush

    def overtaken(timeout: float | None = None) -> bool:
        reporter.logged_in(Identify(NEW))
        return flush(timeout)

    monkeypatch.setattr(reporter.crm, "flush", overtaken)
    change(reporter)
    eventually(lambda: OLD not in customers.of(reporter))
    assert [each.aliases for each in customers.of(reporter).values()] == [(OLD,)]


def test_an_address_may_be_changed_back(reporter: Reporter, customers: Customers) -> None:
    reporter.signed_up(Identify(OLD))
    change(reporter)
    eventually(lambda: NEW in customers.of(reporter))
    reporter.email_changed(NEW, Identify(OLD), may_merge=False)
    eventually(lambda: OLD in customers.of(reporter))
    assert [each.aliases for each in customers.of(reporter).values()] == [(NEW,)]


def test_somebody_unknown_is_known_under_the_new_address(
    reporter: Reporter, customers: Customers
) -> None:
    change(reporter)
    eventually(lambda: NEW in customers.of(reporter))
    assert len(customers.of(reporter)) == 1
    assert reporter.guard.failures == {}


def test_a_database_that_comes_back_gets_the_change_after_all(
    reporter: Reporter, customers: Customers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reporting, "PAUSES", (0.01, 0.01, 0.01))
    reporter.signed_up(Identify(OLD))
    assert customers.of(reporter)
    tried: list[int] = []
    begin = reporter.crm.store.begin

    def failing(account: str, *, write: bool = True) -> Any:
        if threading.current_thread().name == "tinycrm aside" and len(tried) < 2:
            tried.append(1)
            raise StoreError("down")
        return begin(account, write=write)

    monkeypatch.setattr(reporter.crm.store, "begin", failing)
    change(reporter)
    eventually(lambda: NEW in customers.of(reporter))
    assert len(tried) == 2
    assert len(customers.of(reporter)) == 1


EXITING = """
import sys
from tinycrm_core import Identify, TinyCRM
from tinycrm_integrations.reporting import Reporter

reporter = Reporter(TinyCRM(sys.argv[1], project="notes"))
reporter.signed_up(Identify("ada@example.com"))
reporter.email_changed("ada@example.com", Identify("ada@lovelace.example"), may_merge=True)
"""


def test_a_process_that_ends_at_once_changes_the_address_first(customers: Customers) -> None:
    subprocess.run([sys.executable, "-c", EXITING, customers.url], check=True)
    (person,) = customers.crm.customers.find()
    assert (person.email, person.aliases) == (NEW, (OLD,))


def test_a_process_that_ends_does_not_wait_for_long(customers: Customers) -> None:
    customers.crm.project("notes").identify("x@example.com")
    start = time.monotonic()
    with customers.crm.store.begin("default"):
        command = [sys.executable, "-c", EXITING, customers.url]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - start < 40


def test_a_deletion_with_no_thread_to_be_had_is_a_line_in_the_log(
    reporter: Reporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with TinyCRM("memory://", project="notes") as crm:
        deleting = Reporter(crm, on_delete="delete")
        monkeypatch.setattr(threading.Thread, "start", start)
        deleting.deleted(OLD)
        deleting.email_changed(OLD, Identify(NEW), may_merge=True)
        assert deleting.guard.failures == {"deletion": 1, "email change": 1}


def test_a_client_with_room_for_more_takes_more(customers: Customers) -> None:
    limits = Limits(keys=500)
    params = {f"key{number}": number for number in range(400)}
    with TinyCRM(customers.url, project="notes", limits=limits) as crm:
        reporter = Reporter(crm)
        for tell in (reporter.signed_up, reporter.updated, reporter.logged_in):
            reporter._told.clear()
            tell(Identify(OLD, params=params, limits=limits))
        assert customers.of(reporter)[OLD].on("notes").params == params
        assert reporter.guard.failures == {}
        assert crm.stats().delivered == 3

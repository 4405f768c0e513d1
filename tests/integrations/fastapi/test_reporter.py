"""Other addresses, in their order among what is queued, and deletions, beside it."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from typing import Any

import pytest

from tests.integrations.customers import Customers
from tests.patience import eventually
from tinycrm_core import Identify, Limits, NotSupported, StoreError
from tinycrm_core.client import TinyCRM
from tinycrm_core.keys import new_key
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
    reporter: Reporter, customers: Customers
) -> None:
    reporter.signed_up(Identify(OLD))
    assert customers.of(reporter)
    reporter.crm.queue._interval = 60  # type: ignore[union-attr]
    change(reporter)
    customers.crm.project("notes").identify(NEW)
    assert set(customers.of(reporter)) == {NEW}
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


@pytest.mark.parametrize("on_delete", ["delete", "forget"])
def test_a_database_that_comes_back_gets_the_deletion_after_all(
    on_delete: Any, customers: Customers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reporting, "PAUSES", (0.01, 0.01, 0.01))
    tried: list[int] = []
    with TinyCRM(customers.url, project="notes") as crm:
        reporter = Reporter(crm, on_delete=on_delete)
        reporter.signed_up(Identify(OLD))
        assert customers.of(reporter)
        begin = crm.store.begin

        def failing(account: str, *, write: bool = True) -> Any:
            if threading.current_thread().name == "tinycrm aside" and len(tried) < 2:
                tried.append(1)
                raise StoreError("down")
            return begin(account, write=write)

        monkeypatch.setattr(crm.store, "begin", failing)
        reporter.deleted(OLD)
        eventually(lambda: not customers.of(reporter))
        assert len(tried) == 2
        reporter.signed_up(Identify(OLD))
        assert crm.in_background().flush(20) is (on_delete == "delete")
        assert crm.customers.count() == (on_delete == "delete")


def test_a_server_erases_nobody_for_one_product() -> None:
    with TinyCRM(api_key=new_key("proj").secret, url="https://crm.example.com") as crm:
        for on_delete in ("delete", "forget"):
            with pytest.raises(NotSupported, match="on_delete: a server erases nobody"):
                Reporter(crm, on_delete=on_delete)  # type: ignore[arg-type]
        assert Reporter(crm, on_delete="keep")


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
        assert deleting.guard.failures == {"deletion": 1}


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

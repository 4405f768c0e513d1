"""A customer database that a product reports to, and what it holds once everything has arrived."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tinycrm_core import Customer
from tinycrm_core.client import TinyCRM
from tinycrm_integrations.reporting import Reporter


class Customers:
    """The people in the database of a test, looked at from outside of the product."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.crm = TinyCRM(url)

    def of(self, reporter: Reporter) -> dict[str, Customer]:
        """Everybody by address, after the reporter has sent what it holds."""
        assert reporter.crm.flush(20)
        return {each.email: each for each in self.crm.customers.find(limit=200)}

    def statuses(self, reporter: Reporter, project: str = "notes") -> dict[str, str]:
        return {email: str(each.on(project).status) for email, each in self.of(reporter).items()}


@pytest.fixture
def customers(tmp_path: Path) -> Iterator[Customers]:
    found = Customers(f"sqlite:///{tmp_path / 'customers.db'}")
    yield found
    found.crm.close()


@pytest.fixture
def reporter(customers: Customers) -> Iterator[Reporter]:
    with TinyCRM(customers.url, project="notes", background=True, via="fastapi") as crm:
        yield Reporter(crm)


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """What the guard has logged; queues of earlier tests may still have something to say."""
    caplog.set_level(logging.DEBUG, "tinycrm")

    def said() -> list[str]:
        messages = [each.getMessage() for each in caplog.records if each.name == "tinycrm"]
        return [each for each in messages if each.startswith("TinyCRM: ")]

    return said

"""A customer database that a product reports to, and what it holds once everything has arrived."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from tinycrm_core import Customer
from tinycrm_core.client import TinyCRM

PATIENCE = 20.0


class Customers:
    """The people in the database of a test, looked at from outside of the product."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.crm = TinyCRM(url)

    def of(self, app: Flask) -> dict[str, Customer]:
        """Everybody by address, after the application has sent what it holds."""
        assert app.extensions["tinycrm"].crm.flush(PATIENCE)
        return {each.email: each for each in self.crm.customers.find(limit=200)}

    def statuses(self, app: Flask, project: str = "notes") -> dict[str, str]:
        return {email: str(each.on(project).status) for email, each in self.of(app).items()}


@pytest.fixture
def customers(tmp_path: Path) -> Iterator[Customers]:
    found = Customers(f"sqlite:///{tmp_path / 'customers.db'}")
    yield found
    found.crm.close()


@pytest.fixture
def reported(customers: Customers) -> dict[str, Any]:
    """Settings of a product that reports to that database."""
    return {"TINYCRM_DATABASE": customers.url, "TINYCRM_PROJECT": "notes"}


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """What the guard has logged; queues of earlier tests may still have something to say."""
    caplog.set_level(logging.DEBUG, "tinycrm")

    def said() -> list[str]:
        messages = [each.getMessage() for each in caplog.records if each.name == "tinycrm"]
        return [each for each in messages if each.startswith("TinyCRM: ")]

    return said


def eventually(holds: Callable[[], object]) -> None:
    """Wait until something that happens in the background has happened."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)

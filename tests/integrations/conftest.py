"""What the tests of every framework use."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integrations.customers import Customers


@pytest.fixture
def customers(tmp_path: Path) -> Iterator[Customers]:
    found = Customers(f"sqlite:///{tmp_path / 'customers.db'}")
    yield found
    found.crm.close()


@pytest.fixture
def warned(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """What has been logged so far."""
    caplog.set_level(logging.DEBUG, "tinycrm")
    return lambda: [each.getMessage() for each in caplog.records if each.name == "tinycrm"]


@pytest.fixture
def lines(warned: Callable[[], list[str]]) -> Callable[[], list[str]]:
    """What the guard has logged; queues of earlier tests may still have something to say."""
    return lambda: [each for each in warned() if each.startswith("TinyCRM: ")]

"""What the tests of every framework use."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integrations.customers import Customers


@pytest.fixture(autouse=True)
def no_look_is_left() -> Iterator[None]:
    """What a test began to look at has been said before the next one listens."""
    yield
    for thread in threading.enumerate():
        if thread.name == "tinycrm check":
            thread.join(30)


@pytest.fixture
def customers(tmp_path: Path) -> Iterator[Customers]:
    found = Customers(f"sqlite:///{tmp_path / 'customers.db'}")
    yield found
    found.crm.close()


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Callable[[], list[logging.LogRecord]]:
    """What has been logged so far, also by queues of earlier tests that had something to say."""
    caplog.set_level(logging.DEBUG, "tinycrm")
    return lambda: [each for each in caplog.records if each.name == "tinycrm"]


@pytest.fixture
def warned(logged: Callable[[], list[logging.LogRecord]]) -> Callable[[], list[str]]:
    """What the look at the start has said."""
    return lambda: [each.getMessage() for each in logged() if each.module == "startup"]


@pytest.fixture
def lines(logged: Callable[[], list[logging.LogRecord]]) -> Callable[[], list[str]]:
    """What the guard has said."""
    return lambda: [
        text for each in logged() if (text := each.getMessage()).startswith("TinyCRM: ")
    ]

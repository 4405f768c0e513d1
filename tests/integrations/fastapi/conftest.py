"""A product that reports to a customer database."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integrations.customers import Customers
from tinycrm_core.client import TinyCRM
from tinycrm_integrations.reporting import Reporter


@pytest.fixture
def reporter(customers: Customers) -> Iterator[Reporter]:
    with TinyCRM(customers.url, project="notes", background=True, via="fastapi") as crm:
        yield Reporter(crm)

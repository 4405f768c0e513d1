"""A product that reports to a customer database."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integrations.customers import Customers


@pytest.fixture
def reported(customers: Customers) -> dict[str, Any]:
    """Settings of a product that reports to that database."""
    return {"TINYCRM_DATABASE": customers.url, "TINYCRM_PROJECT": "notes"}

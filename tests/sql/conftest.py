"""A fresh store on each engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tinycrm_core.sql import SQLStore


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'crm.db'}"
    found: str = request.getfixturevalue("fresh_postgres_url")
    return found


@pytest.fixture
def store(url: str) -> Iterator[SQLStore]:
    store = SQLStore(url)
    yield store
    store.close()

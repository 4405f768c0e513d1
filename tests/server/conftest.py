"""A server of its own for each test, over memory; test_database.py has one over SQLite."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server.live import Live, serving
from tinycrm_core.client import TinyCRM


@pytest.fixture
def live() -> Iterator[Live]:
    """Two products, a key each, and keys of the account to read and to administer."""
    with TinyCRM("memory://") as crm, serving(crm) as server:
        for slug, name in (("newsletter", "news"), ("shop", "shop")):
            crm.projects.add(slug)
            server.keys[name] = crm.keys.create(slug, label=name).secret
        server.keys["read"] = crm.keys.create(scope="read").secret
        yield server


@pytest.fixture(params=["sqlite", "postgres"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database that several processes can share."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/crm.db"
    url: str = request.getfixturevalue("fresh_postgres_url")
    return url

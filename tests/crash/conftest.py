"""Each test here runs on a SQLite file and on a real PostgreSQL, both empty at first."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.concurrency.databases import sqlite_url


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of an empty database of the test's own."""
    if request.param == "sqlite":
        return sqlite_url(tmp_path)
    url: str = request.getfixturevalue("fresh_postgres_url")
    return url

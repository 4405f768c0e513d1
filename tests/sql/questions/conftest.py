"""Databases with empty tables, one per engine and module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from tests import postgres
from tests.sql.questions.people import created


@pytest.fixture(scope="module")
def sqlite_engine() -> Iterator[sa.Engine]:
    engine = created("sqlite://")
    yield engine
    engine.dispose()


@pytest.fixture(scope="module")
def postgres_engine(postgres_server: str) -> Iterator[sa.Engine]:
    with postgres.database(postgres_server) as url:
        engine = created(url)
        yield engine
        engine.dispose()


@pytest.fixture(params=["sqlite", "postgres"])
def engine(request: pytest.FixtureRequest) -> sa.Engine:
    """Each engine in turn; what a test writes it has to roll back."""
    found: sa.Engine = request.getfixturevalue(f"{request.param}_engine")
    return found

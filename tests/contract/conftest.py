"""One fixture, three backends: a client of an account that nobody else uses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tinycrm_core import TinyCRM
from tinycrm_core.memory import MemoryStore
from tinycrm_core.store import Store

BACKENDS = ("memory", "sqlite", "postgres")


@pytest.fixture(scope="session")
def memory_store() -> Store:
    return MemoryStore()


@pytest.fixture(scope="session")
def sqlite_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file behind `sqlite_store`."""
    return tmp_path_factory.mktemp("sqlite") / "crm.db"


@pytest.fixture(scope="session")
def sqlite_store(sqlite_file: Path) -> Iterator[Store]:
    with TinyCRM(f"sqlite:///{sqlite_file}") as crm:
        yield crm.store


@pytest.fixture(scope="session")
def postgres_store(postgres_url: str) -> Iterator[Store]:
    with TinyCRM(postgres_url) as crm:
        yield crm.store


@pytest.fixture(params=BACKENDS)
def store(request: pytest.FixtureRequest) -> Store:
    """A store that one worker's tests share."""
    found: Store = request.getfixturevalue(f"{request.param}_store")
    return found


@pytest.fixture
def crm(store: Store) -> TinyCRM:
    """A client of an account that holds nothing yet."""
    return TinyCRM.over(store, account=str(uuid4()))


@pytest.fixture
def every_crm(memory_store: Store, sqlite_store: Store, postgres_store: Store) -> list[TinyCRM]:
    """One such client per backend, for tests that compare their answers."""
    account = str(uuid4())
    stores = (memory_store, sqlite_store, postgres_store)
    return [TinyCRM.over(each, account=account) for each in stores]

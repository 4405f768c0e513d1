"""S11, S14: callers who leave in the middle, and readers who take their time."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

from tests.concurrency.databases import broken, sqlite_url
from tests.concurrency.together import FULL
from tests.loops import finish
from tests.patience import eventually
from tinycrm_core.client import TinyCRM
from tinycrm_core.sql import SQLStore

CALLS = 1000 if FULL else 200
IDLE = (
    "SELECT count(*) FROM pg_stat_activity "
    "WHERE datname = current_database() AND state ~ '^idle in transaction'"
)


def test_s11_calls_that_are_cancelled_give_their_connections_back(where: str) -> None:
    async def call(crm: TinyCRM, number: int) -> None:
        work = crm.aidentify if number % 2 else crm.aping
        task = asyncio.create_task(work(f"p{number % 50}@example.com"))
        await asyncio.sleep(random.uniform(0, 0.01))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def main(crm: TinyCRM) -> None:
        await asyncio.gather(*(call(crm, number) for number in range(CALLS)))

    with TinyCRM(where, project="shop") as crm:
        crm.identify("first@example.com")
        finish(main(crm))
        store = crm.store
        assert isinstance(store, SQLStore)
        pool = store._connections.engine.pool
        eventually(lambda: pool.checkedout() == 0)  # type: ignore[attr-defined]
        if store._connections.dialect == "postgresql":
            with store.connection() as connection:
                assert connection.exec_driver_sql(IDLE).scalar() == 0
        assert crm.identify("last@example.com").action == "created"
    assert not broken(where)


def test_s11_a_reader_who_stops_in_the_middle_holds_no_connection(where: str) -> None:
    with TinyCRM(where, project="shop") as crm:
        for number in range(20):
            crm.identify(f"p{number}@example.com")
        store = crm.store
        assert isinstance(store, SQLStore)
        pool = store._connections.engine.pool
        reading = crm.customers.stream()
        next(reading)
        assert pool.checkedout() == 0  # type: ignore[attr-defined]
        crm.identify("p19@example.com", status="paid")
        assert len(list(reading)) == 19


def test_s14_a_slow_reader_does_not_let_the_log_grow(tmp_path: Path) -> None:
    """SQLite writes back what it logged only as far as no transaction still reads."""
    where = sqlite_url(tmp_path)
    with TinyCRM(where, project="shop") as crm:
        for number in range(10):
            crm.identify(f"p{number}@example.com")
        reading = crm.customers.stream()
        next(reading)
        for number in range(300):
            crm.identify(f"p{number % 10}@example.com", params={"x": f"{number}" * 10_000})
        log = next(tmp_path.glob("*-wal"))
        assert log.stat().st_size < 16 * 2**20
        assert len(list(reading)) == 9

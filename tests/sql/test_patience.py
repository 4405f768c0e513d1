"""A question gets as little time as whoever asks is ready to wait."""

from __future__ import annotations

from pathlib import Path

import pytest

from tinycrm_core.client import TinyCRM
from tinycrm_core.errors import TookTooLong
from tinycrm_core.patience import within


def test_r2_a_question_without_time_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R2: it ends with an error, and the next one is answered."""
    monkeypatch.setattr("tinycrm_core.sql.store._STEPS", 10)
    with TinyCRM(f"sqlite:///{tmp_path}/crm.db") as crm:
        for number in range(50):
            crm.project("shop").identify(f"{number}@example.com")
        with within(0), pytest.raises(TookTooLong, match="took longer than it may"):
            crm.customers.count("name~zz or email~zz")
        assert crm.customers.count("email~9@") == 5


def test_r2_postgres_gives_up_too(postgres_url: str) -> None:
    with TinyCRM(postgres_url, account="patience", auto_migrate=True) as crm:
        crm.project("shop").identify("ann@example.com")
        with crm.store.begin("patience", write=False) as tx:
            shown = tx.connection.exec_driver_sql("SHOW statement_timeout").scalar_one()  # type: ignore[attr-defined]
        assert shown == "5s"
        with within(0.2), crm.store.begin("patience", write=False) as tx:
            shown = tx.connection.exec_driver_sql("SHOW statement_timeout").scalar_one()  # type: ignore[attr-defined]
        assert shown == "200ms"


def test_postgres_compiles_no_question(postgres_url: str) -> None:
    """Only a question's own transaction says so: the host's setting stays as it is."""
    with TinyCRM(postgres_url, account="patience", auto_migrate=True) as crm:
        with crm.store.begin("patience", write=False) as tx:
            shown = tx.connection.exec_driver_sql("SHOW jit").scalar_one()  # type: ignore[attr-defined]
            assert shown == "off"
        with crm.store.connection() as connection:  # type: ignore[attr-defined]
            there = connection.exec_driver_sql(
                "SELECT reset_val FROM pg_settings WHERE name = 'jit'"
            )
            assert connection.exec_driver_sql("SHOW jit").scalar_one() == there.scalar_one()

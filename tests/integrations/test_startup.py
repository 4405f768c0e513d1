"""What is wrong where people go is told apart at the start, each with what to do about it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.delivery.faults import Reply, accepted, refused, refusing, scripted
from tests.server.live import Live, serving
from tinycrm_core.client import TinyCRM
from tinycrm_core.keys import new_key
from tinycrm_integrations.startup import Misconfigured, look


@pytest.fixture
def live() -> Iterator[Live]:
    with TinyCRM("memory://") as crm, serving(crm) as server:
        crm.projects.add("shop")
        server.keys["shop"] = crm.keys.create("shop").secret
        yield server


def found(where: Any, *, project: str | None = "shop", **options: Any) -> Misconfigured | None:
    with TinyCRM(where, project=project, background=False, **options) as crm:
        return look(crm)


def wrong(where: Any, **options: Any) -> Misconfigured:
    fault = found(where, **options)
    assert fault is not None
    return fault


def of_version(file: Path, version: str) -> str:
    """A database whose tables another TinyCRM has made."""
    with TinyCRM(f"sqlite:///{file}") as crm:
        crm.projects.add("shop")
    db = sqlite3.connect(file)
    db.execute("UPDATE tinycrm_schema_version SET version_num = ?", (version,))
    db.commit()
    db.close()
    return f"sqlite:///{file}"


def test_a_server_that_takes_the_key_is_right_and_stores_nothing(live: Live) -> None:
    address = live.url.replace("//", f"//{live.keys['shop']}@")
    assert found(address) is None
    assert found(address, project=None) is None
    assert live.crm.customers.count() == 0


def test_a_key_that_nobody_has(live: Live) -> None:
    key = new_key("proj").secret
    fault = wrong(live.url.replace("//", f"//{key}@"))
    assert "does not know this API key" in fault.message
    assert "tinycrm key create" in fault.hint
    assert key not in str(fault)


def test_the_key_of_another_product(live: Live) -> None:
    fault = wrong(live.url.replace("//", f"//{live.keys['shop']}@"), project="news")
    assert "may not report this product" in fault.message
    assert "belongs to shop" in fault.message
    assert "correct its name" in fault.hint


def test_nobody_answers() -> None:
    with refusing() as port:
        fault = wrong(f"http://{new_key('proj').secret}@127.0.0.1:{port}")
    assert "cannot be reached" in fault.message
    assert "connection refused" in fault.message
    assert "that the server runs" in fault.hint


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (refused(404), "no TinyCRM server"),
        (refused(405), "no TinyCRM server"),
        (refused(308, Location="https://crm.example.com/"), "set the address it points to"),
        ((200, {}, b"<html>hotel</html>"), "no TinyCRM server"),
    ],
)
def test_something_else_answers(answer: Reply, words: str) -> None:
    with scripted(lambda _: answer) as server:
        fault = wrong(server.url)
    assert words in fault.message
    assert "Correct the address" in fault.hint


@pytest.mark.parametrize("status", [408, 429])
def test_a_server_that_is_busy_is_not_wrong(status: int) -> None:
    with scripted(lambda _: refused(status)) as server:
        assert found(server.url) is None
        server.answer = accepted
        assert found(server.url) is None


def test_a_server_whose_own_tables_are_old(tmp_path: Path, live: Live) -> None:
    with TinyCRM(of_version(tmp_path / "crm.db", "0000")) as old, serving(old) as server:
        fault = wrong(server.url.replace("//", f"//{live.keys['shop']}@"))
    assert "cannot store anything" in fault.message
    assert "Run `tinycrm migrate` there" in fault.hint
    with scripted(lambda _: refused(500)) as server:
        assert "Run `tinycrm doctor` there" in wrong(server.url).hint


def test_databases_that_are_right(tmp_path: Path) -> None:
    """Also one that has no tables yet, which the look does not make."""
    assert found("memory://") is None
    file = tmp_path / "crm.db"
    assert found(f"sqlite:///{file}") is None
    assert not file.exists()
    with TinyCRM(f"sqlite:///{file}") as crm:
        crm.projects.add("shop")
    assert found(f"sqlite:///{file}") is None


@pytest.mark.parametrize(
    ("version", "words"),
    [("0000", "of version 0000, TinyCRM needs"), ("9999", "newer (9999) than this TinyCRM")],
)
def test_tables_of_another_version(tmp_path: Path, version: str, words: str) -> None:
    where = of_version(tmp_path / "crm.db", version)
    fault = wrong(where)
    assert fault.is_old
    assert words in fault.message
    assert "`tinycrm migrate` brings older tables up to date" in fault.hint
    assert (found(where, auto_migrate=True) is None) == (version == "0000")


def folder(path: Path) -> str:
    return f"sqlite:///{path / 'nowhere' / 'crm.db'}"


def foreign(path: Path) -> str:
    (path / "text.db").write_text("this is no database, and it never was one" * 9)
    return f"sqlite:///{path / 'text.db'}"


def away(path: Path) -> str:
    return "postgresql+psycopg://nobody:hidden@127.0.0.1:9/nothing"


@pytest.mark.parametrize(
    ("place", "words"),
    [
        (folder, "cannot write there"),
        (foreign, "not a SQLite database"),
        (away, "onnection refused"),
    ],
)
def test_a_database_that_cannot_be_used(
    tmp_path: Path, place: Callable[[Path], str], words: str
) -> None:
    fault = wrong(place(tmp_path))
    assert not fault.is_old
    assert words in fault.message
    assert "hidden" not in str(fault)
    assert "Check its address" in fault.hint


def test_postgresql_tells_a_wrong_name_and_keeps_no_trace(fresh_postgres_url: str) -> None:
    assert found(fresh_postgres_url) is None
    with TinyCRM(fresh_postgres_url) as crm:
        crm.projects.add("shop")
    assert found(fresh_postgres_url) is None
    fault = wrong(fresh_postgres_url.replace("?", "_not_there?", 1))
    assert "does not exist" in fault.message

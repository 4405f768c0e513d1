"""C7: a file that is not ours, or damaged, is refused by name and stays as it is."""

from __future__ import annotations

import random
import sqlite3
from pathlib import Path

import pytest

from tinycrm_core.errors import StoreError
from tinycrm_core.sql import SQLStore
from tinycrm_core.state import ProjectState


def use(path: Path) -> int:
    store = SQLStore(f"sqlite:///{path}")
    try:
        with store.begin("acme") as tx:
            return tx.add_project(ProjectState(0, "a", "A", "leaf", 1)).id
    finally:
        store.close()


def refused(path: Path) -> str:
    """The refusal, which leaves the file alone."""
    before = path.read_bytes()
    with pytest.raises(StoreError) as caught:
        use(path)
    assert path.read_bytes() == before
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    store = SQLStore(f"sqlite:///{path}")
    assert store.check() == [str(caught.value)]
    with pytest.raises(StoreError):
        store.migrate()
    assert path.read_bytes() == before
    store.close()
    assert str(path) in str(caught.value)
    return str(caught.value)


@pytest.fixture
def other_app(tmp_path: Path) -> Path:
    """The database of another application, some pages long."""
    path = tmp_path / "other.db"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT UNIQUE)")
    other.executemany("INSERT INTO notes (text) VALUES (?)", [(f"{n}" * 500,) for n in range(90)])
    other.commit()
    other.close()
    return path


def test_random_bytes(tmp_path: Path) -> None:
    path = tmp_path / "crm.db"
    path.write_bytes(random.Random(7).randbytes(4096))
    assert "not a SQLite database" in refused(path)


@pytest.mark.parametrize("size", [1, 50])
def test_short_text(tmp_path: Path, size: int) -> None:
    path = tmp_path / "crm.db"
    path.write_text("x" * size)
    assert "not a SQLite database" in refused(path)


def test_a_truncated_file(other_app: Path) -> None:
    other_app.write_bytes(other_app.read_bytes()[:-5000])
    assert "damaged" in refused(other_app)


def test_a_damaged_page(other_app: Path) -> None:
    data = bytearray(other_app.read_bytes())
    data[2 * 4096 : 2 * 4096 + 100] = b"\xff" * 100
    other_app.write_bytes(data)
    assert "damaged" in refused(other_app)


def test_a_truncated_file_of_ours(tmp_path: Path) -> None:
    path = tmp_path / "crm.db"
    assert use(path) == 1
    path.write_bytes(path.read_bytes()[:-5000])
    assert "damaged" in refused(path)


def test_a_folder_and_a_missing_folder(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing" / "crm.db"):
        with pytest.raises(StoreError, match=str(path)):
            use(path)


def test_an_empty_file_is_an_empty_database(tmp_path: Path) -> None:
    path = tmp_path / "crm.db"
    path.touch()
    assert use(path) == 1


def test_another_applications_tables_stay(other_app: Path) -> None:
    """TinyCRM lives in the host's database: its own tables come beside."""
    assert use(other_app) == 1
    other = sqlite3.connect(other_app)
    assert other.execute("SELECT count(*), sum(length(text)) FROM notes").fetchone() == (90, 85000)
    other.close()

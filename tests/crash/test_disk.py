"""C3: a full disk or a file that cannot be written is a clear error; reading works, and so does
writing again once there is room, in the same process.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from tests.concurrency.databases import broken, sqlite_url
from tests.crash.faults import engine_of
from tinycrm_core.client import TinyCRM
from tinycrm_core.errors import StoreError
from tinycrm_core.events import Identify


def fill(crm: TinyCRM, name: str, *, most: int = 400) -> tuple[int, StoreError | None]:
    """Write people until the database refuses; how many batches of five it took."""
    for each in range(most):
        try:
            crm.project("shop").send(
                [
                    Identify(f"{name}{each}.{n}@example.com", params={"long": "x" * 900})
                    for n in range(5)
                ]
            )
        except StoreError as error:
            return each, error
    return most, None


def test_c3_a_full_database_refuses_to_write_and_recovers(tmp_path: Path) -> None:
    where = sqlite_url(tmp_path)
    pages = 2**30
    with TinyCRM(where) as crm:

        def limit(driver: Any, *_: Any) -> None:
            driver.execute(f"PRAGMA max_page_count = {pages}")

        crm.project("shop").identify("ada@example.com", params={"a": 1})
        event.listen(engine_of(crm), "checkout", limit)
        pages = 150
        written, error = fill(crm, "p")
        assert 0 < written < 400
        assert error is not None
        assert str(error).endswith("crm.db: the database is full: no space is left on its disk")
        assert type(error) is StoreError
        # The batch that was refused left nothing; everything before it is there and readable.
        assert crm.customers.count() == 5 * written + 1
        assert len(crm.customers.find("p.long:*", limit=10)) == min(10, 5 * written)
        assert crm.customers.get("ada@example.com") is not None
        assert crm.check() == []
        # Every further attempt is refused in the same words, and nothing gets worse.
        assert str(fill(crm, "q")[1]) == str(error)
        pages = 2**30
        assert fill(crm, "p", most=written + 5) == (written + 5, None)
        assert crm.customers.count() == 5 * (written + 5) + 1
    assert not broken(where)


LIMITED = """
import resource, sys
from tests.crash.test_disk import fill
from tinycrm_core.client import TinyCRM

crm = TinyCRM(sys.argv[1])
crm.project("shop").identify("ada@example.com", params={"a": 1})
resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, resource.RLIM_INFINITY))
written, error = fill(crm, "p")
assert 0 < written < 400, written
print(error)
assert crm.customers.count() == 5 * written + 1
assert crm.customers.get("ada@example.com")
assert fill(crm, "q")[1], "the second attempt was not refused"
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
assert fill(crm, "p", most=written + 5) == (written + 5, None)
assert crm.customers.count() == 5 * (written + 5) + 1
assert crm.check() == []
"""


def run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_c3_a_file_that_may_not_grow_is_an_error_and_recovers(tmp_path: Path) -> None:
    where = sqlite_url(tmp_path)
    done = run(LIMITED, where)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip().endswith(
        ("crm.db: the database file cannot be read or written", "no space is left on its disk")
    )
    assert not broken(where)


READ_ONLY = """
import os, stat, sys
from pathlib import Path
import sqlalchemy.dialects.sqlite
from tests.crash.test_disk import fill
from tinycrm_core.client import TinyCRM
from tinycrm_core.errors import StoreError
import tinycrm_core.sql, alembic.operations, alembic.runtime.migration, alembic.script

folder = Path(sys.argv[1])
with TinyCRM(f"sqlite:///{folder / 'crm.db'}") as crm:
    crm.migrate()
    crm.customers.count(), crm.project("shop").identify("first@example.com")
    crm.customers.delete("first@example.com")
if os.geteuid() == 0:  # root may write everything
    for path in (folder, *folder.iterdir()):
        os.chown(path, 65534, 65534)
    os.setgid(65534)
    os.setuid(65534)
what, where = sys.argv[2], f"sqlite:///{folder / 'crm.db'}"

def identify(crm, n):
    try:
        crm.project("shop").identify(f"p{n}@example.com", params={"n": n})
        return "stored"
    except StoreError as error:
        return str(error).partition(": ")[2]

with TinyCRM(where) as crm:
    assert identify(crm, 0) == "stored"
paths = {"file": [folder / "crm.db"], "folder": [folder], "both": [folder / "crm.db", folder]}[what]
for path in paths:
    path.chmod(0o444 if path.is_file() else 0o555)
crm = TinyCRM(where)
try:
    print("read", crm.customers.count())
except StoreError as error:
    print("read:", str(error).partition(": ")[2])
print("write:", identify(crm, 1))
folder.chmod(0o755)
for path in folder.iterdir():  # SQLite gave the files beside it the same rights
    path.chmod(0o644)
print("write:", identify(crm, 1))
print("read", crm.customers.count())
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that can be given to another user, which pytest's own cannot."""
    made = Path(tempfile.mkdtemp(prefix="tinycrm-disk-"))
    yield made
    shutil.rmtree(made)


@pytest.mark.parametrize("what", ["file", "folder", "both"])
def test_c3_a_read_only_database_is_an_error_and_recovers(folder: Path, what: str) -> None:
    done = run(READ_ONLY, str(folder), what)
    assert (done.returncode, done.stderr) == (0, "")
    reading, *rest = done.stdout.splitlines()
    # In a folder that cannot be written SQLite does not even read a file with write-ahead logging.
    assert reading == ("read 1" if what == "file" else "read: the database is read-only")
    assert rest == ["write: the database is read-only", "write: stored", "read 2"]

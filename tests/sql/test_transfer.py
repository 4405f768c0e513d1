"""Imports and exports on a real database: killed at any moment, undone, and out and in again."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy  # noqa: F401 - the core alone has no such database

from tinycrm_core import TinyCRM

ROWS = 3_000
IMPORT = """
import os, signal, sys, threading
from tinycrm_core import TinyCRM

url, path, delay = sys.argv[1:]
crm = TinyCRM(url, auto_migrate=True)

def first(step):
    if step.rows == 100:
        threading.Timer(float(delay), os.kill, (os.getpid(), signal.SIGKILL)).start()

with open(path, "rb") as stream:
    crm.import_csv(stream, project="p", as_of="2024-02-01", batch_size=100, progress=first)
os.kill(os.getpid(), signal.SIGKILL)
"""


def facts(crm: TinyCRM) -> list[Any]:
    return [
        (c.email, c.name, c.created_at, c.last_seen_at, c.memberships)
        for c in crm.customers.stream(sort="email")
    ]


def open_sqlite(path: Path) -> TinyCRM:
    return TinyCRM(f"sqlite:///{path}", auto_migrate=True)


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rows") / "rows.csv"
    with path.open("w", newline="") as stream:
        stream.write("email,name,status,last_active,plan\n")
        for i in range(ROWS):
            when = f"2024-01-{i % 28 + 1:02}" if i % 3 else ""
            status = ("free", "paid", "")[i % 3]
            stream.write(f"p{i % 2000}@example.com,N{i},{status},{when},plan{i}\n")
    return path


@pytest.fixture(scope="module")
def clean(rows: Path) -> list[Any]:
    """The result of an import that nothing interrupts."""
    crm = TinyCRM()
    with rows.open("rb") as stream:
        crm.import_csv(stream, project="p", as_of="2024-02-01")
    return facts(crm)


@pytest.mark.parametrize("delay", [0.0, 0.002, 0.01, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4])
def test_an_import_that_was_killed_is_run_again_c6(
    delay: float, rows: Path, clean: list[Any], tmp_path: Path
) -> None:
    path = tmp_path / "crm.db"
    done = subprocess.run(
        [sys.executable, "-c", IMPORT, f"sqlite:///{path}", str(rows), str(delay)],
        capture_output=True, text=True, check=False, env=os.environ,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, done.stderr
    with open_sqlite(path) as crm:
        assert crm.check() == []
        (batch,) = crm.imports.list()
        assert crm.customers.count() >= 100
        with rows.open("rb") as stream:
            report = crm.import_csv(stream, project="p", as_of="2024-02-01")
        assert report.rejected == 0
        assert facts(crm) == clean
        assert [each.id for each in crm.imports.list()] == [batch.id, report.batch]


def test_sqlite_tells_the_same_as_memory(tmp_path: Path) -> None:
    folder = files("tinycrm_server") / "demo"
    products = {
        "newsletter": "newsletter_django_auth_user.csv",
        "waitlist": "waitlist_spreadsheet.csv",
        "analytics": "analytics_stripe_customers.csv",
    }
    memory = TinyCRM()
    with open_sqlite(tmp_path / "crm.db") as crm:
        for project, name in products.items():
            content = (folder / name).read_bytes()
            for options in ({"dry_run": True}, {}, {}):
                reports = [
                    each.import_csv(io.BytesIO(content), project=project, **options)
                    for each in (memory, crm)
                ]
                assert reports[0].totals == reports[1].totals
                assert reports[0].kept == reports[1].kept
        assert facts(crm) == facts(memory)
        with open_sqlite(tmp_path / "copy.db") as copy:
            stream = io.BytesIO()
            crm.export_csv(stream)
            stream.seek(0)
            assert copy.import_csv(stream).rejected == 0
            assert sorted(map(repr, plain(copy))) == sorted(map(repr, plain(crm)))
            (batch,) = copy.imports.list()
            copy.imports.undo(batch.id)
            assert copy.customers.count() == 0


def plain(crm: TinyCRM) -> list[Any]:
    """Facts without the order of products."""
    return [(*each[:4], sorted(map(repr, each[4]))) for each in facts(crm)]

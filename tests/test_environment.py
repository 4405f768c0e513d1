"""The servers that other tests rely on are what they claim to be."""

from __future__ import annotations

import fcntl
import os
import select
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from tests import postgres

if TYPE_CHECKING:
    from playwright.sync_api import Page


def execute(url: str, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect("postgresql://" + url.partition("://")[2], autocommit=True) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def test_fresh_databases_are_empty_and_apart(fresh_postgres_url: str, postgres_url: str) -> None:
    execute(fresh_postgres_url, "CREATE TABLE here (id int)")
    tables = "SELECT tablename FROM pg_tables WHERE tablename = 'here'"
    assert execute(fresh_postgres_url, tables) == [("here",)]
    assert execute(postgres_url, tables) == []


def test_a_database_is_dropped_while_it_is_in_use(postgres_server: str) -> None:
    with postgres.database(postgres_server) as url:
        user = psycopg.connect("postgresql://" + url.partition("://")[2])
    with pytest.raises(psycopg.OperationalError):
        user.execute("SELECT 1")
    user.close()


@pytest.mark.postgres
@pytest.mark.skipif(postgres.ENVIRONMENT in os.environ, reason="the server is not ours to end")
def test_a_killed_run_leaves_no_server() -> None:
    run = Path(tempfile.mkdtemp(prefix="tinycrm-tests-"))
    code = (
        "import pathlib, signal, sys; from tests import postgres\n"
        "run = pathlib.Path(sys.argv[1])\n"
        "with postgres.held(run):\n"
        "    print(postgres.server_url(run), flush=True)\n"
        "    signal.pause()\n"
    )
    root = Path(postgres.__file__).parents[1]
    process = subprocess.Popen(
        [sys.executable, "-c", code, run], cwd=root, stdout=subprocess.PIPE, text=True
    )
    with process:
        try:
            url = process.stdout.readline().strip()
            connection = psycopg.connect("postgresql://" + url.partition("://")[2])
            serving = (run / "serving").open("rb")
        finally:
            process.kill()
    with serving:
        fcntl.flock(serving, fcntl.LOCK_EX)
    assert not run.exists()
    hung_up, _, _ = select.select([connection], [], [], 0)
    connection.close()
    assert hung_up


def test_chromium_runs_scripts(page: Page) -> None:
    page.set_content("<p></p><script>document.querySelector('p').textContent = 6 * 7</script>")
    assert page.inner_text("p") == "42"

"""`tinycrm owner` and `tinycrm backup`, and what runs them elsewhere."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tinycrm_core.client import TinyCRM
from tinycrm_server.cli import main
from tinycrm_server.owners.owners import Owners
from tinycrm_server.owners.tables import Place
from tinycrm_server.settings import Settings

DEPLOY = Path(__file__).parents[2] / "deploy"
PASSWORD = "correct horse battery"


def run(folder: Path, *arguments: str, password: str = PASSWORD) -> Result:
    environment = {
        "TINYCRM_OWNER_PASSWORD": password,
        "TINYCRM_DATABASE": f"sqlite:///{folder}/tinycrm.db",
    }
    return CliRunner(env=environment).invoke(main, list(arguments))


def test_owners_from_the_command_line(tmp_path: Path) -> None:
    assert run(tmp_path, "owner", "add", "Me@Example.com").exit_code == 0
    assert run(tmp_path, "owner", "add", "me@example.com", "--account", "acme").exit_code == 0
    again = run(tmp_path, "owner", "add", "me@example.com")
    assert (again.exit_code, len(again.stderr.splitlines())) == (1, 1)
    assert run(tmp_path, "owner", "add", "x@example.com", password="short").exit_code == 2
    listed = run(tmp_path, "owner", "list", "--json")
    assert json.loads(listed.stdout) == [
        {"email": "me@example.com", "accounts": ["default", "acme"]}
    ]
    changed = run(tmp_path, "owner", "password", "me@example.com", password="another password")
    assert PASSWORD not in changed.stdout + changed.stderr
    with TinyCRM(f"sqlite:///{tmp_path}/tinycrm.db") as crm:
        owners = Owners(Place(crm.store))
        assert owners.log_in("me@example.com", PASSWORD) is None
        assert owners.log_in("me@example.com", "another password")
    assert run(tmp_path, "owner", "remove", "me@example.com", "--account", "acme").exit_code == 0
    assert run(tmp_path, "owner", "remove", "me@example.com").exit_code == 0
    assert json.loads(run(tmp_path, "owner", "list", "--json").stdout) == []
    assert run(tmp_path, "owner", "remove", "me@example.com").exit_code == 1


def test_a_backup_never_overwrites_and_copies_sqlite_only(tmp_path: Path) -> None:
    copy, new = tmp_path / "copy.db", tmp_path / "new.db"
    assert run(tmp_path, "backup", str(copy)).exit_code == 1, "there is nothing to copy"
    assert run(tmp_path, "migrate").exit_code == 0
    assert run(tmp_path, "backup", str(copy)).exit_code == 0
    before = copy.read_bytes()
    again = run(tmp_path, "backup", str(copy))
    assert (again.exit_code, "exists" in again.stderr) == (1, True)
    assert copy.read_bytes() == before
    other = run(tmp_path, "backup", str(new), "--database", "memory://")
    assert (other.exit_code, len(other.stderr.splitlines())) == (1, 1)
    assert not new.exists()


@pytest.mark.parametrize("name", ["tinycrm.service", "Containerfile"])
def test_what_is_deployed_knows_the_server(name: str) -> None:
    """Its settings exist, and so does the command it starts."""
    text = (DEPLOY / name).read_text("utf-8")
    named = set(re.findall(r"\bTINYCRM_([A-Z_]+)=", text))
    assert named
    assert {each.lower() for each in named} <= set(Settings.model_fields)
    started = re.search(r'^(?:ExecStart=\S+/|CMD \[")tinycrm(.*?)(?:"\])?$', text, re.MULTILINE)
    assert started
    (command,) = shlex.split(started[1].replace('", "', " "))
    assert command in main.commands


def test_the_service_waits_for_the_end_of_the_server() -> None:
    text = (DEPLOY / "tinycrm.service").read_text("utf-8")
    waits = re.search(r"^TimeoutStopSec=(\d+)$", text, re.MULTILINE)
    assert waits
    assert int(waits[1]) > Settings.model_fields["stop_seconds"].default

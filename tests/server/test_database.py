"""What the database holds and what happens when it fails, as seen from outside."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server.live import Live, serving
from tinycrm_core.client import TinyCRM

ALICE = {"email": "alice@example.com", "name": "Alice"}


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Live]:
    """A server over an SQLite file, with a project key and an account key."""
    with TinyCRM(f"sqlite:///{tmp_path / 'crm.db'}") as crm, serving(crm) as server:
        crm.projects.add("newsletter")
        server.keys["news"] = crm.keys.create("newsletter").secret
        server.keys["read"] = crm.keys.create(scope="read").secret
        yield server


def test_a2_the_database_does_not_hold_keys(live: Live, tmp_path: Path) -> None:
    """A2: a dump shows no key, and neither does the random part of one."""
    live.post("/v1/identify", ALICE)
    dump = "\n".join(sqlite3.connect(tmp_path / "crm.db").iterdump())
    assert "alice@example.com" in dump
    for secret in live.keys.values():
        assert secret not in dump
        assert secret[10:37] not in dump
    raw = b"".join(each.read_bytes() for each in tmp_path.glob("crm.db*"))
    assert not [secret for secret in live.keys.values() if secret.encode() in raw]


def test_d10_a_failing_database_says_nothing_of_itself(
    live: Live, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """D10: the reason is logged, the answer is 503 without it."""
    with sqlite3.connect(tmp_path / "crm.db") as other, caplog.at_level(logging.ERROR):
        tables = [row[0] for row in other.execute("select name from sqlite_master")]
        memberships = next(name for name in tables if name == "tinycrm_memberships")
        other.execute(f"alter table {memberships} rename to elsewhere")
        other.commit()
        answer = live.post("/v1/identify", ALICE)
    assert answer.status == 503, answer.text
    assert answer.headers["retry-after"] == "1"
    assert "tinycrm_" not in answer.text
    assert str(tmp_path) not in answer.text

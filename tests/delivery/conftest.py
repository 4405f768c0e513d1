"""A real server over a file, and a client for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.server.live import Live, serving
from tinycrm_core.client import TinyCRM


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Live]:
    """Two products over SQLite, each with a key named like it."""
    with TinyCRM(f"sqlite:///{tmp_path / 'crm.db'}") as crm, serving(crm) as server:
        for slug in ("shop", "news"):
            crm.projects.add(slug)
            server.keys[slug] = crm.keys.create(slug, label=slug).secret
        yield server


@pytest.fixture
def address(live: Live) -> Callable[[str], str]:
    """Where a product reports to, with its key, as one string."""
    return lambda slug: f"http://{live.keys[slug]}@127.0.0.1:{live.port}"

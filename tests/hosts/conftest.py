"""The admin inside every kind of host, at every place."""

from __future__ import annotations

import pytest

from tests.hosts.applications import BELOW, KINDS, OUTER
from tests.hosts.processes import Host, Hosts

MOUNTS = ("", BELOW, OUTER + BELOW)


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """The name of a framework."""
    name: str = request.param
    return name


@pytest.fixture(params=MOUNTS, ids=lambda mount: mount or "/")
def host(request: pytest.FixtureRequest, kind: str, running: Hosts) -> Host:
    """The admin in one framework at one place."""
    return Host(kind, running[kind], request.param)

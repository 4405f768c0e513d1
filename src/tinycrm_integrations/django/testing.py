"""For the tests of a Django project: `pytest_plugins = ["tinycrm_integrations.django.testing"]`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tinycrm_core.client import TinyCRM
from tinycrm_integrations.django.opened import recording

__all__ = ["recording", "tinycrm"]


@pytest.fixture
def tinycrm() -> Iterator[TinyCRM]:
    """A client that the hooks report to during the test; it keeps people in memory.

    Hooks wait for the commit: use `django_capture_on_commit_callbacks(execute=True)` or a
    transactional test. What is queued is there after `tinycrm.flush()`.
    """
    with recording() as crm:
        yield crm

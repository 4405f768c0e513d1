"""No queue of one test reports in the next."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tinycrm_core import background


@pytest.fixture(autouse=True)
def nobody_goes_on() -> Iterator[None]:
    """Closes what a test left open, and waits until its thread is gone."""
    yield
    for each in list(background._alive):
        each.close(0)
        for line in each._lines.values():
            if line.thread is not None:
                line.thread.join(20)

"""Products to sign up to, each in a folder of its own."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integrations.django.live import Shop, Site, copied


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """A product whose tables are made, to be copied."""
    if importlib.util.find_spec("allauth") is None:
        missing = "django-allauth is not installed"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    shop = Shop(tmp_path_factory.mktemp("template"), {})
    shop.manage("migrate")
    return shop


@pytest.fixture
def make_shop(template: Shop, tmp_path: Path) -> Callable[..., Shop]:
    """A product of the test's own."""

    def make(**given: Any) -> Shop:
        return copied(template, tmp_path / "shop", **given)

    return make


@pytest.fixture(scope="module", params=["wsgi", "asgi"])
def site(
    request: pytest.FixtureRequest, template: Shop, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """The product in its usual configuration, shared by the tests of a file."""
    shop = copied(template, tmp_path_factory.mktemp(request.param))
    with shop.serve(request.param) as site:
        yield site

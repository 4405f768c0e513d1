"""F11: a project's own tests record nothing unless they ask for it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.integrations.django.live import MODULE, Shop
from tinycrm_core.client import TinyCRM

TESTS = f"{MODULE}.own_tests"


@pytest.mark.parametrize("tests", ["Silent", "Asked"])
def test_f11_nothing_is_recorded_unless_asked(make_shop: Callable[..., Shop], tests: str) -> None:
    shop = make_shop()
    assert "OK" in shop.manage("test", f"{TESTS}.{tests}").stderr
    with TinyCRM(shop.database) as crm:
        assert crm.customers.count() == 0


@pytest.mark.parametrize("name", [None, "test.sqlite3"])
def test_in_tests_everything_is_in_the_test_database(
    make_shop: Callable[..., Shop], name: str | None
) -> None:
    """In memory, as is usual with SQLite, or in a file that is named for it."""
    shop = make_shop(test_name=name, tinycrm={"IN_TESTS": True})
    assert "OK" in shop.manage("test", f"{TESTS}.InTests").stderr
    with TinyCRM(shop.database) as crm:
        assert crm.customers.count() == 0


def test_the_fixture_for_pytest(make_shop: Callable[..., Shop]) -> None:
    shop = make_shop()
    (shop.folder / "conftest.py").write_text(
        "import django\n"
        "from django.test.utils import setup_test_environment\n"
        "django.setup()\n"
        "setup_test_environment()\n"
        "pytest_plugins = ['tinycrm_integrations.django.testing']\n"
    )
    (shop.folder / "test_product.py").write_text(
        "from types import SimpleNamespace\n"
        "from tinycrm_integrations.django import crm, hooks\n"
        "def log_in():\n"
        "    hooks._logged_in(user=SimpleNamespace(email='ada@example.com', pk=1))\n"
        "def test_recorded(tinycrm):\n"
        "    log_in()\n"
        "    assert tinycrm.flush()\n"
        "    assert tinycrm.customers.get('ada@example.com')\n"
        "    assert crm.customers.count() == 1\n"
        "def test_not_recorded():\n"
        "    log_in()\n"
        "    assert crm.flush()\n"
        "    assert crm.customers.get('ada@example.com') is None\n"
    )
    shop.python("-m", "pytest", "-p", "no:django", "-p", "no:cacheprovider")

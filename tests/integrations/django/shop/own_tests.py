"""The product's own tests, run by Django's test runner."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth import get_user_model
from django.test import TestCase, TransactionTestCase

from tinycrm_integrations.django import crm
from tinycrm_integrations.django.testing import recording


class Silent(TestCase):
    """Nothing is asked for, so nothing is recorded."""

    def test_hooks_are_off(self) -> None:
        with self.captureOnCommitCallbacks(execute=True):
            user = get_user_model().objects.create_user("ada", "ada@example.com", "secret")
            self.client.force_login(user)
        self.client.get("/me/")
        assert crm.flush()
        assert crm.customers.get("ada@example.com") is None

    def test_calls_go_to_memory(self) -> None:
        assert crm.identify("bo@example.com", status="paid").action == "created"
        assert type(crm.store).__name__ == "MemoryStore"


class Asked(TestCase):
    """What is recorded while it is asked for."""

    def test_recording(self) -> None:
        with recording() as recorded, self.captureOnCommitCallbacks(execute=True):
            get_user_model().objects.create_user("ada", "ada@example.com", "secret")
            crm.identify("bo@example.com")
        assert recorded.flush()
        assert recorded.customers.count() == 2
        with recording() as again:
            assert again.customers.count() == 0


class InTests(TransactionTestCase):
    """With IN_TESTS everything is real, in the test database."""

    def test_real(self) -> None:
        name = str(settings.DATABASES["default"]["NAME"])
        assert "test" in name or "memory" in name, name
        get_user_model().objects.create_user("ada", "ada@example.com", "secret")
        assert crm.flush()
        person = crm.customers.get("ada@example.com")
        assert person is not None
        assert person.on("shop").status == "free"
        assert type(crm.store).__name__ == "SQLStore"

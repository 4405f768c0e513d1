"""The people that a product has reported, looked at from outside of it."""

from __future__ import annotations

from typing import Any

from tests.patience import PATIENCE
from tinycrm_core import Customer
from tinycrm_core.client import TinyCRM


class Customers:
    """A customer database; `host` is a Flask application or a reporter that reports to it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.crm = TinyCRM(url)

    def of(self, host: Any) -> dict[str, Customer]:
        """Everybody by address, after the host has sent what it holds."""
        reports = getattr(host, "extensions", {}).get("tinycrm", host)
        assert reports.crm.flush(PATIENCE)
        return {each.email: each for each in self.crm.customers.find(limit=200)}

    def statuses(self, host: Any, project: str = "notes") -> dict[str, str]:
        return {email: str(each.on(project).status) for email, each in self.of(host).items()}


class Panic(BaseException):
    """Not even an Exception: such as an extension in Rust raises."""


class BrokenStore:
    """A store that raises on every call."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise Panic(name)

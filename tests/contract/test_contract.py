"""The contract that backends of others have to hold too."""

from __future__ import annotations

from tinycrm_core.testing import StoreContract


class TestContract(StoreContract):
    """Over memory, SQLite and PostgreSQL."""

"""Products have a place of their own; merges of several people belong together."""

from __future__ import annotations

from typing import Any

revision = "0002"
down_revision = "0001"

STATEMENTS = """
ALTER TABLE {p}projects ADD COLUMN place INTEGER NOT NULL DEFAULT 0;
ALTER TABLE {p}merges ADD COLUMN group_id {uuid}
"""


def upgrade(op: Any, schema: str | None) -> None:
    bind = op.get_bind()
    quoted = bind.dialect.identifier_preparer.quote
    prefix = f"{quoted(schema)}.tinycrm_" if schema else "tinycrm_"
    uuid = "BLOB" if bind.dialect.name == "sqlite" else "UUID"
    for statement in STATEMENTS.split(";"):
        bind.exec_driver_sql(statement.format(p=prefix, uuid=uuid).strip())

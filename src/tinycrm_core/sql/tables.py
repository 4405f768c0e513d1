"""The tables as SQLAlchemy sees them; the revisions in `versions/` are what makes them.

Everything belongs to an account, and every key and index starts with it, so that the same tables
can be sharded by account. Times are microseconds since 1970.
"""

from __future__ import annotations

from functools import cache

from sqlalchemy import (
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.schema import SchemaItem

from tinycrm_core.sql.columns import Ident, JsonText, Number, big_integer, ordered_text

PREFIX = "tinycrm_"
VERSION_TABLE = f"{PREFIX}schema_version"
SEARCH_TABLE = f"{PREFIX}search"
"""SQLite's trigram index over `customers.search`, by `customers.row_id`."""
TRIGRAM_INDEX = f"{PREFIX}customers_search_trigram"
"""PostgreSQL's, where the extension pg_trgm is there."""


def _account() -> Column[int]:
    return Column("account_id", big_integer(), nullable=False)


class Tables:
    """All tables of one dialect (`sqlite` or `postgresql`) and optional PostgreSQL schema."""

    def __init__(self, dialect: str, schema: str | None = None) -> None:
        self.dialect = dialect
        self.schema = schema
        self.metadata = MetaData(schema=schema)
        text, time, ident = ordered_text, big_integer, Ident

        self.accounts = Table(
            f"{PREFIX}accounts",
            self.metadata,
            Column("account_id", big_integer(), primary_key=True, autoincrement=True),
            Column("slug", text(), nullable=False),
            Column("secret", LargeBinary, nullable=False),
            Column("project_seq", Integer, nullable=False),
            Column("created_at", time(), nullable=False),
            UniqueConstraint("slug", name=f"{PREFIX}accounts_slug"),
        )
        self.projects = self._table(
            "projects",
            ("account_id", "project_id"),
            Column("project_id", Integer, nullable=False),
            Column("slug", text(), nullable=False),
            Column("name", Text, nullable=False),
            Column("hue", text(), nullable=False),
            Column("created_at", time(), nullable=False),
            Column("place", Integer, nullable=False, server_default="0"),
            UniqueConstraint("account_id", "slug", name=f"{PREFIX}projects_slug"),
        )
        self.customers = self._customers()
        self.customer_emails = self._table(
            "customer_emails",
            ("account_id", "email"),
            Column("email", text(), nullable=False),
            Column("customer_id", ident(), nullable=False),
            Column("position", Integer, nullable=False),
            self._to_customer("customer_emails", deferred=True),
            index={"customer": ("account_id", "customer_id")},
            clustered=True,
        )
        self.memberships = self._memberships()
        self.param_values = self._table(
            "param_values",
            ("account_id", "path", "kind", "num", "txt", "customer_id", "project_id"),
            Column("path", text(), nullable=False),
            Column("kind", text(), nullable=False),
            Column("num", Number, nullable=False),
            Column("txt", text(), nullable=False),
            Column("customer_id", ident(), nullable=False),
            Column("project_id", Integer, nullable=False),
            clustered=True,
        )
        self.param_keys = self._table(
            "param_keys",
            ("account_id", "project_id", "path"),
            Column("project_id", Integer, nullable=False),
            Column("path", text(), nullable=False),
            Column("count", time(), nullable=False),
            Column("kinds", JsonText(), nullable=False),
            Column("samples", JsonText(), nullable=False),
            clustered=True,
        )
        self.history = self._history()
        self._surroundings()

    def _table(
        self,
        name: str,
        key: tuple[str, ...],
        *items: SchemaItem,
        index: dict[str, tuple[str, ...]] | None = None,
        clustered: bool = False,
    ) -> Table:
        """A table of an account; `clustered` ones are kept in the order of their key on SQLite."""
        full = PREFIX + name
        return Table(
            full,
            self.metadata,
            _account(),
            *items,
            PrimaryKeyConstraint(*key, name=f"{full}_pkey"),
            *(Index(f"{full}_{each}", *columns) for each, columns in (index or {}).items()),
            sqlite_with_rowid=not clustered,
        )

    def _to_customer(self, name: str, *, deferred: bool = False) -> ForeignKeyConstraint:
        return ForeignKeyConstraint(
            ["account_id", "customer_id"],
            [self.customers.c.account_id, self.customers.c.customer_id],
            name=f"{PREFIX}{name}_customer_fkey",
            deferrable=True if deferred else None,
            initially="DEFERRED" if deferred else None,
        )

    def _customers(self) -> Table:
        name = f"{PREFIX}customers"
        key = ("account_id", "customer_id")
        items: list[SchemaItem]
        if self.dialect == "sqlite":
            # The search index needs a number that stays, which VACUUM does not grant a bare rowid.
            items = [
                Column("row_id", Integer, primary_key=True),
                UniqueConstraint(*key, name=f"{name}_pkey"),
            ]
        else:
            items = [PrimaryKeyConstraint(*key, name=f"{name}_pkey")]
        sorts = {
            "seen": ("last_seen_at",),
            "created": ("created_at",),
            "email": ("email_key",),
            "name": ("name_key",),
            "projects": ("project_count", "last_seen_at"),
            "standing": ("standing",),
        }
        return Table(
            name,
            self.metadata,
            _account(),
            Column("customer_id", Ident(), nullable=False),
            Column("email", ordered_text(), nullable=False),
            Column("name", Text),
            Column("name_at", big_integer(), nullable=False),
            Column("email_key", ordered_text(), nullable=False),
            Column("name_key", ordered_text()),
            Column("search", ordered_text(), nullable=False),
            Column("created_at", big_integer(), nullable=False),
            Column("last_seen_at", big_integer()),
            Column("project_count", Integer, nullable=False),
            Column("standing", ordered_text()),
            Column("strands", JsonText()),
            *items,
            *(
                Index(f"{name}_{each}", "account_id", *columns, "customer_id")
                for each, columns in sorts.items()
            ),
        )

    def _memberships(self) -> Table:
        name = f"{PREFIX}memberships"
        sorts = {
            "status": ("status", "last_active_at"),
            "project_status": ("project_id", "status", "last_active_at"),
            "project_active": ("project_id", "last_active_at"),
            "project_joined": ("project_id", "joined_at"),
        }
        table = self._table(
            "memberships",
            ("account_id", "customer_id", "project_id"),
            Column("customer_id", Ident(), nullable=False),
            Column("project_id", Integer, nullable=False),
            Column("status", ordered_text(), nullable=False),
            Column("status_at", big_integer(), nullable=False),
            Column("params", JsonText(binary=True), nullable=False),
            Column("params_at", big_integer(), nullable=False),
            Column("marks", JsonText()),
            Column("joined_at", big_integer(), nullable=False),
            Column("last_active_at", big_integer()),
            self._to_customer("memberships"),
            ForeignKeyConstraint(
                ["account_id", "project_id"],
                [self.projects.c.account_id, self.projects.c.project_id],
                name=f"{name}_project_fkey",
            ),
            index={each: ("account_id", *by, "customer_id") for each, by in sorts.items()},
            clustered=True,
        )
        if self.dialect == "postgresql":
            Index(
                f"{name}_params",
                table.c.params,
                postgresql_using="gin",
                postgresql_ops={"params": "jsonb_path_ops"},
            )
        return table

    def _history(self) -> Table:
        name = f"{PREFIX}history"
        table = self._table(
            "history",
            ("account_id", "customer_id", "entry_id"),
            Column("customer_id", Ident(), nullable=False),
            Column("entry_id", Ident(), nullable=False),
            Column("strand", Ident(), nullable=False),
            Column("email", ordered_text(), nullable=False),
            Column("at", big_integer(), nullable=False),
            Column("event_at", big_integer(), nullable=False),
            Column("kind", ordered_text(), nullable=False),
            Column("via", Text, nullable=False),
            Column("project_id", Integer),
            Column("changes", JsonText(), nullable=False),
            Column("late", JsonText()),
            Column("batch_id", Ident()),
        )
        recorded = table.c.batch_id.is_not(None)
        Index(
            f"{name}_batch",
            *(table.c[each] for each in ("account_id", "batch_id", "customer_id", "entry_id")),
            sqlite_where=recorded,
            postgresql_where=recorded,
        )
        return table

    def _surroundings(self) -> None:
        """Merges, segments, API keys, imports and the addresses that asked to be forgotten."""
        text, time, ident = ordered_text, big_integer, Ident
        self.merges = self._table(
            "merges",
            ("account_id", "merge_id"),
            Column("merge_id", ident(), nullable=False),
            Column("keep_id", ident(), nullable=False),
            Column("absorb_id", ident(), nullable=False),
            Column("keep_email", text(), nullable=False),
            Column("absorb_emails", JsonText(), nullable=False),
            Column("strands", JsonText(), nullable=False),
            Column("at", time(), nullable=False),
            Column("via", Text, nullable=False),
            Column("undone_at", time()),
            Column("group_id", ident()),
            index={"keep": ("account_id", "keep_id"), "absorb": ("account_id", "absorb_id")},
        )
        self.segments = self._table(
            "segments",
            ("account_id", "name"),
            Column("name", text(), nullable=False),
            Column("filter", Text, nullable=False),
            Column("created_at", time(), nullable=False),
        )
        self.api_keys = self._table(
            "api_keys",
            ("account_id", "key_id"),
            Column("key_id", ident(), nullable=False),
            Column("hash", LargeBinary, nullable=False),
            Column("hint", Text, nullable=False),
            Column("kind", text(), nullable=False),
            Column("scope", text(), nullable=False),
            Column("project_id", Integer),
            Column("label", Text, nullable=False),
            Column("created_at", time(), nullable=False),
            Column("last_used_at", time()),
            Column("revoked_at", time()),
        )
        # The one look-up before the account is known.
        Index(f"{PREFIX}api_keys_hash", self.api_keys.c.hash, unique=True)
        self.import_batches = self._table(
            "import_batches",
            ("account_id", "batch_id"),
            Column("batch_id", ident(), nullable=False),
            Column("project_id", Integer, nullable=False),
            Column("source", Text, nullable=False),
            Column("created_at", time(), nullable=False),
            Column("totals", JsonText(), nullable=False),
            Column("finished_at", time()),
            Column("undone_at", time()),
        )
        self.forgotten = self._table(
            "forgotten",
            ("account_id", "digest"),
            Column("digest", LargeBinary, nullable=False),
            clustered=True,
        )


@cache
def tables_of(dialect: str, schema: str | None = None) -> Tables:
    """The tables, built once for each dialect and schema."""
    return Tables(dialect, schema)

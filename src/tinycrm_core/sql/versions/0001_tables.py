"""The first tables."""

from __future__ import annotations

from typing import Any

# Written out rather than built from `tables.py`, which goes on to change.

revision = "0001"
down_revision = None

WORDS = {
    "sqlite": {
        "serial": "INTEGER NOT NULL PRIMARY KEY",
        "big": "INTEGER",
        "text": "TEXT",
        "bytes": "BLOB",
        "uuid": "BLOB",
        "number": "BLOB",
        "json": "TEXT",
        "jsonb": "TEXT",
        "row_id": "row_id INTEGER NOT NULL PRIMARY KEY,\n    ",
        "customers_key": "UNIQUE",
        "clustered": " WITHOUT ROWID",
    },
    "postgresql": {
        "serial": "BIGSERIAL NOT NULL PRIMARY KEY",
        "big": "BIGINT",
        "text": 'TEXT COLLATE "C"',
        "bytes": "BYTEA",
        "uuid": "UUID",
        "number": "NUMERIC",
        "json": "JSON",
        "jsonb": "JSONB",
        "row_id": "",
        "customers_key": "PRIMARY KEY",
        "clustered": "",
    },
}

TABLES = """
CREATE TABLE {p}accounts (
    account_id {serial},
    slug {text} NOT NULL,
    secret {bytes} NOT NULL,
    project_seq INTEGER NOT NULL,
    created_at {big} NOT NULL,
    CONSTRAINT tinycrm_accounts_slug UNIQUE (slug)
);
CREATE TABLE {p}api_keys (
    account_id {big} NOT NULL,
    key_id {uuid} NOT NULL,
    hash {bytes} NOT NULL,
    hint TEXT NOT NULL,
    kind {text} NOT NULL,
    scope {text} NOT NULL,
    project_id INTEGER,
    label TEXT NOT NULL,
    created_at {big} NOT NULL,
    last_used_at {big},
    revoked_at {big},
    CONSTRAINT tinycrm_api_keys_pkey PRIMARY KEY (account_id, key_id)
);
CREATE UNIQUE INDEX tinycrm_api_keys_hash ON {p}api_keys (hash);
CREATE TABLE {p}customers (
    account_id {big} NOT NULL,
    customer_id {uuid} NOT NULL,
    email {text} NOT NULL,
    name TEXT,
    name_at {big} NOT NULL,
    email_key {text} NOT NULL,
    name_key {text},
    search {text} NOT NULL,
    created_at {big} NOT NULL,
    last_seen_at {big},
    project_count INTEGER NOT NULL,
    standing {text},
    strands {json},
    {row_id}CONSTRAINT tinycrm_customers_pkey {customers_key} (account_id, customer_id)
);
CREATE INDEX tinycrm_customers_standing ON {p}customers (account_id, standing, customer_id);
CREATE INDEX tinycrm_customers_created ON {p}customers (account_id, created_at, customer_id);
CREATE INDEX tinycrm_customers_email ON {p}customers (account_id, email_key, customer_id);
CREATE INDEX tinycrm_customers_name ON {p}customers (account_id, name_key, customer_id);
CREATE INDEX tinycrm_customers_projects
    ON {p}customers (account_id, project_count, last_seen_at, customer_id);
CREATE INDEX tinycrm_customers_seen ON {p}customers (account_id, last_seen_at, customer_id);
CREATE TABLE {p}forgotten (
    account_id {big} NOT NULL,
    digest {bytes} NOT NULL,
    CONSTRAINT tinycrm_forgotten_pkey PRIMARY KEY (account_id, digest)
){clustered};
CREATE TABLE {p}history (
    account_id {big} NOT NULL,
    customer_id {uuid} NOT NULL,
    entry_id {uuid} NOT NULL,
    strand {uuid} NOT NULL,
    email {text} NOT NULL,
    at {big} NOT NULL,
    event_at {big} NOT NULL,
    kind {text} NOT NULL,
    via TEXT NOT NULL,
    project_id INTEGER,
    changes {json} NOT NULL,
    late {json},
    batch_id {uuid},
    CONSTRAINT tinycrm_history_pkey PRIMARY KEY (account_id, customer_id, entry_id)
);
CREATE INDEX tinycrm_history_batch
    ON {p}history (account_id, batch_id, customer_id, entry_id)
    WHERE batch_id IS NOT NULL;
CREATE TABLE {p}import_batches (
    account_id {big} NOT NULL,
    batch_id {uuid} NOT NULL,
    project_id INTEGER NOT NULL,
    source TEXT NOT NULL,
    created_at {big} NOT NULL,
    totals {json} NOT NULL,
    finished_at {big},
    undone_at {big},
    CONSTRAINT tinycrm_import_batches_pkey PRIMARY KEY (account_id, batch_id)
);
CREATE TABLE {p}merges (
    account_id {big} NOT NULL,
    merge_id {uuid} NOT NULL,
    keep_id {uuid} NOT NULL,
    absorb_id {uuid} NOT NULL,
    keep_email {text} NOT NULL,
    absorb_emails {json} NOT NULL,
    strands {json} NOT NULL,
    at {big} NOT NULL,
    via TEXT NOT NULL,
    undone_at {big},
    CONSTRAINT tinycrm_merges_pkey PRIMARY KEY (account_id, merge_id)
);
CREATE INDEX tinycrm_merges_absorb ON {p}merges (account_id, absorb_id);
CREATE INDEX tinycrm_merges_keep ON {p}merges (account_id, keep_id);
CREATE TABLE {p}param_keys (
    account_id {big} NOT NULL,
    project_id INTEGER NOT NULL,
    path {text} NOT NULL,
    count {big} NOT NULL,
    kinds {json} NOT NULL,
    samples {json} NOT NULL,
    CONSTRAINT tinycrm_param_keys_pkey PRIMARY KEY (account_id, project_id, path)
){clustered};
CREATE TABLE {p}param_values (
    account_id {big} NOT NULL,
    path {text} NOT NULL,
    kind {text} NOT NULL,
    num {number} NOT NULL,
    txt {text} NOT NULL,
    customer_id {uuid} NOT NULL,
    project_id INTEGER NOT NULL,
    CONSTRAINT tinycrm_param_values_pkey
        PRIMARY KEY (account_id, path, kind, num, txt, customer_id, project_id)
){clustered};
CREATE TABLE {p}projects (
    account_id {big} NOT NULL,
    project_id INTEGER NOT NULL,
    slug {text} NOT NULL,
    name TEXT NOT NULL,
    hue {text} NOT NULL,
    created_at {big} NOT NULL,
    CONSTRAINT tinycrm_projects_pkey PRIMARY KEY (account_id, project_id),
    CONSTRAINT tinycrm_projects_slug UNIQUE (account_id, slug)
);
CREATE TABLE {p}segments (
    account_id {big} NOT NULL,
    name {text} NOT NULL,
    filter TEXT NOT NULL,
    created_at {big} NOT NULL,
    CONSTRAINT tinycrm_segments_pkey PRIMARY KEY (account_id, name)
);
CREATE TABLE {p}customer_emails (
    account_id {big} NOT NULL,
    email {text} NOT NULL,
    customer_id {uuid} NOT NULL,
    position INTEGER NOT NULL,
    CONSTRAINT tinycrm_customer_emails_pkey PRIMARY KEY (account_id, email),
    CONSTRAINT tinycrm_customer_emails_customer_fkey FOREIGN KEY (account_id, customer_id)
        REFERENCES {p}customers (account_id, customer_id) DEFERRABLE INITIALLY DEFERRED
){clustered};
CREATE INDEX tinycrm_customer_emails_customer ON {p}customer_emails (account_id, customer_id);
CREATE TABLE {p}memberships (
    account_id {big} NOT NULL,
    customer_id {uuid} NOT NULL,
    project_id INTEGER NOT NULL,
    status {text} NOT NULL,
    status_at {big} NOT NULL,
    params {jsonb} NOT NULL,
    params_at {big} NOT NULL,
    marks {json},
    joined_at {big} NOT NULL,
    last_active_at {big},
    CONSTRAINT tinycrm_memberships_pkey PRIMARY KEY (account_id, customer_id, project_id),
    CONSTRAINT tinycrm_memberships_customer_fkey FOREIGN KEY (account_id, customer_id)
        REFERENCES {p}customers (account_id, customer_id),
    CONSTRAINT tinycrm_memberships_project_fkey FOREIGN KEY (account_id, project_id)
        REFERENCES {p}projects (account_id, project_id)
){clustered};
CREATE INDEX tinycrm_memberships_project_active
    ON {p}memberships (account_id, project_id, last_active_at, customer_id);
CREATE INDEX tinycrm_memberships_project_joined
    ON {p}memberships (account_id, project_id, joined_at, customer_id);
CREATE INDEX tinycrm_memberships_project_status
    ON {p}memberships (account_id, project_id, status, last_active_at, customer_id);
CREATE INDEX tinycrm_memberships_status
    ON {p}memberships (account_id, status, last_active_at, customer_id);
"""

PARAMS_INDEX = """
CREATE INDEX tinycrm_memberships_params ON {p}memberships USING gin (params jsonb_path_ops)
"""
SEARCH_INDEX = """
CREATE VIRTUAL TABLE tinycrm_search USING fts5(
    search, content='tinycrm_customers', content_rowid='row_id', columnsize=0,
    tokenize='trigram case_sensitive 1'
)
"""
TRIGRAM_INDEX = """
CREATE INDEX tinycrm_customers_search_trigram ON {p}customers USING gin (search {ops})
"""


def upgrade(op: Any, schema: str | None) -> None:
    bind = op.get_bind()
    dialect = bind.dialect
    quoted = dialect.identifier_preparer.quote
    words = WORDS[dialect.name] | {"p": f"{quoted(schema)}.tinycrm_" if schema else "tinycrm_"}
    for statement in TABLES.split(";"):
        if statement.strip():
            bind.exec_driver_sql(statement.format(**words).strip())
    if dialect.name == "sqlite":
        if _has_trigrams(bind):
            bind.exec_driver_sql(SEARCH_INDEX.strip())
        return
    bind.exec_driver_sql(PARAMS_INDEX.format(**words).strip())
    if (ops := _trigram_operators(bind)) is not None:
        bind.exec_driver_sql(TRIGRAM_INDEX.format(**words, ops=ops).strip())


def _has_trigrams(bind: Any) -> bool:
    """Whether this SQLite has FTS5 with the trigram tokenizer (since 3.34)."""
    with bind.begin_nested() as savepoint:
        try:
            bind.exec_driver_sql(
                "CREATE VIRTUAL TABLE tinycrm_probe USING fts5(x, tokenize='trigram')"
            )
        except Exception:
            return False
        finally:
            savepoint.rollback()
    return True


def _trigram_operators(bind: Any) -> str | None:
    """The operator class of pg_trgm with its schema; None without the extension.

    Only a role that may is able to create it, so it is tried in a savepoint.
    """
    where = (
        "SELECT quote_ident(n.nspname) FROM pg_extension e "
        "JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'pg_trgm'"
    )
    found = bind.exec_driver_sql(where).scalar()
    if found is None:
        savepoint = bind.begin_nested()
        try:
            bind.exec_driver_sql("CREATE EXTENSION IF NOT EXISTS pg_trgm")
        except Exception:
            savepoint.rollback()
            return None
        savepoint.commit()
        found = bind.exec_driver_sql(where).scalar()
    return f"{found}.gin_trgm_ops"

"""Making and changing the tables: at once, killed half-way, inside a host's database."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, create_engine, event, insert, inspect, select, text

from tinycrm_core import TinyCRM
from tinycrm_core.errors import SchemaError, StoreError
from tinycrm_core.sql import SQLStore, migrate
from tinycrm_core.sql.tables import SEARCH_TABLE, VERSION_TABLE, tables_of
from tinycrm_core.state import ProjectState

WORKERS = 8
ROUNDS = 20 if os.environ.get("TINYCRM_TEST_FULL") else 3
NEXT = """
from sqlalchemy import BigInteger, Column

revision = "{next}"
down_revision = "{head}"


def upgrade(op, schema):
    op.create_table("tinycrm_next", Column("account_id", BigInteger), schema=schema)
""".format(next="9998", head=migrate.HEAD)

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
Place = Callable[[object], SQLStore]


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """Stores on empty databases, told apart by a name."""
    postgres = request.param == "postgresql" and request.getfixturevalue("fresh_postgres_url")
    with contextlib.ExitStack() as opened:

        def open_store(name: object) -> SQLStore:
            store = (
                SQLStore(postgres, schema=f"of {name}")
                if postgres
                else SQLStore(f"sqlite:///{tmp_path / f'{name}.db'}")
            )
            opened.callback(store.close)
            return store

        yield open_store


@pytest.fixture
def next_version(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """From now on there is one more revision."""
    folder = tmp_path / "versions"
    shutil.copytree(migrate.VERSIONS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "9998_next.py").write_text(NEXT)
    monkeypatch.setattr(migrate, "VERSIONS", folder)
    monkeypatch.setattr(migrate, "HEAD", "9998")


def use(store: SQLStore) -> int:
    with store.begin("acme") as tx:
        return tx.add_project(ProjectState(0, "a", "A", "leaf", 1)).id


def version(store: SQLStore) -> str | None:
    with store._connections.begin(write=False) as connection:
        return migrate.version(connection, store.tables.schema)


def _worker(place: Place, barrier: Any, queue: Any, auto_migrate: bool) -> None:
    for number in range(ROUNDS):
        store = place(number)
        store._auto_migrate = auto_migrate
        barrier.wait(60)
        try:
            queue.put((number, use(store)))
        except BaseException as error:
            queue.put((number, repr(error)))
        store.close()


def together(place: Place, *, auto_migrate: bool = False) -> list[tuple[int, object]]:
    """What each of several processes got that used each database at the same moment."""
    context = multiprocessing.get_context("fork")
    barrier, queue = context.Barrier(WORKERS), context.Queue()
    workers = [
        context.Process(target=_worker, args=(place, barrier, queue, auto_migrate))
        for _ in range(WORKERS)
    ]
    for worker in workers:
        worker.start()
    answers = [queue.get(timeout=100) for _ in range(ROUNDS * WORKERS)]
    for worker in workers:
        worker.join()
    return sorted(answers, key=repr)


def everyone(answer: object) -> list[tuple[int, object]]:
    return sorted(((n, answer) for n in range(ROUNDS) for _ in range(WORKERS)), key=repr)


def test_many_workers_make_the_tables_at_once(place: Place) -> None:
    """M1: on an empty database one makes them, the others wait, and all of them serve."""
    assert together(place) == everyone(1)
    assert place(0).check() == []


def test_many_workers_change_the_tables_at_once(
    place: Place, request: pytest.FixtureRequest
) -> None:
    """M1: the same on tables of the version before."""
    for number in range(ROUNDS):
        store = place(number)
        use(store)
        store.close()
    request.getfixturevalue("next_version")
    assert together(place, auto_migrate=True) == everyone(1)
    assert {version(place(number)) for number in range(ROUNDS)} == {"9998"}


def test_older_tables_are_changed_only_on_request(
    place: Place, request: pytest.FixtureRequest
) -> None:
    use(place("x"))
    before = version(place("x"))
    request.getfixturevalue("next_version")
    with pytest.raises(SchemaError, match="run `tinycrm migrate`"):
        use(place("x"))
    assert version(place("x")) == before
    assert "tinycrm migrate" in " ".join(place("x").check())
    store = place("x")
    store.migrate()
    assert version(store) == "9998"
    assert use(store) == 1
    store.close()


def test_a_newer_database_is_refused(place: Place) -> None:
    """M4: nothing is read from it and nothing written."""
    store = place("x")
    use(store)
    with store._connections.begin(write=True) as connection:
        schema = f'"{store.tables.schema}".' if store.tables.schema else ""
        connection.execute(text(f"UPDATE {schema}{VERSION_TABLE} SET version_num = '9999'"))
    store.close()
    fresh = place("x")
    statements: list[str] = []
    event.listen(
        fresh._connections.engine,
        "before_cursor_execute",
        lambda connection, cursor, statement, *rest: statements.append(statement.upper()),
    )
    for attempt in (fresh.migrate, lambda: use(fresh)):
        with pytest.raises(SchemaError, match="database is newer"):
            attempt()
    assert "database is newer" in fresh.check()[0]
    assert statements
    assert not [each for each in statements if each.startswith(("CREATE", "ALTER", "DROP"))]
    fresh.close()


def test_waiting_for_another_migration_ends(
    fresh_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """M2: bounded, with a sentence; and no lock outlives the transaction."""
    monkeypatch.setattr(migrate, "LOCK_TIMEOUT", "200ms")
    store = SQLStore(fresh_postgres_url)
    with store._connections.begin(write=True) as connection:
        migrate.upgrade(connection, None, "here")
        other = SQLStore(fresh_postgres_url)
        with pytest.raises(StoreError, match="somebody else has been migrating"):
            other.migrate()
        other.close()
    use(store)
    with store._connections.begin(write=False) as connection:
        locks = text(
            "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database "
            "WHERE l.locktype = 'advisory' AND d.datname = current_database()"
        )
        assert connection.execute(locks).scalar() == 0
    store.close()


def _migrate_and_die(store: SQLStore, statement: int) -> None:
    """Kill this process when it is about to run the given statement."""
    seen = 0

    def count(*rest: Any) -> None:
        nonlocal seen
        seen += 1
        if seen == statement:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(store._connections.engine, "before_cursor_execute", count)
    store.migrate()


def test_a_killed_migration_can_be_run_again(place: Place) -> None:
    """M3: killed before each of its statements, it leaves nothing that is in the way."""
    context = multiprocessing.get_context("fork")
    for statement in range(1, 200):
        child = context.Process(target=_migrate_and_die, args=(place(statement), statement))
        child.start()
        child.join()
        store = place(statement)
        if child.exitcode == 0:  # there are no more statements
            assert version(store) == migrate.HEAD
            break
        assert child.exitcode == -signal.SIGKILL
        assert version(store) is None
        assert use(store) == 1
        assert store.check() == []
        store.close()
    assert statement > 30


def test_the_hosts_tables_stay_as_they_are(tmp_path: Path, fresh_postgres_url: str) -> None:
    """M5: a host with tables of the same names, and with Alembic, sees no change."""
    for url in (f"sqlite:///{tmp_path / 'host.db'}", fresh_postgres_url):
        engine = create_engine(url)
        with engine.begin() as connection:
            for name in ("alembic_version", "customers", "projects"):
                connection.execute(text(f"CREATE TABLE {name} (id TEXT PRIMARY KEY, x INTEGER)"))
                connection.execute(text(f"INSERT INTO {name} VALUES ('one', 1)"))
            before = _of_host(connection)
        store = SQLStore(engine)
        assert use(store) == 1
        with engine.begin() as connection:
            assert _of_host(connection) == before
        assert len(inspect(engine).get_table_names()) > 10
        engine.dispose()


def _of_host(connection: Connection) -> list[object]:
    inspector = inspect(connection)
    names = [each for each in inspector.get_table_names() if not each.startswith("tinycrm_")]
    return [
        (
            name,
            repr(inspector.get_columns(name)),
            inspector.get_indexes(name),
            connection.execute(text(f"SELECT * FROM {name}")).all(),
        )
        for name in sorted(names)
    ]


def test_the_revisions_make_the_tables_the_code_knows(place: Place) -> None:
    """M6: nothing that Alembic would add, remove or change."""
    store = place("x")
    store.migrate()
    schema = store.tables.schema

    def ours(item: Any, name: str | None, kind: str, reflected: bool, other: Any) -> bool:
        if kind == "index" and name == "tinycrm_customers_search_trigram":
            return False
        made = name == VERSION_TABLE or str(name).startswith(SEARCH_TABLE)
        return kind != "table" or (not made and (not reflected or item.schema == schema))

    options = {"include_object": ours, "include_schemas": schema is not None, "compare_type": True}
    with store._connections.begin(write=False) as connection:
        context = MigrationContext.configure(connection, opts=options)
        tables = tables_of(store.tables.dialect, schema)
        assert compare_metadata(context, tables.metadata) == []
        table = tables.projects
        connection.rollback()
    assert table.name == "tinycrm_projects"
    store.close()


def test_tables_of_the_first_version_keep_what_is_in_them(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """M6: products keep their order, and a merge of then can be undone now."""
    store = place("x")
    with monkeypatch.context() as then:
        then.setattr(migrate, "HEAD", "0001")
        store.migrate()
    new = {"tinycrm_projects": "place", "tinycrm_merges": "group_id"}
    with store._connections.begin(write=True) as connection:
        _remember(connection, store, place("aside"), new)
    with pytest.raises(SchemaError, match="run `tinycrm migrate`"):
        use(store)
    store.migrate()
    crm = TinyCRM.over(store, account="acme")
    assert [each.slug for each in crm.projects.list()] == ["z", "a"]
    crm.project("later").identify("bob@example.com")
    assert [each.slug for each in crm.projects.list()] == ["z", "a", "later"]
    alice = crm.customers.get("alice@example.com")
    assert alice is not None
    assert [(m.project, m.status) for m in alice.memberships] == [("z", "paid"), ("a", "free")]
    (merge,) = crm.customers.merges("alice@example.com")
    crm.customers.undo_merge(merge.id)
    assert crm.customers.count() == 3
    assert store.check() == []
    store.close()


def _remember(
    connection: Connection, store: SQLStore, aside: SQLStore, new: dict[str, str]
) -> None:
    """Two products and two people who were merged, but none of the columns that are new."""
    crm = TinyCRM.over(aside, account="acme")
    for email, slug, status in (
        ("alice@example.com", "z", "paid"),
        ("al@example.com", "a", "free"),
    ):
        crm.project(slug).identify(email, status=status)
    crm.customers.merge("alice@example.com", "al@example.com")
    with aside._connections.begin(write=False) as source:
        for table in aside.tables.metadata.sorted_tables:
            columns = [c for c in table.columns if c.name != new.get(table.name)]
            rows = source.execute(select(*columns)).mappings().all()
            target = store.tables.metadata.tables[
                f"{store.tables.schema}.{table.name}" if store.tables.schema else table.name
            ]
            if rows:
                connection.execute(insert(target), [dict(each) for each in rows])
    if connection.dialect.name == "sqlite":
        connection.execute(text(f"INSERT INTO {SEARCH_TABLE}({SEARCH_TABLE}) VALUES ('rebuild')"))


def test_the_head_is_the_last_revision() -> None:
    files = sorted(path.stem for path in migrate.VERSIONS.glob("[0-9]*.py"))
    assert files[-1].partition("_")[0] == migrate.HEAD

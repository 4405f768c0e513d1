"""Connections and transactions: what is set on them, who ends them, what a fork does."""

from __future__ import annotations

import multiprocessing
import sqlite3
import threading
from pathlib import Path

import pytest
from sqlalchemy import Connection, create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

from tests.sql.stores import (
    ACCOUNT,
    PARAMS,
    customer,
    entry,
    load,
    membership,
    people,
    project,
    recorded,
    save,
)
from tinycrm_core import TinyCRM
from tinycrm_core.errors import StoreError
from tinycrm_core.sql import SQLStore
from tinycrm_core.state import KeyState, MergeState, ProjectState, SegmentState, Write

PRAGMAS = {
    "foreign_keys": 1,
    "journal_mode": "wal",
    "synchronous": 2,
    "busy_timeout": 15000,
    "secure_delete": 1,
}


def test_every_pooled_connection_is_set_up(tmp_path: Path) -> None:
    """S3, C2: foreign keys, write-ahead log, full syncing and waiting, on all of them."""
    store = SQLStore(f"sqlite:///{tmp_path / 'crm.db'}")
    barrier, seen = threading.Barrier(4), []

    def run() -> None:
        with store.begin(ACCOUNT, write=False) as tx:
            barrier.wait()  # all four are held at once
            ask = tx.connection.exec_driver_sql
            seen.append({name: ask(f"PRAGMA {name}").scalar() for name in PRAGMAS})

    store.migrate()
    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    store.close()
    assert seen == [PRAGMAS] * 4


def test_nothing_of_a_deleted_person_stays_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "crm.db"
    store = SQLStore(f"sqlite:///{path}")
    shop = project(store)
    params = {"note": "xylophone-note", "long": "marimba" * 2000}
    zoe = customer("zoe-quetzal@example.com", memberships={shop: membership(params=params)})
    save(store, Write(None, customer("ann@example.com")), Write(None, zoe, (entry(zoe),)))
    store.close()  # the last connection brings the log into the file
    traces = (b"zoe-quetzal", b"xylophone-note", b"marimbamarimba")
    assert all(trace in path.read_bytes() for trace in traces)
    save(store, Write(load(store, zoe.email)[zoe.email], None))
    store.close()
    assert not [trace for trace in traces if trace in path.read_bytes()]


def test_connections_that_the_server_has_ended_are_replaced(fresh_postgres_url: str) -> None:
    """One call meets a broken connection and is tried again; the others of the pool go with it."""
    crm = TinyCRM(fresh_postgres_url, project="shop")
    crm.identify("ann@example.com", params={"n": 0})
    barrier = threading.Barrier(4)

    def hold() -> None:
        with crm.store.begin("default", write=False):
            barrier.wait()

    threads = [threading.Thread(target=hold) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with create_engine(fresh_postgres_url, poolclass=NullPool).connect() as other:
        ended = other.exec_driver_sql(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        assert ended.scalar_one() >= 4
    assert crm.identify("ann@example.com", params={"n": 1}).changed == ("params.n",)
    assert crm.ping("ann@example.com")
    crm.close()


def preparing(where: str, said: str) -> str:
    url = make_url(where).update_query_dict({"prepare_threshold": said})
    return url.render_as_string(hide_password=False)


@pytest.mark.parametrize(("said", "meant"), [("none", None), ("0", 0), ("7", 7)])
def test_a_url_says_how_often_statements_are_run_before_they_are_prepared(
    fresh_postgres_url: str, said: str, meant: int | None
) -> None:
    with TinyCRM(preparing(fresh_postgres_url, said), project="shop") as crm:
        crm.projects.list()
        with crm.store.connection() as connection:
            assert connection.connection.driver_connection.prepare_threshold == meant
    with pytest.raises(StoreError, match="prepare_threshold: expected a number, or none"):
        TinyCRM(preparing(fresh_postgres_url, "off"))


def test_who_mixes_prepared_statements_up_is_told_what_to_do(fresh_postgres_url: str) -> None:
    """As behind a pooler, where another connection answers than the one that prepared it."""

    def forget_and_ask(crm: TinyCRM) -> None:
        with crm.store.connection() as connection:
            names = connection.exec_driver_sql("SELECT name FROM pg_prepared_statements")
            for name in names.scalars().all():
                connection.exec_driver_sql(f'DEALLOCATE "{name}"')
        crm.projects.list()

    with TinyCRM(preparing(fresh_postgres_url, "0")) as crm:
        crm.projects.list()
        with pytest.raises(StoreError, match="add prepare_threshold=none to the URL"):
            forget_and_ask(crm)


def test_normal_syncing_is_a_choice(tmp_path: Path) -> None:
    store = SQLStore(f"sqlite:///{tmp_path / 'crm.db'}", synchronous="NORMAL")
    with store.begin(ACCOUNT, write=False) as tx:
        assert tx.connection.exec_driver_sql("PRAGMA synchronous").scalar() == 1
    store.close()
    with pytest.raises(StoreError, match="synchronous"):
        SQLStore("sqlite://", synchronous="OFF")


def test_every_statement_names_the_account(url: str) -> None:
    store = SQLStore(create_engine(url))
    with recorded(store._connections.engine) as record:
        a = project(store)
        state = customer("a@x.yz", "b@x.yz", memberships={a: membership(params=PARAMS)})
        with store.begin(ACCOUNT) as tx:
            tx.claim({"a@x.yz": state.id})
            tx.save([Write(None, state, (entry(state),))])
            tx.forget([b"x" * 32])
            tx.forgotten([b"x" * 32])
            tx.save_segment(SegmentState("s", "status:paid", 1))
            tx.save_key(KeyState(state.id, b"k" * 32, "h", "proj", "write", a, "l", 1))
            tx.save_merge(MergeState(state.id, state.id, state.id, "a", ("b",), (), 1, "api"))
            for ask in (tx.segments, tx.keys, tx.param_keys, tx.batches, tx.projects):
                ask()
            tx.history(state.id)
            tx.move_history(state.id, state.id, [state.id])
            tx.batch_entries(state.id, state.id, 3)
            tx.merges(state.id)
            tx.delete_merges([state.id])
            tx.delete_segment("s")
            loaded = tx.load(["a@x.yz"])["a@x.yz"]
            tx.save([Write(loaded, None)])
            tx.delete_project(a)
        store.accounts()
    store._connections.engine.dispose()
    assert len(record.statements) > 40
    shared = {"SELECT tinycrm_accounts.slug"}
    assert [each for each in record.without_account() if each[:28] not in shared] == []


def test_accounts_do_not_see_each_other(store: SQLStore) -> None:
    state = customer("a@x.yz")
    save(store, Write(None, state))
    with store.begin("other") as tx:
        assert tx.load(["a@x.yz"]) == {}
        assert tx.load_ids([state.id]) == {}
        assert tx.claim({"a@x.yz": state.id}) == {"a@x.yz"}
        tx.save([Write(None, state)])
    save(store, Write(state, None))
    with store.begin("other", write=False) as tx:
        assert tx.load(["a@x.yz"], lock=False) == {"a@x.yz": state}


def fail(store: SQLStore, connection: Connection) -> None:
    with store.begin(ACCOUNT, connection=connection) as tx:
        tx.save([Write(None, customer("lost@x.yz"))])
        raise ZeroDivisionError


def test_work_can_join_the_transaction_of_the_host(url: str) -> None:
    """What the host rolls back is gone, what it commits stays; an error of ours undoes ours."""
    engine = create_engine(url, poolclass=NullPool)
    store = SQLStore(engine)
    store.migrate()
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE host (id INTEGER)")
    for commits in (False, True):
        with engine.connect() as connection:
            connection.exec_driver_sql("INSERT INTO host VALUES (1)")
            with pytest.raises(ZeroDivisionError):
                fail(store, connection)
            with store.joined(connection).begin(ACCOUNT) as tx:
                tx.save([Write(None, customer("a@x.yz"))])
            (connection.commit if commits else connection.rollback)()
        assert [*people(store).values()] == [("a@x.yz",)] * commits
        with engine.connect() as connection:
            assert len(connection.exec_driver_sql("SELECT * FROM host").all()) == commits


def test_joining_first_is_not_committed_by_a_savepoint(tmp_path: Path) -> None:
    """SQLite's driver opens no transaction for a savepoint, whose release would then commit."""
    engine = create_engine(f"sqlite:///{tmp_path / 'crm.db'}")
    store = SQLStore(engine)
    store.migrate()
    with engine.connect() as connection:
        with store.begin(ACCOUNT, connection=connection) as tx:
            tx.save([Write(None, customer("a@x.yz"))])
        connection.rollback()
    assert people(store) == {}
    engine.dispose()


def test_an_engine_of_the_host_stays_open_and_as_it_was(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'crm.db'}")
    with engine.connect() as connection:
        names = ("foreign_keys", "journal_mode", "synchronous")
        before = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names]
    pool = engine.pool
    store = SQLStore(engine)
    save(store, Write(None, customer("a@x.yz")))
    store.close()
    assert engine.pool is pool
    assert engine.pool.checkedin() == 1
    with engine.connect() as connection:
        after = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names]
    assert after == before
    engine.dispose()


def _in_child(store: SQLStore, number: int, queue: multiprocessing.Queue) -> None:
    try:
        for each in range(10):
            save(store, Write(None, customer(f"{number}-{each}@x.yz")))
        queue.put(len(load(store, "parent@x.yz")))
        store.close()
    except BaseException as error:
        queue.put(repr(error))


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_store_can_be_inherited_over_a_fork(store: SQLStore) -> None:
    """S10: children open connections of their own, and the parent's go on working."""
    save(store, Write(None, customer("parent@x.yz")))
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    children = [
        context.Process(target=_in_child, args=(store, number, queue)) for number in range(4)
    ]
    for child in children:
        child.start()
    for each in range(10):
        save(store, Write(None, customer(f"p-{each}@x.yz")))
    answers = [queue.get(timeout=30) for _ in children]
    for child in children:
        child.join()
    assert answers == [1] * 4
    assert len(people(store)) == 51
    assert store.check() == []


def test_memory_is_shared_by_threads_and_waits_its_turn() -> None:
    store = SQLStore("sqlite://")
    project(store)

    def run(number: int) -> None:
        for each in range(20):
            save(store, Write(None, customer(f"{number}-{each}@x.yz")))

    threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(people(store)) == 80
    store.close()


def test_a_question_that_takes_too_long_ends(
    store: SQLStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tinycrm_core.sql.store.QUESTION_SECONDS", 1)
    # Not quite endless, so that without a bound this fails instead of hanging.
    endless = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000000) "
        "SELECT max(i) FROM n"
    )
    with (
        pytest.raises(StoreError, match="longer than it may"),
        store.begin(ACCOUNT, write=False) as tx,
    ):
        tx.connection.exec_driver_sql(endless)
    project(store)


def test_a_locked_file_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "crm.db"
    monkeypatch.setattr("tinycrm_core.sql.engine.BUSY_TIMEOUT", 0.2)
    store = SQLStore(f"sqlite:///{path}")
    project(store)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="locked by somebody else"):
        project(store, "b")
    other.execute("ROLLBACK")
    other.close()
    project(store, "b")
    store.close()


def test_no_error_tells_the_password() -> None:
    store = SQLStore("postgresql://somebody:s3cr3t@127.0.0.1:1/nowhere")
    with pytest.raises(StoreError) as caught:
        store.migrate()
    assert "127.0.0.1" in str(caught.value)
    assert "s3cr3t" not in f"{caught.value!r} {caught.value} {store.check()}"


def test_slugs_name_one_product_each(store: SQLStore) -> None:
    barrier, ids = threading.Barrier(4), []
    store.migrate()

    def run() -> None:
        barrier.wait()
        with store.begin(ACCOUNT) as tx:
            ids.append(tx.add_project(ProjectState(0, "same", "Same", "leaf", 1)).id)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ids) == 4
    assert len(set(ids)) == 1

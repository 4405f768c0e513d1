"""Saving people and getting back what was saved, on both engines."""

from __future__ import annotations

import itertools
import threading
from dataclasses import replace
from uuid import uuid4

import pytest

from tests.sql.stores import (
    ACCOUNT,
    PARAMS,
    customer,
    entry,
    load,
    marks,
    membership,
    people,
    project,
    save,
)
from tinycrm_core.errors import Retry
from tinycrm_core.sql import SQLStore
from tinycrm_core.sql.people_postgres import params_text
from tinycrm_core.state import ProjectState, Write
from tinycrm_core.text import search_key


def test_a_state_comes_back_as_it_was(store: SQLStore) -> None:
    a, b = project(store, "a"), project(store, "b")
    state = customer(
        "zoë@example.com",
        "alias@example.com",
        "third@example.com",
        name="Zoë",
        name_at=9,
        memberships={
            a: membership(params=PARAMS, params_at=4, status_at=6, marks=marks()),
            b: membership(last_active_at=None, status="free"),
        },
    )
    state = replace(state, strands=(replace(state, emails=state.emails[:1]), customer("x@y.zz")))
    save(store, Write(None, state))
    found = load(store, "alias@example.com", "zoë@example.com", "nobody@example.com")
    assert found == {"alias@example.com": state, "zoë@example.com": state}
    assert found["alias@example.com"] is found["zoë@example.com"]
    params = found["zoë@example.com"].memberships[a].params
    assert {key: type(value) for key, value in params.items()} == {
        key: type(value) for key, value in PARAMS.items()
    }
    with store.begin(ACCOUNT) as tx:
        assert tx.load_ids([state.id, uuid4()]) == {state.id: state}


def test_numbers_in_jsonb_keep_their_type_and_text_stays() -> None:
    assert params_text({"a": 1e16, "b": "1e+16", 'c"1e+16': -2.5e20}) == (
        '{"a":10000000000000000.0,"b":"1e+16","c\\"1e+16":-250000000000000000000.0}'
    )


def test_every_kind_of_change_is_written(store: SQLStore) -> None:
    a, b = project(store, "a"), project(store, "b")
    first = customer("a@x.yz", memberships={a: membership(params={"plan": "pro", "mrr": 1})})
    steps = [
        first,
        replace(first, memberships={a: replace(first.memberships[a], last_active_at=99)}),
        replace(first, memberships={a: replace(first.memberships[a], params={"plan": "team"})}),
        replace(first, memberships={a: replace(first.memberships[a], marks=marks())}),
        replace(first, name="Somebody", name_at=5),
        replace(first, emails=("b@x.yz", "a@x.yz")),
        replace(first, memberships={}),
        replace(first, memberships={b: membership(), a: first.memberships[a]}),
        replace(first, created_at=1),
        replace(first, strands=(first, customer("c@x.yz"))),
    ]
    save(store, Write(None, first))
    for before, after in itertools.pairwise([*steps, first]):
        save(store, Write(before, after))
        assert load(store, "a@x.yz") == {"a@x.yz": after}
        assert_derived(store, after)
    save(store, Write(first, None))
    assert load(store, "a@x.yz") == {}
    assert people(store) == {}
    with store.begin(ACCOUNT, write=False) as tx:
        if tx.dialect == "sqlite" and tx.has_trigrams:
            left = "SELECT rowid FROM tinycrm_search WHERE tinycrm_search MATCH '\"x.y\"'"
            assert tx.connection.exec_driver_sql(left).all() == []


def assert_derived(store: SQLStore, state: object) -> None:
    """What is stored beside a state follows it."""
    tables = store.tables
    with store.begin(ACCOUNT, write=False) as tx:
        row = tx.connection.execute(tables.customers.select()).one()
        values = tx.connection.execute(tables.param_values.select()).all()
        keys = tx.param_keys()
        if tx.dialect == "sqlite" and tx.has_trigrams:
            found = tx.connection.exec_driver_sql(
                "SELECT rowid FROM tinycrm_search WHERE tinycrm_search MATCH ?",
                ('"' + row.search.replace('"', '""') + '"',),
            ).scalars()
            assert found.all() == [row.row_id]
    assert row.last_seen_at == state.last_seen_at
    assert row.project_count == len(state.memberships)
    assert row.search == search_key(state.email, state.emails[1:], state.name)
    flat = {(m, p, v) for m, each in state.memberships.items() for p, v in each.params.items()}
    texts = {(each.project_id, each.path, each.txt) for each in values if each.kind == "s"}
    numbers = {(each.project_id, each.path, each.num) for each in values if each.kind == "n"}
    assert texts == {each for each in flat if isinstance(each[2], str)}
    assert numbers == {each for each in flat if not isinstance(each[2], str)}
    assert {(each.project_id, each.path) for each in keys} == {each[:2] for each in flat}
    assert {each.count for each in keys} <= {1}


def test_an_alias_can_move_between_people_in_one_save(store: SQLStore) -> None:
    one, other = customer("a@x.yz", "b@x.yz", "c@x.yz"), customer("d@x.yz")
    save(store, Write(None, one), Write(None, other))
    writes = (
        Write(one, replace(one, emails=("a@x.yz",))),
        Write(other, replace(other, emails=("b@x.yz", "d@x.yz"))),
    )
    save(store, *writes)
    assert people(store) == {one.id: ("a@x.yz",), other.id: ("b@x.yz", "d@x.yz")}
    # A person is absorbed, and comes back under the same id.
    one, other = (write.after for write in writes)
    both = replace(other, emails=(*other.emails, *one.emails))
    save(store, Write(one, None), Write(other, both))
    assert people(store) == {other.id: ("b@x.yz", "d@x.yz", "a@x.yz")}
    save(store, Write(both, other), Write(None, one))
    assert people(store) == {one.id: ("a@x.yz",), other.id: ("b@x.yz", "d@x.yz")}


def test_entries_are_recorded_once_and_newest_first(store: SQLStore) -> None:
    state = customer("a@x.yz")
    old = entry(state, changes={"name": {"new": "A", "old": 1e16}})
    new = entry(state, at=13, late={"status": "paid"}, batch=uuid4(), project_id=4)
    save(store, Write(None, state, (new, old, new)))
    save(store, Write(state, state, (replace(old, via="again"),)))
    with store.begin(ACCOUNT, write=False) as tx:
        assert tx.history(state.id) == [new, old]
        assert tx.batch_entries(new.batch, None, 5) == [new]
        assert tx.batch_entries(new.batch, state.id, 5) == []


def test_a_claimed_address_is_nobody_elses(store: SQLStore) -> None:
    """S1: of several that claim a new address at once, one gets it and the others load it."""
    state = customer("a@x.yz")
    store.migrate()
    barrier, outcomes = threading.Barrier(6), []

    def run() -> None:
        barrier.wait()
        with store.begin(ACCOUNT) as tx:
            mine = tx.claim({"a@x.yz": (me := replace(state, id=uuid4())).id})
            if mine:
                tx.save([Write(None, me)])
                outcomes.append(me)
            else:
                outcomes.append(tx.load(["a@x.yz"])["a@x.yz"])

    threads = [threading.Thread(target=run) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 6
    assert len({each.id for each in outcomes}) == 1


def test_concurrent_changes_of_one_person_are_all_there(store: SQLStore) -> None:
    """S2: disjoint keys written at the same time survive."""
    a = project(store)
    save(store, Write(None, customer("a@x.yz", memberships={a: membership(params={})})))

    def run(name: str) -> None:
        for number in range(20):
            with store.begin(ACCOUNT) as tx:
                before = tx.load(["a@x.yz"])["a@x.yz"]
                mine = before.memberships[a]
                params = {**mine.params, f"{name}{number}": number}
                tx.save(
                    [Write(before, replace(before, memberships={a: replace(mine, params=params)}))]
                )

    threads = [threading.Thread(target=run, args=(name,)) for name in "pqrs"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = load(store, "a@x.yz")["a@x.yz"]
    assert len(found.memberships[a].params) == 80
    with store.begin(ACCOUNT) as tx:
        assert len(tx.param_keys(a)) == 80


def test_nothing_is_left_of_a_transaction_that_fails(store: SQLStore) -> None:
    """S8: an error takes back everything, the new account too."""

    def fail() -> None:
        with store.begin("new") as tx:
            tx.add_project(ProjectState(0, "a", "A", "leaf", 1))
            tx.save([Write(None, customer("a@x.yz"))])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert store.accounts() == []
    assert people(store) == {}


def test_a_product_that_vanished_asks_to_try_again(store: SQLStore) -> None:
    project(store)
    with pytest.raises(Retry), store.begin(ACCOUNT) as tx:
        tx.save([Write(None, customer("a@x.yz", memberships={77: membership()}))])
    assert people(store) == {}


def test_deleting_a_product_leaves_people(store: SQLStore) -> None:
    a, b = project(store, "a"), project(store, "b")
    kept = membership(last_active_at=4, params={"plan": "pro"})
    state = customer("a@x.yz", memberships={a: membership(params={"plan": "x"}), b: kept})
    save(store, Write(None, state))
    with store.begin(ACCOUNT) as tx:
        tx.delete_project(a)
        assert [each.slug for each in tx.projects()] == ["b"]
    after = replace(state, memberships={b: kept})
    assert load(store, "a@x.yz") == {"a@x.yz": after}
    assert_derived(store, after)
    assert project(store, "a") == b + 1

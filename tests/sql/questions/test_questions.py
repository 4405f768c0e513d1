"""Pages, counts, tallies and totals of the database are those of plain Python."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests import strategies
from tests.sql.questions.people import ACCOUNT, Reading, distinct, reading
from tests.sql.questions.test_compile import having, normal
from tinycrm_core.filters import (
    EVERYBODY,
    And,
    Condition,
    Filter,
    Param,
    compile_matcher,
    parse,
)
from tinycrm_core.memory_query import param_value, sort_value
from tinycrm_core.model import ABSENT, Customer, Json, Membership, Status
from tinycrm_core.query import SORT_FIELDS, After, KeyValue, Query, Sort
from tinycrm_core.sql import questions, totals

NOW = strategies.NOW
RANDOM = settings(
    max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
SORTS = st.builds(
    Sort,
    st.sampled_from([*SORT_FIELDS, "joined", "active", *map(Param, strategies.PATHS)]),
    st.booleans(),
    st.sampled_from([None, "a", "b"]),
)
BOUNDS = st.sampled_from([(6_000, 20_000), (1, 3), (0, 10**6), (0, 2)])
"""How many candidates are few and how far to walk: every way to a page gives the same page."""
FILTERS = st.one_of(st.just(EVERYBODY), strategies.filters(loose=True))
PEOPLE = st.lists(strategies.customers(), min_size=1, max_size=7).map(distinct)


def in_order(customers: Sequence[Customer], sort: Sort) -> list[tuple[KeyValue, UUID]]:
    """All people with what they are sorted by."""
    value_of = sort_value(sort)
    pairs = [(value_of(each), each.id) for each in customers]
    found: list[tuple[KeyValue, UUID]] = []
    for tag in ("n", "t", None):
        group = [pair for pair in pairs if (pair[0] and pair[0][0]) == tag]
        found += sorted(
            group, key=lambda p: (p[0][1] if p[0] else 0, p[1]), reverse=sort.descending
        )
    return found


def paged(tx: Reading, filter: Filter, sort: Sort, limit: int) -> list[tuple[After | None, UUID]]:
    """Everybody, page by page, and the cursor behind the last of each page."""
    found: list[tuple[After | None, UUID]] = []
    after = None
    while True:
        people, after = questions.find(tx, Query(filter, sort, limit, NOW, after))
        assert len(people) <= limit
        found += [(None, each.id) for each in people]
        if after is None:
            return found
        found[-1] = (after, found[-1][1])


@RANDOM
@given(
    PEOPLE,
    st.lists(FILTERS, min_size=1, max_size=3).map(normal),
    st.lists(SORTS, min_size=1, max_size=4),
    BOUNDS,
    st.integers(1, 3),
)
def test_pages_are_complete_and_in_order(
    engine: sa.Engine,
    customers: list[Customer],
    filters: list[Filter],
    sorts: list[Sort],
    bounds: tuple[int, int],
    limit: int,
) -> None:
    """R1: in every order, both ways, paging meets everybody once, whichever way pages are found."""
    with pytest.MonkeyPatch.context() as patch, reading(engine, customers) as tx:
        patch.setattr(questions, "FEW", bounds[0])
        patch.setattr(questions, "FEW_ALONG", min(2, bounds[0]))
        patch.setattr(questions, "WALK", bounds[1])
        for filter in filters:
            holds = compile_matcher(filter, NOW)
            some = [each for each in customers if holds(each)]
            for sort in sorts:
                expected = in_order(some, sort)
                found = paged(tx, filter, sort, limit)
                assert [ident for _, ident in found] == [ident for _, ident in expected]
                for (after, _), (value, ident) in zip(found, expected, strict=True):
                    assert after is None or after == After(value, ident)


def tallied(customers: Sequence[Customer], by: str | Param, project: str | None) -> Any:
    numbers: dict[tuple[type, Json], int] = {}
    for customer in customers:
        seen = set()
        for membership in customer.memberships:
            if project not in (None, membership.project):
                continue
            value: Json = membership.project if by == "project" else str(membership.status)
            if isinstance(by, Param):
                value = param_value(membership, by)
            if value is not ABSENT and not isinstance(value, dict | list):
                seen.add((bool if type(value) is bool else object, value))
        for key in seen:
            numbers[key] = numbers.get(key, 0) + 1
    return {(kind, value, number) for (kind, value), number in numbers.items()}


@RANDOM
@given(
    PEOPLE,
    st.lists(FILTERS, min_size=1, max_size=3).map(normal),
    st.sampled_from(["status", "project", *map(Param, strategies.PATHS)]),
    st.sampled_from([None, "a", "b"]),
    st.sampled_from([0, 2, 4_000]),
)
def test_counts_and_tallies(
    engine: sa.Engine,
    customers: list[Customer],
    filters: list[Filter],
    by: str | Param,
    project: str | None,
    few: int,
) -> None:
    with pytest.MonkeyPatch.context() as patch, reading(engine, customers) as tx:
        patch.setattr(totals, "FEW", few)
        for filter in filters:
            holds = compile_matcher(filter, NOW)
            some = [each for each in customers if holds(each)]
            assert questions.count(tx, filter, NOW) == len(some)
            assert questions.count(tx, filter, NOW, 2) == min(2, len(some))
            found = questions.tally(tx, filter, by, project, NOW)
            marked = {(bool if type(v) is bool else object, v, number) for v, number in found}
            assert len(found) == len(marked)
            assert marked == tallied(some, by, project)
            assert [n for _, n in found] == sorted((n for _, n in found), reverse=True)
            if isinstance(by, Param):
                numbers = [
                    value
                    for each in some
                    for m in each.memberships
                    if project in (None, m.project)
                    and type(value := param_value(m, by)) in (int, float)
                ]
                added = questions.aggregate(tx, filter, by, project, NOW)
                assert added.count == len(numbers)
                if numbers:
                    assert added.sum == pytest.approx(sum(numbers))
                    assert (added.min, added.max) == (min(numbers), max(numbers))


def test_long_texts_are_tallied_whole(engine: sa.Engine) -> None:
    texts = ("x" * 200, "x" * 200 + "a", "x" * 200 + "b", "x" * 199, "x" * 200 + "b")
    with reading(engine, [having({"t": text}, n) for n, text in enumerate(texts)]) as tx:
        found = questions.tally(tx, EVERYBODY, Param(("t",)), None, NOW)
    assert dict(found) == {each: texts.count(each) for each in texts}
    assert found[0] == ("x" * 200 + "b", 2)


def test_a_tally_of_few_people_reads_nobody_else(engine: sa.Engine) -> None:
    with reading(engine, [having({"t": n % 2}, n) for n in range(9)]) as tx:
        sent = statements(tx)
        found = questions.tally(tx, parse("email^p1"), Param(("t",)), None, NOW)
        assert found == [(1, 1)]
        assert not any("tinycrm_param_values" in statement for statement, _ in sent)


WORDS = (
    ("alex", "chen"),
    ("chen", "al"),
    ("al", "ch"),
    ('lex" and', "chen"),
    ("alex", "or", "zoë"),
    ("%%%", "alex"),
    ("alex", "*"),
)


@pytest.mark.parametrize("words", WORDS, ids=" ".join)
def test_several_words_are_looked_up_at_once(engine: sa.Engine, words: tuple[str, ...]) -> None:
    """V9: all have to occur, and nothing in them is an operator of a search index."""
    names = ("Alex Chen", "Chen Alexa", 'A"lex" AND Chen', "Alex", "Chen%%%alex", "Alex or Zoë")
    people = [having({}, n, name=name) for n, name in enumerate(names)]
    asked = And(tuple(Condition("words", "contains", word) for word in words))
    holds = compile_matcher(asked, NOW)
    expected = [each.id for each in people if holds(each)]
    with reading(engine, people) as tx:
        sent = statements(tx)
        found, _ = questions.find(tx, Query(asked, Sort("email"), 50, NOW))
        assert [each.id for each in found] == expected
        assert questions.count(tx, asked, NOW) == len(expected)
        if tx.dialect == "sqlite" and words == ("alex", "chen"):
            parts = [value for _, values in sent for value in values]
            assert '"alex" AND "chen"' in parts


def test_a_walk_that_meets_nobody_ends_early(engine: sa.Engine) -> None:
    """What is common alone and never together costs a part of the longest walk."""
    people = [having({"t": n % 2, "u": (n + 1) % 2}, n) for n in range(200)]
    with pytest.MonkeyPatch.context() as patch, reading(engine, people) as tx:
        patch.setattr(questions, "FEW", 10)
        patch.setattr(questions, "WALK", 100)
        sent = statements(tx)
        assert questions.find(tx, Query(parse("p.t:1 p.u:1"), Sort("email"), 5, NOW)) == ([], None)
        walked = [values for statement, values in sent if "AS value" in statement]
        assert len(walked) == 1
        edges = [values for statement, values in sent if "AS k0" in statement]
        assert len(edges) == 1
        assert 100 // questions.GLANCE in (
            edges[0].values() if type(edges[0]) is dict else edges[0]
        )


def statements(tx: Reading) -> list[tuple[str, Any]]:
    """What is sent to the database from now on."""
    sent: list[tuple[str, Any]] = []

    def note(connection: object, cursor: object, statement: str, values: Any, *rest: Any) -> None:
        sent.append((statement, values))

    sa.event.listen(tx.connection, "before_cursor_execute", note)
    return sent


QUESTIONS = (
    "", "alex", "alex chen", "project:a", "project:gone", "-project:a", "p.plan:pro", "p.mrr:29",
    "p.mrr>=9", "p.t:today..+7d", "status:paid or p.plan:pro", "email^alex", "projects>=2",
    "status@a:free status@b:paid", "seen<-30d", "name:- p.beta:true", "p.plan:*",
)  # fmt: skip


def test_every_statement_names_the_account(engine: sa.Engine) -> None:
    with reading(engine, [having({"plan": "pro", "mrr": 29})]) as tx:
        sent = statements(tx)
        for text in QUESTIONS:
            for field in (*SORT_FIELDS, "joined", "active", Param(("mrr",))):
                questions.find(tx, Query(parse(text), Sort(field), 5, NOW))
            questions.count(tx, parse(text), NOW)
            questions.tally(tx, parse(text), "status", None, NOW)
            questions.tally(tx, parse(text), Param(("mrr",)), "a", NOW)
            questions.aggregate(tx, parse(text), Param(("mrr",)), None, NOW)
        assert len(sent) > 100
        for statement, _ in sent:
            tables = statement.count("FROM tinycrm_") + statement.count("JOIN tinycrm_")
            tables -= statement.count("JOIN tinycrm_search") + statement.count(
                "FROM tinycrm_search"
            )
            bound = len(re.findall(r"account_id\)? = [?%]", statement))
            assert bound >= tables > 0, statement


def test_a_neighbour_is_never_found(engine: sa.Engine) -> None:
    with reading(engine, [having({"plan": "pro"})]) as tx:
        for text in QUESTIONS:
            people, _ = questions.find(tx, Query(parse(text), Sort("seen"), 5, NOW))
            assert len(people) <= 1
        assert questions.count(tx, EVERYBODY, NOW) == 1
        tx.account_id = ACCOUNT + 10
        assert questions.count(tx, EVERYBODY, NOW) == 0


CROWD = (
    "INSERT INTO tinycrm_customers (account_id, customer_id, email, name_at, email_key, search, "
    "created_at, project_count) SELECT 7, md5(n::text)::uuid, n, 0, n, n, n, 1 "
    "FROM generate_series(1, 20000) n",
    "INSERT INTO tinycrm_memberships (account_id, customer_id, project_id, status, status_at, "
    "params, params_at, joined_at) SELECT 7, md5(n::text)::uuid, 1, 'free', 0, "
    "json_build_object('plan', 'p' || n, 'mrr', n, 'in', json_build_object('plan', n)), 0, "
    # In 2023, so that no condition but those on params is a rare one.
    "1700000000000000 + n FROM generate_series(1, 20000) n",
)


@pytest.mark.parametrize(
    "text",
    ["p.plan:rare status:free", "p.mrr:29 status:free", "p.in.plan:rare,29 joined>2020-01-01"],
)
def test_equality_on_params_uses_the_index_over_the_json(
    postgres_engine: sa.Engine, text: str
) -> None:
    """An untyped 29 is looked for as number and as text."""
    with reading(postgres_engine, []) as tx:
        tx.connection.exec_driver_sql(CROWD[0])
        tx.connection.exec_driver_sql(CROWD[1])
        tx.connection.exec_driver_sql("SELECT gin_clean_pending_list('tinycrm_memberships_params')")
        tx.connection.exec_driver_sql("ANALYZE tinycrm_memberships, tinycrm_customers")
        sent = statements(tx)
        questions.find(tx, Query(parse(text), Sort("seen"), 5, NOW))
        statement, values = sent[-1]
        rows = tx.connection.exec_driver_sql("EXPLAIN " + statement, values).scalars()
        assert "tinycrm_memberships_params" in "\n".join(rows)
        assert "@>" in statement


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("field", ["joined", "active", Param(("mrr",)), Param(("plan",))])
def test_somebody_on_several_products_is_met_once(
    engine: sa.Engine, field: str | Param, descending: bool
) -> None:
    """R1: at the largest value when descending, at the smallest when ascending."""
    people = []
    for n in range(6):
        several = tuple(
            Membership(
                slug,
                Status.FREE,
                {"mrr": (n * 7 + place * 3) % 8, "plan": f"{(n * 5 + place * 3) % 8}"},
                strategies.TIMES[(n * 3 + place * 4) % 10],
                strategies.TIMES[(n * 7 + place * 3) % 10],
            )
            for place, slug in enumerate(("a", "b", "c"))
        )
        people.append(having({}, n, memberships=several))
    sort = Sort(field, descending)
    with reading(engine, people) as tx:
        for limit in (1, 2, 10):
            found = [ident for _, ident in paged(tx, EVERYBODY, sort, limit)]
            assert found == [ident for _, ident in in_order(people, sort)]

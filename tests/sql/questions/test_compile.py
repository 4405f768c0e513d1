"""A filter in SQL finds whom `matches()` finds, on both engines."""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests import strategies
from tests.sql.questions.people import ACCOUNT, SLUGS, Reading, distinct, reading
from tinycrm_core.errors import InvalidFilter
from tinycrm_core.filters import (
    Condition,
    Filter,
    Not,
    On,
    Param,
    Word,
    compile_matcher,
    normalise,
    parse,
)
from tinycrm_core.model import Customer, Membership, Status
from tinycrm_core.sql.compile import compile_filter
from tinycrm_core.sql.scope import Scope

NOW = strategies.NOW
MOMENT = datetime(2026, 3, 1, tzinfo=UTC)
RANDOM = settings(
    max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)


def having(params: dict[str, Any], number: int = 0, **others: Any) -> Customer:
    """Somebody with these params on one product."""
    membership = Membership("a", Status.FREE, params, MOMENT, None)
    values = {"id": uuid.UUID(int=number), "email": f"p{number}@example.com", "name": None}
    values |= {"created_at": MOMENT, "last_seen_at": None, "memberships": (membership,)}
    return Customer(**(values | others))


def clause(tx: Reading, filter: Filter, *, fenced: bool = False) -> Any:
    return compile_filter(filter, Scope(tx.tables, tx.dialect, ACCOUNT, SLUGS, NOW, fenced=fenced))


def found(tx: Reading, filter: Filter, *, fenced: bool = False) -> set[uuid.UUID]:
    customers = tx.tables.customers
    asked = sa.select(customers.c.customer_id).where(
        customers.c.account_id == ACCOUNT, clause(tx, filter, fenced=fenced)
    )
    return set(tx.connection.scalars(asked))


def normal(filters: Sequence[Filter]) -> list[Filter]:
    kept = []
    for each in filters:
        try:
            kept.append(normalise(each))
        except InvalidFilter:
            continue
    return kept


@RANDOM
@given(
    st.lists(strategies.customers(), min_size=1, max_size=5).map(distinct),
    st.lists(strategies.filters(loose=True), min_size=1, max_size=6).map(normal),
)
def test_sql_finds_whom_matches_finds(
    engine: sa.Engine, customers: list[Customer], filters: list[Filter]
) -> None:
    """S6."""
    with reading(engine, customers) as tx:
        for filter in filters:
            holds = compile_matcher(filter, NOW)
            expected = {each.id for each in customers if holds(each)}
            assert found(tx, filter) == expected
            assert found(tx, filter, fenced=True) == expected
            assert found(tx, Not(filter)) == {each.id for each in customers} - expected


HOSTILE = (
    'a"b', "a.b", "$", "$.x", "[0]", "a[0]", "\\", 'x\\"y', "%", "_", "", " ", "'", "ключ",
    "😀", "\u00e9", "e\u0301", "\n\t", "\x01", "*", "#", "?", ":x", "--", "{}", "}", "0",
    "null", "p.q",
)  # fmt: skip


def test_hostile_keys_find_exactly_their_row(engine: sa.Engine) -> None:
    """V8."""
    people = [having({key: "here", "other": 1}, n) for n, key in enumerate(HOSTILE)]
    people += [having({"in": {key: 29}}, 100 + n) for n, key in enumerate(HOSTILE)]
    people += [having({key: {"in": True}}, 200 + n) for n, key in enumerate(HOSTILE)]
    with reading(engine, people) as tx:
        for n, key in enumerate(HOSTILE):
            on = On("a", (Condition(Param((key,)), "eq", "here"),))
            assert found(tx, on) == {uuid.UUID(int=n)}, key
            on = On("a", (Condition(Param(("in", key)), "gte", Word("29")),))
            assert found(tx, on) == {uuid.UUID(int=100 + n)}, key
            on = On("a", (Condition(Param((key, "in")), "eq", Word("true")),))
            assert found(tx, on) == {uuid.UUID(int=200 + n)}, key


def test_an_index_into_a_list_is_no_key(engine: sa.Engine) -> None:
    with reading(engine, [having({"list": [29, {"x": 29}]})]) as tx:
        for path in (("list", "0"), ("list", "1", "x"), ("list", "-1"), ("list", "#-1")):
            assert not found(tx, On("a", (Condition(Param(path), "exists"),))), path


STORED = (True, 1, 1.0, "1", "true", None, "null")
ASKED = (Word("true"), 1, 1.0, "1", "true", Word("null"), "null", Word("1"))
EQUAL = (
    (True,),
    (1, 1.0),
    (1, 1.0),
    ("1",),
    ("true",),
    (None,),
    ("null",),
    (1, 1.0, "1"),
)


@pytest.mark.parametrize(("asked", "equal"), list(zip(ASKED, EQUAL, strict=True)))
def test_types_are_not_confused(engine: sa.Engine, asked: Any, equal: tuple[Any, ...]) -> None:
    """V10: true, 1, "1" and null are four things; 1 and 1.0 are one."""
    expected = {
        uuid.UUID(int=n)
        for n, value in enumerate(STORED)
        if any(type(value) is type(each) and value == each for each in equal)
    }
    with reading(engine, [having({"beta": value}, n) for n, value in enumerate(STORED)]) as tx:
        assert found(tx, On("a", (Condition(Param(("beta",)), "eq", asked),))) == expected
        everybody = {uuid.UUID(int=n) for n in range(len(STORED))}
        other = On("a", (Condition(Param(("beta",)), "not", asked),))
        assert found(tx, other) == everybody - expected


def test_numbers_compare_exactly(engine: sa.Engine) -> None:
    """L7: text among numbers raises nothing, and large integers are not rounded."""
    values = ("abc", 2**53, 2**53 + 1, float(2**53), 2**60, float(2**60), 0.1, -1, [5], "6")
    people = [having({"mrr": value}, n) for n, value in enumerate(values)]
    with reading(engine, people) as tx:
        for asked in (2**53, 2**53 + 1, float(2**60), 2**60, 0.1, 5):
            for op in ("eq", "gt", "gte", "lt", "lte"):
                if op != "eq" and asked == 2**60:
                    continue
                filter = normalise(On("a", (Condition(Param(("mrr",)), op, asked),)))
                holds = compile_matcher(filter, NOW)
                assert found(tx, filter) == {p.id for p in people if holds(p)}, (op, asked)


DATES = (
    *("2024-02-28", "2024-02-29", "2023-02-29", "2024-02-30", "2024-03-01", "2024-04-31"),
    *("2024-03-01T00:00Z", "2024-02-29T23:30:00-01:00", "2024-03-01T00:30+01:00", "2024-3-01"),
    *("2024-02-29 ", "2024-02-29T24:00", "20240229", "2024-W09-4", "0000-01-01", "0001-01-01"),
    *("9999-12-31", "9999-12-31T23:59:59.999999Z", "10000-01-01", "２024-02-29", "abcd-02-29", ""),
    *(20240229, None, True),
)


@pytest.mark.parametrize("fenced", [False, True])
def test_only_real_dates_lie_between_dates(engine: sa.Engine, fenced: bool) -> None:
    """V9: what merely looks like a date is none, and one with a time is as late as it says."""
    people = [having({"t": value}, n) for n, value in enumerate(DATES)]
    days = ("0001-01-01", "2024-02-28", "2024-02-29", "2024-03-01", "9999-12-31", "today")
    texts = [f"p.t{op}{day}" for op in ("<", "<=", ">", ">=", ":", "!=") for day in days]
    times = ("2024-02-29T00:00Z", "2024-03-01T00:30+01:00", "0001-01-01T00:00+02:00")
    texts += [f"p.t{op}{time}" for op in ("<", ">=") for time in times]
    texts += ["p.t:2024-02-29..2024-03-01", "-p.t:2024-02-29", "p.t>9999-12-31T23:00-05:00"]
    with reading(engine, people) as tx:
        for text in texts:
            filter = normalise(parse(text))
            holds = compile_matcher(filter, NOW)
            expected = {each.id for each in people if holds(each)}
            assert found(tx, filter, fenced=fenced) == expected, text


def test_wildcards_are_letters(engine: sa.Engine) -> None:
    """V9."""
    names = ("100%", "100 percent", "a_b", "axb", "back\\slash", "ÉLISE", "elise")
    people = [having({"n": name}, n, name=name) for n, name in enumerate(names)]
    with reading(engine, people) as tx:
        for text, expected in (("100%", {0}), ("a_b", {2}), ("k\\s", {4}), ("élise", {5})):
            assert found(tx, parse(f'"{text}"'.replace("\\", "\\\\"))) == {
                uuid.UUID(int=n) for n in expected
            }
            for op in ("contains", "starts", "eq"):
                filter = On("a", (Condition(Param(("n",)), op, text),))
                holds = compile_matcher(filter, NOW)
                assert found(tx, filter) == {p.id for p in people if holds(p)}


def test_long_text_is_compared_whole(engine: sa.Engine) -> None:
    """The index keeps 200 characters; the answer does not."""
    texts = ("x" * 200, "x" * 200 + "a", "x" * 200 + "b", "x" * 199)
    people = [having({"t": text}, n) for n, text in enumerate(texts)]
    with reading(engine, people) as tx:
        for op in ("eq", "gt", "gte", "lt", "lte", "starts", "contains", "not"):
            for text in texts:
                filter = On("a", (Condition(Param(("t",)), op, text),))
                holds = compile_matcher(filter, NOW)
                assert found(tx, filter) == {p.id for p in people if holds(p)}, op


TABLE = re.compile(r"(?:FROM|JOIN|,)\s+tinycrm_\w+ AS (\w+)|FROM (tinycrm_\w+)(?! AS)\b")


@RANDOM
@given(strategies.filters(loose=True))
@example(parse("project:a p.plan:2026-03-29 alex"))
def test_every_table_is_bound_to_the_account(sqlite_engine: sa.Engine, filter: Filter) -> None:
    for asked in normal([filter]):
        with reading(sqlite_engine, []) as tx:
            statement = str(clause(tx, asked).compile(dialect=tx.connection.dialect))
        for alias in [one or other for one, other in TABLE.findall(statement)]:
            assert f"{alias}.account_id = ?" in statement, statement


def test_values_are_bound_never_written_into_the_statement(engine: sa.Engine) -> None:
    hostile = "'; DROP TABLE tinycrm_customers; --"
    filter = normalise(On("a", (Condition(Param((hostile,)), "eq", hostile),)))
    with reading(engine, [having({hostile: hostile})]) as tx:
        assert "DROP" not in str(clause(tx, filter).compile(dialect=tx.connection.dialect))
        assert found(tx, filter) == {uuid.UUID(int=0)}

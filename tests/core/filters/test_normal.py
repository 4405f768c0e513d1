"""Trees of every shape, asked of everybody there can be in a very small world."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from tests.core.filters.people import on, person
from tinycrm_core.errors import InvalidFilter
from tinycrm_core.filters import (
    And,
    Condition,
    Filter,
    Not,
    On,
    Or,
    Param,
    Value,
    Word,
    compile_matcher,
    format,
    from_pairs,
    normalise,
    parse,
    to_pairs,
)

X = Param(("x",))
ALEX = Condition("words", "contains", "alex")
PAID = Condition("status", "eq", "paid")
FREE = Condition("status", "eq", "free")
SEVEN = Condition(X, "eq", Word("7"))


def place(*slugs: str, op: str = "in") -> Condition:
    value: Value = slugs if op == "in" else slugs[0]
    return Condition("project", op, value)  # type: ignore[arg-type]


def world() -> list[object]:
    """Everybody: on a and b in any way that matters here, on c or not, called Alex or not."""
    ways = [
        None,
        *product(("paid", "free"), ({}, {"x": 7}, {"x": "7"})),
    ]
    people = []
    for on_a, on_b, on_c, name in product(ways, ways, (None, ("paid", {})), (None, "Alex")):
        there = zip("abc", (on_a, on_b, on_c), strict=True)
        memberships = [on(slug, way[0], params=way[1]) for slug, way in there if way]
        people.append(person(*memberships, name=name))
    return people


WORLD = world()


def who(filter: Filter) -> list[bool]:
    return [*map(compile_matcher(filter, 0), WORLD)]  # type: ignore[arg-type]


SHAPES: list[Filter] = [
    And(),
    Or(()),
    Not(And()),
    Not(Or(())),
    Or((And(), ALEX)),
    And((Or((And(), On("a"))), ALEX)),
    And((And((And((ALEX,)),)), On("a"))),
    Not(Not(Not(ALEX))),
    Or((On("a", (PAID,)), On("b", (FREE,)))),
    Or((On("a", (PAID,)), On(None, (FREE,)))),
    Or((On("a", (PAID,)), PAID)),
    Or((On("a"), On("b"), On(None, (place("b", "c"),)))),
    Or((On(None, (place("a", op="not"),)), On("b"))),
    Or((PAID, FREE, SEVEN)),
    Or((Not(PAID), Not(FREE))),
    And((On(None, (PAID,)), On(None, (SEVEN,)))),
    And((On("a", (PAID,)), On("a", (SEVEN,)), On("b"))),
    And((On("a"), On(None, (PAID,)))),
    And((On("a"), On("b"), On(None, (PAID,)))),
    And((On("a"), On("b"), On(None, (place("a", "b"), PAID)))),
    And((On("a"), On("b"), On(None, (place("b", "a"), PAID)))),
    And((On("a"), On("b"), On(None, (place("a", "b"), place("b", "c"), PAID)))),
    And((On("a"), Or((On(None, (PAID,)), ALEX)))),
    And((On("a"), On(None, (SEVEN,)), Or((On(None, (PAID,)), ALEX)))),
    And((On("a", (PAID,)), Or((On("b", (PAID,)), On(None, (FREE,)))))),
    And((Or((On(None, (PAID,)), ALEX)), Or((On(None, (SEVEN,)), Not(ALEX))))),
    And((Or((And((On(None, (PAID,)), On(None, (SEVEN,)))), ALEX)), On("c"))),
    On(None),
    Not(On(None)),
    On(None, (place("a", "b"), place("b", "c"))),
    On(None, (place("a", op="eq"), place("b", op="eq"))),
    On("a", (place("b", op="eq"),)),
    And((On("a", (place("a", "b"),)), On("b", (PAID,)))),
    And((On("a", (place("b", op="not"),)), On("b", (PAID,)))),
    Not(On("a", (place("b", op="eq"),))),
    Not(On(None, (place("a", "b"), place("b", "c")))),
    Not(On("a", (PAID, SEVEN))),
    And((PAID, SEVEN, Not(And((PAID, ALEX))))),
    On(None, (Condition(X, "eq", 7),)),
    On(None, (Condition(X, "eq", 7.0), PAID)),
    On(None, (Condition(X, "in", (7, "x", 8)),)),
    On("a", (Condition(X, "in", (7, "7")), FREE)),
    On(None, (Condition(X, "not", 7),)),
    Not(On("a", (Condition(X, "not", 7),))),
    And((On("a", (Condition(X, "not", 7),)), On("b", (Condition(X, "eq", "7"),)))),
]


@pytest.mark.parametrize("tree", SHAPES, ids=repr)
def test_every_spelling_of_a_shape_finds_the_same_people(tree: Filter) -> None:
    expected = who(tree)
    text, pairs = format(tree), to_pairs(tree)
    assert who(parse(text)) == expected
    assert who(from_pairs(pairs)) == expected
    assert parse(format(parse(text))) == parse(text)
    assert normalise(normalise(tree)) == normalise(tree)


@pytest.mark.parametrize(
    ("tree", "found"),
    [
        (And(), len(WORLD)),
        (Or(()), 0),
        (Or((And(), ALEX)), len(WORLD)),
        (ALEX, len(WORLD) // 2),
        (On("c"), len(WORLD) // 2),
        (Not(On(None)), 2),
        (Or((On("a", (PAID,)), On("b", (FREE,)))), 4 * (3 * 7 + 3 * 7 - 3 * 3)),
    ],
    ids=repr,
)
def test_the_world_is_as_large_as_it_should_be(tree: Filter, found: int) -> None:
    assert sum(who(tree)) == found


def small_trees(*, loose: bool) -> st.SearchStrategy[Filter]:
    values = (Word("7"), 7, "7")
    condition = st.sampled_from(
        [
            PAID,
            FREE,
            *(Condition(X, op, value) for op in ("eq", "not") for value in values),  # type: ignore[arg-type]
            *(place(slug, op=op) for slug in "abc" for op in ("eq", "not")),
            place("a", "b"),
            place("b", "c"),
        ]
    )
    some = st.lists(condition, max_size=3).map(tuple)
    leaves = st.one_of(
        st.builds(On, st.sampled_from((None, None, "a", "b")), some),
        condition if loose else st.nothing(),
        st.just(ALEX),
    )
    return st.recursive(
        leaves,
        lambda items: st.one_of(
            st.lists(items, max_size=4).map(lambda several: And(tuple(several))),
            st.lists(items, max_size=3).map(lambda several: Or(tuple(several))),
            items.map(Not),
        ),
        max_leaves=8,
    )


@settings(max_examples=400)
@given(small_trees(loose=False) | small_trees(loose=True))
def test_so_does_every_spelling_of_any_small_tree(tree: Filter) -> None:
    try:
        text, pairs = format(tree), to_pairs(tree)
    except InvalidFilter:
        reject()  # multiplied out, it would grow beyond the limit
    expected = who(tree)
    assert who(parse(text)) == expected
    assert who(from_pairs(pairs)) == expected
    assert parse(format(parse(text))) == parse(text)

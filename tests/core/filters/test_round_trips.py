"""Text, tree and URL say the same, for random filters and random people."""

from __future__ import annotations

from hypothesis import assume, given
from hypothesis import strategies as st

from tests.strategies import NOW, customers, filters
from tinycrm_core.errors import InvalidFilter
from tinycrm_core.filters import (
    Filter,
    describe,
    describe_parts,
    format,
    from_pairs,
    matches,
    normalise,
    parse,
    to_pairs,
)
from tinycrm_core.model import Customer

people = st.lists(customers(), min_size=1, max_size=6)
any_filter = st.one_of(filters(), filters(loose=True))


def allowed(filter: Filter) -> Filter:
    """The normal form; a filter that multiplies out beyond a limit is no example."""
    try:
        return normalise(filter)
    except InvalidFilter as error:
        assume("at most" not in error.message)
        raise


def who(filter: Filter, people: list[Customer]) -> list[bool]:
    return [matches(filter, customer, now=NOW) for customer in people]


def spellable(filter: Filter) -> str:
    try:
        return format(filter)
    except InvalidFilter as error:  # numbers only, which text spells with several conditions
        assume("at most" not in error.message)
        raise


@given(any_filter, people)
def test_text_asks_the_same_as_the_tree(filter: Filter, people: list[Customer]) -> None:
    allowed(filter)
    assert who(parse(spellable(filter)), people) == who(filter, people)


@given(any_filter)
def test_text_is_stable_once_read(filter: Filter) -> None:
    allowed(filter)
    read = parse(spellable(filter))
    assert parse(format(read)) == read


@given(any_filter, people)
def test_pairs_ask_the_same_as_the_tree(filter: Filter, people: list[Customer]) -> None:
    allowed(filter)
    spellable(filter)
    pairs = to_pairs(filter)
    assert who(from_pairs(pairs), people) == who(filter, people)
    assert to_pairs(from_pairs(pairs)) == pairs


@given(any_filter)
def test_the_normal_form_is_normal(filter: Filter) -> None:
    normal = allowed(filter)
    assert normalise(normal) == normal


@given(any_filter)
def test_every_filter_has_a_sentence_made_of_its_parts(filter: Filter) -> None:
    allowed(filter)
    sentence = describe(filter)
    assert sentence.startswith(("People ", "Everyone", "Nobody"))
    assert sentence == "".join(part.text for part in describe_parts(filter))
    assert "  " not in sentence.replace("x  y", "")

"""Which membership a condition is about."""

from __future__ import annotations

import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from tests.core.filters.people import holds, on, person
from tests.strategies import NOW, SLUGS, customers, filters
from tinycrm_core.errors import InvalidFilter
from tinycrm_core.filters import (
    And,
    Condition,
    Filter,
    Not,
    On,
    Or,
    Param,
    matches,
    normalise,
    parse,
)
from tinycrm_core.filters.conditions import is_membership
from tinycrm_core.model import Customer, Membership

PAID = Condition("status", "eq", "paid")
PRO = Condition(Param(("plan",)), "eq", "pro")
ALEX = Condition("words", "contains", "alex")


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("status:paid p.plan:pro", On(None, (PAID, PRO))),
        ("status:paid alex p.plan:pro", And((On(None, (PAID, PRO)), ALEX))),
        ("project:a status:paid", On("a", (PAID,))),
        ("status:paid project:a", On("a", (PAID,))),
        ("project:a project:a status:paid", On("a", (PAID,))),
        ("project:a,b status:paid", On(None, (Condition("project", "in", ("a", "b")), PAID))),
        ("project!=a status:paid", On(None, (Condition("project", "not", "a"), PAID))),
        (
            "project:a project:b status:paid",
            And((On("a"), On("b"), On(None, (Condition("project", "in", ("a", "b")), PAID)))),
        ),
        (
            "project:a project:b,c status:paid",
            And(
                (
                    On("a"),
                    On(None, (Condition("project", "in", ("b", "c")),)),
                    On(None, (Condition("project", "in", ("a", "b", "c")), PAID)),
                )
            ),
        ),
        ("status@a:paid p.plan@a:pro", On("a", (PAID, PRO))),
        ("status@a:paid project:a p.plan:pro", On("a", (PAID, PRO))),
        ("status@a:paid p.plan:pro", And((On("a", (PAID,)), On(None, (PRO,))))),
        ("-status:paid", Not(On(None, (PAID,)))),
        ("-status@a:paid", Not(On("a", (PAID,)))),
        ("p.plan:pro -status:paid", And((On(None, (PRO,)), Not(On(None, (PAID,)))))),
        (
            "p.plan:pro -(p.plan:pro status:paid)",
            And((On(None, (PRO,)), Not(On(None, (PRO, PAID))))),
        ),
        ("-(-status:paid)", On(None, (PAID,))),
        ("project:a (status:paid)", On("a", (PAID,))),
        (
            "project:a (status:paid or status:trial)",
            On("a", (Condition("status", "in", ("paid", "trial")),)),
        ),
        (
            "project:a (status:paid or alex)",
            Or((On("a", (PAID,)), And((On("a"), ALEX)))),
        ),
        (
            "-alex (status:paid or alex) p.plan:pro",
            And((Not(ALEX), Or((On(None, (PAID, PRO)), And((ALEX, On(None, (PRO,)))))))),
        ),
        (
            "alex (status:paid or p.plan:pro)",
            And((ALEX, Or((On(None, (PAID,)), On(None, (PRO,)))))),
        ),
        ("status@a:paid or status@a:free", On("a", (Condition("status", "in", ("paid", "free")),))),
        ("project:a or project:b", On(None, (Condition("project", "in", ("a", "b")),))),
        ("name:x or name:y", Condition("name", "in", ("x", "y"))),
        ("any(status:paid) any(p.plan:pro)", And((On(None, (PAID,)), On(None, (PRO,))))),
        ("any(project:a status:paid)", On("a", (PAID,))),
        ("any(project:a project:b)", On("a", (Condition("project", "eq", "b"),))),
        ("any()", On(None)),
        ("", And()),
        ("  ", And()),
        ("alex alex", ALEX),
    ],
)
def test_the_tree_of_a_text(text: str, tree: Filter) -> None:
    assert parse(text) == tree


TWO = person(on("a", "paid", params={"plan": "basic"}), on("b", "free", params={"plan": "pro"}))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("status:paid p.plan:pro", False),
        ("status:paid p.plan:basic", True),
        ("any(status:paid) p.plan:pro", True),
        ("project:a p.plan:pro", False),
        ("project:a project:b p.plan:pro", True),
        ("project:a project:b p.plan:pro status:paid", False),
        ("project:a project:c p.plan:basic", False),
        ("status@a:paid p.plan@b:pro", True),
        ("status@a:paid p.plan@a:pro", False),
        ("-status:churned", True),
        ("-status:paid", False),
        ("status!=paid", True),
        ("project:a status!=paid", False),
        ("-(status:paid p.plan:pro)", True),
        ("-(status:paid p.plan:basic)", False),
        ("status:free (p.plan:basic or p.plan:pro)", True),
        ("status:free (p.plan:basic or project:a)", False),
        ("status:free (p.plan:basic or project:b)", True),
        ("project:a (status:free or p.plan:basic)", True),
        ("project:a (status:free or p.plan:pro)", False),
        ("any(status:paid) (status:churned or p.plan:pro)", True),
        ("project!=a status:paid", False),
        ("project!=a project!=b", False),
        ("any()", True),
        ("-any()", False),
    ],
)
def test_somebody_on_two_products(text: str, expected: bool) -> None:
    assert holds(text, TWO) is expected


def test_nobody_on_no_product_has_a_membership() -> None:
    assert not holds("any()", person())
    assert not holds("status!=paid", person())
    assert holds("-status:paid -any()", person())


def test_multiplying_out_has_an_end() -> None:
    """R2: few conditions that would become many are refused, and quickly."""
    choices = " ".join(f"(p.k{i}:1 or w{i} or status:paid)" for i in range(16))
    with pytest.raises(InvalidFilter, match="at most 50 conditions"):
        parse(choices)
    assert parse(" ".join(f"(p.k{i}:1 or w{i})" for i in range(3)))


def asked_of(tree: Filter, customer: Customer, membership: Membership | None) -> bool:
    """The scope rule as one would explain it: one membership for all loose conditions."""
    match tree:
        case And(items):
            return all(asked_of(item, customer, membership) for item in items)
        case Or(items):
            return any(asked_of(item, customer, membership) for item in items)
        case Not(item):
            return not explained(item, customer)
        case Condition() if is_membership(tree):
            if membership is None:
                return False
            return matches(On(membership.project, (tree,)), customer, now=NOW)
    return matches(tree, customer, now=NOW)


def explained(tree: Filter, customer: Customer) -> bool:
    return any(asked_of(tree, customer, each) for each in (*customer.memberships, None))


def places(tree: Filter) -> int:
    match tree:
        case And(items) | Or(items):
            return sum(map(places, items))
        case Not(item):
            return places(item)
        case Condition("project", "eq" | "in"):
            return 1
    return 0


@given(
    filters(loose=True).filter(lambda tree: places(tree) == 0),
    st.none() | st.sampled_from(SLUGS),
    st.lists(customers(), min_size=1, max_size=5),
)
def test_loose_conditions_share_one_membership(
    tree: Filter, project: str | None, people: list[Customer]
) -> None:
    if project is not None:
        tree = And((Condition("project", "eq", project), tree))
    try:
        normal = normalise(tree)
    except InvalidFilter:
        reject()  # multiplied out, it would grow beyond the limit
    for customer in people:
        assert matches(normal, customer, now=NOW) == explained(tree, customer)

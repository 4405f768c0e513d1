"""The twelve questions: as text, as query pairs, as a tree, and who is found."""

from __future__ import annotations

from urllib.parse import parse_qsl

import pytest

from tests.core.filters.people import ago, holds, on, person
from tinycrm_core.filters import And, Condition, Filter, Not, On, Param, Word, from_pairs, parse
from tinycrm_core.model import Customer


def where(project: str | None, *conditions: tuple[object, ...]) -> On:
    return On(project, tuple(Condition(*each) for each in conditions))  # type: ignore[arg-type]


QUESTIONS: dict[str, tuple[str, Filter, Customer, Customer]] = {
    "project:b status:paid": (
        "project=b&status=paid",
        where("b", ("status", "eq", "paid")),
        person(on("a"), on("b", "paid")),
        person(on("a", "paid"), on("b")),
    ),
    "project:a project:b": (
        "project=a&project=b",
        And((On("a"), On("b"))),
        person(on("a"), on("b")),
        person(on("a")),
    ),
    "projects>=2": (
        "projects__gte=2",
        Condition("projects", "gte", 2),
        person(on("a"), on("b")),
        person(on("a")),
    ),
    "project:a -project:b": (
        "project=a&-project=b",
        And((On("a"), Not(On("b")))),
        person(on("a"), on("c")),
        person(on("a"), on("b")),
    ),
    "status@a:free status@b:paid": (
        "status@a=free&status@b=paid",
        And((where("a", ("status", "eq", "free")), where("b", ("status", "eq", "paid")))),
        person(on("a"), on("b", "paid")),
        person(on("a", "paid"), on("b")),
    ),
    "active@a<-30d active@b>-7d": (
        "active@a__lt=-30d&active@b__gt=-7d",
        And(
            (
                where("a", ("active", "lt", Word("-30d"))),
                where("b", ("active", "gt", Word("-7d"))),
            )
        ),
        person(on("a", active=ago(days=31)), on("b", active=ago(days=1))),
        person(on("a", active=ago(days=1)), on("b", active=ago(days=1))),
    ),
    "status:free joined<-14d": (
        "status=free&joined__lt=-14d",
        where(None, ("status", "eq", "free"), ("joined", "lt", Word("-14d"))),
        person(on("a", joined=ago(days=15))),
        person(on("a", joined=ago(days=1)), on("b", "paid", joined=ago(days=15))),
    ),
    "seen<-30d": (
        "seen__lt=-30d",
        Condition("seen", "lt", Word("-30d")),
        person(on("a"), seen=ago(days=31)),
        person(on("a")),
    ),
    "p.source:producthunt": (
        "p.source=producthunt",
        where(None, (Param(("source",)), "eq", "producthunt")),
        person(on("a", params={"source": "producthunt"})),
        person(on("a", params={"source": "Producthunt"})),
    ),
    "p.mrr>=99": (
        "p.mrr__gte=99",
        where(None, (Param(("mrr",)), "gte", Word("99"))),
        person(on("a"), on("b", params={"mrr": 99})),
        person(on("a", params={"mrr": "99"})),
    ),
    "status:trial p.trial_ends:today..+7d": (
        "status=trial&p.trial_ends__between=today..%2B7d",
        where(
            None,
            ("status", "eq", "trial"),
            (Param(("trial_ends",)), "between", (Word("today"), Word("+7d"))),
        ),
        person(on("a", "trial", params={"trial_ends": "2026-04-07"})),
        person(on("a", "trial", params={"trial_ends": "2026-04-08"})),
    ),
    "alex chen": (
        "q=alex+chen",
        And((Condition("words", "contains", "alex"), Condition("words", "contains", "chen"))),
        person(email="chen@example.com", name="ALEX"),
        person(email="alex@example.com", name="Alex"),
    ),
}


@pytest.mark.parametrize("text", QUESTIONS)
def test_text_and_query_are_one_tree(text: str) -> None:
    query, tree, _, _ = QUESTIONS[text]
    assert parse(text) == tree
    assert from_pairs(parse_qsl(query)) == tree


@pytest.mark.parametrize("text", QUESTIONS)
def test_it_finds_whom_it_should(text: str) -> None:
    _, _, yes, no = QUESTIONS[text]
    assert holds(text, yes)
    assert not holds(text, no)

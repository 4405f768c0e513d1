"""The sentence of a filter."""

from __future__ import annotations

import pytest

from tests.core.filters.test_questions import QUESTIONS
from tinycrm_core.errors import InvalidFilter
from tinycrm_core.filters import Condition, Or, Part, describe, describe_parts, parse

SENTENCES = {
    "": "Everyone",
    "project:b status:paid": "People who are paid on b",
    "project:a project:b": "People who are on a and on b",
    "projects>=2": "People on at least 2 products",
    "project:a -project:b": "People who are on a but not on b",
    "status@a:free status@b:paid": "People who are free on a and paid on b",
    "active@a<-30d active@b>-7d": "People who were last active on a more than 30 days ago and "
    "active on b in the last 7 days",
    "status:free joined<-14d": "People who are free on some product, joined more than 14 days ago",
    "seen<-30d": "People last active more than 30 days ago",
    "p.source:producthunt": "People who are on some product with p.source producthunt",
    "p.mrr>=99": "People who are on some product with p.mrr at least 99",
    "status:trial p.trial_ends:today..+7d": "People who are on trial on some product with "
    "p.trial_ends between today and 7 days from now",
    "alex chen": "People with alex and chen in name or email",
    "status@newsletter:paid status@linkbio:free seen>-90d": "People who are paid on newsletter "
    "and free on linkbio, active in the last 90 days",
    "status@newsletter:free,trial project:linkbio seen>-90d": "People who are free or on trial on "
    "newsletter and also on linkbio, active in the last 90 days",
    "-status:churned": "People who are not churned on any product",
    "status!=paid": "People who are not paid on some product",
    "project!=a": "People who are on a product other than a",
    "project:a,b status:paid": "People who are paid on a or b",
    "-(project:a status:paid)": "People who are not paid on a",
    "-(status:paid p.plan:pro)": "People except those who are paid on some product with p.plan pro",
    "status:paid active>-7d": "People who are paid on some product, "
    "active there in the last 7 days",
    "active:-": "People who are never active on some product at any time",
    "project:a status:paid or alex": "People who are paid on a; or with alex in name or email",
    "seen>-1d (alex or name:x)": "People active in the last 1 day, either with alex in name or "
    "email or whose name is x",
    "(alex status:paid or chen) seen:today": "People either (who are paid on some product, "
    "with alex in name or email) or with chen in name or email, last active today",
    "-alex -email~x -name:-": "People without alex in name or email, whose email does not contain "
    "x, with a name",
    "created:2026-01-01..2026-01-31": "People first known between 2026-01-01 and 2026-01-31",
    "created<2026-01-01 seen>=today": "People first known before 2026-01-01, "
    "last active since today",
    "seen!=2026-01-01": "People last active not on 2026-01-01",
    "-seen>-2h": "People not active in the last 2 hours",
    "projects:1": "People on exactly 1 product",
    "projects:1..3": "People on 1 to 3 products",
    'p.x:"29",30': 'People who are on some product with p.x "29" or 30',
    "p.x!=null p.y:* p.z:-": "People who are on some product with p.x other than null and some "
    "p.y and no p.z",
    'p."a.b"~x p.d<2026-01-01': 'People who are on some product with p."a.b" containing x and '
    "p.d before 2026-01-01",
    "any()": "People who are on some product",
    "-any()": "People who are not on any product",
}


@pytest.mark.parametrize(("text", "sentence"), SENTENCES.items())
def test_sentences(text: str, sentence: str) -> None:
    assert describe(parse(text)) == sentence


def test_every_question_has_one() -> None:
    assert set(QUESTIONS) <= set(SENTENCES)


def test_a_filter_for_nobody() -> None:
    assert describe(Or(())) == "Nobody"


def test_parts_mark_what_was_asked_for() -> None:
    assert describe_parts(parse("status@shop:free,trial seen>-90d")) == [
        Part("People who are "),
        Part("free", "value"),
        Part(" or on "),
        Part("trial", "value"),
        Part(" on "),
        Part("shop", "product"),
        Part(", active "),
        Part("in the last 90 days", "value"),
    ]


def test_a_broken_filter_has_no_sentence() -> None:
    with pytest.raises(InvalidFilter):
        describe(Condition("statsu", "eq", "x"))

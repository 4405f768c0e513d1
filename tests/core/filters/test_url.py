"""Filters as query pairs."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode

import pytest

from tests.core.filters.test_text import HOSTILE
from tinycrm_core.errors import InvalidFilter
from tinycrm_core.filters import (
    And,
    Condition,
    Not,
    On,
    Param,
    Word,
    format,
    from_pairs,
    parse,
    to_pairs,
)


@pytest.mark.parametrize(
    ("pairs", "text"),
    [
        ([], ""),
        ([("q", "")], ""),
        ([("q", "alex chen")], "alex chen"),
        ([("status@newsletter__in", "free,trial")], "status@newsletter:free,trial"),
        ([("status__not", "paid")], "status!=paid"),
        ([("-status", "paid")], "-status:paid"),
        ([("-status@a__in", "paid,free")], "-status@a:paid,free"),
        ([("name", "Alex Chen")], 'name:"Alex Chen"'),
        ([("name", '"Alex"')], "name:Alex"),
        ([("name", "a,b")], 'name:"a,b"'),
        ([("name__in", 'a,"b,c", d')], 'name:a,"b,c"," d"'),
        ([("name", "*")], 'name:"*"'),
        ([("name__exists", "1")], "name:*"),
        ([("name__missing", "")], "name:-"),
        ([("name__contains", "a b")], 'name~"a b"'),
        ([("email__starts", "al")], "email^al"),
        ([("created__gte", "2026-01-01")], "created>=2026-01-01"),
        ([("seen__lte", "-1w")], "seen<=-1w"),
        ([("p.mrr", "29")], "p.mrr:29"),
        ([("p.mrr", '"29"')], 'p.mrr:"29"'),
        ([("p.mrr__between", "1.5..9")], "p.mrr:1.5..9"),
        ([("p.x__between", '"a..b"..c')], 'p.x:"a..b"..c'),
        ([("p.x", '"a\\"b"')], 'p.x:"a\\"b"'),
        ([("p.x", 'a"b')], 'p.x:"a\\"b"'),
        ([("p.billing.plan", "pro")], "p.billing.plan:pro"),
        ([('p."a.b"__gt', "1")], 'p."a.b">1'),
        ([('p."a__gt"', "1")], 'p."a__gt":1'),
        ([('p."a__gt"@shop__lt', "1")], 'p."a__gt"@shop<1'),
        ([("p.x@shop__exists", "true")], "p.x@shop:*"),
        ([("project", "a"), ("status", "paid")], "project:a status:paid"),
        ([("project", "a"), ("q", "status:paid")], "project:a status:paid"),
        ([("project", "a"), ("q", "status:paid or alex")], "project:a (status:paid or alex)"),
        ([("q", "a"), ("q", "b or c")], "a (b or c)"),
    ],
)
def test_pairs_are_read_like_text(pairs: list[tuple[str, str]], text: str) -> None:
    tree = from_pairs(pairs)
    assert tree == parse(text)
    assert from_pairs(parse_qsl(urlencode(to_pairs(tree)))) == tree


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("", []),
        ("project:b status:paid", [("project", "b"), ("status", "paid")]),
        ("status@a:free status@b:paid", [("status@a", "free"), ("status@b", "paid")]),
        ("project:a -project:b", [("project", "a"), ("-project", "b")]),
        (
            "project:a project:b status:paid",
            [("project", "a"), ("project", "b"), ("status", "paid")],
        ),
        ("alex status:paid -chen", [("status", "paid"), ("q", "alex -chen")]),
        ("status:paid or alex", [("q", "status:paid or alex")]),
        ("name:x (a or b)", [("name", "x"), ("q", "(a or b)")]),
        (
            "any(status:paid p.x:1) p.y@a:2 (status:free or alex)",
            [("p.y@a", "2"), ("q", "any(status:paid p.x:1) (status:free or alex)")],
        ),
        ('p.x:"29",b,"c,d"', [("p.x__in", '"29",b,"c,d"')]),
        ("p.x:*", [("p.x__exists", "1")]),
        ("p.x__y:1", [('p."x__y"', "1")]),
        ("-(status:paid p.x:1)", [("q", "-(status:paid p.x:1)")]),
    ],
)
def test_what_pairs_have_no_words_for_is_text(text: str, pairs: list[tuple[str, str]]) -> None:
    assert to_pairs(parse(text)) == pairs


@pytest.mark.parametrize(
    ("key", "value", "position", "message", "choice"),
    [
        ("statsu", "paid", None, "did you mean status?", "status"),
        ("sort", "name", None, "no field called sort", "status"),
        ("-", "x", None, "no field called", "status"),
        ("", "x", None, "no field called", "status"),
        ("--status", "x", None, "no field called", None),
        ("status paid", "x", None, "no field called", None),
        ("words", "x", None, "words are searched", None),
        ("status__is", "paid", None, "no operator __is", "__in"),
        ("p.mrr__get", "1", None, "no operator __get", "__gte"),
        ("status__", "paid", None, "no operator __", "__not"),
        ("status__lt", "paid", None, "status does not know <x", ":x"),
        ("status", "pad", None, "no status called pad", "paid"),
        ("status", "", None, "a value is missing", None),
        ("status__in", "paid,", None, "a value is missing", None),
        ("status__in", ",paid", None, "a value is missing", None),
        ("p.x__between", "1", None, "takes two values", None),
        ("p.x__between", "1..", None, "a value is missing", None),
        ("p.x__between", "1..2..3", None, "takes two values", None),
        ("p.x", '"a', None, "never closed", None),
        ("p.x", '"a"b', None, "a quoted value ends", None),
        ("p.x__in", '"a"b', None, "a quoted value ends", None),
        ('p."x', "1", None, "never closed", None),
        ("p.x__exists", "0", None, "asked with the value 1", None),
        ("project", "shp", None, "no product called shp", "shop"),
        ("status@shp", "paid", None, "no product called shp", "shop"),
        ("seen@shop", "today", None, "about the person", "active"),
        ("seen__lt", "soon", None, "is not a date", "-30d"),
        ("projects__gte", "two", None, "a whole number", None),
        ("q", "alex statsu:x", 5, "did you mean status?", "status"),
        ("q", "x" * 10_001, None, "at most 10,000 characters", None),
        ("p.x", "x" * 1025, None, "longer than 1,024 bytes", None),
    ],
)
def test_an_error_names_the_key(
    key: str, value: str, position: int | None, message: str, choice: str | None
) -> None:
    with pytest.raises(InvalidFilter) as caught:
        from_pairs([("status", "free"), (key, value)], projects=("newsletter", "shop"))
    error = caught.value
    assert message in error.message
    assert error.position == position
    assert error.field == key or "10,000" in message
    assert choice is None or choice in error.choices


def test_limits_hold_for_all_pairs_together() -> None:
    """R2: nobody gets around a limit by writing many pairs."""
    with pytest.raises(InvalidFilter, match="at most 50 conditions"):
        from_pairs([("p.x", str(i)) for i in range(51)])
    with pytest.raises(InvalidFilter, match="at most 50 conditions"):
        from_pairs([("p.x", "1")] * 1001)
    with pytest.raises(InvalidFilter, match="at most 10,000 characters"):
        from_pairs([("q", " " * 5000), ("q", " " * 5000), ("q", "x")])


@pytest.mark.parametrize("name", HOSTILE)
def test_any_key_and_value_can_be_asked_for(name: str) -> None:
    """V8: odd names survive the way through a URL."""
    for op, value in (
        ("eq", name),
        ("in", (name, "other")),
        ("between", (name, name)),
        ("contains", name),
        ("gte", Word("1")),
        ("exists", None),
    ):
        condition = Condition(Param((name, name)), op, value)  # type: ignore[arg-type]
        for tree in (
            On(None, (condition,)),
            On(name or "a", (condition,)),
            And((On(name or "a", (condition,)), On("b"))),
            Not(On(None, (condition,))),
        ):
            query = urlencode(to_pairs(tree))
            assert from_pairs(parse_qsl(query, keep_blank_values=True)) == parse(format(tree))


def test_words_in_a_query_keep_their_conjunction() -> None:
    tree = And((Condition("words", "contains", "a b"), Condition("name", "eq", "x")))
    assert to_pairs(tree) == [("name", "x"), ("q", '"a b"')]

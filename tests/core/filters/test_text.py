"""Filter text: what can be written, and what every error says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.filters.people import having, holds
from tinycrm_core.errors import InvalidFilter
from tinycrm_core.filters import (
    And,
    Condition,
    Filter,
    Not,
    On,
    Or,
    Param,
    Word,
    format,
    parse,
)


def words(*texts: str) -> tuple[Condition, ...]:
    return tuple(Condition("words", "contains", text) for text in texts)


def param(*path: str, op: str = "eq", value: object = None) -> On:
    return On(None, (Condition(Param(path), op, value),))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("alex", words("alex")[0]),
        ('"alex chen"', words("alex chen")[0]),
        ("alex@example.com", words("alex@example.com")[0]),
        ("p.smith@example.com", words("p.smith@example.com")[0]),
        ("p.plan", words("p.plan")[0]),
        ("status", words("status")[0]),
        ("100%", words("100%")[0]),
        ("yahoo!", words("yahoo!")[0]),
        ("jo-anne", words("jo-anne")[0]),
        ('"or"', words("or")[0]),
        ('"-x"', words("-x")[0]),
        ('"a:b"', words("a:b")[0]),
        (r'"a\"b\\c\n"', words('a"b\\c\n')[0]),
        ("-alex", Not(words("alex")[0])),
        ('-"alex chen"', Not(words("alex chen")[0])),
        ("-or", Not(words("or")[0])),
        ("a or b", Or(words("a", "b"))),
        ("a OR b Or c", Or(words("a", "b", "c"))),
        ("a b or c", Or((And(words("a", "b")), *words("c")))),
        ("a (b or c)", And((*words("a"), Or(words("b", "c"))))),
        ("a(b)c", And(words("a", "b", "c"))),
        ("-(a b)", Not(And(words("a", "b")))),
        ("email:x", Condition("email", "eq", "x")),
        ("email=x", Condition("email", "eq", "x")),
        ("email:a@b.c", Condition("email", "eq", "a@b.c")),
        ("email!=x", Condition("email", "not", "x")),
        ("email:x,y", Condition("email", "in", ("x", "y"))),
        ("email:x,x", Condition("email", "eq", "x")),
        ("email=x,y", Condition("email", "in", ("x", "y"))),
        ("name~x", Condition("name", "contains", "x")),
        ("name^x", Condition("name", "starts", "x")),
        ('name:"29"', Condition("name", "eq", "29")),
        ("name:*", Condition("name", "exists")),
        ("name:-", Condition("name", "missing")),
        ('name:"*"', Condition("name", "eq", "*")),
        ("name:--", Condition("name", "eq", "--")),
        ("created<-30d", Condition("created", "lt", Word("-30d"))),
        ("created<=today", Condition("created", "lte", Word("today"))),
        ("created>2026-01-01", Condition("created", "gt", Word("2026-01-01"))),
        ('created>="2026-01-01"', Condition("created", "gte", Word("2026-01-01"))),
        ("seen:today..+7d", Condition("seen", "between", (Word("today"), Word("+7d")))),
        ("seen:2026-01-01T10:00Z", Condition("seen", "eq", Word("2026-01-01T10:00Z"))),
        ("projects:2", Condition("projects", "eq", 2)),
        ("projects:1..3", Condition("projects", "between", (1, 3))),
        ("status:trialing", On(None, (Condition("status", "eq", "trial"),))),
        ("status:trial,trialing", On(None, (Condition("status", "eq", "trial"),))),
        ("p.plan:pro", param("plan", value="pro")),
        ('p.plan:"pro"', param("plan", value="pro")),
        ("p.mrr:29", param("mrr", value=Word("29"))),
        ('p.mrr:"29"', param("mrr", value="29")),
        ("p.mrr~29", param("mrr", op="contains", value="29")),
        ("p.mrr:-5", param("mrr", value=Word("-5"))),
        ("p.zip:007", param("zip", value="007")),
        ("p.x:true,null,pro", param("x", op="in", value=(Word("true"), Word("null"), "pro"))),
        ("p.x:1.5..2", param("x", op="between", value=(Word("1.5"), Word("2")))),
        ('p.x:""', param("x", value="")),
        ('p.x:"a,b"', param("x", value="a,b")),
        ('p.x:"a..b","c d"', param("x", op="in", value=("a..b", "c d"))),
        ("p.url:http://x/?a=b", param("url", value="http://x/?a=b")),
        (r"p.path:C:\temp", param("path", value="C:\\temp")),
        ("p.x@a:1", On("a", (Condition(Param(("x",)), "eq", Word("1")),))),
        ('p.x@"a b":1', On("a b", (Condition(Param(("x",)), "eq", Word("1")),))),
        ("p.billing.plan:pro", param("billing", "plan", value="pro")),
        ('p."a.b":pro', param("a.b", value="pro")),
        ('p."a.b".c."":pro', param("a.b", "c", "", value="pro")),
        ("p.ключ:да", param("ключ", value="да")),
        ("p.$[0]:x", param("$[0]", value="x")),
        ("-p.x:*", Not(param("x", op="exists"))),
    ],
)
def test_what_can_be_written(text: str, tree: Filter) -> None:
    read = parse(text)
    assert read == tree
    assert parse(format(read)) == read


ERRORS = [
    ("statsu:paid", 0, "no field called statsu; did you mean status?", "status"),
    ("alex statsu@linkbio:paid", 5, "no field called statsu", "status"),
    ("plan:pro", 0, "params are written p.plan", "p.<key>"),
    ("p.:x", 0, "no field called p.", None),
    ("p.a..b:x", 0, "no field called p.a..b", None),
    ("words:x", 0, "words are searched by writing them alone", None),
    ("status@gone:free", 7, "no product called gone", "shop"),
    ("project:shp", 8, "no product called shp", "shop"),
    ("-project:shop,shp", 9, "no product called shp", "shop"),
    ("status@:free", 6, "after @ comes a product", "shop"),
    ("email@shop:x", 5, "about the person", "status"),
    ("project@shop:x", 7, "takes no @product", None),
    ("status:pad", 7, "the four are free, trial, paid, churned", "paid"),
    ("status:Paid", 7, "no status called Paid", "paid"),
    ("status>free", 6, "status does not know >x", ":x"),
    ("status:*", 6, "status does not know :*", ":x"),
    ("name<x", 4, "name does not know <x", "~x"),
    ("p.x==1", 3, "no operator ==", ":x"),
    ("p.x=>1", 3, "no operator =>", ">=x"),
    ("p.x!~1", 3, "no operator !~", "!=x"),
    ('p."a b" x', 7, "an operator must follow", ":x"),
    ("seen<lately", 5, "'lately' is not a date", "-30d"),
    ("seen<2026-02-30", 5, "is not a date", "today"),
    ("joined:today..soon", 7, "'soon' is not a date", "today"),
    ("projects>=two", 10, "a whole number", None),
    ("projects>=1.5", 10, "a whole number", None),
    ("projects:true", 9, "a whole number", None),
    ("status:", 7, "a value must follow :", None),
    ("status: paid", 7, "a value must follow :", None),
    ("status:paid,", 12, "a value must follow ,", None),
    ("status:,paid", 7, "a value must follow :", None),
    ("p.x:1..", 7, "a value must follow ..", None),
    ("p.x:..1", 4, "a value must follow :", None),
    ("p.x:1..2..3", 8, "the value ends here", None),
    ("p.x:1..2,3", 8, "the value ends here", None),
    ("p.x!=1,2", 6, "!= takes one value", ":x,y"),
    ("p.x<1..2", 5, "< takes one value", ":x..y"),
    ('p.x:"a"b', 7, "the value ends here", None),
    ('p.x:a"b"', 5, "the value ends here", None),
    ("p.x:a(b)", 5, "the value ends here", None),
    (":paid", 0, "no field stands before :", None),
    ("alex <b>", 5, "no field stands before <", None),
    ("(alex", 0, "never closed", None),
    ("a (b or (c)", 2, "never closed", None),
    ("alex)", 4, "closes nothing", None),
    ("()", 1, "both sides of «or»", None),
    ("or a", 0, "both sides of «or»", None),
    ("a or", 4, "both sides of «or»", None),
    ("a or or b", 5, "both sides of «or»", None),
    ('"alex', 0, "never closed", None),
    ('name:"al', 5, "never closed", None),
    ('p."a:1', 2, "never closed", None),
    ('al"ex"', 2, "a quote opens at the beginning", None),
    ('"al"ex', 4, "after a closing quote comes a space", None),
    (r'"a\qb"', 2, "after a backslash", r"\n"),
    ('""', 0, "nothing to search for", None),
    ("- alex", 0, "a minus stands directly before", None),
    ("--alex", 0, "a minus stands directly before", None),
    ("alex -", 5, "a minus stands directly before", None),
    ("any(status:paid", 0, "never closed", None),
    ("any(alex)", 4, "any(…) holds conditions on one membership", "status"),
    ("any(-status:paid)", 4, "any(…) holds", "status"),
    ("any(status@shop:paid)", 4, "any(…) holds", "status"),
    ("any(status:paid or status:free)", 16, "any(…) holds", "status"),
    ("alex \x00", 5, "NUL", None),
    ("p.x:\ud800", 4, "surrogate", None),
    ('p."\x00":1', 0, "NUL", None),
]


@pytest.mark.parametrize(("text", "position", "message", "choice"), ERRORS)
def test_an_error_says_where_what_and_what_else(
    text: str, position: int, message: str, choice: str | None
) -> None:
    with pytest.raises(InvalidFilter) as caught:
        parse(text, projects=("newsletter", "shop"))
    error = caught.value
    assert message in error.message
    assert error.position == position
    assert error.field == "filter"
    assert choice is None or choice in error.choices


def test_the_nearest_choice_comes_first() -> None:
    for text, nearest in [("statsu:x", "status"), ("project:shp", "shop"), ("status:pad", "paid")]:
        with pytest.raises(InvalidFilter) as caught:
            parse(text, projects=("newsletter", "shop", "waitlist"))
        assert caught.value.choices[0] == nearest


def test_products_are_checked_only_when_they_are_known() -> None:
    assert parse("project:gone") == On("gone")
    with pytest.raises(InvalidFilter, match="there are no products yet"):
        parse("project:gone", projects=())


HOSTILE = (
    'a"b',
    "a.b",
    "$",
    "$.a",
    "a[0]",
    "[",
    "\\",
    "\\\\",
    '\\"',
    "%",
    "_",
    "'",
    "",
    " ",
    "\n",
    "\t",
    "ключ",
    "é",
    "e\u0301",
    "😀",
    "a@b",
    "a:b",
    "a__gte",
    "a,b",
    "..",
    "*",
    "-",
    "(",
    ")",
    "or",
    "any(",
    "!",
    "!=",
    "<",
    "p",
    "null",
    "29",
    "{}",
    "--",
    "/*",
    "?",
    "%s",
    ":1",
    "__proto__",
)


@pytest.mark.parametrize("key", HOSTILE)
def test_any_key_can_be_asked_for(key: str) -> None:
    """V8: each odd key, as a key and as a value, alone and inside another, finds its row only."""
    keyed = [having(**{other: 1}) for other in HOSTILE]
    nested = [having(x={other: other}) for other in HOSTILE]
    valued = [having(x=other) for other in HOSTILE]
    for tree, people in (
        (param(key, value=Word("1")), keyed),
        (param("x", key, value=key), nested),
        (param("x", value=key), valued),
        (param(key, op="exists"), keyed),
    ):
        text = format(tree)
        assert [holds(text, each) for each in people] == [other == key for other in HOSTILE]


PIECES = (
    *'()"\\:,.@-!<>=~^ *',
    "..",
    " or ",
    "any(",
    "p.",
    "status",
    "project",
    "name",
    "seen",
    "paid",
    "today",
    "29",
    "a",
)
near_misses = st.lists(st.sampled_from(PIECES), max_size=25).map("".join)


@given(st.text(max_size=40) | near_misses)
def test_reading_ends_in_a_filter_or_in_a_positioned_error(text: str) -> None:
    try:
        tree = parse(text)
    except InvalidFilter as error:
        position = error.position
        assert position is not None
        assert 0 <= position <= len(text)
    else:
        assert parse(format(tree)) == tree

"""What a filter may not exceed, and trees from Python that are none."""

from __future__ import annotations

import pytest

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
    normalise,
    parse,
)


def words(*texts: str) -> tuple[Condition, ...]:
    return tuple(Condition("words", "contains", text) for text in texts)


LIMITS = [
    ("x" * 10_001, 10_000, "at most 10,000 characters, this one has 10,001"),
    ("p.x:" + "é" * 513, 4, "longer than 1,024 bytes"),
    ('p."' + "k" * 1025 + '":1', 0, "longer than 1,024 bytes"),
    ("w" * 1025, 0, "longer than 1,024 bytes"),
    ("project:" + "s" * 1025, 8, "longer than 1,024 bytes"),
    ("p." + ".".join("k" * 21) + ":1", 0, "more than 20 keys"),
    ("p.x:" + ",".join(map(str, range(101))), 4, "more than 100 values"),
    ("(" * 21 + "a" + ")" * 21, 20, "at most 20 deep"),
    ("(" * 5000, 20, "at most 20 deep"),
    ("-(" * 3000, 41, "at most 20 deep"),
    (" ".join(f"w{i}" for i in range(51)), 190, "at most 50 conditions"),
    (" or ".join(f"p.x:{i}" for i in range(51)), 490, "at most 50 conditions"),
    (" ".join("w" for _ in range(1001)), 100, "at most 50 conditions"),
    (" ".join(f"project:a{i}" for i in range(51)), None, "at most 50 conditions"),
    ("any(" + " ".join(f"p.x:{i}" for i in range(51)) + ")", None, "at most 50 conditions"),
]


@pytest.mark.parametrize(("text", "position", "message"), LIMITS)
def test_limits(text: str, position: int | None, message: str) -> None:
    """R2: every limit refuses with its name, however the text was blown up."""
    with pytest.raises(InvalidFilter) as caught:
        parse(text)
    assert message in caught.value.message
    assert caught.value.position is not None
    assert position is None or caught.value.position == position


def test_just_within_the_limits() -> None:
    """R2: the limits are where they are said to be."""
    for text in (
        "p.x:" + "é" * 512,
        "w" * 1024,
        "p." + ".".join("k" * 20) + ":1",
        "p.x:" + ",".join(map(str, range(100))),
        "(" * 20 + "a" + ")" * 20,
        "".join(f"(w{i} or x{i} " for i in range(20)) + "y" + ")" * 20,
        " ".join(f"w{i}" for i in range(50)),
        " ".join(f"status@a{i}:paid" for i in range(50)),
        "project:a " + " ".join(f"p.x{i}:1" for i in range(50)),
    ):
        tree = parse(text)
        assert parse(format(tree)) == tree
    assert parse(" " * 10_000) == And()


BOMB: Filter = words("a")[0]
for _ in range(100_000):
    BOMB = Not(BOMB)

# Shallow enough to be walked through, but with too many parentheses as text.
DEEP: Filter = words("a")[0]
for level in range(21):
    DEEP = Not(And((*words(str(level)), DEEP)))

PLACE = Condition("project", "eq", "a")


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        (BOMB, "at most 20 deep"),
        (DEEP, "at most 20 deep"),
        (And((*words(*map(str, range(50))), On("a"))), "at most 50 conditions"),
        (And((*words(*map(str, range(50))), PLACE)), "at most 50 conditions"),
        (And(words("a") * 51), "at most 50 conditions"),
        (Or(tuple(On(f"p{i}") for i in range(51))), "at most 50 conditions"),
        ("status:paid", "not a filter: str"),
        (None, "not a filter: NoneType"),
        (And(("x",)), "not a filter: str"),  # type: ignore[arg-type]
        (Condition("statsu", "eq", "x"), "no field called statsu"),
        (Condition("status", "lt", "x"), "status has no operator lt"),
        (Condition("status", "like", "x"), "status has no operator like"),  # type: ignore[arg-type]
        (Condition("status", "eq", "x"), "no status called x"),
        (Condition("status", "eq", ("paid",)), "takes one value"),
        (Condition("status", "in", "paid"), "takes a tuple"),
        (Condition("status", "in", ()), "takes a tuple"),
        (Condition("status", "eq", 1), "compares with text, not with int"),
        (Condition("status", "eq", None), "compares with text, not with NoneType"),
        (Condition("seen", "between", (Word("today"),)), "takes two values"),
        (Condition("seen", "lt", "soon"), "is not a date"),
        (Condition("projects", "eq", 1.5), "with text, not with float"),
        (Condition("projects", "eq", True), "with text, not with bool"),
        (Condition("projects", "eq", 2**31), "a whole number"),
        (Condition("words", "contains", " "), "nothing to search for"),
        (Condition(Param(()), "exists"), "one or more keys"),
        (Condition(Param((1,)), "exists"), "one or more keys"),  # type: ignore[arg-type]
        (Condition(Param(("x",)), "eq", float("nan")), "not finite"),
        (Condition(Param(("x",)), "eq", float("inf")), "not finite"),
        (Condition(Param(("x",)), "eq", 2**63), "64 bits"),
        (Condition(Param(("x",)), "contains", 29), "with text, not with int"),
        (Condition(Param(("x",)), "eq", b"x"), "with text, not with bytes"),  # type: ignore[arg-type]
        (On("a", words("x")), "about the person"),
        (On(""), "named by its slug"),
        (On(1), "named by its slug"),  # type: ignore[arg-type]
    ],
)
def test_trees_are_checked_too(tree: Filter, message: str) -> None:
    for use in (normalise, format):
        with pytest.raises(InvalidFilter) as caught:
            use(tree)
        assert message in caught.value.message
        assert caught.value.position is None


def test_text_that_is_too_long_is_not_written() -> None:
    tree = And(words(*(f"{i}" + "x" * 1000 for i in range(11))))
    with pytest.raises(InvalidFilter, match="longer than 10,000 characters"):
        format(tree)

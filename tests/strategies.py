"""Random filters and customers for property tests, drawn from small domains that collide.

Everything is relative to `NOW`, so that `-7d` and `today` fall on the times customers have.
Customers obey the rules of the product (one membership per product, params any JSON), so the same
ones can be written to a database and asked for there.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from tinycrm_core.filters import And, Condition, Filter, Not, On, Or, Param, Word
from tinycrm_core.model import Customer, Membership, Status
from tinycrm_core.times import to_micros

NOW_DATETIME = datetime(2026, 3, 31, 10, 30, tzinfo=UTC)
NOW = to_micros(NOW_DATETIME)
"""The time at which random filters are asked, in microseconds."""

SLUGS = ("a", "b", "c")
EMAILS = ("alex@example.com", "chen.li@example.org", "o'neil+100%@example.com", "élise@exämple.com")
NAMES = ("Alex Chen", "ÉLISE Straße", "100% Chen_Li", 'back\\slash "q"', "alex")
SEARCHED = (
    "alex",
    "CHEN",
    "é",
    "É",
    "100%",
    "_",
    "%",
    "\\",
    "strasse",
    "x y",
    "a",
    "or",
    "-a",
    '"',
)

_DAY = timedelta(days=1)
TIMES = (
    NOW_DATETIME - 30 * _DAY - timedelta(microseconds=1),
    NOW_DATETIME - 30 * _DAY,
    NOW_DATETIME - 7 * _DAY,
    NOW_DATETIME - 7 * _DAY + timedelta(microseconds=1),
    datetime(2026, 3, 29, tzinfo=UTC),
    datetime(2026, 3, 29, 23, 59, 59, 999_999, tzinfo=UTC),
    datetime(2026, 3, 30, tzinfo=UTC),
    datetime(2026, 2, 28, 10, 30, tzinfo=UTC),
    NOW_DATETIME - timedelta(hours=2),
    NOW_DATETIME,
)
DATE_WORDS = (
    "today",
    "yesterday",
    "-30d",
    "-7d",
    "-1w",
    "-1m",
    "-2h",
    "+7d",
    "2026-03-29",
    "2026-03-30T00:00",
    "2026-03-29T23:30:00-01:30",
    "2026-03-29T10:00:00.5Z",
)

KEYS = ("plan", "mrr", "a.b", "", 'odd "key" @x:1', "ключ", "x__gte", "$[0]%_'\\")
PATHS = (*((key,) for key in KEYS), ("billing", "plan"), ("billing", "a.b"), ("plan", "x"))
LEAVES = (
    None,
    True,
    False,
    0,
    1,
    29,
    29.0,
    29.5,
    -1,
    2**53 + 1,
    float(2**53),
    "",
    "29",
    "29.0",
    "1",
    "true",
    "null",
    "pro",
    "Pro",
    "100%",
    "a_b\\c",
    "2026-03-29",
    "2026-03-29T10:00:00Z",
    "2026-03-29T23:30:00-01:30",
    "2026-04-03",
    "2026-02-30",
    "today",
    "-7d",
    [],
    [29],
    {},
)
WORDS = (
    "29",
    "29.0",
    "1",
    "0",
    "-1",
    "29.5",
    "9007199254740993",
    "9007199254740992",
    "1e400",
    "true",
    "false",
    "null",
    "pro",
    "Pro",
    "p",
    "%",
    "_",
    "\\",
    "",
    "with space",
    "a,b",
    "x..y",
    "*",
    "-",
    '"',
    "(:",
    *DATE_WORDS,
)


def _param_values() -> st.SearchStrategy[object]:
    nested = st.dictionaries(st.sampled_from(("plan", "a.b", "x")), st.sampled_from(LEAVES))
    return st.one_of(st.sampled_from(LEAVES), nested)


def params() -> st.SearchStrategy[dict[str, object]]:
    """Params with keys and values that filters from here ask for."""
    keys = st.sampled_from((*KEYS, "billing", "plan", "mrr"))
    return st.dictionaries(keys, _param_values(), max_size=5)


def memberships(project: str) -> st.SearchStrategy[Membership]:
    """A membership on one product."""
    return st.builds(
        Membership,
        project=st.just(project),
        status=st.sampled_from(Status),
        params=params(),
        joined_at=st.sampled_from(TIMES),
        last_active_at=st.none() | st.sampled_from(TIMES),
    )


@st.composite
def customers(draw: st.DrawFn) -> Customer:
    """One person, on none to all of `SLUGS`."""
    email, *aliases = draw(st.lists(st.sampled_from(EMAILS), min_size=1, max_size=2, unique=True))
    slugs = [slug for slug in SLUGS if draw(st.booleans())]
    return Customer(
        id=uuid.UUID(int=draw(st.integers(1, 2**64))),
        email=email,
        name=draw(st.none() | st.sampled_from(NAMES)),
        created_at=draw(st.sampled_from(TIMES)),
        last_seen_at=draw(st.none() | st.sampled_from(TIMES)),
        aliases=tuple(aliases),
        memberships=tuple(draw(memberships(slug)) for slug in slugs),
    )


def _conditions(
    field: str | Param, values: st.SearchStrategy[object], ops: str
) -> st.SearchStrategy[Condition]:
    """Conditions with one of the operators named in `ops`."""
    made = []
    for op in ops.split():
        if op in ("exists", "missing"):
            made.append(st.just(Condition(field, op)))
        elif op == "in":
            several = st.lists(values, min_size=1, max_size=4).map(tuple)
            made.append(st.builds(Condition, st.just(field), st.just(op), several))
        elif op == "between":
            made.append(
                st.builds(Condition, st.just(field), st.just(op), st.tuples(values, values))
            )
        else:
            made.append(st.builds(Condition, st.just(field), st.just(op), values))
    return st.one_of(made)


_EQUAL, _ORDER, _TEXT, _THERE = (
    "eq not in",
    "lt lte gt gte between",
    "contains starts",
    "exists missing",
)


def customer_conditions() -> st.SearchStrategy[Condition]:
    """Conditions on the person."""
    named = st.sampled_from((*EMAILS, *NAMES, *SEARCHED))
    dates = st.sampled_from(DATE_WORDS).map(Word)
    return st.one_of(
        _conditions("words", st.sampled_from(SEARCHED), "contains"),
        _conditions("email", named, f"{_EQUAL} {_TEXT} {_THERE}"),
        _conditions("name", named, f"{_EQUAL} {_TEXT} {_THERE}"),
        _conditions("created", dates, f"{_EQUAL} {_ORDER} {_THERE}"),
        _conditions("seen", dates, f"{_EQUAL} {_ORDER} {_THERE}"),
        _conditions("projects", st.integers(-1, 4), f"{_EQUAL} {_ORDER}"),
    )


def param_conditions() -> st.SearchStrategy[Condition]:
    """Conditions on params, with words and with typed values."""
    words = st.sampled_from(WORDS).map(Word)
    scalars = st.sampled_from([leaf for leaf in LEAVES if not isinstance(leaf, list | dict)])
    texts = st.sampled_from(WORDS)

    def on(path: tuple[str, ...]) -> st.SearchStrategy[Condition]:
        return st.one_of(
            _conditions(Param(path), words | scalars, f"{_EQUAL} {_ORDER}"),
            _conditions(Param(path), texts, f"{_TEXT} {_THERE}"),
        )

    return st.sampled_from(PATHS).flatmap(on)


def membership_conditions() -> st.SearchStrategy[Condition]:
    """Conditions on one membership."""
    dates = st.sampled_from(DATE_WORDS).map(Word)
    return st.one_of(
        _conditions("project", st.sampled_from((*SLUGS, "gone")), _EQUAL),
        _conditions("status", st.sampled_from([s.value for s in Status]), _EQUAL),
        _conditions("joined", dates, f"{_EQUAL} {_ORDER} {_THERE}"),
        _conditions("active", dates, f"{_EQUAL} {_ORDER} {_THERE}"),
        param_conditions(),
    )


def ons() -> st.SearchStrategy[On]:
    """Conditions that hold on one membership."""
    conditions = st.lists(membership_conditions(), max_size=3).map(tuple)
    return st.builds(On, st.none() | st.sampled_from((*SLUGS, "gone")), conditions)


def filters(*, loose: bool = False) -> st.SearchStrategy[Filter]:
    """Filter trees; when `loose`, conditions on a membership may stand outside an `On`."""
    leaves = st.one_of(customer_conditions(), ons())
    if loose:
        leaves = st.one_of(leaves, membership_conditions())
    return st.recursive(
        leaves,
        lambda items: st.one_of(
            st.builds(And, st.lists(items, max_size=4).map(tuple)),
            st.builds(Or, st.lists(items, max_size=3).map(tuple)),
            st.builds(Not, items),
        ),
        max_leaves=8,
    )

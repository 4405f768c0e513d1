"""Where to look for the people a filter finds: the conditions that an index answers.

A planner that knows only averages chooses badly between «walk everybody in order and test» and
«take the few that one condition allows». So a condition's index entries are counted first, up to
a cap, and the condition with the fewest becomes the source of candidates.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from sqlalchemy import (
    CompoundSelect,
    Select,
    and_,
    column,
    func,
    literal,
    or_,
    select,
    table,
    union_all,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.sql import FromClause, Subquery

from tinycrm_core.filters import And, Condition, Filter, On, Or, Param, resolve
from tinycrm_core.filters.values import (
    Absent,
    Contains,
    Counts,
    Equal,
    Moments,
    Numbers,
    OneOf,
    Present,
    Starts,
    Strings,
    Test,
    Texts,
    Times,
)
from tinycrm_core.params import param_path
from tinycrm_core.query import SORT_TEXT
from tinycrm_core.sql import json_tests
from tinycrm_core.sql.aliases import fresh
from tinycrm_core.sql.columns import stored_path
from tinycrm_core.sql.compile import (
    CUSTOMER_COLUMNS,
    compile_filter,
    customer_clause,
    membership_clause,
    membership_clauses,
    unindexed,
)
from tinycrm_core.sql.scope import Clause, Scope, in_span
from tinycrm_core.sql.tables import SEARCH_TABLE

Rows: TypeAlias = Select[Any] | CompoundSelect[Any]


@dataclass(frozen=True, slots=True)
class Candidates:
    """Those whose `customer_id` is in `ids` and who pass `rest` are the ones the filter finds.

    `probe` selects the index entries to be read, to count them; None where counting them costs
    as much as reading them. `unique`: nobody is selected twice. `size` is known after probing.
    """

    ids: Rows
    probe: Rows | None
    rest: tuple[Filter, ...] = ()
    unique: bool = False
    size: int = 0


Count: TypeAlias = Callable[[Rows, int], int]
"""How many rows a select has, at most so many."""

UNKNOWN = 50_000
"""What is taken for the size of candidates that cannot be counted cheaply."""


def cheapest(
    filter: Filter, scope: Scope, count: Count, cap: int, *, trigrams: bool
) -> Candidates | None:
    """The smallest source of candidates, or None where no index helps; sizes end at `cap`."""
    match filter:
        case And(items) if items and all(map(is_search, items)):
            options = list(_by_search(items, scope, trigrams))
        case And(items):
            best: Candidates | None = None
            for item, others in _each(_searches_last(items)):
                limit = best.size if best else cap
                found = cheapest(item, scope, count, limit, trigrams=trigrams)
                if found and (best is None or found.size < best.size):
                    best = replace(found, rest=(*found.rest, *others))
                if best and best.size == 0:
                    break
            return best
        case Or(items):
            return _any_of(filter, items, scope, count, cap, trigrams)
        case On():
            options = list(_on_options(filter, scope))
        case Condition():
            options = list(_customer_options(filter, scope, trigrams))
        case _:
            return None
    best = None
    for option in options:
        limit = best.size if best else cap
        size = min(UNKNOWN, cap) if option.probe is None else count(option.probe, limit)
        if best is None or size < best.size:
            best = replace(option, size=size)
    return best


def _each(items: Sequence[Filter]) -> Iterator[tuple[Filter, tuple[Filter, ...]]]:
    for index, item in enumerate(items):
        yield item, (*items[:index], *items[index + 1 :])


def _searches_last(items: Sequence[Filter]) -> list[Filter]:
    """The words as one item, because counting hits is dearer than counting entries of an index."""
    words = tuple(filter(is_search, items))
    others = [item for item in items if not is_search(item)]
    return [*others, And(words)] if len(words) > 1 else [*others, *words]


def is_search(filter: Filter) -> bool:
    """Whether it is a bare word."""
    return isinstance(filter, Condition) and filter.field == "words"


def _any_of(
    whole: Filter,
    items: Sequence[Filter],
    scope: Scope,
    count: Count,
    cap: int,
    trigrams: bool,
) -> Candidates | None:
    parts = []
    for item in items:
        part = cheapest(item, scope, count, cap, trigrams=trigrams)
        if part is None:
            return None
        parts.append(part)
    rest = (whole,) if any(part.rest for part in parts) else ()
    size = min(cap, sum(part.size for part in parts))
    ids = union_all(*(_columns(part.ids) for part in parts))
    return Candidates(ids, None, rest, size=size)


def _columns(ids: Rows) -> Select[Any]:
    return select(ids.subquery().c.customer_id)


# About the person


def _customer_options(condition: Condition, scope: Scope, trigrams: bool) -> Iterator[Candidates]:
    people = fresh(scope.tables.customers)
    test = resolve(condition, scope.now)
    clause = customer_clause(condition, scope, people)
    mine = people.c.account_id == scope.account_id
    ids = select(people.c.customer_id).where(mine, clause)
    probe = select(literal(1)).select_from(people).where(mine)
    match test:
        case Times(_, False) | Texts(_, False) | Counts(_, False):
            yield Candidates(ids, probe.where(clause), unique=True)
        case Absent() if condition.field != "email":
            yield Candidates(ids, probe.where(clause), unique=True)
        case Starts(start) if start and ord(start[-1]) < 0xD7FF:
            key = people.c[CUSTOMER_COLUMNS[str(condition.field)]]
            after = start[:-1] + chr(ord(start[-1]) + 1)
            inside = (key >= start, key < after)
            yield Candidates(ids.where(*inside), probe.where(*inside), unique=True)
        case Contains():
            yield from _by_search((condition,), scope, trigrams)


def _by_search(conditions: Sequence[Filter], scope: Scope, trigrams: bool) -> Iterator[Candidates]:
    """From the index of trigrams, where all parts that are long enough for it have to occur."""
    people = fresh(scope.tables.customers)
    clauses = [compile_filter(each, scope, people) for each in conditions]
    tests = [resolve(each, scope.now) for each in conditions if isinstance(each, Condition)]
    parts = [test.text for test in tests if isinstance(test, Contains) and len(test.text) >= 3]
    if not (trigrams and parts):
        return
    ids = select(people.c.customer_id)
    if scope.dialect == "postgresql":
        like = (people.c.search.contains(part, autoescape=True) for part in parts)
        mine = people.c.account_id == scope.account_id
        yield Candidates(ids.where(mine, *clauses, *like), None, unique=True)
        return
    hits = table(SEARCH_TABLE, column("rowid"), column(SEARCH_TABLE))
    quoted = " AND ".join('"' + part.replace('"', '""') + '"' for part in parts)
    # From the hits to the people, never the other way round.
    mine = unindexed(people.c.account_id) == scope.account_id
    found = (mine, hits.c[SEARCH_TABLE].op("MATCH")(quoted))
    joined = people.join(hits, hits.c.rowid == people.c.row_id)
    yield Candidates(
        ids.select_from(joined).where(*found, *clauses),
        select(literal(1)).select_from(joined).where(*found),
        unique=True,
    )


# About a membership


def _on_options(on: On, scope: Scope) -> Iterator[Candidates]:
    # Of equally many entries those of a param are kept: its conditions leave fewer of them.
    for condition in on.conditions:
        if isinstance(condition.field, Param):
            yield from _by_param(on, condition, condition.field, scope)
    yield from _by_columns(on, scope)


def _by_columns(on: On, scope: Scope) -> Iterator[Candidates]:
    """From the indexes by product, status and time."""
    memberships = fresh(scope.tables.memberships)
    mine = memberships.c.account_id == scope.account_id
    ids = select(memberships.c.customer_id).where(mine, *membership_clauses(on, scope, memberships))
    found: dict[str, list[Clause]] = {"project": [], "status": [], "joined": [], "active": []}
    if on.project is not None:
        found["project"] += membership_clauses(On(on.project), scope, memberships)
    for condition in on.conditions:
        test = resolve(condition, scope.now) if isinstance(condition.field, str) else None
        if (isinstance(test, OneOf | Times) and not test.negated) or isinstance(test, Absent):
            clause = membership_clause(condition, scope, memberships)
            found[str(condition.field)].append(clause)
    if (found["joined"] or found["active"]) and not found["project"]:
        found["project"].append(memberships.c.project_id.in_(list(scope.projects.values())))
    probe = select(literal(1)).select_from(memberships).where(mine, *found["project"])
    unique = on.project is not None
    if found["joined"]:
        yield Candidates(ids, probe.where(*found["joined"]), unique=unique)
    if found["status"] or found["active"] or (found["project"] and not found["joined"]):
        inside = (*found["status"], *found["active"])
        yield Candidates(ids, probe.where(*inside), unique=unique)


def _by_param(on: On, condition: Condition, param: Param, scope: Scope) -> Iterator[Candidates]:
    """From the sorted param values.

    On PostgreSQL equality beside other conditions on the membership is answered from the index
    over the JSON: it leads to the very rows that hold them.
    """
    test = resolve(condition, scope.now)
    values = fresh(scope.tables.param_values)
    parts = _value_clauses(test, values)
    if not parts:
        return
    place = (
        values.c.account_id == scope.account_id,
        values.c.path == stored_path(param_path(param.path)),
    )
    probe = _united(select(literal(1).label("one")).where(*place, part) for part in parts)
    unique = on.project is not None and len(parts) == 1
    others = tuple(each for each in on.conditions if each is not condition)
    places = tuple(each for each in others if each.field == "project")
    if _decides(test) and len(places) == len(others):
        asked = membership_clauses(On(on.project, places), scope, values)
    elif scope.dialect == "postgresql" and isinstance(test, Equal) and not test.spans:
        yield Candidates(_contained(on, test, param, scope), probe, unique=on.project is not None)
        return
    else:
        memberships = fresh(scope.tables.memberships)
        remaining = replace(on, conditions=others) if _decides(test) else on
        asked = [
            memberships.c.account_id == scope.account_id,
            memberships.c.customer_id == values.c.customer_id,
            memberships.c.project_id == values.c.project_id,
            *membership_clauses(remaining, scope, memberships),
        ]
    ids = _united(select(values.c.customer_id).where(*place, part, *asked) for part in parts)
    yield Candidates(ids, probe, unique=unique)


def _united(selects: Iterable[Select[Any]]) -> Rows:
    # One select per kind: each reads one range of the index and can stop early.
    first, *others = selects
    return union_all(first, *others) if others else first


def _value_clauses(test: Test, values: FromClause) -> list[Clause]:
    """The rows of one path that can fulfil the test, kind by kind; none where no range helps."""

    def of(kind: str, *clauses: Clause) -> Clause:
        return and_(values.c.kind == kind, *clauses)

    match test:
        case Equal(texts, numbers, booleans, null, spans, False):
            parts = []
            if texts:
                starts = sorted({text[:SORT_TEXT] for text in texts})
                parts.append(of("s", values.c.num == 0, values.c.txt.in_(starts)))
            if numbers:
                parts.append(of("n", or_(*(values.c.num == number for number in numbers))))
            if booleans:
                parts.append(of("b", or_(*(values.c.num == int(flag) for flag in booleans))))
            parts += [of("z")] if null else []
            return [*parts, *(of("d", in_span(values.c.num, span)) for span in spans)]
        case Numbers():
            return [of("n", *_bounds(values.c.num, test))]
        case Strings():
            short = replace(
                test,
                low=None if test.low is None else test.low[:SORT_TEXT],
                high=None if test.high is None else test.high[:SORT_TEXT],
                with_low=test.with_low or len(test.low or "") >= SORT_TEXT,
                with_high=test.with_high or len(test.high or "") >= SORT_TEXT,
            )
            return [of("s", values.c.num == 0, *_bounds(values.c.txt, short))]
        case Moments(span):
            return [of("d", in_span(values.c.num, span))]
        case Starts(start):
            least = Strings(low=start[:SORT_TEXT])
            inside = [*_bounds(values.c.txt, least)]
            if start and ord(start[:SORT_TEXT][-1]) < 0xD7FF:
                last = start[:SORT_TEXT]
                inside.append(values.c.txt < last[:-1] + chr(ord(last[-1]) + 1))
            return [of("s", values.c.num == 0, *inside)]
        case Contains():
            return [of("s")]
        case Present():
            return [values.c.kind.in_(("b", "n", "o", "s", "z"))]
    return []


def _bounds(key: Any, test: Numbers | Strings) -> Iterator[Clause]:
    if test.low is not None:
        yield key >= test.low if test.with_low else key > test.low
    if test.high is not None:
        yield key <= test.high if test.with_high else key < test.high


def _decides(test: Test) -> bool:
    """Whether the rows of `_value_clauses` fulfil the test without a look at the JSON."""
    match test:
        case Equal():
            return all(len(text) < SORT_TEXT for text in test.texts)
        case Strings():
            return max(len(test.low or ""), len(test.high or "")) < SORT_TEXT
        case Starts(start):
            return 0 < len(start) < SORT_TEXT and ord(start[-1]) < 0xD7FF
    return isinstance(test, Numbers | Moments | Present)


def _contained(on: On, test: Equal, param: Param, scope: Scope) -> Select[Any]:
    memberships = fresh(scope.tables.memberships)
    documents = []
    for value in json_tests.scalars(test):
        document = value
        for key in reversed(param.path):
            document = {key: document}
        documents.append(json_tests.jsonb(document))
    params = memberships.c.params
    return select(memberships.c.customer_id).where(
        memberships.c.account_id == scope.account_id,
        or_(*(params.op("@>", return_type=JSONB)(each) for each in documents)),
        *membership_clauses(on, scope, memberships),
    )


def distinct_ids(candidates: Candidates) -> Subquery:
    """The candidates, everybody once, as something to select from."""
    rows: Subquery = candidates.ids.subquery()
    if candidates.unique:
        return rows
    return select(rows.c.customer_id).distinct().subquery()


def counted(rows: Rows, cap: int) -> Select[Any]:
    """How many rows there are, at most `cap`."""
    return select(func.count()).select_from(rows.limit(cap).subquery())

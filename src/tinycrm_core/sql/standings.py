"""People by where they stand: their products, each with its status, as one text.

There are far fewer such texts than people. A question that is only about products and statuses
reads how many people there are of each, and looks at each text once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from sqlalchemy import func, select

from tinycrm_core.filters import EVERYBODY, And, Filter, Not, On, Or
from tinycrm_core.filters.conditions import STATUSES
from tinycrm_core.filters.match import compile_matcher
from tinycrm_core.sql.aliases import fresh
from tinycrm_core.sql.candidates import Candidates
from tinycrm_core.sql.reading import Reading
from tinycrm_core.sql.scope import Scope
from tinycrm_core.state import MembershipState

LONGEST = 1000
"""Characters that an index takes; of people on more products nothing is kept."""
MOST = 50_000
"""Different texts that are looked at; with more, other ways are quicker."""
_MOST_AT_ONCE = 1000
LETTERS = {status[0]: status for status in STATUSES}


def standing(memberships: Mapping[int, MembershipState]) -> str | None:
    """What is kept of a person: `1p 4f` is paid on product 1 and free on 4."""
    text = " ".join(f"{number}{memberships[number].status[0]}" for number in sorted(memberships))
    return text if len(text) <= LONGEST else None


def stand_equally(one: Mapping[int, MembershipState], other: Mapping[int, MembershipState]) -> bool:
    """Whether the products and statuses are the same."""
    return one.keys() == other.keys() and all(
        membership.status == other[number].status for number, membership in one.items()
    )


@dataclass(frozen=True, slots=True)
class Place:
    """What is known of one membership."""

    project: str
    status: str


class Standing(NamedTuple):
    """People who stand equally, as far as a matcher asks."""

    text: str
    memberships: tuple[Place, ...]
    people: int


Standings: TypeAlias = list[Standing]


class _Places(dict[str, Place]):
    """The places by how they are written."""

    def __init__(self, slugs: Mapping[int, str]) -> None:
        self.slugs = slugs

    def __missing__(self, word: str) -> Place:
        slug = self.slugs.get(int(word[:-1]), "")  # a product that came at this very moment
        place = self[word] = Place(slug, LETTERS[word[-1]])
        return place


def decides(filter: Filter) -> bool:
    """Whether a normalised filter asks for nothing but products, statuses and their number."""
    match filter:
        case And(items) | Or(items):
            return all(map(decides, items))
        case Not(item):
            return decides(item)
        case On(_, conditions):
            return all(each.field in ("status", "project") for each in conditions)
    return filter.field == "projects"


def matching(tx: Reading, filter: Filter, scope: Scope) -> Standings | None:
    """The standings that match a filter they decide; None where there are too many to look at."""
    people = fresh(scope.tables.customers)
    number = func.count()
    asked = (
        select(people.c.standing, number)
        .where(people.c.account_id == scope.account_id)
        .group_by(people.c.standing)
        .limit(MOST + 1)
    )
    rows = tx.connection.execute(asked).all()
    if len(rows) > MOST or any(text is None for text, _ in rows):
        return None
    places = _Places({number: slug for slug, number in scope.projects.items()})
    all_of_them = (Standing(text, _read(text, places), count) for text, count in rows)
    if filter == EVERYBODY:
        return list(all_of_them)
    holds: Any = compile_matcher(filter, scope.now)
    return [each for each in all_of_them if holds(each)]


def _read(text: str, places: _Places) -> tuple[Place, ...]:
    return tuple([place for word in text.split() if (place := places[word]).project])


def candidates(tx: Reading, filter: Filter, scope: Scope) -> Candidates | None:
    """Those who match the part of a filter that standings decide, if it is about several things.

    What is common alone and rare together has no small index range, but few standings.
    """
    items = filter.items if isinstance(filter, And) else (filter,)
    decided = tuple(each for each in items if decides(each))
    if len(decided) < 2 and not (decided and isinstance(decided[0], Not | And | Or)):
        return None
    found = matching(tx, And(decided), scope)
    if found is None or len(found) > _MOST_AT_ONCE:
        return None
    people = fresh(scope.tables.customers)
    ids = select(people.c.customer_id).where(
        people.c.account_id == scope.account_id,
        people.c.standing.in_([each.text for each in found]),
    )
    rest = tuple(each for each in items if each not in decided)
    return Candidates(ids, None, rest, unique=True, size=sum(each.people for each in found))

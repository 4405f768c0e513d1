"""Questions worth asking of a portfolio, as sentences with choices in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tinycrm_core import filters
from tinycrm_core.filters import Filter
from tinycrm_integrations.web.pages.statuses import Statuses, people_by_status
from tinycrm_integrations.web.timelimit import TimeLimit
from tinycrm_integrations.web.visit import Visit

CAP = 10_000
"""People are counted up to here."""
NAMES = 3

Options = tuple[tuple[str, str], ...]
HOW_MANY: Options = (("two", "2"), ("three", "3"), ("four", "4"), ("five", "5"))
DAYS: Options = (("14 days", "14"), ("30 days", "30"), ("90 days", "90"))
ENDS: Options = (("today", "today"), ("this week", "today..+7d"), ("this month", "today..+30d"))
ANY: Options = (("any product", ""),)


@dataclass(frozen=True, slots=True)
class Choice:
    """A place in a sentence: its field, what screen readers call it, and what can stand there.

    `usual` stands there at first. Without it the product with most people does, or with most
    people of a `status`.
    """

    field: str
    label: str
    options: Options = ()
    usual: str | None = None
    status: str | None = None
    products: bool = True

    def all_options(self, slugs: Sequence[str]) -> Options:
        """Label and value of everything that can stand here."""
        return (*self.options, *((each, each) for each in slugs if self.products))


@dataclass(frozen=True, slots=True)
class Ask:
    """A sentence of words and choices, and the filter in which the choices are filled in."""

    key: str
    sentence: tuple[str | Choice, ...]
    text: str

    @property
    def choices(self) -> list[Choice]:
        """The places in the sentence."""
        return [each for each in self.sentence if isinstance(each, Choice)]

    def filter(self, chosen: Mapping[str, str], slugs: Sequence[str]) -> Filter:
        """The question. Raises InvalidFilter."""
        at = {"at": f"@{chosen['on']}" if chosen.get("on") else ""}
        return filters.parse(self.text.format_map({**chosen, **at}), projects=slugs)


ASKS = (
    Ask(
        "several",
        ("On", Choice("n", "how many", HOW_MANY, "2", products=False), "products or more"),
        "projects>={n}",
    ),
    Ask(
        "free-paid",
        (
            "Free on",
            Choice("a", "free on", status="free"),
            ", paid on",
            Choice("b", "paid on", status="paid"),
        ),
        "status@{a}:free status@{b}:paid",
    ),
    Ask(
        "quiet-active",
        (
            "Quiet on",
            Choice("a", "quiet on"),
            "for",
            Choice("days", "for how long", DAYS, "30", products=False),
            ", still active on",
            Choice("b", "active on"),
        ),
        "active@{a}<-{days}d active@{b}>-7d",
    ),
    Ask(
        "churned-paid",
        (
            "Churned on",
            Choice("a", "churned on", status="churned"),
            ", paid on",
            Choice("b", "paid on", status="paid"),
        ),
        "status@{a}:churned status@{b}:paid",
    ),
    Ask(
        "not-on",
        ("On", Choice("a", "on"), "but not on", Choice("b", "not on")),
        "project:{a} -project:{b}",
    ),
    Ask(
        "trial-ends",
        (
            "Trial ends",
            Choice("when", "when", ENDS, "today..+7d", products=False),
            "on",
            Choice("on", "on which product", ANY, ""),
        ),
        "status{at}:trial p.trial_ends{at}:{when}",
    ),
)


@dataclass(frozen=True, slots=True)
class Asked:
    """A question as the page shows it.

    `parts` are words, or a choice with its options and the one that stands there. `count` is
    None where there was no time; `names` are some of the people, `more` tells of others.
    """

    key: str
    parts: list[tuple[str, Choice | None, Options, str]]
    code: str
    link: str | None
    count: str | None
    names: list[str]
    more: bool


def read_ask(query: Mapping[str, str], slugs: Sequence[str]) -> Filter | None:
    """The filter of a question that was sent; None if something in it does not exist."""
    ask = next((each for each in ASKS if each.key == query.get("ask")), None)
    if ask is None:
        return None
    for choice in ask.choices:
        if query.get(choice.field) not in {value for _, value in choice.all_options(slugs)}:
            return None
    return ask.filter(query, slugs)


def asks(visit: Visit, limit: TimeLimit) -> list[Asked]:
    """All questions, as they stand at first; none where there are no two products."""
    if len(visit.slugs) < 2:
        return []
    found = people_by_status(visit, visit.slugs, limit)
    people = {slug: statuses or {} for slug, statuses in found.items()}
    return [_asked(visit, each, limit, _usual(each, people)) for each in ASKS]


def _usual(ask: Ask, people: Mapping[str, Statuses]) -> dict[str, str]:
    """What stands in a sentence at first: no product twice, and those that fit best."""
    ranked = sorted(people, key=lambda slug: -sum(people[slug].values()))
    chosen: dict[str, str] = {}
    for each in sorted(ask.choices, key=lambda each: each.status is None):
        status = each.status
        free = [slug for slug in ranked if slug not in chosen.values()]
        if status is not None:
            free.sort(key=lambda slug: -people[slug].get(status, 0))
        chosen[each.field] = free[0] if each.usual is None else each.usual
    return chosen


def _asked(visit: Visit, ask: Ask, limit: TimeLimit, chosen: Mapping[str, str]) -> Asked:
    slugs, customers = visit.slugs, visit.crm.customers
    filter = ask.filter(chosen, slugs)
    page = limit.ask(lambda: customers.find(filter, limit=NAMES))
    count = limit.ask(lambda: customers.count(filter, cap=CAP + 1))
    return Asked(
        ask.key,
        [
            ("", each, each.all_options(slugs), chosen[each.field])
            if isinstance(each, Choice)
            else (each, None, (), "")
            for each in ask.sentence
        ],
        filters.format(filter),
        visit.links.filtered(filter),
        None if count is None else f"{CAP:,}+" if count > CAP else f"{count:,}",
        [each.name or each.email for each in page or ()],
        page is not None and page.next is not None,
    )

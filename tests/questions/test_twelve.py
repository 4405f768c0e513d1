"""The twelve questions on the sample portfolio: text and URL, three backends, counted by hand."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, time, timedelta
from urllib.parse import parse_qsl
from uuid import uuid4

import pytest

from tests.questions.portfolio import FILES, Person, later_events, read_people, sample, seen
from tinycrm_core import Identify, Ping, TinyCRM

DAY = timedelta(days=1)


def on(person: Person, slug: str) -> dict:
    return person["badges"].get(slug) or {"status": None, "active": None, "params": {}}


def any_badge(person: Person, holds: Callable[[dict], bool]) -> bool:
    return any(holds(badge) for badge in person["badges"].values())


def mrr_at_least(badge: dict, least: float) -> bool:
    return isinstance(badge["params"].get("mrr"), int | float) and badge["params"]["mrr"] >= least


def ends_this_week(badge: dict, now: datetime) -> bool:
    midnight = datetime.combine(now.date(), time(), UTC)
    ends = badge["params"].get("trial_ends")
    if badge["status"] != "trial" or not ends:
        return False
    return midnight <= datetime.fromisoformat(ends).replace(tzinfo=UTC) < midnight + 8 * DAY


QUESTIONS = [
    (
        "project:analytics status:paid", "project=analytics&status=paid",
        lambda p, now: on(p, "analytics")["status"] == "paid",
    ),
    (
        "project:newsletter project:linkbio", "project=newsletter&project=linkbio",
        lambda p, now: {"newsletter", "linkbio"} <= p["badges"].keys(),
    ),
    ("projects>=2", "projects__gte=2", lambda p, now: len(p["badges"]) >= 2),
    (
        "project:newsletter -project:shop", "project=newsletter&-project=shop",
        lambda p, now: "newsletter" in p["badges"] and "shop" not in p["badges"],
    ),
    (
        "status@newsletter:free status@analytics:paid",
        "status@newsletter=free&status@analytics=paid",
        lambda p, now: (
            on(p, "newsletter")["status"] == "free" and on(p, "analytics")["status"] == "paid"
        ),
    ),
    (
        "active@linkbio<-30d active@shop>-7d", "active@linkbio__lt=-30d&active@shop__gt=-7d",
        lambda p, now: bool(
            on(p, "linkbio")["active"] and on(p, "shop")["active"]
            and on(p, "linkbio")["active"] < now - 30 * DAY
            and on(p, "shop")["active"] > now - 7 * DAY
        ),
    ),
    (
        "status:free joined<-14d", "status=free&joined__lt=-14d",
        lambda p, now: any_badge(
            p, lambda b: b["status"] == "free" and b["joined"] < now - 14 * DAY
        ),
    ),
    ("seen<-30d", "seen__lt=-30d", lambda p, now: bool(seen(p)) and seen(p) < now - 30 * DAY),
    (
        "p.source:producthunt", "p.source=producthunt",
        lambda p, now: any_badge(p, lambda b: b["params"].get("source") == "producthunt"),
    ),
    (
        "p.mrr>=99", "p.mrr__gte=99",
        lambda p, now: any_badge(p, lambda b: mrr_at_least(b, 99)),
    ),
    (
        "status:trial p.trial_ends:today..+7d", "status=trial&p.trial_ends__between=today..%2B7d",
        lambda p, now: any_badge(p, lambda b: ends_this_week(b, now)),
    ),
]  # fmt: skip


@pytest.fixture(scope="module")
def people() -> dict[str, Person]:
    return read_people()


@pytest.fixture(scope="module", params=["memory", "sqlite", "postgresql"])
def crm(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, people: dict
) -> Iterator[TinyCRM]:
    """The five exports imported, then some days of use."""
    where = {
        "memory": lambda: "memory://",
        "sqlite": lambda: f"sqlite:///{tmp_path_factory.mktemp('crm') / 'crm.db'}",
        "postgresql": lambda: request.getfixturevalue("postgres_url"),
    }[request.param]()
    with TinyCRM(where, account=uuid4().hex) as crm:
        for slug in FILES:
            crm.import_csv(io.BytesIO(sample(slug)), project=slug)
        for slug, address, what in later_events(people, datetime.now(UTC)):
            event = (
                Identify(address, params=what, active=False) if isinstance(what, dict)
                else Ping(address, at=what)
            )  # fmt: skip
            assert crm.project(slug).send([event])[0]
        yield crm


def emails(crm: TinyCRM, filter: object, sort: str = "email") -> list[str]:
    """Everybody who matches, over all pages."""
    return [person.email for person in crm.customers.stream(filter, sort=sort)]


def test_one_row_per_person(crm: TinyCRM, people: dict[str, Person]) -> None:
    assert emails(crm, "") == sorted(people)
    for person in crm.customers.stream():
        badges = people[person.email]["badges"]
        assert {m.project: str(m.status) for m in person.memberships} == {
            slug: badge["status"] for slug, badge in badges.items()
        }
        assert {m.project: m.last_active_at for m in person.memberships} == {
            slug: badge["active"] for slug, badge in badges.items()
        }


@pytest.mark.parametrize(("text", "url", "holds"), QUESTIONS, ids=[q[0] for q in QUESTIONS])
def test_question(
    crm: TinyCRM,
    people: dict[str, Person],
    text: str,
    url: str,
    holds: Callable[[Person, datetime], bool],
) -> None:
    def counted_by_hand() -> list[str]:
        now = datetime.now(UTC)
        return sorted(address for address, person in people.items() if holds(person, now))

    while True:
        expected = counted_by_hand()
        found = [emails(crm, text), emails(crm, parse_qsl(url))]
        count = crm.customers.count(text)
        if counted_by_hand() == expected:  # else somebody's thirty days ended in this moment
            break
    assert expected, "the portfolio has nobody to ask for"
    assert found == [expected] * 2
    assert count == len(expected)


def test_who_is_worth_most_comes_first(crm: TinyCRM, people: dict[str, Person]) -> None:
    found = emails(crm, "p.mrr>=99", sort="-p.mrr")
    worth = [people[address]["badges"]["analytics"]["params"]["mrr"] for address in found]
    assert worth == sorted(worth, reverse=True)
    assert len(set(worth)) > 1


def test_somebody_by_words(crm: TinyCRM, people: dict[str, Person]) -> None:
    words = ("jones", "EXAMPLE.com")
    folded = [word.lower() for word in words]
    expected = sorted(
        address
        for address, person in people.items()
        if all(word in f"{address}\n{(person['name'] or '').casefold()}" for word in folded)
    )
    assert len(expected) > 1
    text = " ".join(words)
    assert emails(crm, text) == emails(crm, [("q", text)]) == expected

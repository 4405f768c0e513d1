"""Making one person of several: what the page tells, what the form does, and undoing it."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from tests.admin.conftest import Answer, Browser
from tests.admin.page_forms import PageForm, form, send
from tests.admin.test_customer import changes
from tests.admin.test_projects import EVIL, heading, reason
from tinycrm_core.client import TinyCRM
from tinycrm_core.errors import Conflict, NotFound
from tinycrm_core.people import Customers
from tinycrm_core.testing import day, on, person

ANN, BOB, CID = "ann@example.com", "bob@example.com", "cid@example.com"


def ids(crm: TinyCRM, *emails: str) -> str:
    return "&".join(f"id={person(crm, email).id}" for email in emails)


def open_merge(admin: Browser, *emails: str, more: str = "") -> Answer:
    return admin.get(f"/merge?{ids(admin.crm, *emails)}{more}")


def merging(page: Answer) -> PageForm:
    """The form that merges; the page has no other."""
    return form(page, "/merge")


def rows(page: Answer) -> dict[str, list[str]]:
    """The cells of each row as text, by the head of the row."""
    table = page.text[page.text.index("<tbody>") : page.text.index("</table>")]
    found: dict[str, list[str]] = {}
    product = ""
    for row in re.findall(r"<tr.*?</tr>", table, re.DOTALL):
        cells = re.findall(r"<t[hd].*?</t[hd]>", row, re.DOTALL)
        words = [" ".join(html.unescape(re.sub("<[^>]*>", " ", cell)).split()) for cell in cells]
        if 'class="group"' in row:
            product = words[0].split()[0]
            continue
        found[f"{product} {words[0]}".strip()] = words[1:]
    return found


def outcome(page: Answer) -> str:
    found = re.search(r'<ul class="outcome">(.*?)</ul>', page.text, re.DOTALL)
    assert found
    return " ".join(html.unescape(re.sub("<[^>]*>", " ", found[1])).split())


@pytest.fixture
def two(admin: Browser) -> Browser:
    """Two records of one person, who differ in four things; each has the newest of some."""
    shop, news = admin.crm.project("shop"), admin.crm.project("news")
    shop.identify(
        ANN, name="Ann", status="free", params={"plan": "old", "same": 1, "a": 1}, at=day(1)
    )
    shop.identify(BOB, name="Annie", status="paid", params={"plan": "new", "same": 1}, at=day(5))
    news.identify(ANN, status="trial", at=day(9))
    news.identify(BOB, status="churned", at=day(2))
    admin.crm.project("blog").identify(BOB, at=day(3))
    return admin


# Seeing -----------------------------------------------------------------------------------------
def test_what_differs_and_what_would_stay(two: Browser) -> None:
    page = open_merge(two, ANN, BOB)
    assert heading(page) == "Merge bob@example.com into ann@example.com"
    assert "Four things differ." in page.text
    assert rows(page) == {
        "Email": [ANN, BOB],
        "Name": ["Ann", "Annie newest"],
        "shop Status": ["free", "paid newest"],
        "shop plan": ["old", "new newest"],
        "shop same": ["1 the same in all", "1"],
        "shop a": ["1", "nothing"],
        "shop Since": ["2 Jan 2026 the earliest stays", "6 Jan 2026"],
        "news Status": ["trial newest", "churned"],
        "news Since": ["10 Jan 2026", "3 Jan 2026 the earliest stays"],
        "On blog": ["nothing", "blog free moves over"],
    }
    said = outcome(page)
    assert said.startswith("Annie stays with shop paid news trial blog free")
    assert "bob@example.com becomes an alias" in said
    chosen = dict(merging(page).fields)
    ann, bob = (str(person(two.crm, each).id) for each in (ANN, BOB))
    assert chosen["keep"] == ann
    assert chosen["choose:shop:status"] == chosen["choose::name"] == bob
    assert chosen["choose:news:status"] == ann
    assert "choose:shop:params.same" not in chosen


def test_seeing_changes_nothing(two: Browser) -> None:
    """D3."""
    before = [two.crm.customers.export_person(each) for each in (ANN, BOB)]
    page = open_merge(two, ANN, BOB, more="&preview=yes&keep=x&choose:shop:status=y")
    assert page.status == 200
    for site in ("cross-site", "same-site", None):
        assert two.post("/merge", merging(page).fields, site=site).status == 403
    assert two.get(f"/merges/{person(two.crm, ANN).id}/undo").status == 405
    assert [two.crm.customers.export_person(each) for each in (ANN, BOB)] == before


def test_the_outcome_of_other_choices_is_shown_at_an_address_of_its_own(two: Browser) -> None:
    ann, bob = (str(person(two.crm, each).id) for each in (ANN, BOB))
    form = merging(open_merge(two, ANN, BOB))
    answer = two.post("/merge", form.filled(keep=bob, preview="yes", **{"choose:shop:status": ann}))
    assert "csrf" not in answer.location
    assert "seen=" not in answer.location
    page = two.follow(answer)
    assert heading(page) == "Merge ann@example.com into bob@example.com"
    assert outcome(page).startswith("Annie stays with shop free news trial blog free")
    chosen = dict(merging(page).fields)
    assert (chosen["keep"], chosen["choose:shop:status"]) == (bob, ann)
    assert two.crm.customers.count() == 2


def test_a_value_that_another_removed_later_is_told_to_go(admin: Browser) -> None:
    shop = admin.crm.project("shop")
    shop.identify(ANN, params={"x": 1, "y": 1}, at=day(1))
    shop.identify(BOB, params={"x": 2}, at=day(0))
    shop.identify(BOB, unset=["x"], at=day(2))
    page = open_merge(admin, ANN, BOB)
    assert rows(page)["shop x"] == ["1 removed on another later, so it goes", "nothing"]
    merged = admin.follow(admin.post("/merge", merging(page).fields))
    assert merged.status == 200
    assert on(admin.crm, "shop", ANN).params == {"y": 1}


# Doing ------------------------------------------------------------------------------------------
def test_merging_and_undoing(two: Browser) -> None:
    before = {each: person(two.crm, each) for each in (ANN, BOB)}
    after = two.follow(two.post("/merge", merging(open_merge(two, ANN, BOB)).fields))
    assert "Merged into one person." in after.text
    merged = person(two.crm, BOB)
    assert (merged.id, merged.email, merged.name) == (before[ANN].id, ANN, "Annie")
    assert [(m.project, m.status) for m in merged.memberships] == [
        ("shop", "paid"), ("news", "trial"), ("blog", "free"),
    ]  # fmt: skip
    assert changes(after)[0] == "took in bob@example.com Undo the merge | admin mara"
    undo = re.findall(r'action="([^"]*/undo)"', after.text)
    assert len(undo) == 2, "in the note and in the history"
    assert len(set(undo)) == 1
    parted = two.follow(two.post(undo[0]))
    assert "They are separate people again." in parted.text
    assert heading(parted).startswith("Ann is")
    assert {each: person(two.crm, each) for each in (ANN, BOB)} == before
    assert "Undo the merge" not in parted.text


@pytest.mark.parametrize("keeper", [ANN, BOB])
def test_values_that_were_chosen_stay_and_undoing_gives_everyone_their_own(
    two: Browser, keeper: str
) -> None:
    before = {each: person(two.crm, each) for each in (ANN, BOB)}
    ann, bob = str(before[ANN].id), str(before[BOB].id)
    page = open_merge(two, ANN, BOB)
    filled = merging(page).filled(
        keep=str(before[keeper].id),
        **{
            "choose::name": ann,
            "choose:shop:status": ann,
            "choose:shop:params.plan": ann,
            "choose:news:status": bob,
        },
    )
    after = two.follow(two.post("/merge", filled))
    merged = person(two.crm, ANN)
    assert (merged.email, merged.name) == (keeper, "Ann")
    assert (on(two.crm, "shop", ANN).status, on(two.crm, "news", ANN).status) == ("free", "churned")
    assert on(two.crm, "shop", ANN).params == {"plan": "old", "same": 1, "a": 1}
    assert merged.last_seen_at == before[ANN].last_seen_at, "choosing is nobody's activity"
    assert changes(after)[0].endswith("| admin mara")
    two.follow(two.post(re.findall(r'action="([^"]*/undo)"', after.text)[0]))
    assert {each: person(two.crm, each) for each in (ANN, BOB)} == before


def test_a_product_learns_nothing_of_somebody_else(admin: Browser) -> None:
    """A name is chosen through a product its owner is on, so that parting leaves no trace."""
    admin.crm.project("news").identify(BOB, name="Bob", at=day(2))
    admin.crm.project("shop").identify(ANN, name="Ann", at=day(1))
    before = {each: person(admin.crm, each) for each in (ANN, BOB)}
    page = open_merge(admin, BOB, ANN)
    filled = merging(page).filled(**{"choose::name": str(before[ANN].id)})
    after = admin.follow(admin.post("/merge", filled))
    assert person(admin.crm, BOB).name == "Ann"
    admin.post(re.findall(r'action="([^"]*/undo)"', after.text)[0])
    assert {each: person(admin.crm, each) for each in (ANN, BOB)} == before


def test_three_people_become_one(two: Browser) -> None:
    two.crm.project("shop").identify(
        CID, name="A.", status="churned", params={"plan": "mid"}, at=day(3)
    )
    people = {each: person(two.crm, each) for each in (ANN, BOB, CID)}
    page = open_merge(two, CID, ANN, BOB)
    assert heading(page) == "Merge ann@example.com and bob@example.com into cid@example.com"
    assert rows(page)["shop plan"] == ["mid", "old", "new newest"]
    filled = merging(page).filled(**{"choose:shop:params.plan": str(people[ANN].id)})
    after = two.follow(two.post("/merge", filled))
    assert "Merged into one person." in after.text
    assert changes(after)[0] == "plan new old | admin mara"
    merged = person(two.crm, BOB)
    assert (merged.email, merged.name, set(merged.aliases)) == (CID, "Annie", {ANN, BOB})
    assert on(two.crm, "shop", CID).params["plan"] == "old"
    (undo,) = dict.fromkeys(re.findall(r'action="([^"]*/undo)"', after.text))
    assert two.post(undo).status == 303
    assert {each: person(two.crm, each) for each in (ANN, BOB, CID)} == people


def test_the_newest_of_three_is_that_of_the_core(admin: Browser) -> None:
    """However they are ordered, what the page promises is what merging without choices gives."""
    shop = admin.crm.project("shop")
    for number, email in enumerate((BOB, CID, ANN)):
        shop.identify(
            email, name=f"N{number}", params={"n": number, f"k{number}": 1}, at=day(number)
        )
        shop.identify(email, status=("free", "paid", "trial")[number], at=day(9 - number))
    page = open_merge(admin, ANN, BOB, CID)
    assert outcome(page).startswith("N2 stays with shop free")
    admin.post("/merge", merging(page).fields)
    assert (person(admin.crm, ANN).name, on(admin.crm, "shop", ANN).status) == ("N2", "free")
    assert on(admin.crm, "shop", ANN).params["n"] == 2


# Choosing whom -----------------------------------------------------------------------------------
def test_the_other_one_is_found_by_an_address(two: Browser) -> None:
    page = open_merge(two, ANN)
    assert heading(page).startswith("Merge Ann with")
    answer = send(two, page, "/merge", email=" BOB@example.com")
    assert answer.location == f"/a%20b/crm/merge?{ids(two.crm, ANN, BOB)}"
    empty = two.get("/merge")
    first = two.follow(send(two, empty, "/merge", email=ANN))
    assert heading(first).startswith("Merge Ann with")
    more = open_merge(two, ANN, BOB, more="&add=yes")
    assert heading(more).startswith("Merge Ann, Annie with")


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("nobody@example.com", "Nobody here has this address."),
        (ANN, "in this merge already"),
        ("not an address", ""),
        (EVIL, ""),
    ],
)
def test_an_address_that_leads_to_nobody_else_is_said(two: Browser, typed: str, said: str) -> None:
    answer = send(two, open_merge(two, ANN), "/merge", email=typed)
    assert answer.status == 422
    assert said in reason(answer, "email")
    assert dict(form(answer, "/merge").fields)["email"] == typed
    assert "<img" not in answer.text


def test_too_many_at_a_time(admin: Browser) -> None:
    people = [f"p{n}@example.com" for n in range(6)]
    for each in people:
        admin.crm.project("shop").identify(each)
    assert open_merge(admin, *people).status == 422
    assert open_merge(admin, *people[:5]).status == 200
    assert "Add somebody" not in open_merge(admin, *people[:5]).text
    assert "Add somebody" in open_merge(admin, *people[:4]).text
    twice = admin.get(f"/merge?{ids(admin.crm, people[0], people[0], people[1])}")
    assert heading(twice) == "Merge p1@example.com into p0@example.com"


# Meanwhile --------------------------------------------------------------------------------------
def test_a_form_that_is_older_than_the_people_is_shown_again(two: Browser) -> None:
    page = open_merge(two, ANN, BOB)
    ann = str(person(two.crm, ANN).id)
    two.crm.project("shop").identify(ANN, status="churned")
    answer = two.post("/merge", merging(page).filled(**{"choose::name": ann}))
    assert answer.status == 409
    assert "something changed" in answer.text
    assert rows(answer)["shop Status"] == ["churned newest", "paid"]
    chosen = dict(merging(answer).fields)
    assert chosen["choose::name"] == ann, "choices are kept"
    assert chosen["choose:shop:status"] == ann, "what nobody chose follows the newest"
    assert two.crm.customers.count() == 2
    two.crm.project("shop").ping(ANN)
    assert two.post("/merge", merging(answer).fields).status == 303, "pings change nothing here"


@pytest.mark.parametrize("event", ["merged", "deleted"])
def test_people_who_are_gone_meanwhile(two: Browser, event: str) -> None:
    page = open_merge(two, ANN, BOB)
    gone = {
        "merged": lambda: two.crm.customers.merge(ANN, BOB),
        "deleted": lambda: two.crm.customers.delete(BOB),
    }
    address = f"/merge?{ids(two.crm, ANN, BOB)}"
    gone[event]()
    before = two.crm.customers.export_person(ANN)
    for answer in (two.post("/merge", merging(page).fields), two.get(address)):
        assert answer.status == 404
        assert heading(answer) == "One of these people is not there any more"
        assert f"/customers/{person(two.crm, ANN).id}" in answer.text
    assert two.crm.customers.export_person(ANN) == before


@pytest.mark.parametrize("error", [NotFound("gone"), Conflict("one already")])
@pytest.mark.parametrize("call", ["merge", "preview_merge"])
def test_losing_a_race_is_told(
    two: Browser, monkeypatch: pytest.MonkeyPatch, call: str, error: Exception
) -> None:
    page = open_merge(two, ANN, BOB)

    def lost(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(Customers, call, lost)
    answer = two.post("/merge", merging(page).fields)
    assert answer.status == 409
    assert heading(answer) == "These people are not as they were"
    if call == "preview_merge":
        assert open_merge(two, ANN, BOB).status == 409


def test_what_changes_while_the_form_is_read_is_noticed(
    two: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The merge itself is held to what was shown, so there is no moment in between."""
    page = open_merge(two, ANN, BOB)
    merge: Callable[..., UUID] = Customers.merge

    def later(self: Customers, *people: Any, **rest: Any) -> UUID:
        two.crm.project("shop").identify(ANN, status="churned")
        return merge(self, *people, **rest)

    monkeypatch.setattr(Customers, "merge", later)
    answer = two.post("/merge", merging(page).fields)
    assert answer.status == 409
    assert "something changed" in answer.text
    assert rows(answer)["shop Status"] == ["churned newest", "paid"]
    assert two.crm.customers.count() == 2


def test_undoing_twice_and_undoing_nothing(two: Browser) -> None:
    merge_id = two.crm.customers.merge(ANN, BOB)
    assert two.post(f"/merges/{merge_id}/undo").status == 303
    again = two.post(f"/merges/{merge_id}/undo")
    assert again.status == 409
    assert heading(again) == "This merge was undone already"
    for ident in ("x", person(two.crm, ANN).id, "%00"):
        answer = two.post(f"/merges/{ident}/undo")
        assert answer.status == 404
        assert heading(answer) == "There is no such merge"


def test_undoing_after_the_survivor_was_merged_on_leads_to_whoever_has_the_address(
    two: Browser,
) -> None:
    first = two.crm.customers.merge(ANN, BOB)
    two.crm.project("shop").identify(CID)
    two.crm.customers.merge(CID, ANN)
    after = two.follow(two.post(f"/merges/{first}/undo"))
    assert f"/customers/{person(two.crm, CID).id}" in after.text
    assert person(two.crm, BOB).email == BOB


def test_d1_hostile_people_stay_words(admin: Browser) -> None:
    shop = admin.crm.project("shop")
    shop.identify(ANN, name=EVIL, params={EVIL: EVIL, "k": EVIL}, at=day(1))
    shop.identify(BOB, name=EVIL + "2", params={EVIL: 1}, at=day(2))
    page = open_merge(admin, ANN, BOB)
    assert not re.search(r"<img|</script><", page.text)
    assert EVIL in html.unescape(page.text)
    ann = str(person(admin.crm, ANN).id)
    filled = merging(page).filled(**{f"choose:shop:params.{EVIL}": ann})
    assert admin.follow(admin.post("/merge", filled)).status == 200
    assert on(admin.crm, "shop", ANN).params[EVIL] == EVIL


def test_the_form_carries_the_field_of_the_host_and_no_address_does(two: Browser) -> None:
    two.csrf = ("csrf_token", "t0ken")
    page = open_merge(two, ANN, BOB)
    assert ("csrf_token", "t0ken") in merging(page).fields
    answer = two.post("/merge", merging(page).filled(preview="yes"))
    assert "t0ken" not in answer.location

"""Making one person of several: choosing, seeing what it does, doing it, undoing it."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlencode
from uuid import UUID

from tinycrm_core.errors import Conflict, InvalidEmail, InvalidInput, NotFound
from tinycrm_core.model import ABSENT, Customer
from tinycrm_integrations.web.forms import Form, sentence
from tinycrm_integrations.web.http import Response, redirect
from tinycrm_integrations.web.links import shown
from tinycrm_integrations.web.notes import done
from tinycrm_integrations.web.pages.customer import find_person
from tinycrm_integrations.web.pages.gone import gone
from tinycrm_integrations.web.pages.merge_compare import LONGEST, Comparison, Row
from tinycrm_integrations.web.routes import Route
from tinycrm_integrations.web.visit import View, Visit

MAX_PEOPLE = 5
CHOICE = "choose:"
"""What the name of a choice begins with, in addresses and forms; the rest is the row."""
NEWEST = "newest:"
"""The same for whose value was the newest when the form was made: leaving it is no choice."""
CHANGED = "Nothing was merged: something changed since you opened this page. Look at it again."

Pairs = Sequence[tuple[str, str]]


def merge(visit: Visit) -> View | Response:
    """The people of the address beside each other; with one of them, the way to another."""
    query = visit.request.query
    people = _people(visit, query)
    if isinstance(people, View):
        return people
    typed = dict(query).get("email", "").strip()
    if typed:
        return _add(visit, people, typed)
    if len(people) < 2 or ("add", "yes") in query:
        return _ask(visit, people, Form())
    return _compare(visit, people, query)


def _people(visit: Visit, pairs: Pairs) -> list[Customer] | View:
    """Everybody who is named, each once; a page if somebody is gone or they are too many."""
    idents = list(dict.fromkeys(value for key, value in pairs if key == "id" and value))
    if len(idents) > MAX_PEOPLE:
        return gone(
            f"At most {MAX_PEOPLE} people are merged at a time",
            f"You selected {len(idents)}. Merge some of them first, then the others.",
            [("All customers", visit.links.customers())],
            422,
        )
    found = [find_person(visit, each) for each in idents]
    people = {each.id: each for each in found if each is not None}
    if None in found:
        here = [(f"To {_name(each)}", visit.links.customer(each.id)) for each in people.values()]
        return gone(
            "One of these people is not there any more",
            "Somebody merged or deleted them meanwhile. Nothing was done.",
            [*here, ("All customers", visit.links.customers())],
        )
    return list(people.values())


def _name(customer: Customer) -> str:
    return customer.name or customer.email


def _ask(visit: Visit, people: list[Customer], form: Form, status: int = 200) -> View:
    """Who is the other one?"""
    title = f"Merge {_name(people[0])} with somebody" if people else "Merge people"
    back = visit.links.customer(people[0].id) if people else visit.links.customers()
    context = {"title": title, "people": people, "back": back, "form": form}
    return View("merge_ask.html", context, status)


def _add(visit: Visit, people: list[Customer], typed: str) -> View | Response:
    """One more person, by an address that was typed."""
    try:
        found = visit.crm.customers.get(typed)
    except InvalidEmail as error:
        return _ask(visit, people, Form({"email": typed}, {"email": sentence(error)}), 422)
    if found is None:
        reason = "Nobody here has this address."
    elif any(each.id == found.id for each in people):
        reason = "This address leads to somebody who is in this merge already."
    else:
        return redirect(_address(visit, [*people, found]))
    return _ask(visit, people, Form({"email": typed}, {"email": reason}), 422)


def _address(visit: Visit, people: Sequence[Customer], more: Pairs = ()) -> str:
    pairs = [("id", str(each.id)) for each in people]
    return visit.links.to("/merge") + "?" + urlencode([*pairs, *more])


def _read(visit: Visit, people: Sequence[Customer], pairs: Pairs) -> Comparison:
    choices = {key.removeprefix(CHOICE): value for key, value in _choices(pairs)}
    return Comparison(people, visit.crm.customers.preview_merge, choices)


def _choices(pairs: Pairs) -> list[tuple[str, str]]:
    """The pairs in which somebody chose against what would stay by itself."""
    usual = {CHOICE + key.removeprefix(NEWEST): v for key, v in pairs if key.startswith(NEWEST)}
    return [(key, v) for key, v in pairs if key.startswith(CHOICE) and usual.get(key) != v]


def _keeper(people: Sequence[Customer], pairs: Pairs) -> Customer:
    wanted = dict(pairs).get("keep")
    return next((each for each in people if str(each.id) == wanted), people[0])


def _compare(
    visit: Visit, people: list[Customer], pairs: Pairs, reason: str | None = None, status: int = 200
) -> View | Response:
    try:
        comparison = _read(visit, people, pairs)
    except (NotFound, Conflict):
        return _overtaken(visit)
    keep = _keeper(people, pairs)
    others = [each for each in people if each.id != keep.id]
    context = {
        "title": f"Merge {len(people)} people" if len(others) > 1 else f"Merge {others[0].email}",
        "comparison": comparison,
        "people": people,
        "keep": keep,
        "others": others,
        "choice": CHOICE,
        "newest": NEWEST,
        "text": _text,
        "reason": reason,
        "back": visit.links.customer(keep.id),
        "add": _address(visit, people, [("add", "yes")]) if len(people) < MAX_PEOPLE else None,
    }
    products = {m.project for each in people for m in each.memberships}
    return View("merge.html", context, status, products=products)


def _text(row: Row, place: int) -> str | None:
    """A value as text; None where that person has none."""
    value = row.values[place]
    if value is ABSENT:
        return None
    text = shown(value)
    return text if len(text) <= LONGEST else text[:LONGEST] + "…"


def _overtaken(visit: Visit) -> View:
    return gone(
        "These people are not as they were",
        "Somebody merged, parted or deleted one of them at this moment. Nothing was done.",
        [("All customers", visit.links.customers())],
        409,
    )


# Doing it


def do(visit: Visit) -> View | Response:
    """Merge, or with `preview` show what the choices would do."""
    form = visit.request.form
    people = _people(visit, form)
    if isinstance(people, View):
        return people
    if len(people) < 2:
        return _ask(visit, people, Form(), 422)
    if visit.request.value("preview"):
        keep = ("keep", str(_keeper(people, form).id))
        return redirect(_address(visit, people, [keep, *_choices(form)]))
    try:
        merged = _merge(visit, people, form)
    except (NotFound, Conflict) as error:
        if error.field != "seen":
            return _overtaken(visit)
        people = _people(visit, form)
        return people if isinstance(people, View) else _compare(visit, people, form, CHANGED, 409)
    return redirect(done(visit.links.customer(_keeper(people, form).id), "merged", id=merged))


def _merge(visit: Visit, people: list[Customer], form: Pairs) -> UUID:
    """Merge what the sender of the form saw. Raises Conflict about `seen` if it is no more."""
    customers, keep = visit.crm.customers, _keeper(people, form)
    emails = keep.email, [each.email for each in people if each.id != keep.id]
    choices = _read(visit, people, form).choices
    promised = customers.preview_merge(*emails, choices)
    # Read after the preview, so that whatever changes from here on is noticed by the merge.
    now = _people(visit, form)
    if isinstance(now, View):
        raise NotFound("somebody is not there any more")
    if visit.request.value("seen") != _read(visit, now, form).fingerprint:
        raise Conflict("seen: these people are not as they were", field="seen")
    return customers.merge(*emails, choices, seen=promised)


def undo(visit: Visit, merge: str) -> View | Response:
    """Part the people of a merge again."""
    links, customers = visit.links, visit.crm.customers
    ways = [("All customers", links.customers())]
    try:
        record = customers.undo_merge(merge)
    except (InvalidInput, NotFound):
        line = "It never happened here, or one of the people was deleted since."
        return gone("There is no such merge", line, ways)
    except Conflict:
        line = "Somebody was quicker, or you sent the form twice. They are separate people again."
        return gone("This merge was undone already", line, ways, 409)
    keep = customers.get(record.keep_email)
    page = links.customer(keep.id) if keep else links.customers()
    return redirect(done(page, "merge-undone"))


ROUTES = (
    Route("GET", "/merge", merge),
    Route("POST", "/merge", do),
    Route("POST", "/merges/{merge}/undo", undo),
)

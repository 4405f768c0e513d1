"""TinyCRM as its documentation tells it, in plain dictionaries, sharing no code with the real one.

Nothing is merged as it comes: all events are kept, and whoever asks gets them replayed in the
order of their event times. People are points, active merges are lines between them, and a customer
is whatever hangs together.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

RANK = ("free", "trial", "paid", "churned")
GONE = object()


@dataclass
class Event:
    """One call, with the time of each thing it wrote; `person` is whose address it used."""

    person: int
    project: str
    joined: int
    active: int | None
    name: tuple[int, str] | None = None
    status: tuple[int, int] | None = None
    writes: list[tuple[int, int, str, str, Any]] = field(default_factory=list)
    """Time, kind (0 offer, 1 removal, 2 value), the value as text, key, value."""


@dataclass
class Merge:
    keep: int
    absorb: int
    addresses: list[str]


def text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


class Model:
    """One account."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.pings: list[tuple[int, str, int]] = []
        self.created: dict[int, int] = {}
        self.owned: dict[int, list[str]] = {}
        """Addresses of each person, those they were known by last coming first."""
        self.customers: dict[int, list[int]] = {}
        self.emails: dict[int, list[str]] = {}
        self.merges: dict[int, Merge] = {}
        self.forgotten: set[str] = set()
        self.people = 0

    # Looking up --------------------------------------------------------------------------------
    def person_of(self, email: str) -> int | None:
        return next((who for who, owned in self.owned.items() if email in owned), None)

    def customer_of(self, email: str) -> int | None:
        person = self.person_of(email)
        return next((c for c, people in self.customers.items() if person in people), None)

    def view(self, customer: int) -> dict[str, Any]:
        """What is visible of a customer."""
        people = self.customers[customer]
        events = [each for each in self.events if each.person in people]
        names = sorted(each.name for each in events if each.name)
        memberships = {
            project: self.membership([e for e in events if e.project == project], people, project)
            for project in dict.fromkeys(each.project for each in events if each.project)
        }
        seen = [m["active"] for m in memberships.values() if m["active"] is not None]
        email, *aliases = self.emails[customer]
        return {
            "email": email,
            "aliases": aliases,
            "name": names[-1][1] if names else None,
            "created": min(self.created[person] for person in people),
            "seen": max(seen, default=None),
            "memberships": memberships,
        }

    def membership(self, events: list[Event], people: list[int], project: str) -> dict[str, Any]:
        pings = [at for who, where, at in self.pings if who in people and where == project]
        active = [each.active for each in events if each.active is not None]
        statuses = [each.status for each in events if each.status]
        return {
            "status": RANK[max(statuses)[1]] if statuses else "free",
            "params": replay(write for each in events for write in each.writes),
            "joined": min(each.joined for each in events),
            "active": max(pings + active, default=None),
        }

    def views(self) -> dict[str, dict[str, Any]]:
        views = [self.view(customer) for customer in self.customers]
        return {view["email"]: view for view in views}

    # Calls -------------------------------------------------------------------------------------
    def identify(self, now: int, project: str, email: str, fields: dict[str, Any]) -> Any:
        """`(action, joined, changed fields)`, or None where the address is forgotten."""
        customer = self.customer_of(email)
        if customer is None and email in self.forgotten:
            return None
        before = None if customer is None else self.view(customer)
        if customer is None:
            customer = self.people = self.people + 1
            self.customers[customer], self.emails[customer] = [customer], [email]
            self.owned[customer] = [email]
        person = self.person_of(email)
        event = self.event(now, customer, person, project, fields)
        self.events.append(event)
        self.created[person] = min(self.created.get(person, event.joined), event.joined)
        after = self.view(customer)
        old = (before or {"memberships": {}})["memberships"].get(project)
        changed = differences(before, old, after, after["memberships"][project])
        action = "created" if before is None else "updated" if changed else "unchanged"
        return action, old is None, changed

    def event(
        self, now: int, customer: int, person: int, project: str, fields: dict[str, Any]
    ) -> Event:
        at = fields["at"]
        people = self.customers[customer]
        mine = [each for each in self.events if each.person in people]
        here = [each for each in mine if each.project == project]

        def time(known: list[int]) -> int:
            return at if at is not None else max([now, *(each + 1 for each in known)])

        event = Event(person, project, now if at is None else at, None)
        if fields["active"]:
            event.active = event.joined
        if fields["name"] and fields["name"].strip():
            known = [each.name[0] for each in mine if each.name]
            event.name = (time(known), fields["name"].strip())
        if fields["status"]:
            known = [each.status[0] for each in here if each.status]
            word = {"trialing": "trial"}.get(fields["status"], fields["status"])
            event.status = (time(known), RANK.index(word))
        shown = replay(write for each in here for write in each.writes)
        for kind, name in enumerate(("set_once", "unset", "params")):
            for key in fields[name]:
                value = GONE if name == "unset" else fields[name][key]
                if name == "set_once" and at is None and key in shown:
                    continue
                known = [write[0] for each in here for write in each.writes if write[3] == key]
                spelled = "" if value is GONE else text(value)
                event.writes.append((time(known), kind, spelled, key, value))
        return event

    def ping(self, now: int, project: str, email: str, at: int | None) -> bool:
        customer = self.customer_of(email)
        if customer is None:
            return False
        order = [self.person_of(email), *self.customers[customer]]
        known = {each.person for each in self.events if each.project == project}
        person = next((each for each in order if each in known), None)
        if person is not None:
            self.pings.append((person, project, now if at is None else at))
        return person is not None

    def merge(self, merge: int, keep: str, absorb: str) -> str | None:
        """Why not, or None when it is done."""
        one, other = self.customer_of(keep), self.customer_of(absorb)
        if one is None or other is None:
            return "not_found"
        if one == other:
            return "conflict"
        addresses = [self.emails[one][0], *self.emails[other]]
        self.merges[merge] = Merge(one, other, addresses)
        self.customers[one] += self.customers.pop(other)
        self.emails[one] += self.emails.pop(other)
        return None

    def undo(self, merge: int) -> str | None:
        undone = self.merges.pop(merge, None)
        if undone is None:
            return "refused"
        customer = next(c for c, people in self.customers.items() if undone.absorb in people)
        everybody, emails = self.customers.pop(customer), self.emails.pop(customer)
        leaving = {undone.absorb}
        for _ in everybody:
            leaving |= {m.absorb for m in self.merges.values() if m.keep in leaving}
            leaving |= {m.keep for m in self.merges.values() if m.absorb in leaving}
        for ident, stays in ((customer, True), (undone.absorb, False)):
            people = [each for each in everybody if (each not in leaving) == stays]
            theirs = {email for person in people for email in self.owned[person]}
            wishes = [emails[0], *undone.addresses, self.owned[people[0]][0]]
            first = next(email for email in wishes if email in theirs)
            rest = [email for email in emails if email in theirs and email != first]
            self.customers[ident], self.emails[ident] = people, [first, *rest]
        return None

    def change_email(self, merge: int, old: str, new: str) -> str | None:
        customer, other = self.customer_of(old), self.customer_of(new)
        if customer is None:
            return "not_found"
        if other is not None and other != customer:
            return self.merge(merge, new, old)
        if other is None:
            if new in self.forgotten:
                return "forgotten"
            self.owned[self.person_of(old)].insert(0, new)
        self.emails[customer] = [new, *(e for e in self.emails[customer] if e != new)]
        return None

    def report_address(self, old: str, new: str) -> str | bool:
        """A product's report, which merges nobody and undoes no later change."""
        customer, other = self.customer_of(old), self.customer_of(new)
        if customer is None or other not in (None, customer):
            return False
        if other == customer and old != self.emails[customer][0]:
            return True
        return self.change_email(-1, old, new) or True

    def delete(self, email: str, forget: bool) -> bool:
        customer = self.customer_of(email)
        if forget:
            self.forgotten |= {email, *self.emails.get(customer, ())}
        if customer is None:
            return False
        del self.emails[customer]
        for person in self.customers.pop(customer):
            del self.owned[person], self.created[person]
            self.events = [each for each in self.events if each.person != person]
            self.pings = [each for each in self.pings if each[0] != person]
            self.merges = {
                key: m for key, m in self.merges.items() if person not in (m.keep, m.absorb)
            }
        return True

    def empty_project(self, project: str) -> None:
        """What was written for the product goes; the names it told stay with the people."""
        for each in self.events:
            each.project = "" if each.project == project else each.project
        self.pings = [each for each in self.pings if each[1] != project]


def replay(writes: Any) -> dict[str, Any]:
    """The params after all writes, oldest first; at one time offers come first, values last."""
    params: dict[str, Any] = {}
    for _, kind, _, key, value in sorted(writes, key=lambda each: each[:3]):
        if kind == 1:
            params.pop(key, None)
        elif kind == 2 or key not in params:
            params[key] = value
    return params


def differences(
    before: dict[str, Any] | None,
    old: dict[str, Any] | None,
    after: dict[str, Any],
    new: dict[str, Any],
) -> set[str]:
    """The names of the fields that an identify changed."""
    changed = set()
    if after["name"] != (before or {"name": None})["name"]:
        changed.add("name")
    if old is None or old["status"] != new["status"]:
        changed.add("status")
    was, now = (old or {"params": {}})["params"], new["params"]
    for key in was.keys() | now.keys():
        if text(was.get(key, "absent " * 9)) != text(now.get(key, "absent " * 9)):
            changed.add(f"params.{key}")
    return changed


# Filters, each with what it asks in plain Python ------------------------------------------------
def some(view: dict[str, Any], project: str | None = None, **wanted: Any) -> bool:
    """Whether one membership has these values; callables are asked."""
    return any(
        project in (None, slug)
        and all(w(m[key]) if callable(w) else m[key] == w for key, w in wanted.items())
        for slug, m in view["memberships"].items()
    )


def param(key: str, holds: Any) -> Any:
    return lambda params: key in params and holds(params[key])


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def holds_word(view: dict[str, Any], word: str) -> bool:
    texts = [view["email"], *view["aliases"], view["name"] or ""]
    return any(word in each.lower() for each in texts)


def questions(edge: int, spelled: str) -> dict[str, Any]:
    """Filter texts and their meaning; `edge` is a time and `spelled` its text."""
    return {
        "": lambda v: True,
        "status:paid": lambda v: some(v, status="paid"),
        "project:shop status:paid": lambda v: some(v, "shop", status="paid"),
        "project:shop project:news": lambda v: some(v, "shop") and some(v, "news"),
        "project:shop -project:news": lambda v: some(v, "shop") and not some(v, "news"),
        "status@shop:free status@news:paid": lambda v: (
            some(v, "shop", status="free") and some(v, "news", status="paid")
        ),
        "-status:churned": lambda v: not some(v, status="churned"),
        "status!=free": lambda v: some(v, status=lambda s: s != "free"),
        "status:free,trial": lambda v: some(v, status=lambda s: s in ("free", "trial")),
        "projects>=2": lambda v: len(v["memberships"]) >= 2,
        "projects:0": lambda v: len(v["memberships"]) == 0,
        "p.plan:pro": lambda v: some(v, params=param("plan", lambda x: x == "pro")),
        "p.plan:1": lambda v: some(
            v, params=param("plan", lambda x: (is_number(x) and x == 1) or x == "1")
        ),
        "p.plan:true": lambda v: some(v, params=param("plan", lambda x: x is True)),
        "p.n>=2": lambda v: some(v, params=param("n", lambda x: is_number(x) and x >= 2)),
        "p.n.x:*": lambda v: some(v, params=param("n", lambda x: isinstance(x, dict) and "x" in x)),
        'p."a.b":*': lambda v: some(v, params=param("a.b", lambda x: True)),
        "-p.plan:*": lambda v: not some(v, params=param("plan", lambda x: True)),
        "status:paid or p.n>1": lambda v: (
            some(v, status="paid") or some(v, params=param("n", lambda x: is_number(x) and x > 1))
        ),
        f"joined<{spelled}": lambda v: some(v, joined=lambda t: t < edge),
        f"active@shop>={spelled}": lambda v: some(
            v, "shop", active=lambda t: t is not None and t >= edge
        ),
        f"seen<{spelled}": lambda v: v["seen"] is not None and v["seen"] < edge,
        f"created>={spelled}": lambda v: v["created"] >= edge,
        "alex": lambda v: holds_word(v, "alex"),
        "email^a": lambda v: v["email"].startswith("a"),
        "name~CHEN": lambda v: v["name"] is not None and "chen" in v["name"].lower(),
        "-name:*": lambda v: v["name"] is None,
    }

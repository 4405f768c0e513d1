"""The sample portfolio as plain dictionaries, read without any of the project's code."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime, timedelta
from importlib import resources
from typing import Any

Badge = dict[str, Any]
Person = dict[str, Any]
FILES = {
    "newsletter": "newsletter_django_auth_user.csv",
    "linkbio": "linkbio_supabase_auth_users.csv",
    "analytics": "analytics_stripe_customers.csv",
    "shop": "shop_woocommerce_customers.csv",
    "waitlist": "waitlist_spreadsheet.csv",
}
STRIPE = {
    "active": "paid", "past_due": "paid", "trialing": "trial", "canceled": "churned", "": "free",
}  # fmt: skip
WAITLIST = {
    "free": "free", "paid": "paid", "trialing": "trial", "churned": "churned", "": "free",
}  # fmt: skip


def sample(slug: str) -> bytes:
    """One of the exports that the package ships."""
    return (resources.files("tinycrm_server") / "demo" / FILES[slug]).read_bytes()


def _rows(slug: str, delimiter: str = ",") -> list[dict[str, str]]:
    text = sample(slug).decode("utf-8-sig")
    return list(csv.DictReader(text.splitlines(keepends=True), delimiter=delimiter))


def _time(text: str, layout: str = "") -> datetime | None:
    if not text:
        return None
    time = datetime.strptime(text, layout) if layout else datetime.fromisoformat(text)  # noqa: DTZ007
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _newsletter() -> Any:
    for row in _rows("newsletter"):
        name = f"{row['first_name']} {row['last_name']}".strip()
        joined, active = _time(row["date_joined"]), _time(row["last_login"])
        yield row["email"], name, "free", joined, active, {"username": row["username"]}


def _linkbio() -> Any:
    for row in _rows("linkbio"):
        profile = json.loads(row["raw_user_meta_data"])
        joined, active = _time(row["created_at"]), _time(row["last_sign_in_at"])
        name = profile.pop("full_name", "")
        yield row["email"], name, "free", joined, active, profile


def _analytics() -> Any:
    for row in _rows("analytics"):
        params = {"plan": row["Plan"]} if row["Plan"] else {}
        joined = _time(row["Created (UTC)"])
        yield row["Email"], row["Name"], STRIPE[row["Status"]], joined, None, params


def _shop() -> Any:
    for row in _rows("shop"):
        joined, active = _time(row["Sign Up"]), _time(row["Last Active"])
        yield (
            row["Email"],
            row["Name"],
            "free",
            joined,
            active,
            {"country": row["Country / Region"]},
        )


def _waitlist() -> Any:
    for row in _rows("waitlist", ";"):
        status = WAITLIST.get(row["Status"].strip().lower())
        if status is not None:
            joined = _time(row["Joined"], "%d.%m.%Y")
            yield row["E-Mail"], row["Name"], status, joined, None, {}


READERS = {
    "newsletter": _newsletter,
    "linkbio": _linkbio,
    "analytics": _analytics,
    "shop": _shop,
    "waitlist": _waitlist,
}


def read_people() -> dict[str, Person]:
    """Everybody in the five files by lower-case address; the newest name of a person counts."""
    people: dict[str, Person] = {}
    for slug, reader in READERS.items():
        for email, name, status, joined, active, params in reader():
            local, at, domain = email.strip().lower().partition("@")
            if not at or "@" in domain or "." not in domain:
                continue
            address = f"{local}@{domain.encode('idna').decode()}"
            person = people.setdefault(address, {"names": [], "badges": {}})
            newest = max(time for time in (joined, active) if time is not None)
            person["names"].append((newest, name))
            old = person["badges"].get(slug)
            if old is None or newest >= old["at"]:
                person["badges"][slug] = {
                    "status": status, "joined": min(joined, old["joined"]) if old else joined,
                    "active": active, "params": params, "at": newest,
                }  # fmt: skip
    for person in people.values():
        named = [each for each in person["names"] if each[1]]
        person["name"] = max(named)[1] if named else None
    return people


def later_events(people: dict[str, Person], now: datetime) -> list[tuple[str, str, Any]]:
    """What happens after the import, so that every question has an answer on any day.

    `(product, address, what)`, where `what` is params to set or a time of activity.
    """
    events: list[tuple[str, str, Any]] = []
    today = now.replace(hour=12, minute=0, second=0, microsecond=0)
    for number, address in enumerate(sorted(people)):
        badges = people[address]["badges"]
        if "linkbio" in badges and number % 9 == 0:
            events.append(("linkbio", address, {"source": "producthunt"}))
        if "analytics" in badges and number % 4 == 0:
            mrr: Any = (9, 29, 99, 199.5, "99")[number // 4 % 5]
            ends = (today + timedelta(days=number % 23 - 5)).date().isoformat()
            events.append(("analytics", address, {"mrr": mrr, "trial_ends": ends}))
        if "shop" in badges and number % 3 == 0:
            events.append(("shop", address, now - timedelta(days=number % 20, hours=1)))
    for product, address, what in events:
        badge = people[address]["badges"][product]
        if isinstance(what, dict):
            badge["params"] = badge["params"] | what
        else:
            badge["active"] = max(what, badge["active"] or what)
    return events


def seen(person: Person) -> datetime | None:
    """The last activity anywhere."""
    times = [badge["active"] for badge in person["badges"].values() if badge["active"]]
    return max(times) if times else None

"""The layouts that are known: which header means what, in the exports of five systems and ours."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

_words = re.compile(r"[^\W_]+").findall
_SECRET = {
    "password", "passwd", "passwort", "pwd", "hash", "token", "secret", "salt", "otp", "totp",
    "mfa", "cvv", "cvc",
}  # fmt: skip


def words(header: str) -> str:
    """A header for comparison: its words in lower case, `E-Mail_address` is `e mail address`."""
    return " ".join(_words(header)).casefold()


def is_secret(header: str) -> bool:
    """Whether a column looks like one that nobody should store twice."""
    name = words(header)
    joined = name.replace(" ", "")
    return (
        not _SECRET.isdisjoint(name.split())
        or any(word in joined for word in ("password", "apikey", "privatekey"))
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Preset:
    """How one system's export is read. `signs` are the headers by which it is recognised.

    `roles` maps the words of a header to a role; headers it does not name follow the general
    rules. `statuses` maps lower-case words of the status column to one of the four, or to "" for
    «says nothing».
    """

    name: str
    signs: frozenset[str] = frozenset()
    roles: Mapping[str, str] = field(default_factory=dict)
    statuses: Mapping[str, str] = field(default_factory=dict)


_HEADERS = {
    "email": "email; e mail; mail; email address; e mail address; e mail adresse; user email; "
    "customer email; primary email; billing email; correo; courriel",
    "name": "name; full name; fullname; display name; customer name; user name full; "
    "vollständiger name; nom complet",
    "first_name": "first name; firstname; given name; vorname; prénom",
    "last_name": "last name; lastname; surname; family name; nachname",
    "status": "status; subscription status; customer status",
    "joined": "joined; joined at; date joined; created; created at; created utc; date created; "
    "sign up; signup; signed up; signed up at; signup date; sign up date; registered; "
    "registered at; date registered; user registered; registriert; angemeldet; beigetreten",
    "active": "active at; last active; last active at; last login; last login at; last seen; "
    "last seen at; last sign in; last sign in at; last activity",
    "at": "at; updated at; modified at; last modified",
}
KNOWN = {each: role for role, names in _HEADERS.items() for each in names.split("; ")}
"""Roles by the words of common headers, where no preset says otherwise."""

TINYCRM = Preset(
    "tinycrm",
    frozenset({"email", "project", "params"}),
    {
        "email": "email",
        "name": "name",
        "aliases": "aliases",
        "created": "ignore",
        "seen": "ignore",
        "project": "project",
        "status": "status",
        "joined": "joined",
        "active": "active",
        "params": "params",
    },
)
SPREADSHEET = Preset("spreadsheet")

PRESETS: Mapping[str, Preset] = {
    each.name: each
    for each in (
        TINYCRM,
        Preset(
            "django",
            frozenset({"email", "date joined", "last login"}),
            {
                "id": "params.id:number",
                "username": "params.username:text",
                "is superuser": "params.is_superuser:boolean",
                "is staff": "params.is_staff:boolean",
                "is active": "params.is_active:boolean",
            },
        ),
        Preset(
            "supabase",
            frozenset({"email", "raw user meta data"}),
            {
                "instance id": "ignore",
                "aud": "ignore",
                "role": "ignore",
                "id": "params.id:text",
                "raw user meta data": "profile",
                "raw app meta data": "params.app:json",
                "email confirmed at": "params.email_confirmed_at:date",
                "phone": "params.phone:text",
            },
        ),
        Preset(
            "stripe",
            frozenset({"email", "created utc", "delinquent"}),
            {
                "id": "params.stripe_id:text",
                "description": "params.description:text",
                "delinquent": "params.delinquent:boolean",
                "total spend": "params.total_spend:number",
                "payment count": "params.payment_count:number",
                "refunded volume": "params.refunded_volume:number",
                "average order": "params.average_order:number",
                "plan": "params.plan:text",
                "currency": "params.currency:text",
            },
            {
                "active": "paid",
                "past_due": "paid",
                "trialing": "trial",
                "canceled": "churned",
                "unpaid": "churned",
                "": "free",
            },
        ),
        Preset(
            "woocommerce",
            frozenset({"email", "last active", "sign up", "orders"}),
            {
                "username": "params.username:text",
                "orders": "params.orders:number",
                "total spend": "params.total_spend:number",
                "aov": "params.aov:number",
                "country region": "params.country:text",
                "city": "params.city:text",
                "region": "params.region:text",
                "postal code": "params.postal_code:text",
            },
        ),
        SPREADSHEET,
    )
}


def is_wide(headers: Sequence[str]) -> bool:
    """Whether columns name their product (`status@shop`), one row per person."""
    return any(
        header.startswith(("status@", "p.", "joined@")) and "@" in header for header in headers
    )


def detect(headers: Sequence[str]) -> Preset:
    """The first preset whose signs are all there; `spreadsheet` where none is."""
    if is_wide(headers):
        return TINYCRM
    present = {words(header) for header in headers}
    return next(
        (each for each in PRESETS.values() if each.signs and each.signs <= present), SPREADSHEET
    )

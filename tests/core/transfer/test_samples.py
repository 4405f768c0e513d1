"""The five exports, imported; what to expect is counted here with nothing but csv and json."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any

import email_validator  # noqa: F401 - one of the addresses is international
import pytest

from tinycrm_core import Customer, Membership, TinyCRM

SAMPLES = {
    "django": "newsletter_django_auth_user.csv",
    "supabase": "linkbio_supabase_auth_users.csv",
    "stripe": "analytics_stripe_customers.csv",
    "woocommerce": "shop_woocommerce_customers.csv",
    "spreadsheet": "waitlist_spreadsheet.csv",
}


def content(preset: str) -> bytes:
    return (files("tinycrm_server") / "demo" / SAMPLES[preset]).read_bytes()


def plainly(preset: str) -> list[dict[str, str]]:
    text = io.StringIO(content(preset).decode("utf-8-sig"), newline="")
    return list(csv.DictReader(text, delimiter=";" if preset == "spreadsheet" else ","))


def imported(preset: str, **options: Any) -> tuple[TinyCRM, Any]:
    crm = TinyCRM()
    return crm, crm.import_csv(io.BytesIO(content(preset)), project="p", **options)


def people(crm: TinyCRM) -> dict[str, tuple[Customer, Membership]]:
    return {c.email: (c, c.memberships[0]) for c in crm.customers.stream()}


def canonical(email: str) -> str:
    """The sample's addresses as they are stored."""
    return email.strip().lower().replace("@bücher.", "@xn--bcher-kva.")


def utc(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def check(crm: TinyCRM, report: Any, rows: int, persons: int, rejected: int) -> None:
    assert (report.rows, report.rejected) == (rows, rejected)
    assert report.rows == report.created + report.updated + report.unchanged + report.rejected
    assert report.created == crm.customers.count() == persons


def test_django() -> None:
    rows = [row for row in plainly("django") if row["email"].strip()]
    crm, report = imported("django")
    check(crm, report, 2500, len({canonical(row["email"]) for row in rows}), 19)
    assert report.preset == "django"
    found = people(crm)
    for row in rows:
        customer, membership = found[canonical(row["email"])]
        assert customer.name == " ".join(f"{row['first_name']} {row['last_name']}".split())
        assert membership.joined_at == utc(row["date_joined"])
        last = row["last_login"]
        assert membership.last_active_at == (utc(last) if last else None)
        assert membership.status == "free"
        assert membership.params == {
            "id": int(row["id"]),
            "username": row["username"],
            "is_superuser": row["is_superuser"] == "t",
            "is_staff": row["is_staff"] == "t",
            "is_active": row["is_active"] == "t",
        }
    assert dict(report.columns)["password"] == "ignore"


def test_supabase() -> None:
    rows = plainly("supabase")
    crm, report = imported("supabase")
    check(crm, report, 1800, 1800, 0)
    found = people(crm)
    for row in rows:
        profile = json.loads(row["raw_user_meta_data"])
        customer, membership = found[canonical(row["email"])]
        assert customer.name == profile.pop("full_name")
        assert membership.last_active_at == (
            utc(row["last_sign_in_at"]) if row["last_sign_in_at"] else None
        )
        assert membership.params == {
            **profile,
            "id": row["id"],
            "email_confirmed_at": row["email_confirmed_at"],
        }
        assert "xxxx" not in repr(membership.params)
    assert crm.customers.count("p.utm.source:friend") == sum(
        json.loads(row["raw_user_meta_data"])["utm"]["source"] == "friend" for row in rows
    )


def test_stripe() -> None:
    rows = plainly("stripe")
    crm, report = imported("stripe")
    check(crm, report, 900, 900, 0)
    meant = {"active": "paid", "past_due": "paid", "trialing": "trial", "canceled": "churned"}
    expected = Counter(meant.get(row["Status"], "free") for row in rows)
    assert dict(crm.customers.tally(by="status")) == expected
    assert len(expected) == 4
    spent = crm.customers.aggregate("p.total_spend")
    assert spent.count == 900
    assert spent.sum == pytest.approx(sum(float(row["Total Spend"]) for row in rows))
    assert crm.customers.count("p.delinquent:true") == 40
    one = people(crm)[canonical(rows[0]["Email"])][1]
    assert one.joined_at == utc(rows[0]["Created (UTC)"])


def test_woocommerce() -> None:
    rows = plainly("woocommerce")
    crm, report = imported("woocommerce")
    check(crm, report, 1200, 1200, 0)
    found = people(crm)
    for row in rows:
        membership = found[canonical(row["Email"])][1]
        assert membership.joined_at == utc(row["Sign Up"])
        assert membership.last_active_at == utc(row["Last Active"])
        assert membership.params == {
            "username": row["Username"],
            "orders": int(row["Orders"]),
            "total_spend": float(row["Total Spend"]),
            "country": row["Country / Region"],
        }


def test_spreadsheet_i4() -> None:
    rows = plainly("spreadsheet")
    crm, report = imported("spreadsheet")
    waiting = [row for row in rows if row["Status"] == "waitlist"]
    check(crm, report, 303, 303 - len(waiting) - 3, len(waiting) + 2)
    assert report.delimiter == ";"
    assert (report.updated, report.unchanged) == (0, 1)
    assert sorted(report.reasons.values()) == [1, 1, len(waiting)]
    found = people(crm)
    for row in rows[:-3]:
        if row["Status"] == "waitlist":
            continue
        domain = canonical(row["E-Mail"])
        customer, membership = found[domain]
        word = row["Status"].strip().lower() or "free"
        assert membership.status == {"trialing": "trial"}.get(word, word)
        assert membership.params == ({"notes": row["Notes"]} if row["Notes"] else {})
        if domain != "dr_sophie_jones@example.org":
            expected = datetime.strptime(row["Joined"], "%d.%m.%Y").replace(tzinfo=UTC)
            assert customer.created_at == membership.joined_at == expected
    twice = found["dr_sophie_jones@example.org"][1]
    assert twice.status == "trial", "the second row is older than the first"
    assert twice.joined_at == datetime(2026, 1, 1, tzinfo=UTC)


def test_a_status_map_takes_the_unknown_word() -> None:
    crm, report = imported("spreadsheet", status_map={"Waitlist": "free"})
    assert report.rejected == 2
    assert crm.customers.count() == 300


@pytest.mark.parametrize("preset", SAMPLES)
def test_a_dry_run_tells_the_same_and_a_second_run_changes_nothing_c6(preset: str) -> None:
    crm = TinyCRM()

    def run(**options: Any) -> Any:
        return crm.import_csv(io.BytesIO(content(preset)), project="p", **options)

    dry = run(dry_run=True)
    assert crm.customers.count() == 0
    assert crm.projects.list() == ()
    assert not dry.applied
    assert len(dry.samples) == 10
    first = run()
    assert dry.totals == first.totals
    before = people(crm)
    second = run()
    assert (second.created, second.updated) == (0, 0)
    assert second.unchanged == first.created + first.updated + first.unchanged
    assert people(crm) == before


@pytest.mark.parametrize("preset", SAMPLES)
def test_an_import_can_be_undone(preset: str) -> None:
    crm, report = imported(preset)
    assert crm.customers.count() == report.created
    (batch,) = crm.imports.list()
    assert (batch.id, dict(batch.totals)) == (report.batch, report.totals)
    assert batch.finished_at is not None
    crm.imports.undo(report.batch)
    assert crm.customers.count() == 0

"""What an import does to people: newer values, bad rows, batches, all or nothing, and mapping."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tinycrm_core import Customer, InvalidInput, TinyCRM
from tinycrm_core.transfer import ImportReport, Progress
from tinycrm_core.transfer.importer import SAMPLE_SIZE

NOW = datetime.now(UTC)


def take(crm: TinyCRM, text: str, **options: Any) -> ImportReport:
    report = crm.import_csv(io.StringIO(text, newline=""), **({"project": "p"} | options))
    assert report.rows == report.created + report.updated + report.unchanged + report.rejected
    return report


def get(crm: TinyCRM, email: str) -> Customer:
    customer = crm.customers.get(email)
    assert customer is not None
    return customer


def facts(crm: TinyCRM) -> list[tuple[Any, ...]]:
    """Everything about everybody except ids."""
    return sorted(
        (c.email, c.name, c.created_at, c.last_seen_at, c.aliases, repr(c.memberships))
        for c in crm.customers.stream()
    )


def test_an_old_export_does_not_undo_what_happened_since_i6() -> None:
    crm = TinyCRM()
    crm.project("p").identify("a@example.com", name="New", status="paid", params={"plan": "pro"})
    old = "email,name,status,plan,joined\na@example.com,Old,free,basic,2024-01-01\n"
    dry = take(crm, old, dry_run=True)
    assert {(kept.field, kept.stored, kept.given) for kept in dry.kept} == {
        ("name", "New", "Old"),
        ("status", "paid", "free"),
        ("params.plan", "pro", "basic"),
    }
    assert dry.kept_count == 3
    report = take(crm, old)
    assert report.unchanged == 1
    customer = get(crm, "a@example.com")
    membership = customer.memberships[0]
    assert (customer.name, membership.status, membership.params) == ("New", "paid", {"plan": "pro"})
    assert membership.joined_at == datetime(2024, 1, 1, tzinfo=UTC)


def test_a_newer_export_does_i6() -> None:
    crm = TinyCRM()
    crm.project("p").identify("a@example.com", status="trial", at=NOW - timedelta(days=30))
    yesterday = (NOW - timedelta(days=1)).isoformat()
    report = take(crm, f"email,status,last_active\na@example.com,paid,{yesterday}\n")
    assert report.updated == 1
    assert get(crm, "a@example.com").memberships[0].status == "paid"


@pytest.mark.parametrize(("as_of", "status"), [(None, "free"), ("2020-01-01", "paid")])
def test_rows_without_a_date_count_as_of_i6(as_of: str | None, status: str) -> None:
    crm = TinyCRM()
    crm.project("p").identify("a@example.com", status="paid", at=NOW - timedelta(days=2))
    take(crm, "email,status\na@example.com,free\n", as_of=as_of)
    assert get(crm, "a@example.com").memberships[0].status == status


def test_overwrite_makes_the_file_win_i6() -> None:
    crm = TinyCRM()
    crm.project("p").identify("a@example.com", status="paid")
    old = "email,status,joined\na@example.com,free,2024-01-01\n"
    assert take(crm, old, overwrite=True, dry_run=True).kept == []
    assert take(crm, old, overwrite=True).updated == 1
    assert get(crm, "a@example.com").memberships[0].status == "free"


def test_the_future_does_not_happen_early() -> None:
    crm = TinyCRM()
    take(crm, "email,status,last_active\na@example.com,free,2999-01-01\n")
    assert get(crm, "a@example.com").last_seen_at <= datetime.now(UTC)
    crm.project("p").identify("a@example.com", status="paid", at=datetime.now(UTC))
    assert get(crm, "a@example.com").memberships[0].status == "paid"


def test_empty_cells_erase_nothing() -> None:
    crm = TinyCRM()
    crm.project("p").identify("a@example.com", name="A", status="paid", params={"plan": "pro"})
    take(crm, "email,name,status,plan,last_active\na@example.com,, , ,\n", overwrite=True)
    customer = get(crm, "a@example.com")
    assert (customer.name, customer.memberships[0].status) == ("A", "paid")
    assert customer.memberships[0].params == {"plan": "pro"}


def ten_thousand() -> str:
    rows = [f"p{i}@example.com,free,2024-01-01" for i in range(10_000)]
    rows[17] = "=cmd|broken,free,2024-01-01"
    rows[4_000] = "p4000@example.com,gold,2024-01-01"
    rows[9_999] = "p9999@example.com,free,31.02.2024"
    return "email,status,joined\n" + "\n".join(rows) + "\n"


def test_three_bad_rows_of_ten_thousand_i4() -> None:
    crm, rejects = TinyCRM(), io.StringIO(newline="")
    report = take(crm, ten_thousand(), rejects=rejects)
    assert (report.created, report.rejected) == (9_997, 3)
    assert crm.customers.count() == 9_997
    rejects.seek(0)
    written = list(csv.reader(rejects))
    assert written[0] == ["row", "line", "email", "reason"]
    assert [row[:3] for row in written[1:]] == [
        ["18", "19", "'=cmd|broken"],
        ["4001", "4002", "p4000@example.com"],
        ["10000", "10001", "p9999@example.com"],
    ]
    assert [row[3] for row in written[1:]] == [reject.reason for reject in report.rejects]
    assert [reject.field for reject in report.rejects] == ["email", "status", "joined"]
    assert "'gold' is not one of free, trial, paid, churned" in written[2][3]
    assert "31.02.2024" in written[3][3]


class Pipe(io.BytesIO):
    def tell(self) -> int:
        raise OSError("a pipe")

    def seek(self, *_: Any) -> int:
        raise OSError("a pipe")


@pytest.mark.parametrize("kind", [io.BytesIO, Pipe])
def test_all_or_nothing_i4(kind: Any) -> None:
    crm = TinyCRM()
    content = ten_thousand().encode()
    report = crm.import_csv(kind(content), project="p", on_error="stop")
    assert (report.rejected, report.applied, report.batch) == (3, False, None)
    assert crm.customers.count() == 0
    assert crm.imports.list() == ()
    good = b"email\na@example.com\nb@example.com\n"
    report = crm.import_csv(kind(good), project="p", on_error="stop")
    assert (report.created, report.applied) == (2, True)


def test_people_who_asked_to_be_forgotten_are_rejected_i4() -> None:
    crm = TinyCRM()
    crm.customers.delete("b@example.com", forget=True)
    text = "email\na@example.com\nb@example.com\n"
    assert take(crm, text, dry_run=True).rejected == 1
    assert take(crm, text, on_error="stop").applied is False
    report = take(crm, text)
    assert (report.created, report.rejected) == (1, 1)
    assert "forgotten" in report.rejects[0].reason


def test_a_dry_run_counts_people_who_come_again_much_later() -> None:
    emails = [f"p{i}@example.com" for i in range(6_000)]
    text = "email,status,joined\n" + "".join(f"{each},free,2024-01-01\n" for each in emails)
    text += "p0@example.com,free,2024-01-01\np1@example.com,paid,2024-02-01\n"
    crm = TinyCRM()
    dry = take(crm, text, dry_run=True)
    assert dry.totals == take(crm, text).totals
    assert (dry.created, dry.updated, dry.unchanged) == (6_000, 1, 1)


class Killed(BaseException):
    pass


def dying(lines: list[str], after: int) -> Iterator[str]:
    yield from lines[:after]
    raise Killed


class Dying(io.TextIOBase):
    """A stream that ends its reader's life after some lines."""

    def __init__(self, lines: list[str], after: int) -> None:
        self._lines = dying(lines, after)

    def read(self, size: int | None = -1) -> str:
        return next(self._lines)

    def tell(self) -> int:
        raise OSError


@pytest.mark.parametrize("after", [1, 2, 50, 99, 100, 101, 250, 333, 499, 500])
def test_a_killed_import_is_run_again_c6(after: int) -> None:
    lines = ["email,name,status,last_active,plan\n"]
    for i in range(500):
        when = f"2026-01-{i % 28 + 1:02}" if i % 3 else ""
        lines.append(f"p{i % 400}@example.com,N{i},{('free', 'paid', '')[i % 3]},{when},plan{i}\n")
    text, options = "".join(lines), {"batch_size": 7, "as_of": "2026-02-01"}
    clean = TinyCRM()
    take(clean, text, **options)
    crm = TinyCRM()
    with pytest.raises(Killed):
        crm.import_csv(Dying(lines, after), project="p", **options)
    if after > 250:
        assert crm.customers.count() > 0
        (batch,) = crm.imports.list()
        assert batch.totals["created"] == crm.customers.count()
    take(crm, text, **options)
    assert facts(crm) == facts(clean)


def test_the_mapping_decides() -> None:
    crm = TinyCRM()
    report = take(
        crm,
        "Kontakt,Wer,Stufe,Seit,Zahl,Code,Da,Rest\n"
        "a@example.com,A,Gold,03/02/2025,\"1.234,50\",007,yes,x\n"
        "b@example.com,B,Gold,03/02/2025,viel,007,yes,x\n",
        mapping={
            "Kontakt": "email",
            "Wer": "name",
            "Stufe": "status",
            "Seit": "joined",
            "Zahl": "params.amount:number",
            "Code": "params.code:text",
            "Da": "params.here:boolean",
            "*": "ignore",
        },
        status_map={"gold": "paid"},
        date_format="%d/%m/%Y",
    )  # fmt: skip
    customer = get(crm, "a@example.com")
    assert customer.name == "A"
    assert customer.memberships[0].status == "paid"
    assert customer.memberships[0].joined_at == datetime(2025, 2, 3, tzinfo=UTC)
    assert customer.memberships[0].params == {"amount": 1234.5, "code": "007", "here": True}
    assert dict(report.columns)["Rest"] == "ignore"
    assert [reject.reason for reject in report.rejects] == ["params.amount: 'viel' is not a number"]


def test_types_are_guessed_without_losing_anything() -> None:
    crm = TinyCRM()
    take(
        crm,
        "email,count,zip,phone,flag,day,data,mixed,long,is_ok,size,on\n"
        'a@example.com,1,1234,+491,t,2024-05-06,"{""a"": [1]}",1,12345678901234567890,f,f,TRUE\n'
        "b@example.com,2.50,5678,+492,f,2024-05-07 10:00,[],x,1,f,f,FALSE\n",
    )
    assert get(crm, "a@example.com").memberships[0].params == {
        "count": 1, "zip": "1234", "phone": "+491", "flag": True, "day": "2024-05-06",
        "data": {"a": [1]}, "mixed": "1", "long": "12345678901234567890",
        "is_ok": False, "size": "f", "on": True,
    }  # fmt: skip
    late = "email,n\n" + "".join(f"p{i}@example.com,{i}\n" for i in range(300))
    take(crm, late + "c@example.com,n/a\nd@example.com,007\ne@example.com,+7\n")
    values = [get(crm, f"{each}@example.com").memberships[0].params["n"] for each in "cde"]
    assert values == ["n/a", "007", "+7"]


def test_secrets_come_only_when_asked_for() -> None:
    text = "email,password,API_Key,reset-token,Secret\na@example.com,p,k,tok,s\n"
    crm = TinyCRM()
    take(crm, text)
    assert get(crm, "a@example.com").memberships[0].params == {}
    take(crm, text, mapping={"reset-token": "params.token"})
    assert get(crm, "a@example.com").memberships[0].params == {"token": "tok"}


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"mapping": {"nope": "email"}}, "mapping"),
        ({"mapping": {"email": "boss"}}, "mapping"),
        ({"mapping": {"email": "email", "name": "email"}}, "mapping"),
        ({"mapping": {"name": "params.x:colour"}}, "mapping"),
        ({"mapping": {"*": "email"}}, "mapping"),
        ({"mapping": "oracle"}, "mapping"),
        ({"status_map": {"gold": "golden"}}, "status"),
        ({"date_format": "%Q"}, "date_format"),
        ({"on_error": "ignore"}, "on_error"),
        ({"batch_size": 0}, "batch_size"),
        ({"project": "No Slug"}, "project"),
        ({"as_of": "soon"}, "as_of"),
        ({"delimiter": "::"}, "delimiter"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_written(
    options: dict[str, Any], field: str
) -> None:
    crm = TinyCRM()
    with pytest.raises(InvalidInput) as caught:
        take(crm, "email,name\na@example.com,A\n", **options)
    assert caught.value.field == field
    assert crm.customers.count() == 0
    assert crm.imports.list() == ()


def test_without_a_product_rows_are_rejected() -> None:
    report = take(TinyCRM(), "email\na@example.com\n", project=None)
    assert report.reasons == {"project: the row names no product": 1}


def test_progress_reaches_the_end() -> None:
    seen: list[Progress] = []
    text = ten_thousand().encode()
    TinyCRM().import_csv(io.BytesIO(text), project="p", progress=seen.append, batch_size=1000)
    assert [step.rows for step in seen] == [1000 * i for i in range(1, 11)]
    assert seen[-1].rejected == 3
    assert seen[-1].read == seen[-1].size == len(text)


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("2024-05-06", "2024-05-06T00:00:00+00:00"),
        ("2024-05-06 07:08", "2024-05-06T07:08:00+00:00"),
        ("2024-05-06T07:08:09Z", "2024-05-06T07:08:09+00:00"),
        ("2024-05-06 07:08:09.000001+02", "2024-05-06T05:08:09.000001+00:00"),
        ("2024-05-06 07:08:09 UTC", "2024-05-06T07:08:09+00:00"),
        ("6.5.2024", "2024-05-06T00:00:00+00:00"),
        ("06.05.2024 07:08", "2024-05-06T07:08:00+00:00"),
        ("06.05.2024, 07:08:09", "2024-05-06T07:08:09+00:00"),
        ("2024/5/6", "2024-05-06T00:00:00+00:00"),
        ("1714979289", "2024-05-06T07:08:09+00:00"),
        ("1714979289000", "2024-05-06T07:08:09+00:00"),
        ("20240506", "2024-05-06T00:00:00+00:00"),
        ("05/06/2024", None),
        ("1969-12-31", None),
        ("2024-02-30", None),
        ("9999-12-31T23:59:59-05:00", None),
        ("99999999999999999999", None),
        ("soon", None),
    ],
)
def test_dates(cell: str, expected: str | None) -> None:
    crm = TinyCRM()
    report = take(crm, f'email,joined\na@example.com,"{cell}"\n')
    if expected is None:
        assert [reject.field for reject in report.rejects] == ["joined"]
    else:
        assert get(crm, "a@example.com").created_at.isoformat() == expected


def test_a_date_of_zeros_is_no_date() -> None:
    crm = TinyCRM()
    take(crm, "email,joined,last_active\na@example.com,2024-01-01,0000-00-00 00:00:00\n")
    assert get(crm, "a@example.com").last_seen_at is None


@pytest.mark.parametrize(
    "cell", ["NaN", "inf", "1e400", "9" * 5000, "9" * 30, "1,234", "1_000", "١٢", ""]
)
def test_numbers_that_are_none(cell: str) -> None:
    crm = TinyCRM()
    text = f'email,n\na@example.com,"{cell}"\n'
    report = take(crm, text, mapping={"n": "params.n:number"})
    assert report.rejected == (1 if cell else 0)


def test_the_report_is_json_and_a_sentence() -> None:
    import json

    report = take(TinyCRM(), "email,joined\na@example.com,2024-01-01\nb,\n", dry_run=True)
    body = json.loads(json.dumps(report.to_json()))
    assert body["samples"][0]["joined"] == "2024-01-01T00:00:00+00:00"
    assert body["rejects"][0]["row"] == 2
    assert str(report) == (
        "2 rows: 1 created, 0 updated, 0 unchanged, 1 rejected (nothing written)"
    )


def test_i7_rows_that_types_are_guessed_from_are_few_when_they_are_large() -> None:
    row = b"%d@example.com," + b"x" * 100_000 + b"\n"
    text = b"email,notes\n" + b"".join(row % number for number in range(200))
    seen: list[Progress] = []
    mapping = {"notes": "ignore"}
    TinyCRM().import_csv(
        io.BytesIO(text), project="p", mapping=mapping, batch_size=1, progress=seen.append
    )
    assert seen[-1].rows == 200
    assert seen[0].read < 2 * SAMPLE_SIZE < len(text)

"""Out and in again: nothing is lost, and nothing runs in a spreadsheet."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tinycrm_core import InvalidInput, TinyCRM
from tinycrm_core.query import MAX_LIMIT, Query
from tinycrm_core.transfer import (
    csv_chunks,
    export_csv,
    export_jsonl,
    guard,
    import_jsonl,
    jsonl_chunks,
    unguard,
)

DANGEROUS = ["=1+1", "+49", "-2", "@SUM(1)", "\tx", "\rx", "\nx", "＝1", "＋1", "－1", "＠x"]
TRICKY = [*DANGEROUS, "'", "'x", "'=1", "''=1", "a,b", 'say "hi"', "line\r\nline", " x ", "x;y|z"]
_texts = st.one_of(
    st.sampled_from(TRICKY),
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12),
)
_json = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), _texts,
              st.floats(allow_nan=False, allow_infinity=False)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_texts, inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
_times = st.datetimes(datetime(1970, 1, 2), datetime(2026, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
_people = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "=c", "+d", "-e", "'=f"]),
        st.sampled_from(["shop", "news"]),
        st.sampled_from([None, "free", "trial", "paid", "churned"]),
        _texts,
        st.dictionaries(_texts, _json, max_size=4),
        _times,
        st.booleans(),
    ),
    max_size=8,
)


def filled(people: list[tuple[Any, ...]]) -> TinyCRM:
    crm = TinyCRM()
    for local, project, status, name, params, at, active in people:
        crm.project(project).identify(
            f"{local}@example.com", name=name, status=status, params=params, at=at, active=active
        )
    return crm


def facts(crm: TinyCRM, *, created: bool = True) -> list[Any]:
    """Everything about everybody except ids, and the order in which products were added."""
    return sorted(
        json.dumps(
            [
                c.email, c.name, str(c.created_at) if created else "", str(c.last_seen_at),
                c.aliases,
                sorted((m.project, m.status, str(m.joined_at), str(m.last_active_at),
                        json.dumps(m.params, sort_keys=True)) for m in c.memberships),
            ]
        )
        for c in crm.customers.stream()
    )  # fmt: skip


def written(crm: TinyCRM, **options: Any) -> str:
    stream = io.StringIO(newline="")
    export_csv(crm, stream, **options)
    return stream.getvalue()


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=60)
@given(people=_people, raw=st.booleans(), delimiter=st.sampled_from(",;\t|"))
def test_csv_out_and_in_is_the_same_store_i1(
    people: list[tuple[Any, ...]], raw: bool, delimiter: str
) -> None:
    crm, copy = filled(people), TinyCRM()
    text = written(crm, raw=raw, delimiter=delimiter)
    report = copy.import_csv(io.StringIO(text, newline=""), raw=raw)
    assert (report.rejects, report.preset, report.delimiter) == ([], "tinycrm", delimiter)
    assert facts(copy) == facts(crm)
    again = copy.import_csv(io.StringIO(text, newline=""), raw=raw)
    assert again.unchanged == again.rows
    assert facts(copy) == facts(crm)


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=60)
@given(people=_people)
def test_json_lines_out_and_in_is_the_same_store_i1(people: list[tuple[Any, ...]]) -> None:
    crm, copy, stream = filled(people), TinyCRM(), io.BytesIO()
    assert export_jsonl(crm, stream) == crm.customers.count()
    stream.seek(0)
    report = import_jsonl(copy, stream)
    assert (report.rejects, report.created) == ([], crm.customers.count())
    assert facts(copy) == facts(crm)


@given(text=_texts)
def test_a_guard_comes_off_exactly_i1(text: str) -> None:
    assert unguard(guard(text)) == text
    assert guard(text)[:1] not in set("=+-@\t\r\n\0＝＋－＠") or not text


@pytest.mark.parametrize("text", DANGEROUS)
def test_no_cell_or_header_is_a_formula_i1(text: str) -> None:
    crm = TinyCRM()
    crm.project("p").identify("=a@example.com", name=text, params={text: text, "n": -5})
    rows = list(csv.reader(io.StringIO(written(crm, layout="customers"), newline="")))
    bad = [cell for row in rows for cell in row if cell.strip(" ")[:1] in set("=+-@\t\r\n＝＋－＠")]
    assert bad == ["-5"], "a number stays a number"
    assert "'=a@example.com" in rows[1]
    one_column = written(crm, columns=["name", "p." + text])
    assert all(not line.startswith(tuple("=+-@\t＝＋－＠")) for line in one_column.splitlines())
    assert "=a@example.com" in written(crm, raw=True)
    assert "'=a@example.com" not in written(crm, raw=True)


def test_people_as_rows_come_back_too() -> None:
    crm, copy = TinyCRM(), TinyCRM()
    at = datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC)
    params = {
        "plan": "pro",
        "mrr": 29,
        "ratio": 0.5,
        "ok": True,
        "tags": ["a"],
        "a.b": "x",
        "b@c": 1,
    }
    crm.project("shop").identify("a@example.com", name="A", status="paid", params=params, at=at)
    crm.project("news").identify("a@example.com", at=at, active=False)
    crm.project("news").identify("b@example.com", status="trial", at=at + timedelta(days=1))
    text = written(crm, layout="customers")
    assert text.count("\r\n") == 3
    report = copy.import_csv(io.StringIO(text, newline=""))
    assert (report.created, report.rejects) == (2, [])
    assert facts(copy) == facts(crm)


def test_aliases_come_back() -> None:
    crm = TinyCRM()
    at = datetime(2025, 1, 2, tzinfo=UTC)
    crm.project("p").identify("old@example.com", name="A", status="paid", at=at)
    crm.customers.change_email("old@example.com", "new@example.com")
    for text, read in (
        (written(crm), lambda copy, stream: copy.import_csv(stream)),
        ("".join(jsonl_chunks(crm)), import_jsonl),
    ):
        copy = TinyCRM()
        for _ in range(2):
            report = read(copy, io.StringIO(text, newline=""))
            assert report.notes == []
        assert facts(copy) == facts(crm)
        assert copy.customers.get("old@example.com").email == "new@example.com"
    taken = TinyCRM()
    taken.project("p").identify("old@example.com", name="Other")
    report = taken.import_csv(io.StringIO(written(crm), newline=""))
    assert report.notes == ["row 1: the alias belongs to somebody else already"]
    assert taken.customers.count() == 2


def test_an_old_export_of_ours_does_not_undo_what_happened_since_i6() -> None:
    crm = TinyCRM()
    crm.project("p").identify("a@example.com", status="trial", params={"plan": "a"})
    text = written(crm)
    crm.project("p").identify("a@example.com", status="paid", params={"plan": "b"})
    assert crm.import_csv(io.StringIO(text, newline="")).unchanged == 1
    membership = crm.customers.get("a@example.com").memberships[0]
    assert (membership.status, membership.params) == ("paid", {"plan": "b"})


def test_columns_and_filter_choose() -> None:
    crm = TinyCRM()
    crm.project("shop").identify("a@example.com", status="paid", params={"mrr": 9})
    crm.project("news").identify("a@example.com", status="free", params={"mrr": 1})
    crm.project("news").identify("b@example.com", status="free", params={"mrr": 5})
    assert written(crm, columns=["email", "project", "p.mrr"], filter="project:shop").split() == [
        "email,project,p.mrr", "a@example.com,shop,9", "a@example.com,news,1",
    ]  # fmt: skip
    text = written(
        crm, layout="customers", sort="email",
        columns=["email", "projects", "status@shop", "status", "p.mrr@news", "p.mrr"],
    )  # fmt: skip
    assert text.splitlines() == [
        "email,projects,status@shop,status,p.mrr@news,p.mrr",
        "a@example.com,2,paid,paid; free,1,9; 1",
        "b@example.com,1,,free,5,5",
    ]
    crm.project("shop").identify("a@example.com", params={"utm": {"source": "x"}})
    assert written(crm, columns=["p.utm.source"], filter="project:shop").split()[1] == "x"
    crm.project("shop").identify("a@example.com", params={"a.b": 1, "at@b": 2, "=": {"c d": 3}})
    odd = ['p."a.b"', 'p."at@b"', 'p."="."c d"@shop', "p.a.b@shop", "p.at@b@shop"]
    assert written(crm, layout="customers", columns=odd, sort="email").split("\r\n")[1] == (
        "1,2,3,1,2"
    )
    for wrong in (["phone"], ["p."], ["status@"], ["status@x"], ["email@shop"]):
        with pytest.raises(InvalidInput) as caught:
            written(crm, layout="customers", columns=wrong)
        assert caught.value.field == "columns", wrong
    with pytest.raises(InvalidInput, match="layout"):
        written(crm, layout="pivot")


def test_bytes_and_a_mark_for_excel() -> None:
    crm = TinyCRM()
    crm.project("p").identify("a@example.com", name="Zoë")
    stream = io.BytesIO()
    assert export_csv(crm, stream, bom=True) == 1
    assert stream.getvalue().startswith(b"\xef\xbb\xbfemail,")
    stream.seek(0)
    assert TinyCRM().import_csv(stream).created == 1


@dataclass
class CountingStore:
    """A store that notes how many people each question loads."""

    store: Any
    loaded: list[int]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    @contextmanager
    def begin(self, account: str, *, write: bool = True) -> Iterator[Any]:
        with self.store.begin(account, write=write) as tx:
            yield CountingTransaction(tx, self.loaded)


@dataclass
class CountingTransaction:
    tx: Any
    loaded: list[int]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.tx, name)

    def find(self, query: Query) -> Any:
        found, end = self.tx.find(query)
        self.loaded.append(len(found))
        return found, end


def test_an_export_is_a_stream_i7() -> None:
    crm = TinyCRM()
    text = "email,joined\n" + "".join(f"p{i}@example.com,2024-01-01\n" for i in range(20_000))
    ahead = []
    crm.import_csv(
        io.StringIO(text),
        project="p",
        batch_size=100,
        progress=lambda step: ahead.append(step.read - step.rows * len(text) // 20_000),
    )
    assert len(ahead) == 200
    assert max(ahead) < 200_000, "bytes read before their rows are done"
    loaded: list[int] = []
    counting = TinyCRM.over(CountingStore(crm.store, loaded))
    chunks = csv_chunks(counting)
    header, first = next(chunks), next(chunks)
    assert 0 < sum(loaded) <= MAX_LIMIT, "people loaded before the first piece is out"
    assert header == "email,name,aliases,created,seen,project,status,joined,active,params\r\n"
    assert 100 <= first.count("\r\n") <= 500
    out = first.count("\r\n")
    for chunk in chunks:
        assert len(chunk) < 100_000
        out += chunk.count("\r\n")
        assert sum(loaded) - out <= MAX_LIMIT, "people loaded ahead of what is out"
    assert out == sum(loaded) == 20_000
    loaded.clear()
    assert len(next(jsonl_chunks(counting)).splitlines()) == 1
    assert sum(loaded) <= MAX_LIMIT


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("[]", "does not hold a JSON object"),
        ("{", "not JSON"),
        ('{"email": "a@example.com"}', "on no product"),
        ('{"email": "a@example.com", "memberships": [1]}', "expected objects"),
        ('{"email": "a@example.com", "memberships": [{"project": "A B"}]}', "a slug has"),
        ('{"email": 5, "memberships": [{"project": "p"}]}', "email must be text"),
        ('{"email": "a@example.com", "aliases": "x", "memberships": [{"project": "p"}]}', "a list"),
        ('{"email": "a@b.example", "memberships": [{"project": "p", "joined": 5}]}', "joined"),
        ('{"email": "a@b.example", "memberships": [{"project": "p", "params": 5}]}', "an object"),
        ('{"email": "a@b.example", "memberships": [{"project": "p", "status": "x"}]}', "one of"),
    ],
)
def test_lines_that_are_no_people_are_rejected_i4(line: str, message: str) -> None:
    good = '{"email": "z@example.com", "memberships": [{"project": "p"}]}'
    report = import_jsonl(TinyCRM(), io.StringIO(f"\n{line}\n{good}\n"))
    assert (report.created, report.rejected) == (1, 1)
    assert (report.rejects[0].row, report.rejects[0].line) == (1, 2)
    assert message in report.rejects[0].reason

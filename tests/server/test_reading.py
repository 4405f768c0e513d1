"""People, merges, products and keys over HTTP."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest

from tests.server.live import Live

FILES = ("/v1/customers.csv", "/v1/customers.jsonl")


@pytest.fixture
def people(live: Live) -> Live:
    live.keys["admin"] = live.crm.keys.create(scope="admin").secret
    news, shop = live.crm.project("newsletter"), live.crm.project("shop")
    for n in range(120):
        news.identify(f"p{n:03}@example.com", name=f"Person {n:03}", params={"source": "launch"})
        if n % 2:
            shop.identify(f"p{n:03}@example.com", status="paid", params={"mrr": n})
    return live


def ident(live: Live, email: str) -> str:
    found = live.crm.customers.get(email)
    assert found
    return str(found.id)


def test_a_file_holds_everybody_who_matches(people: Live) -> None:
    """The same query as the admin's, without a cap, in the order asked for."""
    query = "?status@shop=paid&sort=-name&cols=p.mrr&back=x&limit=5"
    answer = people.ask("GET", f"/v1/customers.csv{query}", key="read")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert "attachment" in answer.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert {each["project"] for each in rows} == {"newsletter", "shop"}
    emails = list(dict.fromkeys(each["email"] for each in rows))
    assert emails == [f"p{n:03}@example.com" for n in range(119, 0, -2)]
    lines = people.ask("GET", f"/v1/customers.jsonl{query}", key="read").text.splitlines()
    assert [json.loads(line)["email"] for line in lines] == emails


@pytest.mark.parametrize("path", FILES)
@pytest.mark.parametrize("query", ["q=%28", "nope=1", "project=nope", "sort=what", "sort=a&sort=b"])
def test_a_wrong_question_for_a_file_is_told_before_it_begins(
    people: Live, path: str, query: str
) -> None:
    answer = people.ask("GET", f"{path}?{query}", key="read")
    assert answer.status == 422
    assert answer.error["field"]


def test_one_person_and_what_happened_to_them(people: Live) -> None:
    path = f"/v1/customers/{ident(people, 'p001@example.com')}"
    person = people.ask("GET", path, key="read").json
    assert person["email"] == "p001@example.com"
    assert [each["project"] for each in person["memberships"]] == ["newsletter", "shop"]
    history = people.ask("GET", f"{path}/history", key="read").json["history"]
    assert {each["project"] for each in history} == {"newsletter", "shop"}
    assert {"old", "new"} >= history[0]["changes"]["params.mrr"].keys()


def test_a_history_comes_page_by_page(people: Live) -> None:
    path = f"/v1/customers/{ident(people, 'p001@example.com')}/history"
    for number in range(3):
        people.crm.project("shop").identify("p001@example.com", params={"n": number})
    whole = people.ask("GET", path, key="read").json
    assert whole["next"] is None
    found, after = [], ""
    while True:
        page = people.ask("GET", f"{path}?limit=2{after}", key="read").json
        assert 1 <= len(page["history"]) <= 2
        found += page["history"]
        if page["next"] is None:
            break
        after = f"&after={page['next']}"
    assert found == whole["history"]
    only = people.ask("GET", f"{path}?project=shop", key="read").json["history"]
    assert only == [each for each in found if each["project"] == "shop"]
    for wrong in ("limit=0", "limit=x", "after=x", "project=nope", "sort=name", "limit=1&limit=2"):
        assert people.ask("GET", f"{path}?{wrong}", key="read").status == 422


def test_deleting_and_forgetting(people: Live) -> None:
    path = f"/v1/customers/{ident(people, 'p001@example.com')}"
    for query in ("?forget=maybe", "?forgot=true", "?forget=true&forget=true"):
        assert people.ask("DELETE", path + query, key="admin").status == 422
    answer = people.ask("DELETE", path + "?forget=true", key="admin")
    assert (answer.status, answer.body) == (204, b"")
    assert people.ask("DELETE", path, key="admin").status == 404
    refused = people.post("/v1/identify", {"email": "p001@example.com"})
    assert (refused.status, refused.error["code"]) == (422, "forgotten")


def test_a_merge_is_previewed_done_and_undone(people: Live) -> None:
    keep = ident(people, "p001@example.com")
    body = {"keep": keep, "absorb": "P002@example.com"}
    preview = people.post("/v1/merges/preview", body, key="read").json
    assert preview["keep"]["id"] == preview["result"]["id"] == keep
    assert preview["conflicts"][0]["field"] == "name"
    assert [each["of"] for each in preview["conflicts"][0]["values"]] == [
        "p001@example.com",
        "p002@example.com",
    ]
    assert people.crm.customers.count() == 120
    merged = people.post("/v1/merges", body, key="admin")
    assert (merged.status, merged.json["customer_id"]) == (201, keep)
    person = people.ask("GET", f"/v1/customers/{keep}", key="read").json
    assert person["aliases"] == ["p002@example.com"]
    assert people.post("/v1/merges", body, key="admin").status == 409
    undo = f"/v1/merges/{merged.json['id']}/undo"
    assert people.ask("POST", undo, key="admin").status == 204
    assert people.ask("POST", undo, key="admin").status == 409
    assert people.crm.customers.count() == 120


def test_several_are_merged_with_chosen_values_and_parted_at_once(people: Live) -> None:
    absorb = ["p002@example.com", ident(people, "p003@example.com")]
    chosen = {"project": None, "field": "name", "of": "p002@example.com"}
    body = {"keep": "p001@example.com", "absorb": absorb, "choices": [chosen]}
    name = people.crm.customers.get("p002@example.com").name  # type: ignore[union-attr]
    before = [people.crm.customers.get(f"p00{number}@example.com") for number in (1, 2, 3)]
    preview = people.post("/v1/merges/preview", body, key="read").json
    assert (len(preview["absorbed"]), preview["result"]["name"]) == (2, name)
    merged = people.post("/v1/merges", body, key="admin")
    found = people.ask("GET", f"/v1/customers/{merged.json['customer_id']}", key="read").json
    assert found == preview["result"]
    assert (found["name"], len(found["aliases"])) == (name, 2)
    assert people.ask("POST", f"/v1/merges/{merged.json['id']}/undo", key="admin").status == 204
    assert before == [people.crm.customers.get(f"p00{number}@example.com") for number in (1, 2, 3)]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"keep": "p001@example.com", "absorb": []}, "absorb"),
        ({"keep": "p001@example.com", "absorb": ["p002@example.com"], "choices": {}}, "choices"),
        (
            {
                "keep": "p001@example.com",
                "absorb": ["p002@example.com"],
                "choices": [{"project": None, "field": "name"}],
            },
            "of",
        ),
        (
            {
                "keep": "p001@example.com",
                "absorb": ["p002@example.com"],
                "choices": [{"project": [], "field": "name", "of": "p001@example.com"}],
            },
            "choices",
        ),
        ({"keep": "p001@example.com"}, "absorb"),
        ({"keep": 1, "absorb": "p001@example.com"}, "keep"),
        ({"keep": "a@b@c", "absorb": "p001@example.com"}, "keep"),
        ({"keep": "p001@example.com", "absorb": "p002@example.com", "force": True}, "force"),
        ([], None),
    ],
)
def test_merges_are_checked(people: Live, body: Any, field: str | None) -> None:
    answer = people.post("/v1/merges", body, key="admin")
    assert (answer.status, answer.error["field"]) == (422, field)


def test_products_over_http(people: Live) -> None:
    made = people.post("/v1/projects", {"slug": "blog", "name": "My blog"}, key="admin")
    assert (made.status, made.json["name"]) == (201, "My blog")
    assert people.post("/v1/projects", {"slug": "blog"}, key="admin").status == 409
    assert people.post("/v1/projects", {"slug": "Blog!"}, key="admin").status == 422
    assert people.post("/v1/projects", {"slug": 5}, key="admin").status == 422
    changed = people.ask("PATCH", "/v1/projects/blog", {"slug": "log", "hue": "teal"}, key="admin")
    assert (changed.json["slug"], changed.json["hue"]) == ("log", "teal")
    listed = people.ask("GET", "/v1/projects", key="read").json["projects"]
    assert [each["slug"] for each in listed] == ["newsletter", "shop", "log"]
    assert people.ask("DELETE", "/v1/projects/log", key="admin").status == 204
    assert people.ask("GET", "/v1/projects/log", key="read").status == 404


def test_products_are_put_in_order_over_http(people: Live) -> None:
    def order() -> list[str]:
        found = people.ask("GET", "/v1/projects", key="read").json["projects"]
        return [each["slug"] for each in found]

    first, *others = order()
    last = len(others)
    body = {"place": last, "name": "Last"}
    changed = people.ask("PATCH", f"/v1/projects/{first}", body, key="admin")
    assert (changed.status, changed.json["name"]) == (200, "Last")
    assert order() == [*others, first]
    for wrong in (-1, "0", None, True, 0.5, 2**40):
        answer = people.ask("PATCH", f"/v1/projects/{first}", {"place": wrong}, key="admin")
        assert (answer.status, answer.json["error"]["field"]) == (422, "place")
    assert order() == [*others, first]


def test_a4_keys_are_replaced_without_a_gap(people: Live) -> None:
    """A4: two live keys of a product, and never a third; the new one works before the old ends."""
    second = people.post("/v1/keys", {"project": "shop", "label": "new"}, key="admin")
    assert second.status == 201
    assert second.json["key"].startswith("tcrm_proj_")
    third = people.post("/v1/keys", {"project": "shop"}, key="admin")
    assert (third.status, third.error["code"]) == (409, "conflict")
    body = {"email": "x@example.com"}
    assert people.post("/v1/identify", body, key=second.json["key"]).status == 200
    listed = people.ask("GET", "/v1/keys", key="admin")
    assert "tcrm_proj_" not in listed.text.replace("tcrm_proj_…", "").replace(
        "tcrm_proj_\\u2026", ""
    )
    old = next(
        each
        for each in listed.json["keys"]
        if each["project"] == "shop" and each["label"] == "shop"
    )
    assert people.ask("DELETE", f"/v1/keys/{old['id']}", key="admin").status == 204
    assert people.post("/v1/keys", {"project": "shop"}, key="admin").status == 201


@pytest.mark.parametrize(
    "body", [{}, {"project": "shop", "scope": "read"}, {"scope": "all"}, {"project": 1}]
)
def test_keys_are_checked(people: Live, body: Any) -> None:
    assert people.post("/v1/keys", body, key="admin").status == 422


@pytest.mark.parametrize("path", ["/v1/identify", "/v1/ping", "/v1/events"])
def test_a_body_may_name_its_product(people: Live, path: str) -> None:
    """A key of another product is told so, before anything is stored."""
    body: Any = {"email": "new@example.com"}
    if path == "/v1/events":
        body = {"events": [{"type": "identify", **body}]}
    wrong = people.post(path, {**body, "project": "newsletter"}, key="shop")
    assert (wrong.status, wrong.error["code"], wrong.error["field"]) == (
        403, "wrong_project", "project",
    )  # fmt: skip
    assert people.crm.customers.get("new@example.com") is None
    assert people.post(path, {**body, "project": "shop"}, key="shop").status == 200
    assert people.post(path, {**body, "project": 1}, key="shop").status == 422


def test_a9_no_page_of_another_site_may_call(live: Live) -> None:
    """A9: a preflight is refused and no answer allows another origin."""
    asked = {
        "Origin": "https://evil.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization",
    }
    preflight = live.ask("OPTIONS", "/v1/identify", headers=asked)
    assert preflight.status == 405
    answer = live.post("/v1/ping", {"email": "a@example.com"}, headers=asked)
    for each in (preflight, answer):
        assert not [name for name in each.headers if name.startswith("access-control")]

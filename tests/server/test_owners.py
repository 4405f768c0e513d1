"""Login, sessions and accounts: D5 to D9, F12 as far as the server."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from tests.server.live import Answer, Live, serving
from tinycrm_core.client import TinyCRM
from tinycrm_core.times import now
from tinycrm_server.app import create_app
from tinycrm_server.owners import passwords
from tinycrm_server.owners.owners import Owners
from tinycrm_server.owners.sessions import HOUR, Sessions
from tinycrm_server.owners.setup import Setup
from tinycrm_server.owners.tables import Place
from tinycrm_server.pages.setup import SetupDoor
from tinycrm_server.rates import Rates
from tinycrm_server.running import application
from tinycrm_server.settings import Settings

ME, PASSWORD = "me@example.com", "correct horse battery"


@dataclass
class Browser:
    """Sends forms as a browser would, and keeps the cookie."""

    live: Live
    prefix: str = ""
    cookie: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    def get(self, path: str) -> Answer:
        return self._ask("GET", path, None)

    def post(self, path: str, **fields: str) -> Answer:
        return self._ask("POST", path, urlencode(fields).encode())

    def _ask(self, method: str, path: str, body: bytes | None) -> Answer:
        headers = {"Sec-Fetch-Site": "same-origin", **self.headers}
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        if self.cookie:
            headers["Cookie"] = self.cookie
        answer = self.live.ask(method, path, body, headers=headers)
        if "set-cookie" in answer.headers:
            self.cookie = answer.headers["set-cookie"].partition(";")[0]
        return answer

    def log_in(self, email: str = ME, password: str = PASSWORD, **more: str) -> Answer:
        return self.post("/login", email=email, password=password, **more)


@dataclass
class Owned:
    """A server with owners, and the parts it is made of."""

    live: Live
    owners: Owners
    setup: Setup
    place: Place

    def browser(self, **options: Any) -> Browser:
        return Browser(self.live, **options)


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Owned]:
    """A server without an owner."""
    where = {"memory": "memory://", "sqlite": f"sqlite:///{tmp_path}/crm.db"}.get(request.param)
    with TinyCRM(where or request.getfixturevalue("fresh_postgres_url")) as crm:
        place = Place(crm.store)
        rates = Rates({"login": "5/hour"})
        setup, owners = Setup(place), Owners(place)
        door = SetupDoor(crm, setup, owners, Sessions(place), rates)
        with serving(crm, app=create_app(crm, door=door)) as live:
            yield Owned(live, owners, setup, place)


@pytest.fixture
def owned(empty: Owned) -> Owned:
    """A server with an owner of the account default."""
    empty.owners.add(ME, PASSWORD)
    return empty


def test_d5_nobody_gets_in_before_there_is_an_owner(empty: Owned) -> None:
    """D5: no default password; everything leads to the setup, which wants the console's token."""
    browser = empty.browser()
    for path in ("/", "/customers/5", "/login", "/account", "/setup/waiting"):
        answer = browser.get(path)
        assert (answer.status, answer.headers["location"]) == (303, "/setup"), path
    assert "token" in browser.get("/setup").text
    form = {"email": ME, "password": PASSWORD}
    for token in ("", "guess", "é", "x" * 9000):
        answer = browser.post("/setup", token=token, **form)
        assert answer.status == 422
        assert f'value="{ME}"' in answer.text, "what was typed stays"
        assert PASSWORD not in answer.text
    assert empty.owners.list() == []


def test_the_token_makes_one_owner_once(empty: Owned) -> None:
    token = empty.setup.new_token()
    browser = empty.browser()
    short = browser.post("/setup", token=token, email=ME, password="short")
    assert (short.status, "At least 10" in short.text or "at least 10" in short.text) == (422, True)
    wrong = browser.post("/setup", token=token, email="me", password=PASSWORD)
    assert wrong.status == 422
    made = browser.post("/setup", token=f" {token} ", email=ME, password=PASSWORD)
    assert (made.status, made.headers["location"]) == (303, "/setup")
    assert "Which product" in browser.get("/setup").text
    other = empty.browser()
    again = other.post("/setup", token=token, email="other@example.com", password=PASSWORD)
    assert again.headers["location"] == "/login"
    assert [each.email for each in empty.owners.list()] == [ME]


def test_a_login_leads_back_to_where_one_wanted_to_go(owned: Owned) -> None:
    browser = owned.browser()
    outside = browser.get("/?q=status%3Apaid&sort=name")
    assert outside.status == 303
    assert outside.headers["location"] == "/login?next=" + quote("/?q=status%3Apaid&sort=name", "")
    assert browser.get(outside.headers["location"]).status == 200
    answer = browser.log_in(next="/?q=status%3Apaid&sort=name")
    assert (answer.status, answer.headers["location"]) == (303, "/?q=status%3Apaid&sort=name")
    assert browser.get("/").status == 200
    assert browser.get("/login").headers["location"] == "/"


def test_a_form_of_an_ended_session_says_so(owned: Owned) -> None:
    answer = owned.browser().post("/segments", name="x", filter="")
    assert answer.status == 401
    assert "nothing was done" in answer.text


@pytest.mark.parametrize(
    "next",
    [
        "https://evil.example", "//evil.example", "/\\evil.example", "\\\\evil.example",
        "javascript:alert(1)", "/ /evil", "/\t/evil.example", "/\n//evil", "evil", "", "/é",
    ],
)  # fmt: skip
def test_d8_a_login_leads_nowhere_else(next: str, tmp_path: Path) -> None:
    """D8: `next` is a path of this server or nothing."""
    with TinyCRM() as crm:
        place = Place(crm.store)
        owners = Owners(place)
        owners.add(ME, PASSWORD)
        door = SetupDoor(crm, Setup(place), owners, Sessions(place), Rates({}))
        with serving(crm, app=create_app(crm, door=door)) as live:
            answer = Browser(live).log_in(next=next)
            assert (answer.status, answer.headers["location"]) == (303, "/")


def test_d6_a_session_is_new_at_login_and_ends_at_logout(owned: Owned) -> None:
    """D6: no fixation, and what ended is ended on the server."""
    browser = owned.browser(cookie="tinycrm_session=chosen-by-somebody-else")
    answer = browser.log_in()
    first = browser.cookie
    assert "chosen" not in first
    attributes = answer.headers["set-cookie"].lower()
    assert "httponly" in attributes
    assert "samesite=lax" in attributes
    browser.log_in()
    assert browser.cookie != first
    assert owned.browser(cookie=first).get("/").status == 303, "the session before ended"
    second = browser.cookie
    assert browser.post("/logout").headers["location"] == "/login"
    assert owned.browser(cookie=second).get("/").status == 303


def test_d6_a_changed_password_ends_the_other_sessions(owned: Owned) -> None:
    """D6: whoever had the old password is out."""
    one, other = owned.browser(), owned.browser()
    one.log_in()
    other.log_in()
    assert "not your password" in one.post("/account", password="wrong", new="x" * 12).text
    assert one.post("/account", password=PASSWORD, new="short").status == 422
    assert one.post("/account", password=PASSWORD, new="another password").status == 303
    assert one.get("/").status == 200
    assert other.get("/").status == 303
    assert owned.browser().log_in().status == 401
    assert owned.browser().log_in(password="another password").status == 303


def test_d6_everywhere_is_everywhere(owned: Owned) -> None:
    one, other = owned.browser(), owned.browser()
    one.log_in()
    other.log_in()
    one.post("/account", everywhere="yes")
    assert {one.get("/").status, other.get("/").status} == {303}


def test_d6_sessions_end_by_themselves(owned: Owned) -> None:
    """D6: after a while without use, and at the latest a while after the login."""
    moment = now()
    sessions = Sessions(owned.place, idle=2, longest=5, clock=lambda: moment)
    (owner,) = owned.owners.list()
    idle, used = sessions.open(owner), sessions.open(owner)
    for _ in range(4):
        moment += HOUR
        assert sessions.get(used)
    assert sessions.get(idle) is None
    moment += HOUR
    assert sessions.get(used) is None
    table = owned.place.tables.sessions
    sessions.open(owner)
    with owned.place.reading() as connection:
        assert len(connection.execute(table.select()).all()) == 1, "ended ones are removed"


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_d6_the_cookie_is_bound_to_the_host_where_it_can_be(scheme: str) -> None:
    """D6: `__Host-` and Secure behind a trusted proxy that speaks TLS."""
    with TinyCRM() as crm:
        place = Place(crm.store)
        Owners(place).add(ME, PASSWORD)
        app = application_over(crm, place)
        with serving(crm, app=app, proxies="127.0.0.1") as live:
            browser = Browser(live, headers={"X-Forwarded-Proto": scheme})
            cookie = browser.log_in().headers["set-cookie"]
            assert cookie.startswith("__Host-tinycrm=") is (scheme == "https")
            assert ("secure" in cookie.lower()) is (scheme == "https")
            assert "path=/;" in cookie.lower()
            assert browser.get("/").status == 200


def test_d7_unknown_and_wrong_get_the_same_answer(owned: Owned) -> None:
    """D7: word for word, and with as many hashes."""
    wrong = owned.browser().log_in(password="something else")
    unknown = owned.browser().log_in(email="no@example.com")
    nonsense = owned.browser().log_in(email="nonsense")
    assert {each.status for each in (wrong, unknown, nonsense)} == {401}
    texts = {
        each.text.replace(name, "")
        for each, name in ((wrong, ME), (unknown, "no@example.com"), (nonsense, "nonsense"))
    }
    assert len(texts) == 1


def test_d7_a_login_hashes_once_whether_somebody_is_there_or_not(
    owned: Owned, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D7: the same work for an address nobody has, counted instead of timed."""
    verified: list[str] = []

    class Counting:
        def verify(self, stored: str, password: bytes) -> bool:
            verified.append(stored)
            return hasher.verify(stored, password)

        check_needs_rehash = staticmethod(passwords._HASHER.check_needs_rehash)
        hash = staticmethod(passwords._HASHER.hash)

    hasher = passwords._HASHER
    monkeypatch.setattr(passwords, "_HASHER", Counting())
    for email in (ME, "no@example.com", "nonsense"):
        verified.clear()
        assert owned.owners.log_in(email, "something else") is None
        assert len(verified) == 1
        parts = verified[0].split("$")
        assert parts[1:4] == ["argon2id", "v=19", "m=19456,t=2,p=1"]


def test_d7_guessing_ends_and_the_owner_is_not_locked_out(owned: Owned) -> None:
    """D7: after five wrong ones from one address, which a header cannot change."""
    for n in range(5):
        guess = owned.browser(headers={"X-Forwarded-For": f"203.0.113.{n}"})
        assert guess.log_in(password="wrong").status == 401
    for n in range(5, 8):
        refused = owned.browser(headers={"X-Forwarded-For": f"203.0.113.{n}"}).log_in()
        assert refused.status == 429, "the right password is not tried either"
        assert int(refused.headers["retry-after"]) > 0
    assert owned.browser().log_in(email="no@example.com").status == 401, "others go on"
    assert owned.owners.log_in(ME, PASSWORD), "from elsewhere"


def test_d9_a_long_password_is_not_hashed(owned: Owned, monkeypatch: pytest.MonkeyPatch) -> None:
    """D9: 64 bytes and more are fine, beyond 1,024 nothing is computed."""
    owned.owners.set_password(ME, "é" * 512)
    assert owned.owners.log_in(ME, "é" * 512)
    monkeypatch.setattr(passwords, "_HASHER", None)
    assert owned.owners.log_in(ME, "é" * 513) is None
    huge = {
        "Sec-Fetch-Site": "same-origin",
        "Content-Type": "application/x-www-form-urlencoded",
        "Content-Length": "10000000",
    }
    assert owned.live.ask("POST", "/login", b"password=", headers=huge).status == 413


@pytest.mark.parametrize("path", ["/login", "/logout", "/account", "/setup", "/setup/product"])
def test_d3_forms_of_other_sites_are_refused(owned: Owned, path: str) -> None:
    """D3: also the login, whose forgery would log somebody into a foreign account."""
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}, {}):
        headers = {**headers, "Content-Type": "application/x-www-form-urlencoded"}
        fields = urlencode({"email": ME, "password": PASSWORD}).encode()
        assert owned.live.ask("POST", path, fields, headers=headers).status == 403


def test_an_owner_sees_the_own_accounts_only(owned: Owned) -> None:
    """A1: two tenants, one server; switching is possible between one's own."""
    owned.owners.add("acme@example.com", PASSWORD, "acme")
    owned.live.crm.project("shop").identify("ours@example.com")
    owned.live.crm.account("acme").project("shop").identify("theirs@example.com")
    browser = owned.browser()
    browser.log_in("acme@example.com")
    text = browser.get("/").text
    assert "theirs@example.com" in text
    assert "ours@example.com" not in text
    browser.post("/account", account="default")
    assert "ours@example.com" not in browser.get("/").text
    owned.owners.add("acme@example.com", "ignored, has one", "default")
    browser.post("/account", account="default")
    text = browser.get("/").text
    assert "ours@example.com" in text
    assert "theirs@example.com" not in text


def test_who_is_removed_is_out_at_once(owned: Owned) -> None:
    owned.owners.add(ME, PASSWORD, "acme")
    browser = owned.browser()
    browser.log_in()
    owned.owners.remove(ME, "default")
    assert browser.get("/").status == 303
    assert owned.owners.list()[0].accounts == ("acme",)
    owned.owners.remove(ME)
    assert owned.owners.list() == []
    assert owned.owners.log_in(ME, PASSWORD) is None


def test_the_database_holds_neither_passwords_nor_sessions(tmp_path: Path) -> None:
    """D6, A2: a dump opens nothing."""
    with TinyCRM(f"sqlite:///{tmp_path}/crm.db") as crm:
        place = Place(crm.store)
        owners, setup = Owners(place), Setup(place)
        token = setup.new_token()
        owners.add(ME, PASSWORD)
        session = Sessions(place).open(owners.list()[0])
        assert Sessions(place).get(session)
        dump = "\n".join(sqlite3.connect(tmp_path / "crm.db").iterdump())
    assert ME in dump
    for secret in (token, session, PASSWORD):
        assert secret not in dump


def test_several_processes_may_start_together(fresh_postgres_url: str) -> None:
    """M1 for the server's tables: whoever comes second finds them."""
    with TinyCRM(fresh_postgres_url) as one, TinyCRM(fresh_postgres_url) as two:
        places = Place(one.store), Place(two.store)
        assert [Owners(each).any() for each in places] == [False, False]
        for each in places:
            each.migrate()


def test_under_a_prefix_everything_stays_below_it() -> None:
    with TinyCRM() as crm:
        place = Place(crm.store)
        Owners(place).add(ME, PASSWORD)
        app = application_over(crm, place)
        with serving(crm, root_path="/crm", app=app) as live:
            browser = Browser(live)
            assert browser.get("/?q=x").headers["location"] == "/crm/login?next=%2F%3Fq%3Dx"
            answer = browser.log_in(next="/?q=x")
            assert answer.headers["location"] == "/crm/?q=x"
            assert "path=/crm/" in answer.headers["set-cookie"].lower()


def application_over(crm: TinyCRM, place: Place) -> Any:
    door = SetupDoor(crm, Setup(place), Owners(place), Sessions(place), Rates({}))
    return create_app(crm, door=door)


def test_the_application_of_the_server_has_all_of_it() -> None:
    with TinyCRM() as crm, serving(crm, app=application(crm, Settings())) as live:
        assert Browser(live).get("/").headers["location"] == "/setup"
        assert live.ask("GET", "/readyz").status == 200

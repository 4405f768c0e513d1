"""What owners, tokens and rejected calls do at their edges, on one database."""

from __future__ import annotations

import argon2
import pytest

from tests.server.test_owners import ME, PASSWORD, Owned, empty, owned
from tinycrm_core.times import now
from tinycrm_server.owners import passwords
from tinycrm_server.owners import setup as setups
from tinycrm_server.owners.setup import TOKEN_SECONDS

__all__ = ["empty", "owned"]  # fixtures
pytestmark = pytest.mark.parametrize("empty", ["memory"], indirect=True)


def test_d7_the_password_of_an_open_session_cannot_be_guessed(owned: Owned) -> None:
    """D7: after five wrong ones the right one is not tried either, at the login nor here."""
    browser = owned.browser()
    browser.log_in()
    for _ in range(5):
        assert "not your password" in browser.post("/account", password="wrong", new=PASSWORD).text
    refused = browser.post("/account", password=PASSWORD, new="another password")
    assert refused.status == 422
    assert "not your password" not in refused.text
    assert owned.browser().log_in().status == 429
    assert owned.owners.log_in(ME, PASSWORD), "nothing was changed"


def test_a_new_password_leaves_one_in_the_account_one_looks_at(owned: Owned) -> None:
    owned.owners.add(ME, PASSWORD, "acme")
    owned.live.crm.account("acme").project("shop").identify("theirs@example.com")
    browser = owned.browser()
    browser.log_in()
    browser.post("/account", account="acme")
    assert "theirs@example.com" in browser.get("/").text
    done = browser.post("/account", password=PASSWORD, new="another password")
    assert (done.status, done.headers["location"]) == (303, "/account")
    assert "theirs@example.com" in browser.get("/").text


def test_a_foreign_account_is_not_entered(owned: Owned) -> None:
    """A1: asking for it is a form that says nothing, whoever it belongs to."""
    owned.owners.add("acme@example.com", PASSWORD, "acme")
    browser = owned.browser()
    browser.log_in()
    answers = [browser.post("/account", account=name) for name in ("acme", "nobodys")]
    assert {each.status for each in answers} == {422}
    assert browser.get("/").status == 200


def test_one_token_spends_all_and_none_lasts_longer_than_a_day(
    empty: Owned, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = empty.setup.new_token()
    later = now() + TOKEN_SECONDS * 1_000_000
    monkeypatch.setattr(setups, "now", lambda: later)
    assert not empty.setup.is_open(old)
    assert not empty.setup.spend(old)
    one, other = empty.setup.new_token(), empty.setup.new_token()
    assert empty.setup.spend(one)
    assert not empty.setup.is_open(one)
    assert not empty.setup.is_open(other)


def test_the_setup_uses_its_token_up(empty: Owned) -> None:
    token = empty.setup.new_token()
    empty.browser().post("/setup", token=token, email=ME, password=PASSWORD)
    assert [each.email for each in empty.owners.list()] == [ME]
    assert not empty.setup.is_open(token)


def test_the_setup_shows_the_product_that_is_asked_for(owned: Owned) -> None:
    for slug in ("newsletter", "shop"):
        owned.live.crm.projects.add(slug)
    browser = owned.browser()
    browser.log_in()
    for slug, other in (("newsletter", "shop"), ("shop", "newsletter")):
        text = browser.get(f"/setup?project={slug}").text
        assert f"project={slug}" in text
        assert f"project={other}" not in text


def test_calls_turned_away_are_kept_without_keys_and_not_too_often(
    owned: Owned, monkeypatch: pytest.MonkeyPatch
) -> None:
    moment = now()
    monkeypatch.setattr(setups, "now", lambda: moment)
    secret = f"tcrm_proj_{'a' * 33}"
    owned.setup.keep_rejected(None, "POST /v1/identify", 401, "key", f"no such key {secret}")
    moment += 999_999
    owned.setup.keep_rejected(None, "POST /v1/identify", 422, "email", "second")
    kept = owned.setup.last_rejected("default")
    assert kept is not None
    assert kept.status == 401
    assert secret not in kept.message
    moment += 1
    owned.setup.keep_rejected(None, "POST /v1/identify", 422, "email", "third")
    kept = owned.setup.last_rejected("default")
    assert kept is not None
    assert kept.message == "third"


def test_an_old_hash_is_replaced_at_the_next_login(
    owned: Owned, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as before:
        cheap = argon2.PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1)
        before.setattr(passwords, "_HASHER", cheap)
        owned.owners.set_password(ME, PASSWORD)
    assert passwords.is_outdated(owned.owners._find(ME) or "")
    browser = owned.browser()
    browser.log_in()
    assert not passwords.is_outdated(owned.owners._find(ME) or "")
    assert browser.get("/").status == 200, "which ends no session"


def test_whoever_is_removed_leaves_nothing(owned: Owned) -> None:
    browser = owned.browser()
    browser.log_in()
    owned.owners.remove(ME)
    tables = owned.place.tables
    with owned.place.reading() as connection:
        for table in (tables.owners, tables.account_owners, tables.sessions):
            assert connection.execute(table.select()).all() == [], table.name
    assert browser.get("/").headers["location"] == "/setup"


@pytest.mark.parametrize("path", ["/login", "/account", "/setup", "/setup/product"])
def test_only_forms_are_read_as_forms(owned: Owned, path: str) -> None:
    headers = {"Sec-Fetch-Site": "same-origin", "Content-Type": "application/json"}
    assert owned.live.ask("POST", path, b"email=a&password=b", headers=headers).status == 415

"""What watches over a server, and what it says when something breaks."""

from __future__ import annotations

import json
import logging
import re
import sqlite3
from pathlib import Path

import pytest

from tests.server.live import serving
from tinycrm_core.client import TinyCRM
from tinycrm_core.keys import new_key
from tinycrm_server.commands.database import copy_sqlite
from tinycrm_server.logs import set_up_logs
from tinycrm_server.settings import Settings, read_settings


def test_it_is_alive_without_its_database_and_ready_with_it(tmp_path: Path) -> None:
    path = tmp_path / "crm.db"
    with TinyCRM(f"sqlite:///{path}") as crm, serving(crm) as live:
        assert live.ask("GET", "/readyz").json == {"status": "ok"}
        with sqlite3.connect(path) as other:
            other.execute("alter table tinycrm_accounts rename to elsewhere")
        broken = live.ask("GET", "/readyz")
        assert (broken.status, broken.headers["retry-after"]) == (503, "1")
        assert "tinycrm_" not in broken.text
        assert live.ask("GET", "/healthz").status == 200


def test_metrics_are_off_and_then_for_whoever_has_the_token() -> None:
    with TinyCRM() as crm, serving(crm, settings=Settings()) as live:
        assert live.ask("GET", "/metrics").status in (401, 404)
    settings = read_settings(metrics_token="only for the scraper")
    assert "scraper" not in repr(settings)
    with TinyCRM() as crm, serving(crm, settings=settings) as live:
        # Asked twice, as a call is noted after it was answered.
        live.ask("GET", "/v1/customers")
        live.ask("GET", "/v1/customers")
        for wrong in (None, "", "only for the scrape", "only for the scraper2"):
            assert live.ask("GET", "/metrics", key=wrong).status == 404
        answer = live.ask("GET", "/metrics", key="only for the scraper")
        assert answer.status == 200
        wanted = (
            'tinycrm_http_request_seconds_count{method="GET",route="/v1/customers",status="401"}'
        )
        assert f"{wanted} 1.0" in answer.text or f"{wanted} 2.0" in answer.text


def test_metrics_tell_the_pages_apart_and_name_nobody() -> None:
    settings = read_settings(metrics_token="scraper")
    with TinyCRM(project="shop") as crm, serving(crm, settings=settings) as live:
        person = crm.identify("ada@example.com").customer_id
        inside = live.session()
        for path in ("/overlap", f"/customers/{person}", "/no/such/page", "/healthz"):
            live.ask("GET", path, headers=inside)
        text = live.ask("GET", "/metrics", key="scraper").text
    assert {"/overlap", "/customers/{ident}"} < set(re.findall('route="(.*?)"', text))
    assert str(person) not in text


def test_what_a_caller_makes_up_stays_out_of_log_and_metrics(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """R5, A5: an id that could be anything is replaced, and so is a method that is none."""
    settings = read_settings(metrics_token="scraper")
    with TinyCRM() as crm, serving(crm, settings=settings) as live:
        kept = live.ask("GET", "/healthz", headers={"X-Request-Id": "abcd-1234"})
        assert kept.headers["x-request-id"] == "abcd-1234"
        for made_up in ("alice@example.com", "short", "x" * 65, "a b c d e f g"):
            answer = live.ask("GET", "/healthz", headers={"X-Request-Id": made_up})
            assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-request-id"])
        with caplog.at_level(logging.INFO, "tinycrm.server.access"):
            for method in ("ALICE", "BO", "get", "X-1"):
                live.ask(method, "/healthz")
        # A call is noted after it was answered: the last one perhaps not yet.
        logged = {each.method for each in caplog.records if hasattr(each, "method")}
        assert "?" in logged <= {"GET", "?"}
        text = live.ask("GET", "/metrics", key="scraper").text
        assert "?" in set(re.findall('method="(.*?)"', text)) <= {"GET", "?"}


def test_a5_no_key_reaches_the_log(capfd: pytest.CaptureFixture[str]) -> None:
    """A5: whatever is logged, in a message, its arguments or a traceback."""
    secret = new_key("proj").secret
    root = logging.getLogger()
    before = root.handlers[:], root.level
    set_up_logs(Settings())
    try:
        logging.getLogger("a.library").warning("sent %s", secret)
        try:
            raise ValueError(secret)
        except ValueError:
            logging.getLogger("another").exception("broken")
    finally:
        root.handlers[:], root.level = before
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert [each["level"] for each in lines] == ["warning", "error"]
    assert "ValueError" in lines[1]["exception"]
    assert secret not in json.dumps(lines)
    assert secret[10:37] not in json.dumps(lines)


def test_d10_a_mistake_of_ours_is_logged_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """D10: neither path nor message leaves the server; /docs is not there."""
    with TinyCRM() as crm, serving(crm) as live:
        live.keys["read"] = crm.keys.create(scope="read").secret

        def broken(*_: object, **__: object) -> None:
            raise RuntimeError("secret of /srv/app")

        monkeypatch.setattr("tinycrm_core.people.Customers.find", broken)
        with caplog.at_level(logging.ERROR):
            answer = live.ask("GET", "/v1/customers", key="read")
        assert answer.status == 500
        assert answer.error["code"] == "internal"
        assert "secret" not in answer.text
        assert "Traceback" not in answer.text
        for path in ("/docs", "/redoc"):
            assert "swagger" not in live.ask("GET", path).text.lower()


def test_every_setting_is_documented() -> None:
    page = Path(__file__).parents[2] / "docs" / "self-hosting.md"
    text = page.read_text("utf-8")
    for name in Settings.model_fields:
        assert f"`TINYCRM_{name.upper()}`" in text, name


def test_a_backup_holds_what_was_there_while_others_write(tmp_path: Path) -> None:
    """Whole people or none of them: a copy that opens, checks out and can be used."""
    source, target = tmp_path / "crm.db", tmp_path / "copy.db"
    with TinyCRM(f"sqlite:///{source}") as crm:
        shop = crm.project("shop")
        for n in range(50):
            shop.identify(f"p{n}@example.com", params={"n": n})
        copy_sqlite(source, target)
        shop.identify("later@example.com")
    assert target.stat().st_mode & 0o077 == 0
    assert [each.name for each in tmp_path.iterdir() if "copy" in each.name] == ["copy.db"]
    with TinyCRM(f"sqlite:///{target}") as restored:
        assert restored.customers.count() == 50
        assert restored.customers.count("p.n:7") == 1
        assert restored.check() == []
        restored.project("shop").identify("new@example.com")

"""F1: whatever fails on our side, the application answers as it does without us."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import flask_security
import pytest

from tests.integrations.customers import BrokenStore, Panic
from tests.integrations.flask.forms import change_email, log_in, sign_up
from tests.integrations.flask.live import serving, visitor
from tests.integrations.flask.products import login_product, security_product
from tinycrm_core.client import TinyCRM as Client
from tinycrm_integrations.flask import TinyCRM


class BrokenQueue:
    """A client in the background that raises on every call."""

    def __getattr__(self, name: str) -> Any:
        raise Panic(name)


def story(app: Any) -> list[tuple[int, str]]:
    """Somebody signs up, looks around, changes the address, leaves and comes back."""
    app.security._mail_util.sent = []
    answers = []
    with serving(app) as url:
        with visitor(url) as client:
            answers.append(sign_up(client, "ada@example.com"))
            answers += [client.get("/me"), client.get("/"), client.get("/missing")]
            answers.append(change_email(client, app.security._mail_util.sent, "ada@b.example"))
        with visitor(url) as client:
            answers.append(log_in(client, "ada@b.example"))
            answers.append(client.get("/me"))
    return [
        (each.status_code, each.headers.get("location", ""), each.headers.get("vary"), each.text)
        for each in answers
    ]


@pytest.mark.parametrize("broken", ["store", "queue", "mapping", "reporter"])
def test_f1_the_host_answers_alike(
    tmp_path: Path, broken: str, lines: Callable[[], list[str]]
) -> None:
    def mapping(user: Any) -> None:
        raise Panic("mapping")

    answers = []
    for side in ("alone", broken):
        (tmp_path / side).mkdir()
        app = security_product(tmp_path / side)
        if side != "alone":
            crm = Client.over(BrokenStore(), project="notes")  # type: ignore[arg-type]
            TinyCRM(app, crm=crm, user=mapping if broken == "mapping" else None)
            queue = crm.in_background().queue
            reporter = app.extensions["tinycrm"].reporter
            if broken == "queue":
                reporter.crm.queue = BrokenQueue()
            if broken == "reporter":
                reporter.logged_in = reporter.signed_up = reporter.visited = mapping
        answers.append(story(app))
    crm.in_background().queue = queue
    queue.close(0)
    assert answers[0] == answers[1]
    assert [status for status, *_ in answers[1]] == [302, 200, 200, 404, 302, 302, 200]
    if broken != "store":  # which fails in the background, where the queue says so
        failures = reporter.guard.failures
        assert failures
        assert len(lines()) <= len(failures), "one line a minute for each hook"
    assert not [each for each in lines() if "ada@" in each]


@pytest.mark.parametrize("end", [KeyboardInterrupt, SystemExit])
def test_f1_what_ends_the_process_is_not_held_up(tmp_path: Path, end: type[BaseException]) -> None:
    def mapping(user: Any) -> None:
        raise end

    app = login_product(tmp_path)
    TinyCRM(app, crm=Client("memory://", project="notes"), user=mapping)
    with pytest.raises(end):
        app.test_client().post("/sign-up", data={"email": "ada@example.com"})


def test_f1_a_database_that_is_not_there_is_not_waited_for(tmp_path: Path) -> None:
    app = login_product(
        tmp_path,
        TINYCRM_DATABASE="postgresql+psycopg://nobody@127.0.0.1:9/nothing",
        TINYCRM_PROJECT="notes",
    )
    TinyCRM(app)
    answer = app.test_client().post("/sign-up", data={"email": "ada@example.com"})
    assert answer.status_code == 201
    crm = app.extensions["tinycrm"].crm
    assert crm.stats().queued == 1
    crm.close()


class Hostile:
    """A user whose every attribute raises, as a detached model's do."""

    def __getattr__(self, name: str) -> Any:
        raise Panic(name)


@pytest.mark.parametrize(
    "signal", ["user_registered", "user_confirmed", "change_email_confirmed", "user_authenticated"]
)
@pytest.mark.parametrize("waits", [False, True])
def test_f1_a_user_that_cannot_be_read_stops_no_signal(
    tmp_path: Path, signal: str, waits: bool, lines: Callable[[], list[str]]
) -> None:
    app = login_product(tmp_path, TINYCRM_SKIP_UNVERIFIED=waits)
    TinyCRM(app, crm=Client("memory://", project="notes"))
    arrived = []
    sent = getattr(flask_security, signal)
    with app.app_context():
        sent.connect(lambda *_, **__: arrived.append(1), sender=app, weak=False)
        sent.send(app, user=Hostile(), old_email="ada@example.com")
        sent.send(app, old_email=None, user=None)
        sent.send(app)
    assert len(arrived) == 3
    assert len(lines()) == 1

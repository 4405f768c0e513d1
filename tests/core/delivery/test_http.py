"""HTTP with the standard library: one host, one deadline, and a key that shows nowhere."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
import traceback
from typing import Any

import pytest

from tests.core.delivery.test_calls import transport_to
from tests.delivery.faults import (
    KEY,
    accepted,
    proxied,
    refused,
    refusing,
    scripted,
    silent,
    swallowing,
)
from tinycrm_core import (
    Identify,
    InvalidEmail,
    InvalidInput,
    InvalidKey,
    NotSupported,
    Ping,
    Result,
    TinyCRM,
    TinyCRMError,
    Undelivered,
)
from tinycrm_core.keys import new_key
from tinycrm_core.remote import find_server


def test_the_address_is_said_in_three_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TINYCRM_URL", "https://crm.example.com/base/")
    for crm in (
        TinyCRM(f"https://{KEY}@crm.example.com/base"),
        TinyCRM(api_key=KEY, url="https://crm.example.com:443/base"),
        TinyCRM(KEY),
        TinyCRM(api_key=KEY),
    ):
        assert repr(crm) == "<TinyCRM https://crm.example.com/base>"
        assert crm.queue is not None
        crm.close()
    assert TinyCRM(KEY, background=False).queue is None


@pytest.mark.parametrize(
    ("where", "why"),
    [
        ("https://crm.example.com", "key is missing"),
        ("https://KEYx@crm.example.com", "43 characters"),
        ("https://CUT_@crm.example.com", "other than ASCII letters"),
        ("https://ACCOUNT@crm.example.com", "does not report"),
        ("https://user:KEY@crm.example.com", "key is missing"),
        ("https://KEY@crm.example.com/?a=1", "query"),
        ("https://KEY@crm.example.com/#a", "fragment"),
        ("https://KEY@crm.example.com:port", "expected https"),
        ("https://KEY@", "expected https"),
        ("http://KEY@crm.example.com", "in the clear"),
        ("http://KEY@10.0.0.1", "in the clear"),
        ("http://KEY@127.0.0.1.example.com", "in the clear"),
        ("http://KEY@localhost.example.com", "in the clear"),
        ("http://KEY@[::2]", "in the clear"),
        ("KEY", "TINYCRM_URL"),
    ],
)
def test_a_wrong_address_is_refused_at_once_and_without_the_key(
    where: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TINYCRM_URL", raising=False)
    for word, key in (("KEY", KEY), ("CUT", KEY[:-1]), ("ACCOUNT", new_key("acct").secret)):
        where = where.replace(word, key)
    with pytest.raises((InvalidInput, InvalidKey), match=why) as caught:
        TinyCRM(where)
    assert KEY[10:30] not in str(caught.value)


def test_http_is_for_this_machine_unless_asked_for() -> None:
    for host in ("localhost", "app.localhost", "127.0.0.1", "127.9.9.9", "[::1]"):
        TinyCRM(f"http://{KEY}@{host}:1").close()
    TinyCRM(f"http://{KEY}@crm.internal", allow_http=True).close()
    with pytest.raises(InvalidInput, match="either a database"):
        TinyCRM("memory://", api_key=KEY, url="https://crm.example.com")


def test_a_client_that_reports_cannot_read_and_says_why() -> None:
    crm = TinyCRM(f"https://{KEY}@crm.example.com")
    for read in (
        lambda: crm.customers.find(),
        lambda: crm.customers.get("ada@example.com"),
        lambda: crm.customers.delete("ada@example.com"),
        lambda: crm.projects.list(),
        lambda: crm.keys.list(),
        lambda: crm.segments.list(),
        lambda: crm.account("acme"),
        lambda: crm.migrate(),
        lambda: crm.check(),
        lambda: crm.joined(None),  # type: ignore[arg-type]
        lambda: crm.bound.preview([Ping("ada@example.com")]),
    ):
        with pytest.raises(NotSupported) as caught:
            read()
        assert len(str(caught.value)) > 20
    crm.close()


def test_a_client_without_a_queue_waits_for_its_answers() -> None:
    def answer(events: list[Any]) -> Any:
        if events[0]["email"] == "gone@example.com":
            body = b'{"results":[{"error":{"code":"forgotten","message":"no","field":"email"}}]}'
            return 200, {}, body
        return accepted(events)

    with scripted(answer) as server, TinyCRM(server.url, background=False, project="shop") as crm:
        result = crm.identify("Ada@example.com", status="paid")
        assert isinstance(result, Result)
        assert (result.action, result.joined) == ("created", True)
        assert crm.ping("ada@example.com") is True
        with pytest.raises(TinyCRMError) as caught:
            crm.identify("gone@example.com")
        assert (caught.value.code, str(caught.value), caught.value.field) == (
            "forgotten",
            "no",
            "email",
        )
        with pytest.raises(InvalidEmail):
            crm.identify("no")
        first = server.seen[0]
        assert (first.path, first.body["project"]) == ("/v1/events", "shop")
        assert first.body["events"][0]["status"] == "paid"
        assert set(first.body) == {"project", "sent_at", "events"}
        answers = crm.bound.send([Identify(f"p{n}@example.com") for n in range(1100)])
        assert len(answers) == 1100
        assert [len(each.emails) for each in server.seen[-3:]] == [500, 500, 100]


def test_connections_are_kept_and_opened_again() -> None:
    with scripted() as server:
        transport = transport_to(server.port)
        for _ in range(5):
            transport.send("shop", [Ping("ada@example.com")])
        assert len({each.peer for each in server.seen}) == 1
        (kept,) = transport._idle[os.getpid()]
        assert kept.sock is not None
        kept.sock.shutdown(socket.SHUT_RDWR)  # the other side closed it meanwhile
        transport.send("shop", [Ping("ada@example.com")])
        assert len({each.peer for each in server.seen}) == 2
        transport.close()
        transport.send("shop", [Ping("ada@example.com")])
        assert len({each.peer for each in server.seen}) == 3
        transport.close()


def test_threads_share_a_transport_but_no_exchange() -> None:
    with scripted() as server:
        transport = transport_to(server.port)
        wrong: list[Any] = []

        def work(number: int) -> None:
            for count in range(30):
                answers = transport.send("shop", [Ping("a@example.com")] * (number * 30 + count))
                if len(answers) != number * 30 + count:
                    wrong.append(answers)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong
        transport.close()


@pytest.mark.parametrize("kind", ["silent", "swallowing", "drip", "hole"])
def test_a_request_ends_at_its_deadline_however_slow_the_other_side(kind: str) -> None:
    with silent() as quiet, swallowing() as full, scripted() as good, proxied(good.port) as proxy:
        proxy.drip, proxy.delay, proxy.hole = kind == "drip", 0.2, kind == "hole"
        port = {"silent": quiet, "swallowing": full}.get(kind, proxy.port)
        transport = transport_to(port)
        transport.timeout = 0.7
        start = time.monotonic()
        with pytest.raises(Undelivered, match="timed out") as caught:
            transport.send("shop", [Ping("ada@example.com")])
        assert caught.value.later
        assert time.monotonic() - start < 7
        transport.close()


@pytest.mark.parametrize("reset", [True, False])
def test_q11_a_connection_cut_before_the_answer_is_a_try_that_may_be_repeated(reset: bool) -> None:
    with scripted() as good, proxied(good.port) as proxy:
        proxy.cut, proxy.reset = 1, reset
        transport = transport_to(proxy.port)
        with pytest.raises(Undelivered) as caught:
            transport.send("shop", [Ping("ada@example.com")])
        assert caught.value.later
        assert transport.send("shop", [Ping("ada@example.com")]) == [True]
        assert len(good.seen) == 2
        transport.close()


def test_q17_a_redirect_is_not_followed_and_the_key_goes_nowhere_else() -> None:
    for status in (301, 302, 303, 307, 308):
        with scripted() as other, scripted() as first:
            first.answer = lambda _, s=status, o=other: refused(s, Location=o.url)
            transport = transport_to(first.port)
            with pytest.raises(Undelivered, match="redirects are not followed") as caught:
                transport.send("shop", [Ping("ada@example.com")])
            assert not caught.value.later
            assert other.seen == []
            transport.close()


@pytest.mark.parametrize(
    "body",
    [
        b"<html>hotel network</html>",
        b"",
        b"[]",
        b'{"results":[]}',
        b'{"results":[{}]}',
        b'{"results":[{"type":"identify","action":"created","customer_id":"x"}]}',
        b'{"results":null}',
        b"[" * 100_000,
        b"\xff\xfe",
    ],
)
def test_what_is_no_tinycrm_server_has_taken_nothing(body: bytes) -> None:
    with scripted(lambda _: (200, {}, body)) as server:
        transport = transport_to(server.port)
        with pytest.raises(Undelivered, match="not a TinyCRM server") as caught:
            transport.send("shop", [Ping("ada@example.com")])
        assert caught.value.later
        transport.close()


def test_an_endless_answer_is_cut_off() -> None:
    with scripted(lambda _: (200, {}, b" " * (8 * 2**20))) as server:
        transport = transport_to(server.port)
        with pytest.raises(Undelivered):
            transport.send("shop", [Ping("ada@example.com")])
        transport.close()


def every_value(error: BaseException | None) -> str:
    """All that a crash reporter would collect: the text and every local of every frame."""
    collected = []
    while error is not None:
        collected += traceback.format_exception(error)
        collected += [
            repr(value)
            for frame, _ in traceback.walk_tb(error.__traceback__)
            if "tinycrm_core" in frame.f_code.co_filename
            for value in (*frame.f_locals.values(), *map(vars_of, frame.f_locals.values()))
        ]
        error = error.__cause__ or error.__context__
    return "\n".join(collected)


def vars_of(value: object) -> object:
    return getattr(value, "__dict__", None)


def test_q17_the_key_is_in_no_log_repr_error_or_local(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    hidden = KEY[12:]
    with refusing() as nobody, silent() as quiet, scripted(lambda _: refused(401)) as denied:
        for port in (nobody, quiet, denied.port):
            crm = TinyCRM(f"http://{KEY}@127.0.0.1:{port}", background=False)
            crm.transport.timeout = 0.2  # type: ignore[attr-defined]
            with pytest.raises(Undelivered) as caught:
                crm.identify("ada@example.com")
            assert hidden not in every_value(caught.value)
            queued = crm.in_background()
            queued.identify("ada@example.com")
            assert not queued.flush(0.5)
            shown = (crm, crm.transport, crm.store, crm.tenant, queued, queued.queue, crm.stats())
            assert hidden not in repr(shown) + str(shown)
            assert queued.queue is not None
            assert hidden not in queued.queue.transport.destination("")
            queued.queue.close(0)
            crm.close()
    server = find_server(f"http://{KEY}@localhost", None, None, allow_http=False)
    assert server is not None
    assert hidden not in repr(server) + str(server) + repr(server.key)
    assert hidden not in caplog.text
    (authorization,) = {each.headers["authorization"] for each in denied.seen}
    assert authorization == f"Bearer {KEY}"
    assert not any(hidden in each.path for each in denied.seen)
    assert not any(hidden in str(each.body) for each in denied.seen)


def test_q17_certificates_are_verified(tmp_path: Any) -> None:
    import ssl
    import subprocess

    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
         "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
         "-keyout", tmp_path / "key", "-out", tmp_path / "cert"],
        capture_output=True, check=False,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    with scripted() as plain, socket.create_server(("127.0.0.1", 0)) as listening:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tmp_path / "cert", tmp_path / "key")

        def serve() -> None:
            for _ in range(2):
                client, _ = listening.accept()
                try:
                    with context.wrap_socket(client, server_side=True) as secure:
                        asked = b""
                        while b"\r\n\r\n" not in asked or not asked.endswith(b"}"):
                            asked += secure.recv(65536)
                        _, _, body = accepted([{"type": "ping"}])
                        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n"
                        secure.sendall(head.encode() + body)
                        received.append(asked)
                except OSError:
                    client.close()

        received: list[bytes] = []
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        port = listening.getsockname()[1]
        crm = TinyCRM(f"https://{KEY}@localhost:{port}", background=False)
        with pytest.raises(Undelivered, match="certificate does not verify") as caught:
            crm.ping("ada@example.com")
        assert KEY[12:] not in every_value(caught.value)
        trusting = ssl.create_default_context(cafile=str(tmp_path / "cert"))
        crm.transport._tls = trusting  # type: ignore[attr-defined]
        assert crm.ping("ada@example.com") is True
        thread.join(10)
        crm.close()
        assert len(received) == 1
        assert plain.seen == []

"""The extension is not there: the same bytes go in and out of the application with and without."""

from __future__ import annotations

import hashlib
import io
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import flask
import pytest
from flask import Flask

from tests.integrations.flask.live import serving
from tests.integrations.wire import (
    REQUESTS,
    asking,
    check_first_event,
    connected,
    digest,
    exchange,
    uploading,
)
from tinycrm_integrations.flask import TinyCRM


def product(file: Path, closed: threading.Event, go_on: threading.Event) -> Flask:
    app = Flask("product")
    app.config["SECRET_KEY"] = "k" * 40

    @app.before_request
    def somebody() -> None:
        if "anonymous" not in flask.request.path:
            user = type("Person", (), {"email": "ada@example.com", "is_authenticated": True})
            flask.g._login_user = user()

    @app.get("/page")
    @app.get("/anonymous")
    def page() -> dict[str, str]:
        return {"hello": "you"}

    @app.get("/session")
    def session() -> str:
        flask.session["seen"] = "yes"
        return "kept"

    @app.get("/fails")
    def fails() -> str:
        raise RuntimeError("the host's own")

    @app.get("/stream")
    def stream() -> flask.Response:
        return flask.Response((f"{n}\n" * 1000 for n in range(50)), mimetype="text/plain")

    @app.get("/events")
    def events() -> flask.Response:
        def ticks() -> Iterator[str]:
            try:
                yield "data: first\n\n"
                while not go_on.wait(0.01):
                    yield ": waiting\n\n"
                yield "data: last\n\n"
            finally:
                closed.set()

        return flask.Response(ticks(), mimetype="text/event-stream")

    @app.get("/file")
    def send_file() -> flask.Response:
        return flask.send_file(file, conditional=True)

    @app.post("/raw")
    def raw() -> str:
        digest = hashlib.sha256()
        while chunk := flask.request.stream.read(65536):
            digest.update(chunk)
        return digest.hexdigest()

    @app.post("/upload")
    def upload() -> str:
        return hashlib.sha256(flask.request.files["file"].read()).hexdigest()

    return app


class Sides:
    """The product alone, and the same product with the extension."""

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        self.closed, self.go_on = threading.Event(), threading.Event()
        file = folder / "file.bin"
        file.write_bytes(bytes(range(256)) * 400)
        self.alone, self.reported = (product(file, self.closed, self.go_on) for _ in range(2))
        self.reported.config.update(settings)
        TinyCRM(self.reported)

    def exchange(self, request: bytes) -> list[bytes]:
        answers = []
        for app in (self.alone, self.reported):
            with serving(app) as url:
                found = exchange(url, request)
            answers.append(re.sub(rb"\r\nDate: [^\r]*", b"", found))
        return answers


@pytest.fixture
def sides(tmp_path: Path, reported: dict[str, Any]) -> Sides:
    return Sides(tmp_path, reported)


@pytest.mark.parametrize("request_bytes", REQUESTS)
def test_f4_f7_every_byte_is_the_same(sides: Sides, request_bytes: bytes) -> None:
    alone, reported = sides.exchange(request_bytes)
    assert reported == alone
    assert alone.startswith(b"HTTP/1.")
    assert b"\r\nvary:" not in reported.lower()


def test_f4_a_page_that_uses_its_session_keeps_the_vary_of_its_own(sides: Sides) -> None:
    for answer in sides.exchange(asking("GET /session HTTP/1.1")):
        assert answer.count(b"\r\nVary: Cookie\r\n") == 1


@pytest.mark.parametrize("path", ["/raw", "/upload"])
def test_f6_an_upload_of_50_mb_arrives_whole(sides: Sides, path: str) -> None:
    alone, reported = sides.exchange(uploading(path))
    assert alone == reported
    assert digest() in reported


def test_f7_the_first_event_arrives_before_the_last_is_made(sides: Sides) -> None:
    with serving(sides.reported) as url:
        check_first_event(url, sides.go_on.set)


def test_f7_a_reader_who_leaves_ends_the_stream(sides: Sides) -> None:
    with serving(sides.reported) as url:
        with connected(url, asking("GET /events HTTP/1.1")) as connection:
            assert connection.recv(65536)
        assert sides.closed.wait(20)


def test_f7_the_response_object_passes_as_it_is(sides: Sides) -> None:
    """A file that the server sends by itself is not unwrapped into Python."""
    state = sides.reported.extensions["tinycrm"]
    response = flask.Response(io.BytesIO(b"x"), direct_passthrough=True)
    body = response.response
    with sides.reported.test_request_context("/"):
        assert state.after_request(response) is response
    assert response.response is body
    assert response.direct_passthrough

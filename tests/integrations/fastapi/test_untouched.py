"""The middleware is not there: the same bytes go in and out of the application with and without."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, Request, UploadFile, WebSocket
from fastapi.responses import FileResponse, StreamingResponse
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.types import ASGIApp
from websockets.sync.client import connect

from tests.integrations.fastapi.live import serving
from tests.integrations.wire import (
    REQUESTS,
    asking,
    check_first_event,
    connected,
    digest,
    exchange,
    uploading,
)
from tests.loops import finish
from tests.patience import eventually
from tinycrm_integrations.fastapi import Reporter, TinyCRMMiddleware
from tinycrm_integrations.starlette.middleware import KEY


class Person:
    is_authenticated = True

    def __init__(self, email: str) -> None:
        self.email = email


class Product:
    """Answers of every kind; `with_user` puts somebody into the scope first."""

    def __init__(self, folder: Path) -> None:
        self.closed = threading.Event()
        self.go_on = threading.Event()
        self.file = folder / "file.bin"
        self.file.write_bytes(bytes(range(256)) * 400)
        self.app = app = FastAPI()

        @app.middleware("http")
        async def with_user(request: Request, call_next: Any) -> Any:
            if "anonymous" not in request.url.path:
                request.state.user = Person("ada@example.com")
            return await call_next(request)

        @app.get("/page")
        @app.get("/anonymous")
        async def page() -> dict[str, str]:
            return {"hello": "you"}

        @app.get("/fails")
        async def fails() -> None:
            raise RuntimeError("the host's own")

        @app.get("/stream")
        async def stream() -> StreamingResponse:
            return StreamingResponse((f"{n}\n" * 1000 for n in range(50)), media_type="text/plain")

        @app.get("/events")
        async def events() -> StreamingResponse:
            async def ticks() -> AsyncIterator[str]:
                try:
                    yield "data: first\n\n"
                    while not self.go_on.is_set():
                        await asyncio.sleep(0.01)
                    yield "data: last\n\n"
                finally:
                    self.closed.set()

            return StreamingResponse(ticks(), media_type="text/event-stream")

        @app.get("/file")
        async def file() -> FileResponse:
            # A fixed time, so that both products answer alike.
            stat = self.file.stat()
            return FileResponse(self.file, stat_result=stat, headers={"etag": '"fixed"'})

        @app.post("/raw")
        async def raw(request: Request) -> str:
            digest = hashlib.sha256()
            async for chunk in request.stream():
                digest.update(chunk)
            return digest.hexdigest()

        @app.post("/upload")
        async def upload(file: UploadFile) -> str:
            return hashlib.sha256(await file.read()).hexdigest()

        @app.websocket("/socket")
        async def echo(socket: WebSocket) -> None:
            socket.state.user = Person("grace@example.com")
            await socket.accept()
            async for text in socket.iter_text():
                await socket.send_text(text.upper())


@pytest.fixture
def product(tmp_path: Path) -> Product:
    return Product(tmp_path)


@pytest.fixture
def urls(product: Product, reporter: Reporter) -> Iterator[tuple[str, str]]:
    """The product alone, and the same product behind the middleware."""
    wrapped = TinyCRMMiddleware(product.app, reporter)
    with serving(product.app) as alone, serving(wrapped) as reported:
        yield alone, reported


RANGES = asking("GET /file HTTP/1.1", "Range: bytes=0-1,5-6")


@pytest.mark.parametrize("request_bytes", [*REQUESTS, pytest.param(RANGES, id="ranges")])
def test_f4_f7_every_byte_is_the_same(urls: tuple[str, str], request_bytes: bytes) -> None:
    alone, reported = (exchange(url, request_bytes) for url in urls)
    if b"multipart/byteranges" in alone:  # whose separator is random
        alone, reported = (_without_separator(each) for each in (alone, reported))
    assert reported == alone
    assert alone.startswith(b"HTTP/1.1 ")
    assert b"\r\nvary:" not in reported.lower()


def _without_separator(answer: bytes) -> bytes:
    separator = answer.partition(b"boundary=")[2].partition(b"\r\n")[0]
    assert separator
    return answer.replace(separator, b"-")


@pytest.mark.parametrize("path", ["/raw", "/upload"])
def test_f6_an_upload_of_50_mb_arrives_whole(urls: tuple[str, str], path: str) -> None:
    alone, reported = (exchange(url, uploading(path)) for url in urls)
    assert alone == reported
    assert digest() in reported


def test_f7_the_first_event_arrives_before_the_last_is_made(
    urls: tuple[str, str], product: Product
) -> None:
    check_first_event(urls[1], product.go_on.set)


def test_f7_a_reader_who_leaves_ends_the_stream(urls: tuple[str, str], product: Product) -> None:
    with connected(urls[1], asking("GET /events HTTP/1.1")) as connection:
        assert connection.recv(65536)
    assert product.closed.wait(20)


def test_f7_websockets_pass_through_and_end_in_a_ping(
    urls: tuple[str, str], reporter: Reporter
) -> None:
    for url in urls:
        with connect(url.replace("http", "ws") + "/socket") as client:
            client.send("hello")
            assert client.recv() == "HELLO"
    eventually(lambda: ("grace@example.com") in reporter._pinged._seen)


def test_f7_the_lifespan_passes_through(reporter: Reporter) -> None:
    heard: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        heard.append(scope["type"])
        assert KEY not in scope
        while scope["type"] == "lifespan":
            message = await receive()
            heard.append(message["type"])
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return

    with serving(TinyCRMMiddleware(app, reporter)):
        pass
    assert heard == ["lifespan", "lifespan.startup", "lifespan.shutdown"]


def test_f7_what_the_application_gets_and_gives_is_the_very_same(reporter: Reporter) -> None:
    """Not even a wrapper around receive and send, which servers look for extensions on."""
    given: list[Any] = []

    async def app(*arguments: Any) -> None:
        given.extend(arguments)

    async def receive() -> Any: ...

    async def send(message: Any) -> None: ...

    scope = {"type": "http"}
    finish(TinyCRMMiddleware(app, reporter)(scope, receive, send))
    assert given[0] is scope
    assert given[1] is receive
    assert given[2] is send


def test_f1_an_exception_of_the_host_stays_the_hosts(reporter: Reporter) -> None:
    class Mine(Exception):
        pass

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scope["user"] = Person("ada@example.com")
        raise Mine

    def wrapped() -> Any:
        return TinyCRMMiddleware(app, reporter)({"type": "http"}, None, None)

    with pytest.raises(Mine):
        finish(wrapped())


def test_f5_a_user_that_is_not_there_is_not_asked_for(reporter: Reporter) -> None:
    """`request.user` asserts without AuthenticationMiddleware, and may load somebody with it."""

    class Lazy(dict[str, Any]):
        def __getitem__(self, key: str) -> Any:
            assert key != "user"
            return super().__getitem__(key)

    async def app(scope: Any, receive: Any, send: Any) -> None: ...

    finish(TinyCRMMiddleware(app, reporter)(Lazy(type="http", state={}), None, None))
    assert reporter.guard.failures == {}


def authenticated(app: ASGIApp) -> ASGIApp:
    class Backend:
        async def authenticate(self, connection: Any) -> Any:
            return (["authenticated"], Person("ada@example.com"))

    return AuthenticationMiddleware(app, backend=Backend())


def test_the_user_of_starlettes_authentication_is_seen(reporter: Reporter) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None: ...

    wrapped = TinyCRMMiddleware(authenticated(app), reporter)
    finish(wrapped({"type": "http", "headers": []}, None, None))
    assert list(reporter._pinged._seen) == ["ada@example.com"]

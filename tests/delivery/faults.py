"""Servers and networks that misbehave, on loopback and with nothing but Python."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import uuid4

from tinycrm_core.keys import new_key

KEY = new_key("proj").secret

Reply = tuple[int, dict[str, str], bytes]


def accepted(events: list[Any]) -> Reply:
    """The answer of a server that stores everything."""
    results = [
        {"type": "ping", "known": True}
        if event["type"] == "ping"
        else {
            "type": "identify",
            "action": "created",
            "customer_id": str(uuid4()),
            "joined": True,
            "changed": [],
        }
        for event in events
    ]
    return 200, {}, json.dumps({"results": results}).encode()


def refused(status: int, **headers: str) -> Reply:
    """The answer of a server that takes nothing."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return status, named, b'{"error":{"code":"no","message":"not now","field":null}}'


@dataclass
class Seen:
    """One request that arrived."""

    path: str
    headers: dict[str, str]
    body: Any
    peer: int
    at: float

    @property
    def emails(self) -> list[str]:
        return [event["email"] for event in self.body["events"]]


@dataclass
class Scripted:
    """A server that answers what the test says, and keeps what it was asked."""

    answer: Callable[[list[Any]], Reply] = accepted
    seen: list[Seen] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://{KEY}@127.0.0.1:{self.port}"

    @property
    def emails(self) -> list[str]:
        return [email for each in self.seen for email in each.emails]


@contextlib.contextmanager
def scripted(answer: Callable[[list[Any]], Reply] = accepted) -> Iterator[Scripted]:
    """Serve until the block ends."""
    script = Scripted(answer)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            headers = {name.lower(): value for name, value in self.headers.items()}
            peer = self.client_address[1]
            script.seen.append(Seen(self.path, headers, body, peer, time.monotonic()))
            status, more, content = script.answer(body["events"])
            with contextlib.suppress(OSError):  # whoever asked may be gone
                self.send_response(status)
                for name, value in more.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)
                self.wfile.flush()

        def log_message(self, *_: object) -> None:
            """Quiet."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def handle_error(self, *_: object) -> None:
            """Whoever asked may be gone."""

    server = Server(("127.0.0.1", 0), Handler)
    script.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.daemon = True
    thread.start()
    try:
        yield script
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


@contextlib.contextmanager
def refusing() -> Iterator[int]:
    """A port where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@contextlib.contextmanager
def silent() -> Iterator[int]:
    """A port that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listening:
        yield listening.getsockname()[1]


@contextlib.contextmanager
def swallowing() -> Iterator[int]:
    """A port that answers no further connection: its backlog is full."""
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        address = listening.getsockname()
        for _ in range(4):
            one = stack.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(address)
        time.sleep(0.05)  # the system fills the backlog in its own time, and tells nobody
        yield address[1]


@dataclass
class Proxy:
    """Between a client and a server; what it does to the bytes can change at any time.

    `delay` seconds before each piece of the answer; `drip` sends answers byte by byte, with
    `delay` after each; `cut` closes the connection after that many answers have been received
    from the server and before they are passed on; `hole` passes nothing on in either direction; a
    proxy that is `down` closes what comes in.
    """

    target: int
    port: int = 0
    delay: float = 0.0
    drip: bool = False
    hole: bool = False
    cut: int = 0
    reset: bool = False
    down: bool = False
    connections: int = 0
    bytes_up: int = 0


@contextlib.contextmanager
def proxied(target: int) -> Iterator[Proxy]:
    """A TCP proxy in front of a port."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=128)
    proxy = Proxy(target, listening.getsockname()[1])
    open_sockets: list[socket.socket] = []
    stop = threading.Event()

    def up(client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := client.recv(65536):
                proxy.bytes_up += len(piece)
                if proxy.down:
                    break
                if not proxy.hole:
                    server.sendall(piece)
            server.shutdown(socket.SHUT_WR)

    def down(client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := server.recv(65536):
                if proxy.cut:
                    proxy.cut -= 1
                    break
                if proxy.hole:
                    continue
                stop.wait(proxy.delay)
                if proxy.drip:
                    for place in range(len(piece)):
                        client.sendall(piece[place : place + 1])
                        if stop.wait(proxy.delay):
                            return
                else:
                    client.sendall(piece)
        with contextlib.suppress(OSError):
            if proxy.reset:
                linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            client.shutdown(socket.SHUT_RDWR)
        client.close()
        server.close()

    def accept() -> None:
        while True:
            try:
                client, _ = listening.accept()
            except OSError:
                return
            proxy.connections += 1
            if proxy.down:
                client.close()
                continue
            try:
                server = socket.create_connection(("127.0.0.1", proxy.target), 5)
            except OSError:
                client.close()
                continue
            open_sockets.extend((client, server))
            for work in (up, down):
                threading.Thread(target=work, args=(client, server), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield proxy
    finally:
        stop.set()
        listening.close()
        for each in open_sockets:
            each.close()

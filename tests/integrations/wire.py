"""HTTP by the byte, for comparing what goes over the wire with and without us."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest

UPLOAD = bytes(range(256)) * 4096 * 50
"""50 MB."""


def asking(line: str, *headers: str, body: bytes = b"") -> bytes:
    """A request as it is sent."""
    head = [line, "Host: example.com", "Connection: close", *headers]
    return "\r\n".join([*head, "", ""]).encode() + body


REQUESTS = [
    pytest.param(asking("GET /anonymous HTTP/1.1"), id="anonymous"),
    pytest.param(asking("GET /page HTTP/1.1", "Cookie: session=x"), id="page"),
    pytest.param(asking("HEAD /page HTTP/1.1"), id="head"),
    pytest.param(asking("GET /nothing HTTP/1.1"), id="missing"),
    pytest.param(asking("GET /fails HTTP/1.1"), id="fails"),
    pytest.param(asking("GET /stream HTTP/1.1"), id="stream"),
    pytest.param(asking("GET /file HTTP/1.1"), id="file"),
    pytest.param(asking("GET /file HTTP/1.1", "Range: bytes=10-19"), id="range"),
    pytest.param(asking("POST /page HTTP/1.1", "Content-Length: 0"), id="method"),
]
"""What every product is asked once with us and once without."""


def connected(url: str, request: bytes) -> socket.socket:
    """A connection on which the request has been sent."""
    parts = urlsplit(url)
    connection = socket.create_connection((parts.hostname, parts.port), timeout=60)
    connection.sendall(request)
    return connection


def rest(connection: socket.socket) -> bytes:
    """All that comes until the other side closes."""
    found = b""
    while more := connection.recv(65536):
        found += more
    return found


def exchange(url: str, request: bytes) -> bytes:
    """The answer to a request, to its last byte."""
    with connected(url, request) as connection:
        return rest(connection)


def uploading(path: str) -> bytes:
    """A request with UPLOAD as its body, or as the file of a form where the path says upload."""
    body, kind = UPLOAD, "application/octet-stream"
    if path == "/upload":
        head = b'--sep\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'
        body, kind = head + UPLOAD + b"\r\n--sep--\r\n", "multipart/form-data; boundary=sep"
    headers = (f"Content-Length: {len(body)}", f"Content-Type: {kind}")
    return asking(f"POST {path} HTTP/1.1", *headers, body=body)


def digest() -> bytes:
    """What a product answers that has received all of UPLOAD."""
    return hashlib.sha256(UPLOAD).hexdigest().encode()


def check_first_event(url: str, go_on: Callable[[], None]) -> None:
    """The first event arrives before the last is made, which `go_on` allows."""
    with connected(url, asking("GET /events HTTP/1.1")) as connection:
        found = b""
        while b"data: first\n\n" not in found:
            more = connection.recv(65536)
            assert more, "held back"
            found += more
        assert b"last" not in found
        go_on()
        assert b"data: last\n\n" in found + rest(connection)

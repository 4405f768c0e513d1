"""The admin inside every kind of host, each a process of its own that a plain client asks."""

from __future__ import annotations

import http.client
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.hosts.applications import AT_ROOT, BELOW, KINDS, OUTER, WHO
from tests.sources import ROOT
from tinycrm_core.client import TinyCRM
from tinycrm_server.sample import load_sample

MOUNTS = ("", BELOW, OUTER + BELOW)


@dataclass(frozen=True)
class Answer:
    """What came back; header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @cached_property
    def text(self) -> str:
        return self.body.decode()


@dataclass(frozen=True)
class Host:
    """One application and the place where it holds the admin."""

    kind: str
    port: int
    mount: str

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(
        self,
        method: str,
        path: str,
        *,
        who: str | None = "owner",
        form: list[tuple[str, str]] | None = None,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """One request to a path of the whole host. Forms come from the page itself, as it seems."""
        sent = {} if who is None else {WHO: who}
        if not self.mount:
            sent[AT_ROOT] = "1"
        if form is not None:
            body = urlencode(form).encode()
            sent["Content-Type"] = "application/x-www-form-urlencoded"
        if method == "POST":
            sent["Sec-Fetch-Site"] = "same-origin"
        sent |= headers or {}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, sent)
            response = connection.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, found, response.read())
        finally:
            connection.close()

    def get(self, path: str, **options: str | None) -> Answer:
        """A page of the admin; `path` is below the mount."""
        return self.ask("GET", self.mount + path, **options)  # type: ignore[arg-type]

    def post(self, path: str, form: list[tuple[str, str]]) -> Answer:
        """Send a form of the page at `path`, with the hidden field and cookie the host wants."""
        page = self.get("/projects")
        hidden = re.search(r'name="(csrf\w+)" value="([^"]+)"', page.text)
        cookie = page.headers.get("set-cookie", "").partition(";")[0]
        fields = [*form, (hidden[1], hidden[2])] if hidden else form
        headers = {"Cookie": cookie} if cookie else {}
        return self.ask("POST", self.mount + path, form=fields, headers=headers)


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with the sample portfolio, that hosts write to."""
    path = tmp_path_factory.mktemp("hosts") / "crm.db"
    with TinyCRM(f"sqlite:///{path}") as crm:
        list(load_sample(crm))
    return path


@pytest.fixture(scope="session")
def running(sample: Path) -> Iterator[dict[str, int]]:
    """The ports of the hosts, started together."""
    started = {
        kind: subprocess.Popen(
            [sys.executable, "-m", "tests.hosts.applications", kind, f"sqlite:///{sample}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        for kind in KINDS
    }
    try:
        ports = {}
        for kind, process in started.items():
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, f"{kind} did not start"
            ports[kind] = int(line)
        yield ports
    finally:
        for process in started.values():
            process.communicate(timeout=20)


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """The name of a framework."""
    name: str = request.param
    return name


@pytest.fixture(params=MOUNTS, ids=lambda mount: mount or "/")
def host(request: pytest.FixtureRequest, kind: str, running: dict[str, int]) -> Host:
    """The admin in one framework at one place."""
    return Host(kind, running[kind], request.param)

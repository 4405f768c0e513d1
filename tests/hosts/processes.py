"""The hosts as processes of their own, and a plain client that asks the admin in one of them."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

from tests.hosts.applications import AT_ROOT, WHO
from tests.serving import Answer, ask
from tests.sources import ROOT


class Hosts(dict[str, int]):
    """The port of each host over one database, by the kind of it; it starts when it is asked for.

    `ending` ends them.
    """

    def __init__(self, database: Path, ending: contextlib.ExitStack) -> None:
        super().__init__()
        self._database, self._ending = database, ending

    def __missing__(self, kind: str) -> int:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.hosts.applications", kind, str(self._database)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        self._ending.callback(process.communicate, timeout=20)
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, f"{kind} did not start"
        self[kind] = int(line)
        return self[kind]


@dataclass(frozen=True)
class Host:
    """One application and the place where it holds the admin."""

    kind: str
    port: int
    mount: str

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
        return ask(self.port, method, path, body, sent | (headers or {}))

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

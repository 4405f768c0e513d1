"""`tinycrm serve` in processes of its own, and what asks it."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.patience import eventually
from tinycrm_core.client import TinyCRM

GONE = (OSError, http.client.HTTPException)
"""What a connection meets while a process starts, or another takes its place."""


@dataclass
class Running:
    """A server in processes of its own."""

    process: subprocess.Popen[str]
    output: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        eventually(lambda: "Ctrl-C" in self.text or self.process.poll() is not None)
        eventually(lambda: self.ask("GET", "/readyz")[0] == 200, despite=GONE)

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.output.append(line)

    @property
    def text(self) -> str:
        return "".join(self.output)

    def ask(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        found = re.search(r"on http://127\.0\.0\.1:(\d+)", self.text)
        assert found, self.text
        connection = http.client.HTTPConnection("127.0.0.1", int(found[1]), timeout=60)
        with contextlib.closing(connection):
            sent = {"Content-Type": "application/json", **(headers or {})}
            data = body
            if body is not None and not isinstance(body, bytes):
                data = json.dumps(body).encode()
            connection.request(method, path, data, sent)
            answer = connection.getresponse()
            names = {name.lower(): value for name, value in answer.getheaders()}
            return answer.status, names, answer.read()

    def workers(self) -> list[int]:
        listed = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        children = [int(each) for each in listed.read_text().split()]
        # multiprocessing's resource tracker is a child too.
        return [each for each in children if b"spawn_main" in _command(each)]

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)
        self.reader.join(60)


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:
        return b""


@contextlib.contextmanager
def serve(where: str, folder: Path, *arguments: str, **settings: str) -> Iterator[Running]:
    command = [sys.executable, "-m", "tinycrm_server", "serve", "--port", "0", *arguments]
    variables = {"TINYCRM_DATABASE": where, "PYTHONUNBUFFERED": "1", **settings}
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=os.environ | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        running = Running(process)
        yield running
        if process.poll() is None:
            running.stop()
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(20)
        if process.stdout:
            process.stdout.close()


def key_for(where: str) -> dict[str, str]:
    with TinyCRM(where) as crm:
        crm.projects.add("shop")
        return {"Authorization": f"Bearer {crm.keys.create('shop').secret}"}

"""The three products and the admin, started as the README says."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.sources import ROOT
from tinycrm_core.client import TinyCRM

PATIENCE = 60.0


@dataclass(frozen=True)
class Portfolio:
    """Where each of the four answers, and the database they share."""

    urls: dict[str, str]
    crm: TinyCRM


@pytest.fixture
def portfolio(tmp_path: Path) -> Iterator[Portfolio]:
    running = subprocess.Popen(
        [sys.executable, "-m", "examples", "--any-port", "--folder", str(tmp_path)],
        cwd=ROOT,
        env={key: value for key, value in os.environ.items() if not key.startswith("TINYCRM_")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    lines: queue.Queue[str] = queue.Queue()

    def read() -> None:
        assert running.stdout is not None
        for line in running.stdout:
            lines.put(line)

    reader = threading.Thread(target=read)
    reader.start()
    urls: dict[str, str] = {}
    printed = []
    try:
        while len(urls) < 4:
            printed.append(lines.get(timeout=PATIENCE))
            name, _, url = printed[-1].partition(" ")
            assert url.strip().startswith("http://127.0.0.1:"), printed
            urls[name] = url.strip()
        with TinyCRM(f"sqlite:///{tmp_path / 'customers.db'}") as crm:
            yield Portfolio(urls, crm)
    finally:
        running.send_signal(signal.SIGINT)
        running.wait(PATIENCE)
        reader.join(PATIENCE)
        assert running.stdout is not None
        running.stdout.close()
    rest = "".join(lines.get() for _ in range(lines.qsize()))
    assert "Traceback" not in rest, rest

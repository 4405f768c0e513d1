"""The admin's first page, a filter and a search, in each host, beside other admins.

`python -m benchmarks.admin FILE` with an SQLite file that `python -m benchmarks.dataset` made.
The requests of all of them are interleaved; the times are of the clock, from the client's side.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from benchmarks.peers import PEERS
from benchmarks.timing import table
from tests.hosts.applications import BELOW, KINDS, WHO

ROUNDS = 9
PAGES = {
    "first page": "/",
    "trial": "/?status=trial",
    "paid here, free there": "/?q=" + quote("status@atlas:paid status@beacon:free"),
    "p.plan": "/?q=" + quote("p.plan:pro"),
    "search": "/?q=chen",
}


class Site:
    """A server and the paths that are measured on it."""

    def __init__(self, process: subprocess.Popen[str], paths: dict[str, str]) -> None:
        assert process.stdout is not None
        self.process, self.paths = process, paths
        port = int(process.stdout.readline())
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        self.times: dict[str, list[float]] = {name: [] for name in paths}
        self.sizes: dict[str, int] = {}

    def ask(self, name: str) -> None:
        start = time.perf_counter()
        self.connection.request("GET", self.paths[name], headers={WHO: "owner"})
        response = self.connection.getresponse()
        body = response.read()
        self.times[name].append(time.perf_counter() - start)
        self.connection.close()  # some of them close it anyway
        if response.status != 200:
            sys.exit(f"{self.paths[name]} answers {response.status}")
        self.sizes[name] = len(body)


def start(module: str, kind: str, where: str, paths: dict[str, str]) -> Site:
    process = subprocess.Popen(
        [sys.executable, "-m", module, kind, where],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    return Site(process, paths)


@contextlib.contextmanager
def sites(file: Path) -> Iterator[dict[str, Site]]:
    """All of them, started and warm."""
    own = {name: BELOW + path for name, path in PAGES.items()}
    running = {
        f"TinyCRM in {kind}": start("tests.hosts.applications", kind, f"sqlite:///{file}", own)
        for kind in KINDS
    }
    for kind, (path, search) in PEERS.items():
        first = path.format(stem=file.stem)
        paths = {
            "first page": first,
            "search": f"{first}{'&' if '?' in first else '?'}{search}=chen",
        }
        running[kind] = start("benchmarks.peers", kind, str(file), paths)
    time.sleep(3)  # Datasette says nothing when it is ready
    try:
        yield running
    finally:
        for site in running.values():
            site.connection.close()
            site.process.communicate()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.admin", description=__doc__)
    parser.add_argument("file", type=Path)
    file = parser.parse_args().file
    with sites(file) as running:
        for round in range(ROUNDS + 1):
            for site in running.values():
                for name in site.paths:
                    if round < 3 or statistics.median(site.times[name]) < 1:
                        site.ask(name)
        rows = [
            (
                kind,
                *(
                    f"{statistics.median(site.times[name][1:]) * 1000:,.0f} ms"
                    if name in site.times
                    else ""
                    for name in PAGES
                ),
                f"{site.sizes['first page'] / 1000:.0f} kB",
            )
            for kind, site in running.items()
        ]
    table(f"Admin pages on {file.name}, median of {ROUNDS}", ("", *PAGES, "HTML"), rows)


if __name__ == "__main__":
    main()

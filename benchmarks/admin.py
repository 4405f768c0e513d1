"""The admin's pages in each host, beside other admins on the same table.

`python -m benchmarks.admin FILE` with an SQLite file that `python -m benchmarks.dataset` made, or
the URL of another database, which the other admins are not shown. Turns of all of them are
interleaved. Prints the median of the time that passes for the client, and the mean of what the
server's processes compute for one request, which other work on the machine does not lengthen much.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import os
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

ROUNDS, TIMES = 6, 3
"""The first round only warms; in each, a page is asked for some times in a row."""
SLOW = 1.0
"""Seconds; slower pages are asked for in two rounds."""
PAGES = {
    "first page": "/",
    "trial": "/?status=trial",
    "paid here, free there": "/?q=" + quote("status@atlas:paid status@beacon:free"),
    "p.plan": "/?q=" + quote("p.plan:pro"),
    "search": "/?q=chen",
    "facets": "/narrow",
    "overlap": "/overlap",
}


class Site:
    """A server and the paths that are measured on it."""

    def __init__(self, process: subprocess.Popen[str], paths: dict[str, str]) -> None:
        assert process.stdout is not None
        self.process, self.paths = process, paths
        port = int(process.stdout.readline())
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        self.passed: dict[str, list[float]] = {name: [] for name in paths}
        self.computed: dict[str, list[float]] = {name: [] for name in paths}
        self.sizes: dict[str, int] = {}

    def turn(self, name: str) -> None:
        """Ask for a page some times in a row."""
        before = computed(self.process.pid)
        for _ in range(TIMES):
            start = time.perf_counter()
            self.connection.request("GET", self.paths[name], headers={WHO: "owner"})
            response = self.connection.getresponse()
            body = response.read()
            self.passed[name].append(time.perf_counter() - start)
            self.connection.close()  # some of them close it anyway
            if response.status != 200:
                sys.exit(f"{self.paths[name]} answers {response.status}")
            self.sizes[name] = len(body)
        self.computed[name].append((computed(self.process.pid) - before) / TIMES)

    def cell(self, name: str) -> str:
        """What passed and what was computed, in milliseconds."""
        if name not in self.paths:
            return ""
        passed = statistics.median(self.passed[name][TIMES:])
        return f"{passed * 1000:,.0f} / {statistics.mean(self.computed[name][1:]) * 1000:,.0f}"


def computed(pid: int) -> float:
    """Seconds that a process and those it started have computed."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    own = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    started = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return own + sum(computed(int(each)) for each in started)


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
def sites(where: str) -> Iterator[dict[str, Site]]:
    """All of them, started and warm."""
    own = {name: BELOW + path for name, path in PAGES.items()}
    url = where if "://" in where else f"sqlite:///{where}"
    running = {f"TinyCRM in {kind}": start("benchmarks.hosts", kind, url, own) for kind in KINDS}
    for kind, (path, search) in PEERS.items() if "://" not in where else ():
        first = path.format(stem=Path(where).stem)
        paths = {
            "first page": first,
            "search": f"{first}{'&' if '?' in first else '?'}{search}=chen",
        }
        running[kind] = start("benchmarks.peers", kind, where, paths)
    time.sleep(3)  # Datasette says nothing when it is ready
    try:
        yield running
    finally:
        for site in running.values():
            site.connection.close()
            site.process.communicate()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.admin", description=__doc__)
    parser.add_argument("where", metavar="FILE_OR_URL")
    where = parser.parse_args().where
    with sites(where) as running:
        for round in range(ROUNDS):
            for site in running.values():
                for name in site.paths:
                    if round < 2 or statistics.median(site.passed[name]) < SLOW:
                        site.turn(name)
        rows = [
            (
                kind,
                *(site.cell(name) for name in PAGES),
                f"{site.sizes['first page'] / 1000:.0f} kB",
            )
            for kind, site in running.items()
        ]
    table("Admin pages, ms that pass / ms computed", ("", *PAGES, "HTML"), rows)


if __name__ == "__main__":
    main()

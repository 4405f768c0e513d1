"""`python -m benchmarks [PART …]`: ratios, beside the bars we set ourselves."""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks import delivery, identify, memory, middleware, serving
from tests import postgres

ALONE = {
    "sqlite": identify.on_sqlite_files,
    "memory": memory.main,
    "middleware": middleware.main,
    "delivery": delivery.main,
}
ON_POSTGRES = {"postgres": identify.on_postgres, "serving": serving.main}
PARTS = (*ON_POSTGRES, *ALONE)


@contextlib.contextmanager
def server(url: str | None) -> Iterator[str]:
    """A new database on the given server, or on one that is started for the time of the run."""
    run = Path(tempfile.mkdtemp(prefix="tinycrm-benchmarks-"))
    with postgres.held(run), postgres.database(url or postgres.server_url(run)) as fresh:
        yield fresh


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)}; or all")
    parser.add_argument("--postgres-url", help="a server to use instead of one started for this")
    asked = parser.parse_args()
    parts = asked.parts or PARTS
    if unknown := set(parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(unknown)}")
    if len(parts) > 1:
        print(
            f"{os.cpu_count()} cores. Medians of interleaved blocks, in seconds of the processor "
            "where one process does\nall the work, else of the clock. Times change with the "
            "machine; look at the ratios.",
            flush=True,
        )
        # Each in a process of its own, so that none is measured with what another one left.
        given = ["--postgres-url", asked.postgres_url] if asked.postgres_url else []
        for part in parts:
            subprocess.run([sys.executable, "-m", "benchmarks", part, *given], check=True)
    elif parts[0] in ON_POSTGRES:
        with server(asked.postgres_url) as url:
            ON_POSTGRES[parts[0]](url)
    else:
        ALONE[parts[0]]()


main()

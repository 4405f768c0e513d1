"""`python -m benchmarks [PART …]`: ratios, beside the bars we set ourselves."""

from __future__ import annotations

import argparse
import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks import delivery, identify, memory, middleware, serving
from tests import postgres

PARTS = ("sqlite", "postgres", "memory", "middleware", "delivery", "serving")


@contextlib.contextmanager
def server(url: str | None) -> Iterator[str]:
    """A new database on the given server, or on one that is started for the time of the run."""
    run = Path(tempfile.mkdtemp(prefix="tinycrm-benchmarks-"))
    with postgres.held(run), postgres.database(url or postgres.server_url(run)) as fresh:
        yield fresh


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="*", help=f"{', '.join(PARTS)}; or all")
    parser.add_argument("--postgres-url", help="a server to use instead of one started for this")
    asked = parser.parse_args()
    parts = set(asked.parts or PARTS)
    print(
        f"{os.cpu_count()} cores. Medians of interleaved blocks, in seconds of the processor where "
        "one process does\nall the work, else of the clock. Times change with the machine; look at "
        "the ratios."
    )
    if "sqlite" in parts:
        identify.on_sqlite_files()
    if "postgres" in parts:
        with server(asked.postgres_url) as url:
            identify.on_postgres(url)
    if "memory" in parts:
        memory.main()
    if "middleware" in parts:
        middleware.main()
    if "delivery" in parts:
        delivery.main()
    if "serving" in parts:
        with server(asked.postgres_url) as url:
            serving.main(url)


main()

"""How long questions take: the first pages, counts, tallies and searches of `dataset`.

    python -m benchmarks.dataset sqlite:////tmp/crm.db
    python -m benchmarks.questions sqlite:////tmp/crm.db

Prints of each the median of the time that passes, and the least that is computed in one of several
turns, which other work on the machine cannot take away: that is held against the bar, and against
the SQL in `floors`, which takes turns with it. A page loads its people, its floor only their ids.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import os
import sqlite3
import statistics
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from benchmarks.floors import floor
from tinycrm_core.filters import Param, parse
from tinycrm_core.query import Query, Sort
from tinycrm_core.sql.store import SQLStore
from tinycrm_core.times import to_micros

SEEN = Sort("seen", descending=True)
MRR = Param(("mrr",))

PAGES: tuple[tuple[str, Sort], ...] = (
    ("", SEEN),
    ("status:trial", SEEN),
    ("project:beacon status:paid", SEEN),
    ("project:atlas project:beacon", SEEN),
    ("projects>=2", SEEN),
    ("project:atlas -project:beacon", SEEN),
    ("status@atlas:free status@beacon:paid", SEEN),
    ("active@atlas<-30d active@beacon>-7d", SEEN),
    ("status:free joined<-14d", SEEN),
    ("seen<-30d", SEEN),
    ("p.source:producthunt", SEEN),
    ("p.source:tiktok", SEEN),
    ("p.mrr>=99", Sort(MRR, descending=True)),
    ("p.mrr:199", SEEN),
    ("status:trial p.trial_ends:today..+7d", SEEN),
    ("project:harbor status:trial", SEEN),
    ("projects:5", SEEN),
    ("p.beta:true", Sort("name")),
    ("-status:churned", Sort("email")),
    ("", Sort("name")),
    ("", Sort("email")),
    ("", Sort("projects", descending=True)),
    ("", Sort(MRR, descending=True)),
    ("", Sort(Param(("source",)))),
    ("project:cargo", Sort("active", descending=True, project="cargo")),
    ("status:paid", Sort("joined")),
    ("status:paid p.source:producthunt", Sort(MRR)),
    ("project:nothing", SEEN),
)
TOGETHER: tuple[tuple[str, Sort], ...] = (
    ("status@atlas:churned status@beacon:churned status@cargo:churned", SEEN),
    ("p.plan@atlas:pro p.role@beacon:founder p.source@cargo:google", SEEN),
    ("active@atlas<-400d active@beacon<-400d", SEEN),
    ("created>-30d p.mrr>=49", SEEN),
    ("created<-800d status@harbor:paid", Sort("created", descending=True)),
    ("p.source:google p.mrr:199 p.beta:true", Sort("email")),
)
SEARCHES: tuple[tuple[str, Sort], ...] = (
    ("alex chen", SEEN),
    ("alex", SEEN),
    ("nobodyatall", SEEN),
    ("alex.chen4242", SEEN),
    ("zoë müller", SEEN),
    ("example example4.com", SEEN),
)
COUNTS = (
    "",
    "status:trial",
    "project:beacon status:paid",
    "project:atlas project:beacon",
    "project:atlas -project:beacon",
    "status@atlas:free status@beacon:paid",
    "p.source:producthunt",
    "p.mrr>=99",
    "seen<-30d",
    "projects>=2",
    "active@atlas<-30d active@beacon>-7d",
    "status:trial p.trial_ends:today..+7d",
    "status:free joined<-14d",
    "-project:cargo",
    "alex chen",
)


def questions() -> Iterator[tuple[str, float, Callable[[Any, int], object]]]:
    """What is asked: a name, its bar in milliseconds, and how to ask."""
    for bar, several in ((25, PAGES), (150, TOGETHER), (100, SEARCHES)):
        for words, sort in several:
            yield f"page   {words or 'everybody'} | {_shown(sort)}", bar, _page(words, sort)
    for words in COUNTS:
        yield f"count  {words or 'everybody'}", 200, _count(words)
    for by in ("status", "project", MRR, Param(("source",))):
        for words in ("", "project:beacon status:paid", "p.source:tiktok"):
            name = by if isinstance(by, str) else f"p.{by.path[0]}"
            yield f"tally  {name} of {words or 'everybody'}", 200, _tally(words, by)
    yield "total  p.mrr of everybody", 200, lambda tx, now: tx.aggregate(parse(""), MRR, None, now)


def _shown(sort: Sort) -> str:
    name = sort.field if isinstance(sort.field, str) else f"p.{sort.field.path[0]}"
    return ("-" if sort.descending else "") + name


def _page(words: str, sort: Sort) -> Callable[[Any, int], object]:
    return lambda tx, now: tx.find(Query(parse(words), sort, 50, now))


def _count(words: str) -> Callable[[Any, int], object]:
    return lambda tx, now: tx.count(parse(words), now)


def _tally(words: str, by: Any) -> Callable[[Any, int], object]:
    return lambda tx, now: tx.tally(parse(words), by, None, now)


TURNS = 7


class Raw:
    """A connection of the driver without anything around it."""

    def __init__(self, url: str) -> None:
        self.driver: Any = sa.create_engine(url).raw_connection().driver_connection
        if isinstance(self.driver, sqlite3.Connection):
            self.driver.execute("PRAGMA cache_size = -16000")

    def answer(self, statement: str) -> None:
        self.driver.execute(statement).fetchall()
        self.driver.rollback()


def processor(driver: Any) -> float:
    """Seconds this process has computed, and PostgreSQL's for this connection if it is here.

    Its parallel workers are not counted, and nothing is where it runs on another machine.
    """
    passed = time.process_time()
    if not isinstance(driver, sqlite3.Connection):
        with contextlib.suppress(OSError):
            read = Path(f"/proc/{driver.info.backend_pid}/schedstat").read_text()
            passed += int(read.split()[0]) / 1e9
    return passed


Times = list[tuple[float, float]]


def timed(driver: Any, work: Callable[[], object]) -> tuple[tuple[float, float], object]:
    """Milliseconds that passed and that were computed, and the answer."""
    started, computed = time.perf_counter(), processor(driver)
    answer: object
    try:
        answer = work()
    except Exception as error:
        answer = error
    computed = processor(driver) - computed
    return ((time.perf_counter() - started) * 1000, computed * 1000), answer


def turns(
    store: SQLStore, ask: Callable[[Any, int], object], raw: Raw, statement: str | None, now: int
) -> tuple[Times, Times, object]:
    """The question and the statement turn by turn, but for the first, and the answer."""
    ours: Times = []
    floors: Times = []
    answer: object = None
    for _ in range(TURNS + 1):
        if statement:
            floors.append(timed(raw.driver, lambda: raw.answer(statement))[0])
        with store.begin("default", write=False) as tx:
            driver = tx.connection.connection.driver_connection  # type: ignore[attr-defined]
            times, answer = timed(driver, lambda tx=tx: ask(tx, now))  # type: ignore[misc]
        ours.append(times)
        if isinstance(answer, Exception) or times[0] > 5000:
            break
    return ours[1:] or ours, floors[1:] or floors, answer


def _size(answer: object) -> str:
    if isinstance(answer, Exception):
        return type(answer).__name__ + ": " + str(answer)[:60]
    if isinstance(answer, tuple):
        return f"{len(answer[0])}{'+' if answer[1] else ''}"
    return f"{answer:,}" if isinstance(answer, int) else ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--only", default="", help="questions with this in their name")
    asked = parser.parse_args()
    store = SQLStore(asked.url)
    now = to_micros(datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0))
    raw = Raw(asked.url)
    gc.disable()
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors; milliseconds")
    print(f"{'passed':>9} {'computed':>9} {'floor':>9} {'ratio':>6} {'bar':>5}")
    for name, bar, ask in questions():
        if asked.only not in name:
            continue
        statement = floor(name, store.tables.dialect, now)
        ours, floors, answer = turns(store, ask, raw, statement, now)
        passed = statistics.median(each for each, _ in ours)
        best = min(each for _, each in ours)
        least = min((each for _, each in floors), default=0.0)
        beside = f"{least:9.1f} {best / least:5.1f}×" if least else " " * 16
        verdict = "ok" if best <= bar else "over"
        print(
            f"{passed:9.1f} {best:9.1f} {beside} {bar:5} {verdict:4}  {name}  {_size(answer)}",
            flush=True,
        )
    store.close()


if __name__ == "__main__":
    main()

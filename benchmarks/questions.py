"""How long questions take: the first pages, counts, tallies and searches of `dataset`.

    python -m benchmarks.dataset sqlite:////tmp/crm.db
    python -m benchmarks.questions sqlite:////tmp/crm.db

Prints the median of each, warm, without loading the people of a page, next to its bar.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from tinycrm_core.filters import Param, parse
from tinycrm_core.query import Query, Sort
from tinycrm_core.sql.store import SQLStore
from tinycrm_core.times import to_micros

SEEN = Sort("seen", descending=True)
MRR = Param(("mrr",))

PAGES: tuple[tuple[str, Sort], ...] = (
    ("", SEEN),
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
        for words in ("", "project:beacon status:paid"):
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


def median(store: SQLStore, ask: Callable[[Any, int], object], now: int) -> tuple[float, object]:
    times, answer = [], None
    for turn in range(6):
        with store.begin("default", write=False) as tx:
            started = time.perf_counter()
            try:
                answer = ask(tx, now)
            except Exception as error:
                answer = error
            passed = (time.perf_counter() - started) * 1000
        if isinstance(answer, Exception):
            return passed, answer
        if turn or passed > 1000:
            times.append(passed)
        if passed > 1000:
            break
    return statistics.median(times), answer


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
    gc.disable()
    for name, bar, ask in questions():
        if asked.only in name:
            passed, answer = median(store, ask, now)
            verdict = "ok" if passed <= bar else "over"
            print(f"{passed:9.1f} ms  {bar:4} {verdict:4}  {name}  {_size(answer)}", flush=True)
    store.close()


if __name__ == "__main__":
    main()

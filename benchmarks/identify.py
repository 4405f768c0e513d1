"""identify() beside the raw driver and beside Django's ORM, one call and batches of 500."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from itertools import count, cycle, repeat
from pathlib import Path
from typing import Any

from benchmarks.raw import Person, RawPostgres, RawSQLite, django_writer
from benchmarks.timing import CLOCK, PROCESSOR, Clock, interleaved, micros, ratios, table
from tinycrm_core.client import TinyCRM
from tinycrm_core.events import Identify
from tinycrm_core.sql import SQLStore

PEOPLE = 2000
BATCH = 500


def people(*, changing: bool) -> Iterator[Person]:
    """The same people over and over; those that are `changing` have another value every time."""
    values = count() if changing else repeat(0)
    kind = "changing" if changing else "same"
    for number, value in zip(cycle(range(PEOPLE)), values, strict=False):
        params = {"plan": "pro", "source": "producthunt", "mrr": value}
        yield number + PEOPLE * changing, f"{kind}{number}@example.com", params


def many(source: Iterator[Person]) -> list[Person]:
    return [next(source) for _ in range(BATCH)]


class Ours:
    """TinyCRM as an application calls it."""

    def __init__(self, store: SQLStore) -> None:
        self.crm = TinyCRM.over(store, project="shop")
        self._same, self._changing = people(changing=False), people(changing=True)
        self._fresh = count(10**6)
        for _ in range(PEOPLE // BATCH):
            self.batch(many(self._same))
            self.batch(many(self._changing))

    def one(self, person: Person) -> None:
        _, email, params = person
        self.crm.identify(email, name="Ada", status="paid", params=params)

    def batch(self, some: list[Person]) -> None:
        events = [
            Identify(email, name="Ada", status="paid", params=params) for _, email, params in some
        ]
        self.crm.bound.send(events)

    def same(self) -> None:
        self.one(next(self._same))

    def changed(self) -> None:
        self.one(next(self._changing))

    def new(self) -> None:
        number = next(self._fresh)
        self.one((number, f"new{number}@example.com", {"plan": "pro", "mrr": number}))

    def ping(self) -> None:
        self.crm.ping(next(self._same)[1])

    def batch_same(self) -> None:
        self.batch(many(self._same))

    def batch_changed(self) -> None:
        self.batch(many(self._changing))

    def batch_new(self) -> None:
        numbers = [next(self._fresh) for _ in range(BATCH)]
        self.batch(
            [(n, f"new{n}@example.com", {"plan": "pro", "source": "hn", "mrr": n}) for n in numbers]
        )


CALLS = {
    "identify, one param changed": "changed",
    "identify, nothing new": "same",
    "identify, a new person": "new",
    "ping": "ping",
}
BATCHES = {
    "one param changed": "batch_changed",
    "nothing new": "batch_same",
    "new people": "batch_new",
}


def single(
    title: str,
    ours: Ours,
    raw: dict[str, Callable[[], Any]],
    bar: str,
    *,
    calls: int,
    clock: Clock,
) -> None:
    base = next(iter(raw))
    contenders = raw | {name: getattr(ours, method) for name, method in CALLS.items()}
    bars = dict.fromkeys(("identify, one param changed", "identify, nothing new"), bar)
    ratios(title, interleaved(contenders, calls=calls, clock=clock), base, bars)


def batches(title: str, ours: Ours, raw: Any, least: int, clock: Clock) -> None:
    """Events a second; the raw driver writes its two rows for each of 500 with executemany."""
    changing = people(changing=True)
    raw_name = "raw executemany, two rows each"
    contenders: dict[str, Callable[[], Any]] = {raw_name: lambda: raw.write(many(changing))}
    contenders |= {name: getattr(ours, method) for name, method in BATCHES.items()}
    times = interleaved(contenders, calls=3, clock=clock)
    rows = [
        (
            name,
            micros(each / BATCH),
            f"{BATCH / each:,.0f}/s",
            f"{times[raw_name] / each:.2f}×",
            "" if name == raw_name else f"≥ {least:,}/s, ≥ 0.4×",
        )
        for name, each in times.items()
    ]
    table(title, ("", "one event", "events", "of raw", "bar"), rows)


def on_sqlite(folder: Path, synchronous: str, *, with_django: bool) -> None:
    ours = Ours(SQLStore(f"sqlite:///{folder / f'ours-{synchronous}.db'}", synchronous=synchronous))
    raw = RawSQLite(folder / f"raw-{synchronous}.db", synchronous)
    changing = people(changing=True)
    others: dict[str, Callable[[], Any]] = {"raw sqlite3": lambda: raw.write([next(changing)])}
    if with_django:
        django = django_writer(folder / "django.db", synchronous)
        others["Django update_or_create ×2"] = lambda: django(next(changing))
    raw.write([next(changing) for _ in range(PEOPLE)])
    title = f"SQLite file, synchronous={synchronous}"
    if synchronous == "NORMAL":
        single(title, ours, others, "≤ 10×", calls=200, clock=PROCESSOR)
        batches(f"{title}, batches of {BATCH}", ours, raw, 25_000, PROCESSOR)
    else:
        single(title, ours, others, "", calls=50, clock=CLOCK)
    ours.crm.close()


def on_postgres(url: str) -> None:
    ours, raw = Ours(SQLStore(url)), RawPostgres(url)
    changing = people(changing=True)
    raw.write([next(changing) for _ in range(PEOPLE)])
    raw.analyze()
    others = {
        "raw psycopg": lambda: raw.write([next(changing)]),
        "raw psycopg, one statement": lambda: raw.write_as_one([next(changing)]),
    }
    single("PostgreSQL", ours, others, "≤ 3×", calls=50, clock=CLOCK)
    batches(f"PostgreSQL, batches of {BATCH}", ours, raw, 10_000, CLOCK)
    raw.connection.close()
    ours.crm.close()


def on_sqlite_files() -> None:
    with tempfile.TemporaryDirectory(prefix="tinycrm-benchmarks-") as name:
        folder = Path(name)
        on_sqlite(folder, "NORMAL", with_django=True)
        on_sqlite(folder, "FULL", with_django=False)

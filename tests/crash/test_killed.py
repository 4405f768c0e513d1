"""C1: a writer killed at any moment has stored whatever it acknowledged, and nothing by half.

Every cycle starts a process, lets it acknowledge a random number of calls, kills it with SIGKILL
1 to 50 ms later, and looks at the database; the whole of it is recounted now and then, and at the
end.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from collections import Counter
from typing import Any

import pytest

from tests.concurrency.databases import broken
from tests.concurrency.together import CONTEXT, FULL
from tests.crash.writer import write
from tinycrm_core.client import TinyCRM

CYCLES = int(os.environ.get("TINYCRM_TEST_CYCLES", "500" if FULL else "25"))

MOST_CALLS = 16


def killed(where: str, cycle: int) -> list[list[Any]]:
    """What a writer acknowledged before its death."""
    reading, writing = os.pipe()
    process = CONTEXT.Process(target=_write, args=(where, cycle, CONTEXT.reducer.DupFd(writing)))
    process.start()
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        # Counted in calls, not in time, so that a slow machine dies in the late ones as well.
        said = [pipe.readline() for _ in range(1 + random.randrange(MOST_CALLS))]
        time.sleep(random.uniform(0.001, 0.050))  # so that death comes anywhere in a call
        os.kill(process.pid or 0, signal.SIGKILL)
        process.join()
        said += pipe.readlines()
    assert process.exitcode == -signal.SIGKILL
    assert json.loads(said[0]) == ["ready"]
    return [json.loads(line) for line in said[1:] if line.endswith(b"\n")]


def _write(where: str, cycle: int, pipe: Any) -> None:
    write(where, cycle, pipe.detach())


def missing(crm: TinyCRM, acknowledged: list[list[Any]]) -> list[str]:
    """What was acknowledged and is not stored; later calls of the same cycle are allowed for."""
    lost = []
    merged = {each[2] for each in acknowledged if each[0] == "merged"}
    for kind, *facts in acknowledged:
        match kind:
            case "new" | "changed":
                email, params = facts
                project = "shop" if kind == "new" else "news"
                person = crm.customers.get(email)
                membership = person and person.on(project)
                kept = membership is not None and membership.params == params
                if kind == "changed" and membership is not None:
                    kept = kept and membership.status == "paid"
            case "step":
                person = crm.customers.get("steady@example.com")
                kept = person is not None and person.memberships[0].params["step"] >= facts[0]
            case "batch":
                # The second of the five may have been deleted since.
                emails = [f"b{each}.{facts[0]}@example.com" for each in (0, 2, 3, 4)]
                kept = all(crm.customers.get(email) for email in emails)
            case "merged":
                person = crm.customers.get(facts[1])
                kept = person is not None and (person.email, *person.aliases) == tuple(facts)
            case "moved":
                person = crm.customers.get(facts[0])
                kept = person is not None and person.email == facts[1]
            case _:
                kept = crm.customers.get(facts[0]) is None
        if not kept:
            lost.append(f"{kind} {facts}")
    assert merged <= {each[1] for each in acknowledged if each[0] == "changed"}
    return lost


@pytest.mark.slow
@pytest.mark.timeout(120 if CYCLES <= 50 else 1800)
def test_c1_what_was_acknowledged_survives_kill_9(where: str, capsys: Any) -> None:
    kinds: Counter[str] = Counter()
    with TinyCRM(where) as crm:
        for slug in ("shop", "news"):
            crm.projects.add(slug)
        for cycle in range(1, CYCLES + 1):
            acknowledged = killed(where, cycle)
            kinds.update(kind for kind, *_ in acknowledged)
            lost = missing(crm, acknowledged)
            assert not lost, f"cycle {cycle}: {lost}"
            if cycle % 50 == 0 or cycle <= 5:
                assert not broken(where)
        people = crm.customers.count()
        assert crm.check() == []
    assert not broken(where)
    assert {"new", "step", "changed", "batch", "merged", "moved", "deleted"} <= kinds.keys()
    if FULL:
        with capsys.disabled():
            sys.stdout.write(
                f"\nC1 on {where.partition(':')[0]}: {CYCLES} kills, {kinds.total()} acknowledged "
                f"calls stored, {people} people, nothing by half\n"
            )

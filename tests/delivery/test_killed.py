"""Senders killed at any moment, with a server that comes and goes: the file loses nothing.

Every cycle starts a process that reports until it is killed with SIGKILL, and says of each call
that came back what it reported. In the end what is stored must be what was acknowledged, and
history must show each event once.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.concurrency.together import CONTEXT, FULL
from tests.delivery.faults import Proxy, proxied
from tests.server.live import Live
from tinycrm_core import Change, TinyCRM
from tinycrm_core.spool import Spool

CYCLES = int(os.environ.get("TINYCRM_TEST_CYCLES", "300" if FULL else "12"))
OUTAGE = 60.0 if FULL else 3.0
"""Seconds that the server is away at the end, while senders go on."""

LEASE = 1.0


def send(where: str, file: str, cycle: int, pipe: Any) -> None:
    """Report until killed; one line in the pipe for each call that has returned."""
    out = pipe.detach()
    crm = TinyCRM(where, project="shop", spool=Spool(file, lease=LEASE))
    for step in count():
        number = cycle * 1_000_000 + step
        result = crm.identify(f"p{number}@example.com", name="Ada", params={"n": number})
        assert result.action == "queued"
        crm.identify("steady@example.com", params={"step": number})
        if crm.stats().unspooled:
            os._exit(3)  # memory promises less, so it must not be counted
        os.write(out, b"%d\n" % number)
        time.sleep(random.uniform(0, 0.004))


def killed(where: str, file: Path, cycle: int) -> list[int]:
    """What one sender acknowledged before its death."""
    reading, writing = os.pipe()
    process = CONTEXT.Process(
        target=send, args=(where, str(file), cycle, CONTEXT.reducer.DupFd(writing))
    )
    process.start()
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = [pipe.readline() for _ in range(random.randrange(1, 40))]
        time.sleep(random.uniform(0.001, 0.3))
        os.kill(process.pid or 0, signal.SIGKILL)
        process.join()
        said += pipe.readlines()
    assert process.exitcode == -signal.SIGKILL
    return [int(line) for line in said if line.endswith(b"\n")]


def disturb(proxy: Proxy) -> None:
    """Another weather for the next cycle."""
    proxy.down, proxy.cut, proxy.reset, proxy.delay = False, 0, random.random() < 0.5, 0.0
    match random.randrange(4):
        case 0:
            proxy.down = True
        case 1:
            proxy.cut = random.randrange(1, 4)
        case 2:
            proxy.delay = 0.1


@pytest.mark.slow
@pytest.mark.timeout(1800 if FULL else 120)
def test_a_spool_loses_nothing_and_applies_nothing_twice(
    live: Live, address: Callable[[str], str], tmp_path: Path, capsys: Any
) -> None:
    file, acknowledged = tmp_path / "spool.db", []
    with proxied(live.port) as proxy:
        where = address("shop").replace(str(live.port), str(proxy.port))
        for cycle in range(1, CYCLES + 1):
            disturb(proxy)
            acknowledged += killed(where, file, cycle)
        proxy.down = True
        end = time.monotonic() + OUTAGE
        while time.monotonic() < end:
            cycle += 1
            acknowledged += killed(where, file, cycle)
        disturb(proxy)
        proxy.down, proxy.cut = False, 1
        last = TinyCRM(where, project="shop", spool=Spool(file, lease=LEASE))
        last.identify("last@example.com")
        assert last.flush(100), last.stats()
        assert last.stats().refused == 0
        last.close()
    check(live.crm, acknowledged)
    if FULL:
        with capsys.disabled():
            sys.stdout.write(
                f"\nspool: {cycle} kills, {OUTAGE:.0f} s of outage, {len(acknowledged)} calls "
                "acknowledged, all stored, each applied once\n"
            )


def recorded(crm: TinyCRM, email: str) -> Iterator[Change]:
    """The whole history of a person."""
    after: str | None = None
    while True:
        page = crm.customers.history(email, limit=500, after=after)
        yield from page
        after = page.next
        if after is None:
            return


def check(crm: TinyCRM, acknowledged: list[int]) -> None:
    stored: set[int] = set()
    for person in crm.customers.stream("-email:steady@example.com -email:last@example.com"):
        (membership,) = person.memberships
        stored.add(membership.params["n"])
        assert person.email == f"p{membership.params['n']}@example.com"
        assert len(crm.customers.history(person.email)) == 1
    missing = set(acknowledged) - stored
    assert not missing, f"{len(missing)} of {len(acknowledged)} lost: {sorted(missing)[:5]}"
    # Of each cycle at most the call that was not acknowledged any more may be there besides.
    more = Counter(number // 1_000_000 for number in stored - set(acknowledged))
    assert max(more.values(), default=0) <= 1
    steps: Counter[int] = Counter()
    for change in recorded(crm, "steady@example.com"):
        if "params.step" in change.changes:
            steps[change.changes["params.step"][1]] += 1
        if "params.step" in change.late:
            steps[change.late["params.step"]] += 1
    assert set(acknowledged) <= set(steps)
    assert set(steps.values()) == {1}

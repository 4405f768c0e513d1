"""What a queued call costs the caller beside two known clients, and how fast a batch travels."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from itertools import count
from queue import SimpleQueue
from typing import Any

from benchmarks.timing import interleaved, micros, ratios, table
from tests.delivery.faults import KEY, scripted, silent
from tinycrm_core.background import Background
from tinycrm_core.client import TinyCRM
from tinycrm_core.http import HTTPTransport
from tinycrm_core.limits import LIMITS
from tinycrm_core.model import Json
from tinycrm_core.remote import find_server
from tinycrm_core.snapshot import identify_text, stamped

CALLS = 5000
PARAMS: dict[str, Json] = {"plan": "pro", "source": "producthunt", "mrr": 29}


def transport(port: int) -> HTTPTransport:
    server = find_server(f"http://{KEY}@127.0.0.1:{port}", None, None, allow_http=False)
    assert server is not None
    return HTTPTransport(server)


def peers(port: int) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Other clients, as far as they are installed, with a server that never answers."""
    host = f"http://127.0.0.1:{port}"
    logging.getLogger("posthog").disabled = logging.getLogger("segment").disabled = True
    with contextlib.suppress(ImportError):
        from posthog import Posthog

        posthog = Posthog("key", host=host, max_queue_size=10**7)
        yield (
            "posthog",
            lambda: posthog.set(distinct_id="ada@example.com", properties=dict(PARAMS)),
        )
    with contextlib.suppress(ImportError):
        from segment.analytics.client import Client

        segment = Client("key", host=host, max_queue_size=10**7)
        yield (
            "analytics-python",
            lambda: segment.identify("ada@example.com", {"name": "Ada", **PARAMS}),
        )


def enqueue() -> None:
    with silent() as port:
        queue = Background(transport(port), interval=3600.0)
        queue._most = 10**7  # nothing leaves, so that only the caller's side is timed

        def empty() -> None:
            line = queue._line()
            line.events.clear()
            line.waiting = line.bytes = 0

        crm = TinyCRM(f"http://{KEY}@127.0.0.1:{port}", project="shop")
        assert crm.queue is not None
        crm.queue.close(0)
        crm.queue = queue
        plain: SimpleQueue[object] = SimpleQueue()
        contenders: dict[str, Callable[[], Any]] = {
            "SimpleQueue.put": lambda: plain.put(PARAMS),
            "identify, name and three params": lambda: crm.identify(
                "ada@example.com", name="Ada Lovelace", status="paid", params=PARAMS
            ),
            "project.identify, the same": lambda shop=crm.bound: shop.identify(
                "ada@example.com", name="Ada Lovelace", status="paid", params=PARAMS
            ),
            "identify, nested params": lambda: crm.identify(
                "ada@example.com", params={"plan": {"name": "pro"}}
            ),
            "ping": lambda: crm.ping("ada@example.com"),
            **dict(peers(port)),
        }
        times = interleaved(contenders, calls=CALLS, before=empty)
        assert queue.stats().dropped == 0
        bars = {name: "≤ 3 µs" for name in contenders if "three params" in name}
        ratios("A queued call", times, "SimpleQueue.put", bars)


def batches() -> None:
    """Batches of 500 events on one connection, to a server that only reads and answers."""
    with scripted() as server:
        sender, numbers = transport(server.port), count()

        def batch() -> None:
            texts = [
                stamped(
                    identify_text(
                        f"p{next(numbers)}@example.com", "Ada", "paid", PARAMS,
                        None, None, None, True, LIMITS,
                    ),
                    1_790_000_000_000_000,
                    "id",
                )
                for _ in range(500)
            ]  # fmt: skip
            sender.deliver("shop", texts)

        times = interleaved({"HTTP, 500 events": batch}, calls=5)
        rows = [
            (name, f"{each * 1000:.1f} ms", micros(each / 500), f"{500 / each:,.0f}/s")
            for name, each in times.items()
        ]
        table("Batches over HTTP, both ends here", ("", "batch", "event", "events"), rows)
        sender.close()


def main() -> None:
    enqueue()
    batches()

"""A process that writes until it is killed, and says of every call that came back what it did."""

from __future__ import annotations

import json
import os
from itertools import count
from typing import Any

from tinycrm_core.client import TinyCRM
from tinycrm_core.events import Event, Identify, Ping


def write(where: str, cycle: int, pipe: int) -> None:
    """Acknowledge each call by one line of JSON in the pipe, after it has returned."""

    def say(kind: str, *facts: Any) -> None:
        os.write(pipe, json.dumps([kind, *facts]).encode() + b"\n")

    crm = TinyCRM(where)
    shop, news = crm.project("shop"), crm.project("news")
    crm.customers.count(cap=1)
    say("ready")
    for step in count():
        mark = f"{cycle}-{step}"
        one, two = f"one{mark}@example.com", f"two{mark}@example.com"
        params = {"cycle": cycle, "step": step, "deep": {"list": [step, None, True]}}
        shop.identify(one, name="One", status="trial", params=params)
        say("new", one, params)
        shop.identify("steady@example.com", params={"step": cycle * 10_000 + step})
        say("step", cycle * 10_000 + step)
        news.identify(two, status="free", params={"cycle": cycle, "gone": mark})
        news.identify(two, status="paid", unset=["gone"], set_once={"once": mark})
        say("changed", two, {"cycle": cycle, "once": mark})
        events: list[Event] = [
            Identify(f"b{each}.{mark}@example.com", params={"batch": mark}) for each in range(5)
        ]
        shop.send([*events, Ping("steady@example.com")])
        say("batch", mark)
        crm.customers.merge(one, two)
        say("merged", one, two)
        crm.customers.change_email(f"b0.{mark}@example.com", f"moved.{mark}@example.com")
        say("moved", f"b0.{mark}@example.com", f"moved.{mark}@example.com")
        crm.customers.delete(f"b1.{mark}@example.com")
        say("deleted", f"b1.{mark}@example.com")

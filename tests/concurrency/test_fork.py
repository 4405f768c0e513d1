"""S10: a store that was used before a fork works in the parent and in every child."""

from __future__ import annotations

import subprocess
import sys

from tests.concurrency.databases import broken
from tinycrm_core.client import TinyCRM

# In a process of its own, because a fork copies whatever else runs here.
FORKING = """
import os, sys, threading, traceback
from tinycrm_core.client import TinyCRM

crm = TinyCRM(sys.argv[1], project="shop")
crm.identify("parent@example.com", params={"n": 0})
meeting = threading.Barrier(3)

def use():  # as many connections as threads are in the pool, all idle, when the fork happens
    with crm.store.begin("default", write=False) as tx:
        meeting.wait(30)
        assert tx.projects()

threads = [threading.Thread(target=use) for _ in range(3)]
for thread in threads: thread.start()
for thread in threads: thread.join()

def work(name):
    for each in range(20):
        crm.identify(f"{name}@example.com", params={f"k{each}": each})
        crm.identify("all@example.com", params={f"{name}.{each}": each})
        assert crm.customers.find(f"email:{name}@example.com").customers
        assert crm.ping("parent@example.com")

children = []
for number in range(4):
    child = os.fork()
    if not child:
        try:
            work(f"child{number}")
            crm.close()  # closes the child's own connections, not the parent's
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    children.append(child)
work("parent")
failed = [child for child in children if os.waitpid(child, 0)[1]]
work("parent")
crm.close()
sys.exit(bool(failed))
"""


def test_s10_four_children_and_their_parent_all_work(where: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", FORKING, where],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    with TinyCRM(where) as crm:
        assert crm.customers.count() == 6
        everybody = crm.customers.get("all@example.com")
        assert everybody is not None
        writers = ["parent", *(f"child{number}" for number in range(4))]
        expected = {f"{name}.{each}": each for name in writers for each in range(20)}
        assert everybody.memberships[0].params == expected
        assert crm.check() == []
    assert not broken(where)

"""Forks: a child starts empty and delivers its own, and the parent sends what was the parent's."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.core.delivery.test_calls import transport_to
from tests.delivery.faults import scripted
from tests.delivery.processes import run
from tinycrm_core import TinyCRM
from tinycrm_core.background import Background
from tinycrm_core.events import Ping

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def child(work: Any) -> int:
    """Run something in a forked child, which ends without any clean-up; its exit code."""
    pid = os.fork()
    if not pid:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_q4_each_side_of_a_fork_sends_its_own_once() -> None:
    with scripted() as server:
        crm = TinyCRM(server.url, project="shop")
        crm.ping("before@example.com")
        assert crm.flush(20)
        for number in range(30):
            crm.ping(f"parent{number}@example.com")

        def work() -> None:
            assert crm.stats().queued == 0
            for number in range(30):
                crm.ping(f"child{number}@example.com")
            assert crm.flush(20)
            assert crm.stats().delivered == 30

        assert child(work) == 0
        assert crm.flush(20)
        assert crm.stats().delivered == 31
        crm.close()
        expected = ["before@example.com"]
        expected += [f"{who}{n}@example.com" for who in ("parent", "child") for n in range(30)]
        assert Counter(server.emails) == Counter(expected)
        assert len({each.peer for each in server.seen}) >= 2


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_q5_a_fork_while_locks_are_held_and_a_request_is_on_its_way() -> None:
    answering = threading.Event()
    arrived = threading.Event()

    def slow(events: list[Any]) -> Any:
        from tests.delivery.faults import accepted

        if events[0]["email"].startswith("parent"):
            arrived.set()
            answering.wait(30)
        return accepted(events)

    with scripted(slow) as server:
        queue = Background(transport_to(server.port), interval=0.0)
        queue.send("shop", [Ping("parent@example.com")])
        assert arrived.wait(20)
        inherited = queue.transport
        held, free = threading.Event(), threading.Event()
        line = queue._line()

        def hold() -> None:
            with line.lock:
                held.set()
                free.wait(60)

        holder = threading.Thread(target=hold)
        holder.start()
        assert held.wait(10)

        def work() -> None:
            assert queue.transport is inherited
            queue.send("shop", [Ping("child@example.com")])
            mine = queue._line()
            assert mine is not line
            assert mine.lock.acquire(blocking=False)
            mine.lock.release()
            assert queue.flush(20)

        code = child(work)
        free.set()
        holder.join()
        answering.set()
        assert code == 0
        assert queue.flush(20)
        peers = {each.emails[0]: each.peer for each in server.seen}
        assert peers["child@example.com"] != peers["parent@example.com"]
        assert Counter(server.emails) == {"parent@example.com": 1, "child@example.com": 1}
        queue.close()


def test_q4_a_fork_that_tells_python_nothing() -> None:
    """As uWSGI does it without its fork hooks.

    Each fork waits for the thread to sleep: one that reaches for the interpreter's lock at that
    moment leaves it broken in the child, whoever's thread it is.
    """
    code = """
    import ctypes, os, sys, time
    from tinycrm_core import TinyCRM
    crm = TinyCRM(sys.argv[1], project="shop")
    crm.ping("before@example.com")
    assert crm.flush(20)
    crm.ping("parent@example.com")
    fork = ctypes.PyDLL(None).fork
    children = []
    for number in range(3):
        line = crm.queue._line()
        while line.running and not line.asleep:
            time.sleep(0.001)
        time.sleep(0.02)
        pid = fork()
        if not pid:
            crm.ping(f"child{number}@example.com")
            ok = crm.flush(20) and crm.stats().queued == 1
            os._exit(0 if ok else 1)
        children.append(pid)
    codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]
    assert codes == [0, 0, 0], codes
    """
    with scripted() as server:
        run(code, server.url)
        expected = ["before@example.com", "parent@example.com"]
        expected += [f"child{number}@example.com" for number in range(3)]
        assert Counter(server.emails) == Counter(expected)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_q7_children_of_multiprocessing_send_when_they_end(method: str, tmp_path: Path) -> None:
    """Where `atexit` does not run."""
    program = tmp_path / "program.py"
    program.write_text(
        """
import multiprocessing, sys
from tinycrm_core import TinyCRM

crm = TinyCRM(sys.argv[1], project="shop")

def work(number):
    crm.ping(f"p{number}@example.com")

if __name__ == "__main__":
    crm.ping("parent@example.com")
    context = multiprocessing.get_context(sys.argv[2])
    processes = [context.Process(target=work, args=(number,)) for number in range(5)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    with context.Pool(2, maxtasksperchild=1) as pool:
        pool.map(work, range(5, 11), chunksize=1)
        pool.close()
        pool.join()
"""
    )
    with scripted() as server:
        run(
            f"import subprocess, sys; subprocess.run([sys.executable, {str(program)!r}, "
            "*sys.argv[1:]], check=True)",
            server.url,
            method,
            timeout=100,
        )
        expected = ["parent@example.com", *(f"p{number}@example.com" for number in range(11))]
        assert Counter(server.emails) == Counter(expected)


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_children_share_a_file_with_their_parent(tmp_path: Path) -> None:
    with scripted() as server:
        crm = TinyCRM(server.url, project="shop", spool=tmp_path / "spool.db")
        crm.ping("parent@example.com")
        for number in range(5):

            def work(number: int = number) -> None:
                for count in range(20):
                    crm.ping(f"p{count}.{number}@example.com")

            assert child(work) == 0  # gone at once, without a flush
        crm.ping("after@example.com")
        assert crm.flush(60)
        assert len(set(server.emails)) == 102
        assert crm.stats().unspooled == 0
        crm.close()


def test_a_fork_waits_for_no_transaction_of_the_file(tmp_path: Path) -> None:
    """Many forks while threads write to the file: no child finds it locked by nobody."""
    code = """
    import os, sys, threading
    from tinycrm_core import TinyCRM
    crm = TinyCRM(sys.argv[1], project="shop", spool=sys.argv[2])
    stop = threading.Event()
    def write():
        while not stop.is_set():
            crm.ping("ada@example.com")
    threads = [threading.Thread(target=write) for _ in range(2)]
    for thread in threads:
        thread.start()
    bad = 0
    for number in range(30):
        pid = os.fork()
        if not pid:
            crm.ping(f"p{number}@example.com")
            os._exit(crm.stats().spooled != 1)
        bad += os.waitpid(pid, 0)[1] != 0
    stop.set()
    for thread in threads:
        thread.join()
    print(bad)
    """
    with scripted() as server:
        start = time.monotonic()
        # A busy file may send one of them to memory; locked by nobody it would be all of them.
        assert int(run(code, server.url, str(tmp_path / "spool.db"), timeout=110)) <= 5
        assert time.monotonic() - start < 110

"""How a process ends: with everything sent, in bounded time, or with what a file keeps."""

from __future__ import annotations

import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.delivery.faults import KEY, accepted, refused, scripted, silent
from tests.delivery.processes import run, start

REPORT = """
import sys
from tinycrm_core import TinyCRM
crm = TinyCRM(sys.argv[1], project="shop", spool=sys.argv[2] if len(sys.argv) > 2 else None)
for number in range(500):
    crm.identify(f"p{number}@example.com", params={"n": number})
"""
EVERYBODY = sorted(f"p{number}@example.com" for number in range(500))


def test_q6_a_process_that_ends_has_sent_everything() -> None:
    with scripted() as server:
        run(REPORT, server.url)
        assert sorted(server.emails) == EVERYBODY


def test_q6_the_end_waits_two_seconds_for_all_clients_together() -> None:
    code = """
    import sys, time
    from tinycrm_core import TinyCRM
    for _ in range(8):
        TinyCRM(sys.argv[1], project="shop").ping("ada@example.com")
    time.sleep(0.5)  # by now every client has sent something that is never answered
    import atexit
    start = time.monotonic()
    import tinycrm_core.background as module
    module._finish()
    print(time.monotonic() - start)
    """
    with silent() as port:
        waited = float(run(code, f"http://{KEY}@127.0.0.1:{port}"))
    assert 1.5 < waited < 6


@pytest.mark.parametrize("status", [503, 401])
def test_q6_a_server_that_refuses_holds_nobody_up(status: int) -> None:
    with scripted(lambda _: refused(status)) as server:
        start = time.monotonic()
        run(REPORT, server.url)
        assert time.monotonic() - start < 30


def test_q6_a_collected_client_still_sends() -> None:
    code = """
    import gc, sys
    from tinycrm_core import TinyCRM
    def report(number):
        TinyCRM(sys.argv[1], project="shop").ping(f"p{number}@example.com")
    for number in range(20):
        report(number)
        gc.collect()
    """
    with scripted() as server:
        run(code, server.url)
        assert len(set(server.emails)) == 20


def test_q18_reports_at_the_very_end_are_sent_or_counted_and_never_raise() -> None:
    code = """
    import atexit, sys, threading
    from tinycrm_core import TinyCRM
    crm = TinyCRM(sys.argv[1], project="shop")
    class Late:
        def __del__(self):
            crm.ping("del@example.com")
    late = Late()
    atexit.register(lambda: crm.ping("after@example.com"))
    crm.ping("first@example.com")
    atexit.register(lambda: crm.ping("before@example.com"))
    """
    with scripted() as server:
        with start(code, server.url) as process:
            _, err = process.communicate(timeout=60)
        assert (process.returncode, err) == (0, "")
        assert {"first@example.com", "before@example.com"} <= set(server.emails)


def test_q18_without_threads_flush_works_itself() -> None:
    code = """
    import sys, threading
    from tinycrm_core import TinyCRM
    def start(self):
        raise RuntimeError("can't start new thread")
    threading.Thread.start = start
    crm = TinyCRM(sys.argv[1], project="shop")
    for number in range(50):
        crm.ping(f"p{number}@example.com")
    assert crm.flush(20)
    crm.ping("last@example.com")
    print(crm.stats())
    """
    with scripted() as server:
        assert "delivered=50" in run(code, server.url)
        assert len(server.emails) == 51  # the end of the process sent the last one


def test_q18_gevent_before_or_after_the_import() -> None:
    pytest.importorskip("gevent")
    for lines in (
        ["from gevent import monkey; monkey.patch_all()", "from tinycrm_core import TinyCRM"],
        ["from tinycrm_core import TinyCRM", "from gevent import monkey; monkey.patch_all()"],
    ):
        code = "\n".join(
            [
                *lines,
                "import sys, gevent",
                "crm = TinyCRM(sys.argv[1], project='shop')",
                "def work(n): crm.ping(f'p{n}@example.com'); gevent.sleep(0.001)",
                "gevent.joinall([gevent.spawn(work, n) for n in range(100)])",
                "assert crm.flush(20), crm.stats()",
                "crm.ping('last@example.com')",
            ]
        )
        with scripted() as server:
            run(code, server.url)
            assert len(set(server.emails)) == 101, lines


STAY = (
    REPORT
    + """
print("said", flush=True)
import time
time.sleep(600)  # until it is ended
"""
)


def end_by(how: signal.Signals, server: Any, *spool: str) -> None:
    with start(STAY, server.url, *spool) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "said\n"
        process.send_signal(how)
        process.wait(30)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_q7_what_a_file_holds_survives_every_end(how: signal.Signals, tmp_path: Path) -> None:
    """Without a file, a signal that ends the process loses what waits; with one, nothing."""
    spool = str(tmp_path / "spool.db")
    with scripted(lambda _: refused(503)) as server:
        end_by(how, server, spool)
        server.seen.clear()
        server.answer = accepted
        # The rows it may have taken are free again after its lease, so the next one waits for it.
        code = """
        import sys
        from tinycrm_core import TinyCRM
        from tinycrm_core.spool import Spool
        crm = TinyCRM(sys.argv[1], project="shop", spool=Spool(sys.argv[2], lease=1))
        crm.ping("last@example.com")
        assert crm.flush(50), crm.stats()
        """
        run(code, server.url, spool)
        assert sorted(set(server.emails)) == sorted([*EVERYBODY, "last@example.com"])


def test_q7_os_exit_sends_nothing_but_flush_before_it_does() -> None:
    with scripted() as server:
        code = REPORT + "assert crm.flush(20)\nimport os\nos._exit(0)\n"
        run(code, server.url)
        assert sorted(server.emails) == EVERYBODY


def test_q7_sigterm_with_a_handler_that_exits_sends_everything() -> None:
    """What gunicorn, Celery and uWSGI do for their workers."""
    code = "import signal, sys\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\n" + STAY
    with scripted() as server:
        with start(code, server.url) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "said\n"
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
        assert sorted(Counter(server.emails)) == EVERYBODY

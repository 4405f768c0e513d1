"""R4: what a noisy product costs the others.

TINYCRM_TEST_FULL=1 holds the promised figure, which wants a machine that has nothing else to do.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

from tests.server.processes import key_for, serve
from tinycrm_core.client import TinyCRM

FULL = "TINYCRM_TEST_FULL" in os.environ
ROUNDS, CALLS, TIMES = (10, 100, 2) if FULL else (2, 20, 20)
BODY = json.dumps({"email": "alice@example.com"})
NOISE = """
import http.client, sys
connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=60)
headers = {"Authorization": sys.argv[2], "Content-Type": "application/json"}
told = False
while True:
    connection.request("POST", "/v1/ping", sys.argv[3], headers)
    answer = connection.getresponse()
    answer.read()
    if answer.status == 429 and not told:
        told = print("ready", flush=True) is None
"""


def test_r4_a_noisy_product_does_not_slow_the_others_down(tmp_path: Path) -> None:
    """R4: the slowest hundredth of calls beside a product that never stops trying and alone."""
    where = f"sqlite:///{tmp_path}/crm.db"
    noisy = key_for(where)["Authorization"]
    with TinyCRM(where) as crm:
        crm.projects.add("quiet")
        quiet = f"Bearer {crm.keys.create('quiet').secret}"
    settings = {"TINYCRM_RATE_PER_KEY": "3000/minute", "TINYCRM_RATE_PER_ADDRESS": ""}
    with serve(where, tmp_path, **settings) as running:
        found = re.search(r"on http://127\.0\.0\.1:(\d+)", running.text)
        assert found
        connection = http.client.HTTPConnection("127.0.0.1", int(found[1]), timeout=60)

        def took() -> float:
            headers = {"Authorization": quiet, "Content-Type": "application/json"}
            started = time.perf_counter()
            connection.request("POST", "/v1/identify", BODY, headers)
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200
            return time.perf_counter() - started

        alone: list[float] = []
        beside: list[float] = []
        for _ in range(ROUNDS):
            alone += [took() for _ in range(CALLS)]
            command = [sys.executable, "-c", NOISE, found[1], noisy, BODY]
            with subprocess.Popen(command, stdout=subprocess.PIPE) as noise:
                try:
                    assert noise.stdout
                    noise.stdout.readline()
                    beside += [took() for _ in range(CALLS)]
                finally:
                    noise.kill()
        connection.close()
    slow, slower = (statistics.quantiles(each, n=100)[-1] for each in (alone, beside))
    assert slower < TIMES * slow, f"{slow * 1000:.1f} ms alone, {slower * 1000:.1f} ms beside it"

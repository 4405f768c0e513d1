"""`python -m examples`: the three products and the admin, each a process of its own."""

from __future__ import annotations

import argparse
import contextlib
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from examples.serving import PORTS, end_on_signals


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m examples", description=__doc__)
    parser.add_argument("--folder", type=Path, help="keep the data here")
    parser.add_argument("--any-port", action="store_true", help="take ports that are free")
    asked = parser.parse_args()
    end_on_signals()
    with contextlib.ExitStack() as ending:
        folder = asked.folder
        if folder is None:
            folder = Path(ending.enter_context(tempfile.TemporaryDirectory(prefix="examples-")))
        folder.mkdir(parents=True, exist_ok=True)
        running = []
        for name, port in PORTS.items():
            port = 0 if asked.any_port else port
            command = [sys.executable, "-m", f"examples.{name}", str(folder), "--port", str(port)]
            # In a group of its own, so that Ctrl-C reaches it once: from here.
            running.append(subprocess.Popen(command, start_new_session=True))
        try:
            while all(each.poll() is None for each in running):
                time.sleep(0.2)
            sys.exit("one of them ended")
        except KeyboardInterrupt:
            print("\nEnding …")
        finally:
            for each in running:
                if each.poll() is None:
                    each.send_signal(signal.SIGINT)
            for each in running:
                each.wait(10)


main()

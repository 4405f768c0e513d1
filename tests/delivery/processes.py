"""Running programs that report, in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

from tests.sources import ROOT


def environment(**more: str) -> dict[str, str]:
    """What a child needs to find the tests, and nothing that colours its output."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "default", **more}


def start(code: str, *arguments: str, cwd: Path | None = None) -> subprocess.Popen[str]:
    """Start a Python program given as text."""
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        env=environment(),
        cwd=cwd,
    )


def run(code: str, *arguments: str, timeout: float = 60) -> str:
    """Run it to its end, which must be a good one; what it printed."""
    with start(code, *arguments) as process:
        try:
            out, err = process.communicate(timeout=timeout)
        finally:
            process.kill()
    assert process.returncode == 0, err
    return out

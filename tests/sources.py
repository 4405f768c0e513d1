"""The source files as the tests of layout and imports see them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "src").rglob("*.py"))

# Imports the modules named and stops at whatever would start or reach something.
QUIETLY = """
import importlib, sys, threading

def watch(event, arguments):
    if event.startswith(("socket.", "subprocess.", "os.fork", "os.posix_spawn")):
        raise RuntimeError(f"importing {name} does {event} {arguments}")

def start(thread):
    raise RuntimeError(f"importing {name} starts {thread}")

sys.addaudithook(watch)
threading.Thread.start = start
sys.path[:0] = filter(None, sys.argv[1:2])
for name in sys.argv[2:]:
    importlib.import_module(name)
"""


def name_of(path: Path) -> str:
    """The dotted name under which a source file is imported."""
    parts = path.relative_to(ROOT / "src").with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def import_quietly(names: list[str], *options: str, folder: Path | None = None) -> None:
    """Import modules in a new interpreter; fail if one is missing or does more than that."""
    command = [sys.executable, *options, "-c", QUIETLY, str(folder or ""), *names]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

"""Install, over what is there, the lowest version of each library that pyproject.toml admits."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

FLOOR = re.compile(r"(?P<name>[\w.-]+)(?P<extras>\[[\w,.-]+\])?>=(?P<version>[\w.]+)")


def lowest() -> Iterator[str]:
    with (Path(__file__).parents[1] / "pyproject.toml").open("rb") as file:
        extras = tomllib.load(file)["project"]["optional-dependencies"]
    for requirement in sorted({each for extra in extras.values() for each in extra}):
        if requirement.startswith("tinycrm["):
            continue
        floor = FLOOR.match(requirement)
        if floor is None:
            sys.exit(f"pyproject.toml names no lowest version: {requirement}")
        yield f"{floor['name']}{floor['extras'] or ''}=={floor['version']}"


if __name__ == "__main__":
    # The pins agree with each other; a test tool that would like a newer one has no say.
    pip = [sys.executable, "-m", "pip", "install"]
    done = subprocess.run([*pip, *lowest()], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stdout + done.stderr)

"""Programs that tests run, beside the Python ones that pip installs."""

from __future__ import annotations

import os
import shutil
import socket
import sys
from pathlib import Path

import pytest


def program(*names: str) -> str:
    """The path of the first that is installed; without one the test is skipped, on CI it fails."""
    places = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    for name in names:
        if found := shutil.which(name, path=places):
            return found
    missing = f"not installed: {' or '.join(names)}"
    if os.environ.get("CI") == "true":
        pytest.fail(missing)
    pytest.skip(missing)


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])

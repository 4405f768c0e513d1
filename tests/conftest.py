"""What every test may use: a database of its own on a real PostgreSQL, and a real Chromium."""

from __future__ import annotations

import ast
import contextlib
import importlib.util
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest

import tinycrm_core
from tests import postgres
from tests.programs import program

if TYPE_CHECKING:
    from tests.hosts.processes import Hosts

RUN = pytest.StashKey[Path]()
ALONE = "TINYCRM_TEST_ALONE" in os.environ
ENDING = pytest.StashKey[contextlib.ExitStack]()

# Hypothesis brings a profile for CI; elsewhere only the deadline goes, which a busy machine breaks.
if not os.environ.get("CI"):
    hypothesis.settings.register_profile("tinycrm", deadline=None)
    hypothesis.settings.load_profile("tinycrm")


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):
        config.stash[RUN] = Path(config.workerinput["run"])
        return
    config.stash[RUN] = Path(tempfile.mkdtemp(prefix="tinycrm-tests-"))
    config.stash[ENDING] = contextlib.ExitStack()
    config.stash[ENDING].enter_context(postgres.held(config.stash[RUN]))


def pytest_configure_node(node: Any) -> None:
    node.workerinput["run"] = str(node.config.stash[RUN])


def pytest_unconfigure(config: pytest.Config) -> None:
    if ENDING in config.stash:
        config.stash[ENDING].close()


def missing_libraries(path: Path) -> set[str]:
    """What a test file imports at its top and this environment has not."""
    names = set()
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    libraries = {"sqlalchemy" if n.startswith("tinycrm_core.sql") else n for n in names}
    return {n for n in libraries if importlib.util.find_spec(n.partition(".")[0]) is None}


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Where the core is tested alone, a file that asks for a library itself is left out."""
    if ALONE and collection_path.suffix == ".py" and missing_libraries(collection_path):
        return True
    return None


def pytest_report_header(config: pytest.Config) -> list[str]:
    tests = sorted((config.rootpath / "tests" / "core").rglob("test_*.py")) if ALONE else []
    return [
        f"left out for want of {', '.join(sorted(missing))}: {path.name}"
        for path in tests
        if (missing := missing_libraries(path))
    ]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        if "postgres_server" in fixtures:
            item.add_marker("postgres")
        if "browser_type_launch_args" in fixtures:
            item.add_marker("browser")
            # Two minutes are enough for what it computes, not for its turns on a busy machine.
            item.add_marker(pytest.mark.timeout(360))


@pytest.fixture
def core_alone(tmp_path: Path) -> Path:
    """A folder with tinycrm_core and nothing else, for `python -I -S`, which knows no packages."""
    (tmp_path / "tinycrm_core").symlink_to(Path(tinycrm_core.__file__).parent)
    return tmp_path


@pytest.fixture(scope="session")
def postgres_server(pytestconfig: pytest.Config) -> str:
    """URL of the run's PostgreSQL server, as a role that may create databases."""
    if os.environ.get(postgres.ENVIRONMENT) == "skip":  # whoever runs the tests has said so
        pytest.skip(f"{postgres.ENVIRONMENT}=skip")
    return postgres.server_url(pytestconfig.stash[RUN])


@pytest.fixture(scope="session")
def postgres_url(postgres_server: str) -> Iterator[str]:
    """URL of a database that one worker's tests share; what they leave in it stays."""
    with postgres.database(postgres_server) as url:
        yield url


@pytest.fixture
def fresh_postgres_url(postgres_server: str) -> Iterator[str]:
    """URL of a database of the test's own, empty at first."""
    with postgres.database(postgres_server) as url:
        yield url


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, Any]:
    """Launches the machine's Chromium; without one the test is skipped, on CI it fails."""
    executable = os.environ.get("TINYCRM_TEST_CHROMIUM") or program(
        "chromium", "chromium-browser", "google-chrome"
    )
    # Root needs the first; the others keep Chromium from calling out to the network.
    arguments = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
    arguments += ["--disable-background-networking", "--disable-component-update"]
    arguments += ["--disable-sync"]
    return {"executable_path": executable, "args": arguments}


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite database with the sample portfolio, which hosts and browsers write to."""
    from tinycrm_core.client import TinyCRM
    from tinycrm_server.sample import load_sample

    path = tmp_path_factory.mktemp("sample") / "crm.db"
    with TinyCRM(f"sqlite:///{path}") as crm:
        list(load_sample(crm))
    return path


@pytest.fixture(scope="session")
def running(sample: Path) -> Iterator[Hosts]:
    """Applications with the admin over the sample, each started when a test asks for it."""
    from tests.hosts.processes import Hosts

    with contextlib.ExitStack() as ending:
        yield Hosts(sample, ending)

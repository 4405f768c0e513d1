"""A8: Schemathesis reads `/openapi.json` and tries everything it allows and forbids."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.config import SchemathesisConfig
from schemathesis.core.failures import FailureGroup

from tests.server.live import Live, serving
from tinycrm_core.client import TinyCRM
from tinycrm_server.settings import Settings

FULL = os.environ.get("TINYCRM_TEST_FULL") == "1"
EXAMPLES = 500 if FULL else 15
UNLIMITED = Settings(rate_per_key="", rate_per_address="")
LENIENT = {"/v1/events", "/v1/customers", "/v1/customers.csv", "/v1/customers.jsonl"}
"""Where invalid data is answered with 200: a batch holds its errors in its results, and whatever
the description does not name of a question may be a condition of its filter."""
# Rules that JSON Schema cannot say (an address, a filter, what exists) answer 422.
CONFIG = SchemathesisConfig.from_dict(
    {
        "checks": {
            "positive_data_acceptance": {
                "expected-statuses": ["2xx", "401", "403", "404", "409", "413", "422"]
            },
        },
        "generation": {"allow-x00": True},
    }
)


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def live(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Live]:
    """A server over each database, with somebody on it."""
    where = f"sqlite:///{tmp_path_factory.mktemp('schema')}/crm.db"
    if request.param == "postgres":
        where = request.getfixturevalue("postgres_url")
    with TinyCRM(where, account="schema") as crm, serving(crm, settings=UNLIMITED) as server:
        for slug in ("shop", "news"):
            crm.project(slug).identify("a@example.com", name="A", params={"x": "y", "n": 1})
        crm.project("shop").identify("b@example.com", status="paid")
        server.keys["project_key"] = crm.keys.create("shop").secret
        server.keys["account_key"] = crm.keys.create(scope="admin").secret
        yield server


def operations(live: Live) -> list[Any]:
    schema = schemathesis.openapi.from_url(f"{live.url}/openapi.json", config=CONFIG)
    return [each.ok() for each in schema.get_all_operations()]


def attempt(operation: Any, mode: Any, headers: dict[str, str]) -> int:
    """Send what the description allows, or forbids, and check each answer; how many there were."""
    tried = 0
    checks = CHECKS.get_all()
    if operation.path in LENIENT:
        checks = [each for each in checks if each.__name__ != "negative_data_rejection"]

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.explicit, Phase.generate),
        database=None,
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def send(case: Any) -> None:
        nonlocal tried
        tried += 1
        case.call_and_validate(headers=headers, checks=checks)

    with contextlib.suppress(Unsatisfiable):  # there is nothing a call without input gets wrong
        send()
    return tried


@pytest.mark.timeout(3600 if FULL else 120)
def test_a8_no_call_makes_a_5xx_or_breaks_the_description(live: Live) -> None:
    """A8: every operation, valid and invalid data, all checks."""
    load_all_checks()
    tried = 0
    failures = []
    for operation in operations(live):
        (needed,) = (name for rule in operation.definition.raw["security"] for name in rule)
        headers = {"Authorization": f"Bearer {live.keys[needed]}"}
        for mode in schemathesis.GenerationMode:
            try:
                tried += attempt(operation, mode, headers)
            except FailureGroup as failure:
                failures.append(f"{operation.label} {mode}: {failure}")
    assert not failures, "\n\n".join(failures)
    assert tried > 20 * EXAMPLES

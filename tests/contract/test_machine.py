"""S6: whatever is done, three backends and the model of the documentation agree."""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.contract.model import Model, questions, text
from tests.contract.seen import repr_json
from tinycrm_core import ChangeEmail, Customer, Forgotten, TinyCRM, TinyCRMError, times
from tinycrm_core.apply import Answer
from tinycrm_core.times import LATEST, from_micros, to_micros

FULL = bool(os.environ.get("TINYCRM_TEST_FULL"))
SECOND = 1_000_000
NOW = to_micros("2026-06-01T12:00:00Z")
PROJECTS = ("shop", "news")
ADDRESSES = tuple(f"{name}@example.com" for name in ("alice", "alex", "bob", "carol", "dan"))

# Few values, so that they meet; times before, around and after the clock of the machine.
AT = tuple(NOW + seconds * SECOND for seconds in (-200_000, -100_000, -10, 20, 100_000))
VALUES = (1, 1.0, True, None, "1", "pro", 2, {"x": 1}, {"x": [1, None]}, [], "")
NAMES = (None, None, "", "  ", "Alex Chen", " Bo ", "chen li")
STATUSES = (None, None, "free", "trial", "paid", "churned", "trialing")
KEYS = ("plan", "n", "a.b")

emails = st.sampled_from(ADDRESSES)
projects = st.sampled_from(PROJECTS)
event_times = st.none() | st.sampled_from(AT)
writes = st.fixed_dictionaries(
    {
        key: st.sampled_from(("", "", "params", "set_once", "unset")).flatmap(
            lambda where: st.tuples(st.just(where), st.sampled_from(VALUES))
        )
        for key in KEYS
    }
)


def shown(customer: Customer) -> dict[str, Any]:
    """A customer as the model sees one."""

    def micros(moment: Any) -> int | None:
        return None if moment is None else to_micros(moment)

    return {
        "email": customer.email,
        "aliases": list(customer.aliases),
        "name": customer.name,
        "created": micros(customer.created_at),
        "seen": micros(customer.last_seen_at),
        "memberships": {
            m.project: {
                "status": str(m.status),
                "params": m.params,
                "joined": micros(m.joined_at),
                "active": micros(m.last_active_at),
            }
            for m in customer.memberships
        },
    }


def without_ids(value: Any) -> str:
    """JSON text in which the ids that each backend draws by itself look alike."""
    found = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
    return found.sub("id", repr_json(value))


def without_order_of_equals(person: dict[str, Any]) -> str:
    """An export whose history of one moment (the two ends of an undone merge) has no order."""
    history = sorted(person["history"], key=lambda each: (each["at"], without_ids(each)))
    assert [each["at"] for each in person["history"]] == [each["at"] for each in history[::-1]]
    return without_ids({**person, "history": history})


class Machine(RuleBasedStateMachine):
    """Every rule does one thing four times; after each the four are compared."""

    stores: Any
    clock: list[int]
    steps = 0

    @initialize()
    def start(self) -> None:
        account = str(uuid4())
        self.crms = [TinyCRM.over(store, account=account) for store in self.stores]
        self.model = Model()
        self.merges: list[tuple[UUID, ...]] = []
        self.clock[0] = NOW
        for project in PROJECTS:
            self.all(lambda crm: crm.projects.add(project).slug)  # noqa: B023 - called at once

    def all(self, call: Callable[[TinyCRM], Any]) -> list[Any]:
        """The answer of each backend; an error is an answer."""
        answers: list[Any] = []
        for crm in self.crms:
            try:
                answers.append(call(crm))
            except TinyCRMError as error:
                answers.append(error)
        return answers

    def tick(self) -> int:
        type(self).steps += 1
        self.clock[0] += SECOND
        return self.clock[0]

    def one(self, call: Callable[[TinyCRM], Any]) -> Any:
        """The one answer that all backends give."""
        answers = self.all(call)
        assert answers[1:] == answers[:-1], answers
        return answers[0]

    # Calls that write ----------------------------------------------------------------------------
    @rule(
        project=projects, email=emails, name=st.sampled_from(NAMES), at=event_times,
        status=st.sampled_from(STATUSES), keys=writes, active=st.booleans(),
    )  # fmt: skip
    def identify(self, project: str, email: str, keys: dict[str, Any], **fields: Any) -> None:
        now = self.tick()
        for where in ("params", "set_once"):
            fields[where] = {k: value for k, (place, value) in keys.items() if place == where}
        fields["unset"] = [key for key, (place, _) in keys.items() if place == "unset"]
        expected = self.model.identify(now, project, email, fields)
        for answer in self.all(lambda crm: crm.project(project).identify(email, **fields)):
            if expected is None:
                assert isinstance(answer, Forgotten)
            else:
                assert (answer.action, answer.joined, set(answer.changed)) == expected

    @rule(project=projects, email=emails, at=event_times)
    def ping(self, project: str, email: str, at: int | None) -> None:
        expected = self.model.ping(self.tick(), project, email, at)
        assert self.one(lambda crm: crm.project(project).ping(email, at=at)) is expected

    @rule(keep=emails, absorb=emails)
    def merge(self, keep: str, absorb: str) -> None:
        self.tick()
        expected = self.model.merge(len(self.merges), keep, absorb)
        self.note_merge(self.all(lambda crm: crm.customers.merge(keep, absorb)), expected)

    def note_merge(self, answers: list[Any], expected: str | None) -> None:
        if expected is None:
            assert all(isinstance(each, UUID) for each in answers), answers
            self.merges.append(tuple(answers))
        else:
            assert [each.code for each in answers] == [expected] * 3

    @precondition(lambda self: self.merges)
    @rule(data=st.data())
    def undo_merge(self, data: st.DataObject) -> None:
        self.tick()
        index = data.draw(st.integers(0, len(self.merges) - 1))
        expected = self.model.undo(index)
        for crm, merge_id in zip(self.crms, self.merges[index], strict=True):
            if expected is None:
                crm.customers.undo_merge(merge_id)
            else:
                with pytest.raises(TinyCRMError) as caught:
                    crm.customers.undo_merge(merge_id)
                assert caught.value.code in ("conflict", "not_found")

    @rule(old=emails, new=emails)
    def change_email(self, old: str, new: str) -> None:
        self.tick()
        before = len(self.model.merges)
        expected = self.model.change_email(len(self.merges), old, new)
        answers = self.all(lambda crm: crm.customers.change_email(old, new))
        if len(self.model.merges) > before or expected is not None:
            self.note_merge(answers, expected)
        else:
            assert answers == [None] * 3

    @rule(project=projects, old=emails, new=emails)
    def report_another_address(self, project: str, old: str, new: str) -> None:
        self.tick()
        expected = self.model.report_address(old, new)

        def report(crm: TinyCRM) -> Answer:
            (answer,) = crm.project(project).send([ChangeEmail(old, new, merge=False, at=LATEST)])
            return answer

        for answer in self.all(report):
            assert getattr(answer, "code", answer) == expected

    @rule(email=emails, forget=st.sampled_from((False, False, False, True)))
    def delete(self, email: str, forget: bool) -> None:
        self.tick()
        expected = self.model.delete(email, forget)
        assert self.one(lambda crm: crm.customers.delete(email, forget=forget)) is expected

    @rule(project=projects)
    def start_a_product_anew(self, project: str) -> None:
        self.tick()
        self.model.empty_project(project)
        self.all(lambda crm: crm.projects.delete(project))
        self.all(lambda crm: crm.projects.add(project))

    # Questions -----------------------------------------------------------------------------------
    @rule(data=st.data(), edge=st.sampled_from(AT))
    def find(self, data: st.DataObject, edge: int) -> None:
        asked = questions(edge, from_micros(edge).isoformat())
        filter_text = data.draw(st.sampled_from(list(asked)))
        views = self.model.views()
        expected = sorted(email for email, view in views.items() if asked[filter_text](view))
        for page in self.all(lambda crm: crm.customers.find(filter_text, sort="email")):
            assert [each.email for each in page] == expected, filter_text
        assert self.one(lambda crm: crm.customers.count(filter_text)) == len(expected)

    @rule()
    def export(self) -> None:
        def lines(crm: TinyCRM) -> list[str]:
            stream = io.StringIO()
            assert crm.export_jsonl(stream) == len(self.model.customers)
            people = map(json.loads, stream.getvalue().splitlines())
            return sorted(without_ids(each) for each in people)

        assert len(self.one(lines)) == len(self.model.customers)

    @rule(email=emails)
    def export_person(self, email: str) -> None:
        if self.model.customer_of(email) is None:
            answers = self.all(lambda crm: crm.customers.export_person(email))
            assert [each.code for each in answers] == ["not_found"] * 3
        else:
            self.one(lambda crm: without_order_of_equals(crm.customers.export_person(email)))
            history = self.one(lambda crm: len(crm.customers.history(email)))
            assert history > 0

    @rule(by=st.sampled_from(("status", "project", "p.plan")))
    def tally(self, by: str) -> None:
        self.one(lambda crm: [(repr_json(v), n) for v, n in crm.customers.tally(by=by)])
        self.one(lambda crm: crm.customers.aggregate("p.n"))
        self.one(lambda crm: [(slug, k.path, k.count) for slug, k in crm.projects.params()])

    @invariant()
    def everybody_is_equal_everywhere(self) -> None:
        if not hasattr(self, "crms"):
            return
        expected = self.model.views()
        for crm in self.crms:
            found = {each.email: shown(each) for each in crm.customers.find(limit=500)}
            assert found == expected
            assert text(found) == text(expected)  # which keeps 1, 1.0 and true apart
        for email in ADDRESSES:
            customer = self.model.customer_of(email)
            wanted = None if customer is None else self.model.emails[customer][0]
            for crm in self.crms:
                found = crm.customers.get(email)
                assert (found and found.email) == wanted


@pytest.mark.timeout(1200 if FULL else 240)
def test_three_backends_and_the_model_agree(
    memory_store: Any, sqlite_store: Any, postgres_store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [NOW]
    monkeypatch.setattr(times, "now", lambda: clock[0])
    stores = (memory_store, sqlite_store, postgres_store)
    machine = type("Machine", (Machine,), {"stores": stores, "clock": clock, "steps": 0})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=140 if FULL else 40,
            stateful_step_count=60 if FULL else 40,
            deadline=None,
            phases=[Phase.reuse, Phase.generate],  # making a failure small takes minutes
            suppress_health_check=list(HealthCheck),
        ),
    )
    assert machine.steps >= (2000 if FULL else 200)

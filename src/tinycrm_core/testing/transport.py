"""What everything that carries events to a store has to do."""

from __future__ import annotations

import pytest

from tinycrm_core.client import TinyCRM
from tinycrm_core.errors import Forgotten, InvalidInput
from tinycrm_core.events import Identify
from tinycrm_core.model import Json, Result
from tinycrm_core.testing.people import ALICE, BOB, day, exactly, on, person


def arrived(reporting: TinyCRM) -> None:
    """Wait until everything that was reported is stored."""
    assert reporting.flush(60), f"not everything was accepted: {reporting.stats()}"


class TransportContract:
    """Tests that hold whichever way events take: at once, over HTTP, or through a queue."""

    def test_what_is_reported_is_stored(self, crm: TinyCRM, reporting: TinyCRM) -> None:
        params: dict[str, Json] = {"plan": "pro", "deep": {"list": [1, 1.5, None, "ключ"]}}
        result = reporting.identify(
            "Alice@Example.com", name=" Alice ", status="paid", params=params
        )
        assert isinstance(result, Result)
        assert (result.action == "queued") == (result.customer_id is None)
        arrived(reporting)
        assert (person(crm).name, on(crm).status) == ("Alice", "paid")
        assert exactly(on(crm).params, params)
        assert person(crm).last_seen_at is not None

    def test_every_field_travels(self, crm: TinyCRM, reporting: TinyCRM) -> None:
        reporting.identify(ALICE, set_once={"source": "ad"}, params={"a": 1, "b": 1}, at=day(1))
        reporting.identify(ALICE, set_once={"source": "mail"}, unset=["a"], at=day(2), active=False)
        arrived(reporting)
        assert on(crm).params == {"source": "ad", "b": 1}
        assert on(crm).joined_at == on(crm).last_active_at == day(1)

    def test_the_later_call_wins(self, crm: TinyCRM, reporting: TinyCRM) -> None:
        for number in range(30):
            status = ("free", "trial", "churned")[number % 3]
            reporting.identify(ALICE, status=status, params={"n": number})
        reporting.identify(ALICE, status="paid")
        arrived(reporting)
        assert (on(crm).status, on(crm).params) == ("paid", {"n": 29})

    def test_an_older_event_undoes_nothing(self, crm: TinyCRM, reporting: TinyCRM) -> None:
        reporting.identify(ALICE, status="paid", at=day(2))
        arrived(reporting)
        reporting.identify(ALICE, status="trial", at=day(1))
        arrived(reporting)
        assert on(crm).status == "paid"
        assert on(crm).joined_at == day(1)

    def test_a_login_leaves_the_status_alone(self, crm: TinyCRM, reporting: TinyCRM) -> None:
        reporting.identify(ALICE, status="churned")
        for _ in range(3):
            reporting.identify(ALICE, name="Alice")
            reporting.ping(ALICE)
        arrived(reporting)
        assert on(crm).status == "churned"

    def test_a_ping_is_for_people_who_are_known(self, crm: TinyCRM, reporting: TinyCRM) -> None:
        reporting.identify(ALICE, at=day(1), active=False)
        arrived(reporting)
        assert on(crm).last_active_at is None
        assert reporting.ping(ALICE, at=day(3)) is True
        reporting.ping(BOB)
        arrived(reporting)
        assert on(crm).last_active_at == day(3)
        assert crm.customers.get(BOB) is None

    def test_another_address_is_the_same_person(self, crm: TinyCRM, reporting: TinyCRM) -> None:
        reporting.identify(ALICE, status="paid")
        assert reporting.change_email(ALICE, "new@example.com") is True
        reporting.identify("new@example.com", name="Alice")
        arrived(reporting)
        found = person(crm, ALICE)
        assert (found.email, found.aliases, found.name) == ("new@example.com", (ALICE,), "Alice")
        assert crm.customers.count() == 1

    def test_an_address_that_may_be_somebody_elses_stays_theirs(
        self, crm: TinyCRM, reporting: TinyCRM
    ) -> None:
        crm.project("news").identify(BOB, at=day(1))
        reporting.identify(ALICE, at=day(1))
        reporting.change_email(ALICE, BOB, merge=False)
        arrived(reporting)
        assert {each.email for each in crm.customers.find()} == {ALICE, BOB}

    def test_bad_input_is_refused_at_the_call(self, crm: TinyCRM, reporting: TinyCRM) -> None:
        nan: dict[str, Json] = {"a": float("nan")}
        with pytest.raises(InvalidInput, match="email"):
            reporting.identify("nobody")
        with pytest.raises(InvalidInput, match="free, trial, paid, churned"):
            reporting.identify(ALICE, status="gold")
        with pytest.raises(InvalidInput, match=r"params\.a: must be a finite number"):
            reporting.identify(ALICE, params=nan)
        with pytest.raises(InvalidInput, match="at: not an ISO 8601"):
            reporting.ping(ALICE, at="yesterday")
        with pytest.raises(InvalidInput, match="new: email"):
            reporting.change_email(ALICE, "nobody")
        arrived(reporting)
        assert crm.customers.count() == 0

    def test_somebody_forgotten_stays_so(self, crm: TinyCRM, reporting: TinyCRM) -> None:
        crm.customers.delete(BOB, forget=True)
        if reporting.queue is None:
            with pytest.raises(Forgotten):
                reporting.identify(BOB)
        else:
            reporting.identify(BOB)
            assert reporting.flush(60) is False
            assert reporting.stats().refused == 1
        reporting.identify(ALICE)
        arrived(reporting)
        assert [each.email for each in crm.customers.find()] == [ALICE]

    def test_the_same_event_again_changes_nothing(self, crm: TinyCRM, reporting: TinyCRM) -> None:
        texts = [
            f'{{"type":"identify","email":"{ALICE}","status":"{status}","params":{{"s":"{status}"}}'
            f',"at":"{day(number).isoformat()}","id":"event-{number}"}}'
            for number, status in enumerate(("trial", "paid"))
        ]
        for _ in range(2):
            reporting.transport.deliver("shop", texts)
        before = person(crm), crm.customers.history(ALICE)
        for text in (texts[0], texts[1], texts[0]):
            reporting.transport.deliver("shop", [text])
        assert (person(crm), crm.customers.history(ALICE)) == before
        assert (on(crm).status, on(crm).params) == ("paid", {"s": "paid"})
        assert len(before[1]) == 2

    def test_one_bad_text_is_answered_alone(self, crm: TinyCRM, reporting: TinyCRM) -> None:
        texts = [
            f'{{"type":"identify","email":"{ALICE}"}}',
            '{"type":"identify","email":"nobody"}',
            '{"type":"identify"}',
            f'{{"type":"ping","email":"{ALICE}"}}',
        ]
        first, second, third, fourth = reporting.transport.deliver("shop", texts)
        assert isinstance(first, Result)
        assert isinstance(second, InvalidInput)
        assert isinstance(third, InvalidInput)
        assert fourth is True
        assert crm.customers.count() == 1

    def test_more_than_one_batch(self, crm: TinyCRM, reporting: TinyCRM) -> None:
        people = [f"p{number}@example.com" for number in range(620)]
        answers = reporting.project("shop").send([Identify(email) for email in people])
        assert len(answers) == len(people)
        assert crm.customers.count() == len(people)
        reporting.close()

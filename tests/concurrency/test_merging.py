"""S9: merging and deleting people while others write to them leaves no loose ends."""

from __future__ import annotations

from typing import Any

import pytest

from tests.concurrency.databases import broken
from tests.concurrency.together import FULL, PATIENCE, Meeting, in_processes
from tinycrm_core.client import TinyCRM
from tinycrm_core.errors import Conflict, NotFound
from tinycrm_core.events import ChangeEmail, Identify

pytestmark = pytest.mark.timeout(PATIENCE + 10)
ROUNDS = 500 if FULL else 60


def merge_and_identify(number: int, meeting: Meeting, where: str) -> list[list[tuple[str, Any]]]:
    """One merges (and parts and merges again) two people while two others write to each."""
    crm = TinyCRM(where)
    acknowledged: list[list[tuple[str, Any]]] = []
    for each in range(ROUNDS):
        keep, absorb = f"keep{each}@example.com", f"absorb{each}@example.com"
        if number == 0:
            crm.project("shop").identify(keep, params={"kept": each}, status="trial")
            crm.project("news").identify(absorb, params={"absorbed": each}, status="free")
        mine = []
        meeting.wait(60)
        if number == 0:
            merge_id = crm.customers.merge(keep, absorb)
            if each % 3 == 0:
                crm.customers.undo_merge(merge_id)
                crm.customers.merge(keep, absorb)
        else:
            address = keep if number == 1 else absorb
            for time in range(4):
                product = ("shop", "news", f"blog{number}", "shop")[time]
                key = f"k{number}.{time}"
                crm.project(product).identify(address, params={key: each}, status="paid")
                mine.append((product, key))
        acknowledged.append(mine)
    return acknowledged


@pytest.mark.slow
def test_s9_merge_and_identify_at_once_lose_nothing(where: str) -> None:
    answers = in_processes(3, merge_and_identify, where)
    with TinyCRM(where) as crm:
        assert crm.customers.count() == ROUNDS
        for each in range(ROUNDS):
            person = crm.customers.get(f"absorb{each}@example.com")
            assert person is not None
            assert person.email == f"keep{each}@example.com"
            assert person.aliases == (f"absorb{each}@example.com",)
            stored = {
                (m.project, key): value
                for m in person.memberships
                for key, value in m.params.items()
            }
            expected = {
                ("shop", "kept"),
                ("news", "absorbed"),
                *answers[1][each],
                *answers[2][each],
            }
            assert stored == dict.fromkeys(expected, each)
            assert {str(m.status) for m in person.memberships} == {"paid"}
            # Every acknowledged call is in the history of the one that is left, too.
            written = {
                (entry.project, name.removeprefix("params."))
                for entry in crm.customers.history(person.email)
                for name in entry.changes
                if name.startswith("params.")
            }
            assert expected <= written
    assert not broken(where)


def merge_three(number: int, meeting: Meeting, where: str) -> list[str]:
    """Two merge the same three people the other way round, while one undoes and one identifies."""
    crm, seen = TinyCRM(where), []
    for each in range(ROUNDS // 3):
        people = [f"{name}{each}@example.com" for name in "abc"]
        if number == 0:
            for place, email in enumerate(people):
                crm.project("shop").identify(email, name=email, params={f"p{place}": each})
        meeting.wait(60)
        try:
            if number == 3:
                for email in people:
                    crm.project("shop").identify(email, status="paid")
            elif number == 2:
                for record in crm.customers.merges(people[1]):
                    crm.customers.undo_merge(record.id)
                    seen.append("undone")
            else:
                keep, *others = people[:: 1 - 2 * number]
                crm.customers.merge(keep, others, {(None, "name"): people[1]})
                seen.append("merged")
        except (NotFound, Conflict) as error:
            seen.append(type(error).__name__)
    return seen


def test_s9_three_merged_both_ways_and_undone_are_whole(where: str) -> None:
    """One transaction each: nobody is ever merged by half, and each merge is there once."""
    first, second, undoing, _ = in_processes(4, merge_three, where)
    with TinyCRM(where) as crm:
        merged = [*first, *second].count("merged")
        assert merged >= ROUNDS // 3, "one of the two comes first"
        records = 0
        for each in range(ROUNDS // 3):
            emails = [f"{name}{each}@example.com" for name in "abc"]
            found = {person.id: person for e in emails if (person := crm.customers.get(e))}
            assert len(found) in (1, 3)
            assert {e for p in found.values() for e in (p.email, *p.aliases)} == set(emails)
            params = {k for p in found.values() for m in p.memberships for k in m.params}
            assert params == {"p0", "p1", "p2"}
            if len(found) == 1:
                (person,) = found.values()
                assert person.name == emails[1]
            records += len({record.act for e in emails for record in crm.customers.merges(e)})
        assert records >= merged - undoing.count("undone")
    assert not broken(where)


def delete_and_identify(number: int, meeting: Meeting, where: str) -> list[str]:
    """One deletes or renames a person, the others write to them; refusals are named."""
    crm = TinyCRM(where)
    seen = []
    for each in range(ROUNDS):
        email, other = f"p{each}@example.com", f"q{each}@example.com"
        if number == 0:
            crm.project("shop").identify(email, params={"a": each})
            crm.project("shop").identify(other, params={"b": each})
        meeting.wait(60)
        try:
            if number == 0:
                crm.customers.delete(email)
            elif number == 1:
                crm.customers.merge(other, email)
            elif number == 2:
                crm.customers.change_email(email, f"r{each}@example.com")
            else:
                crm.project("news").identify(email, params={"c": each})
        except (NotFound, Conflict) as error:
            seen.append(type(error).__name__)
    return seen


def test_s9_delete_merge_rename_and_identify_at_once_leave_no_orphans(where: str) -> None:
    deleting, *_, identifying = in_processes(4, delete_and_identify, where)
    # Who deletes or identifies is never refused: there is a person, or there will be one.
    assert deleting == identifying == []
    assert not broken(where)
    with TinyCRM(where) as crm:
        for each in range(ROUNDS):
            found = {
                person.id: person
                for name in "pqr"
                if (person := crm.customers.get(f"{name}{each}@example.com"))
            }
            news = [m for person in found.values() if (m := person.on("news"))]
            # The identify came before the delete and went with it, or it is stored once.
            assert [m.params for m in news] in ([], [{"c": each}])


def rename_and_report(number: int, meeting: Meeting, where: str) -> list[str]:
    """Lists of events that rename two people into each other, in opposite orders."""
    project = TinyCRM(where).project("shop")
    refused = []
    for each in range(ROUNDS):
        one, other = f"one{each}@example.com", f"other{each}@example.com"
        if number == 0:
            project.send([Identify(one), Identify(other)])
        mine, theirs = (one, other) if number % 2 else (other, one)
        events = [
            Identify(mine, params={f"before{number}": each}),
            ChangeEmail(mine, theirs),
            Identify(theirs, params={f"after{number}": each}),
        ]
        meeting.wait(60)
        refused += [str(answer) for answer in project.send(events) if isinstance(answer, Exception)]
    return refused


def test_s9_lists_that_rename_people_into_each_other_leave_one(where: str) -> None:
    assert in_processes(4, rename_and_report, where) == [[]] * 4
    assert not broken(where)
    with TinyCRM(where) as crm:
        assert crm.customers.count() == ROUNDS
        for each in range(ROUNDS):
            person = crm.customers.get(f"one{each}@example.com")
            assert person is not None
            assert {person.email, *person.aliases} == {
                f"one{each}@example.com",
                f"other{each}@example.com",
            }
            (shop,) = person.memberships
            names = {f"{when}{number}" for when in ("before", "after") for number in range(4)}
            assert shop.params == dict.fromkeys(names, each)

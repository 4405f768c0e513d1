"""`crm.customers`: the people of an account."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar
from uuid import UUID

from tinycrm_core import apply, merge, signals, times
from tinycrm_core.account import Account
from tinycrm_core.email import canonical
from tinycrm_core.errors import Conflict, InvalidFilter, InvalidInput
from tinycrm_core.filters import EVERYBODY, Filter, On
from tinycrm_core.joining import merge_customers, require, require_apart, undo_merge
from tinycrm_core.model import Change, Customer, History, Json, Page
from tinycrm_core.previews import Choices, MergePreview, chosen_values, everybody, preview
from tinycrm_core.query import MAX_LIMIT, After, EntryKey, HistoryQuery, Query
from tinycrm_core.query_text import (
    FilterLike,
    read_cursor,
    read_entry_key,
    read_filter,
    read_limit,
    read_param,
    read_sort,
    write_cursor,
)
from tinycrm_core.state import CustomerState, MergeState
from tinycrm_core.store import Combinations, Tally, Totals, Transaction
from tinycrm_core.views import change_view, copied, customer_view

T = TypeVar("T")


class Customers:
    """Finding, merging and deleting people. A filter is text, a tree, or query pairs."""

    def __init__(self, account: Account) -> None:
        self._account = account

    def find(
        self,
        filter: FilterLike = "",
        *,
        sort: str = "-seen",
        limit: int = 50,
        after: str | None = None,
    ) -> Page:
        """One page. `after` is the `next` of the page before; `limit` is at most 500.

        `sort` is `email name created seen projects joined active` or `p.key`, with a minus for
        descending, the last three also of one product (`active@shop`). Raises InvalidFilter.
        """  # fmt: skip
        size, place = read_limit(limit), read_cursor(after)

        def work(tx: Transaction) -> Page:
            slugs = _slugs(tx)
            tree = read_filter(filter, slugs.values())
            order = read_sort(sort, list(slugs.values()))
            states, end = tx.find(Query(tree, order, size, times.now(), place))
            found = tuple(copied(customer_view(state, slugs)) for state in states)
            return Page(found, write_cursor(end))

        return self._account.read(work)

    def stream(self, filter: FilterLike = "", *, sort: str = "created") -> Iterator[Customer]:
        """Everybody who matches, page by page; no transaction stays open in between."""
        after = None
        while True:
            page = self.find(filter, sort=sort, limit=MAX_LIMIT, after=after)
            yield from page
            after = page.next
            if after is None:
                return

    def count(self, filter: FilterLike = "", *, cap: int | None = None) -> int:
        """How many match, exactly; with `cap`, at most that."""
        if cap is not None and (type(cap) is not int or cap < 1):
            raise InvalidFilter("cap: must be a whole number from 1 on", field="cap")
        return self._ask(filter, lambda tx, tree: tx.count(tree, times.now(), cap))

    def tally(
        self, filter: FilterLike = "", by: str = "status", *, project: str | None = None
    ) -> Tally:
        """`(value, people)` pairs by `status`, `project` or `p.key`, the most frequent first.

        29 and 29.0 are one value, shown as 29. Raises InvalidFilter.
        """
        if by not in ("status", "project") and not str(by).startswith("p."):
            raise InvalidFilter(
                "by: must be status, project or p.<key>",
                field="by",
                choices=("status", "project", "p.<key>"),
            )
        field = read_param(by) if by.startswith("p.") else by

        def question(tx: Transaction, tree: Filter) -> Tally:
            found = tx.tally(tree, field, _known(tx, project), times.now())
            return sorted(((_number(value), number) for value, number in found), key=_place)

        return self._ask(filter, question)

    def aggregate(
        self, param: str, filter: FilterLike = "", *, project: str | None = None
    ) -> Totals:
        """Count, sum, average, smallest and largest of a numeric `p.key` of those who match."""
        key = read_param(param)

        def question(tx: Transaction, tree: Filter) -> Totals:
            return tx.aggregate(tree, key, _known(tx, project), times.now())

        return self._ask(filter, question)

    def combinations(self, filter: FilterLike = "") -> Combinations:
        """`(products, people)` pairs: how many are on exactly these products, most people first.

        Every shared number follows from these. The filter is about one membership, and only
        memberships that meet it count: `status:paid` asks who pays where. People without any are
        left out. Raises InvalidFilter, also for a filter about more than one membership.
        """

        def question(tx: Transaction, tree: Filter) -> Combinations:
            found = tx.combinations(_membership_filter(tree), times.now())
            return sorted(found, key=lambda each: (-each[1], sorted(each[0])))

        return self._ask(filter, question)

    def get(self, email: str) -> Customer | None:
        """The person an address leads to, or None."""
        address = canonical(email)
        return self._view(lambda tx: tx.load((address,), lock=False).get(address))

    def get_by_id(self, customer_id: UUID) -> Customer | None:
        """The person with this id, or None."""
        return self._view(lambda tx: tx.load_ids((customer_id,), lock=False).get(customer_id))

    def history(
        self,
        email: str,
        *,
        limit: int = 100,
        after: str | None = None,
        project: str | None = None,
        kind: str | None = None,
    ) -> History:
        """One page of what changed, newest first; of one product, or of one `Change.kind`.

        `after` is the `next` of the page before; `limit` is at most 500. Raises NotFound, or
        InvalidFilter for an unknown product.
        """
        address, size, place = canonical(email), read_limit(limit), read_entry_key(after)

        def work(tx: Transaction) -> History:
            (state,) = require(tx, address, lock=False)
            slugs = _slugs(tx)
            known = _known(tx, project)
            project_id = next((key for key, slug in slugs.items() if slug == known), None)
            return _page(tx, state.id, slugs, size, HistoryQuery(size + 1, place, project_id, kind))

        return self._account.read(work)

    def merges(self, email: str) -> list[MergeState]:
        """The merges a person took part in. Raises NotFound."""
        address = canonical(email)

        def work(tx: Transaction) -> list[MergeState]:
            (state,) = require(tx, address, lock=False)
            return tx.merges(state.id)

        return self._account.read(work)

    def preview_merge(
        self, keep: str, absorb: str | Sequence[str], choices: Choices | None = None
    ) -> MergePreview:
        """What `merge` would do; nothing is written. Raises what `merge` raises."""
        emails, chosen = everybody(keep, absorb), dict(choices or {})

        def work(tx: Transaction) -> MergePreview:
            people = require_apart(tx, emails, lock=False)
            slugs = _slugs(tx)
            return preview(people, chosen_values(people, chosen, slugs), slugs)

        return self._account.read(work)

    def merge(
        self,
        keep: str,
        absorb: str | Sequence[str],
        choices: Choices | None = None,
        *,
        seen: MergePreview | None = None,
    ) -> UUID:
        """Make one person of two or more, in one transaction; the id undoes all of it.

        Everywhere the newest value stays. `choices` keep another one: they map `(project, field)`
        of a conflict, such as `("shop", "status")`, `("shop", "params.plan")` and
        `(None, "name")`, to the address of the person whose value it is. With `seen`, the merge
        happens only if it does what that preview promised.

        Raises NotFound; Conflict if two of them are one already, or for what was not `seen`; and
        InvalidInput for a choice of what somebody does not have.
        """
        emails, chosen = everybody(keep, absorb), dict(choices or {})

        def work(tx: Transaction) -> list[MergeState]:
            def choose(people: Sequence[CustomerState]) -> Mapping[merge.Field, Json]:
                slugs = _slugs(tx)
                values = chosen_values(people, chosen, slugs)
                if seen and seen.outcome != preview(people, values, slugs).outcome:
                    raise Conflict("seen: these people are not as they were", field="seen")
                return values

            return merge_customers(tx, emails, choose, now=times.now(), via=self._account.via)

        records = self._account.write(work)
        for record in records:
            signals.merged(self._account.sender, record)
        return records[0].act

    def undo_merge(self, merge_id: UUID | str) -> MergeState:
        """Part merged people again, and return the record of the merge.

        Of several who were absorbed at once everybody leaves. Raises NotFound or Conflict.
        """
        wanted = read_id(merge_id, "merge_id")
        return self._account.write(
            lambda tx: undo_merge(tx, wanted, now=times.now(), via=self._account.via)
        )

    def change_email(self, old: str, new: str) -> UUID | None:
        """Give a person another address and keep the old one as an alias.

        If `new` is somebody else's, the person becomes part of that one, and the id of this merge
        is returned. Raises NotFound, or Forgotten for an address that must not be stored.
        """
        before, after = canonical(old), canonical(new)
        record = self._account.write(
            lambda tx: apply.change_email(tx, before, after, now=times.now(), via=self._account.via)
        )
        if record is None:
            return None
        signals.merged(self._account.sender, record)
        return record.id

    def delete(self, email: str, *, forget: bool = False) -> bool:
        """Erase a person with all addresses and history; False if there was nobody.

        With `forget`, later calls, webhooks and imports of these addresses are refused.
        """
        address = canonical(email)
        return self._account.write(lambda tx: apply.delete_customer(tx, address, forget=forget))

    def export_person(self, email: str) -> dict[str, Json]:
        """Everything known about one person, ready for `json.dumps`. Raises NotFound."""
        address = canonical(email)

        def work(tx: Transaction) -> dict[str, Json]:
            (state,) = require(tx, address, lock=False)
            return _export(tx, state)

        return self._account.read(work)

    def _ask(self, filter: FilterLike, question: Callable[[Transaction, Any], T]) -> T:
        def work(tx: Transaction) -> T:
            return question(tx, read_filter(filter, _slugs(tx).values()))

        return self._account.read(work)

    def _view(self, load: Callable[[Transaction], CustomerState | None]) -> Customer | None:
        def work(tx: Transaction) -> Customer | None:
            state = load(tx)
            return copied(customer_view(state, _slugs(tx))) if state else None

        return self._account.read(work)


def read_id(value: UUID | str, field: str) -> UUID:
    """An id given as text or UUID. Raises InvalidInput."""
    if isinstance(value, UUID):
        return value
    try:
        return UUID(value)
    except (ValueError, AttributeError, TypeError):
        raise InvalidInput(f"{field}: not an id", field=field) from None


def _number(value: Json) -> Json:
    """The one spelling of a number on every backend: whole ones of 64 bits are ints."""
    if type(value) is float and value.is_integer() and abs(value) < 2**63:
        return int(value)
    return float(value) if type(value) is int and not -(2**63) <= value < 2**63 else value


def _place(counted: tuple[Json, int]) -> tuple[int, str, str]:
    value, number = counted
    return -number, str(value), type(value).__name__


def _membership_filter(filter: Filter) -> On:
    """The conditions on one membership that a filter is. Raises InvalidFilter."""
    if filter == EVERYBODY:
        return On(None)
    if isinstance(filter, On):
        return filter
    raise InvalidFilter("filter: must be about one membership, such as status:paid active>-30d")


def _known(tx: Transaction, project: str | None) -> str | None:
    """The slug of a product there is, or None for all of them. Raises InvalidFilter."""
    slugs = tuple(each.slug for each in tx.projects())
    if project is None or project in slugs:
        return project
    raise InvalidFilter(
        f"project: there is no product {ascii(project)[:80]}", field="project", choices=slugs
    )


def _page(
    tx: Transaction, customer_id: UUID, slugs: Mapping[int, str], size: int, asked: HistoryQuery
) -> History:
    """A page of the history; entries that only undoing an import reads are passed over."""
    found: list[tuple[EntryKey, Change]] = []
    while len(found) <= size:
        entries = tx.history(customer_id, asked)
        keys = [(entry.at, entry.id) for entry in entries]
        views = (change_view(entry, slugs) for entry in entries)
        found += [(key, view) for key, view in zip(keys, views, strict=True) if view is not None]
        if len(entries) <= size:
            break
        asked = replace(asked, after=keys[-1])
    page = History(view for _, view in found[:size])
    if len(found) > size:
        at, entry_id = found[size - 1][0]
        page.next = write_cursor(After(("n", at), entry_id))
    return page


def _slugs(tx: Transaction) -> dict[int, str]:
    return {project.id: project.slug for project in tx.projects()}


def _export(tx: Transaction, state: CustomerState) -> dict[str, Json]:
    slugs = _slugs(tx)
    person = customer_view(state, slugs)
    changes = (change_view(entry, slugs) for entry in tx.history(state.id))
    return {
        "id": str(person.id),
        "email": person.email,
        "aliases": list(person.aliases),
        "name": person.name,
        "created_at": person.created_at.isoformat(),
        "last_seen_at": person.last_seen_at and person.last_seen_at.isoformat(),
        "memberships": [
            {
                "project": m.project,
                "status": str(m.status),
                "params": copied(person).memberships[place].params,
                "joined_at": m.joined_at.isoformat(),
                "last_active_at": m.last_active_at and m.last_active_at.isoformat(),
            }
            for place, m in enumerate(person.memberships)
        ],
        "history": [change.to_json() for change in changes if change is not None],
        "merges": [
            {
                "id": str(each.act),
                "keep": each.keep_email,
                "absorbed": list(each.absorb_emails),
                "at": times.from_micros(each.at).isoformat(),
                "undone_at": each.undone_at and times.from_micros(each.undone_at).isoformat(),
            }
            for each in tx.merges(state.id)
        ],
    }

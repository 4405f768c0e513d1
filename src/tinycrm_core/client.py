"""`TinyCRM`: the face of the library, over any store."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import IO, TYPE_CHECKING, Any, Unpack

from tinycrm_core.account import Account, clean_account
from tinycrm_core.background import Background
from tinycrm_core.bound import BoundProject
from tinycrm_core.delivery import OnError, Stats
from tinycrm_core.directory import Imports, Keys, Projects, Segments
from tinycrm_core.errors import NotSupported
from tinycrm_core.events import Fields, When
from tinycrm_core.limits import LIMITS, Limits
from tinycrm_core.model import Json, Result
from tinycrm_core.opening import open_http, open_spool, open_store
from tinycrm_core.people import Customers
from tinycrm_core.query_text import FilterLike
from tinycrm_core.remote import RemoteStore, find_server
from tinycrm_core.store import Store
from tinycrm_core.transport import StoreTransport, Transport, clean_slug

if TYPE_CHECKING:
    from tinycrm_core.spool import Spool
    from tinycrm_core.sql import Connection, Engine
    from tinycrm_core.transfer import ImportReport


_pairing = threading.RLock()


class TinyCRM:
    """A customer database: one row per person, one badge per product.

    `where` is `memory://`, `sqlite:///file.db`, `sqlite://` (in memory), `postgresql+psycopg://…`
    or an SQLAlchemy engine of the host, which is never disposed; without one it is memory. Or it
    is a server to report to: `https://KEY@host`, a project key whose server is in TINYCRM_URL, or
    `api_key` and `url`; http:// only to this machine, elsewhere with `allow_http`.

    `project` binds `identify` and `ping` to a product; `account` is the tenant. `auto_migrate`
    brings older tables up to date when first used; without it they are refused.

    `background` queues `identify` and `ping`: the default for a server, not for a database.
    `on_error(error, events)` is told, in a thread, of queued events that were not stored.
    `spool` is a file that keeps them until they are; several processes may share it.
    """

    queue: Background | None
    """What `identify` and `ping` go through, or None if they wait for their answer."""

    _twin: TinyCRM | None
    _on_error: OnError | None
    _spool: Spool | None

    def __init__(
        self,
        where: str | Engine | None = None,
        *,
        project: str | None = None,
        account: str = "default",
        limits: Limits = LIMITS,
        schema: str | None = None,
        auto_migrate: bool = False,
        via: str = "call",
        api_key: str | None = None,
        url: str | None = None,
        allow_http: bool = False,
        background: bool | None = None,
        on_error: OnError | None = None,
        spool: str | os.PathLike[str] | Spool | None = None,
    ) -> None:
        server = find_server(where, api_key, url, allow_http=allow_http)
        if server is None:
            where = "memory://" if where is None else where
            store = open_store(where, schema=schema, auto_migrate=auto_migrate)
        else:
            store = RemoteStore(server)
        tenant = Account(store, clean_account(account), limits, via, sender=self)
        self._set_up(tenant, project, None if server is None else open_http(server))
        self._on_error = on_error
        self._spool = open_spool(spool)
        if background if background is not None else server is not None:
            self.queue = self._new_queue()

    def _set_up(
        self, tenant: Account, project: str | None, transport: Transport | None = None
    ) -> None:
        self.tenant = tenant
        self.store = tenant.store
        self.account_slug = tenant.slug
        self.limits = tenant.limits
        self.via = tenant.via
        self.transport: Transport = transport or StoreTransport(tenant)
        self.customers = Customers(tenant)
        self.projects = Projects(tenant)
        self.segments = Segments(tenant)
        self.keys = Keys(tenant)
        self.imports = Imports(tenant)
        remote = isinstance(tenant.store, RemoteStore)
        self._bound = None if project is None else self.project(project)
        if remote and project is None:
            self._bound = BoundProject(self, "")
        self.queue = None
        self._twin = None
        self._on_error = None
        self._spool = None

    def _new_queue(self) -> Background:
        return Background(self.transport, via=self.via, on_error=self._on_error, spool=self._spool)

    def in_background(self) -> TinyCRM:
        """This client with `identify` and `ping` queued, never waiting and never failing late.

        The same one every time, with one queue; this client if it queues already. It ends with
        `close` of either.
        """
        if self.queue is not None:
            return self
        if self._twin is None:
            twin = TinyCRM.__new__(TinyCRM)
            project = (self._bound.slug or None) if self._bound else None
            twin._set_up(self.tenant, project, self.transport)
            twin._on_error, twin._spool = self._on_error, self._spool
            twin.queue = twin._new_queue()
            with _pairing:
                if self._twin is None:
                    self._twin = twin
        return self._twin

    def flush(self, timeout: float | None = 10.0) -> bool:
        """Send what is queued; True once the other side has accepted all of it.

        False if some was refused or given up, or is not through after `timeout` seconds.
        """
        queue = self._any_queue()
        return queue is None or queue.flush(timeout)

    def stats(self) -> Stats:
        """Exact counts of what this client queued in this process."""
        queue = self._any_queue()
        return Stats() if queue is None else queue.stats()

    def _any_queue(self) -> Background | None:
        return self._twin.queue if self._twin else self.queue

    @classmethod
    def over(
        cls,
        store: Store,
        *,
        project: str | None = None,
        account: str = "default",
        limits: Limits = LIMITS,
        via: str = "call",
    ) -> TinyCRM:
        """A client over a store that is open already; `via` is what history says of its calls."""
        crm = cls.__new__(cls)
        crm._set_up(Account(store, clean_account(account), limits, via, sender=crm), project)
        return crm

    def __repr__(self) -> str:
        if isinstance(self.store, RemoteStore):
            return f"<TinyCRM {self.store.server}>"
        return f"<TinyCRM {type(self.store).__name__} account={self.account_slug}>"

    def project(self, slug: str) -> BoundProject:
        """One product of this account; it is created when something is first stored for it."""
        return BoundProject(self, clean_slug(slug))

    def account(self, slug: str) -> TinyCRM:
        """Another tenant in the same store, not in the background.

        Raises NotSupported on a server, where the API key tells the account.
        """
        if isinstance(self.store, RemoteStore):
            raise NotSupported("the API key tells the account; use a key of the other one")
        return TinyCRM.over(self.store, account=slug, limits=self.limits, via=self.via)

    def joined(self, connection: Connection) -> TinyCRM:
        """This client inside the transaction of an SQLAlchemy connection of the host.

        What it writes is committed, or rolled back, by the host; an error undoes only the call
        that raised it. It sends no signals, because only the host knows whether it commits.
        Raises NotSupported on memory.
        """
        join = getattr(self.store, "joined", None)
        if join is None:
            raise NotSupported("this backend has no transaction of the host to join")
        crm = TinyCRM.__new__(TinyCRM)
        project = self._bound.slug if self._bound else None
        crm._set_up(replace(self.tenant, store=join(connection), sender=None), project)
        return crm

    @property
    def bound(self) -> BoundProject:
        """The product this client is bound to. Raises NotSupported if it is not."""
        if self._bound is None:
            raise NotSupported(
                "this client is not bound to a product: use crm.project('…').identify(…) "
                "or TinyCRM(…, project='…')"
            )
        return self._bound

    def identify(
        self,
        email: str,
        *,
        name: str | None = None,
        status: str | None = None,
        params: Mapping[str, Json] | None = None,
        set_once: Mapping[str, Json] | None = None,
        unset: Iterable[str] | None = None,
        at: When = None,
        active: bool = True,
    ) -> Result:
        """`BoundProject.identify` of the product this client is bound to."""
        bound = self._bound or self.bound
        # One by one, as passing on a dict of them takes twice as long as the call itself.
        return bound.identify(
            email,
            name=name,
            status=status,
            params=params,
            set_once=set_once,
            unset=unset,
            at=at,
            active=active,
        )

    def ping(self, email: str, at: When = None) -> bool:
        """`BoundProject.ping` of the product this client is bound to."""
        return self.bound.ping(email, at)

    def change_email(self, old: str, new: str, *, merge: bool = True, at: When = None) -> bool:
        """`BoundProject.change_email` of the product this client is bound to."""
        return self.bound.change_email(old, new, merge=merge, at=at)

    async def aidentify(self, email: str, **fields: Unpack[Fields]) -> Result:
        """`identify` for coroutines."""
        return await self.bound.aidentify(email, **fields)

    async def aping(self, email: str, at: When = None) -> bool:
        """`ping` for coroutines."""
        return await self.bound.aping(email, at)

    def import_csv(self, stream: IO[bytes] | IO[str], **options: Any) -> ImportReport:
        """Read people from CSV; the options are those of `transfer.import_csv`."""
        from tinycrm_core import transfer

        return transfer.import_csv(self, stream, **options)

    def import_jsonl(self, stream: IO[bytes] | IO[str], **options: Any) -> ImportReport:
        """Read people from what `export_jsonl` wrote; see `transfer.import_jsonl`."""
        from tinycrm_core import transfer

        return transfer.import_jsonl(self, stream, **options)

    def export_csv(
        self, stream: IO[bytes] | IO[str], filter: FilterLike = "", **options: Any
    ) -> int:
        """Write people as CSV and return the number of rows; see `transfer.export_csv`."""
        from tinycrm_core import transfer

        return transfer.export_csv(self, stream, filter, **options)

    def export_jsonl(
        self, stream: IO[bytes] | IO[str], filter: FilterLike = "", **options: Any
    ) -> int:
        """Write one JSON object per person and line; see `transfer.export_jsonl`."""
        from tinycrm_core import transfer

        return transfer.export_jsonl(self, stream, filter, **options)

    def migrate(self) -> None:
        """Bring the tables to this version of TinyCRM."""
        self.store.migrate()

    def check(self) -> list[str]:
        """What is wrong with the database, in sentences; empty when nothing is."""
        return self.store.check()

    def close(self) -> None:
        """Send what is queued, for up to two seconds, and give back what was opened."""
        queue = self._any_queue()
        if queue is not None:
            queue.close()
        if self._spool is not None:
            self._spool.close()
        self.transport.close()
        self.store.close()

    def __enter__(self) -> TinyCRM:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

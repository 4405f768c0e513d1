"""The sample portfolio: what five products exported, as the demo loads it."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files

from tinycrm_core.client import TinyCRM
from tinycrm_core.events import Identify
from tinycrm_core.transfer.report import ImportReport

FILES = {
    "newsletter": "newsletter_django_auth_user.csv",
    "linkbio": "linkbio_supabase_auth_users.csv",
    "analytics": "analytics_stripe_customers.csv",
    "shop": "shop_woocommerce_customers.csv",
    "waitlist": "waitlist_spreadsheet.csv",
}
"""Product and file, in the order of the badges."""

STATUS_MAPS = {"waitlist": {"waitlist": "free"}}
PAYING = {"linkbio": "p.plan@linkbio:pro", "shop": "p.orders@shop>0"}
"""Who pays, for products whose export has no status: what their webhooks would have told."""

SEGMENTS = {
    "Free here, paid there": "status@newsletter:free status@linkbio:paid",
    "Churned here, paid there": "status@analytics:churned status@shop:paid",
}


def load_sample(crm: TinyCRM) -> Iterator[tuple[str, ImportReport]]:
    """Import every file; gives each product with what became of its rows.

    Loading it again changes nothing.
    """
    folder = files("tinycrm_server") / "demo"
    for project, name in FILES.items():
        with (folder / name).open("rb") as stream:
            report = crm.import_csv(
                stream, project=project, source=name, status_map=STATUS_MAPS.get(project)
            )
        if project in PAYING:
            _pay(crm, project)
        yield project, report
    saved = {each.name for each in crm.segments.list()}
    for name, filter in SEGMENTS.items():
        if name not in saved:
            crm.segments.add(name, filter)


def _pay(crm: TinyCRM, project: str) -> None:
    events = [
        Identify(each.email, status="paid", active=False)
        for each in crm.customers.stream(f"{PAYING[project]} -status@{project}:paid")
    ]
    crm.project(project).send(events, via="sample")

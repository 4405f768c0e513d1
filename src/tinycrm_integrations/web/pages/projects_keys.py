"""Keys: made and shown once, in the answer to the form itself, and revoked."""

from __future__ import annotations

from collections.abc import Callable

from tinycrm_core.errors import Conflict, InvalidInput, NotFound
from tinycrm_core.keys import ApiKey
from tinycrm_integrations.web.forms import Form, refused
from tinycrm_integrations.web.http import Response, redirect
from tinycrm_integrations.web.notes import done
from tinycrm_integrations.web.pages.gone import gone
from tinycrm_integrations.web.pages.projects import listing
from tinycrm_integrations.web.pages.projects_cards import live_keys, seen
from tinycrm_integrations.web.pages.projects_one import no_product, product
from tinycrm_integrations.web.routes import Route
from tinycrm_integrations.web.visit import View, Visit

CHANGED = "No key was made: the keys changed since this form was loaded. Send it again if you want."


def create_for(visit: Visit, slug: str) -> View:
    """A key of a product."""
    if slug not in visit.slugs:
        return no_product(visit)
    label = visit.request.value("label").strip()

    def page(form: Form | None = None, *, fresh: ApiKey | None = None, status: int = 200) -> View:
        return product(visit, slug, form, fresh=fresh, status=status)

    return _create(visit, slug, page, lambda: visit.crm.keys.create(slug, label=label))


def create_of_account(visit: Visit) -> View:
    """A key that reads or administers the account."""
    label, scope = visit.request.value("label").strip(), visit.request.value("scope")

    def page(form: Form | None = None, *, fresh: ApiKey | None = None, status: int = 200) -> View:
        return listing(visit, form, fresh=fresh, status=status)

    return _create(
        visit,
        None,
        page,
        lambda: visit.crm.keys.create(scope=scope, label=label),  # type: ignore[arg-type]
    )


def _create(
    visit: Visit, slug: str | None, page: Callable[..., View], make: Callable[[], ApiKey]
) -> View:
    known = seen(each for each in live_keys(visit) if each.project == slug)
    if visit.request.value("seen") != known:
        return page(refused(visit.request, "label", CHANGED), status=409)
    try:
        key = make()
    except NotFound:
        return no_product(visit)
    except InvalidInput as error:
        return page(refused(visit.request, error.field or "label", error), status=422)
    except Conflict as error:
        return page(refused(visit.request, "label", error), status=409)
    return page(fresh=key)


def revoke(visit: Visit, key: str) -> View | Response:
    """End a key; one that is revoked already stays so."""
    owners = {str(each.id): slug for each, slug in visit.crm.keys.list()}
    try:
        visit.crm.keys.revoke(key)
    except (NotFound, InvalidInput):
        return gone(
            "This key is not there",
            "It never existed, or its product was deleted and took it along.",
            [("All products", visit.links.to("/projects"))],
        )
    slug = owners.get(key.lower())
    path = f"/projects/{slug}" if slug else "/projects"
    return redirect(done(visit.links.to(path), "key-revoked"))


ROUTES = (
    Route("POST", "/projects/{slug}/keys", create_for),
    Route("POST", "/keys", create_of_account),
    Route("POST", "/keys/{key}/revoke", revoke),
)

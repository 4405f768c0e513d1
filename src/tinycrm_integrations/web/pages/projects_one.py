"""The page of one product: its keys, name, colour and place, and the way to delete it."""

from __future__ import annotations

from tinycrm_core.errors import Conflict, InvalidInput, NotFound
from tinycrm_core.keys import ApiKey
from tinycrm_core.model import HUES
from tinycrm_integrations.web.forms import Form, refused
from tinycrm_integrations.web.http import Response, redirect
from tinycrm_integrations.web.notes import done
from tinycrm_integrations.web.pages.gone import gone
from tinycrm_integrations.web.pages.projects_cards import cards, live_keys, seen
from tinycrm_integrations.web.routes import Route
from tinycrm_integrations.web.visit import View, Visit


def project(visit: Visit, slug: str) -> View:
    """One product."""
    return product(visit, slug)


def product(
    visit: Visit,
    slug: str,
    form: Form | None = None,
    *,
    fresh: ApiKey | None = None,
    status: int = 200,
) -> View:
    """The page of a product; `fresh` is a key made for this very answer."""
    found = next((each for each in visit.crm.projects.list() if each.slug == slug), None)
    if found is None:
        return no_product(visit)
    (card,) = cards(visit, [found], live_keys(visit))
    context = {
        "title": found.name,
        "card": card,
        "keys_seen": seen(card.keys),
        "fresh": fresh,
        "form": form or Form(),
        "hues_offered": HUES,
    }
    return View("project.html", context, status, products={slug})


def no_product(visit: Visit) -> View:
    """Somebody deleted or renamed it."""
    return gone(
        "This product is not there",
        "It was deleted, has another slug now, or never existed. Nothing was done.",
        [("All products", visit.links.to("/projects"))],
    )


def change(visit: Visit, slug: str) -> View | Response:
    """Another slug, name or colour."""
    request = visit.request
    try:
        changed = visit.crm.projects.rename(
            slug,
            slug=request.value("slug").strip(),
            name=request.value("name").strip(),
            hue=request.value("hue"),
        )
    except NotFound:
        return no_product(visit)
    except (InvalidInput, Conflict) as error:
        form = refused(request, "slug" if error.field == "project" else str(error.field), error)
        status = 409 if isinstance(error, Conflict) else 422
        return product(visit, slug, form, status=status)
    return redirect(done(visit.links.to(f"/projects/{changed.slug}"), "project-changed"))


def move(visit: Visit, slug: str) -> View | Response:
    """Another place among the products, which is the place of its badges everywhere."""
    typed = visit.request.value("place")
    if not (typed.isascii() and typed.isdigit() and len(typed) < 6):
        raise InvalidInput("place: expected a whole number from 0 on", field="place")
    try:
        visit.crm.projects.move(slug, int(typed))
    except NotFound:
        return no_product(visit)
    return redirect(done(visit.links.to("/projects"), "project-moved") + f"#product-{slug}")


def delete(visit: Visit, slug: str) -> View | Response:
    """The product with its memberships and keys, once its slug was typed."""
    if slug not in visit.slugs:
        return no_product(visit)
    if visit.request.value("confirm").strip() != slug:
        form = refused(visit.request, "confirm", f"Nothing was deleted. Type {slug} to delete it.")
        return product(visit, slug, form, status=422)
    try:
        visit.crm.projects.delete(slug)
    except NotFound:
        return no_product(visit)
    return redirect(done(visit.links.to("/projects"), "project-deleted"))


ROUTES = (
    Route("GET", "/projects/{slug}", project),
    Route("POST", "/projects/{slug}", change),
    Route("POST", "/projects/{slug}/move", move),
    Route("POST", "/projects/{slug}/delete", delete),
)

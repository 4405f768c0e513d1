"""The products of an account, and the form for a new one."""

from __future__ import annotations

import re

from tinycrm_core.errors import Conflict, InvalidInput
from tinycrm_core.keys import ApiKey
from tinycrm_core.model import HUES
from tinycrm_integrations.web.forms import Form, refused
from tinycrm_integrations.web.http import Response
from tinycrm_integrations.web.pages.projects_cards import cards, live_keys, seen
from tinycrm_integrations.web.pages.projects_one import product
from tinycrm_integrations.web.routes import Route
from tinycrm_integrations.web.visit import View, Visit

FIRST_KEY = "first key"


def projects(visit: Visit) -> View:
    """All products."""
    return listing(visit)


def listing(
    visit: Visit, form: Form | None = None, *, fresh: ApiKey | None = None, status: int = 200
) -> View:
    """The page of all products; `fresh` is a key of the account made for this very answer."""
    products = visit.crm.projects.list()
    keys = live_keys(visit)
    found = cards(visit, products, keys)
    used = {each.hue for each in products}
    account_keys = [each for each in keys if each.project is None]
    context = {
        "title": "Products and keys",
        "cards": found,
        "uncounted": any(each.people is None for each in found),
        "key_count": sum(len(each.keys) for each in found),
        "account_keys": account_keys,
        "account_keys_seen": seen(account_keys),
        "fresh": fresh,
        "form": form or Form(),
        "hues_offered": HUES,
        "next_hue": next((each for each in HUES if each not in used), HUES[0]),
    }
    return View("projects.html", context, status)


def create(visit: Visit) -> View | Response:
    """A new product with its first key, which the answer shows this once."""
    request = visit.request
    name, slug = request.value("name").strip(), request.value("slug").strip()
    slug = slug or re.sub("[^a-z0-9]+", "-", name.lower()).strip("-")[:64]
    try:
        visit.crm.projects.add(slug, name=name or None, hue=request.value("hue") or None)
    except (InvalidInput, Conflict) as error:
        form = refused(request, "slug" if error.field == "project" else str(error.field), error)
        return listing(visit, form, status=409 if isinstance(error, Conflict) else 422)
    return product(visit, slug, fresh=visit.crm.keys.create(slug, label=FIRST_KEY))


ROUTES = (Route("GET", "/projects", projects), Route("POST", "/projects", create))

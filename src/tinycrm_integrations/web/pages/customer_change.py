"""What people who look after customers may change of one: name, address, status per product.

Names and statuses are written like any other call, in the name of whoever is logged in, and are
nobody's activity.
"""

from __future__ import annotations

from tinycrm_core.errors import Conflict, Forgotten, InvalidInput, NotFound, TinyCRMError
from tinycrm_core.events import Identify
from tinycrm_core.model import Customer, Status
from tinycrm_integrations.web.forms import Form, refused
from tinycrm_integrations.web.http import Response, redirect
from tinycrm_integrations.web.notes import done
from tinycrm_integrations.web.pages.customer import find_person, nobody
from tinycrm_integrations.web.routes import Route
from tinycrm_integrations.web.visit import View, Visit


def change(visit: Visit, ident: str) -> View:
    """The forms."""
    found = find_person(visit, ident)
    return nobody(visit) if found is None else _forms(visit, found, Form())


def _forms(
    visit: Visit, customer: Customer, form: Form, status: int = 200, merge: str | None = None
) -> View:
    context = {
        "customer": customer,
        "title": f"Change {customer.name or customer.email}",
        "here_is": visit.links.customer(customer.id),
        "standing": [(each, customer.on(each.slug)) for each in visit.projects],
        "statuses": [str(each) for each in Status],
        "form": form,
        "merge": merge,
    }
    products = {each.project for each in customer.memberships}
    return View("customer_change.html", context, status, products=products)


def change_email(visit: Visit, ident: str) -> View | Response:
    """Another main address; the old one stays as an alias. Somebody else's address is refused."""
    found = find_person(visit, ident)
    if found is None:
        return nobody(visit)
    customers, links = visit.crm.customers, visit.links
    typed = visit.request.value("email")
    try:
        owner = customers.get(typed)
        if owner is not None and owner.id != found.id:
            form = refused(visit.request, "email", _taken(owner))
            merge = links.to(f"/merge?id={owner.id}&id={found.id}")
            return _forms(visit, found, form, 409, merge)
        merged = customers.change_email(found.email, typed)
    except (InvalidInput, Forgotten) as error:
        return _forms(visit, found, refused(visit.request, "email", error), 422)
    except (NotFound, Conflict):
        return nobody(visit)
    if merged is None:
        return redirect(done(links.customer(found.id), "person-changed"))
    # Somebody took the address between our look and our call: then it was a merge after all.
    owner = customers.get(typed)
    page = links.customer(owner.id) if owner else links.customers()
    return redirect(done(page, "merged", id=merged))


def _taken(owner: Customer) -> str:
    name = f"{owner.name}, " if owner.name else ""
    return f"Nothing was changed: this address belongs to {name}{owner.email}."


def change_name(visit: Visit, ident: str) -> View | Response:
    """Another name; an empty one is refused, because it would change nothing."""
    found = find_person(visit, ident)
    if found is None:
        return nobody(visit)
    name = visit.request.value("name").strip()
    if not name:
        reason = "A name is not erased. Type another one."
        return _forms(visit, found, refused(visit.request, "name", reason), 422)
    if not found.memberships:
        reason = "Somebody on no product cannot be given a name."
        return _forms(visit, found, refused(visit.request, "name", reason), 422)
    try:
        _write(visit, found, found.memberships[0].project, name=name)
    except NotFound:
        return nobody(visit)
    except InvalidInput as error:
        return _forms(visit, found, refused(visit.request, "name", error), 422)
    return redirect(done(visit.links.customer(found.id), "person-changed"))


def _write(visit: Visit, found: Customer, slug: str, **fields: str) -> None:
    """Like a call that is made now; but whoever is gone, or the product, does not come back.

    Raises NotFound or InvalidInput.
    """
    event = Identify(found.email, active=False, limits=visit.crm.limits, **fields)  # type: ignore[arg-type]
    (answer,) = visit.crm.project(slug).send([event], create=False)
    if isinstance(answer, TinyCRMError):
        raise answer


def change_status(visit: Visit, ident: str) -> View | Response:
    """The statuses that differ from what the form showed; the others are left alone."""
    found = find_person(visit, ident)
    if found is None:
        return nobody(visit)
    request = visit.request
    wanted = {
        slug: status
        for slug in visit.slugs
        if (status := request.value(f"status-{slug}")) and status != request.value(f"was-{slug}")
    }
    wrong = next((slug for slug, status in wanted.items() if status not in set(Status)), None)
    if wrong is not None:
        reason = f"A status is one of {', '.join(Status)}."
        return _forms(visit, found, refused(request, f"status-{wrong}", reason), 422)
    try:
        for slug, status in wanted.items():
            _write(visit, found, slug, status=status)
    except NotFound:
        return nobody(visit)
    return redirect(done(visit.links.customer(found.id), "person-changed"))


ROUTES = (
    Route("GET", "/customers/{ident}/change", change),
    Route("POST", "/customers/{ident}/email", change_email),
    Route("POST", "/customers/{ident}/name", change_name),
    Route("POST", "/customers/{ident}/status", change_status),
)

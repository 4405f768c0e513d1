"""Deleting a person, once the address was typed."""

from __future__ import annotations

from tinycrm_core.model import Customer
from tinycrm_integrations.web.forms import Form, refused
from tinycrm_integrations.web.http import Response, redirect
from tinycrm_integrations.web.notes import done
from tinycrm_integrations.web.pages.customer import find_person, nobody
from tinycrm_integrations.web.routes import Route
from tinycrm_integrations.web.visit import View, Visit


def ask(visit: Visit, ident: str) -> View:
    """The form."""
    found = find_person(visit, ident)
    return nobody(visit) if found is None else _form(visit, found, Form())


def _form(visit: Visit, customer: Customer, form: Form, status: int = 200) -> View:
    context = {
        "customer": customer,
        "title": f"Delete {customer.name or customer.email}?",
        "here_is": visit.links.customer(customer.id),
        "form": form,
    }
    products = {each.project for each in customer.memberships}
    return View("customer_delete.html", context, status, products=products)


def delete(visit: Visit, ident: str) -> View | Response:
    """Erase the person; with `forget` the addresses are refused from now on."""
    found = find_person(visit, ident)
    if found is None:
        return nobody(visit)
    if visit.request.value("confirm").strip().lower() != found.email:
        reason = f"Nothing was deleted. Type {found.email} to delete this person."
        return _form(visit, found, refused(visit.request, "confirm", reason), 422)
    forget = bool(visit.request.value("forget"))
    visit.crm.customers.delete(found.email, forget=forget)
    told = "person-forgotten" if forget else "person-deleted"
    return redirect(done(visit.links.customers(), told))


ROUTES = (
    Route("GET", "/customers/{ident}/delete", ask),
    Route("POST", "/customers/{ident}/delete", delete),
)

"""The admin as URL patterns of a Django project."""

from __future__ import annotations

from collections.abc import Callable
from typing import IO, Any, cast
from urllib.parse import parse_qsl

from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.middleware.csrf import get_token
from django.urls import URLPattern, re_path
from django.views.decorators.csrf import csrf_protect

from tinycrm_core.client import TinyCRM
from tinycrm_integrations.web.admin import Admin
from tinycrm_integrations.web.gate import actor_name, checked
from tinycrm_integrations.web.http import Request, Response, Upload


def active_staff(request: HttpRequest) -> Any:
    """Django's own rule for its admin: the user if active and staff, else the way to the login."""
    # Imported late: Django's own views need its settings, which an import of ours must not.
    from django.contrib.auth.views import redirect_to_login

    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return redirect_to_login(request.get_full_path())
    return user if user.is_active and user.is_staff else None


def admin_urls(
    crm: TinyCRM, *, authorize: Callable[[HttpRequest], Any] = active_staff, **options: Any
) -> tuple[list[URLPattern], str]:
    """Patterns for `path("crm/", include(admin_urls(crm)))`.

    `authorize` takes the request and tells who it is: a name or a user object lets them in, False
    or None answers 403, a response of Django is sent instead. By default it is `active_staff`.
    `options` are those of `Admin`.
    """
    admin, allow = Admin(crm, **options), checked(authorize)

    def view(request: HttpRequest, below: str) -> HttpResponseBase:
        found = allow(request)
        if isinstance(found, HttpResponseBase):
            return found
        actor = actor_name(found)
        if actor is None:
            return HttpResponse("This page is not for you.", "text/plain; charset=utf-8", 403)
        return _native(admin.handle(_translated(request, f"/{below}", actor)))

    return [re_path(r"^(?P<below>.*)\Z", csrf_protect(view), name="admin")], "tinycrm"


def _translated(request: HttpRequest, below: str, actor: str) -> Request:
    return Request(
        method=request.method or "GET",
        path=below,
        prefix=request.path.removesuffix(below),
        origin=f"{request.scheme}://{request.get_host()}",
        query=tuple(parse_qsl(request.META.get("QUERY_STRING", ""), keep_blank_values=True)),
        form=tuple((name, value) for name, values in request.POST.lists() for value in values),
        uploads={
            name: Upload(each.name or "", cast("IO[bytes]", each))
            for name, each in request.FILES.items()
            if isinstance(each, UploadedFile)
        },
        headers={key.lower(): value for key, value in request.headers.items()},
        actor=actor,
        csrf=("csrfmiddlewaretoken", get_token(request)),
    )


def _native(answer: Response) -> HttpResponseBase:
    native: HttpResponseBase = (
        HttpResponse(answer.body, status=answer.status)
        if isinstance(answer.body, bytes)
        else StreamingHttpResponse(answer.body, status=answer.status)
    )
    del native["Content-Type"]
    for name, value in answer.headers:
        native[name] = value
    return native

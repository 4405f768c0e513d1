"""Two pages; the rest is allauth's."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import include, path
from django.views.decorators.http import require_POST

from tinycrm_integrations.django import crm


def home(request: HttpRequest) -> HttpResponse:
    return render(request, "home.html")


@require_POST
@login_required
def weekly(request: HttpRequest) -> HttpResponse:
    crm.identify(request.user.email, params={"weekly": True})
    return redirect("home")


urlpatterns = [
    path("", home, name="home"),
    path("weekly", weekly, name="weekly"),
    path("accounts/", include("allauth.urls")),
]

"""Answers of every kind that a middleware can spoil."""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from django.contrib.auth import get_user_model, login
from django.contrib.auth.decorators import login_required
from django.db import transaction
from django.http import (
    FileResponse,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    JsonResponse,
    StreamingHttpResponse,
)
from django.views.decorators.csrf import csrf_exempt

from tinycrm_integrations.django import crm


def front(request: HttpRequest) -> HttpResponse:
    return HttpResponse("hello")


def me(request: HttpRequest) -> HttpResponse:
    return HttpResponse(getattr(request.user, "email", "nobody"))


@transaction.non_atomic_requests
async def ame(request: HttpRequest) -> HttpResponse:
    user = await request.auser()
    return HttpResponse(getattr(user, "email", "nobody"))


@transaction.non_atomic_requests
async def slow_me(request: HttpRequest) -> HttpResponse:
    """Other requests come in between asking who it is and answering."""
    user = await request.auser()
    await asyncio.sleep(float(request.GET.get("wait", "0")))
    return HttpResponse(getattr(user, "email", "nobody"))


@login_required
def delete(request: HttpRequest) -> HttpResponse:
    request.user.delete()
    return HttpResponse("gone")


@csrf_exempt
def join(request: HttpRequest) -> HttpResponse:
    """Signs up and logs in at once, without a form."""
    email = request.GET["email"]
    user = get_user_model().objects.create_user(email.partition("@")[0], email, "secret")
    login(request, user, "django.contrib.auth.backends.ModelBackend")
    return HttpResponse(str(os.getpid()))


@csrf_exempt
def broken_signup(request: HttpRequest) -> HttpResponse:
    get_user_model().objects.create_user("broken", "broken@example.com", "secret")
    raise RuntimeError("after the sign-up")


@csrf_exempt
def savepoint_signup(request: HttpRequest) -> HttpResponse:
    users = get_user_model().objects
    try:
        with transaction.atomic():
            users.create_user("undone", "undone@example.com", "secret")
            raise ValueError("undo this one")
    except ValueError:
        users.create_user("kept", "kept@example.com", "secret")
    return HttpResponse("ok")


@csrf_exempt
@login_required
def plain_email(request: HttpRequest) -> HttpResponse:
    request.user.email = request.POST["email"]
    request.user.save(update_fields=["email"])
    return HttpResponse("ok")


@login_required
def buy(request: HttpRequest) -> HttpResponse:
    crm.identify(request.user.email, status="paid", params={"plan": "pro"})
    return HttpResponse("thank you")


def stream(request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse((f"{number}\n" for number in range(1000)), "text/plain")


@transaction.non_atomic_requests
async def astream(request: HttpRequest) -> StreamingHttpResponse:
    async def lines() -> AsyncIterator[str]:
        for number in range(1000):
            yield f"{number}\n"

    return StreamingHttpResponse(lines(), "text/plain")


_ended: list[str] = []


def events(request: HttpRequest) -> StreamingHttpResponse:
    """Server-sent events without an end; who waits for the second has the first."""

    def lines() -> Iterator[str]:
        try:
            for number in range(1000):
                yield f"data: {number}\n\n"
                time.sleep(0.05)
        finally:
            _ended.append("sync")

    async def alines() -> AsyncIterator[str]:
        try:
            for number in range(1000):
                yield f"data: {number}\n\n"
                await asyncio.sleep(0.05)
        finally:
            _ended.append("async")

    is_async = hasattr(request, "scope")
    return StreamingHttpResponse(alines() if is_async else lines(), "text/event-stream")


def closed(request: HttpRequest) -> JsonResponse:
    """How many streams were closed before their end."""
    return JsonResponse({"ended": len(_ended)})


def file(request: HttpRequest) -> HttpResponseBase:
    return FileResponse(Path(__file__).open("rb"), filename="views.py")


@csrf_exempt
def upload(request: HttpRequest) -> HttpResponse:
    digest = hashlib.sha256()
    for chunk in request.FILES["file"].chunks():
        digest.update(chunk)
    return HttpResponse(digest.hexdigest())


@csrf_exempt
def raw(request: HttpRequest) -> HttpResponse:
    digest = hashlib.sha256()
    while chunk := request.read(1 << 16):
        digest.update(chunk)
    return HttpResponse(digest.hexdigest())

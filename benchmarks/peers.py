"""Other admins over the customers table, for comparison: `python -m benchmarks.peers KIND FILE`.

Each shows name, email, last active and number of products, 50 to a page, most recently active
first, as its documentation would have one write it. None of them draws badges or params. Prints
the port and ends with its input.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import types
from collections.abc import Callable
from typing import Any

from tests.hosts.applications import serve_asgi, serve_wsgi

TABLE = "tinycrm_customers"


def django_admin(path: str) -> Any:
    import django
    from django.conf import settings
    from django.core.wsgi import get_wsgi_application

    settings.configure(
        SECRET_KEY="for benchmarks only",
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF="benchmark_urls",
        INSTALLED_APPS=[
            f"django.contrib.{each}"
            for each in ("admin", "auth", "contenttypes", "sessions", "messages")
        ],
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.contrib.messages.middleware.MessageMiddleware",
            f"{__name__}.everybody_is_an_owner",
        ],
        SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "APP_DIRS": True,
                "OPTIONS": {
                    "context_processors": [
                        "django.template.context_processors.request",
                        "django.contrib.auth.context_processors.auth",
                        "django.contrib.messages.context_processors.messages",
                    ]
                },
            }
        ],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": path}},
        STATIC_URL="/static/",
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    )
    django.setup()
    from django.contrib import admin
    from django.db import models
    from django.urls import path as route

    class Customer(models.Model):
        row_id = models.IntegerField(primary_key=True)
        email = models.TextField()
        name = models.TextField(null=True)
        last_seen_at = models.IntegerField(null=True)
        project_count = models.IntegerField()

        class Meta:
            app_label, db_table, managed = "auth", TABLE, False

    class CustomerAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
        list_display = ("name", "email", "last_seen_at", "project_count")
        search_fields = ("email", "name")
        ordering = ("-last_seen_at",)
        list_per_page = 50

    admin.site.register(Customer, CustomerAdmin)
    urls = types.ModuleType("benchmark_urls")
    urls.urlpatterns = [route("admin/", admin.site.urls)]  # type: ignore[attr-defined]
    sys.modules[urls.__name__] = urls
    return get_wsgi_application()


def everybody_is_an_owner(get_response: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Django middleware: a superuser that is in no table."""
    from django.contrib.auth.models import User

    owner = User(pk=1, username="owner", is_active=True, is_staff=True, is_superuser=True)

    def middleware(request: Any) -> Any:
        request.user = owner
        return get_response(request)

    return middleware


def model(base: Any) -> Any:
    """The table as SQLAlchemy's mapper wants it."""
    from sqlalchemy import Column, Integer, Text

    columns = {
        "row_id": Column(Integer, primary_key=True),
        "email": Column(Text),
        "name": Column(Text),
        "last_seen_at": Column(Integer),
        "project_count": Column(Integer),
    }
    return type("Customer", (base,), {"__tablename__": TABLE, **columns})


def flask_admin(path: str) -> Any:
    from flask import Flask
    from flask_admin import Admin
    from flask_admin.contrib.sqla import ModelView
    from sqlalchemy import create_engine
    from sqlalchemy.orm import DeclarativeBase, scoped_session, sessionmaker

    class Base(DeclarativeBase):
        pass

    class Customers(ModelView):  # type: ignore[misc]
        column_list = ("name", "email", "last_seen_at", "project_count")
        column_searchable_list = ("email", "name")
        column_default_sort = ("last_seen_at", True)
        page_size = 50

    app = Flask("peer")
    app.secret_key = "for benchmarks only"
    session = scoped_session(sessionmaker(create_engine(f"sqlite:///{path}")))
    app.teardown_appcontext(lambda error: session.remove())
    Admin(app).add_view(Customers(model(Base), session, endpoint="customers"))
    return app


def sqladmin(path: str) -> Any:
    from fastapi import FastAPI
    from sqladmin import Admin, ModelView
    from sqlalchemy import create_engine
    from sqlalchemy.orm import DeclarativeBase

    class Base(DeclarativeBase):
        pass

    customer = model(Base)

    class Customers(ModelView, model=customer):  # type: ignore[call-arg,misc]
        column_list = ("name", "email", "last_seen_at", "project_count")
        column_searchable_list = ("email", "name")
        column_default_sort = ("last_seen_at", True)
        page_size = 50

    app = FastAPI()
    Admin(app, create_engine(f"sqlite:///{path}")).add_view(Customers)
    return app


PEERS: dict[str, tuple[str, str]] = {
    "Django admin": ("/admin/auth/customer/", "q"),
    "Flask-Admin": ("/admin/customers/", "search"),
    "SQLAdmin": ("/admin/customer/list", "search"),
    "Datasette": (f"/{{stem}}/{TABLE}?_sort_desc=last_seen_at&_size=50", "email__contains"),
}
"""The path of the first page, and the parameter that searches."""


def main(kind: str, path: str) -> None:
    """Serve until the input ends."""
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    if kind == "Datasette":
        listening.close()
        command = [sys.executable, "-m", "datasette", "serve", path, "--port", str(port)]
        command += ["--setting", "sql_time_limit_ms", "20000"]
        server = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        print(port, flush=True)
        sys.stdin.read()
        server.terminate()
        return
    build = {"Django admin": django_admin, "Flask-Admin": flask_admin, "SQLAdmin": sqladmin}[kind]
    serve = serve_asgi if kind == "SQLAdmin" else serve_wsgi
    threading.Thread(target=serve, args=(build(path), listening), daemon=True).start()
    print(port, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])

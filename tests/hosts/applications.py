"""Small host applications with the admin in several places, and a server for each of them.

Run as a program it serves one of them: `python -m tests.hosts.applications KIND SQLITE-FILE`
prints the port and ends with its input.
"""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
from collections.abc import Callable
from typing import Any

from starlette.requests import Request

from tests.hosts import logins
from tinycrm_core.client import TinyCRM

OUTER = "/outer"
"""Where each application is mounted as a whole, as behind a proxy that strips this part."""

BELOW = "/a/b"
STAFF = "/staff"
"""Where Django has it a second time, under its own rule for its own admin."""

OWN_POLICY, NO_POLICY = "/own", "/none"
"""Where the host sends a policy of its own instead of ours, and where nobody sends any."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'"
)
"""As much as the admin needs, and no more."""

WHO = "X-Who"
"""The header that lets a plain client in, by a name, without the login of the host."""

AT_ROOT = "X-At-Root"
"""The header that asks the second application of a kind, which has the admin at its root."""


def flask_application(crm: TinyCRM) -> Any:
    """The admin in a blueprint inside a blueprint, or at the root, with every form checked."""
    import flask
    from flask_wtf.csrf import CSRFProtect
    from werkzeug.middleware.dispatcher import DispatcherMiddleware

    from tinycrm_integrations.flask.mount import admin_blueprint

    def who() -> Any:
        return flask.request.headers.get(WHO) or logins.flask_user()

    def application(at_root: bool) -> flask.Flask:
        app = flask.Flask("host")
        app.secret_key = "for tests only"
        CSRFProtect(app)
        logins.add_flask_login(app)
        admin = admin_blueprint(crm, authorize=who)
        if at_root:
            app.register_blueprint(admin)
        else:
            nested = flask.Blueprint("nested", __name__, url_prefix="/a")
            nested.register_blueprint(admin, url_prefix="/b")
            app.register_blueprint(nested)
        return app

    at_root, below = application(at_root=True), application(at_root=False)

    def both(environ: Any, start_response: Any) -> Any:
        app = at_root if "HTTP_X_AT_ROOT" in environ else below
        return app(environ, start_response)

    return DispatcherMiddleware(both, {OUTER: both})


def django_project(crm: TinyCRM) -> None:
    """Settings and addresses of a project that has Django's own login and CSRF check."""
    import types

    import django
    from django.conf import settings
    from django.urls import include, path

    from tinycrm_integrations.django.mount import admin_urls

    def who(request: Any) -> str | None:
        found: str | None = request.headers.get(WHO)
        return found

    urls, root = types.ModuleType("tests_hosts_urls"), types.ModuleType("tests_hosts_root")
    sys.modules |= {each.__name__: each for each in (urls, root)}
    settings.configure(
        SECRET_KEY="for tests only",
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF=urls.__name__,
        INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes"],
        MIDDLEWARE=[
            f"{__name__}.at_root",
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.common.CommonMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
        ],
        **logins.DJANGO_SETTINGS,
    )
    django.setup()
    logins.make_django_owner()
    from django.contrib.auth.views import LoginView

    urls.urlpatterns = [  # type: ignore[attr-defined]
        path("a/b/", include(admin_urls(crm, authorize=who))),
        path("staff/", include(admin_urls(crm))),
        path("login/", LoginView.as_view(), name="login"),
    ]
    root.urlpatterns = [  # type: ignore[attr-defined]
        path("", include(admin_urls(crm, authorize=who)))
    ]


def at_root(get_response: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Django middleware: the addresses of the second application where they are asked for."""

    def middleware(request: Any) -> Any:
        if AT_ROOT in request.headers:
            request.urlconf = "tests_hosts_root"
        return get_response(request)

    return middleware


def django_wsgi_application(crm: TinyCRM) -> Any:
    from werkzeug.middleware.dispatcher import DispatcherMiddleware

    django_project(crm)
    from django.core.wsgi import get_wsgi_application

    app = get_wsgi_application()
    return DispatcherMiddleware(app, {OUTER: app})


def django_asgi_application(crm: TinyCRM) -> Any:
    django_project(crm)
    from django.core.asgi import get_asgi_application

    return behind_proxy(get_asgi_application())


def starlette_application(crm: TinyCRM) -> Any:
    from starlette.applications import Starlette
    from starlette.routing import Mount, Route

    from tinycrm_integrations.starlette.mount import admin_routes

    async def who(request: Request) -> str | None:
        return request.headers.get(WHO) or request.session.get("user")

    routes = admin_routes(crm, authorize=who)
    bare = Mount(OWN_POLICY, routes=admin_routes(crm, authorize=who, headers={}))
    login = Route(logins.LOGIN, logins.session_login, methods=["GET", "POST"])
    below = Starlette(routes=[Mount(BELOW, routes=routes), bare, login])
    root = Starlette(routes=[Mount("/", routes=routes)])
    return behind_proxy(logins.with_sessions(with_policy(chosen(below, root))))


def fastapi_application(crm: TinyCRM) -> Any:
    from fastapi import FastAPI, Header

    from tinycrm_integrations.fastapi.mount import admin_router

    def who(request: Request, name: str | None = Header(None, alias=WHO)) -> str | None:
        return name or request.session.get("user")

    below, root = FastAPI(openapi_url=None), FastAPI(openapi_url=None)
    below.include_router(admin_router(crm, authorize=who), prefix=BELOW)
    below.include_router(admin_router(crm, authorize=who, headers={}), prefix=NO_POLICY)
    below.add_route(logins.LOGIN, logins.session_login, methods=["GET", "POST"])
    root.include_router(admin_router(crm, authorize=who))
    return behind_proxy(logins.with_sessions(chosen(below, root)))


def chosen(below: Any, root: Any) -> Any:
    """Either of two applications, as the request asks."""

    async def either(scope: Any, receive: Any, send: Any) -> None:
        names = {name for name, _ in scope["headers"]}
        app = root if AT_ROOT.lower().encode() in names else below
        await app(scope, receive, send)

    return either


def with_policy(app: Any) -> Any:
    """The host's own policy, on the pages that come without ours."""

    async def guarded(scope: Any, receive: Any, send: Any) -> None:
        async def sending(message: Any) -> None:
            named = {name for name, _ in message.get("headers", ())}
            if message["type"] == "http.response.start" and b"content-security-policy" not in named:
                policy = (b"content-security-policy", POLICY.encode())
                message = {**message, "headers": [*message["headers"], policy]}
            await send(message)

        await app(scope, receive, sending)

    return guarded


def behind_proxy(app: Any) -> Any:
    """Under OUTER, the application is told so as by a server: a root path before its own path."""

    async def outer(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"].startswith(f"{OUTER}/"):
            scope = {**scope, "root_path": OUTER}
        await app(scope, receive, send)

    return outer


WSGI: dict[str, Callable[[TinyCRM], Any]] = {
    "flask": flask_application,
    "django-wsgi": django_wsgi_application,
}
ASGI: dict[str, Callable[[TinyCRM], Any]] = {
    "django-asgi": django_asgi_application,
    "fastapi": fastapi_application,
    "starlette": starlette_application,
}
KINDS = (*WSGI, *ASGI)


def main(kind: str, database: str) -> None:
    """Serve until the input ends."""
    listening = socket.create_server(("127.0.0.1", 0))
    sys.stdout.write(f"{listening.getsockname()[1]}\n")
    sys.stdout.flush()
    with TinyCRM(f"sqlite:///{database}") as crm:
        serve = serve_wsgi if kind in WSGI else serve_asgi
        build = (WSGI | ASGI)[kind]
        threading.Thread(target=serve, args=(build(crm), listening), daemon=True).start()
        with contextlib.suppress(KeyboardInterrupt):
            sys.stdin.read()


def serve_wsgi(app: Any, listening: socket.socket) -> None:
    from werkzeug.serving import make_server

    make_server("127.0.0.1", 0, app, threaded=True, fd=listening.fileno()).serve_forever()


def serve_asgi(app: Any, listening: socket.socket) -> None:
    import uvicorn

    # Django speaks of lifespan as an error; it has none.
    config = uvicorn.Config(app, log_level="warning", lifespan="off")
    uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main(*sys.argv[1:])

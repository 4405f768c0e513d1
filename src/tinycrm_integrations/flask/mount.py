"""The admin as a blueprint of a Flask application."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

import flask
from flask.blueprints import BlueprintSetupState

from tinycrm_core.client import TinyCRM
from tinycrm_integrations.web.admin import Admin
from tinycrm_integrations.web.gate import actor_name, checked
from tinycrm_integrations.web.http import Request, Response, Upload

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]


def admin_blueprint(
    crm: TinyCRM, *, authorize: Callable[[], Any], name: str = "tinycrm", **options: Any
) -> flask.Blueprint:
    """A blueprint for `app.register_blueprint(…, url_prefix="/crm")`.

    `authorize` takes nothing and tells who it is: a name or a user object lets them in, False or
    None answers 403, a response of Flask is sent instead, and `abort` may be called. `options` are
    those of `Admin`. Raises InvalidInput without it.
    """
    admin, allow = Admin(crm, **options), checked(authorize)
    blueprint = flask.Blueprint(name, __name__)

    def answer(below: str = "") -> flask.Response:
        found = allow()
        if isinstance(found, flask.wrappers.Response):
            return found
        actor = actor_name(found)
        if actor is None:
            return flask.Response("This page is not for you.", 403, mimetype="text/plain")
        return _native(admin.handle(_translated(f"/{below}", actor)))

    def bare() -> flask.Response:
        path = flask.request.root_path.rstrip("/") + flask.request.path
        return flask.Response(status=308, headers={"Location": f"{path}/"})

    def add_bare_mount(state: BlueprintSetupState) -> None:
        if state.url_prefix and state.url_prefix != "/":
            state.add_url_rule("", "bare", bare, strict_slashes=True)

    blueprint.add_url_rule("/", "root", answer, methods=METHODS)
    blueprint.add_url_rule("/<path:below>", "below", answer, methods=METHODS)
    blueprint.record(add_bare_mount)
    return blueprint


def _translated(below: str, actor: str) -> Request:
    request = flask.request
    return Request(
        method=request.method,
        path=below,
        prefix=(request.root_path.rstrip("/") + request.path).removesuffix(below),
        origin=request.host_url.rstrip("/"),
        query=tuple(parse_qsl(request.query_string.decode("latin-1"), keep_blank_values=True)),
        form=tuple(request.form.items(multi=True)),
        uploads={
            name: Upload(each.filename or "", each.stream) for name, each in request.files.items()
        },
        headers={key.lower(): value for key, value in request.headers.items()},
        actor=actor,
        csrf=_csrf(),
    )


def _csrf() -> tuple[str, str] | None:
    """The hidden field of Flask-WTF where the application has it check every form."""
    if "csrf" not in flask.current_app.extensions or "flask_wtf.csrf" not in sys.modules:
        return None
    from flask_wtf.csrf import generate_csrf

    field = flask.current_app.config.get("WTF_CSRF_FIELD_NAME", "csrf_token")
    return field, generate_csrf()


def _native(answer: Response) -> flask.Response:
    return flask.Response(answer.body, answer.status, list(answer.headers))

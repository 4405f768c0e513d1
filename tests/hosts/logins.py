"""How the owner of a host logs in there: Flask-Login, Django's own login, a signed session."""

from __future__ import annotations

from typing import Any

OWNER, PASSWORD = "mara", "correct horse battery"
LOGIN = "/login/"
"""Where the form is in each host."""

FORM = """<!doctype html><html lang="en"><title>Log in</title>
<form method="post">%s
<label>Name <input name="username" autocomplete="username"></label>
<label>Password <input name="password" type="password" autocomplete="current-password"></label>
<button>Log in</button>
</form>"""


def is_owner(form: Any) -> bool:
    return (form.get("username"), form.get("password")) == (OWNER, PASSWORD)


def add_flask_login(app: Any) -> None:
    """A form that Flask-WTF checks, and users of Flask-Login."""
    import flask
    from flask_login import LoginManager, UserMixin, login_user
    from flask_wtf.csrf import generate_csrf

    class User(UserMixin):  # type: ignore[misc]
        id = username = OWNER

    LoginManager(app).user_loader(lambda ident: User() if ident == OWNER else None)

    @app.route(LOGIN, methods=["GET", "POST"])
    def login() -> Any:
        if is_owner(flask.request.form):
            login_user(User())
            return flask.redirect(flask.request.args["next"])
        return FORM % f'<input type="hidden" name="csrf_token" value="{generate_csrf()}">'


def flask_user() -> Any:
    from flask_login import current_user

    return current_user if current_user.is_authenticated else None


DJANGO_SETTINGS = {
    "DATABASES": {
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": "file:users?mode=memory&cache=shared",
        }
    },
    "MIGRATION_MODULES": {"auth": None, "contenttypes": None},
    "PASSWORD_HASHERS": ["django.contrib.auth.hashers.MD5PasswordHasher"],
    "SESSION_ENGINE": "django.contrib.sessions.backends.signed_cookies",
    "LOGIN_URL": "login",
    "TEMPLATES": [
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "OPTIONS": {
                "loaders": [
                    (
                        "django.template.loaders.locmem.Loader",
                        {"registration/login.html": FORM % "{% csrf_token %}"},
                    )
                ]
            },
        }
    ],
}
"""Users in memory, sessions in signed cookies, and Django's own login page."""


def make_django_owner() -> None:
    from django.contrib.auth import get_user_model
    from django.core.management import call_command

    call_command("migrate", run_syncdb=True, verbosity=0)
    get_user_model().objects.create_user(OWNER, password=PASSWORD, is_staff=True)


async def session_login(request: Any) -> Any:
    """The form of a Starlette application, and what it remembers."""
    from starlette.responses import HTMLResponse, RedirectResponse

    if request.method == "POST" and is_owner(await request.form()):
        request.session["user"] = OWNER
        return RedirectResponse(request.query_params["next"], 303)
    return HTMLResponse(FORM % "")


def with_sessions(app: Any) -> Any:
    from starlette.middleware.sessions import SessionMiddleware

    return SessionMiddleware(app, secret_key="for tests only")

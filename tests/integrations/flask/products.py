"""Two real products: one on Flask-Login alone, one on Flask-Security as its quick start has it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import flask_login
import flask_security
from flask import Flask, abort, request
from flask.typing import ResponseReturnValue
from flask_security.models import fsqla_v3
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import DeclarativeBase

SETTINGS = {"SECRET_KEY": "k" * 40}
PASSWORD = "correct horse battery"


class Mailbox(flask_security.MailUtil):
    """Keeps what Flask-Security would send."""

    sent: list[tuple[str, str]]

    def send_mail(
        self,
        template: str,
        subject: str,
        recipient: str,
        sender: Any,
        body: str,
        *_: Any,
        **__: Any,
    ) -> None:
        self.__dict__.setdefault("sent", []).append((recipient, body))


def security_product(folder: Path, **settings: Any) -> Flask:
    """Flask-Security with SQLAlchemy in its default configuration, people signing up themselves."""
    app = Flask("security_product")
    app.config.update(
        SETTINGS,
        SECURITY_PASSWORD_SALT="1" * 20,
        SECURITY_PASSWORD_HASH="plaintext",
        SECURITY_PASSWORD_SCHEMES=["plaintext"],
        SECURITY_REGISTERABLE=True,
        SECURITY_CHANGE_EMAIL=True,
        SECURITY_EMAIL_VALIDATOR_ARGS={"check_deliverability": False},
        SQLALCHEMY_DATABASE_URI=f"sqlite:///{folder / 'product.db'}",
    )
    app.config.update(settings)
    database = SQLAlchemy(app)
    fsqla_v3.FsModels.set_db_info(database)

    class Role(database.Model, fsqla_v3.FsRoleMixin):
        pass

    class User(database.Model, fsqla_v3.FsUserMixin):
        pass

    store = flask_security.SQLAlchemyUserDatastore(database, User, Role)
    app.security = flask_security.Security(app, store, mail_util_cls=Mailbox)
    app.users, app.database = User, database
    with app.app_context():
        database.create_all()

    @app.get("/")
    def public() -> str:
        return "welcome"

    @app.get("/me")
    @flask_security.auth_required()
    def me() -> str:
        return flask_security.current_user.email

    return app


class Base(DeclarativeBase):
    pass


def login_product(folder: Path, **settings: Any) -> Flask:
    """Flask-Login, and views for the rest as a small product writes them."""
    app = Flask("login_product")
    app.config.update(SETTINGS, SQLALCHEMY_DATABASE_URI=f"sqlite:///{folder / 'product.db'}")
    app.config.update(settings)
    database = SQLAlchemy(app)

    class User(database.Model, flask_login.UserMixin):
        id = database.Column(database.Integer, primary_key=True)
        email = database.Column(database.String, unique=True)
        name = database.Column(database.String)

    login = flask_login.LoginManager(app)
    app.users, app.database = User, database
    app.loaded = []

    @login.user_loader
    def load(ident: str) -> Any:
        app.loaded.append(ident)
        return database.session.get(User, int(ident))

    with app.app_context():
        database.create_all()

    @app.get("/")
    def public() -> str:
        return "welcome"

    @app.get("/me")
    @flask_login.login_required
    def me() -> str:
        return flask_login.current_user.email

    @app.post("/sign-up")
    def sign_up() -> ResponseReturnValue:
        user = User(email=request.form["email"], name=request.form.get("name"))
        database.session.add(user)
        if request.form.get("then") == "fail":
            database.session.flush()
            flask_login.login_user(user)
            database.session.rollback()
            abort(409)
        try:
            database.session.commit()
        except IntegrityError:
            database.session.rollback()
            abort(409)
        flask_login.login_user(user)
        return "signed up", 201

    @app.post("/login")
    def log_in() -> ResponseReturnValue:
        user = database.session.execute(
            database.select(User).filter_by(email=request.form["email"])
        ).scalar_one_or_none()
        if user is None:
            abort(401)
        flask_login.login_user(user, remember="remember" in request.form)
        return "logged in"

    @app.post("/logout")
    def log_out() -> str:
        flask_login.logout_user()
        return "logged out"

    return app

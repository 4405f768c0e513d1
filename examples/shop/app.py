"""The shop. All it knows of TinyCRM is the three settings, `crm`, and one call where people pay."""

from __future__ import annotations

import secrets
from pathlib import Path

from flask import Flask, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_security import MailUtil, Security, SQLAlchemyUserDatastore, auth_required, current_user
from flask_security.models import fsqla_v3 as fsqla
from flask_sqlalchemy import SQLAlchemy

from examples.serving import customers_url
from tinycrm_integrations.flask import TinyCRM

crm = TinyCRM()
mails: list[tuple[str, str]] = []


class ShownMail(MailUtil):
    """Keeps mails to be looked at, where a shop would send them."""

    def send_mail(self, template, subject, recipient, sender, body, html, **context):
        mails.append((recipient, body))


def create_app(folder: Path) -> Flask:
    app = Flask(__name__)
    app.config.update(
        SECRET_KEY=secrets.token_hex(),
        SECURITY_PASSWORD_SALT=secrets.token_hex(),
        SECURITY_REGISTERABLE=True,
        SECURITY_CHANGE_EMAIL=True,
        SECURITY_EMAIL_VALIDATOR_ARGS={"check_deliverability": False},
        # Four products on one host name share its cookies, whatever their ports.
        SESSION_COOKIE_NAME="shop_session",
        SQLALCHEMY_DATABASE_URI=f"sqlite:///{(folder / 'shop.db').absolute()}",
        TINYCRM_DATABASE=customers_url(folder),
        TINYCRM_PROJECT="shop",
    )
    db = SQLAlchemy(app)
    fsqla.FsModels.set_db_info(db)

    class Role(db.Model, fsqla.FsRoleMixin):
        pass

    class User(db.Model, fsqla.FsUserMixin):
        pass

    Security(app, SQLAlchemyUserDatastore(db, User, Role), mail_util_cls=ShownMail)
    crm.init_app(app)

    @crm.all_users
    def users():
        return db.session.scalars(db.select(User))

    @app.get("/")
    def home() -> str:
        return render_template("home.html")

    @app.post("/buy")
    @auth_required()
    def buy() -> ResponseReturnValue:
        crm.identify(current_user.email, status="paid", params={"plan": "pro", "mrr": 9})
        return redirect(url_for("home"))

    @app.get("/mails")
    def shown_mails() -> str:
        return render_template("mails.html", mails=mails)

    with app.app_context():
        db.create_all()
    return app

"""Filling in the forms of Flask-Security, with the hidden token they carry."""

from __future__ import annotations

import re

import httpx2

from tests.integrations.flask.products import PASSWORD


def fill(client: httpx2.Client, path: str, **fields: str) -> httpx2.Response:
    """Open a page and send its form."""
    page = client.get(path)
    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page.text)
    assert token, page.text
    return client.post(path, data={**fields, "csrf_token": token[1]})


def sign_up(client: httpx2.Client, email: str) -> httpx2.Response:
    return fill(client, "/register", email=email, password=PASSWORD, password_confirm=PASSWORD)


def log_in(client: httpx2.Client, email: str) -> httpx2.Response:
    return fill(client, "/login", email=email, password=PASSWORD)


def change_email(client: httpx2.Client, sent: list[tuple[str, str]], new: str) -> httpx2.Response:
    """Ask for another address, and open the link in the mail that comes."""
    fill(client, "/change-email", email=new)
    recipient, body = sent[-1]
    assert recipient == new
    link = re.search(r"https?://\S+?(/change-email/\S+)", body)
    assert link, body
    return client.get(link[1].rstrip(".)"))

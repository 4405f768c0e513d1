"""`python -m examples.links`."""

from examples.links.app import create_app
from examples.serving import main, serve_asgi

main("links", create_app, serve_asgi)

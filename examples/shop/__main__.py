"""`python -m examples.shop`."""

from examples.serving import main, serve_wsgi
from examples.shop.app import create_app

main("shop", create_app, serve_wsgi)

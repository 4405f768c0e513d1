"""A shop: Flask with Flask-Security."""

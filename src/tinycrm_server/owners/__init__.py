"""Owners: the people who log in to the server, and what keeps them logged in."""

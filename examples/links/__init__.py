"""A page of links: FastAPI with fastapi-users."""

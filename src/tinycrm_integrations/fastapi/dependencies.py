"""Dependencies of a FastAPI application."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import Depends
from fastapi.requests import HTTPConnection

from tinycrm_integrations.starlette.middleware import KEY


def seen(current_user: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
    """The same dependency, which also pings the user it finds: `Depends(seen(current_user))`.

    For applications whose dependency knows the user and nobody else: tokens, fastapi-users. What
    `current_user` returns and raises stays as it is.
    """

    async def seen_user(
        connection: HTTPConnection, user: Annotated[Any, Depends(current_user)]
    ) -> Any:
        if user is not None and (reporter := connection.scope.get(KEY)) is not None:
            reporter.visited(user)
        return user

    return seen_user

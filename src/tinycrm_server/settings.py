"""What can be set from outside: environment variables that begin with TINYCRM_."""

from __future__ import annotations

import ipaddress
from importlib.util import find_spec
from typing import Annotated, Any, Literal

from limits import parse
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from tinycrm_core.errors import InvalidInput
from tinycrm_server.rates import open_storage

PREFIX = "TINYCRM_"


class Settings(BaseSettings):
    """The settings of a server; each is read from TINYCRM_ and its name in capitals."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True)

    database: str = "sqlite:///tinycrm.db"
    """Where the customers are: an SQLAlchemy URL."""
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8765
    workers: Annotated[int, Field(ge=1, le=64)] = 1
    """Processes that answer."""
    root_path: str = ""
    """The path under which a proxy shows this server, such as /crm."""
    trusted_proxies: str = ""
    """Addresses or networks, with commas, whose X-Forwarded-For and -Proto are believed."""
    max_body: Annotated[int, Field(ge=1024, le=1024**3)] = 1024 * 1024
    """Bytes of a request body of the API."""
    max_upload: Annotated[int, Field(ge=1024)] = 256 * 1024 * 1024
    """Bytes of a file that an owner imports."""
    uploads_dir: str = ""
    """Where such files wait, if not in the system's folder for temporary files."""
    rate_per_key: str = "60000/minute"
    """Events and questions of one API key."""
    rate_per_address: str = "6000/minute"
    """Calls from one network address."""
    rate_logins: str = "10/minute"
    """Failed logins for one owner from one address."""
    rate_storage: str = ""
    """Where calls are counted, if not by all workers of this server together."""
    session_idle_hours: Annotated[float, Field(gt=0)] = 12
    session_hours: Annotated[float, Field(gt=0)] = 24 * 7
    stop_seconds: Annotated[int, Field(ge=0, le=3600)] = 30
    """How long calls may take to end when the server is told to stop."""
    metrics_token: SecretStr | None = None
    """Turns on /metrics for whoever sends this as a bearer token."""
    log_format: Literal["json", "text"] = "json"
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @field_validator("root_path")
    @classmethod
    def _clean_root(cls, value: str) -> str:
        value = value.rstrip("/")
        if value and not (value.startswith("/") and value.isascii() and value.isprintable()):
            raise ValueError("a path such as /crm")
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _clean_proxies(cls, value: str) -> str:
        for each in filter(None, map(str.strip, value.split(","))):
            ipaddress.ip_network(each, strict=False)
        return value

    @field_validator("rate_per_key", "rate_per_address", "rate_logins")
    @classmethod
    def _clean_rate(cls, value: str) -> str:
        if value:
            parse(value)
        return value

    @field_validator("rate_storage")
    @classmethod
    def _clean_storage(cls, value: str) -> str:
        open_storage(value)
        return value

    @field_validator("metrics_token")
    @classmethod
    def _have_metrics(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and find_spec("prometheus_client") is None:
            raise ValueError("needs prometheus-client; pip install 'tinycrm[server,metrics]'")
        return value


def read_settings(**given: Any) -> Settings:
    """The settings of the environment; what is `given` and not None comes before it.

    Raises InvalidInput that names the variable.
    """
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        name = PREFIX + str(first["loc"][0]).upper()
        raise InvalidInput(
            f"{name}: {first['msg'].removeprefix('Value error, ')}", field=name
        ) from None

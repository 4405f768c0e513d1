"""Logs: one line for each call, without personal data and without secrets."""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog

from tinycrm_core.keys import redact
from tinycrm_server.settings import Settings


def set_up_logs(settings: Settings) -> None:
    """Send what TinyCRM, uvicorn and the warnings of libraries say to stderr, line by line."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _redacted,
    ]
    last: Any = (
        structlog.processors.JSONRenderer()
        if settings.log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    handler = logging.StreamHandler(sys.stderr)
    remove = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *shared], processors=[remove, last]
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level.upper())
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True


def _redacted(logger: object, method: str, event: dict[str, Any]) -> dict[str, Any]:
    """Keys never reach a log, whatever message or traceback holds one."""
    return {
        name: redact(value) if isinstance(value, str) else value for name, value in event.items()
    }

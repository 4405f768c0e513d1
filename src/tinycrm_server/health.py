"""What watches over the server: is it alive, can it work, how much does it do."""

from __future__ import annotations

import hmac
import os
from typing import Any

from fastapi import APIRouter, HTTPException
from starlette.requests import Request
from starlette.responses import Response

from tinycrm_core.client import TinyCRM
from tinycrm_server.replies import as_json

LATENCIES = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


def health_router(crm: TinyCRM) -> APIRouter:
    """`/healthz` and `/readyz`."""
    router = APIRouter(include_in_schema=False)

    @router.get("/healthz")
    async def healthz() -> Response:
        return as_json({"status": "ok"})

    @router.get("/readyz")
    def readyz() -> Response:
        crm.store.accounts()
        return as_json({"status": "ok"})

    return router


class Metrics:
    """Counts of calls by route, method and status, and how long they took.

    Where PROMETHEUS_MULTIPROC_DIR names a folder, which `run` sees to with several workers, the
    counts of all of them, also of those that have ended, are shown as one.
    """

    def __init__(self) -> None:
        import prometheus_client

        self._library: Any = prometheus_client
        self._registry = prometheus_client.CollectorRegistry()
        self._seconds = prometheus_client.Histogram(
            "tinycrm_http_request_seconds",
            "Time to answer",
            ("method", "route", "status"),
            registry=self._registry,
            buckets=LATENCIES,
        )

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one call."""
        self._seconds.labels(method, route, str(status)).observe(seconds)

    def text(self) -> bytes:
        """Everything in the text format of Prometheus; of all workers where they share a folder."""
        registry = self._registry
        if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
            from prometheus_client import multiprocess

            registry = self._library.CollectorRegistry()
            multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        found: bytes = self._library.generate_latest(registry)
        return found


def metrics_router(metrics: Metrics, token: str) -> APIRouter:
    """`/metrics`, for whoever has the token."""
    router = APIRouter(include_in_schema=False)
    expected = f"Bearer {token}".encode()

    @router.get("/metrics")
    def show(request: Request) -> Response:
        given = request.headers.get("authorization", "").encode("utf-8", "replace")
        if not hmac.compare_digest(given, expected):
            raise HTTPException(404)
        return Response(metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    return router

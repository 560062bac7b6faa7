"""How long MLflow's answers take and how they come out, for Prometheus, at a port of its own.

MLflow's own exporter counts below Flask alone, wants a folder of gunicorn's, and answers at an address that
its log-in guards; this one counts whatever is answered, and its port is not one that leads outside.
"""

import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from prometheus_client import REGISTRY, CollectorRegistry, Histogram, start_http_server

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Counted:
    """An ASGI application whose answers are counted; one that raises counts as a 500."""

    def __init__(self, app: App, registry: CollectorRegistry = REGISTRY) -> None:
        self._app = app
        self._seconds = Histogram(
            "mlflow_request_seconds",
            "From a request's arrival until its answer was sent.",
            ["method", "status"],
            buckets=SECONDS,
            registry=registry,
        )

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 500

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        # Whoever asks by a word that is no method must not make a series of it.
        method = scope["method"] if scope["method"] in METHODS else "other"
        try:
            await self._app(scope, receive, noting)
        finally:
            self._seconds.labels(method, str(status)).observe(time.perf_counter() - began)


def tell(host: str, port: int) -> None:
    """Answer Prometheus at this address, in a thread, until the process ends."""
    start_http_server(port, addr=host)

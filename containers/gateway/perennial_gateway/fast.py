"""The hot path: predictions as plain ASGI, without what a framework does for each request.

Everything else goes through Starlette; what is refused here is told in the same form.
"""

import logging
from collections.abc import Mapping
from typing import Any

import orjson
from prometheus_client import Counter
from starlette.types import ASGIApp, Receive, Send
from starlette.types import Scope as Connection

from perennial_gateway.access.guard import Guard
from perennial_gateway.access.sender import Scope
from perennial_gateway.metrics import REQUESTS
from perennial_gateway.route_table import RouteTable
from perennial_gateway.service import Asked, Service
from perennial_gateway.trace import trace_of
from perennial_gateway.web import FAILED, Headers, Refused, json_from

PREFIX, SUFFIX = "/v1/models/", "/predict"
HEADERS = [(b"content-type", b"application/json"), (b"x-content-type-options", b"nosniff")]

logger = logging.getLogger("perennial_gateway")


class Predictions:
    """`POST /v1/models/<model>/predict`, in front of the application that answers everything else."""

    def __init__(self, others: ASGIApp, service: Service, routes: RouteTable, guard: Guard) -> None:
        self._others = others
        self._service = service
        self._routes = routes
        self._guard = guard
        self._counters: dict[tuple[str, int], Counter] = {}

    async def __call__(self, scope: Connection, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "POST":
            path: str = scope["path"]
            if path.endswith(SUFFIX) and path.startswith(PREFIX):
                await self._predict(path[len(PREFIX) : -len(SUFFIX)], scope["headers"], receive, send)
                return
        await self._others(scope, receive, send)

    async def _predict(self, model: str, headers: Headers, receive: Receive, send: Send) -> None:
        more: Mapping[str, str] = {}
        try:
            sender = self._guard.authorize(headers, Scope.PREDICT, model)
            document = await json_from(headers, receive, sender.body_bytes)
            trace = trace_of(headers)
            status, body = (
                200,
                await self._service.predict(Asked(model, document, sender.name, headers, trace)),
            )
            if trace is not None:
                more = {"traceparent": trace.parent.decode()}
        except Refused as refused:
            status, body, more = refused.status, refused.body, refused.headers
        except Exception:
            logger.exception("POST %s%s%s", PREFIX, model, SUFFIX)
            status, body = 500, FAILED
        self._count(model, status)
        await _send(send, status, body, more)

    def _count(self, model: str, status: int) -> None:
        counter = self._counters.get((model, status))
        if counter is None:
            known = self._routes.label(model)
            counter = REQUESTS.labels("predict", known, str(status))
            if known:
                self._counters[model, status] = counter
        counter.inc()


async def _send(send: Send, status: int, body: Any, more: Mapping[str, str]) -> None:
    content = orjson.dumps(body)
    headers = [*HEADERS, (b"content-length", b"%d" % len(content))]
    headers += [(name.lower().encode(), value.encode()) for name, value in more.items()]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})

"""The hot path: predictions as plain ASGI, without what a framework does for each request.

Everything else goes through Starlette; what is refused here is told in the same form.
"""

import logging
from collections.abc import Mapping

import orjson
from prometheus_client import Counter
from starlette.types import ASGIApp, Receive, Send
from starlette.types import Scope as Connection

from perennial_gateway.access.guard import Guard
from perennial_gateway.access.sender import Scope
from perennial_gateway.exchange import EXCHANGE, Exchange
from perennial_gateway.metrics import REQUESTS
from perennial_gateway.route_table import RouteTable
from perennial_gateway.service import Asked, Service
from perennial_gateway.trace import trace_of
from perennial_gateway.web import FAILED, Headers, Refused, json_from, json_in

PREFIX, SUFFIX = "/v1/models/", "/predict"
HEADERS = [(b"content-type", b"application/json"), (b"x-content-type-options", b"nosniff")]
SAID = b"".join(b"%s: %s\r\n" % each for each in HEADERS)

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
                await self._predict(path[len(PREFIX) : -len(SUFFIX)], scope, receive, send)
                return
        await self._others(scope, receive, send)

    async def _predict(self, model: str, scope: Connection, receive: Receive, send: Send) -> None:
        headers: Headers = scope["headers"]
        exchange: Exchange | None = scope.get("extensions", {}).get(EXCHANGE)
        more: Mapping[str, str] = {}
        try:
            sender = self._guard.authorize(headers, Scope.PREDICT, model)
            body = exchange.body() if exchange else None
            if body is None:
                document = await json_from(headers, receive, sender.body_bytes)
            else:
                document = json_in(headers, body, sender.body_bytes)
            trace = trace_of(headers)
            status = 200
            answer = await self._service.predict(Asked(model, document, sender.name, headers, trace))
            if trace is not None:
                more = {"traceparent": trace.parent.decode()}
        except Refused as refused:
            status, answer, more = refused.status, refused.body, refused.headers
        except Exception:
            logger.exception("POST %s%s%s", PREFIX, model, SUFFIX)
            status, answer = 500, FAILED
        self._count(model, status)
        content = orjson.dumps(answer)
        if status == 200 and not more and exchange and exchange.answer(SAID, content):
            return
        await _send(send, status, content, more)

    def _count(self, model: str, status: int) -> None:
        counter = self._counters.get((model, status))
        if counter is None:
            known = self._routes.label(model)
            counter = REQUESTS.labels("predict", known, str(status))
            if known:
                self._counters[model, status] = counter
        counter.inc()


async def _send(send: Send, status: int, content: bytes, more: Mapping[str, str]) -> None:
    headers = [*HEADERS, (b"content-length", b"%d" % len(content))]
    headers += [(name.lower().encode(), value.encode()) for name, value in more.items()]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})

"""The hot path: predictions as plain ASGI, without what a framework does for each request.

Everything else goes through Starlette; what is refused here is told in the same form.
"""

from typing import Protocol

from starlette.types import Receive, Scope, Send

from perennial_gateway.metrics import REQUESTS
from perennial_gateway.routes import RouteTable
from perennial_gateway.service import Asked, Service
from perennial_gateway.web import Json, Refused, json_from

PREFIX, SUFFIX = "/v1/models/", "/predict"


class Authorize(Protocol):
    """Says whose token a request bears, None where none is asked for; see `tokens.Guard.sender_of`."""

    def __call__(self, headers: dict[bytes, bytes]) -> str | None: ...


class Predictions:
    """`POST /v1/models/<model>/predict`."""

    def __init__(self, service: Service, routes: RouteTable, authorize: Authorize) -> None:
        self._service = service
        self._routes = routes
        self._authorize = authorize

    def answers(self, scope: Scope) -> bool:
        """Whether a request is one of these."""
        path: str = scope["path"]
        return path.endswith(SUFFIX) and path.startswith(PREFIX) and scope["method"] == "POST"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, and count it. What nobody foresaw is raised."""
        model = scope["path"][len(PREFIX) : -len(SUFFIX)]
        status = 500
        try:
            try:
                headers = dict(scope["headers"])
                sender = self._authorize(headers)
                document = await json_from(headers, receive)
                answer = Json(await self._service.predict(Asked(model, document, sender, headers)))
            except Refused as refused:
                answer = Json(refused.body, refused.status, refused.headers)
            status = answer.status_code
            await answer(scope, receive, send)
        finally:
            REQUESTS.labels("predict", model if model in self._routes else "", str(status)).inc()

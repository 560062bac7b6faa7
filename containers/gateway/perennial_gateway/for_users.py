"""What the gateway answers its users."""

import asyncio
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from perennial_gateway.access.guard import Guard, permit, require_model
from perennial_gateway.access.sender import Scope
from perennial_gateway.history import History, Page, Window, asked
from perennial_gateway.log import DurableLog
from perennial_gateway.metrics import exposition
from perennial_gateway.predict_batch import BatchPredictions
from perennial_gateway.readings import Readings
from perennial_gateway.route_table import RouteTable
from perennial_gateway.routes import Served
from perennial_gateway.service import Service
from perennial_gateway.web import Json, Refused

PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"
SHOWN = {"input_schema", "label_schema", "input_example", "timeout_seconds"}


class ForUsers:
    """The models, for who bears a token where tokens are asked for; and what tells of the gateway itself.

    Each address asks for the scope that it needs: `permit` lets no token do what it was not made for.

    Args:
        guard: It stands before all that is below /v1.
        tell: Brings the gauges up to now.
    """

    def __init__(
        self,
        routes: RouteTable,
        log: DurableLog,
        history: History,
        service: Service,
        batches: BatchPredictions,
        guard: Guard,
        tell: Callable[[], None],
    ) -> None:
        self._routes = routes
        self._log = log
        self._history = history
        self._service = service
        self._batches = batches
        self._guard = guard
        self._tell = tell
        self._readings = Readings()

    def of_models(self) -> list[Route]:
        """What is below /v1."""
        return [
            Route("/models/{model}/predict", self.predict, methods=["POST"]),
            Route("/models/{model}:predict_batch", self.predict_batch, methods=["POST"]),
            Route("/models/{model}/feedback", self.feedback, methods=["POST"]),
            Route("/models/{model}/predictions", self.predictions),
            Route("/models/{model}/statistics", self.statistics),
            Route("/models/{model}:predict_batch", self.other_method),
            Route("/models/{model}", self.model),
            Route("/models", self.models),
            Route("/token", self.token),
        ]

    def of_the_gateway(self) -> list[Route]:
        """What everybody may see of the gateway, and whether a token is known."""
        return [
            Route("/v1/token", self.token),
            Route("/healthz", self.healthz),
            Route("/metrics", self.metrics),
        ]

    async def predict(self, _request: Request) -> Response:
        """Never reached: POST is answered on the hot path (fast.py); this names the method to others."""
        raise Refused(405, "Use POST.")

    async def other_method(self, request: Request) -> Response:
        """A model's name in its own path would take what is meant for another path."""
        message = f"{request.method} is not allowed at {request.scope['path']}. Use POST."
        raise Refused(405, message, headers={"Allow": "POST"})

    async def predict_batch(self, request: Request) -> Response:
        model = _permitted(request, Scope.PREDICT)
        return await self._batches.answer(model, request, request.state.token)

    async def feedback(self, request: Request) -> Response:
        model = _permitted(request, Scope.FEEDBACK)
        return Json(await self._service.feedback(model, request), 202)

    async def models(self, request: Request) -> Response:
        """The models that the token is for."""
        mine = request.state.token.models
        names = [name for name in self._routes.names() if mine is None or name in mine]
        return Json({"models": [_summary(self._routes.served(name)) for name in names]})

    async def token(self, request: Request) -> Response:
        """Whether the token is known; asking counts nothing: a reverse proxy may ask before a request."""
        self._guard.recognize(request.scope["headers"])
        return Response(status_code=204)

    async def model(self, request: Request) -> Response:
        served = self._routes.served(_of_token(request))
        return Json(_summary(served) | served.route.model_dump(include=SHOWN))

    async def predictions(self, request: Request) -> Response:
        """What was predicted, newest first."""
        model = self._read(request)
        page = asked(Page, request.query_params.multi_items())
        await asyncio.to_thread(self._log.settle)
        return Json(await self._readings.run(self._history.page, model, page))

    async def statistics(self, request: Request) -> Response:
        """How much each version predicted, and how right it was."""
        model = self._read(request)
        window = asked(Window, request.query_params.multi_items())
        await asyncio.to_thread(self._log.settle)
        return Json(await self._readings.run(self._history.statistics, model, window))

    def _read(self, request: Request) -> str:
        model = _permitted(request, Scope.READ)
        self._routes.served(model)
        return model

    async def healthz(self, _request: Request) -> Response:
        if not self._log.alive:
            raise Refused(503, "The log's writer has ended. Restart the gateway.")
        known = {"models": self._routes.names()}
        if self._log.fault:
            behind = {"why": self._log.fault, "bytes": self._log.behind_bytes}
            return Json({"status": "spooling"} | behind | known)
        return Json({"status": "ok"} | known)

    async def metrics(self, _request: Request) -> Response:
        self._tell()
        return Response(await asyncio.to_thread(exposition), media_type=PROMETHEUS)


def _permitted(request: Request, scope: Scope) -> str:
    """The model that a request names, if its token is for this.

    Raises:
        Refused: 403.
    """
    model: str = request.path_params["model"]
    permit(request.state.token, scope, model)
    return model


def _of_token(request: Request) -> str:
    """The model that a request names, if its token is for it, whatever the token's scopes.

    Raises:
        Refused: 403.
    """
    model: str = request.path_params["model"]
    require_model(request.state.token, model)
    return model


def _summary(served: Served) -> dict[str, Any]:
    route = served.route
    return {
        "model": route.model,
        "model_version": route.model_version,
        "run_id": route.run_id,
        "archive_sha256": route.archive_sha256,
        "serving_since": served.since,
    }

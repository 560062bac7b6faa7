"""What the gateway does for its users: predict, and take labels."""

import asyncio
import os
import time
from typing import Any

import orjson

from perennial_gateway.asgi import Refused, Request
from perennial_gateway.backend import Backend
from perennial_gateway.database import now
from perennial_gateway.log import DurableLog
from perennial_gateway.metrics import IN_FLIGHT, LABELS, PREDICT_SECONDS, PREDICTIONS
from perennial_gateway.routes import Route, RouteTable, Served
from perennial_gateway.schemas import instances_of, labels_of

MOST_IN_FLIGHT = 2000
"""More would only wait in TorchServe's queue, which holds as many."""


def new_id() -> str:
    """A prediction's id: a UUID of version 7 (RFC 9562), whose
    order is that of time, so that the index grows at its end.
    """
    value = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10), "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    return f"{value & ~(0x3 << 62) | 0x2 << 62:032x}"


class Service:
    """Predictions and labels over the routes, the backend and the log."""

    def __init__(self, routes: RouteTable, backend: Backend, log: DurableLog) -> None:
        self._routes = routes
        self._backend = backend
        self._log = log

    async def predict(self, model: str, request: Request) -> dict[str, Any]:
        """Answer a request's instances; every prediction is in the log, durably, before it is told.

        All or nothing: an instance that the schema or the model refuses refuses the request, and none of it
        is logged.
        """
        started = time.perf_counter()
        served = self._routes.served(model)
        instances = instances_of(await request.json(), served.inputs)
        answers = await self._ask(served, instances)
        route = served.route
        rows = [_row(route, instance, answer) for instance, answer in zip(instances, answers, strict=True)]
        await self._log.append("predictions", rows)
        PREDICTIONS.labels(model, route.model_version).inc(len(rows))
        PREDICT_SECONDS.labels(model, route.model_version).observe(time.perf_counter() - started)
        told = [
            {
                "prediction_id": row["prediction_id"],
                "prediction": answer["prediction"],
                "score": answer.get("score"),
            }
            for row, answer in zip(rows, answers, strict=True)
        ]
        return _head(route) | {"predictions": told}

    async def probe(self, model: str, request: Request) -> dict[str, Any]:
        """The same way through the gateway without a trace in the
        log: how a deployment sees which version truly answers.
        """
        served = self._routes.served(model)
        answers = await self._ask(served, instances_of(await request.json(), served.inputs))
        return _head(served.route) | {"predictions": answers}

    async def feedback(self, model: str, request: Request) -> dict[str, Any]:
        """Keep the labels of earlier predictions, however old. A
        second label for a prediction is kept too: the last counts.

        Raises:
            Refused: 404 for ids that are no predictions of this model; nothing of the request is kept.
        """
        served = self._routes.served(model)
        pairs = labels_of(await request.json(), served.labels)
        unknown = await asyncio.to_thread(
            self._log.unknown, model, [prediction_id for prediction_id, _ in pairs]
        )
        if unknown:
            named = ", ".join(repr(prediction_id[:40]) for prediction_id in unknown[:5])
            message = (
                f"{len(unknown)} ids are no predictions of {model!r}: "
                f"{named}{', …' if len(unknown) > 5 else ''}."
            )
            raise Refused(404, f"{message} Nothing was accepted.", unknown=unknown)
        received = now()
        rows = [
            {
                "prediction_id": prediction_id,
                "model": model,
                "label": orjson.dumps(label).decode(),
                "received_at": received,
            }
            for prediction_id, label in pairs
        ]
        await self._log.append("feedback", rows)
        LABELS.labels(model).inc(len(rows))
        return {"accepted": len(rows)}

    async def _ask(self, served: Served, instances: list[dict[str, Any]]) -> list[dict[str, Any]]:
        in_flight, key = self._routes.in_flight, (served.route.model, served.route.backend_version)
        if in_flight.total() >= MOST_IN_FLIGHT:
            raise Refused(
                503, "Too many requests are being worked on. Try again.", headers={"Retry-After": "1"}
            )
        in_flight[key] += 1
        IN_FLIGHT.inc()
        try:
            return await self._backend.predict(served.route, instances)
        finally:
            in_flight[key] -= 1
            IN_FLIGHT.dec()


def _head(route: Route) -> dict[str, Any]:
    return {"model": route.model, "model_version": route.model_version, "run_id": route.run_id}


def _row(route: Route, instance: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    return {
        "prediction_id": new_id(),
        "model": route.model,
        "predicted_at": now(),
        "model_version": route.model_version,
        "run_id": route.run_id,
        "features": orjson.dumps(instance).decode(),
        "prediction": orjson.dumps(answer["prediction"]).decode(),
        "score": answer.get("score"),
    }

"""What the gateway answers the platform's own steps, and who takes labels back."""

import asyncio
import math
from collections.abc import Mapping

import sqlalchemy as sa
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from perennial_gateway import database
from perennial_gateway.failures import Failures
from perennial_gateway.labelled import LossRule
from perennial_gateway.log import TABLES, DurableLog
from perennial_gateway.objectives import MOST_WINDOWS, objectives_of
from perennial_gateway.outcomes import MOST_LABELLED, outcomes_of, parse_since
from perennial_gateway.peers import Peers
from perennial_gateway.route_table import RouteTable
from perennial_gateway.service import Service
from perennial_gateway.takebacks import Takebacks
from perennial_gateway.web import Json, Refused, json_of

MOST_ROWS = 10_000
MOST_DIGITS = 18
"""Of a number that is given to the database, whose own have 64 bits."""


class ForSteps:
    """Routes and their history, the probe of a deployment, and the log."""

    def __init__(
        self,
        engine: sa.Engine,
        routes: RouteTable,
        log: DurableLog,
        service: Service,
        takebacks: Takebacks,
        failures: Failures,
        peers: Peers,
    ) -> None:
        self._engine = engine
        self._routes = routes
        self._log = log
        self._service = service
        self._takebacks = takebacks
        self._failures = failures
        self._peers = peers

    def paths(self) -> list[Route]:
        """What is below /internal."""
        return [
            Route("/routes/{model}", self.route, methods=["GET", "PUT", "DELETE"]),
            Route("/routes/{model}/history", self.history),
            Route("/routes/{model}/in_flight", self.in_flight),
            Route("/splits/{model}", self.split, methods=["GET", "PUT", "DELETE"]),
            Route("/outcomes/{model}", self.outcomes),
            Route("/objectives/{model}", self.objectives),
            Route("/probe/{model}", self.probe, methods=["POST"]),
            Route("/log", self.log_id, name="log"),
            Route("/log/{table}", self.log),
            Route("/predictions/{prediction_id}", self.prediction),
            Route("/answers/{model}/{run_id}", self.answers),
            Route("/takebacks", self.take_back, methods=["POST"]),
        ]

    async def route(self, request: Request) -> Response:
        """Read, change or withdraw a model's route: one path, so that a refusal names all three methods."""
        model = request.path_params["model"]
        if request.method == "PUT":
            change = request.query_params.get("change", "deploy")
            return Json((await self._routes.put(model, await json_of(request), change)).model_dump())
        if request.method == "DELETE":
            await self._routes.withdraw(model)
            return Json({"withdrawn": model})
        return Json(self._routes.served(model).route.model_dump())

    async def history(self, request: Request) -> Response:
        model = request.path_params["model"]
        return Json({"history": await asyncio.to_thread(self._routes.history, model)})

    async def in_flight(self, request: Request) -> Response:
        return Json({"in_flight": await self._peers.in_flight(request.path_params["model"])})

    async def split(self, request: Request) -> Response:
        """Read, open or end a model's split."""
        model = request.path_params["model"]
        if request.method == "PUT":
            return Json(await self._routes.put_split(model, await json_of(request)))
        if request.method == "DELETE":
            await self._routes.end_split(model)
            return Json({"ended": model})
        return Json(self._routes.split(model))

    async def outcomes(self, request: Request) -> Response:
        """What became of a model's requests since a time."""
        since = parse_since(request.query_params.get("since", ""))
        labelled = min(_number(request.query_params, "labelled", MOST_ROWS), MOST_LABELLED)
        asked = request.query_params.get("losses")
        rule = None if asked is None else LossRule.of(asked)
        await self._failures.flush()
        await asyncio.to_thread(self._log.settle)
        told = await asyncio.to_thread(
            outcomes_of, self._engine, request.path_params["model"], since, labelled, rule
        )
        return Response(told, media_type=Json.media_type)

    async def objectives(self, request: Request) -> Response:
        """How many of a model's requests were answered, failed or slow since some times."""
        asked = request.query_params.getlist("since")
        if not 0 < len(asked) <= MOST_WINDOWS:
            raise Refused(422, f"Send since=, a time, between once and {MOST_WINDOWS} times.")
        since, seconds = [parse_since(each) for each in asked], _seconds(request.query_params)
        labels_since = parse_since(request.query_params.get("labels_since", min(since)))
        await self._failures.flush()
        await asyncio.to_thread(self._log.settle)
        model = request.path_params["model"]
        told = await asyncio.to_thread(objectives_of, self._engine, model, since, seconds, labels_since)
        return Response(told, media_type=Json.media_type)

    async def probe(self, request: Request) -> Response:
        return Json(await self._service.probe(request.path_params["model"], request))

    async def log_id(self, _request: Request) -> Response:
        return Json({"log_id": await asyncio.to_thread(database.log_id, self._engine)})

    async def log(self, request: Request) -> Response:
        table = request.path_params["table"]
        if table not in TABLES:
            raise Refused(404, f"There is no log {table!r}. There are {', '.join(TABLES)}.")
        query = request.query_params
        after, limit = _number(query, "after", 0), _number(query, "limit", MOST_ROWS)
        rows = await asyncio.to_thread(
            self._log.read, table, query.get("model", ""), after, min(limit, MOST_ROWS)
        )
        return Json({"rows": rows, "last_sequence": rows[-1]["sequence"] if rows else after})

    async def prediction(self, request: Request) -> Response:
        """One prediction by its id, whichever model made it, with its labels."""
        prediction_id = request.path_params["prediction_id"]
        found = await asyncio.to_thread(self._log.find, prediction_id)
        if found is None:
            await self._log.require_settled()
            found = await asyncio.to_thread(self._log.find, prediction_id)
        if found is None:
            raise Refused(404, f"No prediction has the id {prediction_id[:40]!r}.")
        return Json(found)

    async def answers(self, request: Request) -> Response:
        """How many predictions a run made after a place in the log."""
        model, run_id = request.path_params["model"], request.path_params["run_id"]
        after = _number(request.query_params, "after", 0)
        return Json(await asyncio.to_thread(self._log.count, model, run_id, after))

    async def take_back(self, request: Request) -> Response:
        return Json({"taken_back": await self._takebacks.record(await json_of(request))})


def _seconds(query: Mapping[str, str]) -> float:
    text = query.get("seconds", "1")
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise Refused(422, f"seconds={text[:40]!r} is not a number above 0.")
    return seconds


def _number(query: Mapping[str, str], name: str, default: int) -> int:
    text = query.get(name, str(default))
    if not text.isdecimal() or len(text) > MOST_DIGITS:
        raise Refused(
            422, f"{name}={text[:40]!r} is not a whole number of 0 or more with at most {MOST_DIGITS} digits."
        )
    return int(text)

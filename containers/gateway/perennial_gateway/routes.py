"""Which version answers for each model: kept in the database, read from memory."""

import asyncio
from collections import Counter
from typing import Any, Literal

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from perennial_gateway.database import NUL, Text, now, routes
from perennial_gateway.metrics import OfVersion
from perennial_gateway.schemas import Schema
from perennial_gateway.web import Refused


class Route(BaseModel):
    """The contract `Route` of the steps, as the gateway needs it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    contract_version: Literal[1] = 1
    model: str = Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")
    model_version: Text = Field(max_length=63)
    run_id: Text = Field(max_length=63)
    backend_version: str = Field(pattern=r"^[A-Za-z0-9._-]{1,128}$")
    archive_sha256: str
    input_schema: dict[str, Any]
    label_schema: dict[str, Any]
    input_example: dict[str, Any] = Field(default_factory=dict)
    timeout_seconds: float = Field(gt=0, le=600)
    backend: Literal["torchserve", "oip"] = "torchserve"
    batches: bool = False
    batch_size: int = Field(default=8, ge=1)
    workers: int = Field(default=1, ge=1)


class Served:
    """A route in use: its schemas compiled, its counters, and since when it serves (ISO 8601, UTC)."""

    def __init__(self, route: Route, since: str) -> None:
        self.route = route
        self.since = since
        self.metrics = OfVersion(route.model, route.model_version)
        self.inputs = Schema(route.input_schema)
        self.labels = Schema(route.label_schema)


class RouteTable:
    """The routes of all models. A change is committed first and
    then takes effect in one step: a request sees old or new.

    Attributes:
        in_flight: Requests being worked on, by model and backend version; a version at 0 that has no route
            gets no more.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._served: dict[str, Served] = {}
        self._changing = asyncio.Lock()
        self.in_flight: Counter[tuple[str, str]] = Counter()

    def load(self) -> None:
        """Read the newest route of every model. It blocks: call it before serving."""
        newest = sa.select(sa.func.max(routes.c.sequence)).group_by(routes.c.model)
        with self._engine.connect() as connection:
            rows = connection.execute(routes.select().where(routes.c.sequence.in_(newest))).all()
        self._served = {
            row.model: Served(Route.model_validate_json(row.route), row.at) for row in rows if row.route
        }

    def __contains__(self, model: str) -> bool:
        return model in self._served

    def names(self) -> list[str]:
        return sorted(self._served)

    def served(self, model: str) -> Served:
        """How a model is served now.

        Raises:
            Refused: 404, naming the models that are.
        """
        found = self._served.get(model)
        if found is None:
            there = ", ".join(self.names()) or "none yet"
            raise Refused(
                404, f"No model {model!r} is served here. Served models: {there}.", models=self.names()
            )
        return found

    async def put(self, model: str, document: Any, change: str) -> Route:
        """Send a model's requests to another version from the next request on.

        Raises:
            Refused: 422; the document is no route of the model.
        """
        route = _route_of(model, document)
        if change not in {"deploy", "rollback"}:
            raise Refused(422, f"The change is {change!r}; deploy or rollback is expected.")
        async with self._changing:
            current = self._served.get(model)
            if current is None or current.route != route:
                served = Served(route, now())
                await asyncio.to_thread(self._record, model, change, route, served.since)
                self._served[model] = served
        return route

    async def withdraw(self, model: str) -> None:
        """Answer no more requests for a model.

        Raises:
            Refused: 404; it has no route.
        """
        async with self._changing:
            self.served(model)
            await asyncio.to_thread(self._record, model, "withdraw", None, now())
            del self._served[model]

    def history(self, model: str) -> list[dict[str, Any]]:
        """Every change of a model's route, oldest first. It blocks: call it in a thread."""
        if NUL in model:
            return []
        with self._engine.connect() as connection:
            rows = connection.execute(
                routes.select().where(routes.c.model == model).order_by(routes.c.sequence)
            ).all()
        return [
            {
                "sequence": row.sequence,
                "change": row.change,
                "at": row.at,
                "route": Route.model_validate_json(row.route).model_dump() if row.route else None,
            }
            for row in rows
        ]

    def _record(self, model: str, change: str, route: Route | None, at: str) -> None:
        row = {
            "model": model,
            "change": change,
            "route": route.model_dump_json() if route else None,
            "at": at,
        }
        with self._engine.begin() as connection:
            connection.execute(routes.insert().values(row))


def _route_of(model: str, document: Any) -> Route:
    try:
        route = Route.model_validate(document)
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, fault['loc'])) or 'document'}: {fault['msg']}" for fault in error.errors()
        )
        raise Refused(422, f"This is not a route: {faults}.") from error
    if route.model != model:
        raise Refused(422, f"The route is of the model {route.model!r}, but was put for {model!r}.")
    return route

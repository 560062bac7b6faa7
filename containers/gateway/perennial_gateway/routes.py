"""A version of a model in use: where it is, and what it is asked and checked with."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from perennial_gateway.database import Text
from perennial_gateway.environments import PRODUCTION
from perennial_gateway.metrics import OfVersion, label_of
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

    def __init__(self, route: Route, since: str, environment: str = PRODUCTION) -> None:
        self.route = route
        self.since = since
        self.metrics = OfVersion(label_of(environment, route.model), route.model_version)
        self.inputs = Schema(route.input_schema)
        self.labels = Schema(route.label_schema)


def route_of(model: str, document: Any) -> Route:
    """What was put for a model.

    Raises:
        Refused: 422; the document is no route of the model.
    """
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

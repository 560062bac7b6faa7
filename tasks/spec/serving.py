"""What a team says of serving its model."""

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from tasks.spec.base import ColumnType, Spec
from tasks.spec.json_schema import JsonObject, JsonSchema

LONGEST_SECONDS = 600
"""The longest that the gateway lets a request wait: a route with more is refused there, after the gate."""

LONGEST_IDLE_SECONDS = 30 * 24 * 3600

ServingBackendName = Literal["torchserve", "oip"]
"""What can hold a model's versions: TorchServe, or a server that speaks the Open Inference Protocol v2."""

LABEL_TYPES: dict[ColumnType, frozenset[str]] = {
    "string": frozenset({"string"}),
    "int64": frozenset({"integer"}),
    "float64": frozenset({"integer", "number"}),
    "bool": frozenset({"boolean"}),
    "timestamp": frozenset({"string"}),
    "date": frozenset({"string"}),
}
"""The JSON types whose values a column can hold."""


class ServingSpec(Spec):
    """How the model is served.

    Attributes:
        backend: What holds the model's versions: `torchserve`, or `oip` for our own server of the Open
            Inference Protocol. Another one takes effect with the next version, or by a release of
            the one that serves.
        handler: The handler that either of them runs, a file of the model's folder.
        code: Further files of the model's folder that the handler imports.
        input_schema: JSON Schema of one instance; requests that break it are refused by the gateway.
        label_schema: JSON Schema of a label sent as feedback.
        input_example: One instance; the smoke test of a deployment sends it.
        workers: Processes that run a version, on each server that holds it.
        replicas: How many of the backend's servers hold a version; None for every one that the platform has.
        batch_size: The most requests in one batch.
        max_batch_delay_ms: How long a batch waits to fill, in milliseconds, at a TorchServe that makes the
            batches itself; it reads 0 as 100. `oip` never waits.
        idle_seconds: After so long without a request no process runs a version; the next request starts them
            and waits for it, within `timeout_seconds`. None for never. Only of `oip`.
        timeout_seconds: A request that takes longer is answered with 504; the gateway waits for at most 600.
    """

    backend: ServingBackendName = "torchserve"
    handler: str = "handler.py"
    code: tuple[str, ...] = ()
    input_schema: JsonSchema
    label_schema: JsonSchema
    input_example: JsonObject
    workers: int = Field(default=1, ge=1, le=1000)
    replicas: int | None = Field(default=None, ge=1, le=1000)
    batch_size: int = Field(default=32, ge=1, le=100_000)
    max_batch_delay_ms: int = Field(default=1, ge=1, le=1000 * LONGEST_SECONDS)
    timeout_seconds: float = Field(default=5, gt=0, le=LONGEST_SECONDS)
    idle_seconds: float | None = Field(default=None, ge=1, le=LONGEST_IDLE_SECONDS)

    @model_validator(mode="after")
    def _sleeps_only_where_it_can(self) -> Self:
        if self.idle_seconds is not None and self.backend != "oip":
            raise ValueError(
                f"idle_seconds is {self.idle_seconds:g}, but the backend is {self.backend}, which fails "
                "requests that come while it ends its workers. Set backend to oip, or remove idle_seconds"
            )
        return self


def types_beyond(label_schema: dict[str, Any], kind: ColumnType) -> list[str]:
    """The JSON types that a schema lets pass and a column of type `kind` cannot hold; null fits every one.

    Where the schema lists its values, their types count and not the `type` beside them.
    """
    listed = label_schema.get("enum", [label_schema["const"]] if "const" in label_schema else None)
    declared = label_schema["type"]
    types = {_type_of(value) for value in listed} if listed is not None else as_set(declared)
    return sorted(types - LABEL_TYPES[kind] - {"null"})


def as_set(types: str | list[str]) -> set[str]:
    """The types that a schema's `type` names."""
    return {types} if isinstance(types, str) else set(types)


def _type_of(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        return "integer"
    names = {float: "number", str: "string", type(None): "null", list: "array", dict: "object"}
    return names[type(value)]

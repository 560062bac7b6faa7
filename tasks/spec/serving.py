"""What a team says of serving its model."""

from typing import Any

from pydantic import Field

from tasks.spec.base import JsonSchema, Spec


class ServingSpec(Spec):
    """How the model is served.

    Attributes:
        handler: The TorchServe handler, a file of the model's folder.
        code: Further files of the model's folder that the handler imports.
        input_schema: JSON Schema of one instance; requests that break it are refused by the gateway.
        label_schema: JSON Schema of a label sent as feedback.
        input_example: One instance; the smoke test of a deployment sends it.
        workers: TorchServe workers of a version.
        batch_size: The most requests in one batch.
        max_batch_delay_ms: How long a batch waits to fill, in milliseconds; TorchServe reads 0 as 100.
        timeout_seconds: A request that takes longer is answered with 504.
    """

    handler: str = "handler.py"
    code: tuple[str, ...] = ()
    input_schema: JsonSchema
    label_schema: JsonSchema
    input_example: dict[str, Any]
    workers: int = Field(default=1, ge=1)
    batch_size: int = Field(default=8, ge=1)
    max_batch_delay_ms: int = Field(default=1, ge=1)
    timeout_seconds: float = Field(default=5, gt=0)

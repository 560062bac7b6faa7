"""What the parts of pipeline.yaml are made of: their types, and how a fault is told."""

import json
from typing import Annotated, Any, Literal

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
Share = Annotated[float, Field(ge=0, le=1)]
Rows = Annotated[int, Field(ge=0)]
ColumnType = Literal["string", "int64", "float64", "bool", "timestamp", "date"]


def _json_schema(value: dict[str, Any]) -> dict[str, Any]:
    json.dumps(value)
    if value.get("type") is None:
        raise ValueError("a JSON Schema with a `type` is expected")
    try:
        Draft202012Validator.check_schema(value)
    except SchemaError as error:
        raise ValueError(f"this is not a JSON Schema: {error.message}") from error
    return value


FiniteFloat = Annotated[float, Field(allow_inf_nan=False)]
JsonSchema = Annotated[dict[str, Any], AfterValidator(_json_schema)]


def faults_of(error: ValidationError) -> list[str]:
    """Each fault as `field.path: what is wrong`; one of several fields names them itself."""
    return [_fault(fault["loc"], fault["msg"]) for fault in error.errors()]


def _fault(path: tuple[int | str, ...], message: str) -> str:
    ours = message.removeprefix("Value error, ")
    where = ".".join(map(str, path)) or ("document" if ours == message else "")
    return f"{where}: {ours}" if where else ours


class Spec(BaseModel):
    """A part of pipeline.yaml: frozen, and an unknown field
    is an error rather than a typo that goes unnoticed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

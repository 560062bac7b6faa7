"""What the parts of pipeline.yaml are made of: their types, and how a fault is told."""

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

MOST_ROWS = 10**12
"""More rows than any model here has: a number beyond is a slip, and no store or form need take it."""

NAME = r"^[a-z][a-z0-9_]{0,62}$"
Name = Annotated[str, Field(pattern=NAME)]
Share = Annotated[float, Field(ge=0, le=1)]
Rows = Annotated[int, Field(ge=0, le=MOST_ROWS)]
ColumnType = Literal["string", "int64", "float64", "bool", "timestamp", "date"]
FiniteFloat = Annotated[float, Field(allow_inf_nan=False)]


def faults_of(error: ValidationError, document: type[BaseModel] | None = None) -> list[str]:
    """Each fault as `field.path: what is wrong`; one of several fields names them itself.

    Args:
        document: What the document should have been, so that a field which it does not know is told with the
            one that was probably meant.
    """
    return [_fault(fault, document) for fault in error.errors()]


def _fault(fault: ErrorDetails, document: type[BaseModel] | None) -> str:
    path, message = fault["loc"], fault["msg"].removeprefix("Value error, ")
    if fault["type"] == "extra_forbidden":
        meant = get_close_matches(str(path[-1]), _fields_at(document, path[:-1]), n=1)
        message = "there is no such field" + "".join(f"; do you mean {name}?" for name in meant)
    elif fault["type"] == "missing":
        message = "is missing"
    elif fault["type"] in {"model_type", "dict_type"}:
        message = "fields with their values are expected here"
    elif fault["type"] == "string_pattern_mismatch" and fault["ctx"]["pattern"] == NAME:
        message = (
            f"{fault['input']!r} cannot be a name; use at most 63 lower-case letters, digits and "
            "underscores, the first a letter"
        )
    ours = fault["msg"].startswith("Value error, ")
    where = ".".join(map(str, path)) or ("" if ours else "document")
    return f"{where}: {message}" if where else message


def _fields_at(document: Any, path: Sequence[int | str]) -> list[str]:
    """The fields of the part of a document that a path leads to."""
    for part in path:
        if document is None or isinstance(part, int):
            continue
        if part not in document.model_fields:
            return []
        annotation = document.model_fields[part].annotation
        inside = [kind for kind in (annotation, *get_args(annotation)) if _is_model(kind)]
        document = inside[0] if inside else None
    return list(document.model_fields) if document is not None else []


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


class Spec(BaseModel):
    """A part of pipeline.yaml: frozen, and an unknown field
    is an error rather than a typo that goes unnoticed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

"""What the parts of pipeline.yaml are made of: their types, and how a fault is told."""

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator
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
        message = "there is no such field" + _meant(str(path[-1]), path[:-1], document)
    elif fault["type"] == "missing":
        message = "is missing"
    elif fault["type"] in {"model_type", "dict_type"}:
        named = ", ".join(_fields_at(document, path))
        message = "fields with their values are expected here" + (f": {named}" if named else "")
    elif fault["type"] == "string_type":
        message = f"{_as_yaml(fault['input'])} is no text; put it in quotes if that is what you mean"
    elif fault["type"] in {"tuple_type", "list_type"}:
        message = f"a list is expected here, in brackets, not {_as_yaml(fault['input'])}"
    elif isinstance(fault["input"], float) and fault["input"] != fault["input"]:
        message = "a number is expected here, and .nan is none"
    elif fault["type"] == "string_pattern_mismatch" and fault["ctx"]["pattern"] == NAME:
        message = (
            f"{fault['input']!r} cannot be a name; use at most 63 lower-case letters, digits and "
            "underscores, the first a letter"
        )
    ours = fault["msg"].startswith("Value error, ")
    where = ".".join(map(str, path)) or ("" if ours else "document")
    return f"{where}: {message}" if where else message


def _as_yaml(value: Any) -> str:
    """As it may stand in the file."""
    if isinstance(value, bool):
        return str(value).lower()
    return "nothing" if value is None else repr(value)


def _meant(name: str, path: Sequence[int | str], document: type[BaseModel] | None) -> str:
    """Which field of the same section, or else of another one, was probably meant."""
    if here := _like(name, _fields_at(document, path)):
        return f"; do you mean {here}?"
    if document is None:
        return ""
    section = [str(part) for part in path if isinstance(part, str)]
    known = sorted(_places(document), key=lambda place: -_shared(section, place))
    elsewhere = next((place for place in known if place[-1] == name), None)
    own = [place for place in known if section and place[: len(section)] == section]
    if elsewhere is None and (like := _like(name, [place[-1] for place in own])):
        elsewhere = next(place for place in own if place[-1] == like)
    return f"; do you mean {'.'.join(elsewhere)}?" if elsewhere else ""


def _like(name: str, names: Sequence[str]) -> str | None:
    """The one that is nearly called so, or begins so."""
    near = get_close_matches(name, names, n=1)
    stem = name.removesuffix("s")
    return next(iter(near), None) or next((each for each in names if each.startswith(f"{stem}_")), None)


def _places(document: type[BaseModel], above: tuple[str, ...] = ()) -> Iterator[list[str]]:
    """Every field of a document, those of a section after it."""
    for name, field in document.model_fields.items():
        yield [*above, name]
        for kind in (field.annotation, *get_args(field.annotation)):
            if _is_model(kind):
                yield from _places(kind, (*above, name))


def _shared(one: Sequence[str], other: Sequence[str]) -> int:
    return sum(1 for a, b in zip(one, other, strict=False) if a == b)


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

    # Built when it is first used, like the contracts.
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    @field_validator("*", mode="before")
    @classmethod
    def _has_the_type_that_it_is_written_as(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse what pydantic would turn into another type: texts and booleans for numbers, and back."""
        kinds = set(_kinds(cls.model_fields[str(info.field_name)].annotation))
        for each in _leaves(value):
            if kinds <= {int, float} and kinds and isinstance(each, bool | str):
                raise ValueError(_NO_NUMBER[isinstance(each, bool)].format(_as_yaml(each)))
            if kinds == {bool} and not isinstance(each, bool | None):
                raise ValueError(f"{_as_yaml(each)} is neither true nor false, without quotes")
        return value


_NO_NUMBER = {
    True: "{} is no number; without quotes YAML reads yes, no, on and off as true and false",
    False: "{} is a text and no number; leave quotes out, and write 1e6 as 1000000 and 1e-3 as 0.001",
}


def _kinds(annotation: Any) -> Iterator[type]:
    """The types of what stands in a field, without None, and without the keys of a mapping."""
    if get_origin(annotation) is Literal:
        yield from {type(value) for value in get_args(annotation)}
    elif get_origin(annotation) is dict:
        yield from _kinds(get_args(annotation)[1])
    elif get_origin(annotation) is Annotated:
        yield from _kinds(get_args(annotation)[0])
    elif arguments := [each for each in get_args(annotation) if each is not Ellipsis]:
        for each in arguments:
            yield from _kinds(each)
    elif annotation is not type(None):
        yield annotation


def _leaves(value: Any) -> Iterator[Any]:
    """A value, or those in a list or mapping."""
    if isinstance(value, dict):
        for each in value.values():
            yield from _leaves(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _leaves(each)
    else:
        yield value

"""Read settings from the environment and .env, and say in a sentence which variable is wrong."""

import os
from pathlib import Path
from typing import Annotated, Any, TypeVar

from dotenv import dotenv_values
from pydantic import BeforeValidator, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings

from tasks.errors import InvalidSettings

S = TypeVar("S", bound=BaseSettings)
PREFIX = "PERENNIAL_"
EXPECTED = {
    "bool_parsing": "true or false",
    "float_parsing": "a number",
    "int_parsing": "a whole number",
}


def read(kind: type[S], **given: Any) -> S:
    """Read settings; `given` goes before the environment, and that before .env.

    Raises:
        InvalidSettings: Values that the class does not take; the message names each variable, its value, what
            is expected, and where it comes from.
    """
    try:
        return kind(**given)
    except (ValidationError, UnicodeDecodeError) as error:
        raise _as_sentences(kind, error) from None


def read_what_is_right(kind: type[S], **given: Any) -> tuple[S, InvalidSettings | None]:
    """Read settings, with the default in the place of each that is wrong; and what `read` would raise."""
    try:
        return kind(**given), None
    except UnicodeDecodeError as error:
        return kind(_env_file=None, **given), _as_sentences(kind, error)
    except ValidationError as error:
        fields = {str(fault["loc"][0]) for fault in error.errors()}
        defaults = {name: kind.model_fields[name].get_default(call_default_factory=True) for name in fields}
        return kind(**given | defaults), _as_sentences(kind, error)


def given_variables(env_file: Path) -> dict[str, str]:
    """Each variable of ours that is set, by its name in capitals, with the place that sets it."""
    names = {name.upper(): str(env_file) for name in dotenv_values(env_file)}
    names |= {name.upper(): "the environment" for name in os.environ}
    return {name: source for name, source in names.items() if name.startswith(PREFIX)}


def _as_sentences(kind: type[BaseSettings], error: ValidationError | UnicodeDecodeError) -> InvalidSettings:
    env_file = Path(str(kind.model_config["env_file"]))
    if isinstance(error, UnicodeDecodeError):
        return InvalidSettings(f"{env_file} is not UTF-8 ({error}). Save it as that.", variables=[])
    sources, faults = given_variables(env_file), error.errors()
    return InvalidSettings(
        " ".join(_sentence(fault, sources) for fault in faults),
        variables=sorted({_variable(fault) for fault in faults}),
    )


def _variable(fault: ErrorDetails) -> str:
    return f"{PREFIX}{fault['loc'][0]}".upper()


def _sentence(fault: ErrorDetails, sources: dict[str, str]) -> str:
    """What one fault is; of a value within a JSON document its place there, as that may hold secrets."""
    variable, within = _variable(fault), ".".join(map(str, fault["loc"][1:]))
    expected = EXPECTED.get(
        fault["type"], fault["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    )
    source = sources.get(variable, "the program that reads it")
    if fault["type"] == "value_error":
        return f"{variable} (from {source}) {expected}. Correct it there."
    found = within or f"{fault['input']!r:.80}"
    return f"{variable} (from {source}) is wrong: {found} should be {expected}. Correct it there."


def _not_empty(value: object) -> object:
    if value == "":
        raise ValueError("is empty, but has to name a folder, or not to be set at all")
    return value


Folder = Annotated[Path, BeforeValidator(_not_empty)]

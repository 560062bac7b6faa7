"""The reference of the settings: every variable `PERENNIAL_...` that their classes read."""

from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from cli.settings import CommandSettings
from embedded.settings import EmbeddedSettings
from handbook.markdown import code, page, table
from handbook.sentences import sentences
from tasks.settings import PROJECT, Settings
from tasks.variables import PREFIX

INTRODUCTION = """A setting is a variable of the environment, or a line of a file `.env` in the project's
folder; the environment goes first. All have a default that works on one machine. A wrong value is told in a
sentence with the variable's name and where it comes from, and `make start` names variables that nothing
reads. Paths are below the project's folder. The gateway and the services in containers have further ones of
their own: [compose.md](compose.md) and [operate.md](operate.md)."""

PARTS: tuple[tuple[str, type[BaseSettings]], ...] = (
    ("The platform and its steps", Settings),
    ("The platform as processes on one machine", EmbeddedSettings),
    ("The command `perennial`", CommandSettings),
)
LIMITS = ((Ge, "ge", "at least"), (Gt, "gt", "above"), (Le, "le", "at most"), (Lt, "lt", "below"))
TYPES = {int: "whole number", float: "number", bool: "true or false", str: "text", Path: "folder"}


def reference() -> str:
    """The page docs/reference-settings.md."""
    parts = [part for title, kind in PARTS for part in (f"## {title}", _table(kind))]
    return page("Every setting", "the docstrings of the classes of settings", INTRODUCTION, *parts)


def _table(kind: type[BaseSettings]) -> str:
    told = sentences(kind)
    return table(
        ("variable", "type", "default", "says"),
        (
            (code(f"{PREFIX}{name}".upper()), _type(field), _default(field), about)
            for name, about in told.items()
            for field in [kind.model_fields[name]]
        ),
    )


def _type(field: FieldInfo) -> str:
    limits = [
        f"{words} {getattr(each, name):,}"
        for each in field.metadata
        for limit, name, words in LIMITS
        if isinstance(each, limit)
    ]
    return ", ".join([_kind(field.annotation), *limits])


def _kind(annotation: Any) -> str:
    if get_origin(annotation) is Literal:
        return ", ".join(code(each) for each in get_args(annotation))
    if annotation is SecretStr:
        return "text, a secret"
    if get_origin(annotation) is dict:
        return "JSON document"
    if annotation in TYPES:
        return TYPES[annotation]
    return " or ".join(_kind(each) for each in get_args(annotation) if each is not type(None))


def _default(field: FieldInfo) -> str:
    default = field.get_default(call_default_factory=True)
    if isinstance(default, SecretStr):
        default = default.get_secret_value()
    if isinstance(default, Path):
        default = default.relative_to(PROJECT).as_posix()
        return "the project's folder" if default == "." else code(default)
    if isinstance(default, bool):
        return code(str(default).lower())
    return "" if default is None else code(default)

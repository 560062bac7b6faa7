"""What a model's MLproject says about its parameters,
read without MLflow: the control plane makes a form of it.
"""

import re
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from string import Formatter
from typing import Any

import jsonschema
import yaml

from tasks.errors import InvalidProject, InvalidRequest
from tasks.spec import PipelineSpec, strict_yaml
from tasks.spec.json_schema import fault_of_value, require_schema

GIVEN_BY_US = ("data", "output")
JSON_TYPES = {
    "string": "string",
    "path": "string",
    "uri": "string",
    "int": "integer",
    "integer": "integer",
    "float": "number",
    "number": "number",
}


def parameters(spec: PipelineSpec, models: Path) -> dict[str, dict[str, Any]]:
    """Each parameter of the model's entry point as a JSON-Schema
    fragment with `type`, `default` and `description`.

    `data` and `output` are left out: the train step gives them. The specification's `training.parameters`
    narrow the rest.

    Raises:
        InvalidProject: MLproject cannot be read, lacks the entry point or a parameter that every training is
            given, or names another one in its command; has a parameter without a default, with one that
            breaks what is declared of it, or of an unknown type; or pipeline.yaml narrows one that is not
            there.
    """
    path = models / spec.name / "MLproject"
    entry_point = _read_entry_point(path, spec.training.entry_point)
    declared = entry_point["parameters"]
    missing = [name for name in (*GIVEN_BY_US, "seed") if name not in declared]
    if missing:
        raise InvalidProject(
            f"{path}: the entry point {spec.training.entry_point!r} lacks the parameters {missing}. Add them."
        )
    unknown = sorted(
        set(spec.training.parameters) - set(declared) | set(spec.training.parameters) & set(GIVEN_BY_US)
    )
    if unknown:
        raise InvalidProject(
            f"{path}: pipeline.yaml narrows {unknown}, which are not free parameters. Correct their names."
        )
    _require_known(path, entry_point.get("command"), declared)
    schemas = {
        name: _fragment(path, name, declaration) | spec.training.parameters.get(name, {})
        for name, declaration in declared.items()
        if name not in GIVEN_BY_US
    }
    for name, schema in schemas.items():
        _require_sound_default(path, name, schema)
    return schemas


def command_of(spec: PipelineSpec, models: Path) -> str:
    """The command that trains the model, as MLproject has it.

    Raises:
        InvalidProject: MLproject cannot be read, or lacks the entry point.
    """
    return str(_read_entry_point(models / spec.name / "MLproject", spec.training.entry_point).get("command"))


def check_parameters(
    values: Mapping[str, Any], schemas: Mapping[str, dict[str, Any]]
) -> dict[str, str | int | float]:
    """The value of every parameter: what was asked for, and the default of the rest.

    Raises:
        InvalidRequest: An unknown name, or a value of the wrong type or out of bounds; the message names
            each.
    """
    faults = [f"{name} is not a parameter" for name in sorted(set(values) - set(schemas))]
    complete = {name: values.get(name, schema["default"]) for name, schema in schemas.items()}
    for name, value in complete.items():
        faults += [
            f"{name}: {error.message}"
            for error in jsonschema.Draft202012Validator(schemas[name]).iter_errors(value)
        ]
    if faults:
        known = ", ".join(f"{name} ({schema['type']})" for name, schema in schemas.items())
        raise InvalidRequest(
            f"The parameters are wrong: {'; '.join(faults)}. Known parameters: {known}.", faults=faults
        )
    return {
        name: int(value) if schemas[name]["type"] == "integer" else value for name, value in complete.items()
    }


def _read_entry_point(path: Path, entry_point: str) -> dict[str, Any]:
    try:
        document = strict_yaml.loads(path.read_text(encoding="utf-8"))
        found: dict[str, Any] = document["entry_points"][entry_point]
        declared = found["parameters"]
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InvalidProject(f"{path}: cannot be read: {error}") from error
    except (KeyError, TypeError) as error:
        raise InvalidProject(
            f"{path}: the entry point {entry_point!r} with its `parameters` is missing. Add it."
        ) from error
    if not isinstance(declared, dict) or not all(isinstance(name, str) for name in declared):
        raise InvalidProject(
            f"{path}: the parameters of {entry_point!r} are not a mapping of names. Correct them; put a name "
            "in quotes that YAML takes for something else, such as yes, no, or a number."
        )
    return found


def _require_known(path: Path, command: Any, declared: Mapping[str, Any]) -> None:
    """Refuse a command that MLflow could not fill in: to it each `{name}` is a parameter."""
    if not isinstance(command, str) or not command.strip():
        raise InvalidProject(f"{path}: the entry point has no `command`. Say there what trains the model.")
    try:
        named = {
            re.split(r"[.[]", name)[0] for _, name, _, _ in Formatter().parse(command) if name is not None
        }
    except ValueError as error:
        raise InvalidProject(
            f"{path}: the command cannot be filled in: {error}. Write {{{{ and }}}} for braces of its own."
        ) from error
    if unknown := sorted(named - set(declared)):
        meant = {near for name in unknown for near in get_close_matches(name, declared, n=1)}
        hint = f" Do you mean {' or '.join(sorted(meant))}?" if meant else ""
        raise InvalidProject(
            f"{path}: the command names {unknown}, which are not parameters of the entry point.{hint} "
            "Correct the command, or declare them."
        )


def _fragment(path: Path, name: str, declaration: Any) -> dict[str, Any]:
    if not isinstance(declaration, dict) or "default" not in declaration:
        raise InvalidProject(
            f"{path}: the parameter {name!r} has no default, so no training can start unasked. Give it one."
        )
    kind = declaration.get("type", "string")
    if not isinstance(kind, str) or kind not in JSON_TYPES:
        raise InvalidProject(
            f"{path}: the parameter {name!r} has the type {kind!r}. Use one of {sorted(JSON_TYPES)}."
        )
    description = {"description": declaration["description"]} if "description" in declaration else {}
    return {"type": JSON_TYPES[kind], "default": declaration["default"], **description}


def _require_sound_default(path: Path, name: str, schema: dict[str, Any]) -> None:
    """Airflow refuses a form whose default breaks its own schema; so it is told before."""
    try:
        require_schema(schema)
        fault = fault_of_value(schema["default"], schema)
    except ValueError as error:
        raise InvalidProject(
            f"{path}: {name!r} together with training.parameters.{name} in pipeline.yaml cannot be used: "
            f"{error}. Correct either."
        ) from error
    if fault:
        raise InvalidProject(
            f"{path}: the default of {name!r} breaks its own schema: {fault.message}. Correct the default, "
            "its type, or training.parameters in pipeline.yaml."
        )

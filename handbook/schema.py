"""The JSON Schemas of pipeline.yaml and behaviour.yaml, for editors: completion, and faults while one writes.

A schema refuses nothing that the specification accepts. It cannot refuse all that the specification refuses:
that a feature is one of the columns, for example, is known only to `make check` and the platform.
"""

from typing import Any, get_args

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from handbook.sentences import sentences
from tasks.spec.base import Spec
from tasks.spec.behaviour import BehaviourFile
from tasks.spec.cloud_run import SHAPES
from tasks.spec.metrics import METRICS, RECALL_OF
from tasks.spec.monitor import RAREST_ALARMS
from tasks.spec.pipeline import PipelineSpec
from tasks.spec.release import ENVIRONMENT, MOST_STEPS, STICKY, ApprovalSpec

DIALECT = GenerateJsonSchema.schema_dialect
CRON = r"^\s*(@[A-Za-z]+|\S+(\s+\S+){4,6})\s*$"
METRIC = {"anyOf": [{"enum": [*METRICS]}, {"pattern": rf"^{RECALL_OF.replace('.', '[.]')}."}]}
BY_METRIC = ("minimum", "maximum", "first_model_minimum", "first_model_maximum")
Schema = dict[str, Any]


def schema_of_pipeline() -> Schema:
    """Of models/<name>/pipeline.yaml."""
    schema = _documented(PipelineSpec)
    del schema["properties"]["behaviour"]  # which is a file of its own
    parts = {name: part["properties"] for name, part in schema["$defs"].items() if "properties" in part}
    _of_gate(parts["GateSpec"])
    _of_release(parts)
    column_or_slice = {"anyOf": [{"type": "string"}, {"$ref": "#/$defs/SliceSpec"}]}
    several = {"type": "array", "items": column_or_slice}
    _accept(parts["DataSpec"]["slice_by"], column_or_slice, several, {"type": "null"})
    for name in ("TrainingSpec", "MonitorSpec"):
        _narrow(parts[name]["schedule"], pattern=CRON)
    parts["MonitorSpec"]["false_alarms_per_year"]["minimum"] = RAREST_ALARMS
    for name in ("input_schema", "label_schema"):
        parts["ServingSpec"][name] |= {"required": ["type"]}
    return {"$schema": DIALECT, "title": "pipeline.yaml", **_without_unused(schema)}


def schema_of_behaviour() -> Schema:
    """Of models/<name>/behaviour.yaml."""
    return {"$schema": DIALECT, "title": "behaviour.yaml", **_without_unused(_documented(BehaviourFile))}


def sections(document: type[BaseModel]) -> dict[str, type[BaseModel]]:
    """The classes that a document is made of, itself first, by their names."""
    found: dict[str, type[BaseModel]] = {}
    _collect(document, found)
    return found


def _collect(kind: Any, found: dict[str, type[BaseModel]]) -> None:
    if isinstance(kind, type) and issubclass(kind, Spec) and kind.__name__ not in found:
        found[kind.__name__] = kind
        for field in kind.model_fields.values():
            _collect(field.annotation, found)
    for each in get_args(kind):
        _collect(each, found)


def _documented(document: type[BaseModel]) -> Schema:
    """pydantic's schema, with the sentence of each field in the place of the classes' docstrings."""
    schema = document.model_json_schema()
    for name, kind in sections(document).items():
        part = schema if kind is document else schema["$defs"][name]
        part.pop("title", None)
        part.pop("description", None)
        told = sentences(kind)
        for field, about in part["properties"].items():
            about.pop("title", None)
            about["description"] = told[field]
    return schema


def _of_gate(gate: Schema) -> None:
    gate["primary_metric"] |= METRIC
    for name in BY_METRIC:
        gate[name]["propertyNames"] = METRIC


def _of_release(parts: dict[str, Schema]) -> None:
    release = parts["ReleaseSpec"]
    release["steps"] |= {"minItems": 1, "maxItems": MOST_STEPS}
    release["sticky_by"]["pattern"] = _whole(STICKY.pattern)
    moments = {"enum": [*get_args(ApprovalSpec.model_fields["when"].annotation)]}
    _accept(release["approval"], moments, {"$ref": "#/$defs/ApprovalSpec"})
    name = {"type": "string", "pattern": _whole(ENVIRONMENT.pattern)}
    parts["EnvironmentSpec"]["name"] |= name
    release["environments"]["items"] = {"anyOf": [name, {"$ref": "#/$defs/EnvironmentSpec"}]}
    for field, (shape, _) in SHAPES.items():
        about = parts["CloudRunSpec"][field]
        about["type"] = ["string", "number"]  # a pattern says nothing of a number
        about["pattern"] = _whole(shape)


def _whole(pattern: str) -> str:
    return f"^(?:{pattern})$"


def _accept(about: Schema, *forms: Schema) -> None:
    """Let a field have any of these forms, which the specification makes one of."""
    for name in ("$ref", "type", "items"):
        about.pop(name, None)
    about["anyOf"] = [*forms]


def _narrow(about: Schema, **keywords: Any) -> None:
    """Add keywords to the form of a field that is not null."""
    for form in about.get("anyOf", [about]):
        if form.get("type") != "null":
            form.update(keywords)


def _without_unused(schema: Schema) -> Schema:
    """Leave out the definitions that nothing refers to any more."""
    kept: dict[str, Schema] = {}
    wanted = _references({name: part for name, part in schema.items() if name != "$defs"})
    while wanted:
        name = wanted.pop()
        if name not in kept:
            kept[name] = schema["$defs"][name]
            wanted |= _references(kept[name])
    return {**schema, "$defs": dict(sorted(kept.items()))}


def _references(part: Any) -> set[str]:
    if isinstance(part, dict):
        own = {part["$ref"].rpartition("/")[2]} if isinstance(part.get("$ref"), str) else set()
        return own.union(*(_references(each) for each in part.values()))
    return set().union(*(_references(each) for each in part)) if isinstance(part, list) else set()

"""The reference of pipeline.yaml and behaviour.yaml: every field, from the classes that read them."""

import json
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from handbook.markdown import code, page, table
from handbook.schema import Schema, schema_of_behaviour, schema_of_pipeline, sections
from handbook.sentences import about, sentences
from tasks.spec.behaviour import BehaviourFile
from tasks.spec.pipeline import PipelineSpec

INTRODUCTION = """Every field of a model's `pipeline.yaml` and `behaviour.yaml`. Where a sentence says
*None*, write `null` or leave the field out. An editor with a YAML language server completes these fields
and underlines faults by [pipeline.schema.json](../models/pipeline.schema.json) and
[behaviour.schema.json](../models/behaviour.schema.json), which the first line of a model's file names.
`make check` knows more than they do: how fields fit each other and the other files.
[bring-your-model.md](bring-your-model.md) walks through a model; [decisions.md](decisions.md) says what is
done with the thresholds."""

LIMITS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "above {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "below {}",
    "minItems": "{} or more",
    "maxItems": "at most {}",
    "minLength": "{} or more characters",
    "maxLength": "at most {} characters",
}
TYPES = {
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "string": "text",
    "object": "mapping",
}
HEADER = ("field", "type", "default", "bounds", "says")


def reference() -> str:
    """The page docs/reference-spec.md."""
    parts = [*_part(PipelineSpec, schema_of_pipeline(), "pipeline.yaml")]
    parts += _part(BehaviourFile, schema_of_behaviour(), "behaviour.yaml")
    return page("Every field of a model's files", "the docstrings in tasks/spec", INTRODUCTION, *parts)


def _part(document: type[BaseModel], schema: Schema, file: str) -> Iterator[str]:
    places = _places(schema)
    yield f"## {file}"
    yield _table(document, schema)
    for name, kind in sections(document).items():
        if kind is not document and name in places:
            yield f"### {places[name]}"
            yield about(kind)
            yield _table(kind, schema["$defs"][name])


def _places(schema: Schema) -> dict[str, str]:
    """Where each section stands in the file, such as `release.step`: the shortest place of several."""
    found: dict[str, str] = {}
    level = [("", schema)]
    while level:
        deeper = []
        for above, part in level:
            for field, form in part.get("properties", {}).items():
                for name in _sections_in(form):
                    if name not in found:
                        found[name] = f"{above}{field}"
                        deeper.append((f"{above}{field}.", schema["$defs"][name]))
        level = deeper
    return found


def _sections_in(form: Any) -> Iterator[str]:
    if isinstance(form, dict):
        if isinstance(form.get("$ref"), str):
            yield form["$ref"].rpartition("/")[2]
        for name, each in form.items():
            if name != "default":
                yield from _sections_in(each)
    elif isinstance(form, list):
        for each in form:
            yield from _sections_in(each)


def _table(kind: type[BaseModel], part: Schema) -> str:
    told = sentences(kind)
    return table(
        HEADER,
        (
            (code(name), _type(form), _default(kind.model_fields[name]), _bounds(form), told[name])
            for name, form in part["properties"].items()
        ),
    )


def _type(form: Schema) -> str:
    """What may stand in a field, as a person says it."""
    if "$ref" in form:
        return "fields"
    values = form.get("enum", [form["const"]] if "const" in form else None)
    if values is not None:
        return ", ".join(code(_as_yaml(each)) for each in values)
    if "type" in form:
        return _of_type(form, form["type"])
    kinds = dict.fromkeys(_type(each) for each in form.get("anyOf", ()) if each.get("type") != "null")
    return " or ".join(kinds) or "anything"


def _of_type(form: Schema, kind: str | list[str]) -> str:
    if isinstance(kind, list):
        return " or ".join(TYPES[each] for each in kind)
    if kind == "array":
        items = form.get("prefixItems") or [form["items"]]
        return f"list of {_type(items[0])}"
    values = form.get("additionalProperties")
    if kind == "object" and isinstance(values, dict) and values:
        return f"mapping to {_type(values)}"
    return TYPES[kind]


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "has to be there"
    default = field.get_default(call_default_factory=True)
    if isinstance(default, BaseModel):
        return "its fields' defaults"
    return code(_as_yaml(default))


def _bounds(form: Schema) -> str:
    """The limits of the value itself, or of those in a list."""
    forms = [form, *form.get("anyOf", ()), form.get("items", {})]
    found = [
        text.format(_number(each[name])) for each in forms for name, text in LIMITS.items() if name in each
    ]
    return ", ".join(dict.fromkeys(found))


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"


def _as_yaml(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if not isinstance(value, str) else value or '""'

"""Which fields a form needs for what a JSON Schema describes: pure, schema in, fields out.

Only the first level becomes fields; what is nested is one field that takes JSON. A form has to offer all that
a schema allows, but need not refuse all that it forbids: what was filled in is judged by the schema itself.
"""

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple

Kind = Literal["text", "line", "number", "integer", "choice", "checkbox", "json"]

MOST_FIELDS = 200
"""What has more is one field that takes JSON."""

MOST_CHOICES = 500
LONG_TEXT = 200
"""Characters from which on a text may need more than a line."""

LONG_EXAMPLE = 60
MOST_HOPS = 20
"""References that are followed one after another; more may be a circle."""

SHOWN = 300
TOLD = 2000
"""Characters of a hint, and of an example, that are shown."""


class Choice(NamedTuple):
    """One of several values: as JSON, and as a person reads it."""

    json: str
    label: str


class Field(NamedTuple):
    """One field of a form.

    Attributes:
        key: Its name in the instance, as JSON; empty where the field is the whole of it.
        label: Its title.
        hint: What may be filled in.
        required: Whether it has to be there.
        nullable: Whether `null` is meant where nothing is filled in.
        least: The fewest characters of a text.
        low: The smallest number; as text, None for none. `high`: the largest.
        choices: What may be chosen.
        example: A value as JSON; empty for none.
    """

    kind: Kind
    key: str
    label: str
    hint: str
    required: bool
    nullable: bool = False
    least: int = 0
    low: str | None = None
    high: str | None = None
    choices: tuple[Choice, ...] = ()
    example: str = ""

    @property
    def name(self) -> str:
        """Its name in the instance; empty where the field is the whole of it."""
        return str(json.loads(self.key)) if self.key else ""


def fields_of(schema: Mapping[str, Any], example: Mapping[str, Any]) -> list[Field]:
    """The fields of an instance; one for the whole instance where its schema names no properties.

    Args:
        example: The model's own example of an instance.
    """
    resolved = resolve(schema, schema)
    properties = resolved.get("properties")
    if not isinstance(properties, dict) or not 0 < len(properties) <= MOST_FIELDS or _is_mixed(resolved):
        title = str(resolved.get("title") or "Instance")
        return [_json("", title, resolved, _as_json(example), required=True)]
    required, alone = set(resolved.get("required", ())), len(properties) == 1
    return [
        field_of(
            resolve(each, schema),
            name,
            key=_as_json(name),
            required=name in required,
            alone=alone,
            example=_as_json(example[name]) if name in example else "",
        )
        for name, each in properties.items()
    ]


def about(schema: Mapping[str, Any]) -> str:
    """What a model does, as its input schema's `description` says it, or its `title`; empty for neither."""
    resolved = resolve(schema, schema)
    return _cut(str(resolved.get("description") or resolved.get("title") or ""), TOLD)


def label_field(schema: Mapping[str, Any]) -> Field:
    """The field for what the person thinks; it may be left empty."""
    resolved = resolve(schema, schema)
    found = field_of(resolved, "What do you think?", key="", required=False)
    title = str(resolved.get("title") or "Your answer")
    if found.kind == "checkbox":  # which cannot be left empty
        return found._replace(kind="choice", choices=_choices([True, False]), label=title)
    return found._replace(label=title)


def positive_class(label: Field) -> str:
    """How a person reads the positive one of two classes, whose probability a score is; empty where there are
    not two: of two labels it is the second in their order, as docs/bring-your-model.md says.
    """
    if label.kind != "choice" or len(label.choices) != 2:
        return ""
    first, second = label.choices
    values = json.loads(first.json), json.loads(second.json)
    are_texts, are_numbers = (all(isinstance(each, kind) for each in values) for kind in (str, int | float))
    if not are_texts and not are_numbers:
        return ""
    return second.label if values[0] < values[1] else first.label


def resolve(schema: Any, root: Mapping[str, Any]) -> dict[str, Any]:
    """A schema with the references to its own document followed; {} for one that leads nowhere."""
    for _ in range(MOST_HOPS):
        if not isinstance(schema, dict):
            return {}
        reference = schema.get("$ref")
        if reference is None:
            return schema
        rest = {name: value for name, value in schema.items() if name != "$ref"}
        schema = {**_looked_up(reference, root), **rest}
    return {}


def _looked_up(reference: Any, root: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(reference, str) or not reference.startswith("#"):
        return {}
    found: Any = root
    for part in reference.removeprefix("#").split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}


def field_of(
    schema: Mapping[str, Any],
    name: str,
    *,
    key: str,
    required: bool,
    alone: bool = False,
    example: str = "",
) -> Field:
    """The field of one property, whose schema has no reference any more."""
    label = _cut(str(schema.get("title") or name), SHOWN)
    choices, types = choices_of(schema), types_of(schema)
    nullable = "null" in types or any(choice.json == "null" for choice in choices)
    kind = _kind(schema, types - {"null"}, choices, is_long=_is_long(schema, example, alone=alone))
    if kind == "json":
        return _json(key, label, schema, example, required=required, nullable=nullable)
    if kind == "checkbox" and not (required and not nullable):
        kind, choices = "choice", _choices([True, False])
    made = Field(kind, key, label, _hint(schema), required, nullable, example=_cut_example(example))
    if kind in {"number", "integer"}:
        return made._replace(low=_bound(schema, "minimum"), high=_bound(schema, "maximum"))
    if kind == "choice":
        return made._replace(choices=tuple(each for each in choices if each.json != "null"))
    return made._replace(least=max(0, int(schema.get("minLength", 0))))


def _kind(schema: Mapping[str, Any], types: set[str], choices: tuple[Choice, ...], *, is_long: bool) -> Kind:
    if choices:
        return "choice"
    if _is_mixed(schema) or len(types) != 1:
        return "number" if types == {"integer", "number"} else "json"
    kinds: dict[str, Kind] = {"number": "number", "integer": "integer", "boolean": "checkbox"}
    kinds["string"] = "text" if is_long else "line"
    return kinds.get(next(iter(types)), "json")


def _is_mixed(schema: Mapping[str, Any]) -> bool:
    """Whether what the schema allows is said by alternatives, of which a form knows nothing."""
    return any(name in schema for name in ("anyOf", "oneOf", "allOf", "if", "not", "$dynamicRef"))


def types_of(schema: Mapping[str, Any]) -> set[str]:
    """The types that a schema names."""
    named = schema.get("type", [])
    return {named} if isinstance(named, str) else set(named)


def choices_of(schema: Mapping[str, Any]) -> tuple[Choice, ...]:
    """The values that a schema lists: by `enum`, `const`, or alternatives of `const` with a `title` each."""
    titles = _titles(schema)
    listed = schema.get("enum")
    if isinstance(listed, list) and 0 < len(listed) <= MOST_CHOICES:
        return _choices(listed, titles)
    if "const" in schema:
        return _choices([schema["const"]], titles)
    return tuple(Choice(value, label) for value, label in titles.items())[:MOST_CHOICES]


def _titles(schema: Mapping[str, Any]) -> dict[str, str]:
    """The titles of alternatives that are all one constant each, by the constant as JSON."""
    for name in ("oneOf", "anyOf"):
        parts = schema.get(name)
        if isinstance(parts, list) and all(isinstance(part, dict) and "const" in part for part in parts):
            return {
                _as_json(part["const"]): _cut(str(part.get("title") or _shown(part["const"])), SHOWN)
                for part in parts
            }
    return {}


def _choices(values: Iterable[Any], titles: Mapping[str, str] | None = None) -> tuple[Choice, ...]:
    named = titles or {}
    return tuple(
        Choice(as_json, named.get(as_json, _cut(_shown(value), SHOWN)))
        for value in values
        for as_json in [_as_json(value)]
    )


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _is_long(schema: Mapping[str, Any], example: str, *, alone: bool) -> bool:
    """Whether a text may need more than a line."""
    if "pattern" in schema or "format" in schema:
        return False
    most = schema.get("maxLength")
    return most > LONG_TEXT if most is not None else alone or len(example) > LONG_EXAMPLE


def _json(
    key: str, label: str, schema: Mapping[str, Any], example: str, *, required: bool, nullable: bool = False
) -> Field:
    said = str(schema.get("description") or "")
    hint = _cut(f"{said} As JSON.".strip(), SHOWN)
    return Field("json", key, _cut(label, SHOWN), hint, required, nullable, example=_cut_example(example))


def _hint(schema: Mapping[str, Any]) -> str:
    """What the schema says of a value, in words."""
    said = [_cut(str(schema["description"]), SHOWN)] if schema.get("description") else []
    bounds = [
        f"{words} {schema[name]}"
        for name, words in (
            ("minimum", "at least"),
            ("exclusiveMinimum", "more than"),
            ("maximum", "at most"),
            ("exclusiveMaximum", "less than"),
            ("multipleOf", "a multiple of"),
        )
        if name in schema
    ]
    bounds += [f"at least {schema['minLength']} characters"] if schema.get("minLength", 0) > 1 else []
    bounds += [f"at most {schema['maxLength']} characters"] if "maxLength" in schema else []
    bounds += [f"in the form {_cut(schema['pattern'], 80)}"] if "pattern" in schema else []
    bounds += [f"a {_cut(schema['format'], 80)}"] if "format" in schema else []
    text = ", ".join(bounds)
    return " ".join([*said, f"{text[:1].upper()}{text[1:]}."] if text else said)


def _bound(schema: Mapping[str, Any], name: str) -> str | None:
    """A bound of numbers as HTML has it: a whole number's, rounded into the range."""
    found = schema.get(name)
    if found is None:
        return None
    if "integer" in types_of(schema):
        found = math.ceil(found) if name == "minimum" else math.floor(found)
    return json.dumps(found)


def _as_json(value: Any) -> str:
    """Compact, in ASCII: nothing in it has another meaning to a reader than to a program."""
    return json.dumps(value, separators=(",", ":"))


def _cut_example(example: str) -> str:
    return example if len(example) <= TOLD else ""


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}…"

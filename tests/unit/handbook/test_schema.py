"""The schemas for editors take every model that there is, and refuse nothing that the specification takes."""

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from pydantic import BaseModel, ValidationError

from handbook.schema import schema_of_behaviour, schema_of_pipeline, sections
from handbook.sentences import sentences
from handbook.settings import PARTS
from new_model.make import TASKS, TEMPLATE, _render
from tasks.spec import PipelineSpec
from tasks.spec.behaviour import BehaviourFile
from tests.conftest import PROJECT

PIPELINE, BEHAVIOUR = Draft202012Validator(schema_of_pipeline()), Draft202012Validator(schema_of_behaviour())
CLASSES = {**sections(PipelineSpec), **sections(BehaviourFile), **{kind.__name__: kind for _, kind in PARTS}}
LINE = re.compile(r"^# yaml-language-server: \$schema=(\S+)\n")
OTHERS: tuple[Any, ...] = ("a word", -1, 0.5, 7, 10**13, True, None, ["a", 2], {"a": 1})
ALL_FIELDS: dict[str, Any] = {
    "release": {
        "mode": "canary",
        "approval": "before_full",
        "steps": [0.1, 1.0],
        "sticky_by": "header:X-User-Id",
        "environments": ["dev", {"name": "staging", "acceptance": {"rows": 10}}],
        "cloud_run": {
            "project": "our-project",
            "region": "europe-west1",
            "service": "reviews",
            "registry": "registry.example/our-project/team",
            "token_secret": "token",
            "token_version": 3,
            "cpu": 2,
        },
    },
    "monitor": {"columns": {"text": {"watch": False}}, "retrain_budget": {"runs": 3}, "mode": "approve"},
}
"""What no shipped model says, joined to one that does not say it."""


def documents(name: str) -> list[Any]:
    files = sorted((PROJECT / "models").glob(f"*/{name}"))
    return [yaml.safe_load(file.read_text(encoding="utf-8")) for file in files]


def rich() -> dict[str, Any]:
    """A pipeline.yaml that has nearly every section."""
    shipped = next(each for each in documents("pipeline.yaml") if each["name"] == "review_sentiment")
    more = copy.deepcopy(ALL_FIELDS)
    joined: dict[str, Any] = {**shipped, "release": more["release"]}
    joined["monitor"] |= more["monitor"]
    joined["data"]["slice_by"] = ["source", {"column": "label", "edges": [0.5]}]
    return joined


def changes(document: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """The document with one value that is another, one field that is missing, or one that is too much."""
    value = document
    for part in path:
        value = value[part]
    for other in OTHERS:
        yield (*path, repr(other)), put(document, path, other)
    if isinstance(value, dict):
        yield (*path, "unknown"), put(document, (*path, "unknown_field"), 1)
        for name in value:
            less = {key: each for key, each in value.items() if key != name}
            yield (*path, f"without {name}"), put(document, path, less)
            yield from changes(document, (*path, name))
    elif isinstance(value, list):
        for number in range(len(value)):
            yield from changes(document, (*path, number))


def put(document: Any, path: tuple[str | int, ...], value: Any) -> Any:
    if not path:
        return value
    changed = copy.deepcopy(document)
    place = changed
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = value
    return changed


def takes(kind: type[BaseModel], document: Any) -> bool:
    try:
        kind.model_validate(copy.deepcopy(document))
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize("name", ["pipeline.yaml", "behaviour.yaml"])
def test_every_shipped_file_names_its_schema_in_the_first_line_and_fits_it(name: str) -> None:
    files = sorted((PROJECT / "models").glob(f"*/{name}"))
    assert files
    for file in files:
        text = file.read_text(encoding="utf-8")
        named = LINE.match(text)
        assert named, f"{file}: begin it with # yaml-language-server: $schema=../{file.stem}.schema.json"
        schema = json.loads((file.parent / named[1]).read_text(encoding="utf-8"))
        Draft202012Validator.check_schema(schema)
        assert [e.message for e in Draft202012Validator(schema).iter_errors(yaml.safe_load(text))] == []


@pytest.mark.parametrize("task", TASKS)
def test_what_make_model_writes_names_a_schema_and_fits_it(task: str, tmp_path: Path) -> None:
    made = _render(tmp_path, name="demo_model", task=task)

    for name, schema in (("pipeline", PIPELINE), ("behaviour", BEHAVIOUR)):
        text = (made / f"{name}.yaml").read_text(encoding="utf-8")
        named = LINE.match(text)
        assert named, f"{TEMPLATE / name}.yaml.j2 has no line for editors"
        assert (PROJECT / "models" / "demo_model" / named[1]).resolve().is_file()
        assert [error.message for error in schema.iter_errors(yaml.safe_load(text))] == []


def test_a_schema_refuses_nothing_that_the_specification_takes() -> None:
    told: list[tuple[tuple[str | int, ...], bool, bool]] = []
    assert takes(PipelineSpec, rich())
    assert PIPELINE.is_valid(rich())
    for what, changed in changes(rich()):
        told.append((what, PIPELINE.is_valid(changed), takes(PipelineSpec, changed)))
    for document in documents("behaviour.yaml"):
        for what, changed in changes(document):
            told.append((what, BEHAVIOUR.is_valid(changed), takes(BehaviourFile, changed)))

    too_strict = [what for what, by_schema, by_spec in told if by_spec and not by_schema]
    refused = [by_schema for _, by_schema, by_spec in told if not by_spec]
    assert too_strict == []
    assert refused.count(False) / len(refused) > 0.8, "a schema finds most of what is wrong with one value"


@pytest.mark.parametrize(
    ("section", "field", "value"),
    [
        ("gate", "primary_metric", "acuracy"),
        ("gate", "minimum", {"acuracy": 0.8}),
        ("gate", "margin", "0.01"),
        ("data", "maximum_bad_share", 5),
        ("data", "minimal_rows", 500),
        ("data", "features", []),
        ("training", "schedule", "at night"),
        ("monitor", "false_alarms_per_year", 0),
        ("release", "approval", "always"),
        ("release", "steps", [5, 100]),
        ("release", "environments", ["Staging"]),
        ("serving", "label_schema", {"enum": [0, 1]}),
        ("resources", "gpus", "yes"),
    ],
)
def test_an_editor_underlines_a_common_slip(section: str, field: str, value: Any) -> None:
    document = rich()
    document[section][field] = value

    faults = [error.json_path for error in PIPELINE.iter_errors(document)]

    assert not takes(PipelineSpec, document)
    assert faults
    assert all(fault.startswith(f"$.{section}") for fault in faults)


def test_behaviour_is_a_file_of_its_own() -> None:
    assert not PIPELINE.is_valid(rich() | {"behaviour": []})


@pytest.mark.parametrize("kind", CLASSES.values(), ids=CLASSES)
def test_every_field_has_a_sentence(kind: type[BaseModel]) -> None:
    told = sentences(kind)
    assert sorted(set(kind.model_fields) - set(told)) == [], (
        f"Say in the section `Attributes:` of {kind.__module__}.{kind.__name__}'s docstring what it is for."
    )
    assert all(text.endswith((".", "`")) for text in told.values())

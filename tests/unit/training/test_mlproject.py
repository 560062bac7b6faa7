"""A model's parameters come from its MLproject, and a wrong one is told before anything runs."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from tasks.errors import InvalidProject, InvalidRequest
from tasks.spec import PipelineSpec, load_specs
from tasks.training import mlproject
from tests.conftest import PROJECT
from tests.unit import trained

MODELS = PROJECT / "models"


@pytest.fixture
def tiny(tmp_path: Path) -> PipelineSpec:
    return trained.write_model(tmp_path)


def rewrite(models: Path, parameters: dict[Any, Any]) -> None:
    """Add parameters to the tiny model's MLproject; None takes one away."""
    path = models / "tiny" / "MLproject"
    document = yaml.safe_load(path.read_text())
    declared = document["entry_points"]["main"]["parameters"] | parameters
    document["entry_points"]["main"]["parameters"] = {
        name: value for name, value in declared.items() if value is not None
    }
    path.write_text(yaml.safe_dump(document))


@pytest.mark.parametrize("spec", load_specs(MODELS), ids=lambda spec: spec.name)
def test_every_shipped_model_has_a_form_whose_defaults_are_good(spec: PipelineSpec) -> None:
    schemas = mlproject.parameters(spec, MODELS)

    assert {"seed", "epochs"} <= set(schemas)
    assert all(schema["description"] for schema in schemas.values())
    assert mlproject.check_parameters({}, schemas) == {
        name: schema["default"] for name, schema in schemas.items()
    }


def test_bounds_of_the_specification_narrow_the_projects_parameters(
    tiny: PipelineSpec, tmp_path: Path
) -> None:
    schemas = mlproject.parameters(tiny, tmp_path)

    assert schemas["seed"] == {"type": "integer", "default": 7, "description": "Seed.", "minimum": 0}
    assert schemas["rate"] == {"type": "number", "default": 0.5}
    assert schemas["mode"]["enum"] == ["good", "fail", "break", "empty", "sleep"]
    assert not {"data", "output"} & set(schemas)


def test_what_is_asked_for_replaces_a_default(tiny: PipelineSpec, tmp_path: Path) -> None:
    values = mlproject.check_parameters({"seed": 3.0, "rate": 1}, mlproject.parameters(tiny, tmp_path))

    assert values == {"seed": 3, "rate": 1, "mode": "good"}
    assert isinstance(values["seed"], int)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"sead": 3}, "sead is not a parameter"),
        ({"data": "/etc"}, "data is not a parameter"),
        ({"seed": -1}, "seed: -1 is less than the minimum of 0"),
        ({"seed": "3"}, "seed: '3' is not of type 'integer'"),
        ({"seed": 3.5}, "seed: 3.5 is not of type 'integer'"),
        ({"mode": "good; rm -rf /"}, "mode: 'good; rm -rf /' is not one of"),
        ({"rate": True}, "rate: True is not of type 'number'"),
    ],
)
def test_a_wrong_value_is_refused_and_the_known_parameters_are_named(
    tiny: PipelineSpec, tmp_path: Path, asked: dict[str, Any], said: str
) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        mlproject.check_parameters(asked, mlproject.parameters(tiny, tmp_path))

    assert said in str(refusal.value)
    assert "Known parameters: seed (integer), rate (number), mode (string)" in str(refusal.value)


def test_every_fault_is_told_at_once(tiny: PipelineSpec, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        mlproject.check_parameters({"seed": -1, "colour": "blue"}, mlproject.parameters(tiny, tmp_path))

    assert len(refusal.value.evidence["faults"]) == 2


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"seed": None}, "lacks the parameters"),
        ({"output": None}, "lacks the parameters"),
        ({"mode": None}, "narrows ['mode']"),
        ({"epochs": {"type": "int"}}, "'epochs' has no default"),
        ({"epochs": "int"}, "'epochs' has no default"),
        ({"epochs": {"type": "complex", "default": 1}}, "has the type 'complex'"),
        ({"seed": {"type": "int", "default": -1}}, "the default of 'seed' breaks its own schema: -1 is less"),
        ({"epochs": {"type": ["int"], "default": 1}}, "has the type ['int']"),
        ({True: {"type": "int", "default": 1}}, "not a mapping of names"),
        (
            {"rate": {"type": "float", "default": float("nan")}},
            "'rate' together with training.parameters.rate",
        ),
        ({"mode": {"default": "good", "description": date(2026, 1, 1)}}, "this is not JSON"),
    ],
)
def test_a_wrong_mlproject_is_told_with_its_path(
    tiny: PipelineSpec, tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    rewrite(tmp_path, change)

    with pytest.raises(InvalidProject) as fault:
        mlproject.parameters(tiny, tmp_path)

    assert said in str(fault.value)
    assert str(tmp_path / "tiny" / "MLproject") in str(fault.value)


@pytest.mark.parametrize(
    "text", ["", "[", "entry_points: {other: {}}", "entry_points: {main: {parameters: [seed]}}", "\x00"]
)
def test_an_mlproject_without_the_entry_point_is_told(tiny: PipelineSpec, tmp_path: Path, text: str) -> None:
    (tmp_path / "tiny" / "MLproject").write_text(text)

    with pytest.raises(InvalidProject, match="MLproject"):
        mlproject.parameters(tiny, tmp_path)


def test_a_model_without_mlproject_is_told(tiny: PipelineSpec, tmp_path: Path) -> None:
    (tmp_path / "tiny" / "MLproject").unlink()

    with pytest.raises(InvalidProject, match="cannot be read"):
        mlproject.parameters(tiny, tmp_path)


@pytest.mark.parametrize(
    "value", ["2026-02-30", "0x_", "9" * 5000, "[" * 3000 + "]" * 3000, "&a [*a]", "!!int ''"]
)
def test_a_value_that_there_is_not_is_told(tiny: PipelineSpec, tmp_path: Path, value: str) -> None:
    path = tmp_path / "tiny" / "MLproject"
    path.write_text(f"{path.read_text()}\nx: {value}\n")

    with pytest.raises(InvalidProject, match=r"tiny/MLproject: cannot be read: (?s:.*)line "):
        mlproject.parameters(tiny, tmp_path)


NESTED: dict[str, Any] = {}
for _ in range(150):
    NESTED = {"not": NESTED}


@pytest.mark.parametrize("narrowed", [{"$ref": "#/nope"}, {"$ref": "#"}, {"$ref": "http://[/"}, NESTED])
def test_a_schema_that_cannot_be_applied_is_told(
    tiny: PipelineSpec, tmp_path: Path, narrowed: dict[str, Any]
) -> None:
    training = tiny.training.model_copy(update={"parameters": {"seed": narrowed}})

    with pytest.raises(
        InvalidProject, match=r"tiny/MLproject: 'seed' together with training\.parameters\.seed"
    ):
        mlproject.parameters(tiny.model_copy(update={"training": training}), tmp_path)

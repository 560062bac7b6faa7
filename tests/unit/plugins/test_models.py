"""A model that is wrong takes nothing from the others: their DAGs stay, and its fault is shown for itself."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from plugins import models
from tasks.errors import InvalidProject
from tests.conftest import PROJECT
from tests.unit import trained

DAG_FILE = str(PROJECT / "dags" / "invalid_models.py")


@pytest.fixture
def folder(project: Path) -> Path:
    """The tiny model, and beside it `bad`, which a test breaks."""
    shutil.copytree(project / "models" / "tiny", project / "models" / "bad")
    narrow(project / "models", {"seed": {"minimum": 0}})
    return project / "models"


def narrow(folder: Path, parameters: dict[str, Any]) -> None:
    training = {"parameters": parameters}
    document = {**trained.PIPELINE, "name": "bad", "training": training}
    (folder / "bad" / "pipeline.yaml").write_text(yaml.safe_dump(document))


def shown(folder: Path) -> str:
    """What dags/invalid_models.py shows, where the good model alone has DAGs."""
    assert set(models.models(folder)) == {"tiny"}
    assert set(models.tables(folder)) == {"numbers"}
    with pytest.raises(InvalidProject) as fault:
        models.raise_faults(DAG_FILE)
    return str(fault.value)


def test_models_without_a_fault_are_all_there(folder: Path) -> None:
    assert set(models.models(folder)) == {"bad", "tiny"}
    models.raise_faults(DAG_FILE)


@pytest.mark.parametrize("line", ["x: 2026-02-30", "x: 0x_", f"x: {'[' * 3000}{']' * 3000}"])
def test_an_mlproject_that_cannot_be_read_is_its_models_fault(folder: Path, line: str) -> None:
    path = folder / "bad" / "MLproject"
    path.write_text(f"{path.read_text()}\n{line}\n")

    assert "bad/MLproject: cannot be read: " in shown(folder)


def test_a_form_that_cannot_be_made_is_its_models_fault(folder: Path) -> None:
    narrow(folder, {"seed": {"$ref": "#/nope"}})

    assert "bad/MLproject: 'seed' together with training.parameters.seed" in shown(folder)


def test_what_nobody_foresaw_is_its_models_fault(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    form = models.training_form

    def stumble(spec: Any, folder: Path) -> Any:
        if spec.name == "bad":
            raise RuntimeError("a surprise")
        return form(spec, folder)

    monkeypatch.setattr(models, "training_form", stumble)

    told = shown(folder)

    assert "models/bad: this model cannot be used" in told
    assert "RuntimeError: a surprise" in told

"""`make model`: a folder and a suite that are right as they are made, and a sentence for what cannot be."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from new_model.check import faults_of_model
from new_model.make import TASKS, TEMPLATE, make
from tasks.data.suites import load_suite
from tasks.errors import InvalidRequest
from tasks.settings import CLONE, Settings, forget_another_clone
from tasks.spec import PipelineSpec, load_specs
from tasks.training.mlproject import check_parameters, parameters
from tests.conftest import PROJECT


@pytest.mark.parametrize("name", ["demo_model", "order"])
@pytest.mark.parametrize("task", TASKS)
def test_a_new_model_fits_the_projects_schemas_as_it_is_made(project: Path, name: str, task: str) -> None:
    made = make(name, task)

    spec = PipelineSpec.load(made.folder / "pipeline.yaml")
    assert (spec.name, spec.task, spec.data.table) == (name, task, name)
    assert {
        name: kind["default"] for name, kind in parameters(spec, project / "models").items()
    } == check_parameters({}, parameters(spec, project / "models"))
    assert len(load_suite(spec.data.suite).expectations) > 8
    assert [other.name for other in load_specs(project / "models")] == [name, "tiny"]
    assert list(faults_of_model(spec)) == []
    needed = {spec.serving.handler, *spec.serving.code, "MLproject", "train.py", "pyfunc.py"}
    assert needed <= {path.name for path in made.folder.iterdir()}
    assert not [path.name for path in made.folder.rglob("*") if path.suffix in {".j2", ".pyc"}]


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("task", TASKS)
def test_a_new_model_tells_people_what_it_does_and_names_its_fields_and_classes(task: str) -> None:
    serving = PipelineSpec.load(make("demo_model", task).folder / "pipeline.yaml").serving

    assert serving.input_schema["description"].startswith("Says ")
    assert all(
        " " in each["title"] or each["title"].istitle()
        for each in serving.input_schema["properties"].values()
    )
    names = [each["title"] for each in serving.label_schema.get("oneOf", ())]
    assert len(names) == len(serving.label_schema.get("enum", ()))


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("task", TASKS)
def test_the_examples_of_behavioural_tests_fit_the_new_model(task: str) -> None:
    made = make("demo_model", task)
    behaviour, pipeline = made.folder / "behaviour.yaml", made.folder / "pipeline.yaml"
    assert PipelineSpec.load(pipeline).behaviour == ()

    head, examples = behaviour.read_text().split("tests: []\n")
    behaviour.write_text(f"{head}tests:\n{re.sub('^#', '', examples, flags=re.MULTILINE)}")

    kinds = {test.kind for test in PipelineSpec.load(pipeline).behaviour}
    assert kinds == {"minimum_functionality", "invariance", "directional"}


@pytest.mark.parametrize(
    ("name", "task", "said"),
    [
        ("Demo-Model", "binary", "'Demo-Model' cannot be a model's name"),
        ("", "binary", "for example NAME=churn_risk"),
        ("../demo", "binary", "cannot be a model's name"),
        ("demo__predictions", "binary", "two underscores in a row"),
        (
            "demo",
            "clustering",
            "'clustering' is no task. Say TASK=binary or TASK=multiclass or TASK=regression",
        ),
        ("tiny", "binary", "models/tiny is there already"),
        ("other", "binary", "expectations/other.json is there already"),
        ("numbers", "binary", "'numbers' is the table of the model tiny"),
    ],
)
def test_what_cannot_be_made_is_refused_in_a_sentence_and_leaves_nothing(
    project: Path, name: str, task: str, said: str
) -> None:
    (project / "great_expectations" / "expectations" / "other.json").write_text("{}")
    before = sorted(project.rglob("*"))

    with pytest.raises(InvalidRequest) as refused:
        make(name, task)

    assert said in str(refused.value)
    assert sorted(project.rglob("*")) == before


def test_the_command_says_what_it_made_and_fails_with_a_sentence_the_second_time(project: Path) -> None:
    command = [sys.executable, "-m", "new_model", "demo_model", "regression"]

    first, second = (
        subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False) for _ in range(2)
    )

    assert first.returncode == 0, first.stderr
    assert f"Made {project}/models/demo_model/ and" in first.stdout
    assert (second.returncode, second.stderr.splitlines()) == (
        InvalidRequest.exit_code,
        [f"{project}/models/demo_model is there already. Choose another NAME, or remove it first."],
    )


def test_it_speaks_of_its_own_clone_in_a_shell_that_points_to_another_ones_platform(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(CLONE, "/home/ann/perennial")
    monkeypatch.setenv("PERENNIAL_LANDING_URL", "/home/ann/perennial/landing")
    assert Settings().landing == "/home/ann/perennial/landing"
    forget_another_clone()
    assert Settings().landing == str(PROJECT / ".perennial" / "state" / "landing")


def test_the_template_is_checked_by_the_linter_as_a_models_folder_is() -> None:
    linted = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--show-files", "new_model"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )

    assert {str(path) for path in TEMPLATE.rglob("*.py")} <= set(linted.stdout.splitlines())

"""`make check`: what is wrong with a model's files is said before Airflow sees them, all of it at once."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from new_model.check import faults_of_models, notes_of_models
from new_model.make import make
from tasks.errors import EXIT_INVALID, InvalidRequest
from tasks.settings import NOT_MADE, settings
from tests.conftest import PROJECT

QUERY = "SELECT delivery_id, region, distance_km, weight_kg, express, label FROM"


@pytest.fixture
def pipeline(project: Path) -> Path:
    """The pipeline.yaml of a model that was just made."""
    return make("parcel", "binary").folder / "pipeline.yaml"


def test_the_shipped_models_are_sound(home: Path) -> None:
    assert set(faults_of_models()) >= {"review_sentiment", "flight_delay"}
    assert not any(faults_of_models().values())


@pytest.mark.parametrize(
    ("there", "given", "said"),
    [
        ("dev,staging", "[stagin]", ["release.environments names stagin"]),
        ("dev,staging", "[staging, dev]", ["Name them in the platform's order"]),
        ("dev,staging", "[dev, staging]", []),
        ("", "[stagin]", []),
    ],
)
def test_environments_that_the_platform_has_not_are_said(
    pipeline: Path, monkeypatch: pytest.MonkeyPatch, there: str, given: str, said: list[str]
) -> None:
    monkeypatch.setenv("PERENNIAL_RELEASE_ENVIRONMENTS", there)
    settings.cache_clear()
    pipeline.write_text(f"{pipeline.read_text()}\nrelease:\n  environments: {given}\n")

    found = faults_of_models("parcel").get("parcel", [])

    assert [text in fault for text, fault in zip(said, found, strict=True)] == [True] * len(said)
    notes = list(notes_of_models(["parcel"]))
    assert [("set PERENNIAL_RELEASE_ENVIRONMENTS=stagin" in note, ".env" in note) for note in notes] == (
        [] if there else [(True, True)]
    )


def of_release(pipeline: Path, rules: str) -> list[str]:
    """The notes on a model whose releases are of these rules, on one line."""
    text = pipeline.read_text().partition("\nrelease:")[0]
    pipeline.write_text(f"{text}\nrelease: {rules}\n")
    assert faults_of_models("parcel")["parcel"] == []
    return list(notes_of_models(["parcel"]))


def test_steps_that_ask_for_too_few_requests_to_decide_anything_are_told_the_number(pipeline: Path) -> None:
    assert of_release(pipeline, "{mode: canary}") == []
    [note] = of_release(pipeline, "{mode: canary, step: {requests: 50}}")
    assert "release.step.requests is 50, but canary_5 cannot say that a candidate is good before 594" in note
    assert "which are 11,880 of the model, however good it is (errors); the steps need up to 1,034" in note
    margins = "{errors: {margin: 0.3}, latency: {margin: 0.4}, predictions: {largest_change: null}}"
    assert of_release(pipeline, f"{{mode: canary, step: {{requests: 50}}, checks: {margins}}}") == []
    assert "canary_100 cannot" in of_release(pipeline, "{mode: blue_green, step: {requests: 50}}")[0]
    assert of_release(pipeline, "{mode: immediate}") == []


def test_steps_that_draw_senders_are_told_how_many_there_have_to_be(pipeline: Path) -> None:
    [note] = of_release(pipeline, "{mode: canary, sticky_by: sender}")
    assert "canary_5 draws tokens, not requests: of fewer than 59 tokens" in note
    assert (1 - 0.05) ** 59 < 0.05 < (1 - 0.05) ** 58
    assert of_release(pipeline, "{mode: canary, sticky_by: 'header:X-User-Id'}") == []
    assert of_release(pipeline, "{mode: canary, sticky_by: sender, steps: [0.96, 1.0]}") == []


@pytest.mark.parametrize("rules", ["steps: [SHARE, 1.0], sticky_by: sender", "shadow: {share: SHARE}"])
@pytest.mark.parametrize("share", ["1.0e-17", "1.0e-300"])
def test_a_share_of_almost_none_takes_no_check_down(pipeline: Path, rules: str, share: str) -> None:
    notes = of_release(pipeline, f"{{mode: canary, {rules.replace('SHARE', share)}}}")
    assert len(notes) == (2 if "sender" in rules else 0)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (QUERY, "SELECT * FORM", "data.query: "),
        (QUERY, "SELECT * FROM reviews -- ", "data.query: "),
        (QUERY, "SELECT delivery_id, random() AS label FROM", "It uses random"),
        (
            QUERY,
            "SELECT delivery_id, label FROM",
            "data.query does not return the columns ['distance_km', 'exp",
        ),
        ("by: delivery_id", "by: customer", "data.query does not return the columns ['customer']"),
        ("suite: parcel", "suite: parcels", "expectations/parcels.json"),
        ("    region: string\n", "    area: string\n", "the features ['region'] are not among the columns"),
        ("code: [features.py, labels.py,", "code: [", "network.py imports features, and serving.code"),
        ("handler: handler.py", "handler: hander.py", "hander.py is missing, but pipeline.yaml names it"),
        ("hidden: {", "width: {", "pipeline.yaml narrows ['width'], which are not free parameters"),
        ("SELECT prediction_id AS", "SELECT prediction AS", "data.feedback_query: "),
        (
            "predicted_at AS ordered_at, ",
            "",
            "data.feedback_query does not return the columns ['ordered_at']",
        ),
        (
            ", label FROM labelled",
            ", label, sent_by FROM labelled",
            "the columns ['sent_by'], which the table",
        ),
        (
            "    region: string\n",
            "    region: string\n    region: date\n",
            "'region' is there already in line",
        ),
        ("name: parcel", "name: parcels", "name is 'parcels', but the folder is 'parcel'"),
        ('"0 2 * * *"', '"0 25 * * *"', "training.schedule: '0 25 * * *' is not a cron expression: its hour"),
        ('"0 2 * * *"', "daily", "training.schedule: 'daily' is not a cron expression: '@daily' is one"),
        ('"0 4 * * *"', '"99 4 * * *"', "monitor.schedule: '99 4 * * *' is not a cron expression: its minut"),
    ],
)
def test_a_fault_is_said_with_its_place(pipeline: Path, before: str, after: str, said: str) -> None:
    text = pipeline.read_text()
    assert before in text
    pipeline.write_text(text.replace(before, after))

    found = faults_of_models("parcel")

    assert said in " ".join(found["parcel"])
    assert list(found) == ["parcel"]


def test_a_default_that_its_own_type_refuses_is_said(pipeline: Path) -> None:
    mlproject = pipeline.with_name("MLproject")
    text = re.sub(
        r"epochs: \{type: int, default: \d+", "epochs: {type: int, default: thirty", mlproject.read_text()
    )
    mlproject.write_text(text)

    [said] = faults_of_models("parcel")["parcel"]

    assert "the default of 'epochs' breaks its own schema: 'thirty' is not of type 'integer'" in said


def test_a_command_with_a_parameter_that_is_not_there_is_said(pipeline: Path) -> None:
    mlproject = pipeline.with_name("MLproject")
    mlproject.write_text(mlproject.read_text().replace("{epochs}", "{epoch}"))

    [said] = faults_of_models("parcel")["parcel"]

    assert "the command names ['epoch'], which are not parameters of the entry point" in said
    assert "Do you mean epochs?" in said


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("class Handler(PerennialHandler):", "class Handler(object):", "does not inherit PerennialHandler"),
        ("def predict(", "def predicted(", "Handler lacks predict(instances), so it cannot serve"),
        ("def load(", "def loaded(", "Handler lacks load(folder)"),
        ("class Handler", "class Other:\n    pass\n\nclass Handler", "exactly one class"),
    ],
)
def test_a_handler_that_cannot_serve_is_said(pipeline: Path, before: str, after: str, said: str) -> None:
    handler = pipeline.with_name("handler.py")
    assert before in handler.read_text()
    handler.write_text(handler.read_text().replace(before, after))

    [found] = faults_of_models("parcel")["parcel"]

    assert said in found


def test_a_handler_may_inherit_from_another_file_of_the_model(pipeline: Path) -> None:
    handler, base = pipeline.with_name("handler.py"), pipeline.with_name("base.py")
    base.write_text(handler.read_text().replace("class Handler", "class Ours"))
    handler.write_text("import base\n\n\nclass Handler(base.Ours):\n    pass\n")
    pipeline.write_text(pipeline.read_text().replace("code: [", "code: [base.py, "))

    assert not faults_of_models("parcel")["parcel"]

    base.write_text(base.read_text().replace("def predict(", "def predicted("))
    assert "Handler lacks predict(instances)" in faults_of_models("parcel")["parcel"][0]


def test_an_environment_that_could_not_be_made_is_said_of_its_model_alone(
    pipeline: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environments = pipeline.parents[2] / "environments"
    (environments / "model-parcel").mkdir(parents=True)
    (environments / "model-parcel" / NOT_MADE).write_text(
        "models/parcel/requirements.txt cannot be installed"
    )
    monkeypatch.setenv("PERENNIAL_ENVIRONMENTS", str(environments))
    settings.cache_clear()

    assert faults_of_models()["parcel"] == ["models/parcel/requirements.txt cannot be installed"]
    assert "requirements" not in str(faults_of_models()["tiny"])


@pytest.mark.parametrize(
    ("file", "line", "said"),
    [
        (
            "handler.py",
            "import nosuchlib.deep",
            "the environment of the model's steps and that of TorchServe lacks",
        ),
        (
            "labels.py",
            "from nosuchlib import this",
            "the environment of the model's steps and that of TorchServe lacks",
        ),
        ("handler.py", "import pandas", "imports pandas, which the environment of TorchServe lacks"),
        ("train.py", "import os, nosuchlib", "nor in the environment of its steps"),
    ],
)
def test_an_import_that_would_fail_is_said_with_its_line(
    pipeline: Path, file: str, line: str, said: str
) -> None:
    path = pipeline.with_name(file)
    path.write_text(f"{path.read_text()}\n{line}\n")
    number = len(path.read_text().splitlines())

    found = faults_of_models("parcel")["parcel"]

    assert said in " ".join(found)
    assert all(f"{path}:{number} imports " in fault for fault in found)


def test_the_handler_s_imports_are_looked_for_where_its_backend_runs_it(pipeline: Path) -> None:
    text = pipeline.read_text()
    pipeline.write_text(text.replace("\nserving:\n", "\nserving:\n  backend: oip\n"))
    handler = pipeline.with_name("handler.py")
    handler.write_text(f"{handler.read_text()}\nimport pandas\n")

    [found] = faults_of_models("parcel")["parcel"]

    assert "imports pandas, which the environment of the inference server lacks" in found


@pytest.mark.parametrize(
    "lines",
    [
        "try:\n    import nosuchlib\nexcept ImportError:\n    nosuchlib = None",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import nosuchlib",
        "def later():\n    import nosuchlib",
        "import sys\nsys.path.append('/opt/ours')\nimport nosuchlib",
        "import xml.dom, torch, numpy.linalg",
    ],
)
def test_an_import_that_may_succeed_is_no_fault(pipeline: Path, lines: str) -> None:
    for name in ("handler.py", "train.py"):
        path = pipeline.with_name(name)
        path.write_text(f"{path.read_text()}\n{lines}\n")

    assert faults_of_models("parcel")["parcel"] == []


def test_bounds_of_a_suite_that_no_value_fits_are_said(pipeline: Path) -> None:
    suite = settings().suites / "expectations" / "parcel.json"
    suite.write_text(
        suite.read_text().replace(
            '"min_value": 0, "max_value": 20000', '"min_value": 30000, "max_value": 20000'
        )
    )

    [said] = faults_of_models("parcel")["parcel"]

    assert "min_value 30000 is above max_value 20000" in said


def test_a_folder_that_is_no_model_is_named_and_so_is_a_project_without_one(
    pipeline: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline.rename(pipeline.with_suffix(".yml"))
    assert "parcel has no pipeline.yaml, so it is no model." in faults_of_models()["parcel"][0]

    monkeypatch.setenv("PERENNIAL_MODELS", str(pipeline.parent / "nowhere"))
    settings.cache_clear()
    with pytest.raises(InvalidRequest, match=r"nowhere has no model\. `make model` makes one\."):
        faults_of_models()


def test_every_part_is_looked_at_whatever_is_wrong_with_another(pipeline: Path) -> None:
    pipeline.write_text(pipeline.read_text().replace("by: delivery_id", "by: customer"))
    (pipeline.parent / "train.py").write_text("def train(:\n")
    (pipeline.parent / "MLproject").unlink()
    suite = settings().suites / "expectations" / "parcel.json"
    document = json.loads(suite.read_text())
    about_one = next(each for each in document["expectations"] if "column" in each["kwargs"])
    about_one["kwargs"]["column"] = "colour"
    suite.write_text(json.dumps(document))

    [program, code, columns, query] = faults_of_models("parcel")["parcel"]

    assert "MLproject: cannot be read" in program
    assert "train.py: is no Python: invalid syntax" in code
    assert "has expectations about the columns ['colour']" in columns
    assert "does not return the columns ['customer']" in query


def test_the_command_ends_with_an_error_where_a_model_is_wrong(pipeline: Path) -> None:
    pipeline.write_text(pipeline.read_text().replace("by: delivery_id", "by: customer"))

    command = [sys.executable, "-m", "new_model.check"]
    every = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)

    assert every.returncode == EXIT_INVALID
    assert every.stdout.startswith("parcel:\n  models/parcel/pipeline.yaml: data.query does not return")
    assert "tiny:\n" in every.stdout
    with pytest.raises(InvalidRequest, match=r"has no model 'parcels'\. Say NAME=parcel or NAME=tiny\."):
        faults_of_models("parcels")


def test_what_nobody_foresaw_is_said_among_the_rest(pipeline: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stumble(*_: object) -> None:
        raise RuntimeError("a surprise")

    monkeypatch.setattr("new_model.check.parameters", stumble)
    (pipeline.parent / "train.py").write_text("def train(:\n")

    [surprise, code] = faults_of_models("parcel")["parcel"]

    assert "parcel: this model cannot be used" in surprise
    assert "RuntimeError: a surprise" in surprise
    assert "train.py: is no Python" in code

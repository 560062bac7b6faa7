"""A model that `make model` has just made goes through every step as it is, whatever its task."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from new_model.make import TASKS, make
from tasks.settings import settings
from tasks.spec import PipelineSpec
from tests.conftest import PROJECT
from tests.steps.by_hand import ByHand

ON_A_PLATFORM = "regression"
"""What tests/system/test_new_models.py makes and trains."""


@pytest.fixture
def project(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project without a model, but with the helper of its training programs."""
    monkeypatch.setenv("PERENNIAL_MODELS", str(home / "models"))
    monkeypatch.setenv("PERENNIAL_SUITES", str(home / "great_expectations"))
    settings.cache_clear()
    (home / "models").mkdir()
    shutil.copy(PROJECT / "models" / "perennial_training.py", home / "models")
    shutil.copytree(
        PROJECT / "great_expectations", home / "great_expectations", ignore=shutil.ignore_patterns("*.json")
    )
    return home


@pytest.mark.timeout(400)
@pytest.mark.parametrize("task", [task for task in TASKS if task != ON_A_PLATFORM])
def test_a_new_model_is_trained_and_promoted_as_it_is(
    project: Path, mlflow_store: Path, monkeypatch: pytest.MonkeyPatch, task: str
) -> None:
    made = make("demo_model", task)
    spec = PipelineSpec.load(made.folder / "pipeline.yaml")
    loop = ByHand(spec, project)
    loop.use_mlflow(mlflow_store, monkeypatch)
    landing = project / "landing" / spec.data.table
    subprocess.run([sys.executable, made.folder / "example_data.py", "--output", landing], check=True)

    landed = loop.ingest()
    judged = loop.train()

    assert (landed.published_rows, landed.quarantined_rows) == (3000, 0)
    assert judged.decision.verdict == "promote", judged.decision.why
    assert {"serves_as_trained", "prepares_as_trained"} <= {rule.rule for rule in judged.decision.rules}
    answer = judged.archive.example_prediction
    assert 0 <= answer["score"] <= 1
    assert answer["prediction"] in spec.serving.label_schema["enum"]

"""What a training rests on in MLflow is looked for, whatever else is gone."""

from typing import Any

import pytest

from tasks.contracts import Route
from tasks.errors import DeletedInMlflow
from tasks.stores import mlflow_rest
from tasks.training.mlflow_records import require_records

SERVING = Route(
    model="tiny",
    model_version="3",
    run_id="c" * 32,
    backend_version="c" * 32,
    archive_sha256="1" * 64,
    input_schema={},
    label_schema={},
    timeout_seconds=1,
)
ACTIVE = {"experiment_id": "7", "lifecycle_stage": "active"}


def holds(
    patch: pytest.MonkeyPatch, experiment: dict[str, str] | None, *, registered: bool, stage: str = "active"
) -> None:
    """Let MLflow hold the experiment, the version that serves, and its run."""
    run: dict[str, Any] = {"info": {"lifecycle_stage": stage}}
    patch.setattr(mlflow_rest, "experiment", lambda _model: experiment)
    patch.setattr(mlflow_rest, "is_registered", lambda _model, _run_id: registered)
    patch.setattr(mlflow_rest, "run", lambda _experiment_id, _run_id: run)


@pytest.mark.parametrize("experiment", [ACTIVE, None])
def test_a_serving_version_that_was_deleted_is_told_with_and_without_the_experiment(
    monkeypatch: pytest.MonkeyPatch, experiment: dict[str, str] | None
) -> None:
    holds(monkeypatch, experiment, registered=False)
    with pytest.raises(DeletedInMlflow, match="Version 3 of tiny serves, but MLflow's registry does not"):
        require_records("tiny", SERVING)


def test_where_all_is_there_or_nothing_serves_a_training_may_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    holds(monkeypatch, None, registered=False)
    require_records("tiny", None)
    for experiment in (ACTIVE, None):
        holds(monkeypatch, experiment, registered=True)
        require_records("tiny", SERVING)


def test_a_deleted_experiment_or_run_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    holds(monkeypatch, ACTIVE | {"lifecycle_stage": "deleted"}, registered=False)
    with pytest.raises(DeletedInMlflow, match="restore --experiment-id 7"):
        require_records("tiny", None)
    holds(monkeypatch, ACTIVE, registered=True, stage="deleted")
    with pytest.raises(DeletedInMlflow, match="runs restore --run-id ccc"):
        require_records("tiny", SERVING)

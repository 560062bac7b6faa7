"""See that MLflow still has what a training rests on: anybody may delete it in MLflow's pages."""

from tasks.contracts import Route
from tasks.errors import DeletedInMlflow
from tasks.serving.champion import deleted_version
from tasks.stores import mlflow_rest

RESTORE = "docs/operate.md says where to run that."


def require_records(model: str, serving: Route | None) -> None:
    """Refuse a training of a model whose experiment, or whose serving version, was deleted in MLflow.

    Args:
        serving: The route of the version that serves; None where none does or nobody here knows.

    Raises:
        DeletedInMlflow: It was.
        ServiceAway: MLflow does not answer.
        MlflowRefused: It does not answer this user.
    """
    experiment = mlflow_rest.experiment(model)
    if experiment is not None:
        require_active(model, str(experiment["experiment_id"]), experiment["lifecycle_stage"])
    if serving is None:
        return
    if not mlflow_rest.is_registered(model, serving.run_id):
        raise deleted_version(serving)
    if experiment is not None:
        _require_run(serving, str(experiment["experiment_id"]))


def require_active(model: str, experiment_id: str, lifecycle_stage: str) -> None:
    """Refuse to train into a deleted experiment.

    Raises:
        DeletedInMlflow: It is.
    """
    if lifecycle_stage == "deleted":
        raise DeletedInMlflow(
            f"The MLflow experiment {model!r} was deleted, so no training can be logged to it. Restore it, "
            f"with its runs: `mlflow experiments restore --experiment-id {experiment_id}`; {RESTORE}",
            experiment_id=experiment_id,
        )


def _require_run(serving: Route, experiment_id: str) -> None:
    """One that was removed for good cannot be restored, and a new training is what helps."""
    run = mlflow_rest.run(experiment_id, serving.run_id)
    if run is not None and run["info"]["lifecycle_stage"] == "deleted":
        raise DeletedInMlflow(
            f"The MLflow run {serving.run_id} was deleted, and version {serving.model_version} of "
            f"{serving.model}, which serves, came from it: nobody could say what from. Restore it: `mlflow "
            f"runs restore --run-id {serving.run_id}`; {RESTORE}",
            run_id=serving.run_id,
        )
